/** vfio.irqinfo.table and vfio.setirqs.range: GET_IRQ_INFO; SET_IRQS for every index, flag combination and range. */
import { assertEquals } from "@std/assert";
import { bytes } from "../support/bytes.ts";
import { IOCTL, type Outcome, Rig, WAYS, words } from "../support/kernel.ts";

const NONE = 1;
const BOOL = 2;
const EVENTFD = 4;
const MASK = 8;
const UNMASK = 16;
const TRIGGER = 32;
const MSI = 1;
const ERR = 3;
const REQ = 4;
const NO_DATA = new Uint8Array(0);

Deno.test.each([
  { index: 0, name: "INTx", info: "07000000 00000000 00000000" },
  { index: 1, name: "MSI", info: "09000000 01000000 01000000" },
  { index: 2, name: "MSI-X", info: "09000000 02000000 00000000" },
  { index: 3, name: "ERR", info: "09000000 03000000 01000000" },
  { index: 4, name: "REQ", info: "09000000 04000000 01000000" },
  { index: 5, name: "no", info: "EINVAL" },
  { index: 0x8000_0000, name: "no", info: "EINVAL" },
  { index: 0xffff_ffff, name: "no", info: "EINVAL" },
])("GET_IRQ_INFO of index $index ($name): $info (vfio.irqinfo.table)", ({ index, info }) => {
  for (const way of WAYS) {
    const rig = Rig.opened(way);
    const arg = words(64, 0xdead, index, 0xbeef, 0xa5a5_a5a5);
    const result = rig.ioctl(rig.device, IOCTL.GET_IRQ_INFO, arg);
    assertEquals<Outcome>(result, info === "EINVAL" ? info : 0);
    if (result === 0) assertEquals(arg.toHex(), `40000000${bytes(info).toHex()}a5a5a5a5`);
  }
});

/** A call of SET_IRQS with `data` bytes behind the header, and argsz as told (all of it by default). */
function setIrqs(
  rig: Rig,
  [flags, index, start, count]: readonly [flags: number, index: number, start: number, count: number],
  { data = NO_DATA, argsz = 20 + data.length, effect = false }: {
    data?: Uint8Array;
    argsz?: number;
    effect?: boolean;
  } = {},
): Outcome {
  const arg = new Uint8Array(20 + data.length);
  arg.set(words(argsz, flags, index, start, count));
  arg.set(data, 20);
  return rig.ioctl(rig.device, IOCTL.SET_IRQS, arg, { effect });
}

/** Which eventfds are installed before a call. */
interface Wiring {
  readonly msi: boolean;
  readonly req: boolean;
  /** Of index ERR, which there is from 7.3 on. */
  readonly err?: boolean;
  readonly release?: "7.1";
}

function wired({ msi, req, err = false, release }: Wiring): { rig: Rig; eventfd: number } {
  const rig = Rig.opened("group", release === undefined ? {} : { kernel: { release } });
  const eventfd = rig.process.eventfd();
  const data = words(eventfd);
  if (msi) assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data }), 0);
  if (req) assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, REQ, 0, 1], { data }), 0);
  if (err) assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, ERR, 0, 1], { data }), 0);
  return { rig, eventfd };
}

/**
 * The tables of vfio.setirqs.*, in the order of validation and dispatch, for data that is one valid eventfd or a true
 * bool.
 */
function rule(flags: number, index: number, start: number, count: number, wiring: Wiring): Outcome {
  const { msi, req, err, release } = wiring;
  const irqs = [0, 1, 0, release === "7.1" ? 0 : 1, 1][index];
  if (irqs === undefined || count >= 2 ** 32 - 1 - start || flags > 63) return "EINVAL";
  if (start >= irqs || start + count > irqs) return "EINVAL";
  const data = flags & 7;
  if (data !== NONE && data !== BOOL && data !== EVENTFD) return "EINVAL";
  if ((flags & ~7) !== TRIGGER) return "ENOTTY";
  if (index === REQ || index === ERR) {
    if (data === NONE) return (index === REQ ? req : err) ? 0 : "EINVAL";
    return count === 0 ? "EINVAL" : 0;
  }
  if (data === EVENTFD) return !msi && count === 0 ? "ERANGE" : 0;
  return msi ? 0 : "EINVAL";
}

