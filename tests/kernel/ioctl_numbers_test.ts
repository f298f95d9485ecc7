/**
 * vfio.ioctl.numbers: ioctl numbers by name, dispatch by kind of descriptor first, and the rule for struct arguments.
 */
import { assertEquals } from "@std/assert";
import * as uapi from "../../lib/vfio/uapi.ts";
import { CONTAINER_IOCTL, DEVICE_IOCTL, GROUP_IOCTL, IOMMUFD_IOCTL } from "../../lib/vfio/uapi.ts";
import { cString, IOCTL, Rig, words } from "../support/kernel.ts";

const { entries, fromEntries } = Object;

Deno.test("the numbers of all ioctls, by name (vfio.ioctl.numbers, vfio.iommufd.commands)", () => {
  assertEquals<unknown>({ ...CONTAINER_IOCTL }, {
    VFIO_GET_API_VERSION: 0x3b64,
    VFIO_CHECK_EXTENSION: 0x3b65,
    VFIO_SET_IOMMU: 0x3b66,
    VFIO_IOMMU_GET_INFO: 0x3b70,
    VFIO_IOMMU_MAP_DMA: 0x3b71,
    VFIO_IOMMU_UNMAP_DMA: 0x3b72,
    VFIO_IOMMU_DIRTY_PAGES: 0x3b75,
  });
  assertEquals<unknown>({ ...GROUP_IOCTL }, {
    VFIO_GROUP_GET_STATUS: 0x3b67,
    VFIO_GROUP_SET_CONTAINER: 0x3b68,
    VFIO_GROUP_UNSET_CONTAINER: 0x3b69,
    VFIO_GROUP_GET_DEVICE_FD: 0x3b6a,
  });
  assertEquals<unknown>({ ...DEVICE_IOCTL }, {
    VFIO_DEVICE_GET_INFO: 0x3b6b,
    VFIO_DEVICE_GET_REGION_INFO: 0x3b6c,
    VFIO_DEVICE_GET_IRQ_INFO: 0x3b6d,
    VFIO_DEVICE_SET_IRQS: 0x3b6e,
    VFIO_DEVICE_RESET: 0x3b6f,
    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: 0x3b70,
    VFIO_DEVICE_PCI_HOT_RESET: 0x3b71,
    VFIO_DEVICE_QUERY_GFX_PLANE: 0x3b72,
    VFIO_DEVICE_IOEVENTFD: 0x3b74,
    VFIO_DEVICE_FEATURE: 0x3b75,
    VFIO_DEVICE_BIND_IOMMUFD: 0x3b76,
    VFIO_DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
    VFIO_DEVICE_DETACH_IOMMUFD_PT: 0x3b78,
  });
  assertEquals<unknown>({ ...IOMMUFD_IOCTL }, {
    IOMMU_DESTROY: 0x3b80,
    IOMMU_IOAS_ALLOC: 0x3b81,
    IOMMU_IOAS_ALLOW_IOVAS: 0x3b82,
    IOMMU_IOAS_COPY: 0x3b83,
    IOMMU_IOAS_IOVA_RANGES: 0x3b84,
    IOMMU_IOAS_MAP: 0x3b85,
    IOMMU_IOAS_UNMAP: 0x3b86,
    IOMMU_OPTION: 0x3b87,
    IOMMU_VFIO_IOAS: 0x3b88,
    IOMMU_HWPT_ALLOC: 0x3b89,
    IOMMU_GET_HW_INFO: 0x3b8a,
    IOMMU_HWPT_SET_DIRTY_TRACKING: 0x3b8b,
    IOMMU_HWPT_GET_DIRTY_BITMAP: 0x3b8c,
    IOMMU_HWPT_INVALIDATE: 0x3b8d,
    IOMMU_FAULT_QUEUE_ALLOC: 0x3b8e,
    IOMMU_IOAS_MAP_FILE: 0x3b8f,
    IOMMU_VIOMMU_ALLOC: 0x3b90,
    IOMMU_VDEVICE_ALLOC: 0x3b91,
    IOMMU_IOAS_CHANGE_PROCESS: 0x3b92,
    IOMMU_VEVENTQ_ALLOC: 0x3b93,
    IOMMU_HW_QUEUE_ALLOC: 0x3b94,
    IOMMU_NOIOMMU_GET_PA: 0x3b95,
  });
});

