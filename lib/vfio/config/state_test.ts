/** Properties over sequences of writes, and saved state. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Json } from "../../base/json.ts";
import { Bench, FakeHardware, ISM_FACTS } from "../../../tests/support/config_hardware.ts";
import { ConfigSpace, type ConfigSpaceState } from "./space.ts";

/** Bytes whose every bit drops writes on an ISM function: vfio.config.map and vfio.config.caps. */
const READ_ONLY = [
  ...[0x00, 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0e],
  ...[0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f],
  ...[0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3d, 0x3e, 0x3f],
  ...[0x40, 0x41, 0x43],
];

const writes = fc.array(
  fc.record({ offset: fc.nat(255), data: fc.uint8Array({ minLength: 1, maxLength: 24 }) }),
  { maxLength: 20 },
);

function readAll(space: ConfigSpace): Uint8Array {
  const bytes = new Uint8Array(space.size);
  space.read(0, bytes, space.size);
  return bytes;
}

function apply(space: ConfigSpace, offset: number, data: Uint8Array): void {
  const count = Math.min(data.length, space.size - offset);
  assertEquals(space.write(offset, data, count), count);
}

Deno.test("no sequence of writes changes a read-only byte", () => {
  fc.assert(fc.property(writes, (sequence) => {
    const { space } = new Bench();
    const before = readAll(space);
    for (const { offset, data } of sequence) apply(space, offset, data);
    const after = readAll(space);
    for (const at of READ_ONLY) assertEquals(after[at], before[at], `byte 0x${at.toString(16)}`);
  }));
});

Deno.test("no sequence of writes turns MSI on or moves a BAR or an MSI address of the machine", () => {
  fc.assert(fc.property(writes, (sequence) => {
    const { space, hardware } = new Bench();
    const bars = hardware.bytes.slice(0x10, 0x28);
    for (const { offset, data } of sequence) apply(space, offset, data);
    assertEquals(hardware.bytes.slice(0x10, 0x28), bars);
    assertEquals(hardware.bytes.slice(0x44, 0x4e), new Uint8Array(10));
    assertEquals(hardware.bytes[0x42]! & 0x71, 0);
  }));
});

Deno.test("one write and the same bytes one by one leave the same shadow", () => {
  fc.assert(fc.property(fc.nat(255), fc.uint8Array({ minLength: 1, maxLength: 24 }), (offset, data) => {
    const [whole, bytewise] = [new Bench(), new Bench()];
    apply(whole.space, offset, data);
    data.slice(0, 256 - offset).forEach((byte, index) => bytewise.set(offset + index, byte, 1));
    assertEquals(readAll(whole.space), readAll(bytewise.space));
  }));
});

Deno.test("restore(save()) through JSON is the same space, without touching hardware", () => {
  fc.assert(fc.property(writes, writes, (before, after) => {
    const bench = new Bench();
    for (const { offset, data } of before) apply(bench.space, offset, data);
    const json: Json = bench.space.save();
    const twin = new FakeHardware();
    twin.bytes.set(bench.hardware.bytes);
    const state = JSON.parse(JSON.stringify(json)) as ConfigSpaceState;
    const restored = ConfigSpace.restore(state, twin, ISM_FACTS, () => bench.grant);
    assertEquals(twin.log, []);
    assertEquals(restored.save(), bench.space.save());

    for (const { offset, data } of after) {
      for (const space of [bench.space, restored]) apply(space, offset, data);
    }
    assertEquals(readAll(restored), readAll(bench.space));
    assertEquals(twin.bytes, bench.hardware.bytes);
    assertEquals(restored.save(), bench.space.save());
  }));
});

Deno.test("restore() keeps the MSI layout of open although the user can write the 64-bit flag", () => {
  const bench = new Bench();
  bench.set(0x42, 0x00, 1);
  const restored = ConfigSpace.restore(bench.space.save(), bench.hardware, ISM_FACTS, () => bench.grant);
  assertEquals(restored.capabilities, [{ id: 5, start: 0x40, length: 14 }]);
});

Deno.test("restore() refuses a state of another size", () => {
  const { space, hardware } = new Bench();
  const msi = () => ({ enabled: false, vectorsLog2: 0 });
  assertThrows(
    () => ConfigSpace.restore(space.save(), hardware, { ...ISM_FACTS, size: 4096 }, msi),
    TypeError,
    "256 bytes",
  );
});
