/** vfio.feature.table: VFIO_DEVICE_FEATURE, every number with every combination of GET, SET and PROBE. */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, region, Rig, WAYS, words } from "../support/kernel.ts";

const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;

function feature(rig: Rig, flags: number, payload: readonly number[] = [], argsz?: number): Outcome {
  return rig.ioctl(rig.device, IOCTL.FEATURE, words(argsz ?? 8 + payload.length * 4, flags, ...payload));
}

/** What a number answers: one errno whatever is asked, or the operations that it has. */
interface Row {
  readonly n: number;
  readonly name: string;
  readonly always?: string;
  readonly get?: true;
  readonly set?: true;
  /** Errno of the operation itself. */
  readonly then?: string;
}

const TABLE: readonly Row[] = [
  { n: 0, name: "PCI_VF_TOKEN", always: "ENOTTY" },
  { n: 1, name: "MIGRATION", always: "ENOTTY" },
  { n: 2, name: "MIG_DEVICE_STATE", always: "ENOTTY" },
  { n: 3, name: "LOW_POWER_ENTRY", set: true },
  { n: 4, name: "LOW_POWER_ENTRY_WITH_WAKEUP", set: true },
  { n: 5, name: "LOW_POWER_EXIT", set: true },
  { n: 6, name: "DMA_LOGGING_START", always: "ENOTTY" },
  { n: 7, name: "DMA_LOGGING_STOP", always: "ENOTTY" },
  { n: 8, name: "DMA_LOGGING_REPORT", always: "ENOTTY" },
  { n: 9, name: "MIG_DATA_SIZE", always: "ENOTTY" },
  { n: 10, name: "BUS_MASTER", always: "ENOTTY" },
  { n: 11, name: "DMA_BUF", always: "EOPNOTSUPP" },
  { n: 12, name: "MIG_PRECOPY_INFOv2", always: "EINVAL" },
  // The payload's address is 0; tests/kernel/error_feature_test.ts has the others.
  { n: 13, name: "ZPCI_ERROR", get: true, then: "EINVAL" },
  { n: 14, name: "no feature", always: "ENOTTY" },
  { n: 0x7fff, name: "no feature", always: "ENOTTY" },
  { n: 0xffff, name: "no feature", always: "ENOTTY" },
];

/** The order of vfio.feature.order: common flags, presence, operation, PROBE, neither GET nor SET. */
function rule({ always, get: gets, set, then = "EINVAL" }: Row, flags: number): Outcome {
  const [get, put, probe] = [GET, SET, PROBE].map((bit) => (flags & bit) !== 0);
  if (get && put && !probe) return "EINVAL";
  if (always !== undefined) return always;
  if ((get && gets === undefined) || (put && set === undefined)) return "EINVAL";
  if (probe) return 0;
  if (get) return then;
  return put ? 0 : "EINVAL";
}

Deno.test.each([...TABLE])(
  "feature $n ($name) with every combination of GET, SET and PROBE (vfio.feature.table)",
  (row) => {
    for (const way of WAYS) {
      for (let flags = 0; flags <= (GET | SET | PROBE); flags += GET) {
        const rig = Rig.opened(way);
        const payload = row.n === 4 ? [rig.process.eventfd(), 0] : [0, 0, 0, 0];
        assertEquals(feature(rig, flags + row.n, payload), rule(row, flags), `flags ${flags.toString(16)}`);
      }
    }
  },
);

Deno.test("unknown flag bits are EINVAL, before the feature is looked at (vfio.feature.order)", () => {
  const rig = Rig.opened();
  for (const { n } of TABLE) {
    for (const bit of [0x8_0000, 0x10_0000, 0x8000_0000]) {
      assertEquals(feature(rig, n + SET + bit), "EINVAL");
      assertEquals(feature(rig, n + PROBE + bit), "EINVAL");
    }
  }
});

Deno.test("LOW_POWER_ENTRY: once, then EINVAL until LOW_POWER_EXIT, which is always fine (vfio.feature.lowpower)", () => {
  const rig = Rig.opened();
  const [entry, exit] = [() => feature(rig, SET + 3), () => feature(rig, SET + 5)];
  assertEquals([exit(), exit(), entry(), entry(), exit(), exit(), entry()], [0, 0, 0, "EINVAL", 0, 0, 0]);
  assertEquals([feature(rig, PROBE + SET + 3), feature(rig, PROBE + 3)], [0, 0], "a probe changes nothing");
  assertEquals(entry(), "EINVAL");
});

Deno.test("LOW_POWER_ENTRY_WITH_WAKEUP: 8 bytes of payload with an eventfd (vfio.feature.lowpower)", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  const entry = (fd: number, argsz?: number) => feature(rig, SET + 4, [fd, 0], argsz);
  assertEquals([entry(eventfd, 8), entry(eventfd, 15)], ["EINVAL", "EINVAL"]);
  assertEquals([entry(-1), entry(-2), entry(99), entry(rig.group)], ["EINVAL", "EINVAL", "EBADF", "EINVAL"]);
  assertEquals([entry(eventfd, 16), entry(eventfd), feature(rig, SET + 3)], [0, "EINVAL", "EINVAL"]);
  assertEquals([feature(rig, SET + 5), feature(rig, SET + 3), entry(eventfd)], [0, 0, "EINVAL"]);
});

Deno.test("a payload that argsz promises and memory does not hold is EFAULT (vfio.feature.order)", () => {
  const rig = Rig.opened();
  assertEquals(feature(rig, SET + 4, [0], 16), "EFAULT");
  assertEquals(feature(rig, PROBE + SET + 4, [0], 16), 0, "a probe has no payload");
});

Deno.test("low power has no visible effect on ISM: accesses, config space, interrupts work (vfio.feature.lowpower)", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  assertEquals(feature(rig, SET + 4, [eventfd, 0]), 0);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, eventfd));
  assertEquals([rig.pread(region(2), 8), rig.pwrite(region(2), 8), rig.config(0, 2)], [8, 8, 0x1014]);
  rig.target.fn.raiseMsi(0);
  assertEquals(rig.signals(eventfd), 1);
});

Deno.test("low power is shared by all descriptors of the device (vfio.group.getfd, vfio.feature.lowpower)", () => {
  const rig = Rig.opened();
  assertEquals(feature(rig, SET + 3), 0);
  rig.device = rig.deviceFd();
  assertEquals([feature(rig, SET + 3), feature(rig, SET + 5), feature(rig, SET + 3)], ["EINVAL", 0, 0]);
});

Deno.test("feature 11 of a kernel without DMA_BUF is ENOTTY with either driver, whatever is asked (vfio.feature.dmabuf)", () => {
  for (const driver of ["ism_vfio_pci", "vfio-pci"] as const) {
    const rig = Rig.opened("group", { driver, kernel: { dmaBuf: false } });
    for (const flags of [GET, PROBE, PROBE + GET, SET, 0]) {
      assertEquals(feature(rig, flags + 11, [0, 0, 0, 1]), "ENOTTY", `flags ${flags.toString(16)}`);
    }
    assertEquals(feature(rig, GET + SET + 11), "EINVAL", "the common checks come first");
  }
});
