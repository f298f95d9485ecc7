/**
 * Fault sweep: a driver's whole life is run again and again, and each time another instruction fails, in each of the
 * ways in which instructions fail. Whatever fails, the caller sees the errno of vfio.cc.errno, the function is in the
 * state of zpci.state.table, nothing else breaks, and everything can be taken down and used again.
 */
import { assert, assertEquals } from "@std/assert";
import { type InstructionEvent, isAccess } from "../lib/base/trace.ts";
import { isMpcifc, operationOf } from "./support/events.ts";
import { Host } from "../lib/host/host.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { CommandError, DriverError } from "../lib/ism/driver/errors.ts";
import type { FaultKind } from "../lib/zpci/faults.ts";
import type { FunctionState } from "../lib/zpci/function.ts";
import { SCLP, sclp } from "../lib/zpci/service_processor.ts";
import { ErrnoError } from "../lib/vfio/errno.ts";
import { kernelPages } from "./support/host.ts";

/** Open, register, move, signal, walk, unregister: the first function writes, the second one receives. */
function life(host: Host): boolean {
  const [writer, owner] = host.functions;
  owner!.driver.start();
  writer!.driver.start();
  const dmb = owner!.driver.registerDmb({ size: 16 * 1024, rgid: writer!.adapter.gid });
  writer!.driver.move(dmb.token, 100, new Uint8Array(9000).fill(7), { signal: true });
  writer!.driver.signal(owner!.adapter.gid, 0x80, 1n);
  const { dmbs, events } = owner!.driver.handleInterrupt();
  const data = owner!.driver.view(dmb, 0, dmb.size);
  const whole = data.every((byte, at) => byte === (at >= 100 && at < 9100 ? 7 : 0)) &&
    dmbs.length === 1 && dmbs[0]!.token === dmb.token && dmbs[0]!.mask === 0x1000 &&
    events.length === 1 && events[0]!.code === 0x80;
  owner!.driver.unregisterDmb(dmb.token);
  return whole;
}

const OPS: ReadonlySet<string> = new Set(["PCILG", "PCISTG", "PCISTB", "MPCIFC", "RPCIT"]);

/** The instructions of one undisturbed life, in their order. */
function instructionsOf(live: (host: Host) => unknown): InstructionEvent[] {
  const host = Host.create(defaultTopology());
  const found: InstructionEvent[] = [];
  host.tracer.sink = {
    enter: (event) => void (event.layer === "insn" && OPS.has(event.op) && found.push(event)),
    leave: () => {},
  };
  live(host);
  return found;
}

/** A way to fail. */
interface Kind {
  readonly name: string;
  readonly fault: FaultKind;
  /** Errno of an access to a BAR; undefined if it is not refused. */
  readonly bar?: string;
  /** Errnos of anything else: config space, or what the kernel does for a call. */
  readonly other?: readonly string[];
  /** States that the function may be in after it, besides enabled. */
  readonly states?: readonly FunctionState[];
  /** The kernel repeats an RPCIT over all addresses, those in use among them. */
  readonly retried?: boolean;
  /** Data may be wrong afterwards, and return codes with it. */
  readonly corrupts?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "busy once", fault: { kind: "busy", times: 1 } },
  { name: "busy 7 times", fault: { kind: "busy", times: 7 } },
  {
    name: "cc 1, status 40",
    fault: { kind: "status", status: 40 },
    bar: "EIO",
    other: ["EIO", "ENODEV"],
  },
  {
    name: "cc 1, status 4",
    fault: { kind: "status", status: 4 },
    bar: "EIO",
    other: ["EIO", "ENODEV", "ENOMEM"],
    retried: true,
  },
  { name: "cc 3", fault: { kind: "invalid-handle" }, bar: "EIO", other: ["EIO", "ENODEV"] },
  {
    name: "operand exception",
    fault: { kind: "exception", exception: "operand" },
    bar: "ENXIO",
    other: ["EIO", "ENODEV", "ENXIO"],
  },
  {
    name: "specification exception",
    fault: { kind: "exception", exception: "specification" },
    bar: "ENXIO",
    other: ["EIO", "ENODEV", "ENXIO"],
  },
  {
    name: "event 0x3a",
    fault: { kind: "event", pec: 0x3a },
    bar: "EIO",
    other: ["EIO", "ENODEV"],
    states: ["error"],
  },
  {
    name: "event 0x02",
    fault: { kind: "event", pec: 0x02 },
    bar: "EIO",
    other: ["EIO", "ENODEV"],
    states: ["error"],
  },
  { name: "event 0x2a", fault: { kind: "event", pec: 0x2a } },
  {
    name: "event 0x3b",
    fault: { kind: "event", pec: 0x3b },
    bar: "EIO",
    other: ["EIO", "ENODEV"],
    states: ["permanent-error"],
  },
  ...[0, 5, 20, 47, 63].map((bit): Kind => ({
    name: `bit ${bit} inverted`,
    fault: { kind: "flip", bit },
    other: ["EIO", "ENODEV", "ENXIO", "EINVAL", "EAGAIN", "ENOMEM"],
    states: ["error"],
    corrupts: true,
  })),
];

