/** eventfd objects: a 64-bit counter that interrupts add to. Facts: VFIO sheet 7.2 (fs/eventfd.c). */
import type { Tracer } from "../base/trace.ts";
import { copyToUser } from "./user_memory.ts";
import { OpenFile, vfsError } from "./file.ts";

const COUNTER_BYTES = 8;

/** The counter that descriptors and interrupt wiring share. */
export class EventFd {
  readonly id: number;
  /** Signals since the last read. */
  count = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** Adds 1; never blocks. */
  signal(tracer: Tracer, fid: number): void {
    this.count++;
    if (tracer.sink !== undefined) {
      tracer.point({ layer: "irq", op: "eventfd", fid, args: { eventfd: this.id, count: this.count } });
    }
  }
}

/** A descriptor of an eventfd, opened EFD_NONBLOCK | EFD_CLOEXEC. */
export class EventFdFile extends OpenFile {
  override readonly kind = "eventfd";
  readonly context: EventFd;

  constructor(context: EventFd) {
    super();
    this.context = context;
  }

  override get id(): number {
    return this.context.id;
  }

  override get path(): string {
    return "anon_inode:[eventfd]";
  }

  /** Reads the counter as 8 little-endian bytes and clears it; EAGAIN while it is 0, EINVAL below 8 bytes. */
  override read(buffer: Uint8Array, count: number, _position: number, start: number): number {
    if (count < COUNTER_BYTES) {
      throw vfsError(
        "EINVAL",
        "eventfd size",
        "fs/eventfd.c: eventfd_read",
        "An eventfd is read 8 bytes at a time",
      );
    }
    if (this.context.count === 0) {
      throw vfsError(
        "EAGAIN",
        "eventfd empty",
        "fs/eventfd.c: eventfd_read",
        "No interrupt since the last read",
      );
    }
    const bytes = new Uint8Array(COUNTER_BYTES);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.context.count), true);
    copyToUser(buffer, start, bytes, 0, COUNTER_BYTES);
    this.context.count = 0;
    return COUNTER_BYTES;
  }
}
