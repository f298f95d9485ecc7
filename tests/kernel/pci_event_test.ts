/**
 * What the kernel makes of the machine's events (docs/reference/zpci/functions.md and recovery.md, vfio.unplug.wait and
 * recovery.event.state): every error event in every situation, every availability event in every state.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { isAccess, type TraceEvent } from "../../lib/base/trace.ts";
import { operationOf } from "../support/events.ts";
import { reportError } from "../../lib/zpci/error_events.ts";
import { changeAvailability, SCLP, sclp } from "../../lib/zpci/service_processor.ts";
import { IOCTL, outcome, region, Rig, words } from "../support/kernel.ts";

/** Instructions that are not accesses, while `act` runs: name and operation. */
function controls(rig: Rig, act: () => unknown): string[] {
  const lines: string[] = [];
  const enter = (event: TraceEvent) => {
    if (event.layer !== "insn" || isAccess(event)) return;
    lines.push(`${event.op} ${operationOf(event)}${event.cc === 0 ? "" : ` cc ${event.cc}`}`);
  };
  // An instruction's answer is there when it ends.
  rig.host.tracer.sink = { enter: () => {}, leave: enter };
  try {
    act();
  } finally {
    rig.host.tracer.sink = undefined;
  }
  return lines;
}

const bindingOf = ({ target }: Rig) => target.guest.kernel.binding(target.zdev);
const reactionTo = (rig: Rig, pec: number) => {
  reportError(rig.target.fn, pec, 0x1_0000_0000, true);
  return rig.target.guest.kernel.events.lastReaction;
};
/** Codes of recovery.event.codes by Linux's reaction. */
const RECOVERABLE = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 0x30, 0x3a, 0x77];
const LOGGED = [0x2a, 0x2b, 0x2c];
const PERMANENT = [0x3b, 0x40];

/** Who holds the function, and what becomes of an error that could be recovered from. */
const SITUATIONS = [
  { what: "open through vfio", rig: () => Rig.opened(), reaction: "left-to-user-space", state: "error" },
  { what: "bound to vfio, not open", rig: () => new Rig(), reaction: "recovered", state: "enabled" },
  {
    what: "bound to the kernel's own driver, which has no error handlers",
    rig: () => {
      const rig = new Rig();
      bindingOf(rig).unbind();
      bindingOf(rig).override = undefined;
      bindingOf(rig).probe();
      assertEquals(bindingOf(rig).driver, "ism");
      return rig;
    },
    reaction: "permanent-failure",
    state: "error",
  },
  {
    what: "without a driver",
    rig: () => {
      const rig = new Rig();
      bindingOf(rig).unbind();
      return rig;
    },
    reaction: "permanent-failure",
    state: "error",
  },
] as const;

Deno.test.each([...SITUATIONS])(
  "error events of a function $what: $reaction (recovery.event.codes, recovery.event.state)",
  (row) => {
    for (const pec of RECOVERABLE) {
      const rig = row.rig();
      const open = rig.device >= 0;
      assertEquals<unknown>([reactionTo(rig, pec), rig.target.fn.state], [row.reaction, row.state]);
      assertEquals(bindingOf(rig).errors.events.map((event) => event.pec), open ? [pec] : []);
    }
    for (const pec of LOGGED) {
      const rig = row.rig();
      assertEquals<unknown>([reactionTo(rig, pec), rig.target.fn.state], ["logged", "enabled"]);
      assertEquals(bindingOf(rig).errors.events, []);
    }
    for (const pec of PERMANENT) {
      const rig = row.rig();
      assertEquals<unknown>([reactionTo(rig, pec), rig.target.fn.state], [
        "permanent-failure",
        "permanent-error",
      ]);
    }
  },
);

Deno.test("the kernel's own recovery is MPCIFC 9, then 7; a reset if one of them is refused (ism.reset.forgets, recovery.kernel.self)", () => {
  const rig = new Rig();
  const { fh } = rig.target.fn;
  assertEquals(controls(rig, () => reactionTo(rig, 0x3a)), ["CLP 2", "MPCIFC 9", "MPCIFC 7"]);
  assertEquals(rig.target.fn.fh, fh, "no new handle");
  for (const refused of [9, 7]) {
    const other = new Rig();
    other.inject({ kind: "status", status: 40 }, { op: "MPCIFC", space: refused });
    const lines = controls(other, () => assertEquals(reactionTo(other, 0x3a), "recovered"));
    assertEquals(lines.slice(-3), ["CLP 5", "CLP 5", "MPCIFC 4"], "disable and enable");
    assertEquals(lines.includes(`MPCIFC ${refused} cc 1`), true);
  }
});

