import { assertEquals, assertThrows } from "@std/assert";
import { ProgramException } from "./answer.ts";
import { type FaultKind, type FaultMatch, FaultPlan } from "./faults.ts";
import { Machine } from "../../tests/support/machine.ts";

/** A plan with one fault, asked about PCISTB of 8 bytes at the given offsets of BAR 2 of function 0x10. */
function ask(
  fault: FaultKind,
  match: FaultMatch,
  at: number,
  offsets: readonly number[],
): (number | undefined)[] {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add(fault, match, at);
  return offsets.map((offset) => plan.before("PCISTB", machine.fn, 2, offset, 8));
}

const CC3: FaultKind = { kind: "invalid-handle" };

Deno.test("FaultPlan.before() strikes at the n-th matching access, once", () => {
  assertEquals(ask(CC3, {}, 1, [0, 0, 0]), [3, undefined, undefined]);
  assertEquals(ask(CC3, {}, 3, [0, 0, 0, 0]), [undefined, undefined, 3, undefined]);
});

Deno.test("FaultPlan.before() answers busy as often as asked, then lets the access happen", () => {
  assertEquals(ask({ kind: "busy", times: 2 }, {}, 2, [0, 0, 0, 0]), [undefined, 2, 2, undefined]);
});

Deno.test("FaultPlan.before() packs the status code above the condition code", () => {
  assertEquals(ask({ kind: "status", status: 36 }, {}, 1, [0]), [1 | 36 << 8]);
});

Deno.test.each([
  { match: { op: "PCISTB" }, hits: true },
  { match: { op: "PCILG" }, hits: false },
  { match: { fid: 0x10 }, hits: true },
  { match: { fid: 0x11 }, hits: false },
  { match: { space: 2 }, hits: true },
  { match: { space: 0 }, hits: false },
  // The access covers offsets 100 to 107.
  { match: { from: 107 }, hits: true },
  { match: { from: 108 }, hits: false },
  { match: { to: 100 }, hits: true },
  { match: { to: 99 }, hits: false },
  { match: { from: 50, to: 99 }, hits: false },
  { match: { from: 50, to: 100 }, hits: true },
] as { match: FaultMatch; hits: boolean }[])(
  "FaultPlan.before() matches $match: $hits",
  ({ match, hits }) => {
    assertEquals(ask(CC3, match, 1, [100]), [hits ? 3 : undefined]);
  },
);

Deno.test("FaultPlan.before() throws the exception that is asked for", () => {
  const error = assertThrows(
    () => ask({ kind: "exception", exception: "operand" }, {}, 1, [0]),
    ProgramException,
  );
  assertEquals(error.exception, "operand");
});

Deno.test("FaultPlan.before() lets the access happen with an event about the measurement block (recovery.event.codes)", () => {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add({ kind: "event", pec: 0x2b }, {}, 1);
  assertEquals(plan.before("PCISTB", machine.fn, 2, 0x40, 8), undefined);
  assertEquals([machine.fn.state, machine.errors.map(({ pec }) => pec)], ["enabled", [0x2b]]);
});

Deno.test("FaultPlan.before() with a permanent error loses the function (recovery.event.codes)", () => {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add({ kind: "event", pec: 0x40 }, {}, 1);
  assertEquals(plan.before("PCILG", machine.fn, 2, 0x40, 8), 1 | 12 << 8);
  assertEquals([machine.fn.state, machine.errors[0]?.write], ["permanent-error", false]);
});

Deno.test("FaultPlan.before() puts the function into the error state for an event (recovery.event.state)", () => {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add({ kind: "event", pec: 0x3a }, {}, 1);
  assertEquals(plan.before("PCISTB", machine.fn, 2, 0x40, 8), 1 | 12 << 8);
  assertEquals(machine.fn.state, "error");
  assertEquals(machine.errors.map(({ pec, address }) => ({ pec, address })), [{ pec: 0x3a, address: 0x40 }]);
});

Deno.test.each([
  { bit: 0, data: "8000" },
  { bit: 7, data: "0100" },
  { bit: 15, data: "0001" },
  { bit: 16, data: "0000" },
])("FaultPlan.corrupt() inverts bit $bit of two bytes, once", ({ bit, data }) => {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add({ kind: "flip", bit }, {}, 1);
  plan.before("PCISTB", machine.fn, 2, 0, 2);
  const bytes = new Uint8Array(4);
  plan.corrupt(bytes, 1, 2);
  assertEquals(bytes.toHex(), `00${data}00`);
  plan.before("PCISTB", machine.fn, 2, 0, 2);
  plan.corrupt(bytes, 1, 2);
  assertEquals(bytes.toHex(), `00${data}00`);
});

Deno.test("FaultPlan.clear() removes one fault or all", () => {
  const plan = new FaultPlan();
  const first = plan.add(CC3, {}, 1);
  plan.add(CC3, {}, 2);
  assertEquals(plan.clear(first), 1);
  assertEquals(plan.clear(first), 0);
  assertEquals(plan.clear(), 1);
  assertEquals(plan.faults, []);
});

Deno.test("FaultPlan continues from its state where it was", () => {
  const machine = Machine.enabled();
  const plan = new FaultPlan();
  plan.add(CC3, {}, 3);
  plan.before("PCILG", machine.fn, 2, 0, 8);
  plan.before("PCILG", machine.fn, 2, 0, 8);
  const copy = new FaultPlan();
  copy.restore(JSON.parse(JSON.stringify(plan.save())));
  assertEquals(copy.before("PCILG", machine.fn, 2, 0, 8), 3);
  assertEquals(copy.add(CC3, {}, 1), 2);
});
