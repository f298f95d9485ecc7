/**
 * The stream of `send` and `recv` on the wire, read by a parser written from the facts alone
 * (docs/reference/ism/data.md and ism/drivers.md; net/smc/smc_cdc.h: smcd_cdc_msg): what each store block carries, and
 * what the two sides may do when.
 */
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { connect } from "../lib/ism/driver/stream.ts";
import { pattern } from "./support/bytes.ts";
import { hostOf } from "./support/host.ts";

const CONTROL_BYTES = 32;

/** One store block into a DMB, taken apart. */
interface Store {
  readonly token: number;
  readonly idx: number;
  readonly sf: boolean;
  readonly offset: number;
  readonly data: Uint8Array;
}

/** A control message. */
interface Control {
  readonly producer: { readonly wrap: number; readonly count: number };
  readonly consumer: { readonly wrap: number; readonly count: number };
  readonly writeBlocked: boolean;
  readonly doneWriting: boolean;
}

/** The stores that a function issues on BAR 0 from now on. */
function storesOf({ adapter }: HostFunction): Store[] {
  const stores: Store[] = [];
  const storeBlock = adapter.storeBlock.bind(adapter);
  adapter.storeBlock = (space, offset, source, length) => {
    if (space === 0) {
      stores.push({
        token: Math.floor(offset / 2 ** 28) * 2 ** 28,
        idx: Math.floor(offset / 2 ** 24) % 16,
        sf: Math.floor(offset / 2 ** 23) % 2 === 1,
        offset: offset % 2 ** 23,
        data: source.slice(0, length),
      });
    }
    return storeBlock(space, offset, source, length);
  };
  return stores;
}

/** Type 0xFE, seven zeros, producer cursor, consumer cursor with the flags, eight zeros; all big-endian. */
function parseControl(data: Uint8Array): Control {
  assertEquals(data.length, CONTROL_BYTES);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  assertEquals(view.getUint8(0), 0xfe);
  for (const at of [1, 2, 3, 4, 5, 6, 7, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]) {
    assertEquals(view.getUint8(at), 0, `reserved byte ${at}`);
  }
  const [producerFlags, stateFlags] = [view.getUint8(22), view.getUint8(23)];
  assertEquals([producerFlags & 0x7f, stateFlags & 0x7f], [0, 0], "no other flags");
  return {
    producer: { wrap: view.getUint16(8), count: view.getUint32(10) },
    consumer: { wrap: view.getUint16(16), count: view.getUint32(18) },
    writeBlocked: producerFlags === 0x80,
    doneWriting: stateFlags === 0x80,
  };
}

/** A reader that sees nothing but stores: memory of the ring, and what the cursors say. */
class WireReader {
  readonly #ring: Uint8Array;
  readonly #token: number;
  /** Bytes that the producer's cursor covers, and those that the consumer gave back. */
  #produced = 0;
  #consumed = 0;
  /** Bytes stored since the last control message, in the order of the ring. */
  #written = 0;
  readonly got: Uint8Array[] = [];
  controls = 0;
  blocked = 0;
  done = false;

  constructor(token: number, size: number) {
    this.#token = token;
    this.#ring = new Uint8Array(size - CONTROL_BYTES);
  }

