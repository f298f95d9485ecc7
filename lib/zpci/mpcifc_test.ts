/** Facts, docs/reference/zpci/functions.md, zpci/instructions.md and zpci/controls.md: MPCIFC, STPCIFC and RPCIT. */
import { assertEquals } from "@std/assert";
import { Machine, outcome } from "../../tests/support/machine.ts";
import { FIB } from "./fib.ts";
import { FUNCTION_STATES } from "./function.ts";
import { mpcifc, rpcit, stpcifc } from "./mpcifc.ts";

// Operation codes of zpci.mpcifc.operations, as numbers: the test names what the operand holds.
const REGISTER_INTERRUPTS = 2;
const DEREGISTER_INTERRUPTS = 3;
const REGISTER_IOAT = 4;
const DEREGISTER_IOAT = 5;
const REREGISTER_IOAT = 6;
const RESET_ERROR = 7;
const RESET_BLOCK = 9;
const SET_MEASUREMENT_BLOCK = 10;

const SDMA = 0x1_0000_0000;
const EDMA = 0x1_ffff_ffff;

function modify(
  machine: Machine,
  operation: number,
  fib: Parameters<typeof FIB.encode>[0] = {},
  dmaSpace = 0,
): string {
  const { processor, fn } = machine;
  return outcome(processor, () => mpcifc(processor, fn.fh, operation, FIB.encode(fib), dmaSpace));
}

Deno.test("MPCIFC 2 registers interrupts once, 3 takes them back once (zpci.mpcifc.sequence)", () => {
  const machine = Machine.enabled();
  assertEquals(modify(machine, DEREGISTER_INTERRUPTS), "cc 1 status 24");
  const fib = { interrupts: 0x2003_0582, aibv: 0x10_0008, aisb: 0x10_0000 };
  assertEquals(modify(machine, REGISTER_INTERRUPTS, fib), "cc 0");
  const registered = { isc: 2, noi: 3, aibv: 0x10_0008, aibvo: 5, aisb: 0x10_0000, aisbo: 2 };
  assertEquals<unknown>(machine.fn.interrupts, registered);
  assertEquals(modify(machine, REGISTER_INTERRUPTS, { ...fib, aibv: 0x20_0000 }), "cc 1 status 24");
  assertEquals<unknown>(machine.fn.interrupts, registered);
  assertEquals(modify(machine, DEREGISTER_INTERRUPTS), "cc 0");
  assertEquals(modify(machine, DEREGISTER_INTERRUPTS), "cc 1 status 24");
});

Deno.test("MPCIFC 4, 5 and 6 register, deregister and re-register translation (zpci.insn.status, zpci.mpcifc.ioat)", () => {
  const machine = Machine.enabled();
  const { tables, iota } = machine.tables();
  const other = machine.tables();
  const range = { pba: SDMA, pal: EDMA + 4096 };
  assertEquals(modify(machine, DEREGISTER_IOAT), "cc 1 status 24");
  assertEquals(modify(machine, REREGISTER_IOAT, { ...range, iota }), "cc 1 status 24");
  assertEquals(modify(machine, REGISTER_IOAT, { ...range, iota }), "cc 0");
  assertEquals(machine.fn.ioat?.tables === tables, true);
  assertEquals(modify(machine, REGISTER_IOAT, { ...range, iota: other.iota }), "cc 1 status 24");
  assertEquals(machine.fn.ioat?.tables === tables, true);
  assertEquals(modify(machine, REREGISTER_IOAT, { ...range, iota: other.iota }), "cc 0");
  assertEquals(machine.fn.ioat?.tables === other.tables, true);
  assertEquals(modify(machine, DEREGISTER_IOAT), "cc 0");
  assertEquals(machine.fn.ioat, undefined);
});

Deno.test.each([
  { pft: 0, pba: SDMA, pal: EDMA, answer: "cc 0" },
  { pft: 0, pba: SDMA - 4096, pal: EDMA, answer: "operand exception" },
  { pft: 0, pba: SDMA, pal: EDMA + 4096, answer: "operand exception" },
  { pft: 5, pba: SDMA, pal: EDMA + 4096, answer: "cc 0" },
  { pft: 5, pba: SDMA, pal: EDMA + 2 * 4096, answer: "operand exception" },
  { pft: 5, pba: SDMA - 4096, pal: EDMA + 4096, answer: "operand exception" },
  { pft: 5, pba: EDMA + 1, pal: EDMA, answer: "operand exception" },
])(
  "MPCIFC 4 wants DMA addresses inside sdma to edma, one page more for ISM: pft $pft, $pba to $pal (zpci.mpcifc.ioat)",
  ({ pft, pba, pal, answer }) => {
    const machine = Machine.enabled({}, { pft });
    const { iota } = machine.tables();
    assertEquals(modify(machine, REGISTER_IOAT, { pba, pal, iota }), answer);
    assertEquals(machine.fn.ioat !== undefined, answer === "cc 0");
  },
);

