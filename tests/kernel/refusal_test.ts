/**
 * A refused call changes nothing and copies nothing back, on a host in the middle of its work: DMBs, signals, MSI,
 * mappings, low power. The exceptions are those of vfio.read.error, vfio.hotreset.info and vfio.iommufd.ranges.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { pattern } from "../support/bytes.ts";
import { snapshot } from "../support/host.ts";
import {
  cString,
  IOCTL,
  type Outcome,
  region,
  Rig,
  START_DMA,
  type Way,
  WAYS,
  words,
} from "../support/kernel.ts";

/** Two functions of one guest with DMBs for each other; the first is the one that is called. */
function busy(way: Way): Rig {
  const rig = new Rig({ functions: 2 });
  const [first, second] = [rig.host.functions[0]!, rig.host.functions[1]!];
  const descriptor = first.driver.open(way);
  for (const { driver } of [first, second]) driver.start();
  const { token } = first.driver.registerDmb({ size: 8192, rgid: second.adapter.gid });
  second.driver.registerDmb({ size: 4096, rgid: first.adapter.gid });
  second.driver.move(token, 0, pattern(5000), { signal: true });
  [rig.device, rig.ioas] = [descriptor.fd, descriptor.save().ioas];
  if (way !== "cdev") [rig.container = -1, rig.group = -1] = descriptor.fds;
  else [rig.iommufd = -1] = descriptor.fds;
  assertEquals(rig.ioctl(rig.device, IOCTL.FEATURE, words(8, 0x20003)), 0);
  return rig;
}

/** Arguments whose every byte differs from what a success would leave: 0xa5 behind the given fields. */
function marked(...fields: readonly (number | bigint)[]): Uint8Array {
  const arg = new Uint8Array(256).fill(0xa5);
  arg.set(words(...fields));
  return arg;
}

interface Row {
  readonly what: string;
  readonly errno: string;
  readonly act: (rig: Rig) => Outcome;
  /** The only way in for which the row makes sense. */
  readonly way?: Way;
}

const device = (what: string, errno: string, request: number, ...fields: (number | bigint)[]): Row => ({
  what,
  errno,
  act: (rig) => rig.ioctl(rig.device, request, marked(...fields)),
});
const container = (what: string, errno: string, request: number, ...fields: (number | bigint)[]): Row => ({
  what,
  errno,
  way: "group",
  act: (rig) => rig.ioctl(rig.container, request, marked(...fields)),
});
const iommufd = (
  what: string,
  errno: string,
  request: number,
  fields: (rig: Rig) => (number | bigint)[],
): Row => ({
  what,
  errno,
  way: "cdev",
  act: (rig) => rig.ioctl(rig.iommufd, request, marked(...fields(rig)).slice(0, fields(rig)[0] as number)),
});
const IOVA = BigInt(START_DMA);

