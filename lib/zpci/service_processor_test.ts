/** Facts, zpci.sclp.responses and recovery.avail.codes: what is possible in which state, and what it leads to. */
import { assertEquals } from "@std/assert";
import { Machine } from "../../tests/support/machine.ts";
import { FUNCTION_STATES, type FunctionState } from "./function.ts";
import {
  AVAILABILITY,
  availabilityBlock,
  availabilityText,
  changeAvailability,
  isAvailabilityEvent,
  SCLP,
  sclp,
} from "./service_processor.ts";

/** A machine whose function is in a state, with what the partition hears of availability. */
function inState(state: FunctionState) {
  const machine = Machine.enabled();
  const heard: string[] = [];
  const { partition, fn, device } = machine;
  partition.kernel = {
    ...partition.kernel!,
    availabilityEvent: ({ fh, fid, pec }) =>
      heard.push(`0x${pec.toString(16)} ${fh === fn.fh ? "fh" : fh} ${fid}`),
  };
  if (["reserved", "standby", "disabled"].includes(state)) fn.disable(state);
  else fn.state = state;
  device.log.length = 0;
  return { partition, fn, device, heard };
}

const answers = (command: (typeof SCLP)[keyof typeof SCLP]) =>
  FUNCTION_STATES.map((state) => {
    const { partition, fn } = inState(state);
    return `${state}: 0x${sclp(partition, command, 0x10).toString(16).padStart(4, "0")}, ${fn.state}`;
  });

Deno.test("SCLP configure answers each state: done from standby, nothing to do when configured (zpci.sclp.responses, zpci.sclp.states)", () => {
  assertEquals(SCLP.CONFIGURE, 0x001a0001);
  assertEquals(answers(SCLP.CONFIGURE), [
    "reserved: 0x05f0, reserved",
    "standby: 0x0020, disabled",
    "disabled: 0x0120, disabled",
    "enabled: 0x0120, enabled",
    "blocked: 0x0120, blocked",
    "error: 0x0120, error",
    "permanent-error: 0x0120, permanent-error",
  ]);
});

Deno.test("SCLP deconfigure answers each state: the way out of a permanent error (zpci.sclp.responses)", () => {
  assertEquals(SCLP.DECONFIGURE, 0x001b0001);
  assertEquals(answers(SCLP.DECONFIGURE), [
    "reserved: 0x05f0, reserved",
    "standby: 0x0120, standby",
    "disabled: 0x0020, standby",
    "enabled: 0x0020, standby",
    "blocked: 0x0020, standby",
    "error: 0x0020, standby",
    "permanent-error: 0x0020, standby",
  ]);
});

Deno.test("SCLP knows PCI adapters and functions of the partition only (zpci.sclp.responses, zpci.sclp.block)", () => {
  const { partition, fn } = inState("standby");
  assertEquals(sclp(partition, SCLP.CONFIGURE, 0x11), 0x09f0);
  assertEquals(sclp(partition, SCLP.CONFIGURE, 0x10, 1), 0x06f0);
  assertEquals(fn.state, "standby");
  assertEquals(sclp(partition, SCLP.CONFIGURE, 0x10, 2), 0x0020);
});

Deno.test("SCLP deconfigure resets the device and leaves a handle without the enable bit (zpci.handle.change)", () => {
  const { partition, fn, device } = inState("enabled");
  sclp(partition, SCLP.DECONFIGURE, 0x10);
  assertEquals([device.log, fn.fh >= 0x8000_0000], [["reset disable"], false]);
});

/** What an availability event does in each state: the state afterwards, or "none". */
function changes(pec: number, to?: FunctionState): string[] {
  return FUNCTION_STATES.map((state) => {
    const { fn, heard } = inState(state);
    const done = changeAvailability(fn, pec, to);
    const names = pec === AVAILABILITY.RESCAN ? "0 0" : "fh 16";
    assertEquals(
      heard,
      done ? [`0x${pec.toString(16)} ${names}`] : [],
      "told afterwards, with the new handle",
    );
    return `${state}: ${done ? fn.state : "none"}`;
  });
}
const SAME = FUNCTION_STATES.map((state) => `${state}: ${state}`);
const NONE = FUNCTION_STATES.map((state) => `${state}: none`);
const CONFIGURED = ["disabled", "enabled", "blocked", "error", "permanent-error"] as const;

Deno.test("availability events change states as recovery.avail.codes says (zpci.state.reserved)", () => {
  assertEquals(changes(0x0301), ["reserved: disabled", "standby: disabled", ...SAME.slice(2)]);
  assertEquals(changes(0x0302), ["reserved: standby", ...NONE.slice(1)]);
  assertEquals(changes(0x0303), SAME);
  assertEquals(changes(0x0304), [...NONE.slice(0, 2), ...CONFIGURED.map((state) => `${state}: standby`)]);
  assertEquals(changes(0x0304, "reserved"), [
    ...NONE.slice(0, 2),
    ...CONFIGURED.map((state) => `${state}: reserved`),
  ]);
  assertEquals(changes(0x0306), SAME);
  assertEquals(changes(0x0308), ["reserved: none", "standby: reserved", ...NONE.slice(2)]);
  assertEquals(changes(0x0305), NONE);
});

Deno.test("AVAILABILITY has the codes of recovery.avail.codes, each with a text of its own", () => {
  const codes = [0x0301, 0x0302, 0x0303, 0x0304, 0x0306, 0x0308];
  assertEquals(Object.values<number>(AVAILABILITY), codes);
  assertEquals(new Set([...codes, 0x0305].map(availabilityText)).size, 7);
  assertEquals([0x0300, ...codes, 0x0305, 0x0307].filter(isAvailabilityEvent), codes);
});

Deno.test("availabilityBlock() lays an event out as recovery.avail.codes has it", () => {
  const block = availabilityBlock({ fh: 0x0100_0001, fid: 0x10, pec: 0x0304 });
  assertEquals(block.toHex(), "00000000" + "01000001" + "00000010" + "00".repeat(18) + "0304");
});
