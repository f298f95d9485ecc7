import { ErrnoError } from "../errno.ts";
import { hex } from "../../base/hex.ts";
import type { Width } from "./word.ts";

/** One access of a config space request: naturally aligned, inside one dword and one extent. */
export interface Chunk {
  readonly offset: number;
  readonly width: Width;
}

/**
 * Splits `count` bytes at `offset` the way vfio-pci does: up to the end of the dword or of the extent that
 * `extentEnd` reports, then the widest aligned access that fits.
 */
export function* planChunks(
  offset: number,
  count: number,
  extentEnd: (offset: number) => number,
): Generator<Chunk> {
  const end = offset + count;
  while (offset < end) {
    const dwordEnd = offset - offset % 4 + 4;
    const left = Math.min(end, dwordEnd, extentEnd(offset)) - offset;
    const width = left >= 4 && offset % 4 === 0 ? 4 : left >= 2 && offset % 2 === 0 ? 2 : 1;
    yield { offset, width };
    offset += width;
  }
}

/**
 * Refuses a request that is not wholly inside `size` bytes: no clamp, nothing done.
 *
 * The kernel asks before every chunk, but position plus remaining bytes never changes, so once is enough.
 */
export function checkRange(offset: number, count: number, size: number): void {
  if (count === 0 || (offset >= 0 && offset + count <= size)) return;
  throw new ErrnoError("EFAULT", {
    layer: "vfio-core",
    ref: "vfio.config.range",
    rule: "config range",
    source: "drivers/vfio/pci/vfio_pci_config.c: vfio_pci_config_rw_single",
    message: `Length ${count} at ${hex(offset)} is not within the ${size} bytes of config space`,
    hint: "config requests are not shortened; keep offset plus length within the config region's size",
  });
}

/** Refuses to copy a chunk at `at` of a user buffer of which only `accessible` bytes can be touched. */
export function checkUserBuffer(chunk: Chunk, at: number, accessible: number): void {
  if (at + chunk.width <= accessible) return;
  throw new ErrnoError("EFAULT", {
    layer: "vfio-core",
    ref: "vfio.config.fault",
    rule: "user buffer",
    source: "drivers/vfio/pci/vfio_pci_config.c: vfio_pci_config_rw_single",
    message: `The user buffer ends after ${accessible} bytes, before the ${at + chunk.width} that the ` +
      `chunk at ${hex(chunk.offset, 2)} needs`,
  });
}
