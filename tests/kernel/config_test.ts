/** vfio.config.map through the descriptor: chunks, classes of bytes, BAR sizing, MSI; lib/vfio/config has the rest. */
import { assertEquals } from "@std/assert";
import { bytes } from "../support/bytes.ts";
import { IOCTL, type Outcome, region, Rig, words } from "../support/kernel.ts";

const CONFIG = region(7);
const SPACE_CONFIG = [15];

/** Instructions on config space of one call, without the address space. */
const accesses = (rig: Rig, act: () => Outcome) =>
  rig.instructions(act, SPACE_CONFIG).map((line) => line.replace(/^(PCI\w+) 15 0x(\w+) (\d)$/, "$1 $3@$2"));

/**
 * The config space of a freshly opened ISM function, as the descriptor shows it (vfio.config.map, vfio.config.caps,
 * ism.config.msi).
 */
const FRESH = `1410 ed04 0200 1000 00 000000 00 00 00 00
  04000000 00000000 04000000 00000000 00000000 00000000
  00000000 00000000 00000000 40 000000 00000000 00 00 00 00
  05 00 8000 00000000 00000000 0000 ${"00".repeat(0x100 - 0x4e)}`;

Deno.test("all 256 bytes after open (vfio.config.map, vfio.config.caps, ism.config.msi)", () => {
  const rig = Rig.opened();
  const config = new Uint8Array(256);
  assertEquals(rig.pread(CONFIG, 256, { buffer: config }), 256);
  assertEquals(config.toHex(), bytes(FRESH).toHex());
});

Deno.test.each([
  { offset: 0x80, count: 16, chunks: "4@80 4@84 4@88 4@8c" },
  { offset: 0x81, count: 7, chunks: "1@81 2@82 4@84" },
  { offset: 0x82, count: 4, chunks: "2@82 2@84" },
  { offset: 0x83, count: 1, chunks: "1@83" },
  { offset: 0x83, count: 2, chunks: "1@83 1@84" },
  { offset: 0xfc, count: 4, chunks: "4@fc" },
])(
  "$count bytes at $offset outside capabilities are the chunks $chunks, raw (vfio.config.chunks, vfio.config.map)",
  (row) => {
    const { offset, count, chunks } = row;
    const rig = Rig.opened();
    const expected = (op: string) => chunks.split(" ").map((chunk) => `${op} ${chunk}`);
    assertEquals(accesses(rig, () => rig.pread(CONFIG + offset, count)), expected("PCILG"));
    assertEquals(accesses(rig, () => rig.pwrite(CONFIG + offset, count)), expected("PCISTG"));
  },
);

Deno.test("a chunk ends where the capability does (vfio.config.chunks)", () => {
  const rig = Rig.opened();
  assertEquals(accesses(rig, () => rig.pread(CONFIG + 0x4c, 8)).slice(-2), ["PCILG 2@4e", "PCILG 4@50"]);
});

Deno.test.each([
  { offset: 0, count: 256, result: 256 },
  { offset: 0, count: 257, result: "EFAULT" },
  { offset: 0xff, count: 1, result: 1 },
  { offset: 0xff, count: 2, result: "EFAULT" },
  { offset: 0x100, count: 1, result: "EFAULT" },
  { offset: 0xffc, count: 4, result: "EFAULT" },
  { offset: 0, count: 0x7fff_f000, result: "EFAULT" },
])(
  "$count bytes at $offset of config space: $result, and nothing done if refused (vfio.config.range)",
  (row) => {
    const rig = Rig.opened();
    const act = (call: "pread" | "pwrite") => accesses(rig, () => rig[call](CONFIG + row.offset, row.count));
    const expected: Outcome = row.result;
    assertEquals(rig.pread(CONFIG + row.offset, row.count), expected);
    if (row.result === "EFAULT") assertEquals([act("pread"), act("pwrite")], [[], []]);
  },
);

