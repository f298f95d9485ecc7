/** What the kernel checks of positions and counts before any driver is asked. Facts: vfio.rw.vfs (fs/read_write.c). */
import type { ErrnoError } from "../errno.ts";
import { vfsError } from "../refusal.ts";

/** MAX_RW_COUNT: INT_MAX rounded down to a page; longer counts are clamped to it (include/linux/fs.h). */
export const MAX_RW_COUNT = 0x7fff_f000;
const SSIZE_MAX = 2n ** 63n - 1n;
const TWO_53 = 2 ** 53;
const TWO_63 = 2 ** 63;

/** A file position or count; `bigint` where it may pass 2^53. */
export type Offset = number | bigint;

/** A refusal of mmap(2) before any driver is asked (vfio.mmap.never). */
export function mmapError(code: "EINVAL" | "ENOMEM" | "EOVERFLOW", message: string): ErrnoError {
  return vfsError(code, "vfio.mmap.checks", "mmap", "mm/mmap.c: do_mmap", message);
}

/** Check 1: a negative position, which is what 2^63 and above is to the kernel. Comes before the descriptor. */
export function checkPosition(position: Offset): void {
  // A number is compared with numbers: comparing it with a bigint allocates.
  if (
    typeof position === "number" ? position < 0 || position >= TWO_63 : position < 0n || position > SSIZE_MAX
  ) {
    throw vfsError(
      "EINVAL",
      "vfio.rw.vfs",
      "position",
      "fs/read_write.c: ksys_pread64",
      "The position is negative as a signed 64-bit number",
    );
  }
}

/**
 * Checks 4 to 6: a count over SSIZE_MAX, a sum that overflows; then the count is clamped to MAX_RW_COUNT.
 * A position above 2^53 loses low bits here, but not the region index that decides its fate (vfio.rw.vfs).
 */
export function checkRange(position: Offset, count: Offset): number {
  if (typeof position === "number" && typeof count === "number" && position + count < TWO_53) {
    return count > MAX_RW_COUNT ? MAX_RW_COUNT : count;
  }
  if (count > SSIZE_MAX || BigInt(position) + BigInt(count) > SSIZE_MAX) {
    throw vfsError(
      "EINVAL",
      "vfio.rw.vfs",
      "position and count",
      "fs/read_write.c: rw_verify_area",
      "Position plus count overflows a signed 64-bit number",
    );
  }
  return count > MAX_RW_COUNT ? MAX_RW_COUNT : Number(count);
}

/** pread, pwrite and their vectors on a descriptor without positions. */
export function notPositioned(op: string): ErrnoError {
  return vfsError(
    "ESPIPE",
    "vfio.rw.others",
    "not seekable",
    op.endsWith("v") ? `fs/read_write.c: do_${op}` : `fs/read_write.c: ksys_${op}64`,
    "This descriptor has no positions",
  );
}