  /** A store of the writer. */
  take({ token, idx, sf, offset, data }: Store): void {
    assertEquals([token, idx], [this.#token, 0]);
    assertEquals(this.done, false, "nothing follows the last control message");
    assert(offset % 4096 + data.length <= 4096, "a store stays in its page");
    // A signal comes with a control message, and a control message with a signal.
    assertEquals(sf, offset === 0 && data.length === CONTROL_BYTES);
    if (sf) return this.#control(parseControl(data));
    const size = this.#ring.length;
    assert(offset >= CONTROL_BYTES, "data lies behind the control message");
    const expected = (this.#produced + this.#written) % size;
    assertEquals(offset - CONTROL_BYTES, expected, "the ring is filled in order");
    this.#written += data.length;
    const unread = this.#produced + this.#written - this.#consumed;
    assert(unread <= size, `${unread} bytes in a ring of ${size}: unread data is overwritten`);
    this.#ring.set(data, expected);
  }

  #control({ producer, consumer, writeBlocked, doneWriting }: Control): void {
    const size = this.#ring.length;
    this.controls++;
    const before = this.#produced;
    this.#produced += this.#written;
    this.#written = 0;
    assertEquals(producer, {
      wrap: Math.floor(this.#produced / size) % 2 ** 16,
      count: this.#produced % size,
    });
    assertEquals(consumer, { wrap: 0, count: 0 }, "this side reads nothing");
    for (let at = before; at < this.#produced; at++) {
      this.got.push(this.#ring.slice(at % size, at % size + 1));
    }
    assertEquals(writeBlocked, !doneWriting && this.#produced - this.#consumed === size);
    if (writeBlocked) this.blocked++;
    this.done = doneWriting;
  }

  /** A store of the reader's own side: its cursor gives the writer room. */
  give({ offset, sf, data }: Store, token: number): void {
    assertEquals([offset, sf], [0, true]);
    assertEquals(token !== this.#token, true);
    const { producer, consumer, writeBlocked, doneWriting } = parseControl(data);
    assertEquals([producer, writeBlocked, doneWriting], [{ wrap: 0, count: 0 }, false, false]);
    const size = this.#ring.length;
    const wraps = (consumer.wrap - Math.floor(this.#consumed / size) + 2 ** 16) % 2 ** 16;
    const next = this.#consumed + wraps * size + consumer.count - this.#consumed % size;
    assert(next >= this.#consumed && next <= this.#produced, "a cursor goes forward, to what was produced");
    this.#consumed = next;
  }
}

/** Carries bytes from the first to the second function; the wire in its order, and what arrived. */
function carry(host: Host, size: number, bytes: Uint8Array, piece: number) {
  const [from, to] = host.functions as [HostFunction, HostFunction];
  const { writer, reader } = connect(from.driver, to.driver, size);
  const wire = new WireReader(reader.dmb.token, size);
  const [there, back] = [storesOf(from), storesOf(to)];
  const arrived: Uint8Array[] = [];
  const look = () => {
    for (const store of there.splice(0)) wire.take(store);
    for (const store of back.splice(0)) wire.give(store, writer.dmb.token);
  };
  let at = 0;
  let rounds = 0;
  while (!reader.complete) {
    assert(rounds++ < 100_000, "the stream stands still");
    while (at < bytes.length && writer.room > 0) {
      at += writer.write(from.driver, bytes, at, Math.min(piece, bytes.length - at));
    }
    writer.publish(from.driver, at === bytes.length);
    look();
    reader.read(to.driver, (got) => arrived.push(got.slice()));
    look();
    writer.acknowledge(from.driver);
  }
  assertEquals(writer.drained, true);
  return { wire, arrived: Buffer.concat(arrived) };
}

Deno.test.each([
  { what: "nothing", size: 4096, length: 0, piece: 100 },
  { what: "one byte", size: 4096, length: 1, piece: 100 },
  { what: "one byte less than the ring", size: 4096, length: 4063, piece: 4063 },
  { what: "exactly the ring", size: 4096, length: 4064, piece: 4064 },
  { what: "one byte more than the ring", size: 4096, length: 4065, piece: 4065 },
  { what: "ten rings in odd pieces", size: 4096, length: 40_640, piece: 777 },
  { what: "many rounds of four pages", size: 16_384, length: 200_001, piece: 16_384 },
  { what: "SMC's smallest DMB, in single bytes", size: 16_384, length: 20_000, piece: 1 },
])("a stream of $what is SMC-D on the wire (ism.smcd.ring)", ({ size, length, piece }) => {
  const bytes = pattern(length, length);
  const { wire, arrived } = carry(hostOf(2), size, bytes, piece);
  assertEquals(Buffer.compare(arrived, bytes), 0, "what the reader handed out");
  assertEquals(Buffer.compare(Buffer.concat(wire.got), bytes), 0, "what the wire shows");
  assertEquals([wire.done, wire.controls >= 1], [true, true]);
  assertEquals(wire.blocked > 0, length > size - CONTROL_BYTES, "a full ring holds the writer back");
});

Deno.test("the wrap counter goes from 0xffff to 0, and the stream goes on (ism.smcd.ring)", () => {
  const host = hostOf(2);
  const [from, to] = host.functions as [HostFunction, HostFunction];
  const { writer, reader } = connect(from.driver, to.driver, 4096);
  const ring = 4096 - CONTROL_BYTES;
  const bytes = pattern(ring, 3);
  let rounds = 0;
  for (; rounds < 2 ** 16 + 2; rounds++) {
    assertEquals(writer.write(from.driver, bytes, 0, ring), ring);
    writer.publish(from.driver, false);
    let taken = 0;
    reader.read(to.driver, (piece) => taken += piece.length);
    writer.acknowledge(from.driver);
    if (taken !== ring || writer.room !== ring) break;
  }
  assertEquals([rounds, writer.produced], [2 ** 16 + 2, ring * (2 ** 16 + 2)]);
  const { producer } = parseControl(to.driver.view(reader.dmb, 0, CONTROL_BYTES).slice());
  assertEquals(producer, { wrap: 2, count: 0 });
});

Deno.test("a reader that does not read holds the writer back, whatever it tries (ism.smcd.ring)", () => {
  const host = hostOf(2);
  const [from, to] = host.functions as [HostFunction, HostFunction];
  const { writer, reader } = connect(from.driver, to.driver, 4096);
  const bytes = pattern(10_000);
  assertEquals(writer.write(from.driver, bytes, 0, 10_000), 4064);
  const stores = storesOf(from);
  assertEquals([writer.write(from.driver, bytes, 0, 10_000), writer.room, stores], [0, 0, []]);
  writer.publish(from.driver, false);
  writer.acknowledge(from.driver);
  assertEquals([writer.room, parseControl(stores[0]!.data).writeBlocked], [0, true]);
  reader.read(to.driver, () => {});
  writer.acknowledge(from.driver);
  assertEquals(writer.room, 4064);
});
