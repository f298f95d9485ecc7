/** Vectors of readv, writev and their kin. Facts: VFIO sheet 4.1 (fs/read_write.c). */
import { ErrnoError } from "../errno.ts";
import type { OpenFile } from "./file.ts";

/** Lengths of segments, for a trace. */
export const lengths = (segments: readonly Uint8Array[]): number[] => segments.map(({ length }) => length);

/** The first bytes of a vector's segments, at most `limit`. */
export function joined(segments: readonly Uint8Array[], limit: number): Uint8Array {
  const bytes: number[] = [];
  for (const segment of segments) bytes.push(...segment.subarray(0, limit - bytes.length));
  return Uint8Array.from(bytes);
}

/**
 * One driver call per segment (do_loop_readv_writev). Stops at the first short or failed segment; a failure counts only
 * if nothing was done before it.
 *
 * @param each carries out one segment, behind `done` bytes
 * @returns bytes moved
 */
export function perSegment(
  segments: readonly Uint8Array[],
  each: (buffer: Uint8Array, done: number) => number,
): number {
  let total = 0;
  for (const buffer of segments) {
    let result: number;
    try {
      result = each(buffer, total);
    } catch (error) {
      if (error instanceof ErrnoError && total > 0) return total;
      throw error;
    }
    total += result;
    if (result < buffer.length) break;
  }
  return total;
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
