/** read, write and their kin on simulated files. Facts: vfio.rw.vfs (fs/read_write.c). */
import { MAX_RW_COUNT } from "../vfio/process/vfs_checks.ts";
import { type Call, ERROR, type Handler, PROCEED } from "./call.ts";
import { copyFrom, copyTo, Scratch } from "./user_copy.ts";

/** Below this position 8 bytes are one load; config space, which is read 4 bytes at a time, lies above. */
const DOUBLEWORD_LOADS_END = 2 ** 50;

/** One load and one copy, so that nothing comes behind a copy that faults: a register at its own address. */
function isOneStep(count: number | bigint, position: number | bigint): boolean {
  if (typeof position === "bigint") return false;
  if (count === 8) return position % 8 === 0 && position < DOUBLEWORD_LOADS_END;
  return (count === 4 || count === 2 || count === 1) && position % count === 0;
}

/** The caller's buffer of a read: as many bytes as it can take. */
interface Room {
  readonly scratch: Scratch;
  readonly buffer: Uint8Array;
}

/**
 * A buffer for a read of `count` bytes. Where the caller's memory ends the buffer ends, so that the driver stops at the
 * byte at which the kernel's copy faults.
 */
function roomFor(
  call: Call,
  address: number,
  count: number | bigint,
  position: number | bigint,
): Room {
  const { scratch } = call;
  if (isOneStep(count, position)) return { scratch, buffer: scratch.bytes };
  const wanted = count > MAX_RW_COUNT ? MAX_RW_COUNT : Number(count);
  const length = wanted <= scratch.bytes.length
    ? copyFrom(call.thread, address, scratch, 0, wanted)
    : call.process.memory.readable(address, wanted);
  if (length === wanted && length <= scratch.bytes.length) return { scratch, buffer: scratch.bytes };
  const own = length <= scratch.bytes.length ? scratch : new Scratch(length);
  return { scratch: own, buffer: own.bytes.subarray(0, length) };
}

/** Brings what was read to the caller; EFAULT if it cannot be written there. */
function bring(call: Call, address: number, { scratch }: Room, length: number): number {
  return copyTo(call.thread, address, scratch, 0, length) === length ? length : ERROR.EFAULT;
}

/** The caller's bytes for a write: no device takes more at once than the scratch buffer holds. */
function bytesOf(call: Call, address: number, count: number | bigint): Uint8Array {
  const { scratch } = call;
  const { length } = scratch.bytes;
  const wanted = count > length ? length : Number(count);
  const copied = copyFrom(call.thread, address, scratch, 0, wanted);
  return copied === wanted ? scratch.bytes : scratch.bytes.subarray(0, copied);
}

export const pread64: Handler = (call) => {
  const { listener, process } = call;
  const fd = listener.int(0);
  if (process.table.ours(fd) === undefined) return PROCEED;
  const count = listener.offset(2);
  const address = listener.long(1);
  const position = listener.offset(3);
  const room = roomFor(call, address, count, position);
  return bring(call, address, room, process.process.pread(fd, room.buffer, count, position));
};

export const pwrite64: Handler = (call) => {
  const { listener, process } = call;
  const fd = listener.int(0);
  if (process.table.ours(fd) === undefined) return PROCEED;
  const count = listener.offset(2);
  return process.process.pwrite(fd, bytesOf(call, listener.long(1), count), count, listener.offset(3));
};

export const read: Handler = (call) => {
  const { listener, process } = call;
  const fd = listener.int(0);
  const file = process.table.ours(fd);
  if (file === undefined) return PROCEED;
  const address = listener.long(1);
  const count = listener.offset(2);
  const room = roomFor(call, address, count, file.position);
  return bring(call, address, room, process.process.read(fd, room.buffer, count));
};

export const write: Handler = (call) => {
  const { listener, process } = call;
  const fd = listener.int(0);
  if (process.table.ours(fd) === undefined) return PROCEED;
  const count = listener.offset(2);
  return process.process.write(fd, bytesOf(call, listener.long(1), count), count);
};