const RANGES = [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 2 ** 32 - 2], [0, 2 ** 32 - 1], [
  2 ** 32 - 1,
  0,
]] as const;

Deno.test.each([0, 1, 2, 3, 4, 5, 0xffff_ffff].map((index) => ({ index })))(
  "SET_IRQS of index $index: all 64 combinations of flags, 8 ranges, 5 wirings, ERR in both releases (vfio.setirqs.err)",
  ({ index }) => {
    const wirings: Wiring[] = [
      { msi: false, req: false },
      { msi: true, req: false },
      { msi: false, req: true },
      { msi: true, req: true, err: true },
      { msi: true, req: true, release: "7.1" },
    ];
    for (const state of wirings) {
      let { rig, eventfd } = wired(state);
      for (let flags = 0; flags < 64; flags++) {
        for (const [start, count] of RANGES) {
          const result = setIrqs(rig, [flags, index, start, count], { data: words(eventfd) });
          assertEquals(result, rule(flags, index, start, count, state), `flags ${flags} ${start}+${count}`);
          if (result === 0) ({ rig, eventfd } = wired(state));
        }
      }
    }
  },
);

Deno.test("GET_IRQ_INFO of ERR is EINVAL in 7.1, where it is for PCIe only (vfio.irqinfo.table)", () => {
  const { rig } = wired({ msi: false, req: false, release: "7.1" });
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_IRQ_INFO, words(16, 0, ERR, 0)), "EINVAL");
});

Deno.test("unknown flag bits are EINVAL, before the range and the action (vfio.setirqs.action)", () => {
  const { rig, eventfd } = wired({ msi: true, req: true });
  for (const bit of [0x40, 0x80, 0x8000_0000]) {
    for (const index of [MSI, REQ]) {
      const data = words(eventfd);
      assertEquals(setIrqs(rig, [(EVENTFD | TRIGGER) + bit, index, 0, 1], { data }), "EINVAL");
      assertEquals(setIrqs(rig, [NONE + bit, index, 0, 1]), "EINVAL");
    }
  }
});

Deno.test.each([
  { kind: BOOL, count: 1, room: 0, argsz: "EINVAL" },
  { kind: BOOL, count: 1, room: 1, argsz: 0 },
  { kind: EVENTFD, count: 1, room: 3, argsz: "EINVAL" },
  { kind: EVENTFD, count: 1, room: 4, argsz: 0 },
  { kind: NONE, count: 1, room: 0, argsz: 0 },
  { kind: EVENTFD, count: 0, room: 0, argsz: 0 },
])("argsz with $room bytes of data for $count entries of type $kind: $argsz (vfio.setirqs.order)", (row) => {
  const { kind, count, room } = row;
  const { rig, eventfd } = wired({ msi: true, req: false });
  const data = words(eventfd);
  assertEquals<Outcome>(setIrqs(rig, [kind | TRIGGER, MSI, 0, count], { data, argsz: 20 + room }), row.argsz);
});

Deno.test("data that argsz promises and memory does not hold is EFAULT, after validation (vfio.setirqs.order)", () => {
  const { rig } = wired({ msi: true, req: true });
  for (const index of [MSI, REQ]) {
    assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, index, 0, 1], { argsz: 24 }), "EFAULT");
    assertEquals(setIrqs(rig, [BOOL | TRIGGER, index, 0, 1], { argsz: 21 }), "EFAULT");
    assertEquals(setIrqs(rig, [EVENTFD | MASK, index, 0, 1], { argsz: 24 }), "EFAULT", "before the action");
    assertEquals(setIrqs(rig, [EVENTFD | BOOL, index, 0, 1], { argsz: 24 }), "EINVAL");
  }
});

