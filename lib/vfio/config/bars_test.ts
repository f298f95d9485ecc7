/** vfio.config.sizing: BAR sizing. */
import { assertEquals } from "@std/assert";
import { Bench } from "../../../tests/support/config_hardware.ts";

const ONES = 0xffffffff;

for (
  const { register, facts, low, high, at } of [
    { register: "BAR0 of 2^48", at: 0x10, facts: {}, low: 0x4, high: 0xffff0000 },
    {
      register: "BAR0 of 2^48, prefetchable",
      at: 0x10,
      facts: { barPrefetch: [true, false, false, false, false, false] },
      low: 0xc,
      high: 0xffff0000,
    },
    { register: "BAR2 of 64 KiB", at: 0x18, facts: {}, low: 0xffff0004, high: ONES },
    {
      register: "BAR2 of 4 GiB",
      at: 0x18,
      facts: { barSizes: [2 ** 48, undefined, 2 ** 32, undefined, undefined, undefined] },
      low: 0x4,
      high: ONES,
    },
    {
      register: "BAR2 of 8 GiB",
      at: 0x18,
      facts: { barSizes: [2 ** 48, undefined, 2 ** 33, undefined, undefined, undefined] },
      low: 0x4,
      high: 0xfffffffe,
    },
    {
      register: "BAR2 of 16 bytes",
      at: 0x18,
      facts: { barSizes: [2 ** 48, undefined, 16, undefined, undefined, undefined] },
      low: 0xfffffff4,
      high: ONES,
    },
    { register: "BAR4 and BAR5, absent", at: 0x20, facts: {}, low: 0, high: 0 },
    {
      register: "BAR4 of 4 KiB, 32-bit, and BAR5, absent",
      at: 0x20,
      facts: { barSizes: [2 ** 48, undefined, 2 ** 16, undefined, 4096, undefined] },
      low: 0xfffff000,
      high: 0,
    },
  ]
) {
  Deno.test(`after writing all ones: ${register} (vfio.config.sizing)`, () => {
    const bench = new Bench(undefined, facts);
    bench.set(at, ONES);
    bench.set(at + 4, ONES);
    assertEquals([bench.get(at), bench.get(at + 4)], [low, high]);
  });
}

Deno.test("the ROM BAR reads 0 whatever was written, and each time (vfio.config.sizing)", () => {
  const bench = new Bench();
  for (const value of [ONES, 1, 0x1000]) {
    assertEquals(bench.set(0x30, value), 4);
    assertEquals(bench.get(0x30), 0);
  }
});

Deno.test("initial reads already show the type bits (vfio.config.sizing)", () => {
  const bench = new Bench(undefined, { barPrefetch: [true, false, true, false, false, false] });
  assertEquals([bench.get(0x10), bench.get(0x18)], [0xc, 0xc]);
});

Deno.test("BAR writes stay in the shadow, also over a reset of the device (vfio.config.sizing)", () => {
  const bench = new Bench();
  bench.set(0x18, 0x12345678);
  bench.hardware.bytes.fill(0, 0x10, 0x28);
  assertEquals(bench.get(0x18), 0x12340004);
  assertEquals(bench.hardware.log, []);
});

Deno.test("writes settle at the next read, not before (vfio.config.sizing)", () => {
  const bench = new Bench();
  bench.get(0x10);
  assertEquals(bench.space.save().barsDirty, false);
  bench.set(0x18, ONES);
  assertEquals(bench.space.save().barsDirty, true);
  bench.get(0x0c);
  bench.get(0x28);
  bench.get(0x34);
  assertEquals(bench.space.save().barsDirty, true, "a read that starts elsewhere does not settle");
  assertEquals(bench.get(0x24), 0);
  assertEquals(bench.space.save().barsDirty, false);
});

Deno.test("byte and half-word writes reach their part of a BAR", () => {
  const bench = new Bench();
  bench.set(0x1a, 0xabcd, 2);
  bench.set(0x1c, 0x42, 1);
  assertEquals([bench.get(0x18), bench.get(0x1c), bench.get(0x1b, 1)], [0xabcd0004, 0x42, 0xab]);
});
