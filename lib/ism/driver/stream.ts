/**
 * A byte stream over DMBs, as SMC-D does it: each side registers a DMB for the other; a 32-byte control message at
 * its start holds the cursors, the ring of data lies behind it. Data moves with sf 0, then the control message with
 * sf 1; the reader answers with its own control message, which gives the writer room again.
 * Facts: ism.smcd.ring (net/smc/smc_cdc.h, net/smc/smc_tx.c).
 *
 * The two ends know each other by tokens only, so they can live in two processes. They hold no driver, because a
 * process that waits gets a new one whenever the host file has changed.
 */
import { defineStruct } from "../../base/struct.ts";
import type { IsmDriver } from "./driver.ts";
import type { DriverDmb } from "./tables.ts";

/**
 * The control message; cursors are a wrap counter and a position in the ring. Both cursors have room for flags; SMC-D
 * sets and reads those of the consumer cursor (net/smc/smc_cdc.c: smcd_cdc_msg_send).
 */
const CONTROL = defineStruct("be", 32, {
  type: [0, "u8"],
  producerWrap: [8, "u16"],
  producerCount: [10, "u32"],
  consumerWrap: [16, "u16"],
  consumerCount: [18, "u32"],
  producerFlags: [22, "u8"],
  stateFlags: [23, "u8"],
});
const CONTROL_TYPE = 0xfe;
/** Producer flag: there is more to write than the ring has room for. */
const WRITE_BLOCKED = 0x80;
/** State flag: there is nothing more to write (net/smc/smc.h: smc_cdc_conn_state_flags). */
const DONE_WRITING = 0x80;
const WRAPS = 0x1_0000;
/** A ring whose reader works at the same time is filled in so many parts, none shorter than so many bytes. */
const PARTS = 4;
const SHORTEST_PART = 128 * 1024;
/** Size in bytes of the DMB that only takes the reader's cursors. */
export const CURSOR_DMB_BYTES = 4096;

/** Total bytes so far, as a cursor of a ring shows them. */
class Cursor {
  readonly #ring: number;
  total = 0;

  constructor(ring: number) {
    this.#ring = ring;
  }

  get position(): number {
    return this.total % this.#ring;
  }

  get wrap(): number {
    return Math.floor(this.total / this.#ring) % WRAPS;
  }

  /** Catches up with a cursor read from a control message; a cursor never goes back. */
  follow(wrap: number, count: number): void {
    const wraps = (wrap - this.wrap + WRAPS) % WRAPS;
    this.total += wraps * this.#ring + count - this.position;
  }
}

/** Bytes of data that a DMB has room for. */
function ringOf(size: number): number {
  return size - CONTROL.size;
}

/** The end that writes. */
export class StreamWriter {
  /** The writer's own DMB, which takes the reader's cursors. */
  readonly dmb: DriverDmb;
  readonly #ringToken: number;
  readonly #ring: number;
  readonly #produced: Cursor;
  readonly #acknowledged: Cursor;
  readonly #message = new Uint8Array(CONTROL.size);
  #finished = false;
  /** Store blocks and signals issued. */
  stores = 0;
  signals = 0;

  /** `ringToken` and `ringSize` (bytes) are those of the reader's DMB. */
  constructor(dmb: DriverDmb, ringToken: number, ringSize: number) {
    this.dmb = dmb;
    this.#ringToken = ringToken;
    this.#ring = ringOf(ringSize);
    this.#produced = new Cursor(this.#ring);
    this.#acknowledged = new Cursor(this.#ring);
  }

  /** Bytes that fit now. */
  get room(): number {
    return this.#ring - (this.#produced.total - this.#acknowledged.total);
  }

  /** Bytes written so far. */
  get produced(): number {
    return this.#produced.total;
  }

