import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { planChunks } from "./chunks.ts";
import { Bench, FakeHardware } from "../../../tests/support/config_hardware.ts";

const never = () => Number.POSITIVE_INFINITY;

for (
  const { offset, count, end, chunks } of [
    { offset: 0, count: 16, end: never, chunks: ["4@0", "4@4", "4@8", "4@12"] },
    { offset: 1, count: 7, end: never, chunks: ["1@1", "2@2", "4@4"] },
    { offset: 2, count: 4, end: never, chunks: ["2@2", "2@4"] },
    { offset: 0, count: 3, end: never, chunks: ["2@0", "1@2"] },
    { offset: 3, count: 2, end: never, chunks: ["1@3", "1@4"] },
    { offset: 5, count: 0, end: never, chunks: [] },
    { offset: 0, count: 4, end: () => 4, chunks: ["4@0"] },
    // An extent that ends inside the dword cuts the chunk.
    { offset: 0, count: 4, end: (at: number) => at < 3 ? 3 : 4, chunks: ["2@0", "1@2", "1@3"] },
    { offset: 0, count: 4, end: (at: number) => at < 2 ? 2 : 4, chunks: ["2@0", "2@2"] },
  ]
) {
  Deno.test(`planChunks(${offset}, ${count}) gives ${chunks.join(" ")} (vfio.config.chunks)`, () => {
    assertEquals([...planChunks(offset, count, end)].map((c) => `${c.width}@${c.offset}`), chunks);
  });
}

Deno.test("plan() cuts chunks where the MSI capability ends", () => {
  const { space } = new Bench();
  assertEquals(space.plan(0x4c, 4), [
    { offset: 0x4c, width: 2, kind: "msi" },
    { offset: 0x4e, width: 2, kind: "raw" },
  ]);
});

Deno.test("plan() touches neither hardware nor shadow", () => {
  const bench = new Bench();
  const before = bench.space.save();
  bench.space.plan(0, 256);
  assertEquals(bench.hardware.log, []);
  assertEquals(bench.space.save(), before);
});

Deno.test("plan() covers each byte once, in order, aligned, inside one dword and one kind", () => {
  // MSI, then a vendor capability of 5 bytes, then one of 3: extents with odd ends.
  const chain = [0x05, 0x50, 0x80, 0, ...Array(12).fill(0), 0x09, 0x58, 5, 0, 0, 0, 0, 0, 0x09, 0, 3];
  const { space } = new Bench(new FakeHardware(chain));
  fc.assert(fc.property(fc.nat(255), fc.nat(256), (offset, wanted) => {
    const count = Math.min(wanted, 256 - offset);
    let next = offset;
    for (const chunk of space.plan(offset, count)) {
      assertEquals(chunk.offset, next);
      assertEquals(chunk.offset % chunk.width, 0);
      const bytes = Array.from({ length: chunk.width }, (_, index) => chunk.offset + index);
      for (const at of bytes) assertEquals(space.plan(at, 1)[0]!.kind, chunk.kind);
      assertEquals(new Set(bytes.map((at) => at >> 2)).size, 1);
      next += chunk.width;
    }
    assert(next === offset + count);
  }));
});
