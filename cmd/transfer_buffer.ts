/** Buffers of a simulated caller: as long as the call says, or as long as they are mapped. */
import { MAX_RW_COUNT } from "../lib/vfio/vfs_checks.ts";

/** A caller's buffer is not allocated beyond this; a longer count faults where the buffer ends. Bytes. */
const BUFFER_LIMIT = 2 ** 30;

/** A buffer for `count` bytes of which the first `accessible` are mapped; the copy faults behind them. */
export function readBuffer(count: bigint, accessible = count): Uint8Array {
  const bytes = accessible < count ? accessible : count;
  return new Uint8Array(Number(bytes < BUFFER_LIMIT ? bytes : Math.min(BUFFER_LIMIT, MAX_RW_COUNT)));
}