/** Most segments of a vector (include/uapi/linux/uio.h: UIO_MAXIOV). */
const MAX_SEGMENTS = 1024;
const SEGMENT_BYTES = 16;
/** RWF_HIPRI, the only flag that a driver without iterators does not refuse (fs/read_write.c: do_loop_readv_writev). */
const HIGH_PRIORITY = 1;

interface Segment {
  readonly address: number;
  readonly length: number;
}

/** The caller's vector (lib/iov_iter.c: import_iovec); a negative error number if it is none. */
function segmentsOf(call: Call): Segment[] | number {
  const count = call.listener.long(2);
  if (count > MAX_SEGMENTS) return ERROR.EINVAL;
  const bytes = count * SEGMENT_BYTES;
  if (copyFrom(call.thread, call.listener.long(1), call.scratch, 0, bytes) < bytes) return ERROR.EFAULT;
  const view = new DataView(call.scratch.bytes.buffer);
  const segments: Segment[] = [];
  let room = MAX_RW_COUNT;
  for (let at = 0; at < bytes; at += SEGMENT_BYTES) {
    const length = view.getBigInt64(at + 8, true);
    if (length < 0n) return ERROR.EINVAL;
    const clamped = length > room ? room : Number(length);
    room -= clamped;
    segments.push({ address: Number(view.getBigUint64(at, true)), length: clamped });
  }
  return segments;
}

/** Position of a vector call: its own, or none for readv and writev, and for -1 in preadv2 and pwritev2. */
type Position = number | bigint | undefined;

/**
 * A vector call. Segments behind the first one that is not all accessible are cut off: a fault counts only where nothing
 * was moved before it, and then the first segment alone shows it.
 */
function vector(call: Call, isWrite: boolean, position: Position): number {
  const { process: { process, table }, listener, thread } = call;
  const fd = listener.int(0);
  if (table.ours(fd) === undefined) return PROCEED;
  if (position !== undefined && position >= 2n ** 63n) return ERROR.EINVAL;
  const segments = segmentsOf(call);
  if (typeof segments === "number") return segments;
  const scratches: Scratch[] = [];
  const buffers: Uint8Array[] = [];
  for (const { address, length } of segments) {
    const scratch = new Scratch(length);
    const copied = copyFrom(thread, address, scratch, 0, length);
    if (copied < length && buffers.length > 0) break;
    scratches.push(scratch);
    buffers.push(scratch.bytes.subarray(0, copied));
    if (copied < length) break;
  }
  const first = segments[0];
  if (first !== undefined && buffers[0]!.length < first.length) {
    const [bytes] = buffers;
    if (isWrite) {
      return position === undefined
        ? process.write(fd, bytes!, first.length)
        : process.pwrite(fd, bytes!, first.length, position);
    }
    return position === undefined
      ? process.read(fd, bytes!, first.length)
      : process.pread(fd, bytes!, first.length, position);
  }
  if (isWrite) {
    return position === undefined ? process.writev(fd, buffers) : process.pwritev(fd, buffers, position);
  }
  const total = position === undefined ? process.readv(fd, buffers) : process.preadv(fd, buffers, position);
  let left = total;
  for (const [i, { address, length }] of segments.entries()) {
    const part = Math.min(left, length);
    if (part === 0) continue;
    if (copyTo(thread, address, scratches[i]!, 0, part) < part) {
      return total > left ? total - left : ERROR.EFAULT;
    }
    left -= part;
  }
  return total;
}

export const readv: Handler = (call) => vector(call, false, undefined);
export const writev: Handler = (call) => vector(call, true, undefined);
export const preadv: Handler = (call) => vector(call, false, call.listener.offset(3));
export const pwritev: Handler = (call) => vector(call, true, call.listener.offset(3));

function vector2(call: Call, isWrite: boolean): number {
  const { listener } = call;
  if (call.process.table.ours(listener.int(0)) === undefined) return PROCEED;
  const position = listener.offset(3);
  if ((listener.uint(5) & ~HIGH_PRIORITY) !== 0) return ERROR.EOPNOTSUPP;
  return vector(call, isWrite, position === 2n ** 64n - 1n ? undefined : position);
}

export const preadv2: Handler = (call) => vector2(call, false);
export const pwritev2: Handler = (call) => vector2(call, true);