Deno.test("the numbers of flags, indices and extensions, by name (vfio.ioctl.numbers, vfio.type1.structs)", () => {
  assertEquals<unknown>(fromEntries(entries(uapi).filter(([name]) => /FLAGS$|^EXTENSION$|_ID$/.test(name))), {
    EXTENSION: { TYPE1: 1, TYPE1V2: 3, DMA_CC: 4, NOIOMMU: 8, UNMAP_ALL: 9, UPDATE_VADDR: 10 },
    GROUP_FLAGS: { VIABLE: 1, CONTAINER_SET: 2 },
    DEVICE_FLAGS: { RESET: 1, PCI: 2, CAPS: 0x80 },
    REGION_FLAGS: { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 },
    IRQ_FLAGS: { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 },
    IRQ_SET_FLAGS: { DATA_NONE: 1, DATA_BOOL: 2, DATA_EVENTFD: 4, MASK: 8, UNMASK: 16, TRIGGER: 32 },
    IOMMU_CAP_ID: { IOVA_RANGE: 1, MIGRATION: 2, DMA_AVAIL: 3 },
    CAP_ID: { ZPCI_BASE: 1, ZPCI_GROUP: 2, ZPCI_UTIL: 3, ZPCI_PFIP: 4 },
    DMA_MAP_FLAGS: { READ: 1, WRITE: 2, VADDR: 4 },
    DMA_UNMAP_FLAGS: { GET_DIRTY: 1, ALL: 2, VADDR: 4 },
    IOMMU_INFO_FLAGS: { PGSIZES: 1, CAPS: 2 },
    DIRTY_PAGES_FLAGS: { START: 1, STOP: 2, GET_BITMAP: 4 },
    IOMMU_OPTION_ID: { RLIMIT_MODE: 0, HUGE_PAGES: 1 },
    HOT_RESET_FLAGS: { DEV_ID: 1, DEV_ID_OWNED: 2 },
    FEATURE_FLAGS: { INDEX: 0xffff, GET: 0x1_0000, SET: 0x2_0000, PROBE: 0x4_0000 },
    BIND_FLAGS: { TOKEN: 1 },
    PT_FLAGS: { PASID: 1 },
    IOAS_MAP_FLAGS: { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 },
    HW_INFO_FLAGS: { INPUT_TYPE: 1 },
    HWPT_DIRTY_TRACKING_FLAGS: { ENABLE: 1 },
    HWPT_DIRTY_BITMAP_FLAGS: { NO_CLEAR: 1 },
  });
  assertEquals<unknown>(uapi.IOMMU_OPTION_OP, { SET: 0, GET: 1 });
  assertEquals<unknown>(uapi.VFIO_IOAS_OP, { GET: 0, SET: 1, CLEAR: 2 });
  assertEquals<unknown>(uapi.REGION, { BAR0: 0, BAR5: 5, ROM: 6, CONFIG: 7, VGA: 8, COUNT: 9 });
  assertEquals<unknown>(uapi.IRQ, { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4, COUNT: 5 });
});