  /** Bytes to publish at once, so that the reader has something to read while more is written. */
  get part(): number {
    return Math.max(Math.ceil(this.#ring / PARTS), SHORTEST_PART);
  }

  /** The reader was told that nothing will follow. */
  get finished(): boolean {
    return this.#finished;
  }

  /** The reader has taken everything, the end included. */
  get drained(): boolean {
    return this.#finished && this.#produced.total === this.#acknowledged.total;
  }

  /** Moves as much of `data` (from `start`) as fits into the ring. @returns bytes taken @throws {ErrnoError} */
  write(driver: IsmDriver, data: Uint8Array, start: number, length: number): number {
    const taken = Math.min(length, this.room);
    let done = 0;
    while (done < taken) {
      const { position } = this.#produced;
      const piece = Math.min(taken - done, this.#ring - position);
      this.stores += driver.move(this.#ringToken, CONTROL.size + position, data, {
        start: start + done,
        length: piece,
      });
      this.#produced.total += piece;
      done += piece;
    }
    return taken;
  }

  /**
   * Tells the reader what was written since; `end` that nothing will follow. If more will and the ring is full, the
   * reader is told that the writer waits.
   *
   * @throws {ErrnoError}
   */
  publish(driver: IsmDriver, end: boolean): void {
    this.#finished ||= end;
    CONTROL.encode({
      type: CONTROL_TYPE,
      producerWrap: this.#produced.wrap,
      producerCount: this.#produced.position,
      producerFlags: !this.#finished && this.room === 0 ? WRITE_BLOCKED : 0,
      stateFlags: this.#finished ? DONE_WRITING : 0,
    }, this.#message);
    this.stores += driver.move(this.#ringToken, 0, this.#message, { signal: true });
    this.signals++;
  }

  /** Takes the reader's cursor over. */
  acknowledge(driver: IsmDriver): void {
    const control = CONTROL.decode(driver.view(this.dmb, 0, CONTROL.size));
    if (control.type === CONTROL_TYPE) this.#acknowledged.follow(control.consumerWrap, control.consumerCount);
  }
}

/** The end that reads. */
export class StreamReader {
  /** The reader's own DMB: control message and ring. */
  readonly dmb: DriverDmb;
  readonly #cursorToken: number;
  readonly #ring: number;
  readonly #arrived: Cursor;
  readonly #consumed: Cursor;
  readonly #message = new Uint8Array(CONTROL.size);
  /** Bytes that the writer knows to be read. */
  #told = 0;
  /** Nothing more will be written. */
  #isDone = false;
  /** Everything was read and acknowledged, the end included. */
  complete = false;

  /** `cursorToken` is that of the writer's DMB. */
  constructor(dmb: DriverDmb, cursorToken: number) {
    this.dmb = dmb;
    this.#cursorToken = cursorToken;
    this.#ring = ringOf(dmb.size);
    this.#arrived = new Cursor(this.#ring);
    this.#consumed = new Cursor(this.#ring);
  }

  /** Hands every new piece of the ring to `sink` and acknowledges it. @throws {ErrnoError} */
  read(driver: IsmDriver, sink: (piece: Uint8Array) => void): void {
    if (!this.notice(driver)) return;
    this.take(driver, sink);
    this.acknowledge(driver);
  }

  /** Takes the writer's cursor over. @returns false if the writer has sent none yet */
  notice(driver: IsmDriver): boolean {
    const control = CONTROL.decode(driver.view(this.dmb, 0, CONTROL.size));
    if (control.type !== CONTROL_TYPE) return false;
    this.#arrived.follow(control.producerWrap, control.producerCount);
    this.#isDone = (control.stateFlags & DONE_WRITING) !== 0;
    return true;
  }

  /** Bytes that have arrived and were not taken. */
  get waiting(): number {
    return this.#arrived.total - this.#consumed.total;
  }

  /** Hands what has arrived to `sink`. Changes nothing that belongs to the host. */
  take(driver: IsmDriver, sink: (piece: Uint8Array) => void): void {
    while (this.waiting > 0) {
      const { position } = this.#consumed;
      const piece = Math.min(this.waiting, this.#ring - position);
      sink(driver.view(this.dmb, CONTROL.size + position, piece));
      this.#consumed.total += piece;
    }
  }

  /** Tells the writer what was taken, if that is something, or the end. @throws {ErrnoError} */
  acknowledge(driver: IsmDriver): void {
    const isEnd = this.#isDone && this.waiting === 0;
    if (this.complete || (!isEnd && this.#consumed.total === this.#told)) return;
    CONTROL.encode({
      type: CONTROL_TYPE,
      consumerWrap: this.#consumed.wrap,
      consumerCount: this.#consumed.position,
    }, this.#message);
    driver.move(this.#cursorToken, 0, this.#message, { signal: true });
    this.#told = this.#consumed.total;
    this.complete = isEnd;
  }
}

/** Both ends of a stream, for those who hold both drivers. */
export interface Stream {
  readonly writer: StreamWriter;
  readonly reader: StreamReader;
}

/**
 * Registers the DMBs of both sides.
 *
 * @param size bytes of the reader's DMB, a multiple of 4096 up to 1 MiB
 * @throws {ErrnoError} @throws {CommandError} if the sides cannot reach each other, nothing left registered
 */
export function connect(from: IsmDriver, to: IsmDriver, size: number): Stream {
  from.start();
  to.start();
  const fromGid = BigInt(from.registrations!.gid);
  const toGid = BigInt(to.registrations!.gid);
  from.channel.send("QUERY_RGID", { rgid: toGid, vlanValid: 0, vlanId: 0 });
  const ring = to.registerDmb({ size, rgid: fromGid });
  try {
    const cursors = from.registerDmb({ size: CURSOR_DMB_BYTES, rgid: toGid });
    return {
      writer: new StreamWriter(cursors, ring.token, ring.size),
      reader: new StreamReader(ring, cursors.token),
    };
  } catch (error) {
    to.unregisterDmb(ring.token);
    throw error;
  }
}

/** A cursor of a ring: how often it went round, and where it is. */
export interface RingCursor {
  readonly wrap: number;
  readonly count: number;
}

/** What a control message at the beginning of a DMB says. */
export interface RingControl {
  readonly producer: RingCursor;
  readonly consumer: RingCursor;
  /** There is more to write than the ring has room for. */
  readonly writeBlocked: boolean;
  /** Nothing more will be written. */
  readonly done: boolean;
}

/** Bytes of a control message, in front of the ring. */
export const CONTROL_BYTES = CONTROL.size;

/** Reads a control message; undefined if there is none (ism.smcd.ring). */
export function readControl(bytes: Uint8Array): RingControl | undefined {
  const message = CONTROL.decode(bytes);
  if (message.type !== CONTROL_TYPE) return undefined;
  const { producerWrap, producerCount, consumerWrap, consumerCount, producerFlags, stateFlags } = message;
  return {
    producer: { wrap: producerWrap, count: producerCount },
    consumer: { wrap: consumerWrap, count: consumerCount },
    writeBlocked: (producerFlags & WRITE_BLOCKED) !== 0,
    done: (stateFlags & DONE_WRITING) !== 0,
  };
}

/** Bytes between two cursors of a ring of `size` bytes: what is written and not yet read. */
export function bytesBetween(consumer: RingCursor, producer: RingCursor, size: number): number {
  const wraps = (producer.wrap - consumer.wrap + WRAPS) % WRAPS;
  return wraps * size + producer.count - consumer.count;
}