Deno.test("MPCIFC 4 rounds pba and pal to pages (zpci.mpcifc.ioat)", () => {
  const machine = Machine.enabled({}, { pft: 0 });
  const { iota } = machine.tables();
  assertEquals(modify(machine, REGISTER_IOAT, { pba: SDMA + 0x1001, pal: SDMA + 0x5000, iota }), "cc 0");
  assertEquals([machine.fn.ioat?.pba, machine.fn.ioat?.pal], [SDMA + 0x1000, SDMA + 0x5fff]);
});

Deno.test.each([
  { what: "translation on, region-third table", flags: 0x804, answer: "cc 0" },
  { what: "translation off", flags: 0x004, answer: "operand exception" },
  { what: "a segment table", flags: 0x800, answer: "operand exception" },
  { what: "a region-second table", flags: 0x808, answer: "operand exception" },
])(
  "MPCIFC 4 expects an iota with translation on and type 1: $what (zpci.mpcifc.ioat)",
  ({ flags, answer }) => {
    const machine = Machine.enabled();
    const iota = machine.tables().iota - 0x804 + flags;
    assertEquals(modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota }), answer);
  },
);

Deno.test("MPCIFC 4 and 6 in the error state: recovery in progress, whatever is registered or asked for (zpci.mpcifc.error)", () => {
  const after = (operation: number, isRegistered: boolean, pba: number) =>
    (["enabled", "blocked", "error", "permanent-error"] as const).map((state) => {
      const machine = Machine.enabled();
      const { iota } = machine.tables();
      if (isRegistered) modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota });
      machine.fn.state = state;
      const answer = modify(machine, operation, { pba, pal: EDMA + 4096, iota });
      assertEquals(machine.fn.ioat !== undefined, isRegistered || answer === "cc 0");
      return answer;
    });
  const status24 = "cc 1 status 24";
  const status40 = "cc 1 status 40";
  assertEquals(after(REGISTER_IOAT, false, SDMA), ["cc 0", "cc 0", status40, "cc 3"]);
  assertEquals(after(REGISTER_IOAT, true, SDMA), [status24, status24, status40, "cc 3"]);
  assertEquals(after(REREGISTER_IOAT, false, SDMA), [status24, status24, status40, "cc 3"]);
  assertEquals(after(REREGISTER_IOAT, true, SDMA), ["cc 0", "cc 0", status40, "cc 3"]);
  const exception = "operand exception";
  assertEquals(after(REGISTER_IOAT, false, 0), [exception, exception, status40, "cc 3"]);
});

Deno.test("MPCIFC 7 and 9 lead out of the error state, and are sequence errors elsewhere (zpci.state.table)", () => {
  const after = (operation: number) =>
    (["enabled", "blocked", "error", "permanent-error"] as const).map((state) => {
      const machine = Machine.enabled();
      machine.fn.state = state;
      return `${state}: ${modify(machine, operation)}, ${machine.fn.state}`;
    });
  assertEquals(after(RESET_ERROR), [
    "enabled: cc 1 status 24, enabled",
    "blocked: cc 0, enabled",
    "error: cc 0, enabled",
    "permanent-error: cc 3, permanent-error",
  ]);
  assertEquals(after(RESET_BLOCK), [
    "enabled: cc 1 status 24, enabled",
    "blocked: cc 1 status 24, blocked",
    "error: cc 0, blocked",
    "permanent-error: cc 3, permanent-error",
  ]);
});

Deno.test("MPCIFC 10 sets the measurement block, shown by STPCIFC, until address 0 or a disable (zpci.request.format, zpci.mpcifc.measurement)", () => {
  const machine = Machine.enabled();
  const { processor, fn } = machine;
  const shown = () => {
    const fib = new Uint8Array(80);
    stpcifc(processor, fn.fh, fib);
    return fib.slice(64, 72).toHex();
  };
  assertEquals(shown(), "0000000000000000");
  assertEquals(modify(machine, SET_MEASUREMENT_BLOCK, { fmba: 0x12_3400 }), "cc 0");
  assertEquals([fn.measurementBlock, shown()], [0x12_3400, "0000000000123400"]);
  assertEquals(modify(machine, SET_MEASUREMENT_BLOCK, { fmba: 0x56_7800 }), "cc 0", "again and again");
  const other = Machine.enabled();
  other.fn.restore(JSON.parse(JSON.stringify(fn.save())));
  assertEquals(other.fn.measurementBlock, 0x56_7800);
  assertEquals(modify(machine, SET_MEASUREMENT_BLOCK, { fmba: 0 }), "cc 0");
  assertEquals(fn.measurementBlock, undefined);
  modify(machine, SET_MEASUREMENT_BLOCK, { fmba: 0x12_3400 });
  fn.disable();
  assertEquals(fn.measurementBlock, undefined);
});

