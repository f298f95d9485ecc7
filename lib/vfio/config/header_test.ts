/** vfio.config.map: every row of the type 0 header. */
import { assertEquals } from "@std/assert";
import { Bench, errnoOf, FakeHardware } from "../../../tests/support/config_hardware.ts";
import { findRegister } from "./registers.ts";
import type { Width } from "./word.ts";

/** What reads answer when hardware holds `b4…` everywhere since open, and what a write of ones changes. */
const ROWS: readonly { name: string; read: "V" | "H"; write: "dropped" | "shadow" | "hardware" }[] = [
  { name: "VENDOR_ID", read: "V", write: "dropped" },
  { name: "DEVICE_ID", read: "V", write: "dropped" },
  { name: "REVISION", read: "H", write: "dropped" },
  { name: "CLASS_PROG", read: "H", write: "dropped" },
  { name: "CLASS_DEVICE", read: "H", write: "dropped" },
  { name: "CACHE_LINE_SIZE", read: "H", write: "hardware" },
  { name: "LATENCY_TIMER", read: "H", write: "hardware" },
  { name: "HEADER_TYPE", read: "H", write: "dropped" },
  { name: "BIST", read: "H", write: "hardware" },
  { name: "CARDBUS_CIS", read: "H", write: "dropped" },
  { name: "SUBSYSTEM_VENDOR_ID", read: "H", write: "dropped" },
  { name: "SUBSYSTEM_ID", read: "H", write: "dropped" },
  { name: "CAPABILITY_LIST", read: "V", write: "dropped" },
  { name: "INTERRUPT_LINE", read: "V", write: "shadow" },
  { name: "INTERRUPT_PIN", read: "V", write: "dropped" },
  { name: "MIN_GNT", read: "H", write: "dropped" },
  { name: "MAX_LAT", read: "H", write: "dropped" },
];
const AT_OPEN: Record<string, number> = { VENDOR_ID: 0x1014, DEVICE_ID: 0x04ed, CAPABILITY_LIST: 0x40 };

for (const { name, read, write } of ROWS) {
  const { offset, size } = findRegister(name)!;
  Deno.test(`${name}: read ${read}, write ${write} (vfio.config.map)`, () => {
    const bench = new Bench();
    bench.hardware.bytes.fill(0xb4, 0, 0x40);
    const changed = Number.parseInt("b4".repeat(size), 16);
    const before = read === "H" ? changed : AT_OPEN[name] ?? 0;
    assertEquals(bench.get(offset, size), before);

    const ones = 2 ** (8 * size) - 1;
    assertEquals(bench.set(offset, ones, size), size, "full count also when dropped");
    assertEquals(bench.get(offset, size), write === "dropped" ? before : ones);
    const stores = bench.hardware.log.filter((access) => access.startsWith("store"));
    assertEquals(stores.length, write === "hardware" ? 1 : 0);
  });
}

Deno.test("reserved 0x35-0x3b: read H, writes dropped (vfio.config.map)", () => {
  const bench = new Bench();
  bench.hardware.bytes.fill(0x5e, 0x35, 0x3c);
  for (let at = 0x35; at < 0x3c; at++) {
    assertEquals(bench.set(at, 0xff, 1), 1);
    assertEquals(bench.get(at, 1), 0x5e);
  }
});

Deno.test("outside any capability: H raw, raw write-through (vfio.config.map)", () => {
  const bench = new Bench();
  assertEquals(bench.set(0x80, 0xcafe0123), 4);
  assertEquals(bench.hardware.log, ["store 4@0x80=0xcafe0123"], "no read-modify-write");
  bench.hardware.bytes[0x80] = 0x99;
  assertEquals(bench.get(0x80), 0xcafe0199);
});

