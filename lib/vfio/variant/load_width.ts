/**
 * How the driver cuts a BAR read into loads (vfio.read.loads; drivers/vfio/pci/ism/main.c: ism_vfio_pci_do_io_r):
 * the widest of 8, 4, 2, 1 bytes that still fits and to which the region offset is aligned.
 */

import { remainder } from "../../base/bits.ts";

/** Width of a load in bytes. */
export type LoadWidth = 8 | 4 | 2 | 1;

/** Width of the next load. */
export function loadWidth(offset: number, left: number): LoadWidth {
  if (left >= 8 && remainder(offset, 8) === 0) return 8;
  if (left >= 4 && remainder(offset, 4) === 0) return 4;
  if (left >= 2 && remainder(offset, 2) === 0) return 2;
  return 1;
}
