/**
 * vfio.write.once: a write of a BAR is one store block or none; vfio.cc.errno: how answers of the machine become
 * errnos.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { WouldHangError } from "../../lib/vfio/s390/would_hang.ts";
import type { FaultKind, FaultOp } from "../../lib/zpci/faults.ts";
import { pattern } from "../support/bytes.ts";
import { BAR2_SIZE, type Outcome, region, Rig } from "../support/kernel.ts";

/** Store blocks of one pwrite, `length@offset` each, and what it returned. */
function storesOf(
  rig: Rig,
  position: number,
  count: number,
  buffer = new Uint8Array(count),
): [string, Outcome] {
  let result: Outcome = "";
  const lines = rig.instructions(() => result = rig.pwrite(position, count, { buffer }));
  return [lines.map((line) => line.replace(/^PCISTB \d 0x(\w+) (\d+)$/, "$2@$1")).join(" "), result];
}

interface Row {
  readonly maxstbl: number;
  readonly offset: number;
  readonly count: number;
  /** The store block, or why there is none. */
  readonly result: string;
}

const ROWS: readonly Row[] = [
  { maxstbl: 4096, offset: 0x1000, count: 1, result: "1@1000" },
  { maxstbl: 4096, offset: 0x1000, count: 4096, result: "4096@1000" },
  { maxstbl: 4096, offset: 0x1000, count: 4097, result: "EINVAL" },
  { maxstbl: 4096, offset: 0x1001, count: 4095, result: "4095@1001" },
  { maxstbl: 4096, offset: 0x1001, count: 4096, result: "EINVAL" },
  { maxstbl: 4096, offset: 0x1ff8, count: 8, result: "8@1ff8" },
  { maxstbl: 4096, offset: 0x1ff8, count: 9, result: "EINVAL" },
  { maxstbl: 4096, offset: 0x1fff, count: 1, result: "1@1fff" },
  { maxstbl: 4096, offset: 0x1fff, count: 2, result: "EINVAL" },
  { maxstbl: 256, offset: 0x1000, count: 256, result: "256@1000" },
  { maxstbl: 256, offset: 0x1000, count: 257, result: "EINVAL" },
  { maxstbl: 256, offset: 0x1f80, count: 128, result: "128@1f80" },
  { maxstbl: 256, offset: 0x1f80, count: 129, result: "EINVAL" },
  { maxstbl: 8, offset: 0x1003, count: 8, result: "8@1003" },
  { maxstbl: 8, offset: 0x1003, count: 9, result: "EINVAL" },
  { maxstbl: 8191, offset: 0x1000, count: 4096, result: "4096@1000" },
  { maxstbl: 8191, offset: 0x1000, count: 4097, result: "EINVAL" },
  { maxstbl: 8191, offset: 0x1000, count: 8191, result: "EINVAL" },
  { maxstbl: 4096, offset: BAR2_SIZE - 10, count: 100, result: "10@fff6" },
  { maxstbl: 4096, offset: BAR2_SIZE - 10, count: 2 ** 20, result: "10@fff6" },
  { maxstbl: 8, offset: BAR2_SIZE - 8, count: 4097, result: "8@fff8" },
  { maxstbl: 8, offset: BAR2_SIZE - 9, count: 9, result: "EINVAL" },
  { maxstbl: 8, offset: BAR2_SIZE - 9, count: 8, result: "8@fff7" },
  { maxstbl: 4096, offset: BAR2_SIZE - 4096, count: 2 ** 20, result: "4096@f000" },
  { maxstbl: 4096, offset: BAR2_SIZE - 4097, count: 2 ** 20, result: "EINVAL" },
  { maxstbl: 4096, offset: BAR2_SIZE - 1, count: 1, result: "1@ffff" },
  { maxstbl: 4096, offset: BAR2_SIZE, count: 1, result: "EINVAL" },
];

