/**
 * The kernel's instructions at open, reset and close, in their order, for each release (vfio.reset.sequence, h;
 * vfio.open.sequence). `PCILG 4 2` is a load of 2 bytes at offset 4 of config space.
 */
import { assertEquals } from "@std/assert";
import { isAccess, type TraceEvent } from "../../lib/base/trace.ts";
import { operationOf } from "../support/events.ts";
import { IOCTL, Rig, words } from "../support/kernel.ts";

const RELEASES = ["7.3", "7.1"].map((release) => ({ release }));
const CONFIG = 15;
const COMMAND = 4;

/** Instructions while `act` runs; what did not end with condition code 0 says so. */
function instructions(rig: Rig, act: () => unknown): string[] {
  const lines: string[] = [];
  const leave = (event: TraceEvent) => {
    if (event.layer !== "insn") return;
    assertEquals(isAccess(event) ? event.space : CONFIG, CONFIG, "no BAR is touched");
    const what = isAccess(event) ? `${event.offset.toString(16)} ${event.length}` : operationOf(event);
    lines.push(`${event.op} ${what}${event.cc === 0 ? "" : ` cc ${event.cc}`}`);
  };
  rig.host.tracer.sink = { enter: () => {}, leave };
  try {
    act();
  } finally {
    rig.host.tracer.sink = undefined;
  }
  return lines;
}

const HEADER = Array.from({ length: 16 }, (_, i) => 4 * i);
/** Loads of the header: saving. */
const save = (cc = "") => HEADER.map((at) => `PCILG ${at.toString(16)} 4${cc}`);
/** The header from its end, with a store where something differs: restoring. */
const restore = (...stores: number[]) =>
  HEADER.toReversed().flatMap((at) => [
    `PCILG ${at.toString(16)} 4`,
    ...(stores.includes(at) ? [`PCISTG ${at.toString(16)} 4`] : []),
  ]);
/** From 7.3 on a reset first asks whether the function answers. */
const probe = (release: string, cc = "") => release === "7.3" ? [`PCILG 4 4${cc}`] : [];
/** Set PCI Function: disable, enable. */
const SET_FUNCTION = ["CLP 5", "CLP 5"];
const MSI_AGAIN = [
  "PCILG 42 2",
  "PCISTG 42 2",
  "MPCIFC 2 cc 1",
  "PCISTG 44 4",
  "PCISTG 48 4",
  "PCISTG 4c 2",
  "PCILG 42 2",
  "PCISTG 42 2",
];

/** Everything an open does before it builds the shadow, and the closing accesses. */
const openWith = (release: string, translation: string[]) => [
  "PCILG 4 2", // bus master is off already
  "MPCIFC 10",
  "PCILG 4 2",
  ...probe(release),
  ...save(),
  "PCISTG 4 2",
  ...SET_FUNCTION,
  ...translation,
  ...restore(COMMAND),
  ...save(),
];

Deno.test.each(RELEASES)("$release: group, container, open, close", ({ release }) => {
  const rig = new Rig({ kernel: { release } });
  const { process } = rig;
  // The very first open finds memory decode off.
  rig.openGroup().close();
  rig.container = process.open("/dev/vfio/vfio");
  rig.group = process.open("/dev/vfio/0");
  const set = () => process.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
  assertEquals(instructions(rig, set), ["MPCIFC 5"]);
  assertEquals(instructions(rig, () => process.ioctl(rig.container, IOCTL.SET_IOMMU, 3)), ["MPCIFC 4"]);
  const opened = instructions(rig, () => rig.device = rig.deviceFd());
  const expected = openWith(release, ["MPCIFC 4"]);
  assertEquals(opened.slice(0, expected.length), expected);
  const shadow = opened.slice(expected.length);
  assertEquals(shadow.filter((line) => !line.startsWith("PCILG")), [], "the shadow is built by loads");
  assertEquals(shadow.length > 0, true);
  rig.setConfig(COMMAND, 2, 6);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, process.eventfd()));
  assertEquals(instructions(rig, () => process.close(rig.device)), [
    "PCILG 4 2", // bus master off
    "PCISTG 4 2",
    "PCILG 42 2", // MSI off
    "PCISTG 42 2",
    "MPCIFC 3",
    "PCISTG 4 2", // everything of COMMAND off
    ...SET_FUNCTION,
    "MPCIFC 4",
    ...restore(COMMAND),
    "PCILG 4 2",
    "MPCIFC 10",
  ]);
  assertEquals(instructions(rig, () => process.close(rig.group)), ["MPCIFC 5", "MPCIFC 4"]);
});

