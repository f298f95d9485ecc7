/**
 * Facts, docs/reference/ism/data.md, ism/drivers.md and ism/commands.md: stores to BAR 0. Signals are in
 * notify_test.ts.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { pattern } from "../../../tests/support/bytes.ts";
import { DMB_AT, type Station, stations } from "../../../tests/support/stations.ts";
import { outcome } from "../../../tests/support/machine.ts";
import { IsmFabric } from "./fabric.ts";

const IDX = 2 ** 24;
const SIGNAL = 2 ** 23;
const REFUSED = "cc 1 status 36";

/** A DMB of `length` bytes of the first station that the second one may write. */
function pair(length = 8192, options = {}) {
  const [owner, writer, third] = stations(3, options);
  const token = owner!.dmb(0xa2n, { length });
  const memory = () => owner!.at(DMB_AT, length).slice();
  return { owner: owner!, writer: writer!, third: third!, token, memory };
}

Deno.test("a store lands in the owner's memory at its offset, and nowhere else (ism.data.offset, ism.data.store)", () => {
  const { owner, writer, token, memory } = pair();
  assertEquals(writer.store(0, token + 4096 + 5, pattern(1000)), "cc 0");
  const expected = new Uint8Array(8192);
  expected.set(pattern(1000), 4096 + 5);
  assertEquals(memory(), expected);
  assertEquals(
    [owner.interruptions, owner.sba.every((byte) => byte === 0)],
    [0, true],
    "no signal without sf",
  );
});

Deno.test.each([
  { what: "the last byte", offset: 8191, length: 1, answer: "cc 0" },
  { what: "one byte behind the end", offset: 8192, length: 1, answer: REFUSED },
  { what: "a page up to the end", offset: 4096, length: 4096, answer: "cc 0" },
  { what: "the next page", offset: 8192, length: 4096, answer: REFUSED },
  { what: "the last byte that an offset can name", offset: 2 ** 23 - 1, length: 1, answer: REFUSED },
])("a store must end inside the DMB: $what (ism.data.store)", ({ offset, length, answer }) => {
  const { writer, token, memory } = pair();
  assertEquals(writer.store(0, token + offset, pattern(length)), answer);
  assertEquals(memory().some((byte) => byte !== 0), answer === "cc 0");
});

Deno.test("a store of 4096 bytes fills a DMB of one page (ism.data.store)", () => {
  const { writer, token, memory } = pair(4096);
  assertEquals(writer.store(0, token, pattern(4096)), "cc 0");
  assertEquals(memory(), pattern(4096));
});

Deno.test.each([
  {
    what: "a GID that is not the DMB's",
    store: ({ third, token }: Pair) => third.store(0, token, pattern(8)),
  },
  { what: "the owner itself", store: ({ owner, token }: Pair) => owner.store(0, token, pattern(8)) },
  {
    what: "a token that nobody has",
    store: ({ writer, token }: Pair) => writer.store(0, token + 2 ** 28, pattern(8)),
  },
  { what: "token 0", store: ({ writer }: Pair) => writer.store(0, 0, pattern(8)) },
  {
    what: "a GID that is not the DMB's, with sf",
    store: ({ third, token }: Pair) => third.store(0, token + SIGNAL, pattern(8)),
  },
  {
    what: "an offset behind the end, with sf",
    store: ({ writer, token }: Pair) => writer.store(0, token + SIGNAL + 8192, pattern(8)),
  },
])("$what is refused: status 36, no copy, no signal, no error state (ism.data.refused)", ({ store }) => {
  const bench = pair();
  assertEquals(store(bench), REFUSED);
  assertEquals(bench.memory().every((byte) => byte === 0), true);
  assertEquals(bench.owner.sba.every((byte) => byte === 0), true);
  assertEquals(bench.owner.interruptions, 0);
  for (const station of [bench.owner, bench.writer, bench.third]) {
    assertEquals([station.fn.state, station.errors], ["enabled", []]);
  }
});
type Pair = ReturnType<typeof pair>;

Deno.test("idx names an element, not a place (ism.data.offset)", () => {
  const { writer, token, memory } = pair();
  for (let idx = 0; idx < 16; idx++) {
    assertEquals(writer.store(0, token + idx * IDX + idx, Uint8Array.of(idx + 1)), "cc 0");
  }
  assertEquals([...memory().slice(0, 17)], [...Array.from({ length: 16 }, (_, idx) => idx + 1), 0]);
});

Deno.test("a function writes its own DMB when it is the GID given at registration (ism.gid.self)", () => {
  const [station] = stations(1);
  const token = station!.dmb(0xa1n);
  assertEquals(station!.store(0, token + SIGNAL, pattern(8)), "cc 0");
  assertEquals(station!.at(DMB_AT, 8), pattern(8));
  assertEquals(station!.interruptions, 1);
});

Deno.test("a function's stores into its own DMBs are refused by choice (ism.gid.self)", () => {
  const [station, peer] = stations(2, { selfCommunication: "refuse" });
  const token = station!.dmb(0xa1n);
  assertEquals(station!.store(0, token + SIGNAL, pattern(8)), REFUSED);
  assertEquals([station!.at(DMB_AT, 8), station!.interruptions], [new Uint8Array(8), 0]);
  assertEquals(station!.store(0, peer!.dmb(0xa1n), pattern(8)), "cc 0", "into those of others they go");
});

