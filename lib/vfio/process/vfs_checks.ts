/**
 * What the kernel checks of positions and counts before any driver is asked. Facts: vfio.rw.vfs and vfio.mmap.checks
 * (fs/read_write.c).
 */
import type { ErrnoError } from "../errno.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { vfsError } from "../refusal.ts";
import { noOperation, OPEN_FLAGS, type OpenFile } from "./file.ts";

/** MAX_RW_COUNT: INT_MAX rounded down to a page; longer counts are clamped to it (include/linux/fs.h). */
export const MAX_RW_COUNT = 0x7fff_f000;
const SSIZE_MAX = 2n ** 63n - 1n;
const PAGE = BigInt(PAGE_SIZE);
const TWO_53 = 2 ** 53;
const TWO_63 = 2 ** 63;

/** A file position or count; `bigint` where it may pass 2^53. */
export type Offset = number | bigint;

/** A refusal of mmap(2) before any driver is asked (vfio.mmap.never). */
export function mmapError(code: "EACCES" | "EINVAL" | "ENOMEM" | "EOVERFLOW", message: string): ErrnoError {
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

/**
 * The rest of check 2: the file was opened for that direction, and has an operation for it.
 *
 * @throws {ErrnoError} EBADF, EINVAL
 */
export function checkDirection(file: OpenFile, direction: "read" | "write"): void {
  const against = direction === "read" ? OPEN_FLAGS.WRONLY : OPEN_FLAGS.RDONLY;
  if ((file.flags & OPEN_FLAGS.ACCMODE) === against) {
    throw vfsError(
      "EBADF",
      "vfio.rw.vfs",
      "open mode",
      `fs/read_write.c: vfs_${direction}`,
      direction === "read"
        ? "The descriptor is open for writing only"
        : "The descriptor is open for reading only",
    );
  }
  if (!file.hasData) throw noOperation(direction);
}

/** How mmap(2) is asked to map a file. */
export interface MapRequest {
  readonly length: Offset;
  readonly offset: Offset;
  /** PROT_WRITE is among the protections. */
  readonly write: boolean;
  /** MAP_SHARED, not MAP_PRIVATE. */
  readonly shared: boolean;
}

/** The check of an mmap(2) that comes before the descriptor. @throws {ErrnoError} EINVAL */
export function checkMapOffset({ offset }: MapRequest): void {
  if (BigInt(offset) % PAGE !== 0n) throw mmapError("EINVAL", "The offset is no multiple of 4096");
}

/**
 * What the kernel checks of an mmap(2) of a file, in its order, then the file's own operation
 * (mm/mmap.c: do_mmap, file_mmap_ok).
 *
 * @throws {ErrnoError} EINVAL, ENOMEM, EOVERFLOW, EACCES, and what the file refuses with
 */
export function mapFile(file: OpenFile, { length, offset, write, shared }: MapRequest): number {
  const size = BigInt(length);
  if (size === 0n) throw mmapError("EINVAL", "A length of 0 cannot be mapped");
  if (size > 2n ** 64n - PAGE) throw mmapError("ENOMEM", "Rounded up to pages the length is 2^64");
  // The last page of 2^64 bytes is out of reach: the limit of such files is 2^64 - 1 bytes.
  if (BigInt(offset) / PAGE + (size + PAGE - 1n) / PAGE > 2n ** 64n / PAGE - 1n) {
    throw mmapError("EOVERFLOW", "Offset plus length overflows");
  }
  const mode = file.flags & OPEN_FLAGS.ACCMODE;
  if (shared && write && mode === OPEN_FLAGS.RDONLY) {
    throw mmapError("EACCES", "A descriptor that is open for reading only cannot be mapped for writing");
  }
  if (mode === OPEN_FLAGS.WRONLY) {
    throw mmapError("EACCES", "A descriptor that is open for writing only cannot be mapped");
  }
  // Without the right to write, a shared mapping is as good as a private one.
  return file.mmap(shared && mode === OPEN_FLAGS.RDWR);
}

/** fsync(2): no file here has anything to write back. @throws {ErrnoError} EINVAL */
export function syncFile(_file: OpenFile): never {
  throw vfsError(
    "EINVAL",
    "vfio.rw.vfs",
    "no fsync",
    "fs/sync.c: vfs_fsync_range",
    "This descriptor cannot be synchronised",
  );
}

/** The check of ftruncate(2) that comes before the descriptor. @throws {ErrnoError} EINVAL */
export function checkLength(length: Offset): void {
  if (length >= 0) return;
  throw vfsError(
    "EINVAL",
    "vfio.rw.vfs",
    "length",
    "fs/open.c: do_sys_ftruncate",
    "A file cannot be shorter than 0",
  );
}

/** ftruncate(2): no file here is a regular one. @throws {ErrnoError} EINVAL */
export function truncateFile(_file: OpenFile): never {
  throw vfsError(
    "EINVAL",
    "vfio.rw.vfs",
    "no ftruncate",
    "fs/open.c: do_ftruncate",
    "Only regular files have a length",
  );
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