Deno.test.each([...ROWS])(
  "$count bytes at $offset of BAR 2, maxstbl $maxstbl: $result (vfio.write.limit)",
  (row) => {
    const rig = Rig.opened("group", { machine: { maxstbl: row.maxstbl } });
    const [stores, returned] = storesOf(rig, region(2) + row.offset, row.count);
    const refused = row.result === "EINVAL";
    assertEquals([stores, returned], refused ? ["", "EINVAL"] : [row.result, parseInt(row.result)]);
  },
);

Deno.test("all distances to a 4 KiB boundary with all lengths around them, exhaustively (vfio.write.boundary)", () => {
  const rig = Rig.opened();
  for (let distance = 1; distance <= 24; distance++) {
    for (let count = 1; count <= 25; count++) {
      const offset = 0x3000 - distance;
      const fits = count <= distance;
      const expected = fits ? [`${count}@${offset.toString(16)}`, count] : ["", "EINVAL"];
      assertEquals<unknown>(storesOf(rig, region(2) + offset, count), expected);
    }
  }
});

Deno.test("the limit and the boundary come before the copy, the copy before the store (vfio.write.order, vfio.write.fault)", () => {
  const rig = Rig.opened();
  const none = new Uint8Array(0);
  assertEquals(storesOf(rig, region(2) + 0x1000, 4097, none), ["", "EINVAL"]);
  assertEquals(storesOf(rig, region(2) + 0x1fff, 2, none), ["", "EINVAL"]);
  assertEquals(storesOf(rig, region(2) + 0x1000, 16, none), ["", "EFAULT"]);
  assertEquals(storesOf(rig, region(2) + 0x1000, 16, new Uint8Array(15)), ["", "EFAULT"]);
  assertEquals(storesOf(rig, region(2) + 0x1000, 16, new Uint8Array(16)), ["16@1000", 16]);
  assertEquals(
    storesOf(rig, region(2) + BAR2_SIZE - 8, 16, new Uint8Array(8)),
    ["8@fff8", 8],
    "clamped before",
  );
  rig.target.fn.disable("standby");
  assertEquals(storesOf(rig, region(2) + 0x1000, 16, none), ["", "EFAULT"], "the machine is asked last");
});

Deno.test("the bytes arrive in ascending order, whatever part of the buffer they come from (vfio.write.order)", () => {
  const rig = Rig.opened();
  const data = pattern(64);
  rig.process.pwrite(rig.device, data, 24, region(2) + 9, 5);
  assertEquals(rig.target.adapter.commandArea.slice(9, 33), data.slice(5, 29));
  assertEquals(rig.target.adapter.commandArea.slice(33, 41), new Uint8Array(8));
});

Deno.test("neither memory decode, bus master nor low power matter to a write (vfio.rw.command, vfio.generic.memory)", () => {
  const rig = Rig.opened("group", { vfn: 0 });
  rig.setConfig(4, 2, 0);
  assertEquals(storesOf(rig, region(2) + 8, 8), ["8@8", 8]);
  assertEquals(rig.ioctl(rig.device, 0x3b75, Uint8Array.of(8, 0, 0, 0, 3, 0, 2, 0)), 0);
  assertEquals(storesOf(rig, region(2) + 8, 8), ["8@8", 8]);
});

/** Answers of the machine that the kernel turns into an errno, for each instruction alike. */
const ANSWERS: readonly { fault: FaultKind; errno: string }[] = [
  ...[4, 8, 12, 16, 20, 24, 28, 36, 40, 44].map((status) => ({
    fault: { kind: "status", status } as const,
    errno: "EIO",
  })),
  { fault: { kind: "invalid-handle" }, errno: "EIO" },
  { fault: { kind: "event", pec: 0x02 }, errno: "EIO" },
  { fault: { kind: "exception", exception: "operand" }, errno: "ENXIO" },
  { fault: { kind: "exception", exception: "specification" }, errno: "ENXIO" },
  { fault: { kind: "exception", exception: "addressing" }, errno: "ENXIO" },
];

/** A pread or a pwrite of BAR 2, and the instruction that it becomes. */
const ACCESSES: readonly { op: FaultOp; act: (rig: Rig) => Outcome }[] = [
  { op: "PCILG", act: (rig) => rig.pread(region(2) + 8, 8, { effect: true }) },
  { op: "PCISTB", act: (rig) => rig.pwrite(region(2) + 8, 8, { effect: true }) },
];

