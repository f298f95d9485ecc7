/**
 * eventfd objects: a 64-bit counter that interrupts add to. Facts: vfio.rw.eventfd and vfio.setirqs.signal
 * (fs/eventfd.c).
 */
import { Journal, Kept, type PutRow } from "../../base/journal.ts";
import type { Partition } from "../../zpci/partition.ts";
import { copyFromUser, copyToUser } from "./user_memory.ts";
import { vfsError } from "../refusal.ts";
import { OPEN_FLAGS, OpenFile, POLL } from "./file.ts";
import { WouldHangError } from "../s390/would_hang.ts";

const COUNTER_BYTES = 8;
/** The counter on its way from or to a caller's memory. */
const COUNTER = new Uint8Array(COUNTER_BYTES);
const COUNTER_VIEW = new DataView(COUNTER.buffer);
/** The most that the counter holds; a write that would bring it higher blocks (fs/eventfd.c: eventfd_write). */
const COUNTER_MAX = 2n ** 64n - 2n;

/** Where an eventfd is kept. */
export interface EventFdPlace {
  readonly journal: Journal;
  /** Writes its row while it is there. */
  write(put: PutRow, eventfd: EventFd): void;
  /** A descriptor of it was closed. */
  closed(): void;
}

/** The counter that descriptors and interrupt wiring share. */
export class EventFd extends Kept {
  readonly id: number;
  #count = 0n;
  readonly #place: EventFdPlace | undefined;

  /** Without a place it is of a process that no host file holds. */
  constructor(id: number, place?: EventFdPlace) {
    super(place?.journal ?? new Journal());
    this.id = id;
    this.#place = place;
  }

  /** Signals since the last read, and what was written. */
  get count(): bigint {
    return this.#count;
  }

  set count(count: bigint) {
    this.touch();
    this.#count = count;
  }

  /** A descriptor was closed, perhaps the last thing that refers to it. */
  closed(): void {
    this.#place?.closed();
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    this.#place?.write(put, this);
  }

  /** State for the host file: counts above 2^53 are decimal text. */
  save(): { readonly id: number; readonly count: number | string } {
    const { id, count } = this;
    return { id, count: count <= Number.MAX_SAFE_INTEGER ? Number(count) : String(count) };
  }

  protected override remember(): () => void {
    const count = this.#count;
    return () => this.#count = count;
  }

  /** Adds 1; never blocks. */
  signal({ name: guest, tracer }: Partition, fid: number): void {
    this.count++;
    if (tracer.sink !== undefined) {
      tracer.point({
        layer: "irq",
        op: "eventfd",
        guest,
        fid,
        args: { eventfd: this.id, count: Number(this.count) },
      });
    }
  }
}

/** A descriptor of an eventfd, opened EFD_NONBLOCK | EFD_CLOEXEC; FIONBIO can take O_NONBLOCK away. */
export class EventFdFile extends OpenFile {
  override readonly kind = "eventfd";
  override readonly readsAtOnce = true;
  override readonly hasData = true;
  readonly context: EventFd;

  constructor(context: EventFd) {
    super(context.journal);
    this.context = context;
    this.flags = OPEN_FLAGS.RDWR | OPEN_FLAGS.NONBLOCK;
  }

  override release(): void {
    this.context.closed();
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
        "vfio.rw.eventfd",
        "eventfd size",
        "fs/eventfd.c: eventfd_read",
        "An eventfd is read 8 bytes at a time",
      );
    }
    if (this.context.count === 0n) {
      this.#checkBlocking("Nothing would end this read of an eventfd at 0, which is not O_NONBLOCK");
      throw vfsError(
        "EAGAIN",
        "vfio.rw.eventfd",
        "eventfd empty",
        "fs/eventfd.c: eventfd_read",
        "No interrupt since the last read",
      );
    }
    COUNTER_VIEW.setBigUint64(0, this.context.count, true);
    copyToUser(buffer, start, COUNTER, 0, COUNTER_BYTES);
    this.context.count = 0n;
    return COUNTER_BYTES;
  }

  /**
   * Adds 8 little-endian bytes to the counter.
   *
   * @throws {ErrnoError} EINVAL if `count` is not 8 or the value 2^64 - 1, EAGAIN if the counter cannot hold the sum
   */
  override write(buffer: Uint8Array, count: number, _position: number, start: number): number {
    const source = "fs/eventfd.c: eventfd_write";
    if (count !== COUNTER_BYTES) {
      throw vfsError(
        "EINVAL",
        "vfio.rw.eventfd",
        "eventfd size",
        source,
        "An eventfd is written 8 bytes at a time",
      );
    }
    copyFromUser(COUNTER, buffer, start, COUNTER_BYTES);
    const value = COUNTER_VIEW.getBigUint64(0, true);
    if (value > COUNTER_MAX) {
      throw vfsError(
        "EINVAL",
        "vfio.rw.eventfd",
        "eventfd value",
        source,
        "An eventfd cannot count to 2^64 - 1",
      );
    }
    if (value > COUNTER_MAX - this.context.count) {
      this.#checkBlocking("Nothing would end this write to an eventfd, which is full and not O_NONBLOCK");
      throw vfsError(
        "EAGAIN",
        "vfio.rw.eventfd",
        "eventfd full",
        source,
        "The eventfd's counter cannot hold the sum",
        "read it first",
      );
    }
    this.context.count += value;
    return COUNTER_BYTES;
  }

  /** Readable above 0, writable while 1 can be added (fs/eventfd.c: eventfd_poll). */
  override poll(): number {
    const { count } = this.context;
    return (count > 0n ? POLL.IN : 0) | (count < COUNTER_MAX ? POLL.OUT : 0);
  }

  /** A blocking descriptor would wait. @throws {WouldHangError} */
  #checkBlocking(message: string): void {
    if ((this.flags & OPEN_FLAGS.NONBLOCK) === 0) throw new WouldHangError(message);
  }

  /** An eventfd has no positions, but says that it is at 0 (fs/eventfd.c: eventfd_fops). */
  override lseek(): number {
    return 0;
  }
}
