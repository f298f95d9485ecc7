/**
 * A byte stream over DMBs, as SMC-D does it: each side registers a DMB for the other; a 32-byte control message at
 * its start holds the cursors, the ring of data lies behind it. Data moves with sf 0, then the control message with
 * sf 1; the reader answers with its own control message, which gives the writer room again.
 * Facts: zPCI sheet 8.5 (net/smc/smc_cdc.h, net/smc/smc_tx.c).
 */
import { defineStruct } from "../../base/struct.ts";
import type { DriverDmb, IsmDriver } from "./driver.ts";

/** The control message; cursors are a wrap counter and a position in the ring. */
const CONTROL = defineStruct("be", 32, {
  type: [0, "u8"],
  producerWrap: [8, "u16"],
  producerCount: [10, "u32"],
  producerFlags: [14, "u8"],
  state: [15, "u8"],
  consumerWrap: [16, "u16"],
  consumerCount: [18, "u32"],
});
const CONTROL_TYPE = 0xfe;
/** State flag: the peer has nothing more to write. */
const DONE_WRITING = 0x20;
const WRAPS = 0x1_0000;
/** Size in bytes of the DMB that only takes the reader's cursors. */
const CURSOR_DMB_BYTES = 4096;

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

/** Both ends of one stream: `from` writes, `to` reads. */
export class Stream {
  readonly #from: IsmDriver;
  readonly #to: IsmDriver;
  readonly #ringDmb: DriverDmb;
  readonly #cursorDmb: DriverDmb;
  readonly #ring: number;
  readonly #produced: Cursor;
  readonly #acknowledged: Cursor;
  readonly #arrived: Cursor;
  readonly #consumed: Cursor;
  readonly #message = new Uint8Array(CONTROL.size);
  #finished = false;
  /** The reader has everything and knows it. */
  complete = false;
  /** Store blocks and signals that the writer issued. */
  stores = 0;
  signals = 0;

  private constructor(from: IsmDriver, to: IsmDriver, ringDmb: DriverDmb, cursorDmb: DriverDmb) {
    this.#from = from;
    this.#to = to;
    this.#ringDmb = ringDmb;
    this.#cursorDmb = cursorDmb;
    this.#ring = ringDmb.size - CONTROL.size;
    this.#produced = new Cursor(this.#ring);
    this.#acknowledged = new Cursor(this.#ring);
    this.#arrived = new Cursor(this.#ring);
    this.#consumed = new Cursor(this.#ring);
  }

  /**
   * Registers the DMBs of both sides.
   *
   * @param size bytes of the reader's DMB, a multiple of 4096 up to 1 MiB
   * @throws {ErrnoError} @throws {CommandError} if the sides cannot reach each other, nothing left registered
   */
  static connect(from: IsmDriver, to: IsmDriver, size: number): Stream {
    from.start();
    to.start();
    const fromGid = BigInt(from.registrations!.gid);
    const toGid = BigInt(to.registrations!.gid);
    from.channel.send("QUERY_RGID", { rgid: toGid, vlanValid: 0, vlanId: 0 });
    const ring = to.registerDmb({ size, rgid: fromGid });
    try {
      return new Stream(from, to, ring, from.registerDmb({ size: CURSOR_DMB_BYTES, rgid: toGid }));
    } catch (error) {
      to.unregisterDmb(ring.token);
      throw error;
    }
  }

  /** SBA indices of the writer's and the reader's DMB. */
  get indices(): { readonly from: number; readonly to: number } {
    return { from: this.#cursorDmb.index, to: this.#ringDmb.index };
  }

  /** Bytes that fit now. */
  get room(): number {
    return this.#ring - (this.#produced.total - this.#acknowledged.total);
  }

  /** Moves as much of `data` (from `start`) as fits into the ring. @returns bytes taken @throws {ErrnoError} */
  write(data: Uint8Array, start: number, length: number): number {
    const taken = Math.min(length, this.room);
    let done = 0;
    while (done < taken) {
      const { position } = this.#produced;
      const piece = Math.min(taken - done, this.#ring - position);
      this.stores += this.#from.move(this.#ringDmb.token, CONTROL.size + position, data, {
        start: start + done,
        length: piece,
      });
      this.#produced.total += piece;
      done += piece;
    }
    return taken;
  }

  /** Tells the reader what was written since; `end` that nothing will follow. @throws {ErrnoError} */
  publish(end: boolean): void {
    this.#finished ||= end;
    CONTROL.encode({
      type: CONTROL_TYPE,
      producerWrap: this.#produced.wrap,
      producerCount: this.#produced.position,
      state: this.#finished ? DONE_WRITING : 0,
    }, this.#message);
    this.stores += this.#from.move(this.#ringDmb.token, 0, this.#message, { signal: true });
    this.signals++;
  }

  /** The reader's half: hands every new piece of the ring to `sink` and acknowledges it. @throws {ErrnoError} */
  read(sink: (piece: Uint8Array) => void): void {
    const control = CONTROL.decode(this.#to.view(this.#ringDmb, 0, CONTROL.size));
    if (control.type !== CONTROL_TYPE) return;
    this.#arrived.follow(control.producerWrap, control.producerCount);
    while (this.#consumed.total < this.#arrived.total) {
      const { position } = this.#consumed;
      const piece = Math.min(this.#arrived.total - this.#consumed.total, this.#ring - position);
      sink(this.#to.view(this.#ringDmb, CONTROL.size + position, piece));
      this.#consumed.total += piece;
    }
    this.complete = (control.state & DONE_WRITING) !== 0;
    CONTROL.encode({
      type: CONTROL_TYPE,
      consumerWrap: this.#consumed.wrap,
      consumerCount: this.#consumed.position,
      producerWrap: 0,
      producerCount: 0,
      state: 0,
    }, this.#message);
    this.#to.move(this.#cursorDmb.token, 0, this.#message, { signal: true });
  }

  /** The writer's half of the acknowledgement. */
  acknowledge(): void {
    const control = CONTROL.decode(this.#from.view(this.#cursorDmb, 0, CONTROL.size));
    if (control.type === CONTROL_TYPE) this.#acknowledged.follow(control.consumerWrap, control.consumerCount);
  }

  /** Unregisters the DMBs of both sides. */
  disconnect(): void {
    this.#to.unregisterDmb(this.#ringDmb.token);
    this.#from.unregisterDmb(this.#cursorDmb.token);
  }
}
