/** Signals between functions: sending events, reading them, handling interrupts. */
import { hex } from "../../lib/base/hex.ts";
import type { InterruptWalk } from "../../lib/ism/driver/interrupt_walk.ts";
import type { DriverEvent } from "../../lib/ism/driver/signals.ts";
import { EVENT_CODE, EVENT_TYPE } from "../../lib/ism/protocol.ts";
import {
  argument,
  type Context,
  defaulted,
  defineCommand,
  flag,
  optional,
  required,
  type TextContext,
} from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Table } from "../language/table.ts";
import { renderTable } from "../output/table/text.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { KernelTicks } from "../run/waiting/kernel_ticks.ts";
import { bigNumber, choice, DURATION, GID, number } from "../language/kinds.ts";
import { HIDDEN_EVENTS, hiddenEvents } from "../run/driver/unread_events.ts";
import { waitFor } from "../run/waiting/waiting.ts";
import { plural } from "../output/units.ts";
import { WATCH } from "../language/watching.ts";

/** What the codes of buffer and device events mean (ism.event.codes). */
const CODE_NAMES: Readonly<Record<number, string>> = {
  [EVENT_CODE.GID_ERROR]: "GID in error state",
  [EVENT_CODE.OWNER_ERROR]: "owner in error state",
  [EVENT_CODE.USER_ERROR]: "user in error state",
  [EVENT_CODE.UNREGISTERED]: "DMB unregistered",
  [EVENT_CODE.VLAN_MISMATCH_OWNER]: "VLAN mismatch with owner",
  [EVENT_CODE.VLAN_MISMATCH_USER]: "VLAN mismatch with user",
  [EVENT_CODE.GID_DISABLED]: "GID disabled",
  [EVENT_CODE.USER_DISABLED]: "user disabled",
};
const TYPE_NAMES = ["buffer", "device", "software"];

const EVENTS: Table<{ readonly events: readonly DriverEvent[] }> = {
  columns: [
    { name: "type" },
    { name: "code" },
    { name: "tok", head: "FROM", drop: 1 },
    { name: "info" },
    { name: "time", drop: 2 },
  ],
  rows: ({ events }) =>
    events.map(({ type, code, tok, info, time }) => [
      { value: type, shown: TYPE_NAMES[type] ?? String(type) },
      {
        value: code,
        shown: type === EVENT_TYPE.SOFTWARE ? hex(code) : `${hex(code)} ${CODE_NAMES[code] ?? ""}`.trim(),
      },
      tok,
      info,
      time,
    ]),
  empty: "",
};

function eventsText(
  events: readonly DriverEvent[],
  { terminal, wide }: Pick<TextContext, "terminal" | "wide">,
): string {
  return events.length === 0 ? "" : renderTable(EVENTS.columns, EVENTS.rows({ events }), terminal, { wide });
}

export const signal = defineCommand({
  name: "signal",
  group: "ism",
  summary: "Send a software event to a peer (SIGNAL_IEQ)",
  args: { gid: argument(GID, "the peer's GID") },
  options: {
    code: required(number("CODE", { max: 0xffff_ffff }), "event code"),
    info: defaulted(bigNumber("INFO"), 0n, "64 bits of information"),
    noTrigger: flag("write the event, but leave the interrupt to the next signal"),
  },
  access: "write",
  examples: ["expect RET signal 0x1 --code 5"],
  run({ target }, { gid, code, info, noTrigger }) {
    target.driver.signal(gid, code, info, !noTrigger);
    return { gid: hex(gid), code, info: hex(info) };
  },
});

export const events = defineListing({
  name: "events",
  group: "ism",
  summary: "Take the events out of the IEQ",
  details:
    `Starts the driver (SBA, IEQ, MSI) if it has not started: events are queued from then on. A driver can leave
14 events unread; with 15 its place in the queue is the adapter's again, and it sees none of them.`,
  args: {},
  options: {},
  access: "write",
  examples: ["events", "events -d 1"],
  run({ target }) {
    target.driver.start();
    const hidden_events = hiddenEvents(target);
    return { events: target.driver.takeEvents(), hidden_events };
  },
  text({ events, hidden_events }, context) {
    return hidden_events > 0 ? HIDDEN_EVENTS : eventsText(events, context);
  },
  table: EVENTS,
});

/** Interrupts that a driver can listen to: MSI for DMBs and events, and two by which the kernel tells it something. */
const INDEX = choice("INDEX", ["MSI", "REQ", "ERR"]);
const INDEX_HELP =
  "MSI: signals and events; REQ: the kernel asks for the device, as an unbind does; ERR: an error of the function";

/** Interrupts of index REQ as a walk that finds nothing else. */
function takeRequests({ driver }: HostFunction): InterruptWalk {
  return { interrupts: driver.takeRequests(), dmbs: [], events: [] };
}

