/**
 * docs/reference/vfio/interrupts.md and recovery.md: each error event in each situation: block, ERR, mark, state,
 * uevents; for both releases and for 7.3 without the zdev option.
 */
import { assertEquals } from "@std/assert";
import type { TraceEvent } from "../../lib/base/trace.ts";
import { reportError } from "../../lib/zpci/error_events.ts";
import { IOCTL, Rig, words } from "../support/kernel.ts";

/** Codes of recovery.event.codes by what they mean to the kernel. */
const CODES = {
  ordinary: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 0x30, 0x3a, 0x77],
  measurement: [0x2a, 0x2b, 0x2c],
  lost: [0x3b, 0x40],
} as const;
type Kind = keyof typeof CODES;

interface Row {
  readonly driver: "open" | "closed" | "ism" | "none";
  readonly codes: Kind;
  readonly marked?: true;
  readonly queued: number;
  readonly signals: number;
  readonly reaction: string;
  readonly channel: string;
  readonly state: string;
  readonly uevents: readonly string[];
}

const BEGIN = "BEGIN_RECOVERY";
const RECOVERED = {
  reaction: "recovered",
  channel: "normal",
  state: "enabled",
  uevents: [BEGIN, "SUCCESSFUL_RECOVERY"],
};
const GIVEN_UP = { reaction: "permanent-failure", channel: "permanent-failure", uevents: [] };
const LOGGED = { reaction: "logged", channel: "normal", state: "enabled", uevents: [] };

/** What does not depend on who recovers. */
const COMMON: readonly Row[] = [
  { driver: "closed", codes: "ordinary", queued: 0, signals: 0, ...RECOVERED },
  { driver: "closed", codes: "measurement", queued: 0, signals: 0, ...LOGGED },
  { driver: "closed", codes: "lost", queued: 0, signals: 0, ...GIVEN_UP, state: "permanent-error" },
  { driver: "ism", codes: "ordinary", queued: 0, signals: 0, ...GIVEN_UP, state: "error" },
  { driver: "ism", codes: "measurement", queued: 0, signals: 0, ...LOGGED },
  { driver: "ism", codes: "lost", queued: 0, signals: 0, ...GIVEN_UP, state: "permanent-error" },
  { driver: "none", codes: "ordinary", queued: 0, signals: 0, ...GIVEN_UP, state: "error" },
  { driver: "none", codes: "lost", queued: 0, signals: 0, ...GIVEN_UP, state: "permanent-error" },
];

/** An open function: `blocks` and `signals` are 1 where user space is told so. */
function open(blocks: number, signals: number): Row[] {
  const told = { queued: blocks, signals };
  const inProgress = { reaction: "left-to-user-space", channel: "frozen", state: "error", uevents: [BEGIN] };
  return [
    { driver: "open", codes: "ordinary", ...told, ...(blocks === 1 ? inProgress : RECOVERED) },
    { driver: "open", codes: "measurement", queued: 0, signals: 0, ...LOGGED },
    { driver: "open", codes: "lost", ...told, ...GIVEN_UP, state: "permanent-error" },
    {
      driver: "open",
      codes: "ordinary",
      marked: true,
      ...told,
      ...GIVEN_UP,
      reaction: "skipped",
      state: "error",
    },
    { driver: "open", codes: "lost", marked: true, ...told, ...GIVEN_UP, state: "permanent-error" },
  ];
}

const HOSTS = [
  { name: "7.3", kernel: { release: "7.3" }, hasErr: true, rows: [...COMMON, ...open(1, 1)] },
  {
    name: "7.3 without zdev",
    kernel: { release: "7.3", capabilityChain: false },
    hasErr: true,
    rows: [...COMMON, ...open(0, 1)],
  },
  { name: "7.1", kernel: { release: "7.1" }, hasErr: false, rows: [...COMMON, ...open(0, 0)] },
];

/**
 * A function in the hands that a row names (recovery.event.signals, recovery.event.uevents), and the eventfd of its ERR
 * interrupt.
 */
function situation({ driver, marked }: Row, kernel: Record<string, unknown>, hasErr: boolean) {
  const rig = driver === "open" ? Rig.opened("group", { kernel }) : new Rig({ kernel });
  const binding = rig.target.guest.kernel.binding(rig.target.zdev);
  if (driver === "ism" || driver === "none") binding.unbind();
  if (driver === "ism") binding.override = undefined;
  if (driver === "ism") binding.probe();
  if (marked) rig.target.zdev.pci.channel = "permanent-failure";
  const eventfd = rig.process.eventfd();
  if (driver === "open" && hasErr) {
    rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 3, 0, 1, eventfd));
  }
  return { rig, binding, eventfd };
}

