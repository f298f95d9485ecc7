/** docs/reference/README.md: the errno index of an ISM device descriptor, one test a row of that table. */
import { assertEquals } from "@std/assert";
import {
  type Choices,
  cString,
  IOCTL,
  type Outcome,
  region,
  Rig,
  type Way,
  words,
} from "../support/kernel.ts";

interface Row {
  readonly call: string;
  readonly situation: string;
  readonly errno: Outcome;
  /** All ways into the situation; each on a rig of its own. */
  readonly acts: readonly ((rig: Rig) => Outcome)[];
  readonly choices?: Choices;
  readonly way?: Way;
}

const EMPTY = new Uint8Array(0);
const BARS = [0, 1, 2, 3, 4, 5];

const ioctl = (request: number, arg: () => Uint8Array | number = () => 0) => (rig: Rig) =>
  rig.ioctl(rig.device, request, arg());
const setIrqs = (flags: number, index: number, start: number, count: number, ...data: number[]) =>
  ioctl(IOCTL.SET_IRQS, () => words(20 + data.length * 4, flags, index, start, count, ...data));
const regionInfo = (index: number) => ioctl(IOCTL.GET_REGION_INFO, () => words(32, 0, index, 0, 0n, 0n));
const irqInfo = (index: number) => ioctl(IOCTL.GET_IRQ_INFO, () => words(16, 0, index, 0));
const pread = (position: number | bigint, count: number | bigint) => (rig: Rig) => rig.pread(position, count);
const pwrite = (position: number | bigint, count: number | bigint) => (rig: Rig) =>
  rig.pwrite(position, count);
const both = (position: number | bigint, count: number | bigint) => [
  pread(position, count),
  pwrite(position, count),
];
const faulting = { buffer: EMPTY, effect: true };

/** A character device that no iommufd is bound to. */
function unbound(act: (rig: Rig, fd: number) => Outcome): (rig: Rig) => Outcome {
  return (rig) => {
    rig.close();
    rig.device = rig.process.open("/dev/vfio/devices/vfio0");
    return act(rig, rig.device);
  };
}

/** The function has gone, and nobody told the driver. */
function gone(act: (rig: Rig) => Outcome): (rig: Rig) => Outcome {
  return (rig) => {
    rig.target.fn.disable("standby");
    return act(rig);
  };
}

