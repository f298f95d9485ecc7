/** Facts, zpci.irq.deliver and recovery.event.block: MSI delivery in floating mode, error events. */
import { assertEquals, assertThrows } from "@std/assert";
import { Machine } from "../../tests/support/machine.ts";
import { ProgramException } from "./answer.ts";
import { FUNCTION_STATES, type InterruptRegistration } from "./function.ts";

/** A machine with a page of interrupt bits: summary doubleword at its start, vector bits from byte 64 on. */
function withInterrupts(registration: Partial<InterruptRegistration> = {}) {
  const machine = Machine.enabled();
  const buffer = machine.partition.storage.allocate(4096)!;
  const aisb = buffer.address;
  machine.fn.interrupts = { isc: 2, noi: 16, aibv: aisb + 64, aibvo: 0, aisb, aisbo: 0, ...registration };
  const page = buffer.touch(0, 4096, false);
  return {
    machine,
    page,
    summary: () => page.slice(0, 8).toHex(),
    vectors: () => page.slice(64, 72).toHex(),
  };
}

Deno.test.each([
  { aibvo: 0, vector: 0, bits: "8000000000000000" },
  { aibvo: 0, vector: 7, bits: "0100000000000000" },
  { aibvo: 0, vector: 8, bits: "0080000000000000" },
  { aibvo: 5, vector: 0, bits: "0400000000000000" },
  { aibvo: 48, vector: 15, bits: "0000000000000001" },
])(
  "deliverMsi() sets bit $aibvo + $vector of the vector, MSB first (zpci.irq.deliver)",
  ({ aibvo, vector, bits }) => {
    const { machine, vectors } = withInterrupts({ aibvo });
    machine.fn.raiseMsi(vector);
    assertEquals(vectors(), bits);
  },
);

Deno.test.each([
  { aisbo: 0, bits: "8000000000000000" },
  { aisbo: 9, bits: "0040000000000000" },
  { aisbo: 63, bits: "0000000000000001" },
])("deliverMsi() sets summary bit $aisbo, MSB first (zpci.irq.deliver)", ({ aisbo, bits }) => {
  const { machine, summary } = withInterrupts({ aisbo });
  machine.fn.raiseMsi(0);
  assertEquals(summary(), bits);
});

Deno.test("deliverMsi() interrupts on the isc only if the summary bit was 0 (zpci.irq.deliver)", () => {
  const { machine, page, vectors } = withInterrupts({ isc: 3 });
  machine.fn.raiseMsi(0);
  machine.fn.raiseMsi(1);
  assertEquals(machine.interruptions, [3]);
  assertEquals(vectors(), "c000000000000000", "the vector bit is set all the same");
  page[0] = 0;
  machine.fn.raiseMsi(0);
  assertEquals(machine.interruptions, [3, 3]);
});

Deno.test("deliverMsi() leaves other bits as they are (zpci.irq.deliver)", () => {
  const { machine, page, summary, vectors } = withInterrupts({ aisbo: 1 });
  page.set([0x20], 0);
  page.set([0x0f], 64);
  machine.fn.raiseMsi(0);
  assertEquals([summary(), vectors()], ["6000000000000000", "8f00000000000000"]);
  assertEquals(machine.interruptions, [2], "another function's summary bit does not hold it back");
});

Deno.test("deliverMsi() drops the MSI unless the function is enabled (zpci.irq.deliver)", () => {
  const delivered = FUNCTION_STATES.filter((state) => {
    const { machine, page } = withInterrupts();
    machine.fn.state = state;
    machine.fn.raiseMsi(0);
    assertEquals(page.some((byte) => byte !== 0), machine.interruptions.length === 1);
    return machine.interruptions.length === 1;
  });
  assertEquals(delivered, ["enabled"]);
});

Deno.test("deliverMsi() drops the MSI while no interrupts are registered, and vectors beyond noi (zpci.irq.deliver)", () => {
  const { machine, page } = withInterrupts({ noi: 2 });
  machine.fn.raiseMsi(2);
  machine.fn.interrupts = undefined;
  machine.fn.raiseMsi(0);
  assertEquals([machine.interruptions, page.every((byte) => byte === 0)], [[], true]);
});

Deno.test("fail() puts the function into the error state once and reports the event (recovery.event.block, recovery.event.state)", () => {
  const machine = Machine.enabled();
  const { fn, device } = machine;
  fn.fail(0x02, 0x1_2345_6000, true);
  fn.fail(0x02, 0x1_2345_6000, true);
  const event = { fh: fn.fh, fid: 0x10, pec: 0x02, address: 0x1_2345_6000, write: true };
  assertEquals<unknown>(machine.errors, [event]);
  assertEquals([fn.state, device.log], ["error", ["reset error"]]);
});

Deno.test("fail() means nothing to a function that is not enabled", () => {
  const machine = new Machine();
  machine.fn.fail(0x02, 0, true);
  assertEquals([machine.fn.state, machine.errors], ["disabled", []]);
});

Deno.test("SIC mode 1 lets one interruption come, and the next one after it was issued again (zpci.irq.sic)", () => {
  const { machine, page, vectors } = withInterrupts({ isc: 2 });
  const signal = (vector: number) => {
    page[0] = 0;
    machine.fn.raiseMsi(vector);
    return machine.interruptions.length;
  };
  machine.partition.setInterruptionControls(1, 2);
  assertEquals([signal(0), signal(1), signal(2)], [1, 1, 1]);
  assertEquals(vectors(), "e000000000000000", "the bits are set all the same, for the next scan");
  machine.partition.setInterruptionControls(1, 2);
  assertEquals(machine.interruptions.length, 1, "arming alone interrupts nobody");
  assertEquals([signal(3), signal(4)], [2, 2]);
  machine.partition.setInterruptionControls(0, 2);
  assertEquals([signal(5), signal(6)], [3, 4], "mode 0: every one");
});

Deno.test("SIC is for one interruption subclass (zpci.irq.sic)", () => {
  const { machine, page } = withInterrupts({ isc: 3 });
  machine.partition.setInterruptionControls(1, 2);
  for (const vector of [0, 1]) {
    page[0] = 0;
    machine.fn.raiseMsi(vector);
  }
  assertEquals(machine.interruptions, [3, 3]);
});

Deno.test("SIC takes no mode of CPU-directed delivery (zpci.irq.sic, zpci.mpcifc.directed)", () => {
  const { partition } = new Machine();
  for (const mode of [2, 4, 16, 17, 18]) {
    const error = assertThrows(() => partition.setInterruptionControls(mode, 2), ProgramException);
    assertEquals(error.exception, "operand");
  }
});

Deno.test("byFid() and byHandle() find each of several functions and nothing else (zpci.handle.stale)", () => {
  const machine = new Machine();
  const { partition, fn } = machine;
  const second = partition.addFunction({ ...fn.identity, fid: 0x11 }, fn.group);
  assertEquals([partition.byFid(0x10) === fn, partition.byFid(0x11) === second], [true, true]);
  assertEquals(partition.byFid(0x12), undefined);
  assertEquals([partition.byHandle(1) === fn, partition.byHandle(2) === second], [true, true]);
  assertEquals([partition.byHandle(0), partition.byHandle(3)], [undefined, undefined]);
});