Deno.test("the sizes of all structs, by name (vfio.type1.structs, vfio.setirqs.struct, vfio.region.struct)", () => {
  const sizes = entries(uapi).filter(([, table]) => typeof table === "object" && "size" in table);
  assertEquals(fromEntries(sizes.map(([name, table]) => [name, (table as { size: number }).size])), {
    GROUP_STATUS: 8,
    GROUP_SET_CONTAINER: 4,
    DEVICE_INFO: 24,
    REGION_INFO: 32,
    IRQ_INFO: 16,
    IRQ_SET: 20,
    CAP_HEADER: 8,
    ZPCI_BASE: 40,
    ZPCI_GROUP: 48,
    ZPCI_UTIL: 80,
    ZPCI_PFIP: 16,
    DMA_MAP: 32,
    DMA_UNMAP: 24,
    DIRTY_BITMAP: 24,
    DIRTY_PAGES: 48,
    IOMMU_INFO: 24,
    IOMMU_CAP_MIGRATION: 32,
    IOMMU_CAP_DMA_AVAIL: 16,
    IOMMU_CAP_IOVA_RANGE: 32,
    HOT_RESET_INFO: 12,
    HOT_RESET_ENTRY: 8,
    HOT_RESET: 12,
    IOEVENTFD: 32,
    DMA_BUF: 16,
    FEATURE: 8,
    ZPCI_ERROR: 8,
    ZPCI_ERROR_BLOCK: 32,
    BIND_IOMMUFD: 24,
    ATTACH_PT: 16,
    DETACH_PT: 12,
    IOMMU_DESTROY: 8,
    IOAS_ALLOC: 12,
    IOAS_IOVA_RANGES: 32,
    IOVA_RANGE: 16,
    IOAS_MAP: 40,
    IOAS_UNMAP: 24,
    IOAS_ALLOW_IOVAS: 24,
    IOAS_COPY: 40,
    IOMMU_OPTION: 24,
    VFIO_IOAS: 12,
    IOAS_MAP_FILE: 40,
    HWPT_ALLOC: 48,
    GET_HW_INFO: 40,
    HWPT_SET_DIRTY_TRACKING: 16,
    HWPT_GET_DIRTY_BITMAP: 48,
    HWPT_INVALIDATE: 32,
    FAULT_QUEUE_ALLOC: 16,
    VIOMMU_ALLOC: 40,
    VDEVICE_ALLOC: 24,
    IOAS_CHANGE_PROCESS: 8,
    VEVENTQ_ALLOC: 32,
    HW_QUEUE_ALLOC: 40,
    NOIOMMU_GET_PA: 40,
  });
});

Deno.test("the same number means different things on different kinds of descriptor (vfio.ioctl.numbers)", () => {
  const rig = Rig.opened();
  const info = words(24, 0, 0n, 0, 0);
  assertEquals(rig.ioctl(rig.container, 0x3b70, info), 0);
  assertEquals(info.slice(8, 16).toHex(), "0010000000000000", "IOMMU page sizes");
  const slots = words(20, 0, 0, 0n);
  assertEquals(rig.ioctl(rig.device, 0x3b70, slots), 0);
  assertEquals(slots.slice(8, 12).toHex(), "01000000", "devices that a hot reset takes along");
  assertEquals(rig.ioctl(rig.device, 0x3b71, words(12, 0, 1, rig.group)), 0, "hot reset");
  assertEquals(
    rig.ioctl(rig.container, 0x3b71, words(12, 0, 1, rig.group)),
    "EFAULT",
    "MAP_DMA has 32 bytes",
  );
  assertEquals(rig.ioctl(rig.device, 0x3b72, words(24, 2, 0n, 0n)), "ENOTTY", "no gfx planes");
  assertEquals(rig.ioctl(rig.container, 0x3b72, words(24, 2, 0n, 0n)), 0, "unmap all");
  assertEquals(rig.ioctl(rig.device, 0x3b75, words(8, 0x20005)), 0, "device feature 5");
});

const KINDS: readonly { kind: string; fd: (rig: Rig) => number; known: readonly number[] }[] = [
  { kind: "container", fd: (rig: Rig) => rig.container, known: [0x64, 0x65, 0x66, 0x70, 0x71, 0x72, 0x75] },
  { kind: "group", fd: (rig: Rig) => rig.group, known: [0x67, 0x68, 0x69, 0x6a] },
  {
    kind: "device",
    fd: (rig: Rig) => rig.device,
    known: [0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x74, 0x75, 0x76],
  },
];

Deno.test.each([...KINDS])(
  "a $kind descriptor answers ENOTTY to the numbers of all other kinds (vfio.ioctl.unknown)",
  ({ fd, known }) => {
    const rig = Rig.opened();
    const arg = new Uint8Array(64);
    for (let number = 0x60; number < 0x90; number++) {
      if (known.includes(number)) continue;
      assertEquals(rig.ioctl(fd(rig), 0x3b00 | number, arg), "ENOTTY", `0x3b${number.toString(16)}`);
    }
  },
);

Deno.test("an iommufd and an eventfd answer ENOTTY to unknown commands (vfio.ioctl.unknown, vfio.iommufd.general)", () => {
  const rig = Rig.opened("cdev");
  const eventfd = rig.process.eventfd();
  for (const number of [0x3b79, 0x3b96, 0x3bff]) {
    assertEquals(rig.ioctl(rig.iommufd, number, words(64, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0n)), "ENOTTY");
  }
  for (const number of [0x3b64, 0x3b6b, 0x3b80]) assertEquals(rig.ioctl(eventfd, number), "ENOTTY");
});