Deno.test("nothing else is sent to a function that is open: recovery is user space's (recovery.event.order)", () => {
  const rig = Rig.opened();
  assertEquals(controls(rig, () => reactionTo(rig, 0x3a)), ["CLP 2"]);
  assertEquals(rig.call(() => rig.process.pread(rig.device, new Uint8Array(8), 8, region(2))), "EIO");
});

Deno.test("4 error events are kept, a fifth is dropped; close clears them, reset does not (recovery.queue.ring, recovery.queue.life)", () => {
  for (const end of ["reset", "hot reset", "close"] as const) {
    const rig = Rig.opened();
    const { errors } = bindingOf(rig);
    const kept = () => [errors.events.map(({ pec }) => pec), errors.dropped];
    for (const pec of [0x3a, 0x02, 0x07, 0x01]) reactionTo(rig, pec);
    assertEquals(kept(), [[0x3a, 2, 7, 1], 0]);
    reactionTo(rig, 0x30);
    assertEquals(kept(), [[0x3a, 2, 7, 1], 1]);
    if (end === "close") rig.close();
    else if (end === "reset") assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
    else assertEquals(rig.ioctl(rig.device, IOCTL.PCI_HOT_RESET, words(16, 0, 1, rig.group)), 0);
    assertEquals(kept(), end === "close" ? [[], 0] : [[0x3a, 2, 7, 1], 1], end);
  }
});

Deno.test("a permanent error survives reset, close, open and recover; deconfiguring ends it (zpci.state.table, recovery.event.codes, zpci.state.permanent)", () => {
  const rig = Rig.opened();
  reactionTo(rig, 0x3b);
  assertEquals(outcome(() => rig.process.ioctl(rig.device, 0x3b6f)), "EIO");
  rig.close();
  assertEquals(rig.target.fn.state, "permanent-error");
  assertEquals(outcome(() => (bindingOf(rig).recover(), 0)), "EIO");
  const { partition } = rig.target.guest;
  assertEquals(sclp(partition, SCLP.DECONFIGURE, 0x10), 0x0020);
  assertEquals(sclp(partition, SCLP.CONFIGURE, 0x10), 0x0020);
  assertEquals(rig.target.fn.state, "disabled");
});

Deno.test("an event with a handle that List PCI does not report is ignored (zpci.handle.stale)", () => {
  const rig = Rig.opened();
  const { fn, guest: { kernel } } = rig.target;
  const stale = { fh: fn.fh - 0x0100_0000, fid: 0x10, pec: 0x3a, address: 0, write: true };
  kernel.errorEvent(stale);
  assertEquals([kernel.events.lastReaction, bindingOf(rig).errors.events], ["stale", []]);
  kernel.errorEvent({ ...stale, fid: 0x99, fh: fn.fh });
  assertEquals(kernel.events.lastReaction, "stale");
  kernel.errorEvent({ ...stale, fh: fn.fh });
  assertEquals(bindingOf(rig).errors.events.length, 1);
});

Deno.test("an event with the current handle brings the kernel's own up to date (recovery.event.stale, zpci.handle.read)", () => {
  const rig = Rig.opened();
  const { fn, zdev } = rig.target;
  fn.disable();
  fn.enable();
  assertNotEquals(zdev.fh, fn.fh);
  reactionTo(rig, 0x3a);
  assertEquals(zdev.fh, fn.fh);
});

/** Kernel's state, machine's state, driver and its handle, as text. */
function standing({ target: { fn, zdev, guest } }: Rig): string {
  const { driver } = guest.kernel.binding(zdev);
  return `${zdev.state}, ${fn.state}, ${driver ?? "no driver"}${zdev.fh === fn.fh ? "" : ", stale handle"}`;
}

Deno.test("availability events, one after the other, lead the kernel where recovery.avail.codes says", () => {
  const rig = new Rig();
  const then = (pec: number) => {
    const done = changeAvailability(rig.target.fn, pec);
    return `${done ? "" : "not possible: "}${standing(rig)}`;
  };
  const WORKS = "configured, enabled, ism_vfio_pci";
  assertEquals(standing(rig), WORKS);
  assertEquals(then(0x0301), WORKS, "a late one is ignored");
  assertEquals(then(0x0306), WORKS);
  assertEquals(then(0x0303), "standby, standby, no driver");
  assertEquals(then(0x0303), "standby, standby, no driver", "a late one is ignored");
  assertEquals(then(0x0301), WORKS);
  assertEquals(then(0x0304), "standby, standby, no driver");
  assertEquals(then(0x0304), "not possible: standby, standby, no driver");
  assertEquals(then(0x0308), "reserved, reserved, no driver");
  assertEquals(then(0x0302), "standby, standby, no driver");
  assertEquals(then(0x0308), "reserved, reserved, no driver");
  assertEquals(then(0x0301), WORKS);
  changeAvailability(rig.target.fn, 0x0304, "reserved");
  assertEquals(standing(rig), "reserved, reserved, no driver");
});

