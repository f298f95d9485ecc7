/** Buffers of a simulated caller: as long as the call says, or as long as they are mapped. */
import { ErrnoError } from "../../../lib/vfio/errno.ts";
import { checkShown, MAX_SHOWN_BYTES } from "../../language/limits.ts";

/** Rules of the refusals that a short buffer causes. */
const BUFFER_RULES = ["user memory", "user buffer"];

/**
 * Reads into a caller's buffer of `count` bytes of which the first `accessible` are mapped; the copy faults behind them.
 * No more is allocated than can be shown: a longer read ends there with a sentence of its own, if it gets there.
 *
 * @throws {ErrnoError} what the call refuses with @throws {UsageError} over the limit of what is shown
 */
export function readShown(
  count: bigint,
  accessible: bigint,
  read: (buffer: Uint8Array) => number,
): { readonly ret: number; readonly data: Uint8Array } {
  const length = accessible < count ? accessible : count;
  const buffer = new Uint8Array(length < MAX_SHOWN_BYTES ? Number(length) : MAX_SHOWN_BYTES);
  try {
    const ret = read(buffer);
    return { ret, data: buffer.subarray(0, ret) };
  } catch (error) {
    if (error instanceof ErrnoError && BUFFER_RULES.includes(error.rule)) checkShown(length, "count");
    throw error;
  }
}
