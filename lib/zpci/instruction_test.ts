/**
 * Facts, docs/reference/zpci/instructions.md and zpci/functions.md: PCILG, PCISTG and PCISTB. Lengths are in
 * access_rules_test.ts.
 */
import { FaultPlan } from "./faults.ts";
import { assertEquals } from "@std/assert";
import { Machine, outcome } from "../../tests/support/machine.ts";
import { bytes, pattern } from "../../tests/support/bytes.ts";
import { FUNCTION_STATES, MODEL } from "./function.ts";

interface Access {
  fh: number;
  space: number;
  offset: number;
  length: number;
}

const OPS = {
  PCILG: ({ processor }: Machine, { fh, space, offset, length }: Access) =>
    processor.pcilg(fh, space, offset, length),
  PCISTG: ({ processor }: Machine, { fh, space, offset, length }: Access) =>
    processor.pcistg(fh, space, offset, length, new Uint8Array(8)),
  PCISTB: ({ processor }: Machine, { fh, space, offset, length }: Access) =>
    processor.pcistb(fh, space, offset, length, new Uint8Array(length)),
} as const;
type Op = keyof typeof OPS;

function attempt(machine: Machine, op: Op, access: Partial<Access>): string {
  const full = { fh: machine.fn.fh, space: 2, offset: 0, length: 8, ...access };
  return outcome(machine.processor, () => OPS[op](machine, full));
}

/** The checks of zpci.insn.order that can fail, in their order: what provokes each and what it answers. */
const CHECKS = [
  { name: "3 enable bit", access: { clear: true }, PCILG: "cc 3", PCISTB: "cc 3" },
  { name: "4 unknown handle", access: { stale: true }, PCILG: "cc 3", PCISTB: "cc 3" },
  { name: "5 error state", access: { error: true }, PCILG: "cc 1 status 12", PCISTB: "cc 1 status 12" },
  { name: "6 address space", access: { space: 6 }, PCILG: "cc 1 status 20", PCISTB: "cc 1 status 20" },
  {
    name: "7 length",
    access: { length: 5000 },
    PCILG: "operand exception",
    PCISTB: "specification exception",
  },
  { name: "8 range", access: { offset: 0x2000 }, PCILG: "operand exception", PCISTB: "operand exception" },
  { name: "10 device", access: { answer: 36 }, PCILG: "cc 1 status 36", PCISTB: "cc 1 status 36" },
] as const;

for (const [i, first] of CHECKS.entries()) {
  for (const second of CHECKS.slice(i + 1)) {
    Deno.test.each(["PCILG", "PCISTG", "PCISTB"] as const)(
      `%s: check ${first.name} wins over check ${second.name} (zpci.insn.order)`,
      (op) => {
        const machine = Machine.enabled();
        const { clear, stale, error, answer, ...access }: Partial<Access> & {
          clear?: boolean;
          stale?: boolean;
          error?: boolean;
          answer?: number;
        } = { ...second.access, ...first.access };
        if (error) machine.fn.state = "error";
        if (answer !== undefined) machine.device.answer = answer;
        let { fh } = machine.fn;
        if (clear) fh -= 0x8000_0000;
        if (stale) fh += 0x0100_0000;
        assertEquals(attempt(machine, op, { fh, ...access }), first[op === "PCISTB" ? "PCISTB" : "PCILG"]);
        assertEquals(machine.device.log, []);
      },
    );
  }
}

Deno.test("loads and stores answer each state as zpci.state.table says", () => {
  for (const op of ["PCILG", "PCISTG", "PCISTB"] as const) {
    const answers = FUNCTION_STATES.map((state) => {
      const machine = new Machine();
      if (!["reserved", "standby", "disabled"].includes(state)) machine.fn.enable();
      machine.fn.state = state;
      return `${state}: ${attempt(machine, op, {})}`;
    });
    assertEquals(answers, [
      "reserved: cc 3",
      "standby: cc 3",
      "disabled: cc 3",
      "enabled: cc 0",
      "blocked: cc 0",
      "error: cc 1 status 12",
      "permanent-error: cc 1 status 12",
    ]);
  }
});

Deno.test("address spaces 6 to 14 are status 20, for PCISTB also 15 (zpci.request.spaces, zpci.insn.order)", () => {
  for (let space = 0; space <= 15; space++) {
    const machine = Machine.enabled({}, { barExponents: [48, 12, 12, 12, 12, 12] });
    const barOrInvalid = space <= 5 ? "cc 0" : "cc 1 status 20";
    for (const op of ["PCILG", "PCISTG"] as const) {
      assertEquals(attempt(machine, op, { space, length: 4 }), space === 15 ? "cc 0" : barOrInvalid);
    }
    assertEquals(attempt(machine, "PCISTB", { space }), barOrInvalid);
  }
});