Deno.test("an error in a later chunk leaves the earlier ones done and the file position alone (vfio.config.chunks)", () => {
  const rig = Rig.opened();
  const file = rig.process.file(rig.device);
  file.position = CONFIG + 0x0c;
  rig.inject({ kind: "status", status: 12 }, { op: "PCISTG", space: 15, from: 0x80 });
  const data = words(0x2211, 0, 0, 0);
  assertEquals(rig.call(() => rig.process.write(rig.device, data, 4)), 4);
  assertEquals(file.position, CONFIG + 0x10);
  file.position = CONFIG + 0x3c;
  const line = new Uint8Array(80).fill(0x5a);
  assertEquals(rig.call(() => rig.process.write(rig.device, line, 80), { effect: true }), "ENODEV");
  assertEquals([file.position, rig.config(0x3c, 1), rig.config(0x44, 4)], [CONFIG + 0x3c, 0x5a, 0x5a5a_5a5a]);
});

Deno.test("buffers that end too early: earlier chunks stay, the load of a faulting read has happened (vfio.config.fault)", () => {
  const rig = Rig.opened();
  const options = { buffer: new Uint8Array(6), effect: true };
  assertEquals(accesses(rig, () => rig.pread(CONFIG + 0x80, 8, options)), ["PCILG 4@80", "PCILG 4@84"]);
  assertEquals(rig.pread(CONFIG + 0x80, 8, options), "EFAULT");
  assertEquals(accesses(rig, () => rig.pwrite(CONFIG + 0x80, 8, options)), ["PCISTG 4@80"]);
  assertEquals(rig.pwrite(CONFIG + 0x3c, 1, { buffer: new Uint8Array(0) }), "EFAULT");
});

Deno.test("any refusal of the machine is ENODEV, in both directions (vfio.config.gone)", () => {
  for (const fault of [{ kind: "status", status: 8 }, { kind: "invalid-handle" }] as const) {
    const rig = Rig.opened();
    rig.inject(fault, { op: "PCILG", space: 15 });
    assertEquals(rig.pread(CONFIG + 8, 4), "ENODEV");
    rig.inject(fault, { op: "PCISTG", space: 15 });
    assertEquals(rig.pwrite(CONFIG + 0x80, 4), "ENODEV");
  }
  const rig = Rig.opened();
  rig.inject({ kind: "exception", exception: "operand" }, { space: 15 });
  assertEquals(rig.pread(CONFIG + 8, 4), "ENODEV");
  rig.target.fn.disable("standby");
  assertEquals(rig.pread(CONFIG, 4), 4, "what the shadow answers alone needs no machine");
});

/** Registers whose writes are dropped, with what they read. */
Deno.test.each(
  [
    { name: "vendor", offset: 0x00, width: 2, value: 0x1014 },
    { name: "device", offset: 0x02, width: 2, value: 0x04ed },
    { name: "status", offset: 0x06, width: 2, value: 0x0010 },
    { name: "revision and class", offset: 0x08, width: 4, value: 0 },
    { name: "header type", offset: 0x0e, width: 1, value: 0 },
    { name: "CIS", offset: 0x28, width: 4, value: 0 },
    { name: "subsystem ids", offset: 0x2c, width: 4, value: 0 },
    { name: "capability pointer", offset: 0x34, width: 1, value: 0x40 },
    { name: "interrupt pin", offset: 0x3d, width: 1, value: 0 },
    { name: "min_gnt and max_lat", offset: 0x3e, width: 2, value: 0 },
    { name: "MSI id", offset: 0x40, width: 1, value: 5 },
    { name: "MSI next", offset: 0x41, width: 1, value: 0 },
    { name: "MSI control high byte", offset: 0x43, width: 1, value: 0 },
  ] as const,
)(
  "writes to $name are dropped, with the full count (vfio.config.map, vfio.config.caps)",
  ({ offset, width, value }) => {
    const rig = Rig.opened();
    assertEquals(rig.pwrite(CONFIG + offset, width, { buffer: new Uint8Array(4).fill(0xff) }), width);
    assertEquals(rig.config(offset, width), value);
  },
);