Deno.test("a writer that comes later may write (ism.dmb.writer)", () => {
  const fabric = new IsmFabric(0x7e1, 1);
  const [owner] = stations(1, {}, fabric);
  const token = owner!.dmb(0xa2n);
  const [writer] = stations(1, {}, fabric);
  assertEquals(writer!.store(0, token, pattern(8)), "cc 0");
});

Deno.test("functions of different channels cannot reach each other's DMBs (ism.gid.channel)", () => {
  const [owner] = stations(1, {}, new IsmFabric(0x7e1, 5));
  const [writer] = stations(1, {}, new IsmFabric(0x7e2, 5));
  const token = owner!.dmb(0xa1n);
  assertEquals(writer!.adapter.gid, owner!.adapter.gid);
  assertEquals(writer!.store(0, token, pattern(8)), REFUSED);
});

Deno.test("bar0Status and bar0Failure choose how a refused store ends (ism.data.refused)", () => {
  const other = pair(4096, { bar0Status: 40 });
  assertEquals(other.third.store(0, other.token, pattern(8)), "cc 1 status 40");
  const { third, token } = pair(4096, { bar0Failure: "error-state" });
  assertEquals(third.store(0, token, pattern(8)), REFUSED);
  assertEquals([third.fn.state, third.errors], ["error", [0x02]]);
});

Deno.test("loads of BAR 0 are status 20, or zeros by choice; PCISTG to BAR 0 is status 20 (ism.data.load, ism.data.pcistg)", () => {
  const pcistg = ({ processor, fn }: Station, offset: number) =>
    outcome(processor, () => processor.pcistg(fn.fh, 0, offset, 8, pattern(8)));
  const { writer, token, memory } = pair();
  assertEquals([writer.load(0, token, 8), writer.load(0, 0, 1)], ["cc 1 status 20", "cc 1 status 20"]);
  assertEquals(pcistg(writer, token), "cc 1 status 20");
  assertEquals(memory().every((byte) => byte === 0), true);
  const zeros = pair(4096, { bar0Loads: "zeros" });
  zeros.writer.store(0, zeros.token, pattern(8));
  assertEquals(zeros.writer.load(0, zeros.token, 8), "00".repeat(8));
});

Deno.test("an owner without bus master gets no data, or gets it by choice (vfio.dma.busmaster)", () => {
  const store = (busMaster: "enforced" | "ignored") => {
    const { owner, writer, token, memory } = pair(8192, { busMaster });
    owner.busMaster = false;
    const answer = writer.store(0, token + SIGNAL, pattern(8));
    assertEquals([owner.fn.state, writer.fn.state], ["enabled", "enabled"]);
    return [answer, memory().some((byte) => byte !== 0), owner.interruptions];
  };
  assertEquals(store("enforced"), [REFUSED, false, 0]);
  assertEquals(store("ignored"), ["cc 0", true, 1]);
});

Deno.test("a DMB that lost its mapping puts its owner into the error state, not the writer (vfio.dma.unmap, ism.data.owner)", () => {
  const { owner, writer, token } = pair();
  owner.tables.remove(DMB_AT);
  assertEquals(writer.store(0, token, pattern(8)), REFUSED);
  assertEquals([owner.fn.state, owner.errors.length, writer.fn.state], ["error", 1, "enabled"]);
});

Deno.test("a store into a DMB that lost its mapping is lost by choice, the signal is not (zpci.dma.fault)", () => {
  const [owner, writer] = stations(2, {}, new IsmFabric(0x7e1, 1), { unmappedDma: "discard" });
  const token = owner!.dmb(0xa2n);
  const buffer = owner!.at(DMB_AT, 8);
  owner!.tables.remove(DMB_AT);
  assertEquals(writer!.store(0, token + SIGNAL, pattern(8)), "cc 0");
  assertEquals([owner!.fn.state, owner!.errors, owner!.interruptions], ["enabled", [], 1]);
  assertEquals(buffer, new Uint8Array(8));
});

Deno.test("stores of any length from one buffer copy its first bytes, as they are at that time (zpci.insn.bytes, ism.data.store)", () => {
  const store = fc.record({ at: fc.nat(4095), length: fc.integer({ min: 1, max: 4096 }), seed: fc.nat(255) });
  const property = fc.property(fc.array(store, { minLength: 1, maxLength: 12 }), (stores) => {
    const { writer, token, memory } = pair(4096);
    const model = new Uint8Array(4096);
    const source = new Uint8Array(4096);
    for (const { at, length, seed } of stores) {
      const fits = Math.min(length, 4096 - at);
      source.set(pattern(4096, seed));
      assertEquals(writer.processor.pcistb(writer.fn.fh, 0, token + at, fits, source), 0);
      model.set(pattern(4096, seed).subarray(0, fits), at);
    }
    assertEquals(memory(), model);
  });
  fc.assert(property, { seed: 0x83, numRuns: 60 });
});