Deno.test.each([
  { what: "the last doubleword of BAR 4", access: { space: 4, offset: 8, length: 8 }, answer: "cc 0" },
  { what: "past BAR 4", access: { space: 4, offset: 16, length: 8 }, answer: "operand exception" },
  { what: "the last doubleword of BAR 0", access: { space: 0, offset: 2 ** 48 - 8 }, answer: "cc 0" },
  { what: "past BAR 0", access: { space: 0, offset: 2 ** 48 }, answer: "operand exception" },
  { what: "the absent BAR 1", access: { space: 1, length: 1 }, answer: "operand exception" },
])("the target must lie inside its space: $what (zpci.insn.order)", ({ access, answer }) => {
  const machine = Machine.enabled();
  for (const op of ["PCILG", "PCISTG", "PCISTB"] as const) {
    assertEquals(attempt(machine, op, access), answer);
  }
});

Deno.test("config space ends after its last word (zpci.insn.order)", () => {
  const machine = Machine.enabled();
  for (const op of ["PCILG", "PCISTG"] as const) {
    assertEquals(attempt(machine, op, { space: 15, offset: 252, length: 4 }), "cc 0");
    assertEquals(attempt(machine, op, { space: 15, offset: 256, length: 4 }), "operand exception");
  }
});

Deno.test("a PCISTB that begins inside a BAR and ends outside stores nothing (zpci.insn.order)", () => {
  const machine = Machine.enabled();
  assertEquals(attempt(machine, "PCISTB", { space: 4, offset: 8, length: 9 }), "operand exception");
  assertEquals(machine.device.log, []);
});

Deno.test("the device's answer becomes a condition code with status, or an exception (zpci.insn.order, zpci.insn.cc)", () => {
  for (const op of ["PCILG", "PCISTG", "PCISTB"] as const) {
    const answers = [MODEL.OK, 36, 20, MODEL.BUSY, MODEL.NOT_ACCESSIBLE].map((answer) => {
      const machine = Machine.enabled();
      machine.device.answer = answer;
      return attempt(machine, op, {});
    });
    assertEquals(answers, ["cc 0", "cc 1 status 36", "cc 1 status 20", "cc 2", "operand exception"]);
  }
});

Deno.test("busy answers are injected n times, then the access happens (zpci.insn.busy)", () => {
  const machine = Machine.enabled();
  machine.processor.faults = new FaultPlan();
  machine.processor.faults.add({ kind: "busy", times: 2 }, {}, 1);
  const answers = [1, 2, 3].map(() => attempt(machine, "PCISTB", { length: 1 }));
  assertEquals(answers, ["cc 2", "cc 2", "cc 0"]);
  assertEquals(machine.device.log, ["block 2 0x0 00"]);
});

Deno.test("an injected condition code comes with its status, after the checks (zpci.insn.order, zpci.insn.status)", () => {
  const machine = Machine.enabled();
  machine.processor.faults = new FaultPlan();
  machine.processor.faults.add({ kind: "status", status: 40 }, { op: "PCILG" }, 1);
  assertEquals(attempt(machine, "PCILG", {}), "cc 1 status 40");
  assertEquals(attempt(machine, "PCILG", { length: 9 }), "operand exception");
  assertEquals(machine.device.log, []);
});

Deno.test("PCILG gives config bytes 14 10 as 0x1410 (zpci.insn.bytes)", () => {
  const machine = Machine.enabled();
  attempt(machine, "PCILG", { space: 15, length: 2 });
  assertEquals(machine.processor.register.toHex(), "0000000000001410");
  attempt(machine, "PCILG", { space: 15, length: 4 });
  assertEquals(machine.processor.register.toHex(), "000000001410ed04");
});

Deno.test("PCILG right-aligns 1 to 8 bytes and zeroes those above (zpci.insn.bytes)", () => {
  const machine = Machine.enabled();
  machine.device.memory.set(bytes("f1f2f3f4f5f6f7f8"));
  for (let length = 8; length >= 1; length--) {
    attempt(machine, "PCILG", { offset: 8 - length, length });
    const expected = "f1f2f3f4f5f6f7f8".slice(16 - length * 2).padStart(16, "0");
    assertEquals(machine.processor.register.toHex(), expected);
  }
});

Deno.test("PCISTG stores the low-order bytes of the register in address order (zpci.pcilg.register)", () => {
  const machine = Machine.enabled();
  const { processor, fn, device } = machine;
  const value = bytes("f1f2f3f4f5f6f7f8");
  for (const length of [1, 2, 3, 4, 8]) processor.pcistg(fn.fh, 2, 0, length, value);
  assertEquals(device.log, [
    "store 2 0x0 f8",
    "store 2 0x0 f7f8",
    "store 2 0x0 f6f7f8",
    "store 2 0x0 f5f6f7f8",
    "store 2 0x0 f1f2f3f4f5f6f7f8",
  ]);
  processor.pcistg(fn.fh, 15, 4, 2, bytes("0000000000000601"));
  assertEquals([device.config.read(4), device.config.read(5)], [0x06, 0x01]);
});

Deno.test("PCISTB hands over the source bytes as they are, as one operation (zpci.pcistb.relaxed, zpci.insn.bytes, zpci.pcistb.atomic)", () => {
  const machine = Machine.enabled();
  const source = pattern(4096);
  machine.processor.pcistb(machine.fn.fh, 0, 4096 + 3, 1001, source);
  assertEquals(machine.device.log, [`block 0 0x1003 ${source.slice(0, 1001).toHex()}`]);
});