for (const { name, kernel, hasErr, rows } of HOSTS) {
  Deno.test.each(rows.map((row) => ({ ...row, mark: row.marked === true ? " and given up" : "" })))(
    `${name}: $codes events of a function, driver: $driver$mark: $reaction`,
    (row) => {
      for (const pec of CODES[row.codes]) {
        const { rig, binding, eventfd } = situation(row, kernel, hasErr);
        const uevents: unknown[] = [];
        const enter = (event: TraceEvent) => {
          if (event.layer === "irq" && event.op === "uevent") uevents.push(event.args["ERROR_EVENT"]);
        };
        rig.host.tracer.sink = { enter, leave: () => {} };
        reportError(rig.target.fn, pec, 0x1_0000_0000, true);
        rig.host.tracer.sink = undefined;
        assertEquals({
          reaction: rig.target.guest.kernel.events.lastReaction,
          channel: rig.target.zdev.pci.channel,
          state: rig.target.fn.state,
          queued: binding.errors.events.length,
          signals: rig.signals(eventfd),
          uevents,
        }, {
          reaction: row.reaction,
          channel: row.channel,
          state: row.state,
          queued: row.queued,
          signals: row.signals,
          uevents: [...row.uevents],
        }, `event 0x${pec.toString(16)}`);
      }
    },
  );
}

Deno.test("a recovery that fails gives the function up, and tells the driver once more (recovery.event.order, recovery.event.signals)", () => {
  const kernel = { capabilityChain: false };
  const { rig, eventfd } = situation({ ...HOSTS[1]!.rows[0]!, driver: "open" }, kernel, true);
  rig.host.faults.add({ kind: "status", status: 40 }, { op: "MPCIFC" }, 1);
  rig.host.faults.add({ kind: "status", status: 40 }, { op: "MPCIFC" }, 2);
  rig.host.applyFaults();
  reportError(rig.target.fn, 0x3a, 0, true);
  assertEquals(rig.target.guest.kernel.events.lastReaction, "permanent-failure");
  assertEquals([rig.signals(eventfd), rig.target.zdev.pci.channel], [2, "permanent-failure"]);
});

Deno.test("an event that was raised before a RESET and is handled after it is stale (recovery.event.stale)", () => {
  const { rig, binding, eventfd } = situation({ ...HOSTS[0]!.rows[0]!, driver: "open" }, {}, true);
  const { fh } = rig.target.fn;
  rig.process.ioctl(rig.device, IOCTL.RESET);
  const { kernel } = rig.target.guest;
  kernel.errorEvent({ fh, fid: 0x10, pec: 0x3a, address: 0, write: true });
  assertEquals([kernel.events.lastReaction, binding.errors.events, rig.signals(eventfd)], ["stale", [], 0]);
});

Deno.test("the last close says how many blocks nobody has read (recovery.queue.life)", () => {
  for (const [events, said] of [[0, []], [1, [1]], [4, [4]], [6, [4]]] as const) {
    const rig = Rig.opened();
    for (let i = 0; i < events; i++) reportError(rig.target.fn, 0x3a, 0, true);
    const unread: unknown[] = [];
    const enter = (event: TraceEvent) => {
      if (event.layer === "irq" && event.op === "kernel-message") unread.push(event.args["unread"]);
    };
    rig.host.tracer.sink = { enter, leave: () => {} };
    rig.close();
    assertEquals<unknown>(unread, said);
  }
});

Deno.test("one worker: what waits for a function holds up its guest's other functions, and is there after a restart (recovery.lock.wait)", () => {
  const rig = Rig.opened("group", { functions: 2 });
  const other = rig.host.functions[1]!;
  const { kernel } = rig.target.guest;
  kernel.binding(rig.target.zdev).unbind();
  reportError(rig.target.fn, 0x3a, 0, true);
  reportError(other.fn, 0x3a, 0, true);
  assertEquals([kernel.events.pending.length, other.fn.state], [2, "error"]);
  const again = rig.host.fork();
  for (const host of [rig.host, again]) {
    const [first, second] = host.functions;
    const { process } = host.guests[0]!.kernel;
    process.close(rig.device);
    assertEquals(first!.zdev.pci.channel, "permanent-failure", "without a driver by now");
    assertEquals(second!.fn.state, "enabled", "nobody has it open: the kernel recovers");
    assertEquals(host.guests[0]!.kernel.events.pending, []);
  }
});
