/** vfio.config.range: range, order of effects, errnos. */
import { assertEquals, assertThrows } from "@std/assert";
import { Bench, errnoOf, FakeHardware, ISM_FACTS } from "../../../tests/support/config_hardware.ts";
import { ConfigSpace } from "./space.ts";

for (
  const { offset, count, code } of [
    { offset: 0, count: 256, code: undefined },
    { offset: 0, count: 257, code: "EFAULT" },
    { offset: 255, count: 1, code: undefined },
    { offset: 255, count: 2, code: "EFAULT" },
    { offset: 256, count: 1, code: "EFAULT" },
    { offset: -1, count: 1, code: "EFAULT" },
    { offset: 0x100, count: 0, code: undefined },
    { offset: 2 ** 48 - 1, count: 1, code: "EFAULT" },
    { offset: 0, count: 0x7ffff000, code: "EFAULT" },
  ]
) {
  Deno.test(`range ${offset}+${count}: ${code ?? "full count"} (vfio.config.range)`, () => {
    for (const direction of ["read", "write"] as const) {
      const bench = new Bench();
      const before = bench.space.save();
      const buffer = new Uint8Array(512);
      let returned: number | undefined;
      const error = errnoOf(() => returned = bench.space[direction](offset, buffer, count));
      assertEquals(error?.code, code);
      assertEquals(returned, code === undefined ? count : undefined);
      if (error === undefined) continue;
      assertEquals([error.layer, error.rule], ["vfio-core", "config range"]);
      assertEquals(bench.hardware.log, [], "fails on the first chunk with no effect");
      assertEquals(bench.space.save(), before);
    }
  });
}

Deno.test("a config space of 4096 bytes ends there (vfio.config.map)", () => {
  const bench = new Bench(new FakeHardware(undefined, 4096));
  assertEquals(bench.set(0xffc, 0x01020304), 4);
  assertEquals(bench.get(0xffc), 0x01020304);
  assertEquals(errnoOf(() => bench.get(0x1000, 1))?.code, "EFAULT");
});

Deno.test("read() and write() use the buffer from `start` on, and only that much", () => {
  const bench = new Bench();
  const buffer = new Uint8Array(8).fill(0xaa);
  assertEquals(bench.space.read(0, buffer, 2, 3), 2);
  assertEquals(buffer.toHex(), "aaaaaa1410aaaaaa");
  bench.space.write(0x3c, Uint8Array.of(0, 0, 7), 1, 2);
  assertEquals(bench.get(0x3c, 1), 7);
});

Deno.test("read() loads the chunk before its copy faults, and keeps the chunks before it (vfio.config.fault)", () => {
  const bench = new Bench();
  const buffer = new Uint8Array(6);
  const error = errnoOf(() => bench.space.read(0x2c, buffer, 8));
  assertEquals([error?.code, error?.rule], ["EFAULT", "user buffer"]);
  assertEquals(bench.hardware.log, ["load 4@0x2c"], "the second chunk, 0x30, is all shadow");
  assertThrows(() => bench.space.read(0x28, new Uint8Array(6), 8));
  assertEquals(bench.hardware.log.slice(1), ["load 4@0x28", "load 4@0x2c"]);
});

Deno.test("write() faults before the chunk has an effect; earlier chunks stay (vfio.config.fault)", () => {
  const bench = new Bench();
  const error = errnoOf(() => bench.space.write(0x44, new Uint8Array(7).fill(0x5a), 8));
  assertEquals([error?.code, error?.rule], ["EFAULT", "user buffer"]);
  assertEquals([bench.get(0x44), bench.get(0x48)], [0x5a5a5a5a, 0]);
});

// MSI-X has no write rule; the header and raw bytes have, even where bits are dropped.
for (
  const { where, offset, code } of [
    { where: "a capability without a write handler", offset: 0x44, code: undefined },
    { where: "the dropped vendor id", offset: 0x00, code: "EFAULT" },
    { where: "raw bytes", offset: 0x80, code: "EFAULT" },
  ]
) {
  Deno.test(`write() to ${where} from an inaccessible buffer: ${code ?? "full count"} (vfio.config.fault)`, () => {
    const bench = new Bench(new FakeHardware([0x11, 0, 0, 0]));
    let returned: number | undefined;
    assertEquals(errnoOf(() => returned = bench.space.write(offset, new Uint8Array(0), 4))?.code, code);
    assertEquals(returned, code === undefined ? 4 : undefined);
    assertEquals(bench.hardware.log, []);
  });
}

Deno.test("a refusal of the machine is ENODEV, whatever it was (vfio.config.gone)", () => {
  const bench = new Bench();
  bench.hardware.refuses = () => true;
  for (const act of [() => bench.get(0x08), () => bench.set(0x04, 6, 2), () => bench.set(0x80, 1)]) {
    const error = errnoOf(act);
    assertEquals([error?.code, error?.errno, error?.layer, error?.rule], [
      "ENODEV",
      19,
      "vfio-core",
      "config access",
    ]);
    assertEquals(error?.message.endsWith(" failed: The function handle is not valid"), true);
  }
  assertEquals(bench.get(0x00), 0x04ed1014, "what the shadow answers alone does not need the machine");
  assertEquals(bench.set(0x10, 0x1234), 4);
});

Deno.test("an error in a later chunk leaves the earlier ones applied (vfio.config.chunks)", () => {
  const bench = new Bench();
  bench.hardware.refuses = (access) => access.startsWith("store 4@0x84");
  const data = new Uint8Array(12).fill(0x77);
  assertEquals(errnoOf(() => bench.space.write(0x80, data, 12))?.code, "ENODEV");
  assertEquals([bench.get(0x80), bench.get(0x84), bench.get(0x88)], [0x77777777, 0, 0]);
});

Deno.test("build() is ENODEV if the machine refuses (vfio.open.sequence)", () => {
  for (const access of ["load 4@0x0", "load 1@0x40", "load 4@0x48"]) {
    const hardware = new FakeHardware();
    hardware.refuses = (each) => each === access;
    const error = errnoOf(() =>
      ConfigSpace.build(hardware, ISM_FACTS, () => ({ enabled: false, vectorsLog2: 0 }))
    );
    assertEquals(error?.code, "ENODEV", access);
  }
});

Deno.test("a bug in the hardware below is not taken for a refusal", () => {
  const bench = new Bench();
  bench.hardware.refuses = () => {
    throw new RangeError("bug");
  };
  assertThrows(() => bench.get(0x08), RangeError, "bug");
});

Deno.test("build() rejects facts that contradict each other", () => {
  const msi = () => ({ enabled: false, vectorsLog2: 0 });
  for (
    const wrong of [
      { size: 257 },
      { barSizes: [100] },
      { barSizes: [8] },
      { barSizes: [2 ** 48], bar64: [false] },
      { barSizes: [16, 16], bar64: [true, false] },
      { barSizes: [undefined, undefined, undefined, undefined, undefined, 16], bar64: Array(6).fill(true) },
    ]
  ) {
    assertThrows(() => ConfigSpace.build(new FakeHardware(), { ...ISM_FACTS, ...wrong }, msi), TypeError);
  }
});
