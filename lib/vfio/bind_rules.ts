/**
 * Which drivers know a function, and what a write to their `bind` and `unbind` is refused with. Facts: vfio.bind.errno
 * (drivers/base/bus.c).
 */
import type { Binding } from "./binding.ts";
import { coreError } from "./refusal.ts";

/** Drivers that know the function: the variant driver, the generic one, and the kernel's own network driver. */
export const DRIVERS = ["ism_vfio_pci", "vfio-pci", "ism"] as const;
export type DriverName = (typeof DRIVERS)[number];
/** The order in which the bus tries drivers. */
export const PROBE_ORDER: readonly DriverName[] = ["ism", "ism_vfio_pci", "vfio-pci"];

/** A function can be bound to a driver now. @throws {ErrnoError} ENODEV if the driver does not match, EBUSY if one holds it */
export function checkBind(binding: Binding, driver: DriverName): void {
  const source = "drivers/base/bus.c: bind_store";
  if (!binding.matches(driver)) {
    throw coreError(
      "ENODEV",
      "vfio.bind.errno",
      "driver match",
      source,
      `${driver} does not match the function without driver_override`,
      `write ${driver} to driver_override first`,
    );
  }
  checkPciDevice(binding);
  if (binding.driver !== undefined) {
    throw coreError(
      "EBUSY",
      "vfio.bind.errno",
      "bound",
      source,
      `${binding.driver} holds the function`,
      "unbind it first",
    );
  }
}

/** A function in standby is no PCI device, and has no files in sysfs. @throws {ErrnoError} ENODEV */
export function checkPciDevice({ zdev }: Binding): void {
  if (zdev.state === "configured") return;
  throw coreError(
    "ENODEV",
    "vfio.bind.errno",
    "no PCI device",
    "drivers/base/bus.c: bind_store",
    `The function is in ${zdev.state}; there is no PCI device to bind`,
    '"ism zpci configure" or "ism zpci event 0x0301" brings it back',
  );
}

/** A driver holds the function. @throws {ErrnoError} ENODEV */
export function checkBound(binding: Binding): void {
  if (binding.driver === undefined) {
    throw coreError(
      "ENODEV",
      "vfio.bind.errno",
      "not bound",
      "drivers/base/bus.c: unbind_store",
      "No driver holds the function",
    );
  }
}
