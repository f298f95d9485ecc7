/** What the system calls of a process need for buffers and vectors: what is shown of them, and how far they went. */
import { KEPT_BYTES } from "../../base/trace.ts";
import { ErrnoError } from "../errno.ts";
import { OPEN_FLAGS, type OpenFile } from "./file.ts";
import type { Offset } from "./vfs_checks.ts";

/** A copy of what an event shows of a buffer. */
export function shown(buffer: Uint8Array, start: number, count: Offset): Uint8Array {
  return buffer.slice(start, start + (count < KEPT_BYTES ? Number(count) : KEPT_BYTES));
}

/** The access mode of openat(2), as headers spell it. */
export const modeName = (mode: number) =>
  ["O_RDONLY", "O_WRONLY", "O_RDWR"][mode & OPEN_FLAGS.ACCMODE] ?? String(mode);

/** Lengths of the segments of a vector. */
export const lengths = (segments: readonly Uint8Array[]) => segments.map(({ length }) => length);

/** The first bytes of a vector's segments, at most `limit`. */
export function joined(segments: readonly Uint8Array[], limit: number): Uint8Array {
  const bytes: number[] = [];
  for (const segment of segments) bytes.push(...segment.subarray(0, limit - bytes.length));
  return Uint8Array.from(bytes);
}

/**
 * One driver call per segment of a vector: stops at the first short or failed one; a failure counts only if nothing was
 * done before it. @returns bytes done
 */
export function eachSegment(
  segments: readonly Uint8Array[],
  call: (buffer: Uint8Array, done: number) => number,
): number {
  let total = 0;
  for (const buffer of segments) {
    let result: number;
    try {
      result = call(buffer, total);
    } catch (error) {
      if (error instanceof ErrnoError && total > 0) return total;
      throw error;
    }
    total += result;
    if (result < buffer.length) break;
  }
  return total;
}

/** Bytes of a directory entry: a header of 19, the name, NUL, rounded up to 8 (struct linux_dirent64). */
export function direntBytes(name: string): number {
  return Math.ceil((19 + name.length + 1) / 8) * 8;
}

/** A position behind `done` bytes. */
export function plus(position: Offset, done: number): Offset {
  return typeof position === "bigint" ? position + BigInt(done) : position + done;
}

/** One call for all segments (do_iter_readv_writev), for a file that has no positions. @returns bytes read */
export function readAtOnce(file: OpenFile, segments: readonly Uint8Array[]): number {
  const bytes = new Uint8Array(segments.reduce((sum, { length }) => sum + length, 0));
  const result = file.read(bytes, bytes.length, 0, 0);
  let at = 0;
  for (const segment of segments) {
    segment.set(bytes.subarray(at, Math.min(at + segment.length, result)));
    at = Math.min(at + segment.length, result);
  }
  return result;
}
