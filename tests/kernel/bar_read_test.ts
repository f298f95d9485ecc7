/** vfio.read.error: reads of a BAR become loads; what is done when one fails. */
import { assertEquals } from "@std/assert";
import { pattern } from "../support/bytes.ts";
import { BAR2_SIZE, type Outcome, region, Rig } from "../support/kernel.ts";

/** A rig whose command area, the first 4096 bytes of BAR 2, holds a pattern. */
function patterned(): Rig {
  const rig = Rig.opened();
  rig.target.adapter.commandArea.set(pattern(4096));
  return rig;
}

/** Loads of one pread, `offset:length` each, and what it returned. */
function loadsOf(rig: Rig, position: number, count: number, buffer?: Uint8Array): [string, Outcome] {
  let result: Outcome = "";
  const options = buffer === undefined ? { effect: true } : { effect: true, buffer };
  const lines = rig.instructions(() => result = rig.pread(position, count, options));
  return [lines.map((line) => line.replace(/^PCILG \d 0x(\w+) (\d)$/, "$2@$1")).join(" "), result];
}

Deno.test.each([
  { offset: 0, count: 16, loads: "8@0 8@8" },
  { offset: 3, count: 16, loads: "1@3 4@4 8@8 2@10 1@12" },
  { offset: 4, count: 8, loads: "4@4 4@8" },
  { offset: 6, count: 4, loads: "2@6 2@8" },
  { offset: 1, count: 1, loads: "1@1" },
  { offset: 0, count: 7, loads: "4@0 2@4 1@6" },
  { offset: 1, count: 15, loads: "1@1 2@2 4@4 8@8" },
  { offset: 0xffc, count: 12, loads: "4@ffc 8@1000" },
])("$count bytes at $offset are the loads $loads (vfio.read.loads)", ({ offset, count, loads }) => {
  const rig = patterned();
  const buffer = new Uint8Array(count);
  assertEquals(loadsOf(rig, region(2) + offset, count, buffer), [loads, count]);
  const expected = new Uint8Array(8192);
  expected.set(pattern(4096));
  assertEquals(buffer, expected.slice(offset, offset + count), "bytes in address order");
});

/** The rule of vfio.read.loads, written again: 8 if aligned and enough is left, else 4, else 2, else 1. */
function rule(offset: number, count: number): string {
  const loads: string[] = [];
  while (count > 0) {
    const width = [8, 4, 2, 1].find((each) => count >= each && offset % each === 0)!;
    loads.push(`${width}@${offset.toString(16)}`);
    offset += width;
    count -= width;
  }
  return loads.join(" ");
}

Deno.test("every offset in a doubleword with every length up to 24, exhaustively (vfio.read.loads)", () => {
  const rig = patterned();
  for (let offset = 0; offset < 8; offset++) {
    for (let count = 1; count <= 24; count++) {
      assertEquals(loadsOf(rig, region(2) + offset, count), [rule(offset, count), count]);
    }
  }
});

Deno.test("a length shorter than the register leaves the bytes behind it alone (vfio.read.loads)", () => {
  const rig = patterned();
  const buffer = new Uint8Array(8).fill(0xa5);
  assertEquals(rig.pread(region(2) + 1, 1, { buffer }), 1);
  assertEquals(buffer.toHex(), pattern(2).slice(1).toHex() + "a5".repeat(7));
  assertEquals(rig.process.pread(rig.device, buffer, 2, region(2) + 6, 4), 2, "into the middle of a buffer");
  assertEquals(buffer.slice(4, 6), pattern(8).slice(6));
});

Deno.test.each([
  { left: 16, count: 16, result: 16 },
  { left: 16, count: 17, result: 16 },
  { left: 1, count: 1, result: 1 },
  { left: 1, count: 100, result: 1 },
  { left: 12, count: 0x7fff_ffff, result: 12 },
])("$count bytes, $left before the end of BAR 2: $result (vfio.rw.end)", ({ left, count, result }) => {
  const rig = Rig.opened();
  const [loads, returned] = loadsOf(rig, region(2) + BAR2_SIZE - left, count, new Uint8Array(16));
  assertEquals([loads, returned], [rule(BAR2_SIZE - left, left), result]);
});

Deno.test("a read at the end of a BAR or behind it is EINVAL: there is no end of file (vfio.rw.end)", () => {
  const rig = Rig.opened();
  for (const offset of [BAR2_SIZE, BAR2_SIZE + 1, 2 ** 40, 2 ** 48 - 1]) {
    assertEquals(loadsOf(rig, region(2) + offset, 1), ["", "EINVAL"]);
  }
});

Deno.test("a read has no limit but the BAR's: a whole BAR 2 is 8192 loads (vfio.read.loads)", () => {
  const rig = patterned();
  const buffer = new Uint8Array(BAR2_SIZE);
  const loads = rig.instructions(() => assertEquals(rig.pread(region(2), BAR2_SIZE, { buffer }), BAR2_SIZE));
  assertEquals(loads.length, BAR2_SIZE / 8);
  assertEquals(buffer.slice(0, 4096), pattern(4096));
});