/** One struct ioctl: on which descriptor, its shortest argument, and further words that make it succeed. */
interface StructCall {
  readonly name: keyof typeof IOCTL;
  readonly fd: "container" | "group" | "device" | "iommufd";
  readonly minimum: number;
  readonly rest: (rig: Rig) => readonly (number | bigint)[];
  /** What the shortest argument gives; 0 by default. */
  readonly shortest?: string;
  /** A larger size must end in zeros. */
  readonly strict?: true;
}

const ANY = () => [];

const STRUCTS: readonly StructCall[] = [
  { name: "GROUP_GET_STATUS", fd: "group", minimum: 8, rest: ANY },
  { name: "GET_INFO", fd: "device", minimum: 16, rest: ANY },
  { name: "GET_REGION_INFO", fd: "device", minimum: 32, rest: ANY },
  { name: "GET_IRQ_INFO", fd: "device", minimum: 16, rest: ANY },
  { name: "SET_IRQS", fd: "device", minimum: 20, rest: () => [0x24, 1, 0, 0], shortest: "ERANGE" },
  { name: "GET_PCI_HOT_RESET_INFO", fd: "device", minimum: 12, rest: ANY, shortest: "ENOSPC" },
  {
    name: "PCI_HOT_RESET",
    fd: "device",
    minimum: 12,
    rest: ({ group }) => [0, 1, group],
    shortest: "EFAULT",
  },
  { name: "IOEVENTFD", fd: "device", minimum: 28, rest: () => [4, 0n, 0n, 0], shortest: "ENODEV" },
  { name: "FEATURE", fd: "device", minimum: 8, rest: () => [0x40003] },
  { name: "IOMMU_GET_INFO", fd: "container", minimum: 16, rest: ANY },
  { name: "MAP_DMA", fd: "container", minimum: 32, rest: () => [3, 0n, 0n, 4096n], shortest: "EINVAL" },
  { name: "UNMAP_DMA", fd: "container", minimum: 24, rest: () => [0, 0n, 4096n] },
  { name: "DIRTY_PAGES", fd: "container", minimum: 8, rest: () => [2] },
  { name: "DETACH_PT", fd: "device", minimum: 8, rest: ANY },
  { name: "ATTACH_PT", fd: "device", minimum: 12, rest: ({ ioas }) => [0, ioas] },
  { name: "BIND_IOMMUFD", fd: "device", minimum: 16, rest: ANY, shortest: "EINVAL", strict: true },
  { name: "IOAS_ALLOC", fd: "iommufd", minimum: 12, rest: ANY, strict: true },
  { name: "DESTROY", fd: "iommufd", minimum: 8, rest: (rig) => [rig.newIoas()], strict: true },
  { name: "IOAS_UNMAP", fd: "iommufd", minimum: 24, rest: ANY, shortest: "ENOENT", strict: true },
  { name: "IOAS_MAP", fd: "iommufd", minimum: 40, rest: ANY, shortest: "EINVAL", strict: true },
  { name: "IOAS_ALLOW_IOVAS", fd: "iommufd", minimum: 24, rest: ({ ioas }) => [ioas], strict: true },
  { name: "IOAS_COPY", fd: "iommufd", minimum: 40, rest: ANY, shortest: "EINVAL", strict: true },
  { name: "OPTION", fd: "iommufd", minimum: 24, rest: () => [0, 1], strict: true },
  { name: "VFIO_IOAS", fd: "iommufd", minimum: 12, rest: () => [0, 2], strict: true },
  { name: "IOAS_MAP_FILE", fd: "iommufd", minimum: 40, rest: ANY, shortest: "EINVAL", strict: true },
  {
    name: "IOAS_IOVA_RANGES",
    fd: "iommufd",
    minimum: 32,
    rest: ({ ioas }) => [ioas],
    shortest: "EMSGSIZE",
    strict: true,
  },
];

