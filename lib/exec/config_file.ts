/** `config` of a function in sysfs: config space as the hardware has it (drivers/pci/pci-sysfs.c: pci_read_config). */
import { ErrnoError } from "../vfio/errno.ts";
import type { Zdev } from "../vfio/s390/zdev.ts";

/** Bytes of config space. */
export const CONFIG_BYTES = 256;
/** What a load that failed reads as. */
const ALL_ONES = 0xff;

/** All of config space; a function that does not answer reads as ones. */
export function configBytes(zdev: Zdev): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  for (let at = 0; at < CONFIG_BYTES; at++) bytes[at] = load(zdev, at);
  return bytes;
}

function load(zdev: Zdev, at: number): number {
  try {
    return zdev.configLoad(at, 1);
  } catch (error) {
    if (error instanceof ErrnoError) return ALL_ONES;
    throw error;
  }
}

/** Writes bytes of config space; what a function does not take is lost. */
export function writeConfig(zdev: Zdev, bytes: Uint8Array, position: number): void {
  const end = Math.min(bytes.length, CONFIG_BYTES - position);
  for (let i = 0; i < end; i++) {
    try {
      zdev.configStore(position + i, 1, bytes[i]!);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
    }
  }
}
