/** vfio.config.caps: the chain and what each capability does. */
import { assertEquals } from "@std/assert";
import { Bench, errnoOf, FakeHardware } from "../../../tests/support/config_hardware.ts";

/** A machine with capabilities at 0x40, 0x60, 0x80 … in chain order. */
function chainOf(...capabilities: readonly (readonly number[])[]): FakeHardware {
  const hardware = new FakeHardware(new Array(0xc0).fill(0));
  capabilities.forEach(([id = 0, ...body], index) => {
    const next = index + 1 < capabilities.length ? 0x60 + 0x20 * index : 0;
    hardware.bytes.set([id, next, ...body], 0x40 + 0x20 * index);
  });
  return hardware;
}
const MSI = [0x05, 0x80, 0x00];
const UNKNOWN = [0x15, 0xaa, 0xbb];
const NULL = [0x00, 0xaa, 0xbb];
const EMPTY_VENDOR = [0x09, 0x00, 0x55];

for (
  const { what, chain, pointers } of [
    { what: "known alone", chain: [MSI], pointers: { 0x34: 0x40, 0x41: 0 } },
    { what: "unknown id first", chain: [UNKNOWN, MSI], pointers: { 0x34: 0x60, 0x61: 0 } },
    {
      what: "unknown id between",
      chain: [MSI, UNKNOWN, [0x11]],
      pointers: { 0x34: 0x40, 0x41: 0x80, 0x81: 0 },
    },
    { what: "unknown id last", chain: [MSI, UNKNOWN], pointers: { 0x34: 0x40, 0x41: 0 } },
    { what: "id 0", chain: [MSI, NULL, NULL, [0x11]], pointers: { 0x41: 0xa0, 0xa1: 0 } },
    { what: "length 0", chain: [EMPTY_VENDOR, MSI], pointers: { 0x34: 0x60, 0x61: 0 } },
    { what: "none visible", chain: [UNKNOWN], pointers: { 0x34: 0 } },
  ]
) {
  Deno.test(`capability chain, ${what} (vfio.config.caps)`, () => {
    const bench = new Bench(chainOf(...chain));
    for (const [at, next] of Object.entries(pointers)) assertEquals(bench.get(Number(at), 1), next, at);
    assertEquals(bench.get(0x06, 1) & 0x10, bench.space.capabilities.length > 0 ? 0x10 : 0, "STATUS bit 4");
  });
}

Deno.test("bytes of a hidden capability count as outside: raw (vfio.config.caps)", () => {
  const bench = new Bench(chainOf(UNKNOWN, MSI));
  assertEquals(bench.get(0x40), 0xbbaa6015);
  bench.set(0x40, 0x01020304);
  assertEquals(bench.hardware.log.at(-1), "store 4@0x40=0x1020304");
});

Deno.test("without STATUS bit 4 the chain is not walked", () => {
  const hardware = chainOf(MSI);
  hardware.bytes[0x06] = 0;
  const bench = new Bench(hardware);
  assertEquals([bench.space.capabilities.length, bench.get(0x06, 1), bench.get(0x34, 1)], [0, 0, 0x40]);
});

for (
  const { what, pointer, next, shown } of [
    { what: "into the header", pointer: 0x40, next: 0x3c, shown: 0x00 },
    { what: "past the last place", pointer: 0x40, next: 0xfd, shown: 0x00 },
    { what: "to the last place", pointer: 0x40, next: 0xfc, shown: 0xfc },
    { what: "to itself", pointer: 0x40, next: 0x40, shown: 0x40 },
  ]
) {
  Deno.test(`a next pointer ${what} ends the walk`, () => {
    const hardware = chainOf(MSI);
    hardware.bytes.set([0x05, next], pointer);
    hardware.bytes[0xfc] = 0x13;
    assertEquals(new Bench(hardware).get(0x41, 1), shown);
  });
}

for (
  const { control, length } of [
    { control: 0x0000, length: 10 },
    { control: 0x0080, length: 14 },
    { control: 0x0100, length: 20 },
    { control: 0x0180, length: 24 },
  ]
) {
  Deno.test(`MSI control 0x${control.toString(16)} is ${length} bytes long (vfio.config.msi)`, () => {
    const bench = new Bench(chainOf([0x05, control & 0xff, control >> 8]));
    assertEquals(bench.space.capabilities, [{ id: 5, start: 0x40, length }]);
    assertEquals(bench.space.plan(0x40 + length - 1, 1)[0]!.kind, "msi");
    assertEquals(bench.space.plan(0x40 + length, 1)[0]!.kind, "raw");
  });
}

// vfio.config.msi, MSI rows, on a 64-bit capability with mask: what a byte write of ones leaves in a read.
for (
  const { field, at, read, write } of [
    { field: "id", at: 0, read: "H", write: "dropped" },
    { field: "next", at: 1, read: "V", write: "dropped" },
    { field: "control high byte", at: 3, read: "H", write: "dropped" },
    { field: "address", at: 4, read: "V", write: "shadow" },
    { field: "upper address", at: 11, read: "V", write: "shadow" },
    { field: "data", at: 13, read: "V", write: "shadow" },
    { field: "reserved after data", at: 14, read: "H", write: "dropped" },
    { field: "mask", at: 16, read: "H", write: "hardware" },
    { field: "pending", at: 23, read: "H", write: "hardware" },
  ]
) {
  Deno.test(`MSI ${field}: read ${read}, write ${write} (vfio.config.msi)`, () => {
    const bench = new Bench(chainOf([0x05, 0x80, 0x01]));
    const address = 0x40 + at;
    const opened = bench.hardware.bytes[address]!;
    bench.hardware.bytes[address] = 0x6b;
    const before = read === "H" ? 0x6b : opened;
    assertEquals(bench.get(address, 1), before);
    assertEquals(bench.set(address, 0xff, 1), 1);
    assertEquals(bench.get(address, 1), write === "dropped" ? before : 0xff);
    assertEquals(bench.hardware.bytes[address], write === "hardware" ? 0xff : 0x6b);
  });
}