Deno.test.each(RELEASES)("$release: character device: BIND, ATTACH, close", ({ release }) => {
  const rig = new Rig({ kernel: { release } });
  const { process } = rig;
  rig.openGroup().close();
  rig.iommufd = process.open("/dev/iommu");
  rig.device = process.open("/dev/vfio/devices/vfio0");
  const bind = () => process.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(24, 0, rig.iommufd, 0, 0n));
  const expected = ["MPCIFC 5", ...openWith(release, [])];
  assertEquals(instructions(rig, bind).slice(0, expected.length), expected);
  const ioas = rig.newIoas();
  const attach = () => process.ioctl(rig.device, IOCTL.ATTACH_PT, words(16, 0, ioas, 0));
  assertEquals(instructions(rig, attach), ["MPCIFC 4"]);
  const closed = instructions(rig, () => process.close(rig.device));
  assertEquals(closed.slice(-4), ["PCILG 4 2", "MPCIFC 10", "MPCIFC 5", "MPCIFC 4"]);
});

Deno.test.each(RELEASES)("$release: RESET, MPCIFC 2 before 4, MSI from the kernel's copy", ({ release }) => {
  const rig = Rig.opened("group", { kernel: { release } });
  const reset = () => instructions(rig, () => assertEquals(rig.process.ioctl(rig.device, IOCTL.RESET), 0));
  const plain = [...probe(release), ...save(), "PCISTG 4 2", ...SET_FUNCTION];
  assertEquals(reset(), [...plain, "MPCIFC 4", ...restore(COMMAND)]);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, rig.process.eventfd()));
  assertEquals(reset(), [...plain, "MPCIFC 2", "MPCIFC 4", ...restore(COMMAND), ...MSI_AGAIN]);
  const hot = () => rig.process.ioctl(rig.device, IOCTL.PCI_HOT_RESET, words(16, 0, 1, rig.group));
  assertEquals(instructions(rig, hot), [
    ...plain,
    "MPCIFC 2",
    "MPCIFC 4",
    ...restore(COMMAND),
    ...MSI_AGAIN,
  ]);
});

Deno.test("7.3: RESET in the error state saves nothing; the last good save comes back", () => {
  const rig = Rig.opened();
  rig.setConfig(COMMAND, 2, 6);
  rig.process.ioctl(rig.device, IOCTL.RESET);
  rig.setConfig(COMMAND, 2, 2);
  rig.target.fn.state = "error";
  const lines = instructions(rig, () => rig.process.ioctl(rig.device, IOCTL.RESET));
  assertEquals(lines, ["PCILG 4 4 cc 1", ...SET_FUNCTION, "MPCIFC 4", ...restore(COMMAND)]);
  assertEquals(rig.config(COMMAND, 2), 6, "what the last RESET saved");
});

