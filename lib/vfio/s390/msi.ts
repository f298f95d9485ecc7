/**
 * The PCI core's part of MSI: the message and the enable bit in the function's MSI capability. Facts: zpci.irq.linux
 * (drivers/pci/msi/msi.c: msi_capability_init, pci_msi_shutdown; drivers/pci/pci.c: pci_find_capability).
 */
import { ErrnoError } from "../errno.ts";
import type { Zdev } from "./zdev.ts";

const CAPABILITY_POINTER = 0x34;
/** Where Linux gives up on a chain without an end (drivers/pci/pci.c: PCI_FIND_CAP_TTL). */
const MOST_CAPABILITIES = 48;
export const MSI_CAPABILITY = 0x05;
const CONTROL = 2;
const ADDRESS_LOW = 4;
const ADDRESS_HIGH = 8;
const DATA = 12;
const ENABLE = 1;

/** Where the MSI capability lies, or undefined if there is none. @throws {ErrnoError} */
function capability(zdev: Zdev): number | undefined {
  let rest = MOST_CAPABILITIES;
  for (let at = zdev.configLoad(CAPABILITY_POINTER, 1); at !== 0; at = zdev.configLoad(at + 1, 1)) {
    if (rest-- === 0) return undefined;
    if (zdev.configLoad(at, 1) === MSI_CAPABILITY) return at;
  }
  return undefined;
}

/** Control word of a capability that does not answer. */
const NO_ANSWER = 0xffff;
const VECTORS_LOG2 = 0x0e;

/**
 * Vectors of the MSI capability at `at`, from the function itself: 128 of one whose config space does not answer, because
 * all ones come back (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_get_irq_count).
 */
export function msiVectors(zdev: Zdev, at: number): number {
  let control = NO_ANSWER;
  try {
    control = zdev.configLoad(at + CONTROL, 2);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  }
  return 2 ** ((control & VECTORS_LOG2) >> 1);
}

/** Writes the message: the group's MSI address, and the number of the first vector as data. */
export function writeMessage(zdev: Zdev): void {
  withCapability(zdev, (at) => {
    const { msia } = zdev.facts;
    zdev.configStore(at + ADDRESS_LOW, 4, Number(msia & 0xffff_ffffn));
    zdev.configStore(at + ADDRESS_HIGH, 4, Number(msia >> 32n));
    zdev.configStore(at + DATA, 2, 0);
  });
}

/** Switches MSI on or off in the function. */
export function setMsiEnable(zdev: Zdev, on: boolean): void {
  withCapability(zdev, (at) => {
    const control = zdev.configLoad(at + CONTROL, 2);
    zdev.configStore(at + CONTROL, 2, on ? control | ENABLE : control & ~ENABLE);
  });
}

/** The PCI core does not look at what becomes of its config accesses. */
function withCapability(zdev: Zdev, access: (at: number) => void): void {
  try {
    const at = capability(zdev);
    if (at !== undefined) access(at);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  }
}