/** Interrupts of index ERR, likewise. */
function takeErrorInterrupts({ driver }: HostFunction): InterruptWalk {
  return { interrupts: driver.takeErrorInterrupts(), dmbs: [], events: [] };
}

/** An interrupt walk as the result has it. */
type WalkResult = {
  readonly interrupts: number;
  readonly dmbs: readonly {
    readonly index: number;
    readonly token: string | null;
    readonly mask: string;
    /** The idx of the signalling stores, which the mask has a bit of each for. */
    readonly idx: readonly number[];
  }[];
  readonly events: readonly DriverEvent[];
  readonly hidden_events: number;
};

function walkText({ interrupts, dmbs, events, hidden_events }: WalkResult, context: TextContext): string {
  const lines = [plural(interrupts, "interrupt")];
  for (const { index, token, mask, idx } of dmbs) {
    lines.push(`dmb index ${index}, token ${token ?? "none"}, elements ${mask} (idx ${idx.join(", ")})`);
  }
  if (hidden_events > 0) lines.push(HIDDEN_EVENTS);
  return lines.join("\n") + "\n" + eventsText(events, context);
}

/** @param hidden_events events that the walk could not see */
function walkJson(
  { interrupts, dmbs, events }: InterruptWalk,
  { adapter }: HostFunction,
  hidden = 0,
): WalkResult {
  return {
    interrupts,
    dmbs: dmbs.map(({ index, token, mask }) => ({
      index,
      token: token === undefined ? null : hex(token),
      mask: hex(mask, 4),
      idx: adapter.elementMasks.flatMap((bit, idx) => (mask & bit) === 0 ? [] : [idx]),
    })),
    events,
    hidden_events: hidden,
  };
}

export const irq = defineCommand({
  name: "irq",
  group: "ism",
  summary: "Handle interrupts: take the eventfd's count, DMB signals and events",
  details:
    `With --index REQ the eventfd of the REQ interrupt is installed at the first call, and its count taken: the
kernel signals it when it wants the device back, at once and then every 10 seconds of the machine's clock. With --index
ERR it is that of the ERR interrupt, which Linux has from 7.3 on: signalled once for each error of the function; "recover"
is what a driver does then.`,
  args: {},
  options: { index: defaulted(INDEX, "MSI", INDEX_HELP), ...WATCH },
  access: "write",
  examples: ["irq", "irq -d 1 --json", "irq --index REQ", "irq --index ERR"],
  run({ target }, { index }) {
    if (index === "REQ") return walkJson(takeRequests(target), target);
    if (index === "ERR") return walkJson(takeErrorInterrupts(target), target);
    target.driver.start();
    const hidden = hiddenEvents(target);
    return walkJson(target.driver.handleInterrupt(), target, hidden);
  },
  text: walkText,
  watchKeeps: ({ interrupts, dmbs, events }) => interrupts > 0 || dmbs.length > 0 || events.length > 0,
});

/** One look at the interrupts, in a transaction of its own. */
function takeInterrupts(context: Context): WalkResult | undefined {
  return context.transact((target) => {
    target.driver.start();
    const hidden = hiddenEvents(target);
    const walk = target.driver.handleNextInterrupt();
    return walk === undefined ? undefined : walkJson(walk, target, hidden);
  });
}

export const irqWait = defineCommand({
  name: "irq wait",
  group: "ism",
  summary: "Wait for an interrupt, then handle it",
  details:
    `Inside a script that is one transaction nobody else can send anything, so there is no wait then. With
--index REQ the wait is for the kernel to ask for the device: while an unbind waits it does so every 10 seconds; these
pass at once where nobody else can act.`,
  args: {},
  options: {
    index: defaulted(INDEX, "MSI", INDEX_HELP),
    timeout: optional(DURATION, "give up after this time: seconds, or 500ms, 3m, 1h"),
  },
  access: "wait",
  examples: [
    "expect DRIVER irq wait --timeout 0.5",
    "expect DRIVER irq wait --index REQ --timeout 1",
    "expect DRIVER irq wait --index ERR --timeout 0.5",
  ],
  run: async (context, { index, timeout }) => {
    const timeoutMs = timeout === undefined ? Infinity : timeout * 1000;
    if (index === "REQ") {
      const watch = new KernelTicks(context, (target) => {
        const walk = takeRequests(target);
        return walk.interrupts > 0 ? walkJson(walk, target) : undefined;
      });
      return await waitFor(context, "A request", timeoutMs, () => watch.look(), watch);
    }
    if (index === "ERR") {
      const look = () =>
        context.transact((target) => {
          const walk = takeErrorInterrupts(target);
          return walk.interrupts > 0 ? walkJson(walk, target) : undefined;
        });
      return await waitFor(context, "An error", timeoutMs, look);
    }
    return await waitFor(context, "An interrupt", timeoutMs, () => takeInterrupts(context));
  },
  text: walkText,
});
