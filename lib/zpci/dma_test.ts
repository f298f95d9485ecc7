/** Facts, docs/reference/zpci/controls.md and recovery.md, zpci.dma.order: a device's way into storage. */
import { assertEquals } from "@std/assert";
import { Machine } from "../../tests/support/machine.ts";
import { pattern } from "../../tests/support/bytes.ts";
import { DMA } from "./dma.ts";
import { FUNCTION_STATES } from "./function.ts";
import type { MachineOptions } from "./options.ts";

const SDMA = 0x1_0000_0000;
const EDMA = 0x1_ffff_ffff;

/** A function with bus master on and four mapped pages at SDMA, from byte 4096 of an eight-page buffer on. */
function wired(
  { pft = 5, pal = EDMA + 4096, write = true, at = SDMA } = {},
  options: Partial<MachineOptions> = {},
) {
  const machine = Machine.enabled({}, { pft }, options);
  const { fn, device, partition } = machine;
  device.config.write(4, 0x06);
  const { tables } = machine.tables();
  fn.ioat = { origin: 0, tables, pba: SDMA, pal };
  const buffer = partition.storage.allocate(8 * 4096)!;
  tables.insert({ iova: at, size: 4 * 4096, read: true, write, buffer, bufferOffset: 4096 });
  const bytes = buffer.touch(0, buffer.size, false);
  return { machine, fn, device, dma: fn.dma, tables, buffer, bytes };
}

Deno.test("write() puts bytes where the mapping leads, and marks the page dirty (zpci.dma.order)", () => {
  const { dma, bytes, buffer, machine } = wired();
  assertEquals(dma.write(SDMA + 0x1ff0, pattern(16)), DMA.OK);
  assertEquals(bytes.slice(0x2ff0, 0x3000), pattern(16));
  assertEquals(bytes.filter((byte) => byte !== 0).length, pattern(16).filter((byte) => byte !== 0).length);
  assertEquals([...buffer.dirtyPages()], [0x2000]);
  assertEquals(machine.errors, []);
});

Deno.test.each([
  { what: "its first byte", iova: SDMA, length: 1, outcome: DMA.OK },
  { what: "its last page", iova: SDMA + 0x3000, length: 4096, outcome: DMA.OK },
  { what: "one byte behind it", iova: SDMA + 0x3001, length: 4096, outcome: DMA.FAULT },
  { what: "the page behind it", iova: SDMA + 0x4000, length: 1, outcome: DMA.FAULT },
])("write() reaches mapped addresses only: $what (zpci.dma.order)", ({ iova, length, outcome }) => {
  const { dma, fn, bytes, machine } = wired();
  assertEquals(dma.reaches(iova, length), outcome === DMA.OK);
  assertEquals(machine.errors, [], "asking does not fault");
  assertEquals(dma.write(iova, pattern(length)), outcome);
  assertEquals(fn.state, outcome === DMA.OK ? "enabled" : "error");
  if (outcome === DMA.FAULT) assertEquals(bytes.every((byte) => byte === 0), true, "nothing moved");
});

Deno.test("write() outside the registered range is event 0x02 and the error state (recovery.event.codes, zpci.dma.fault)", () => {
  const { dma, fn, machine, device } = wired();
  assertEquals(dma.write(SDMA - 4096, pattern(8)), DMA.FAULT);
  const event = { fh: fn.fh, fid: 0x10, pec: 0x02, address: SDMA - 4096, write: true };
  assertEquals<unknown>(machine.errors, [event]);
  assertEquals([fn.state, device.log], ["error", ["reset error"]]);
});

Deno.test.each([
  {
    what: "ISM, limit one page up as Linux does",
    pft: 5,
    pal: EDMA + 4096,
    iova: EDMA - 4095,
    reached: true,
  },
  { what: "ISM, the page above", pft: 5, pal: EDMA + 4096, iova: EDMA + 1, reached: false },
  { what: "ISM, limit not corrected", pft: 5, pal: EDMA, iova: EDMA - 4095, reached: false },
  { what: "ISM, limit not corrected, page below", pft: 5, pal: EDMA, iova: EDMA - 8191, reached: true },
  { what: "another type", pft: 0, pal: EDMA, iova: EDMA - 4095, reached: true },
  { what: "another type, the page above", pft: 0, pal: EDMA, iova: EDMA + 1, reached: false },
])("the limit is off by one page for ISM alone: $what (zpci.mpcifc.ioat)", ({ pft, pal, iova, reached }) => {
  const { dma } = wired({ pft, pal, at: EDMA + 1 - 2 * 4096 });
  assertEquals(dma.reaches(iova, 4096), reached);
});