Deno.test("a rescan finds what went and what came without an event of its own (recovery.avail.codes)", () => {
  const rig = new Rig();
  const { fn } = rig.target;
  changeAvailability(fn, 0x0303);
  fn.state = "reserved";
  assertEquals(standing(rig), "standby, reserved, no driver");
  changeAvailability(fn, 0x0306);
  assertEquals(standing(rig), "reserved, reserved, no driver");
  fn.state = "standby";
  changeAvailability(fn, 0x0306);
  assertEquals(standing(rig), "standby, standby, no driver");
  fn.state = "reserved";
  changeAvailability(fn, 0x0308);
  rig.target.zdev.state = "reserved";
  fn.state = "disabled";
  changeAvailability(fn, 0x0306);
  assertEquals(standing(rig), "configured, enabled, ism_vfio_pci");
});

Deno.test("deconfiguring disables, then SCLP; a function that is gone needs neither (zpci.sclp.responses, recovery.avail.codes)", () => {
  const rig = new Rig();
  const deconfigure = (pec: number) =>
    controls(rig, () => changeAvailability(rig.target.fn, pec)).filter((line) => !line.startsWith("CLP 2"));
  assertEquals(deconfigure(0x0303), ["MPCIFC 5", "CLP 5", `SCLP ${0x001b0001}`]);
  changeAvailability(rig.target.fn, 0x0301);
  assertEquals(deconfigure(0x0304), ["MPCIFC 5 cc 3"]);
});

Deno.test("a function that comes back while its driver waits for the last close is taken after it (vfio.unplug.again)", () => {
  const rig = Rig.opened();
  const { fn } = rig.target;
  changeAvailability(fn, 0x0304);
  assertEquals(standing(rig), "configured, standby, ism_vfio_pci");
  assertEquals(rig.call(() => rig.process.pread(rig.device, new Uint8Array(8), 8, region(2))), "EIO");
  changeAvailability(fn, 0x0301);
  assertEquals(fn.state, "disabled", "nobody has enabled it yet");
  rig.close();
  assertEquals(standing(rig), "configured, enabled, ism_vfio_pci");
});

Deno.test("a function in standby has no PCI device: bind is ENODEV, probe finds nothing (vfio.bind.errno)", () => {
  const rig = new Rig();
  changeAvailability(rig.target.fn, 0x0303);
  assertEquals(outcome(() => (bindingOf(rig).bind("ism_vfio_pci"), 0)), "ENODEV");
  bindingOf(rig).probe();
  assertEquals(bindingOf(rig).driver, undefined);
});

Deno.test("a restored host knows what became of its functions, and what waits (recovery.avail.codes, recovery.event.state)", () => {
  for (const codes of [[0x0303], [0x0303, 0x0308], [0x0304, 0x0301]]) {
    const rig = new Rig();
    for (const pec of codes) changeAvailability(rig.target.fn, pec);
    const [restored] = rig.host.fork().functions;
    assertEquals([restored!.zdev.state, restored!.fn.state], [rig.target.zdev.state, rig.target.fn.state]);
  }
  const rig = Rig.opened();
  for (const pec of [0x3a, 2, 7, 1, 0x30]) reactionTo(rig, pec);
  const [{ guest, zdev }] = rig.host.fork().functions as [typeof rig.target];
  const { errors } = guest.kernel.binding(zdev);
  assertEquals([errors.events.map(({ pec }) => pec), errors.dropped], [[0x3a, 2, 7, 1], 1]);
});

Deno.test("one interruption at a time: SIC single is issued again after the scan (vfio.region.offset)", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  const set = new Uint8Array(24);
  new Uint32Array(set.buffer).set([24, 0x24, 1, 0, 1, eventfd]);
  rig.process.ioctl(rig.device, 0x3b6e, set);
  assertEquals(controls(rig, () => rig.target.fn.raiseMsi(0)), ["SIC 1"]);
  assertEquals([rig.signals(eventfd), rig.signals(eventfd)], [1, 0]);
  for (let i = 0; i < 3; i++) rig.target.fn.raiseMsi(0);
  assertEquals(rig.signals(eventfd), 3);
});
