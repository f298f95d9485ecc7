/**
 * System calls that move bytes: read(2), write(2), their forms with a position and with vectors, and what the kernel
 * checks before any driver is asked. Facts: vfio.rw.* (fs/read_write.c).
 */
import { KEPT_BYTES, type SyscallEvent, type TraceValue } from "../../base/trace.ts";
import { eachSegment, joined, lengths, plus, readAtOnce, shown } from "./buffers.ts";
import { Caller } from "./caller.ts";
import type { OpenFile } from "./file.ts";
import { checkDirection, checkPosition, checkRange, notPositioned, type Offset } from "./vfs_checks.ts";

/** Calls of a process that move bytes. */
export abstract class TransferCalls extends Caller {
  /** pread64(2): `count` bytes at `position` into `buffer` from index `start`. @returns bytes read */
  pread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start = 0): number {
    return this.tracer.sink === undefined
      ? this.#pread(fd, buffer, count, position, start)
      : this.#tracedPread(fd, buffer, count, position, start);
  }

  /** pwrite64(2): `count` bytes of `buffer` from index `start` at `position`. @returns bytes written */
  pwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start = 0): number {
    return this.tracer.sink === undefined
      ? this.#pwrite(fd, buffer, count, position, start)
      : this.#tracedPwrite(fd, buffer, count, position, start);
  }

  /** read(2) at the descriptor's own position, which advances by the result. */
  read(fd: number, buffer: Uint8Array, count: Offset): number {
    this.kernel.tick();
    return this.tracer.sink === undefined
      ? this.#read(fd, buffer, count)
      : this.#tracedRead(fd, buffer, count);
  }

  #tracedRead(fd: number, buffer: Uint8Array, count: Offset): number {
    const event = this.recorder.event("read", { fd, count });
    return this.record(event, () => {
      const result = this.#read(fd, buffer, count);
      event.data = shown(buffer, 0, result);
      return result;
    });
  }

  #read(fd: number, buffer: Uint8Array, count: Offset): number {
    const file = this.#directed(fd, "read");
    const clamped = checkRange(file.position, count);
    const result = file.read(buffer, clamped, file.position, 0);
    file.position += result;
    return result;
  }

  /** write(2) at the descriptor's own position, which advances by the result. */
  write(fd: number, buffer: Uint8Array, count: Offset): number {
    return this.call("write", () => ({ fd, count }), () => {
      const file = this.#directed(fd, "write");
      const clamped = checkRange(file.position, count);
      const result = file.write(buffer, clamped, file.position, 0);
      file.position += result;
      return result;
    }, () => shown(buffer, 0, count));
  }

  /** preadv(2): one driver call per segment. @returns bytes read */
  preadv(fd: number, segments: readonly Uint8Array[], position: Offset): number {
    return this.#vectorCall("preadv", { fd, iov: lengths(segments), position }, segments, () => {
      checkDirection(this.#positioned(fd, position, "preadv"), "read");
      return eachSegment(
        segments,
        (buffer, done) => this.#pread(fd, buffer, buffer.length, plus(position, done), 0),
      );
    });
  }

  /** pwritev(2): one driver call, and so one store block on a BAR, per segment. @returns bytes written */
  pwritev(fd: number, segments: readonly Uint8Array[], position: Offset): number {
    return this.#vectorCall("pwritev", { fd, iov: lengths(segments), position }, segments, () => {
      checkDirection(this.#positioned(fd, position, "pwritev"), "write");
      return eachSegment(
        segments,
        (buffer, done) => this.#pwrite(fd, buffer, buffer.length, plus(position, done), 0),
      );
    });
  }

  /** readv(2) at the descriptor's own position. @returns bytes read */
  readv(fd: number, segments: readonly Uint8Array[]): number {
    this.kernel.tick();
    return this.#vectorCall("readv", { fd, iov: lengths(segments) }, segments, () => {
      const file = this.#directed(fd, "read");
      if (file.readsAtOnce) return readAtOnce(file, segments);
      const total = eachSegment(segments, (buffer, done) => {
        const at = file.position + done;
        return file.read(buffer, checkRange(at, buffer.length), at, 0);
      });
      file.position += total;
      return total;
    });
  }

  /** writev(2) at the descriptor's own position. @returns bytes written */
  writev(fd: number, segments: readonly Uint8Array[]): number {
    return this.#vectorCall("writev", { fd, iov: lengths(segments) }, segments, () => {
      const file = this.#directed(fd, "write");
      const total = eachSegment(segments, (buffer, done) => {
        const at = file.position + done;
        return file.write(buffer, checkRange(at, buffer.length), at, 0);
      });
      file.position += total;
      return total;
    });
  }

  /** Records a vector call with the bytes that it wrote or read, as far as they are shown. */
  #vectorCall(
    op: SyscallEvent["op"],
    args: Record<string, TraceValue>,
    segments: readonly Uint8Array[],
    run: () => number,
  ): number {
    if (this.tracer.sink === undefined) return this.call(op, () => args, run);
    const event = this.recorder.event(op, args);
    const isWrite = op.endsWith("writev");
    if (isWrite) event.data = joined(segments, KEPT_BYTES);
    return this.record(event, () => {
      const result = run();
      if (!isWrite) event.data = joined(segments, Math.min(result, KEPT_BYTES));
      return result;
    });
  }

  // Apart from the calls themselves: a closure over their parameters would cost an allocation with every call.
  #tracedPread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    const event = this.recorder.event("pread64", { fd, count, position });
    return this.record(event, () => {
      const result = this.#pread(fd, buffer, count, position, start);
      event.data = shown(buffer, start, result);
      return result;
    });
  }

  #tracedPwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    const data = shown(buffer, start, count);
    const event = this.recorder.event("pwrite64", { fd, count, position }, { data });
    return this.record(event, () => this.#pwrite(fd, buffer, count, position, start));
  }

  /** The file of a descriptor that is open for that direction. @throws {ErrnoError} EBADF, EINVAL */
  #directed(fd: number, direction: "read" | "write"): OpenFile {
    const file = this.file(fd);
    checkDirection(file, direction);
    return file;
  }

  /** Checks 1 and 2 of vfio.rw.vfs: the position comes before the descriptor. */
  #positioned(fd: number, position: Offset, op: string): OpenFile {
    checkPosition(position);
    const file = this.file(fd);
    if (!file.positioned) throw notPositioned(op);
    return file;
  }

  #pread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    this.kernel.current = this;
    const file = this.#positioned(fd, position, "pread");
    checkDirection(file, "read");
    const clamped = checkRange(position, count);
    return file.read(buffer, clamped, typeof position === "number" ? position : Number(position), start);
  }

  #pwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    this.kernel.current = this;
    const file = this.#positioned(fd, position, "pwrite");
    checkDirection(file, "write");
    const clamped = checkRange(position, count);
    return file.write(buffer, clamped, typeof position === "number" ? position : Number(position), start);
  }
}
