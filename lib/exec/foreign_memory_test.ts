/** Memory of a real process, for which this one serves, as devices reach it. Facts: ism.data.store. */
import { assertEquals } from "@std/assert";
import type { DmaMemory } from "../zpci/storage.ts";
import { ForeignMemory } from "./foreign_memory.ts";
import { addressOf, libc, pinned } from "./libc.ts";

const BYTES = 256;
const MASK_AT = 100;
const BIT_AT = 8;
const SUMMARY_AT = 0;
const DATA_AT = 200;

/** Bytes of this process, and the same as memory of a program. */
function program() {
  const bytes = pinned(BYTES);
  const memory = new ForeignMemory(libc.getpid(), true);
  return { bytes, memory, dma: memory.find(Number(addressOf(bytes)), BYTES, true)! };
}

function tell(dma: DmaMemory, data: DmaMemory | undefined, source = Uint8Array.of(1, 2, 3)): number {
  return dma.tell(MASK_AT, 0x10, BIT_AT, 0x01, SUMMARY_AT, 0x80, data, DATA_AT, source, source.length);
}

Deno.test.each<{ readonly before: readonly number[]; readonly after: readonly number[] }>([
  { before: [0x00, 0x00, 0x00], after: [0x10, 0x01, 0x80] },
  { before: [0x01, 0x80, 0x40], after: [0x11, 0x81, 0xc0] },
  { before: [0x10, 0x01, 0x80], after: [0x10, 0x01, 0x80] },
  { before: [0xef, 0xfe, 0xff], after: [0xff, 0xff, 0xff] },
])("a signal into a program's memory: mask, bit, summary $before become $after", ({ before, after }) => {
  for (const where of ["the same process", "another", "lost"]) {
    const { bytes, dma } = program();
    const other = program();
    const data = { "the same process": dma, another: other.dma, lost: undefined }[where];
    [bytes[MASK_AT], bytes[BIT_AT], bytes[SUMMARY_AT]] = before as [number, number, number];
    assertEquals(tell(dma, data), before[2], where);
    assertEquals([bytes[MASK_AT], bytes[BIT_AT], bytes[SUMMARY_AT]], after, where);
    const stored = { "the same process": bytes, another: other.bytes, lost: new Uint8Array(BYTES) }[where]!;
    assertEquals([...stored.subarray(DATA_AT, DATA_AT + 4)], where === "lost" ? [0, 0, 0, 0] : [1, 2, 3, 0]);
    bytes[MASK_AT] = bytes[BIT_AT] = bytes[SUMMARY_AT] = 0;
    bytes.fill(0, DATA_AT);
    assertEquals(bytes.every((byte) => byte === 0), true, "nothing else is touched");
  }
});

Deno.test("of a program that has gone nothing is read, and nothing of another that has its place is changed", () => {
  const { bytes, memory, dma } = program();
  bytes.fill(0xaa);
  memory.gone = true;
  assertEquals(tell(dma, dma), 0);
  const loaded = new Uint8Array(BYTES).fill(1);
  dma.load(0, loaded, BYTES);
  assertEquals([loaded.every((byte) => byte === 0), bytes.every((byte) => byte === 0xaa)], [true, true]);
});

Deno.test("bytes are loaded at once, and none of those behind them", () => {
  const { bytes, dma } = program();
  for (let i = 0; i < BYTES; i++) bytes[i] = i;
  const loaded = new Uint8Array(8);
  dma.load(10, loaded, 4);
  assertEquals([...loaded], [10, 11, 12, 13, 0, 0, 0, 0]);
});
