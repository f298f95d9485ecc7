/**
 * Saving and restoring the standard PCI registers around a reset (drivers/pci/pci.c: pci_save_state,
 * pci_restore_state; vfio.reset.result).
 */
import type { Zdev } from "./zdev.ts";

const COMMAND = 0x04;
const HEADER_DWORDS = 16;
const CAPABILITY_POINTER = 0x34;
const MSI_CAPABILITY = 0x05;
/** Control, address, upper address and data of a 64-bit MSI capability, as dwords from its start. */
const MSI_DWORDS = 4;

/** Registers as dwords, by offset. */
export type PciState = ReadonlyMap<number, number>;

/** Reads the header and the MSI capability. @throws {ErrnoError} EIO if the function does not answer */
export function savePciState(zdev: Zdev): PciState {
  const state = new Map<number, number>();
  for (let i = 0; i < HEADER_DWORDS; i++) state.set(i * 4, zdev.configLoad(i * 4, 4));
  const capability = zdev.configLoad(CAPABILITY_POINTER, 1);
  if (capability !== 0 && zdev.configLoad(capability, 1) === MSI_CAPABILITY) {
    for (let i = 0; i < MSI_DWORDS; i++) {
      state.set(capability + i * 4, zdev.configLoad(capability + i * 4, 4));
    }
  }
  return state;
}

/** Writes back what differs, from the highest register down, so that COMMAND comes after the BARs. */
export function restorePciState(zdev: Zdev, state: PciState): void {
  for (const [offset, value] of [...state].reverse()) {
    if (zdev.configLoad(offset, 4) !== value) zdev.configStore(offset, 4, value);
  }
}

/** Clears and sets bits of COMMAND. */
export function setCommandBits(zdev: Zdev, clear: number, set: number): void {
  const before = zdev.configLoad(COMMAND, 2);
  const after = (before & ~clear) | set;
  if (after !== before) zdev.configStore(COMMAND, 2, after);
}