Deno.test("STATUS bit 4 is V, the rest H, writes dropped (vfio.config.map)", () => {
  const bench = new Bench();
  bench.hardware.bytes.set([0x20, 0x02], 0x06);
  assertEquals(bench.get(0x06, 2), 0x0230);
  assertEquals(bench.set(0x06, 0xffff, 2), 2);
  assertEquals(bench.get(0x06, 2), 0x0230);
});

// vfio.config.command, COMMAND: bits 0-9 through to hardware, bit 10 shadow, bit 1 shown from the shadow on vfn != 0.
for (
  const { vf, width, value, shown, hardware } of [
    { vf: true, width: 2, value: 0x0000, shown: 0x0000, hardware: 0x0000 },
    { vf: true, width: 2, value: 0x0002, shown: 0x0002, hardware: 0x0002 },
    { vf: true, width: 2, value: 0x0006, shown: 0x0006, hardware: 0x0006 },
    { vf: true, width: 2, value: 0x0400, shown: 0x0400, hardware: 0x0000 },
    { vf: true, width: 2, value: 0xffff, shown: 0xffff, hardware: 0xfbff },
    { vf: false, width: 2, value: 0x0406, shown: 0x0406, hardware: 0x0006 },
    { vf: true, width: 1, value: 0x04, shown: 0x0004, hardware: 0x0004 },
    { vf: true, width: 4, value: 0xffff0004, shown: 0x0004, hardware: 0x0004 },
  ] as const
) {
  Deno.test(`COMMAND vfn${vf ? "!=" : "="}0: ${width} bytes 0x${value.toString(16)} (vfio.config.command)`, () => {
    const bench = new Bench(undefined, { virtualFunction: vf });
    bench.set(0x04, value, width);
    assertEquals(bench.get(0x04, 2), shown);
    assertEquals(bench.hardware.bytes[0x04]! | (bench.hardware.bytes[0x05]! << 8), hardware);
    assertEquals(bench.get(0x06, 2), 0x0010, "STATUS, in the same dword, keeps its value");
  });
}

Deno.test("COMMAND after open: memory shown on vfn != 0 alone, bus master clear (vfio.config.command)", () => {
  assertEquals(new Bench().get(0x04, 2), 0x0002);
  assertEquals(new Bench(undefined, { virtualFunction: false }).get(0x04, 2), 0x0000);
  for (const width of [1, 2, 4] as const) assertEquals(new Bench().get(0x04, width) & 0xff, 0x02);
});

Deno.test("COMMAND memory cleared by the user: later reads show hardware only (vfio.config.command)", () => {
  const bench = new Bench();
  bench.set(0x04, 0x0004, 2);
  assertEquals(bench.get(0x04, 2), 0x0004);
  bench.hardware.bytes[0x04] = 0x06;
  assertEquals(bench.get(0x04, 2), 0x0006);
});

Deno.test("COMMAND written after a reset behind vfio puts the BARs back first (vfio.config.command, vfio.config.restore)", () => {
  const bench = new Bench();
  bench.hardware.bytes[0x18] = 0x00;
  bench.set(0x05, 0x04, 1);
  assertEquals(bench.hardware.bytes[0x18], 0x00, "a byte write at 5 alone does not look at the BARs");
  bench.hardware.log = [];
  bench.set(0x04, 0x0006, 2);
  const stores = bench.hardware.log.filter((access) => access.startsWith("store"));
  assertEquals(stores, [
    ...["0x10=0x4", "0x14=0x0", "0x18=0x4", "0x1c=0x0", "0x20=0x0", "0x24=0x0"].map((at) => `store 4@${at}`),
    "store 4@0x30=0x0",
    "store 2@0x4=0x6",
  ]);
  bench.hardware.log = [];
  bench.set(0x04, 0x0002, 2);
  assertEquals(bench.hardware.log, [
    "load 2@0x4",
    "load 4@0x10",
    "load 4@0x18",
    "load 2@0x4",
    "store 2@0x4=0x2",
  ]);
});