/** Accesses that a driver's call makes directly: its errno is the instruction's own. */
const isBarAccess = (event: InstructionEvent) => isAccess(event) && event.space <= 5;

/**
 * A failure that an error event follows: without registered translation the next RPCIT is one (recovery.event.codes:
 * 0x01); a driver that gets no answer to a registration, or to its end, frees the page, as the kernel's does, and the
 * device still uses it (ism.cmd.header, ism.driver.start, zpci.irq.deliver).
 */
const isFollowed = (event: InstructionEvent) => isMpcifc(event, 4) || (isAccess(event) && event.space === 2);

/** How a life with a fault at one instruction ended; throws what is not a refusal. */
function endOf(host: Host, live: (host: Host) => boolean): string {
  try {
    return live(host) ? "whole" : "corrupt";
  } catch (error) {
    if (error instanceof ErrnoError) return error.code;
    if (error instanceof CommandError) return "RET";
    if (error instanceof DriverError) return "DRIVER";
    throw error;
  }
}

function check({ bar, other = [], corrupts = false }: Kind, end: string, at: InstructionEvent): void {
  if (end === "whole") return;
  if (corrupts) assert(["corrupt", "RET", "DRIVER", ...other].includes(end), end);
  // A start goes on without V2 probe and QUERY_INFO, and an unregistration without answer counts as done.
  else if (isBarAccess(at)) assertEquals(end, bar);
  else assert(other.includes(end), end);
}

for (const kind of KINDS) {
  Deno.test(`a driver's life survives ${kind.name} at each of its instructions`, () => {
    const instructions = instructionsOf(life);
    assert(instructions.length > 200);
    const ends = new Map<string, number>();
    for (const [i, instruction] of instructions.entries()) {
      const where = `${kind.name} at instruction ${i + 1}, ${instruction.op} ${
        isAccess(instruction) ? instruction.space : operationOf(instruction)
      }`;
      const host = Host.create(defaultTopology());
      host.faults.add(kind.fault, {}, i + 1);
      host.applyFaults();
      try {
        const end = endOf(host, life);
        ends.set(end, (ends.get(end) ?? 0) + 1);
        check(kind, end, instruction);
        const followed = isFollowed(instruction) || kind.retried === true && instruction.op === "RPCIT";
        const allowed = ["enabled", ...(kind.states ?? []), ...(followed ? ["error"] : [])];
        // A reset whose translation is refused leaves the function disabled (vfio.reset.refused).
        if (isMpcifc(instruction, 4)) allowed.push("disabled");
        for (const { fn } of host.functions) assert(allowed.includes(fn.state), fn.state);
        teardown(host);
      } catch (error) {
        throw new Error(where, { cause: error });
      }
    }
    const refused = instructions.length - (ends.get("whole") ?? 0);
    assertEquals(refused > 0, kind.bar !== undefined || kind.corrupts === true, JSON.stringify([...ends]));
  });
}

/** After whatever happened: close both, bring back what is lost, live a whole life, and leave nothing behind. */
function teardown(host: Host): void {
  host.faults.clear();
  host.applyFaults();
  for (const { driver } of host.functions) driver.close();
  for (const { guest, fn, zdev, adapter } of host.functions) {
    if (fn.state === "permanent-error") {
      // Only the service processor helps.
      assertEquals(sclp(guest.partition, SCLP.DECONFIGURE, zdev.facts.fid), 0x0020);
      fn.partition.availabilityEvent(fn, 0x0304);
      assertEquals(sclp(guest.partition, SCLP.CONFIGURE, zdev.facts.fid), 0x0020);
      guest.kernel.binding(zdev).arrived(fn.fh);
    }
    // A registration that the machine did not take back keeps the kernel's next one out: for an operator as well.
    if (zdev.domain === undefined || zdev.pci.channel === "permanent-failure") {
      guest.kernel.binding(zdev).recover();
    }
    assertEquals([...guest.kernel.process.files()], []);
    assertEquals(guest.partition.storage.buffers.length, kernelPages(guest.kernel), "memory is left");
    assertEquals([adapter.dmbs.size, adapter.sba, adapter.ieq], [0, undefined, undefined]);
  }
  assertEquals(life(host), true);
  for (const { driver } of host.functions) driver.close();
}