const ROWS: readonly Row[] = [
  device("GET_INFO, argsz", "EINVAL", IOCTL.GET_INFO, 15),
  {
    what: "GET_INFO, fault",
    errno: "EFAULT",
    act: (rig) => rig.ioctl(rig.device, IOCTL.GET_INFO, words(16, 0, 0)),
  },
  device("GET_REGION_INFO, argsz", "EINVAL", IOCTL.GET_REGION_INFO, 31, 0, 0),
  ...[6, 8, 9].map((index) =>
    device(`GET_REGION_INFO of ${index}`, "EINVAL", IOCTL.GET_REGION_INFO, 32, 0, index, 0, 1n, 1n)
  ),
  device("GET_IRQ_INFO, argsz", "EINVAL", IOCTL.GET_IRQ_INFO, 15, 0, 1),
  device("GET_IRQ_INFO of index 5", "EINVAL", IOCTL.GET_IRQ_INFO, 16, 0, 5),
  device("SET_IRQS of INTx", "EINVAL", IOCTL.SET_IRQS, 20, 0x21, 0, 0, 0),
  device("SET_IRQS without an action", "ENOTTY", IOCTL.SET_IRQS, 20, 1, 1, 0, 1),
  device("SET_IRQS, MSI beyond its vectors", "EINVAL", IOCTL.SET_IRQS, 28, 0x24, 1, 0, 2, 3, 3),
  device("SET_IRQS, REQ with a bad descriptor", "EBADF", IOCTL.SET_IRQS, 24, 0x24, 4, 0, 1, 99),
  device("hot-reset info, argsz", "EINVAL", IOCTL.GET_PCI_HOT_RESET_INFO, 11, 1, 1),
  device("hot reset, flags", "EINVAL", IOCTL.PCI_HOT_RESET, 16, 1, 0),
  device("hot reset, two groups", "EINVAL", IOCTL.PCI_HOT_RESET, 20, 0, 2, 3, 4),
  device("IOEVENTFD on BAR 0", "ENODEV", IOCTL.IOEVENTFD, 32, 4, 0n, 0n, 3, 0),
  device("IOEVENTFD on BAR 2", "EINVAL", IOCTL.IOEVENTFD, 32, 4, 2n << 48n, 0n, 3, 0),
  ...[[0, "ENOTTY"], [11, "EOPNOTSUPP"], [12, "EINVAL"], [13, "ENOMSG"], [14, "ENOTTY"]].map(([n, errno]) =>
    device(`feature ${n}`, errno as string, IOCTL.FEATURE, 64, 0x10000 + (n as number))
  ),
  device("a second LOW_POWER_ENTRY", "EINVAL", IOCTL.FEATURE, 8, 0x20003),
  device("LOW_POWER_ENTRY_WITH_WAKEUP, no descriptor", "EBADF", IOCTL.FEATURE, 16, 0x20004, 99, 0),
  device("an unknown ioctl", "ENOTTY", 0x3b72, 24, 0, 0n, 0n),
  container("IOMMU_GET_INFO, argsz", "EINVAL", IOCTL.IOMMU_GET_INFO, 15),
  container("MAP_DMA, overlap", "EEXIST", IOCTL.MAP_DMA, 32, 3, 0n, IOVA, 4096n),
  container("MAP_DMA, range", "EINVAL", IOCTL.MAP_DMA, 32, 3, 0n, 0n, 4096n),
  container("MAP_DMA, no memory", "EFAULT", IOCTL.MAP_DMA, 32, 3, 0n, IOVA + 2n ** 30n, 4096n),
  container("UNMAP_DMA, misaligned", "EINVAL", IOCTL.UNMAP_DMA, 24, 0, IOVA + 1n, 4096n),
  container("UNMAP_DMA, wrap", "EOVERFLOW", IOCTL.UNMAP_DMA, 24, 0, 2n ** 64n - 4096n, 8192n),
  container("UNMAP_DMA, ALL with a size", "EINVAL", IOCTL.UNMAP_DMA, 24, 2, 0n, 4096n),
  container("an unknown ioctl of a container", "ENOTTY", 0x3bff, 24),
  {
    what: "GET_STATUS, argsz",
    errno: "EINVAL",
    way: "group",
    act: (rig) => rig.ioctl(rig.group, IOCTL.GROUP_GET_STATUS, marked(7)),
  },
  {
    what: "SET_CONTAINER again",
    errno: "EINVAL",
    way: "group",
    act: (rig) => rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, marked(rig.container)),
  },
  {
    what: "UNSET_CONTAINER with an open device",
    errno: "EBUSY",
    way: "group",
    act: (rig) => rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER),
  },
  {
    what: "GET_DEVICE_FD of another device",
    errno: "ENODEV",
    way: "group",
    act: (rig) => rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, cString("0002:00:00.0")),
  },
  {
    what: "SET_IOMMU again",
    errno: "EINVAL",
    way: "group",
    act: (rig) => rig.ioctl(rig.container, IOCTL.SET_IOMMU, 3),
  },
  {
    what: "BIND_IOMMUFD again",
    errno: "EINVAL",
    act: (rig) => rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, marked(24, 0, rig.iommufd, 0, 0n)),
  },
  {
    what: "ATTACH, PASID",
    errno: "EOPNOTSUPP",
    way: "cdev",
    act: (rig) => rig.ioctl(rig.device, IOCTL.ATTACH_PT, marked(16, 1, rig.ioas, 1)),
  },
  {
    what: "ATTACH, bad id",
    errno: "ENOENT",
    way: "cdev",
    act: (rig) => rig.ioctl(rig.device, IOCTL.ATTACH_PT, marked(16, 0, 9999, 0)),
  },
  {
    what: "DETACH, flags",
    errno: "EINVAL",
    way: "cdev",
    act: (rig) => rig.ioctl(rig.device, IOCTL.DETACH_PT, marked(12, 2, 0)),
  },
  iommufd("IOAS_ALLOC, flags", "EOPNOTSUPP", IOCTL.IOAS_ALLOC, () => [12, 1, 0xa5]),
  iommufd("IOAS_MAP, overlap", "EEXIST", IOCTL.IOAS_MAP, ({ ioas }) => [40, 7, ioas, 0, 0n, 4096n, IOVA]),
  iommufd("IOAS_MAP, no memory", "EFAULT", IOCTL.IOAS_MAP, ({ ioas }) => [40, 6, ioas, 0, 0n, 4096n, 0n]),
  iommufd("IOAS_UNMAP, nothing", "ENOENT", IOCTL.IOAS_UNMAP, ({ ioas }) => [24, ioas, 0n, 4096n]),
  iommufd("IOVA_RANGES, no array", "EFAULT", IOCTL.IOAS_IOVA_RANGES, ({ ioas }) => [32, ioas, 1, 0, 0n, 0n]),
  iommufd("DESTROY, attached", "EBUSY", IOCTL.DESTROY, ({ ioas }) => [8, ioas]),
  { what: "pread of BAR 0", errno: "EIO", act: (rig) => rig.pread(0, 8) },
  { what: "pread of index 6", errno: "EINVAL", act: (rig) => rig.pread(region(6), 8) },
  { what: "pread behind config space", errno: "EFAULT", act: (rig) => rig.pread(region(7) + 0xff, 2) },
  { what: "pwrite of a bad token", errno: "EIO", act: (rig) => rig.pwrite(2 ** 47, 8) },
  { what: "pwrite across 4 KiB", errno: "EINVAL", act: (rig) => rig.pwrite(region(2) + 0xff9, 8) },
  {
    what: "pwrite from nowhere",
    errno: "EFAULT",
    act: (rig) => rig.pwrite(region(2), 8, { buffer: new Uint8Array(7) }),
  },
  { what: "mmap", errno: "EINVAL", act: (rig) => rig.call(() => rig.process.mmap(rig.device, 4096, 0)) },
  {
    what: "lseek",
    errno: "ESPIPE",
    act: (rig) => rig.call(() => rig.process.lseek(rig.device, 8, "SEEK_SET")),
  },
  {
    what: "open of a group in use",
    errno: "EBUSY",
    act: (rig) => rig.call(() => rig.process.open("/dev/vfio/0")),
  },
  { what: "close of nothing", errno: "EBADF", act: (rig) => rig.call(() => rig.process.close(99)) },
];