Deno.test("write() to a mapping that the device may only read is a fault (recovery.event.codes, zpci.dma.fault, vfio.dma.direction)", () => {
  const { dma, fn, bytes, machine } = wired({ write: false });
  assertEquals(dma.write(SDMA, pattern(8)), DMA.FAULT);
  assertEquals([fn.state, machine.errors.length], ["error", 1]);
  assertEquals(bytes.every((byte) => byte === 0), true);
});

/** Each way in which a device write can have no translation, and the event code for it. */
const FAULTS = [
  { what: "outside the registered range", iova: SDMA - 4096, write: true, registered: true, pec: 0x02 },
  { what: "to an unmapped page", iova: SDMA + 0x4000, write: true, registered: true, pec: 0x04 },
  { what: "to a page that may only be read", iova: SDMA, write: false, registered: true, pec: 0x04 },
  { what: "without registered translation", iova: SDMA, write: true, registered: false, pec: 0x01 },
] as const;

Deno.test.each([...FAULTS])(
  "write() $what is an error event, or lost by choice (recovery.event.codes, zpci.dma.fault)",
  (row) => {
    for (const unmappedDma of ["error-state", "discard"] as const) {
      const { dma, fn, machine, device, bytes } = wired({ write: row.write }, { unmappedDma });
      if (!row.registered) fn.ioat = undefined;
      const outcome = dma.write(row.iova, pattern(8));
      assertEquals(bytes.every((byte) => byte === 0), true, "nothing moved");
      const pecs = machine.errors.map(({ pec }) => pec);
      assertEquals<unknown>(
        [outcome, fn.state, pecs, device.log],
        unmappedDma === "discard"
          ? [DMA.DISCARDED, "enabled", [], []]
          : [DMA.FAULT, "error", [row.pec], ["reset error"]],
      );
    }
  },
);

Deno.test("write() without bus master moves nothing and is no error (vfio.dma.busmaster)", () => {
  const { dma, fn, device, bytes, machine } = wired();
  device.config.write(4, 0x02);
  assertEquals(dma.write(SDMA, pattern(8)), DMA.BLOCKED);
  assertEquals([fn.state, machine.errors, bytes.every((byte) => byte === 0)], ["enabled", [], true]);
  dma.enforceBusMaster = false;
  assertEquals(dma.write(SDMA, pattern(8)), DMA.OK);
});

Deno.test("no state but enabled has DMA (zpci.state.table, recovery.event.state)", () => {
  const reached = FUNCTION_STATES.filter((state) => {
    const { dma, fn, bytes } = wired();
    fn.state = state;
    const outcome = dma.write(SDMA, pattern(8));
    assertEquals(bytes.some((byte) => byte !== 0), outcome === DMA.OK);
    return outcome === DMA.OK;
  });
  assertEquals(reached, ["enabled"]);
});

Deno.test("a change of the tables counts for the next access, not later (zpci.dma.order)", () => {
  const { dma, tables, machine, fn } = wired();
  assertEquals(dma.write(SDMA, pattern(8)), DMA.OK);
  tables.remove(SDMA);
  assertEquals(dma.reaches(SDMA, 8), false);
  const other = machine.partition.storage.allocate(4096)!;
  tables.insert({ iova: SDMA, size: 4096, read: true, write: true, buffer: other, bufferOffset: 0 });
  assertEquals(dma.write(SDMA, pattern(8, 2)), DMA.OK);
  assertEquals(other.touch(0, 8, false).slice(0, 8), pattern(8, 2));
  const empty = machine.tables().tables;
  empty.generation = tables.generation;
  fn.ioat = { ...fn.ioat!, tables: empty };
  assertEquals(dma.reaches(SDMA, 8), false, "other tables, other mappings");
});