Deno.test("BAR sizing: all ones are answered with the mask and the type bits (vfio.config.sizing)", () => {
  const sizes = (choices = {}) => {
    const rig = Rig.opened("group", choices);
    const ones = new Uint8Array(24).fill(0xff);
    assertEquals([rig.pwrite(CONFIG + 0x10, 24, { buffer: ones }), rig.pwrite(CONFIG + 0x30, 4)], [24, 4]);
    return [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((offset) => rig.config(offset, 4));
  };
  assertEquals(sizes(), [4, 0xffff_0000, 0xffff_0004, 0xffff_ffff, 0, 0, 0]);
  assertEquals(sizes({ machine: { bar0Prefetch: true }, ism: { bar2Size: 4096 } }), [
    0x0c,
    0xffff_0000,
    0xffff_f004,
    0xffff_ffff,
    0,
    0,
    0,
  ]);
});

Deno.test("COMMAND: bus master toggles, memory is shown from the start if vfn is not 0 (vfio.config.command)", () => {
  const rig = Rig.opened();
  assertEquals(rig.config(4, 2), 0x0002);
  for (const value of [0x0006, 0x0002, 0x0406]) {
    rig.setConfig(4, 2, value);
    assertEquals([rig.config(4, 2), rig.target.fn.model.config.busMaster], [value, (value & 4) !== 0]);
  }
  rig.setConfig(4, 2, 0);
  assertEquals(rig.config(4, 2), 0, "memory written 0 is shown as the hardware has it");
});

Deno.test.each([
  { vfn: 1, shown: 0x0002 },
  { vfn: 0, shown: 0x0000 },
])(
  "COMMAND with vfn $vfn: memory that only the hardware has lost is shown as $shown (vfio.config.command)",
  ({ vfn, shown }) => {
    const rig = Rig.opened("group", { vfn });
    assertEquals(rig.config(4, 2), 0x0002);
    rig.target.fn.model.config.write(4, 0);
    assertEquals(rig.config(4, 2), shown);
  },
);

Deno.test("MSI cannot be switched on through config space; its address never reaches the device (vfio.config.msi)", () => {
  const rig = Rig.opened();
  const hardware = () => Array.from({ length: 14 }, (_, i) => rig.target.fn.model.config.read(0x40 + i));
  const before = hardware();
  rig.setConfig(0x42, 2, 0x00f1);
  assertEquals([rig.config(0x42, 2) & 0x71, hardware()[2]! & 0x71], [0, 0], "neither enable nor MME");
  rig.setConfig(0x44, 4, 0xfee0_0000);
  assertEquals([rig.config(0x44, 4), hardware().slice(4)], [0xfee0_0000, before.slice(4)]);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, rig.process.eventfd()));
  rig.setConfig(0x42, 2, 0x0081);
  assertEquals(rig.config(0x42, 2) & 1, 1, "what SET_IRQS granted stays on");
});

Deno.test("shadow values survive a reset and end with the last close (vfio.config.sizing, vfio.reset.result)", () => {
  const rig = Rig.opened();
  rig.setConfig(0x14, 4, 0xabcd_0000);
  rig.setConfig(0x3c, 1, 0x77);
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
  assertEquals([rig.config(0x14, 4), rig.config(0x3c, 1)], [0xabcd_0000, 0x77]);
});

Deno.test("posted version 4 and the generic driver show the same config space (vfio.generic.bars, vfio.config.map)", () => {
  for (
    const [choices, at] of [
      [{ kernel: { driverRevision: "posted-v4" } }, CONFIG],
      [{ driver: "vfio-pci" }, 7 * 2 ** 40],
    ] as const
  ) {
    const rig = Rig.opened("group", choices);
    const config = new Uint8Array(256);
    assertEquals(rig.pread(at, 256, { buffer: config }), 256);
    assertEquals(config.toHex(), bytes(FRESH).toHex());
    assertEquals([rig.pread(at + 0xff, 2), rig.pwrite(at + 0x100, 1)], ["EFAULT", "EFAULT"]);
  }
});