const EACH = WAYS.flatMap((way) =>
  ROWS.filter((row) => (row.way ?? way) === way).map((row) => ({ ...row, way }))
);

Deno.test.each(EACH)(
  "refused $what ($way): $errno, nothing changed, nothing copied back (3, 4, 7 to 9)",
  (row) => {
    const rig = busy(row.way);
    const before = snapshot(rig.host);
    assertEquals(row.act(rig), row.errno);
    assertEquals(snapshot(rig.host), before);
  },
);

Deno.test("the exceptions: hot-reset info fills count, IOVA_RANGES fills count and alignment (vfio.hotreset.info, vfio.iommufd.ranges)", () => {
  const rig = busy("cdev");
  const before = snapshot(rig.host);
  const info = words(19, 0xff, 0xff);
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_PCI_HOT_RESET_INFO, info, { effect: true }), "ENOSPC");
  assertEquals(info, words(19, 0, 1));
  const ranges = words(32, rig.ioas, 0, 0, 0n, 0n);
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.IOAS_IOVA_RANGES, ranges, { effect: true }), "EMSGSIZE");
  assertEquals(ranges, words(32, rig.ioas, 1, 0, 0n, 4096n));
  assertEquals(snapshot(rig.host), before, "and nothing else");
});

Deno.test("snapshot() sees what an accepted call of each kind does, so that these tests mean something", () => {
  for (
    const act of [
      (rig: Rig) => rig.ioctl(rig.device, IOCTL.FEATURE, words(8, 0x20005)),
      (rig: Rig) => rig.ioctl(rig.device, IOCTL.SET_IRQS, words(20, 0x21, 1, 0, 0)),
      (rig: Rig) => rig.ioctl(rig.device, IOCTL.RESET),
      (rig: Rig) => rig.pwrite(region(7) + 0x3c, 1, { buffer: Uint8Array.of(7) }),
      (rig: Rig) => rig.call(() => rig.process.open("/dev/iommu")),
    ]
  ) {
    const rig = busy("group");
    const before = snapshot(rig.host);
    assertEquals(typeof act(rig), "number");
    assertNotEquals(snapshot(rig.host), before);
  }
});