/** The rows in the order of the table. */
const ROWS: readonly Row[] = [
  {
    call: "any",
    situation: "cdev before BIND",
    errno: "EINVAL",
    acts: [
      unbound((rig) => rig.pread(0, 8)),
      unbound((rig) => rig.pread(0, 0)),
      unbound((rig) => rig.pwrite(region(7), 2)),
      unbound((rig, fd) => rig.call(() => rig.process.mmap(fd, 4096, 0))),
      unbound((rig, fd) => rig.ioctl(fd, 0x3bff)),
      ...[
        IOCTL.GET_INFO,
        IOCTL.GET_REGION_INFO,
        IOCTL.GET_IRQ_INFO,
        IOCTL.SET_IRQS,
        IOCTL.RESET,
        IOCTL.FEATURE,
      ]
        .map((request) => unbound((rig, fd) => rig.ioctl(fd, request, words(32, 0, 0, 0, 0n, 0n)))),
    ],
  },
  {
    call: "ioctl",
    situation: "unknown number",
    errno: "ENOTTY",
    acts: [0, 0x3b63, 0x3b64, 0x3b72, 0x3b73, 0x3b79, 0x3bff, 0x4c6b].map((request) => ioctl(request)),
  },
  {
    call: "GET_INFO",
    situation: "argsz<16",
    errno: "EINVAL",
    acts: [0, 15].map((argsz) => ioctl(IOCTL.GET_INFO, () => words(argsz, 0, 0, 0, 0, 0))),
  },
  {
    call: "GET_REGION_INFO",
    situation: "argsz<32; index 6, 8, >=9",
    errno: "EINVAL",
    acts: [
      ioctl(IOCTL.GET_REGION_INFO, () => words(31, 0, 0, 0, 0n, 0n)),
      ...[6, 8, 9, 10, 0x7fff, 0x8000, 0xffff_ffff].map(regionInfo),
    ],
  },
  {
    call: "GET_IRQ_INFO",
    situation: ">=5",
    errno: "EINVAL",
    acts: [5, 6, 0xffff_ffff].map(irqInfo),
  },
  {
    call: "GET_IRQ_INFO",
    situation: "index 3 in Linux 7.1",
    errno: "EINVAL",
    acts: [irqInfo(3)],
    choices: { kernel: { release: "7.1" } },
  },
  {
    call: "SET_IRQS",
    situation: "index with 0 irqs, bad range/types/size",
    errno: "EINVAL",
    acts: [
      ...[0, 2, 3].flatMap((index) => [setIrqs(0x21, index, 0, 0), setIrqs(0x21, index, 0, 1)]),
      setIrqs(0x21, 1, 1, 0),
      setIrqs(0x21, 1, 0, 2),
      setIrqs(0x21, 5, 0, 0),
      setIrqs(0x20, 1, 0, 1),
      setIrqs(0x23, 1, 0, 1, 0),
      setIrqs(0x24, 1, 0, 1),
      setIrqs(0x61, 1, 0, 0),
    ],
  },
  {
    call: "SET_IRQS",
    situation: "MSI mask/unmask; REQ mask/unmask; no action bit",
    errno: "ENOTTY",
    acts: [1, 4].flatMap((index) => [0x09, 0x11, 0x01].map((flags) => setIrqs(flags, index, 0, 1))),
  },
  {
    call: "RESET",
    situation: "offered, lock contended",
    errno: "EAGAIN",
    acts: [(rig) => {
      rig.takeLock();
      return rig.ioctl(rig.device, IOCTL.RESET);
    }],
  },
  {
    call: "HOT_RESET_INFO",
    situation: "small buffer",
    errno: "ENOSPC",
    acts: [(rig) => rig.ioctl(rig.device, IOCTL.GET_PCI_HOT_RESET_INFO, words(19, 0, 0), { effect: true })],
  },
  {
    call: "FEATURE 11",
    situation: "always",
    errno: "EOPNOTSUPP",
    acts: [0x1000b, 0x2000b, 0x4000b, 0x5000b, 0x7000b, 0x000b].map((flags) =>
      ioctl(IOCTL.FEATURE, () => words(8, flags))
    ),
  },
  {
    call: "ATTACH",
    situation: "with PASID flag",
    errno: "EOPNOTSUPP",
    way: "cdev",
    acts: [(rig) => rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(16, 1, rig.ioas, 1))],
  },
  {
    call: "mmap",
    situation: "always",
    errno: "EINVAL",
    acts: [0, region(2), region(7)].map((offset) => (rig) =>
      rig.call(() => rig.process.mmap(rig.device, 4096, offset))
    ),
  },
  {
    call: "lseek",
    situation: "always",
    errno: "ESPIPE",
    acts: (["SEEK_SET", "SEEK_CUR", "SEEK_END"] as const).map((whence) => (rig) =>
      rig.call(() => rig.process.lseek(rig.device, 0, whence))
    ),
  },
  {
    call: "pread/pwrite",
    situation: "negative offset, offset+count overflow",
    errno: "EINVAL",
    acts: [
      ...both(-1, 1),
      ...both(-1n, 0),
      ...both(2n ** 63n, 0),
      ...both(2n ** 64n - 1n, 1),
      ...both(2n ** 63n - 1n, 1),
      ...both(region(7), 2n ** 63n - 1n),
    ],
  },
  {
    call: "pread/pwrite",
    situation: "count 0, any index",
    errno: 0,
    acts: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31].flatMap((index) => [
      ...both(region(index), 0),
      ...both(BigInt(region(index + 1)) - 1n, 0),
    ]).concat(both(2n ** 63n - 1n, 0)),
  },
  {
    call: "pread/pwrite",
    situation: "index 6, 8+; empty BAR; offset >= BAR size",
    errno: "EINVAL",
    acts: [
      ...[6, 8, 9, 31, 1, 3, 4, 5].flatMap((index) => both(region(index), 1)),
      ...both(0x7fff_0000_0000_0000n, 1),
      ...both(region(2) + 0x10000, 1),
      ...both(region(3) - 1, 1),
    ],
  },
  {
    call: "pwrite BAR",
    situation: "count>maxstbl; crosses 4 KiB",
    errno: "EINVAL",
    choices: { machine: { maxstbl: 256 } },
    acts: [pwrite(0, 257), pwrite(region(2), 257), pwrite(0xff8, 9), pwrite(region(2) + 0xfff, 2)],
  },
  {
    call: "pwrite BAR",
    situation: "program exception",
    errno: "ENXIO",
    choices: { machine: { storeBlock: "strict8" } },
    acts: [pwrite(region(2), 8), pwrite(0, 8), pwrite(0, 20), pwrite(4, 16)],
  },
  {
    call: "pwrite BAR",
    situation: "device error",
    errno: "EIO",
    acts: [pwrite(0, 8), pwrite(2 ** 40, 4096)],
  },
  {
    call: "pread BAR",
    situation: "device error (no partial count)",
    errno: "EIO",
    acts: [pread(0, 8), pread(3, 16), gone(pread(region(2), 8))],
  },
  {
    call: "pread/pwrite",
    situation: "bad user buffer",
    errno: "EFAULT",
    acts: [
      (rig) => rig.pread(region(2), 8, faulting),
      (rig) => rig.pread(region(7), 4, faulting),
      (rig) => rig.pwrite(region(2), 8, { buffer: EMPTY }),
      (rig) => rig.pwrite(0, 8, { buffer: EMPTY }),
      (rig) => rig.pwrite(region(7) + 4, 2, { buffer: EMPTY }),
    ],
  },
  {
    call: "pread/pwrite config",
    situation: "any byte beyond cfg_size",
    errno: "EFAULT",
    acts: [[0x100, 1], [0xff, 2], [0, 257], [2 ** 48 - 1, 1]].flatMap(([offset, count]) =>
      both(region(7) + offset!, count!)
    ),
  },
  {
    call: "pread/pwrite config",
    situation: "hardware gone",
    errno: "ENODEV",
    acts: [gone(pread(region(7) + 8, 4)), gone(pwrite(region(7) + 4, 2)), gone(pread(region(7) + 0x80, 1))],
  },
];