Deno.test("condition codes 1 and 3 are EIO, a program exception is ENXIO, on loads and store blocks (vfio.cc.errno)", () => {
  for (const { op, act } of ACCESSES) {
    for (const { fault, errno } of ANSWERS) {
      const rig = Rig.opened();
      rig.inject(fault, { op, space: 2 });
      assertEquals(act(rig), errno, `${op} ${JSON.stringify(fault)}`);
    }
  }
});

Deno.test("busy is retried until the machine is ready; one that never is, hangs (vfio.cc.busy)", () => {
  for (const { op, act } of ACCESSES) {
    const rig = Rig.opened("group", { kernel: { busyRetryLimit: 20 } });
    const before = rig.host.clock.microseconds;
    rig.inject({ kind: "busy", times: 10 }, { op, space: 2 });
    assertEquals(act(rig), 8);
    assertEquals(rig.host.clock.microseconds - before >= 10, true, "a microsecond each");
    rig.inject({ kind: "busy", times: 1000 }, { op, space: 2 });
    assertThrows(() => act(rig), WouldHangError);
  }
});

Deno.test.each([
  { offset: 8, count: 24, relaxed: 24, strict: 24 },
  { offset: 8, count: 16, relaxed: 16, strict: 16 },
  { offset: 8, count: 8, relaxed: 8, strict: "ENXIO" },
  { offset: 0, count: 8, relaxed: 8, strict: "ENXIO" },
  { offset: 8, count: 20, relaxed: 20, strict: "ENXIO" },
  { offset: 4, count: 16, relaxed: 16, strict: "ENXIO" },
  { offset: 1, count: 1, relaxed: 1, strict: "ENXIO" },
])(
  "relaxed and strict store blocks of $count bytes at $offset: $relaxed, $strict (zpci.pcistb.strict)",
  (row) => {
    for (const storeBlock of ["relaxed", "strict8"]) {
      const rig = Rig.opened("group", { machine: { storeBlock } });
      const expected: Outcome = storeBlock === "relaxed" ? row.relaxed : row.strict;
      const stores = rig.instructions(() =>
        assertEquals(rig.pwrite(region(2) + row.offset, row.count), expected)
      );
      assertEquals(stores.length, 1, "one store block, accepted or not");
    }
  },
);

Deno.test("a stale handle and a disabled function are condition code 3, and so EIO (vfio.cc.errno, zpci.handle.stale)", () => {
  const rig = Rig.opened();
  rig.target.zdev.fh ^= 0x0100_0000;
  assertEquals([rig.pread(region(2), 8), rig.pwrite(region(2), 8)], ["EIO", "EIO"]);
  rig.target.zdev.fh &= 0x7fff_ffff;
  assertEquals([rig.pread(region(2), 8), rig.pwrite(region(2), 8)], ["EIO", "EIO"]);
});

Deno.test("in the error state loads and stores of BARs are EIO, config accesses ENODEV (vfio.cc.errno, vfio.config.gone, recovery.event.state)", () => {
  const rig = Rig.opened();
  rig.target.fn.fail(0x02, 0, true);
  assertEquals([rig.pread(region(2), 8), rig.pwrite(region(2), 8), rig.pwrite(0, 8)], ["EIO", "EIO", "EIO"]);
  assertEquals([rig.pread(region(7) + 8, 4), rig.pwrite(region(7) + 4, 2)], ["ENODEV", "ENODEV"]);
});

Deno.test("the example of a hard-coded 7 << 40 is an access to BAR 0, never to config space (vfio.region.offset)", () => {
  const rig = Rig.opened("group", { ism: { bar0Loads: "zeros" } });
  const position = 7 * 2 ** 40;
  const reads = rig.instructions(() => assertEquals(rig.pread(position, 4), 4));
  assertEquals(reads, ["PCILG 0 0x70000000000 4"]);
  const writes = rig.instructions(() => assertEquals(rig.pwrite(position + 4, 2), "EIO"));
  assertEquals(writes, ["PCISTB 0 0x70000000004 2"]);
});
