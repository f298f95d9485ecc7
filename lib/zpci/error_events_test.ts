/** Facts, docs/reference/zpci/functions.md and recovery.md: error event codes and the states that follow from them. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { Machine } from "../../tests/support/machine.ts";
import { errorBlock, PEC, pecText, reportError } from "./error_events.ts";
import { FUNCTION_STATES } from "./function.ts";

/** Codes of recovery.event.codes with the state of an enabled function afterwards. */
const CODES: readonly (readonly [pec: number, state: string])[] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13].map((pec) => [pec, "error"] as const),
  ...[0x2a, 0x2b, 0x2c].map((pec) => [pec, "enabled"] as const),
  [0x30, "error"],
  [0x3a, "error"],
  [0x3b, "permanent-error"],
  [0x40, "permanent-error"],
];

Deno.test("PEC has the event codes of recovery.event.codes, each with a text of its own", () => {
  assertEquals(Object.values<number>(PEC), CODES.map(([pec]) => pec));
  assertEquals(new Set(CODES.map(([pec]) => pecText(pec))).size, CODES.length);
  for (const [pec] of CODES) assertNotEquals(pecText(pec), pecText(0x77));
});

for (const [pec, state] of [...CODES, [0x77, "error"] as const]) {
  Deno.test(`event 0x${pec.toString(16)} leaves an enabled function ${state} (zpci.state.table, recovery.event.codes)`, () => {
    const { fn, device, errors } = Machine.enabled();
    assertEquals(reportError(fn, pec, 0x1_2345_6000, false), true);
    assertEquals<unknown>([fn.state, device.log], [state, state === "enabled" ? [] : ["reset error"]]);
    assertEquals(errors, [{ fh: fn.fh, fid: 0x10, pec, address: 0x1_2345_6000, write: false }]);
  });
}

Deno.test("reportError() is for functions that are enabled; in the error state more events come (zpci.state.table)", () => {
  const after = (pec: number) =>
    FUNCTION_STATES.map((state) => {
      const { fn, device, errors } = Machine.enabled();
      fn.state = state;
      const reported = reportError(fn, pec, 0, true);
      assertEquals(errors.length, reported ? 1 : 0);
      return `${state}: ${reported ? fn.state : "none"}${device.log.length > 0 ? ", reset" : ""}`;
    });
  assertEquals(after(0x3a), [
    "reserved: none",
    "standby: none",
    "disabled: none",
    "enabled: error, reset",
    "blocked: error, reset",
    "error: error",
    "permanent-error: none",
  ]);
  assertEquals(after(0x3b).slice(3), [
    "enabled: permanent-error, reset",
    "blocked: permanent-error, reset",
    "error: permanent-error",
    "permanent-error: none",
  ]);
  assertEquals(after(0x2a).slice(3), [
    "enabled: enabled",
    "blocked: blocked",
    "error: error",
    "permanent-error: none",
  ]);
});

Deno.test("errorBlock() lays an event out as recovery.event.block has it", () => {
  const event = { fh: 0x8100_0001, fid: 0x10, pec: 0x3a, address: 0x1_2345_6000, write: true };
  assertEquals(
    errorBlock(event).toHex(),
    "00000000" + "81000001" + "00000010" + "00000001" + "0000000123456000" + "000000000000" + "003a",
  );
  assertEquals(errorBlock({ ...event, write: false }).toHex().slice(24, 32), "00000000");
});