/** An argument of `length` bytes that claims to have `argsz`. */
function argument(rig: Rig, { rest }: StructCall, length: number, argsz: number): Uint8Array {
  const arg = new Uint8Array(Math.max(length, 64));
  arg.set(words(argsz, ...rest(rig)));
  return arg.slice(0, length);
}

Deno.test.each([...STRUCTS])(
  "$name takes $minimum bytes: EFAULT first, then EINVAL for argsz (vfio.ioctl.argsz, vfio.ioctl.memory)",
  (row) => {
    const rig = Rig.opened(row.fd === "iommufd" || row.name.endsWith("PT") ? "cdev" : "group");
    const fd = rig[row.fd];
    const { minimum, strict = false, shortest = 0 } = row;
    const call = (length: number, argsz: number, effects = {}) =>
      rig.ioctl(fd, IOCTL[row.name], argument(rig, row, length, argsz), effects);
    assertEquals(call(0, minimum), "EFAULT");
    assertEquals(rig.ioctl(fd, IOCTL[row.name], 0x1000), "EFAULT", "a pointer to nothing");
    assertEquals(call(minimum - 1, minimum), "EFAULT");
    // What reads its size alone first knows that it is too small before the rest can fault.
    assertEquals(call(strict ? 4 : minimum - 1, 0), strict ? "EINVAL" : "EFAULT");
    assertEquals(call(minimum, 0), "EINVAL");
    assertEquals(call(minimum, minimum - 1), "EINVAL");
    assertEquals(call(64, minimum - 1), "EINVAL");
    assertEquals(call(minimum, minimum, { effect: true }), shortest);
  },
);

Deno.test.each([
  ...STRUCTS.filter(({ strict }) => strict !== true).map(({ name, fd, minimum, rest }) => ({
    name,
    fd,
    minimum,
    rest,
  })),
])("$name accepts any larger argsz, whatever lies behind (vfio.ioctl.argsz)", (row) => {
  const rig = Rig.opened(row.name.endsWith("PT") ? "cdev" : "group");
  const call = (argsz: number, tail: number) => {
    const arg = new Uint8Array(4096).fill(tail);
    arg.fill(0, 0, 64);
    arg.set(words(argsz, ...row.rest(rig)));
    return rig.ioctl(rig[row.fd], IOCTL[row.name], arg, { effect: true });
  };
  assertEquals(call(4096, 0xa5), call(4096, 0));
  assertEquals([4096, 0x1000_0000].map((argsz) => call(argsz, 0xa5) === "E2BIG"), [false, false]);
});

Deno.test("BIND_IOMMUFD and iommufd answer E2BIG to unknown bytes that are not zero (vfio.ioctl.unknown, vfio.iommufd.general)", () => {
  for (const row of STRUCTS.filter(({ strict }) => strict === true)) {
    const rig = Rig.opened("cdev");
    const known = row.name === "BIND_IOMMUFD" ? 24 : row.minimum;
    const call = (argsz: number, dirty: number) => {
      const arg = argument(rig, row, 64, argsz);
      if (dirty >= 0) arg[dirty] = 1;
      return rig.ioctl(rig[row.fd], IOCTL[row.name], arg, { effect: true });
    };
    assertEquals(call(64, 63), "E2BIG", row.name);
    assertEquals(call(64, known), "E2BIG", row.name);
    assertEquals(call(known, known), row.shortest ?? 0, "behind the size nothing is looked at");
    assertEquals(call(64, -1), row.shortest ?? 0, row.name);
  }
});

Deno.test("GET_DEVICE_FD takes text, SET_CONTAINER a descriptor, UNSET_CONTAINER and RESET nothing (vfio.ioctl.numbers)", () => {
  const rig = new Rig();
  const container = rig.process.open("/dev/vfio/vfio");
  const group = rig.process.open("/dev/vfio/0");
  assertEquals(rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container)), 0);
  assertEquals(rig.ioctl(container, IOCTL.SET_IOMMU, 3), 0);
  const device = rig.ioctl(group, IOCTL.GROUP_GET_DEVICE_FD, cString(rig.name)) as number;
  assertEquals(rig.ioctl(device, IOCTL.RESET), 0);
  rig.process.close(device);
  assertEquals(rig.ioctl(group, IOCTL.GROUP_UNSET_CONTAINER), 0);
});