// vfio.config.caps, fix-up: ENABLE needs SET_IRQS, MME is clamped to the granted exponent.
for (
  const { enabled, log2, written, kept } of [
    { enabled: false, log2: 0, written: 0x81, kept: 0x80 },
    { enabled: true, log2: 0, written: 0x81, kept: 0x81 },
    { enabled: true, log2: 0, written: 0x91, kept: 0x81 },
    { enabled: true, log2: 2, written: 0xa1, kept: 0xa1 },
    { enabled: true, log2: 2, written: 0xb1, kept: 0xa1 },
    { enabled: true, log2: 2, written: 0xff, kept: 0xaf },
    { enabled: false, log2: 3, written: 0x30, kept: 0x30 },
  ]
) {
  Deno.test(`MSI control 0x${written.toString(16)} with grant ${enabled}/${log2} (vfio.config.msi)`, () => {
    const bench = new Bench();
    bench.grant = { enabled, vectorsLog2: log2 };
    assertEquals(bench.set(0x42, written, 2), 2);
    assertEquals(bench.get(0x42, 2), kept);
    assertEquals(bench.hardware.log[0], `store 2@0x42=0x${kept.toString(16)}`);
  });
}

for (
  const { offset, width, runs } of [
    { offset: 0x40, width: 1, runs: false },
    { offset: 0x40, width: 2, runs: true },
    { offset: 0x41, width: 1, runs: true },
    { offset: 0x40, width: 4, runs: true },
    { offset: 0x42, width: 1, runs: true },
    { offset: 0x43, width: 1, runs: false },
    { offset: 0x44, width: 4, runs: false },
  ] as const
) {
  Deno.test(`MSI fix-up after ${width} bytes at 0x${offset.toString(16)}: ${runs} (vfio.config.msi)`, () => {
    const bench = new Bench();
    bench.set(offset, 0, width);
    const stores = bench.hardware.log.filter((access) => access.startsWith("store 2@0x42"));
    assertEquals(stores.length, runs ? 1 : 0);
  });
}

Deno.test("MSI fix-up that the machine refuses is ENODEV", () => {
  const bench = new Bench();
  bench.hardware.refuses = (access) => access.startsWith("store");
  assertEquals(errnoOf(() => bench.set(0x42, 0x81, 2))?.code, "ENODEV");
});

for (
  const { name, body, length, kind } of [
    { name: "PM", body: [0x01], length: 8, kind: "masked" },
    { name: "VPD", body: [0x03], length: 8, kind: "masked" },
    { name: "PCI-X", body: [0x07, 0, 0], length: 8, kind: "masked" },
    { name: "PCI-X 2", body: [0x07, 0, 0x20], length: 24, kind: "masked" },
    { name: "vendor-specific", body: [0x09, 7], length: 7, kind: "raw" },
    { name: "PCIe 1", body: [0x10, 1], length: 20, kind: "masked" },
    { name: "PCIe 2", body: [0x10, 2], length: 60, kind: "masked" },
    { name: "MSI-X", body: [0x11], length: 12, kind: "read-only" },
    { name: "AF", body: [0x13], length: 6, kind: "masked" },
  ]
) {
  Deno.test(`${name}: ${length} bytes, ${kind}, next pointer kept (vfio.config.caps)`, () => {
    const bench = new Bench(chainOf(body));
    assertEquals(bench.space.capabilities, [{ id: body[0]!, start: 0x40, length }]);
    assertEquals(bench.space.plan(0x40 + length - 1, 1)[0]!.kind, kind);
    bench.hardware.bytes[0x41] = 0x99;
    assertEquals(bench.get(0x41, 1), 0x00);
    bench.hardware.bytes[0x44] = 0x3c;
    bench.set(0x44, 0xff, 1);
    assertEquals(bench.get(0x44, 1), kind === "raw" ? 0xff : 0x3c);
  });
}

Deno.test("PM: PME bits read 0, power-state writes are accepted and dropped (vfio.config.caps)", () => {
  const bench = new Bench(chainOf([0x01, 0xff, 0xff, 0xff, 0xff]));
  assertEquals(bench.get(0x42, 2), 0x07ff);
  assertEquals(bench.get(0x44, 2), 0x7eff);
  assertEquals(bench.set(0x44, 0x0003, 2), 2);
  assertEquals(bench.get(0x44, 2), 0x7eff);
  assertEquals(bench.hardware.log.filter((access) => access.startsWith("store")), []);
});

Deno.test("a capability that overlaps an earlier one wins, and both stay in the chain", () => {
  const hardware = new FakeHardware([0x05, 0x48, 0x80, 0, 0, 0, 0, 0, 0x11, 0]);
  const bench = new Bench(hardware);
  assertEquals(bench.space.plan(0x44, 8).map((chunk) => chunk.kind), ["msi", "read-only"]);
  assertEquals([bench.get(0x41, 1), bench.get(0x49, 1)], [0x48, 0]);
});

Deno.test("a capability that runs past 0x100 ends there", () => {
  const hardware = new FakeHardware(undefined, 4096);
  hardware.bytes[0x34] = 0xf8;
  hardware.bytes.set([0x05, 0, 0x80], 0xf8);
  const bench = new Bench(hardware);
  assertEquals(bench.space.plan(0xfc, 8).map((chunk) => chunk.kind), ["msi", "raw"]);
  assertEquals(bench.set(0xfc, 0x12345678), 4);
  assertEquals([bench.get(0xfc), bench.get(0x100)], [0x12345678, 0]);
});