const RESTORE = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map((at) =>
  `store 4@0x${at.toString(16)}=0x${at === 0x10 || at === 0x18 ? 4 : 0}`
).concat("store 4@0x30=0x0");
const LOAD_BARS = ["load 4@0x10", "load 4@0x18"];

// 10 a: COMMAND is read first, only BARs that are not 0 are loaded, and one that cannot be loaded means "restore".
Deno.test.each<{ what: string; vf?: boolean; refuses: string; log: string[]; code?: string }>([
  { what: "COMMAND cannot be loaded", refuses: "load 2@0x4", log: ["load 2@0x4"], code: "ENODEV" },
  {
    what: "BAR 0 cannot be loaded",
    refuses: "load 4@0x10",
    log: ["load 2@0x4", "load 4@0x10", ...RESTORE, "load 2@0x4", "store 2@0x4=0x6"],
  },
  {
    what: "BAR 2 cannot be loaded",
    refuses: "load 4@0x18",
    log: ["load 2@0x4", ...LOAD_BARS, ...RESTORE, "load 2@0x4", "store 2@0x4=0x6"],
  },
  {
    what: "an empty BAR could not be loaded",
    refuses: "load 4@0x14",
    log: ["load 2@0x4", ...LOAD_BARS, "load 2@0x4", "store 2@0x4=0x6"],
  },
  {
    what: "COMMAND cannot be stored",
    refuses: "store 2@0x4=0x6",
    log: ["load 2@0x4", ...LOAD_BARS, "load 2@0x4", "store 2@0x4=0x6"],
    code: "ENODEV",
  },
  {
    what: "the machine lost memory decode that the user had on, vfn 0",
    vf: false,
    refuses: "",
    log: ["load 2@0x4", ...RESTORE, "load 2@0x4", "store 2@0x4=0x6"],
  },
])("COMMAND written when $what", ({ vf = true, refuses, log, code }) => {
  const bench = new Bench(undefined, { virtualFunction: vf });
  if (!vf) bench.set(0x04, 0x0002, 2);
  bench.hardware.bytes[0x04] = 0;
  bench.hardware.log = [];
  bench.hardware.refuses = (access) => access === refuses;
  assertEquals(errnoOf(() => bench.set(0x04, 0x0006, 2))?.code, code);
  assertEquals(bench.hardware.log, log);
});

Deno.test("a restore of BARs does not look at what becomes of its stores (vfio.reset.saved)", () => {
  const bench = new Bench();
  bench.hardware.refuses = (access) => access.includes(" 4@");
  assertEquals(bench.set(0x04, 0x0006, 2), 2);
  assertEquals(bench.hardware.log, [
    "load 2@0x4",
    "load 4@0x10",
    ...RESTORE,
    "load 2@0x4",
    "store 2@0x4=0x6",
  ]);
});

Deno.test("a byte write at offset 5 reaches bits 8-10, not the shadow of memory (vfio.config.command)", () => {
  const bench = new Bench();
  bench.set(0x05, 0x05, 1);
  assertEquals(bench.get(0x04, 2), 0x0502);
  assertEquals(bench.hardware.bytes.slice(4, 6), Uint8Array.of(0x00, 0x01));
});

Deno.test("a dword that is dropped in part stores back what the machine holds there", () => {
  const hardware = new FakeHardware();
  hardware.bytes[0x0e] = 0x12;
  const bench = new Bench(hardware);
  assertEquals(bench.set(0x0c, 0xffffffff), 4);
  assertEquals(bench.hardware.log, ["load 4@0xc", "store 4@0xc=0xff12ffff"]);
});

Deno.test("every width reads the same bytes", () => {
  const bench = new Bench();
  const byWidth = ([1, 2, 4] as Width[]).map((width) => {
    const bytes = new Uint8Array(256);
    for (let at = 0; at < 256; at += width) bench.space.read(at, bytes, width, at);
    return bytes.toHex();
  });
  assertEquals(new Set(byWidth).size, 1);
});