Deno.test("7.1: RESET in the error state saves all ones and writes them back", () => {
  const rig = Rig.opened("group", { kernel: { release: "7.1" } });
  rig.target.fn.state = "error";
  const lines = instructions(rig, () => rig.process.ioctl(rig.device, IOCTL.RESET));
  assertEquals(lines, [
    ...save(" cc 1"),
    "PCISTG 4 2 cc 1",
    ...SET_FUNCTION,
    "MPCIFC 4",
    ...restore(...HEADER),
  ]);
  const { config } = rig.target.fn.model;
  const dword = (at: number) => [3, 2, 1, 0].reduce((value, i) => value * 256 + config.read(at + i), 0);
  assertEquals(config.busMaster, true, "every implemented bit is on");
  // BAR 0 has 2^48 bytes and is 64-bit, BAR 2 has 64 KiB: the address bits that there are, and the type.
  assertEquals([0x10, 0x14, 0x18, 0x1c].map(dword), [0x4, 0xffff_0000, 0xffff_0004, 0xffff_ffff]);
});

Deno.test.each(RELEASES)("$release: a lock that is taken: nothing, or no slot reset", ({ release }) => {
  const rig = Rig.opened("group", { kernel: { release } });
  const reset = () => instructions(rig, () => rig.ioctl(rig.device, IOCTL.RESET, 0, { effect: true }));
  const during = (act: () => string[]) => act().filter((line) => !line.startsWith("CLP 2"));
  rig.takeLock(1);
  assertEquals(during(() => instructions(rig, () => rig.ioctl(rig.device, IOCTL.RESET))), [], "EAGAIN");
  rig.takeLock(1, "state");
  assertEquals(during(reset), [...probe(release), ...save(), "PCISTG 4 2", ...restore(COMMAND)], "EIO");
  rig.takeLock(1, "device", "close");
  assertEquals(instructions(rig, () => rig.process.close(rig.device)), [
    "PCILG 4 2",
    "PCISTG 4 2",
    ...restore(COMMAND),
    "PCILG 4 2",
    "MPCIFC 10",
  ]);
});

Deno.test.each(RELEASES)(
  "$release: an open that is refused for the device lock takes back what it did",
  ({ release }) => {
    const rig = new Rig({ kernel: { release } });
    rig.openGroup().close();
    rig.container = rig.process.open("/dev/vfio/vfio");
    rig.group = rig.process.open("/dev/vfio/0");
    rig.process.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
    rig.process.ioctl(rig.container, IOCTL.SET_IOMMU, 3);
    rig.takeLock();
    const refused = instructions(rig, () => {
      try {
        rig.deviceFd();
      } catch {
        // EAGAIN
      }
    });
    assertEquals(refused, ["PCILG 4 2", "MPCIFC 10", "PCILG 4 2", "PCILG 4 2", "MPCIFC 10"]);
  },
);

Deno.test.each(RELEASES)(
  "$release: a marked function: no config instruction of the kernel, the reset is done",
  ({ release }) => {
    const rig = new Rig({ kernel: { release } });
    rig.openGroup().close();
    rig.target.zdev.pci.channel = "permanent-failure";
    rig.iommufd = rig.process.open("/dev/iommu");
    rig.device = rig.process.open("/dev/vfio/devices/vfio0");
    const bind = () =>
      rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(24, 0, rig.iommufd, 0, 0n), { effect: true });
    const lines = instructions(rig, () => assertEquals(bind(), "ENODEV"));
    assertEquals(lines, ["MPCIFC 5", "MPCIFC 10", ...SET_FUNCTION, "MPCIFC 10", "MPCIFC 4"]);
  },
);

Deno.test("the measurement block's address is registered until the reset of the open (10 h)", () => {
  const rig = new Rig();
  const { fn } = rig.target;
  let before: number | undefined;
  const enter = (event: TraceEvent) => {
    // COMMAND is cleared right before Set PCI Function.
    if (event.layer === "insn" && event.op === "PCISTG" && event.offset === COMMAND) {
      before ??= fn.measurementBlock;
    }
  };
  rig.host.tracer.sink = { enter, leave: () => {} };
  rig.openGroup();
  rig.host.tracer.sink = undefined;
  assertEquals([before === undefined, fn.measurementBlock], [false, undefined]);
  rig.close();
  assertEquals(fn.measurementBlock, undefined);
});