Deno.test("MPCIFC with another DMA address space than 0 is status 28 and does nothing (zpci.request.spaces, zpci.insn.status, zpci.mpcifc.request)", () => {
  const machine = Machine.enabled();
  const { iota } = machine.tables();
  const fib = { pba: SDMA, pal: EDMA + 4096, iota, interrupts: 0x2001_0000, fmba: 4096 };
  for (const dmaSpace of [1, 255]) {
    for (const operation of [2, 3, 4, 5, 6, 7, 9, 10]) {
      assertEquals(modify(machine, operation, fib, dmaSpace), "cc 1 status 28");
    }
  }
  const { interrupts, ioat, measurementBlock } = machine.fn;
  assertEquals([interrupts, ioat, measurementBlock], [undefined, undefined, undefined]);
  assertEquals(modify(machine, REGISTER_IOAT, fib, 0), "cc 0");
});

Deno.test("MPCIFC answers each state as zpci.state.table says", () => {
  const answers = FUNCTION_STATES.map((state) => {
    const machine = new Machine();
    if (!["reserved", "standby", "disabled"].includes(state)) machine.fn.enable();
    machine.fn.state = state;
    return `${state}: ${modify(machine, REGISTER_INTERRUPTS, { interrupts: 0x2001_0000 })}`;
  });
  assertEquals(answers, [
    "reserved: cc 3",
    "standby: cc 3",
    "disabled: cc 3",
    "enabled: cc 0",
    "blocked: cc 0",
    "error: cc 0",
    "permanent-error: cc 3",
  ]);
});

Deno.test("MPCIFC with an unknown operation or another FIB format is an operand exception (zpci.insn.exceptions)", () => {
  const machine = Machine.enabled();
  for (const operation of [0, 1, 8, 11, 15, 18, 255]) {
    assertEquals(modify(machine, operation), "operand exception");
  }
  assertEquals(modify(machine, RESET_ERROR, { format: 1 }), "operand exception");
});

Deno.test("STPCIFC stores the function controls of each state (zpci.stpcifc.controls, zpci.stpcifc.cc)", () => {
  const answers = FUNCTION_STATES.map((state) => {
    const machine = new Machine();
    if (!["reserved", "standby", "disabled"].includes(state)) machine.fn.enable();
    machine.fn.state = state;
    const fib = new Uint8Array(80);
    const { processor, fn } = machine;
    return `${state}: ${outcome(processor, () => stpcifc(processor, fn.fh, fib))}, 0x${fib[8]!.toString(16)}`;
  });
  assertEquals(answers, [
    "reserved: cc 3, 0x0",
    "standby: cc 3, 0x0",
    "disabled: cc 0, 0x0",
    "enabled: cc 0, 0x80",
    "blocked: cc 0, 0xc0",
    "error: cc 0, 0xe0",
    "permanent-error: cc 1 status 8, 0x0",
  ]);
});

Deno.test("STPCIFC shows 0x10 while translation is registered (zpci.state.table)", () => {
  const machine = Machine.enabled();
  const controls = () => {
    const fib = new Uint8Array(80);
    stpcifc(machine.processor, machine.fn.fh, fib);
    return fib[8];
  };
  modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota: machine.tables().iota });
  assertEquals(controls(), 0x90);
  modify(machine, DEREGISTER_IOAT);
  assertEquals(controls(), 0x80);
});

Deno.test.each(
  [
    { what: "nothing in use", inUse: [], state: "enabled" },
    { what: "an address just before the range", inUse: [[SDMA, 4096]], state: "enabled" },
    { what: "an address just behind the range", inUse: [[SDMA + 0x3000, 4096]], state: "enabled" },
    { what: "the first byte in use", inUse: [[SDMA, 4097]], state: "error" },
    { what: "the last byte in use", inUse: [[SDMA + 0x2fff, 4096]], state: "error" },
  ] as const,
)(
  "RPCIT over a range with $what leaves state $state (zpci.rpcit.inuse, zpci.rpcit.refresh)",
  ({ inUse, state }) => {
    const machine = translated();
    machine.device.inUse = inUse;
    const { processor, fn } = machine;
    const answer = outcome(processor, () => rpcit(processor, fn.fh, SDMA + 0x1000, 0x2000));
    assertEquals([fn.state, answer], [state, state === "error" ? "cc 1 status 8" : "cc 0"]);
    assertEquals(machine.errors.map(({ pec }) => pec), state === "error" ? [0x02] : []);
  },
);

