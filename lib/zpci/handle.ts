/**
 * Function handles. Facts: zpci.handle.*. Only the enable bit has public meaning; the split
 * of the other bits is QEMU's (include/hw/s390x/s390-pci-bus.h) and the instance bump is this project's assumption.
 */
import type { MachineOptions } from "./options.ts";

/** Set in the handle of an enabled function. */
export const HANDLE_ENABLED = 0x8000_0000;
const INSTANCE_UNIT = 0x0100_0000;
const INSTANCES = 0x80;
const INDEX_MASK = 0xffff;

/** True if the handle's enable bit is on. */
export function isEnabledHandle(fh: number): boolean {
  return fh >= HANDLE_ENABLED;
}

/** The table index in a handle's low 16 bits. */
export function handleIndex(fh: number): number {
  return fh & INDEX_MASK;
}

/** The handle of a configured, never enabled function at a table index (1 to 65535, so that no handle is 0). */
export function initialHandle(index: number): number {
  return index & INDEX_MASK;
}

/** The handle after a successful enable: enable bit on, instance (7 bits, wrapping) one up. */
export function enabledHandle(fh: number): number {
  const instance = (Math.floor(fh / INSTANCE_UNIT) + 1) % INSTANCES;
  return HANDLE_ENABLED + instance * INSTANCE_UNIT + fh % INSTANCE_UNIT;
}

/** Handles that an enable gives, by the choice of `machine.handleInstance` (zpci.handle.format). */
export const ENABLED_HANDLE: Readonly<Record<MachineOptions["handleInstance"], (fh: number) => number>> = {
  bump: enabledHandle,
  keep: (fh) => HANDLE_ENABLED + fh % HANDLE_ENABLED,
};

/** The handle after a disable: the same without the enable bit. */
export function disabledHandle(fh: number): number {
  return fh % HANDLE_ENABLED;
}