Deno.test("MSI: eventfds are signalled by the device, by loop-back, and count (vfio.setirqs.fds)", () => {
  const { rig, eventfd } = wired({ msi: true, req: false });
  const interrupt = () => rig.target.fn.raiseMsi(0);
  interrupt();
  assertEquals(rig.signals(eventfd), 1);
  interrupt();
  interrupt();
  assertEquals([rig.signals(eventfd), rig.signals(eventfd)], [2, 0], "two interrupts, one wake-up with 2");
  const loop = (kind: number, ...data: number[]) => {
    const result = setIrqs(rig, [kind | TRIGGER, MSI, 0, 1], { data: Uint8Array.from(data) });
    return [result, rig.signals(eventfd)];
  };
  assertEquals([loop(NONE), loop(BOOL, 1), loop(BOOL, 2), loop(BOOL, 0)], [[0, 1], [0, 1], [0, 1], [0, 0]]);
});

Deno.test("MSI: NONE with count 0 switches off, and the second time is EINVAL (vfio.setirqs.msi)", () => {
  const { rig, eventfd } = wired({ msi: true, req: false });
  const off = () => setIrqs(rig, [NONE | TRIGGER, MSI, 0, 0]);
  assertEquals(rig.config(0x42, 2) & 1, 0);
  assertEquals([off(), off()], [0, "EINVAL"]);
  rig.target.fn.raiseMsi(0);
  assertEquals([rig.signals(eventfd), rig.target.zdev.vectors], [0, 0]);
  assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data: words(eventfd) }), 0, "and on again");
});

Deno.test("MSI: a vector without an eventfd is skipped; -1 removes it, MSI stays on (vfio.setirqs.fds)", () => {
  const { rig, eventfd } = wired({ msi: false, req: false });
  const install = (fd: number) => setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data: words(fd) });
  assertEquals([install(-1), setIrqs(rig, [NONE | TRIGGER, MSI, 0, 1])], [0, 0]);
  assertEquals([install(eventfd), install(-2), setIrqs(rig, [NONE | TRIGGER, MSI, 0, 1])], [0, 0, 0]);
  rig.target.fn.raiseMsi(0);
  assertEquals([rig.signals(eventfd), rig.target.zdev.vectors], [0, 1]);
});

Deno.test("MSI: an eventfd replaces the one before, and closing its descriptor does not remove it (vfio.setirqs.fds)", () => {
  const { rig, eventfd } = wired({ msi: true, req: false });
  const second = rig.process.eventfd();
  assertEquals(setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data: words(second) }), 0);
  rig.target.fn.raiseMsi(0);
  assertEquals([rig.signals(eventfd), rig.signals(second)], [0, 1]);
  rig.process.close(second);
  rig.target.fn.raiseMsi(0);
  assertEquals(setIrqs(rig, [NONE | TRIGGER, MSI, 0, 1]), 0);
  assertEquals(rig.target.guest.kernel.device(rig.target.zdev)!.msi?.[0]?.count, 2n);
});

Deno.test.each([
  { what: "no descriptor", fd: () => 99, errno: "EBADF" },
  { what: "a group", fd: ({ group }: Rig) => group, errno: "EINVAL" },
  { what: "the device itself", fd: ({ device }: Rig) => device, errno: "EINVAL" },
])("MSI with $what as eventfd: $errno, and MSI is as it was or off (vfio.setirqs.fds)", ({ fd, errno }) => {
  const off = wired({ msi: false, req: false }).rig;
  // What stays of a refused call is the message in the MSI capability.
  const call = (rig: Rig) =>
    setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data: words(fd(rig)), effect: true });
  assertEquals(call(off), errno);
  assertEquals([off.target.zdev.vectors, off.target.fn.interrupts], [0, undefined], "off again");
  const { rig, eventfd } = wired({ msi: true, req: false });
  assertEquals(call(rig), errno);
  assertEquals(setIrqs(rig, [NONE | TRIGGER, MSI, 0, 1]), 0, "still on");
  assertEquals(rig.signals(eventfd), 0, "the vectors of the call are removed");
});