Deno.test.each([
  { what: "its first page", iova: SDMA, length: 4096, pec: undefined },
  { what: "a range that begins before it", iova: SDMA - 4096, length: 8192, pec: undefined },
  { what: "a range that ends before it", iova: SDMA - 4096, length: 4096, pec: 0x02 },
  { what: "its last byte, one page more for ISM", iova: EDMA + 4096, length: 1, pec: undefined },
  { what: "a range behind it", iova: EDMA + 4097, length: 4096, pec: 0x02 },
])(
  "RPCIT over the registered range: $what (zpci.rpcit.inuse, recovery.event.codes)",
  ({ iova, length, pec }) => {
    const machine = translated();
    const { processor, fn } = machine;
    assertEquals(
      outcome(processor, () => rpcit(processor, fn.fh, iova, length)),
      pec === undefined ? "cc 0" : "cc 1 status 8",
    );
    assertEquals(machine.errors.map((event) => event.pec), pec === undefined ? [] : [pec]);
  },
);

Deno.test("RPCIT without registered translation is event 0x01 and the error state (recovery.event.codes)", () => {
  const machine = Machine.enabled();
  const { processor, fn } = machine;
  assertEquals(outcome(processor, () => rpcit(processor, fn.fh, SDMA, 4096)), "cc 1 status 8");
  assertEquals([fn.state, machine.errors.map(({ pec }) => pec)], ["error", [0x01]]);
});

/** An enabled machine with translation registered from SDMA to EDMA, one page more as Linux does for ISM. */
function translated(): Machine {
  const machine = Machine.enabled();
  modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota: machine.tables().iota });
  return machine;
}

Deno.test("RPCIT over a range in use is an error also while the range is mapped (zpci.rpcit.inuse)", () => {
  const machine = Machine.enabled();
  const { tables, iota } = machine.tables();
  modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota });
  const buffer = machine.partition.storage.allocate(8192)!;
  tables.insert({ iova: SDMA, size: 8192, read: true, write: true, buffer, bufferOffset: 0 });
  machine.device.inUse = [[SDMA + 4096, 4096]];
  rpcit(machine.processor, machine.fn.fh, SDMA, 8192);
  assertEquals(machine.fn.state, "error");
});

Deno.test("RPCIT answers each state: recovery in progress is status 40 (zpci.state.table, zpci.insn.status, zpci.rpcit.outside)", () => {
  const answers = FUNCTION_STATES.map((state) => {
    const machine = ["reserved", "standby", "disabled"].includes(state) ? new Machine() : translated();
    machine.fn.state = state;
    const { processor, fn } = machine;
    return `${state}: ${outcome(processor, () => rpcit(processor, fn.fh, SDMA, 4096))}`;
  });
  assertEquals(answers, [
    "reserved: cc 3",
    "standby: cc 3",
    "disabled: cc 3",
    "enabled: cc 0",
    "blocked: cc 0",
    "error: cc 1 status 40",
    "permanent-error: cc 3",
  ]);
});

Deno.test("STPCIFC gives back what MPCIFC registered, and zeros when it is gone (zpci.mpcifc.fib)", () => {
  const machine = Machine.enabled();
  const { processor, fn } = machine;
  const stored = () => {
    const fib = new Uint8Array(80).fill(0xff, 0, 1);
    assertEquals(outcome(processor, () => stpcifc(processor, fn.fh, fib)), "cc 0");
    return fib.toHex();
  };
  const { iota } = machine.tables();
  const interrupts = 0x2005_0a8b;
  modify(machine, REGISTER_IOAT, { pba: SDMA, pal: EDMA + 4096, iota });
  modify(machine, REGISTER_INTERRUPTS, { interrupts, aibv: 0x1234_5678, aisb: 0x9abc_def0 });
  const words = [SDMA, EDMA + 4096, iota].map((word) => word.toString(16).padStart(16, "0")).join("");
  assertEquals(
    stored(),
    "0000000000000000" + "9000000000000000" + words + "20050a8b00000000" + "0000000012345678" +
      "000000009abcdef0" + "00".repeat(16),
  );
  modify(machine, DEREGISTER_IOAT);
  modify(machine, 3);
  assertEquals(stored(), "00".repeat(8) + "80" + "00".repeat(71));
});

Deno.test("STPCIFC and MPCIFC with a short block are specification exceptions (zpci.insn.opcodes)", () => {
  const { processor, fn } = Machine.enabled();
  const short = new Uint8Array(79);
  assertEquals(outcome(processor, () => stpcifc(processor, fn.fh, short)), "specification exception");
  assertEquals(outcome(processor, () => mpcifc(processor, fn.fh, 7, short)), "specification exception");
});