Deno.test.each([1, 2, 3, 4, 5].map((k) => ({ k })))(
  "load $k of five fails: its errno, no partial count, the bytes before it are there (vfio.read.error)",
  ({ k }) => {
    const rig = patterned();
    const file = rig.process.file(rig.device);
    file.position = region(2) + 3;
    const buffer = new Uint8Array(16).fill(0xa5);
    rig.inject({ kind: "status", status: 12 }, { op: "PCILG", space: 2 }, k);
    let result: Outcome = "";
    const act = () => rig.call(() => rig.process.read(rig.device, buffer, 16), { effect: true });
    const loads = rig.instructions(() => result = act());
    const done = [0, 1, 5, 13, 15][k - 1]!;
    assertEquals([result, loads.length, file.position], ["EIO", k, region(2) + 3]);
    assertEquals(buffer.toHex(), pattern(32).slice(3, 3 + done).toHex() + "a5".repeat(16 - done));
  },
);

Deno.test.each([
  { accessible: 0, loads: 1, whole: 0 },
  { accessible: 1, loads: 2, whole: 1 },
  { accessible: 4, loads: 2, whole: 1 },
  { accessible: 5, loads: 3, whole: 5 },
  { accessible: 12, loads: 3, whole: 5 },
  { accessible: 15, loads: 5, whole: 15 },
])(
  "a buffer of $accessible bytes faults at load $loads, which the device has executed (vfio.read.fault)",
  (row) => {
    const { accessible, loads, whole } = row;
    const rig = patterned();
    const buffer = new Uint8Array(accessible);
    const [lines, result] = loadsOf(rig, region(2) + 3, 16, buffer);
    assertEquals([lines.split(" ").length, result], [loads, "EFAULT"]);
    assertEquals(buffer.slice(0, whole), pattern(32).slice(3, 3 + whole));
  },
);

Deno.test("neither memory decode, bus master nor low power matter to a read (vfio.rw.command, vfio.generic.memory)", () => {
  const rig = Rig.opened("group", { vfn: 0 });
  rig.setConfig(4, 2, 0);
  assertEquals([rig.config(4, 2), rig.pread(region(2), 8)], [0, 8]);
  assertEquals(rig.ioctl(rig.device, 0x3b75, Uint8Array.of(8, 0, 0, 0, 3, 0, 2, 0)), 0);
  assertEquals(rig.pread(region(2), 8), 8);
});

Deno.test("loads of BAR 0 are refused by the device unless the topology wants zeros (ism.data.load)", () => {
  assertEquals(loadsOf(Rig.opened(), 0, 16), ["8@0", "EIO"]);
  assertEquals(loadsOf(Rig.opened("group", { ism: { bar0Loads: "zeros" } }), 0, 16), ["8@0 8@8", 16]);
});

Deno.test("2^48 - 1 with 2 bytes is the last byte of BAR 0; read() then stands at BAR 1 (vfio.rw.corners)", () => {
  const rig = Rig.opened("group", { ism: { bar0Loads: "zeros" } });
  const file = rig.process.file(rig.device);
  file.position = 2 ** 48 - 1;
  const read = () => rig.call(() => rig.process.read(rig.device, new Uint8Array(2), 2));
  assertEquals(rig.instructions(() => assertEquals(read(), 1)), ["PCILG 0 0xffffffffffff 1"]);
  assertEquals(file.position, 0x0001_0000_0000_0000);
  assertEquals([read(), file.position], ["EINVAL", 0x0001_0000_0000_0000]);
});

Deno.test("posted version 4 of the driver reads whole doublewords only (vfio.driver.revision)", () => {
  const rig = Rig.opened("group", { kernel: { driverRevision: "posted-v4" } });
  const accepted = [[0, 8], [8, 16], [BAR2_SIZE - 8, 8], [0, 4096]] as const;
  for (const [offset, count] of accepted) {
    const loads = Array.from({ length: count / 8 }, (_, i) => `8@${(offset + i * 8).toString(16)}`).join(" ");
    assertEquals(loadsOf(rig, region(2) + offset, count), [loads, count]);
  }
  for (const [offset, count] of [[0, 1], [0, 4], [0, 7], [0, 9], [1, 8], [4, 8], [4, 4], [0, 12]] as const) {
    assertEquals(loadsOf(rig, region(2) + offset, count), ["", "EINVAL"], `${count} at ${offset}`);
  }
  assertEquals(rig.pread(region(7), 4), 4, "config space is the core's");
  assertEquals(rig.pwrite(region(2) + 9, 3), 3, "writes are the same");
  assertEquals(rig.pread(region(2) + 1, 0), 0);
});