Deno.test.each([...ROWS])(
  "$call, $situation: $errno (docs/reference/README.md)",
  ({ acts, errno, choices, way }) => {
    const outcomes = acts.map((act) => act(Rig.opened(way, choices)));
    assertEquals(outcomes, acts.map(() => errno));
  },
);

Deno.test("an accepted call of each kind beside the refusals of the index (docs/reference/README.md)", () => {
  const rig = Rig.opened();
  const bars = BARS.map((index) => regionInfo(index)(rig));
  assertEquals(bars, [0, 0, 0, 0, 0, 0]);
  assertEquals([0, 1, 2, 3, 4].map((index) => irqInfo(index)(rig)), [0, 0, 0, 0, 0]);
  assertEquals(ioctl(IOCTL.GET_INFO, () => words(16, 0, 0, 0))(rig), 0);
  assertEquals([pread(region(7) + 0xff, 1)(rig), pread(region(2) + 0xffff, 2)(rig)], [1, 1]);
  assertEquals([pwrite(region(2) + 0xff8, 8)(rig), pwrite(region(2), 4096)(rig)], [8, 4096]);
  assertEquals(ioctl(IOCTL.GET_PCI_HOT_RESET_INFO, () => words(20, 0, 0, 0n))(rig), 0);
  assertEquals(ioctl(IOCTL.RESET)(rig), 0);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, cString(rig.name)), 6);
});
