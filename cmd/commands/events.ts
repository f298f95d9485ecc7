/** Signals between functions: sending events, reading them, handling interrupts. */
import { hex } from "../../lib/base/hex.ts";
import type { InterruptWalk } from "../../lib/ism/driver/driver.ts";
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
} from "../language/command.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { bigNumber, choice, GID, number, SECONDS } from "../language/kinds.ts";
import { renderTable, type Style } from "../output/terminal.ts";
import { type Timer, waitFor } from "../run/waiting.ts";
import { plural } from "../output/units.ts";

/** What the codes of buffer and device events mean (zPCI sheet 9.3). */
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

function eventsText(events: readonly DriverEvent[], style: Style): string {
  const rows = events.map(({ type, code, tok, info, time }) => [
    TYPE_NAMES[type] ?? String(type),
    type === EVENT_TYPE.SOFTWARE ? hex(code) : `${hex(code)} ${CODE_NAMES[code] ?? ""}`.trim(),
    tok,
    info,
    time,
  ]);
  return renderTable([["TYPE", "CODE", "FROM", "INFO", "TIME"], ...rows], style);
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

export const events = defineCommand({
  name: "events",
  group: "ism",
  summary: "Take the events out of the IEQ",
  details: `Starts the driver (SBA, IEQ, MSI) if it has not started: events are queued from then on.`,
  args: {},
  options: {},
  access: "write",
  examples: ["events", "events -d 1"],
  run({ target }) {
    target.driver.start();
    return { events: target.driver.takeEvents() };
  },
  text: ({ events }, { terminal }) => events.length === 0 ? "" : eventsText(events, terminal.style),
});

/** Interrupts that a driver can listen to: MSI for DMBs and events, REQ by which the kernel asks for the device. */
const INDEX = choice("INDEX", ["MSI", "REQ"]);
const INDEX_HELP = "MSI: signals and events; REQ: the kernel asks for the device, as an unbind does";

/** Interrupts of index REQ as a walk that finds nothing else. */
function takeRequests({ driver }: HostFunction): InterruptWalk {
  return { interrupts: driver.takeRequests(), dmbs: [], events: [] };
}

function walkText({ interrupts, dmbs, events }: InterruptWalk, style: Style): string {
  const lines = [plural(interrupts, "interrupt")];
  for (const { index, token, mask } of dmbs) {
    lines.push(
      `dmb index ${index}, token ${token === undefined ? "none" : hex(token)}, elements ${hex(mask, 4)}`,
    );
  }
  return lines.join("\n") + "\n" + (events.length === 0 ? "" : eventsText(events, style));
}

function walkJson({ interrupts, dmbs, events }: InterruptWalk) {
  return {
    interrupts,
    dmbs: dmbs.map(({ index, token, mask }) => ({
      index,
      token: token === undefined ? null : hex(token),
      mask: hex(mask, 4),
    })),
    events,
  };
}

function fromJson(result: ReturnType<typeof walkJson>): InterruptWalk {
  return {
    ...result,
    dmbs: result.dmbs.map(({ index, token, mask }) => ({
      index,
      token: token === null ? undefined : Number(token),
      mask: Number(mask),
    })),
  };
}

export const irq = defineCommand({
  name: "irq",
  group: "ism",
  summary: "Handle interrupts: take the eventfd's count, DMB signals and events",
  details:
    `With --index REQ the eventfd of the REQ interrupt is installed at the first call, and its count taken: the
kernel signals it when it wants the device back, at once and then every 10 seconds of the machine's clock.`,
  args: {},
  options: { index: defaulted(INDEX, "MSI", INDEX_HELP) },
  access: "write",
  examples: ["irq", "irq -d 1 --json", "irq --index REQ"],
  run({ target }, { index }) {
    if (index === "REQ") return walkJson(takeRequests(target));
    target.driver.start();
    return walkJson(target.driver.handleInterrupt());
  },
  text: (result, { terminal }) => walkText(fromJson(result), terminal.style),
});

/** One look at the interrupts, in a transaction of its own. */
function takeInterrupts(context: Context): InterruptWalk | undefined {
  return context.transact(({ driver }) => {
    driver.start();
    return driver.handleNextInterrupt();
  });
}

/** Looks for requests, and for when the kernel will make the next one. */
class RequestWatch implements Timer {
  readonly #context: Context;
  #dueMs: number | undefined = undefined;
  #fired = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** One look, in a transaction of its own; the machine's clock goes on to the time that was waited for. */
  look(): InterruptWalk | undefined {
    return this.#context.transact((target, { clock }) => {
      const { kernel } = target.guest;
      const due = kernel.nextTick;
      if (this.#fired && due !== undefined && due > clock.microseconds) clock.microseconds = due;
      this.#fired = false;
      const walk = takeRequests(target);
      const next = kernel.nextTick;
      this.#dueMs = next === undefined ? undefined : (next - clock.microseconds) / 1000;
      return walk.interrupts > 0 ? walk : undefined;
    });
  }

  dueMs(): number | undefined {
    return this.#dueMs;
  }

  fire(): void {
    this.#fired = true;
  }
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
    timeout: optional(SECONDS, "give up after this many seconds"),
  },
  access: "wait",
  examples: ["expect DRIVER irq wait --timeout 0.5", "expect DRIVER irq wait --index REQ --timeout 1"],
  run: async (context, { index, timeout }) => {
    const timeoutMs = timeout === undefined ? Infinity : timeout * 1000;
    if (index === "REQ") {
      const watch = new RequestWatch(context);
      return walkJson(await waitFor(context, "A request", timeoutMs, () => watch.look(), watch));
    }
    return walkJson(await waitFor(context, "An interrupt", timeoutMs, () => takeInterrupts(context)));
  },
  text: (result, { terminal }) => walkText(fromJson(result), terminal.style),
});