Deno.test("MSI on and off writes the message and the enable bit of the capability (vfio.setirqs.msi, zpci.irq.linux, zpci.irq.enable)", () => {
  const { rig, eventfd } = wired({ msi: false, req: false });
  const capability = () => rig.target.fn.model.config.snapshot().slice(0x42, 0x4e).toHex();
  assertEquals(capability(), "8000" + "00000000" + "00000000" + "0000");
  setIrqs(rig, [EVENTFD | TRIGGER, MSI, 0, 1], { data: words(eventfd) });
  assertEquals(capability(), "8100" + "00000000" + "000000fe" + "0000");
  setIrqs(rig, [NONE | TRIGGER, MSI, 0, 0]);
  assertEquals(capability(), "8000" + "00000000" + "000000fe" + "0000");
});

Deno.test("MSI that the machine does not grant is off (vfio.setirqs.msi)", () => {
  const { rig, eventfd } = wired({ msi: false, req: false });
  rig.inject({ kind: "status", status: 16 }, { op: "MPCIFC" });
  const on = [EVENTFD | TRIGGER, MSI, 0, 1] as const;
  assertEquals(setIrqs(rig, on, { data: words(eventfd), effect: true }), "EIO");
  assertEquals(setIrqs(rig, [NONE | TRIGGER, MSI, 0, 0]), "EINVAL");
  assertEquals([rig.target.zdev.vectors, rig.target.fn.model.config.read(0x42) & 1], [0, 0]);
});

Deno.test.each([
  { what: "-1 removes it", data: -1, result: 0 },
  { what: "-2 is refused", data: -2, result: "EINVAL" },
  { what: "no descriptor is refused", data: 99, result: "EBADF" },
  { what: "the container is refused", data: 3, result: "EINVAL" },
])("REQ, EVENTFD: $what (vfio.setirqs.req)", ({ data, result }) => {
  const { rig, eventfd } = wired({ msi: false, req: true });
  assertEquals<Outcome>(setIrqs(rig, [EVENTFD | TRIGGER, REQ, 0, 1], { data: words(data) }), result);
  const signalled = setIrqs(rig, [NONE | TRIGGER, REQ, 0, 1]);
  assertEquals([signalled, rig.signals(eventfd)], result === 0 ? ["EINVAL", 0] : [0, 1]);
});

Deno.test("REQ: NONE signals or removes, BOOL signals if true; without an eventfd BOOL is still 0 (vfio.setirqs.req)", () => {
  const { rig, eventfd } = wired({ msi: false, req: true });
  const call = (kind: number, count: number, ...data: number[]) =>
    setIrqs(rig, [kind | TRIGGER, REQ, 0, count], { data: Uint8Array.from(data) });
  assertEquals([call(NONE, 1), rig.signals(eventfd)], [0, 1]);
  assertEquals([call(BOOL, 1, 1), rig.signals(eventfd)], [0, 1]);
  assertEquals([call(BOOL, 1, 0), rig.signals(eventfd)], [0, 0]);
  assertEquals([call(NONE, 0), call(NONE, 0), call(NONE, 1)], [0, "EINVAL", "EINVAL"]);
  assertEquals([call(BOOL, 1, 1), rig.signals(eventfd)], [0, 0]);
  const second = rig.process.eventfd();
  const install = () => setIrqs(rig, [EVENTFD | TRIGGER, REQ, 0, 1], { data: words(second) });
  assertEquals([install(), install(), call(NONE, 1), rig.signals(second)], [0, 0, 0, 1]);
});

Deno.test("MASK and UNMASK, or several actions, are ENOTTY whether MSI is on or off (vfio.setirqs.action)", () => {
  for (const msi of [false, true]) {
    const { rig } = wired({ msi, req: msi });
    for (const action of [0, MASK, UNMASK, MASK | UNMASK, MASK | TRIGGER, UNMASK | TRIGGER, 56]) {
      for (const index of [MSI, REQ]) assertEquals(setIrqs(rig, [NONE | action, index, 0, 1]), "ENOTTY");
    }
  }
});
