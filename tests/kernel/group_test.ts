/** vfio.group.getfd: group and container, step by step, errors in the order of the table. */
import { assertEquals } from "@std/assert";
import { cString, IOCTL, type Outcome, PAGE, region, Rig, START_DMA, u32, words } from "../support/kernel.ts";

/** A rig with a container and a group, not joined yet. */
function apart(functions = 1): Rig {
  const rig = new Rig({ functions });
  rig.container = rig.process.open("/dev/vfio/vfio");
  rig.group = rig.process.open("/dev/vfio/0");
  return rig;
}

/** As {@linkcode apart}, the group in the container. */
function joined(): Rig {
  const rig = apart();
  rig.process.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
  return rig;
}

const setContainer = (rig: Rig, fd: number) => rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(fd));
const setIommu = (rig: Rig, type: number) => rig.ioctl(rig.container, IOCTL.SET_IOMMU, type);
const deviceFd = (rig: Rig, name: string) => rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, cString(name));
const status = (rig: Rig) => {
  const arg = words(8, 0xffff_ffff);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_GET_STATUS, arg), 0);
  return arg.toHex();
};

Deno.test("the order of the table works, step by step (vfio.group.getfd)", () => {
  const rig = apart();
  const { container, group } = rig;
  assertEquals(rig.ioctl(container, IOCTL.GET_API_VERSION), 0);
  assertEquals(status(rig), "08000000" + "01000000", "viable");
  assertEquals(setContainer(rig, container), 0);
  assertEquals(status(rig), "08000000" + "03000000", "viable, container set");
  assertEquals(rig.ioctl(container, IOCTL.CHECK_EXTENSION, 3), 1);
  assertEquals(setIommu(rig, 3), 0);
  const device = deviceFd(rig, rig.name) as number;
  assertEquals(rig.process.pread(device, new Uint8Array(8), 8, region(2)), 8);
  rig.process.close(device);
  assertEquals(rig.ioctl(group, IOCTL.GROUP_UNSET_CONTAINER), 0);
  assertEquals(status(rig), "08000000" + "01000000");
});

Deno.test("GET_STATUS copies 8 bytes and keeps a larger argsz (vfio.ioctl.argsz, vfio.group.status)", () => {
  const rig = apart();
  const arg = words(64, 0, 0xa5a5_a5a5);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_GET_STATUS, arg), 0);
  assertEquals(arg.toHex(), "40000000" + "01000000" + "a5a5a5a5");
});

Deno.test("open of a group that is open already: EBUSY, until it is closed (vfio.group.open)", () => {
  const rig = apart();
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), "EBUSY");
  rig.process.close(rig.group);
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), rig.group);
});

Deno.test("open of a group whose device is open by its cdev: EBUSY, until that is closed (vfio.group.open)", () => {
  const rig = Rig.opened("cdev");
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), "EBUSY");
  rig.process.close(rig.device);
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), rig.device);
});

Deno.test("a device descriptor keeps its group open and in its container (vfio.group.getfd, zpci.dma.order)", () => {
  const rig = Rig.opened();
  rig.mapDma(START_DMA);
  rig.process.close(rig.group);
  rig.process.close(rig.container);
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), "EBUSY");
  assertEquals(rig.pread(region(2), 8), 8);
  rig.process.close(rig.device);
  rig.group = rig.process.open("/dev/vfio/0");
  assertEquals(status(rig), "08000000" + "01000000", "no container any more");
  assertEquals(rig.domain, undefined, "the mappings died with the container");
});

Deno.test.each([
  { what: "no descriptor in reach", arg: () => new Uint8Array(3), errno: "EFAULT" },
  { what: "no such descriptor", arg: () => words(99), errno: "EBADF" },
  { what: "a negative descriptor", arg: () => words(-1), errno: "EBADF" },
  { what: "the group itself", arg: ({ group }: Rig) => words(group), errno: "EBADFD" },
  { what: "an eventfd", arg: ({ process }: Rig) => words(process.eventfd()), errno: "EBADFD" },
  { what: "the container", arg: ({ container }: Rig) => words(container), errno: 0 },
])("SET_CONTAINER with $what: $errno (vfio.group.setcontainer)", ({ arg, errno }) => {
  const rig = apart();
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, arg(rig)), errno);
});

Deno.test("SET_CONTAINER of a group in a container: EBADF first, then EINVAL, then the kind of file (vfio.group.setcontainer)", () => {
  const rig = joined();
  const second = rig.process.open("/dev/vfio/vfio");
  assertEquals(setContainer(rig, 99), "EBADF");
  assertEquals([rig.container, second, rig.group].map((fd) => setContainer(rig, fd)), [
    "EINVAL",
    "EINVAL",
    "EINVAL",
  ]);
});

Deno.test("UNSET_CONTAINER: EINVAL without one, EBUSY while a device is open (vfio.group.unset)", () => {
  const rig = apart();
  const unset = () => rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER);
  assertEquals(unset(), "EINVAL");
  assertEquals([setContainer(rig, rig.container), setIommu(rig, 3)], [0, 0]);
  const device = deviceFd(rig, rig.name) as number;
  assertEquals(unset(), "EBUSY");
  rig.process.close(device);
  assertEquals([unset(), unset()], [0, "EINVAL"]);
});

Deno.test.each([
  { extension: 1, name: "TYPE1", answer: 1 },
  { extension: 3, name: "TYPE1v2", answer: 1 },
  { extension: 8, name: "NOIOMMU", answer: 0 },
  { extension: 9, name: "UNMAP_ALL", answer: 1 },
  { extension: 0, name: "nothing", answer: 0 },
  { extension: 2, name: "SPAPR_TCE", answer: 0 },
  { extension: 0xffff, name: "unknown", answer: 0 },
])(
  "CHECK_EXTENSION of $name ($extension): $answer, with and without a type (vfio.group.name)",
  ({ extension, answer }) => {
    const rig = joined();
    const check = () => rig.ioctl(rig.container, IOCTL.CHECK_EXTENSION, extension);
    assertEquals(check(), answer);
    assertEquals(setIommu(rig, 3), 0);
    assertEquals(check(), answer);
  },
);

Deno.test.each([
  { type: 1, result: 0 },
  { type: 3, result: 0 },
  { type: 0, result: "ENODEV" },
  { type: 2, result: "ENODEV" },
  { type: 4, result: "ENODEV" },
  { type: 8, result: "ENODEV" },
  { type: 9, result: "EINVAL" },
  { type: 10, result: "ENODEV" },
])(
  "SET_IOMMU of $type: $result; EINVAL without a group and the second time (vfio.container.setiommu)",
  ({ type, result }) => {
    const rig = apart();
    assertEquals(setIommu(rig, type), "EINVAL");
    setContainer(rig, rig.container);
    assertEquals(setIommu(rig, type), result);
    assertEquals([setIommu(rig, 3), setIommu(rig, 3)], [result === 0 ? "EINVAL" : 0, "EINVAL"]);
  },
);

Deno.test("other ioctls of a container: EINVAL before SET_IOMMU, ENOTTY after it if they are unknown (vfio.container.setiommu, vfio.container.order)", () => {
  const rig = joined();
  const unmap = () => rig.ioctl(rig.container, IOCTL.UNMAP_DMA, words(24, 2, 0n, 0n));
  const unknown = () => rig.ioctl(rig.container, 0x3bff);
  assertEquals([unmap(), unknown()], ["EINVAL", "EINVAL"]);
  setIommu(rig, 3);
  assertEquals([unmap(), unknown()], [0, "ENOTTY"]);
});

Deno.test("the last group that leaves takes the IOMMU type along, the first does not (vfio.group.getfd, zpci.dma.order)", () => {
  const rig = apart(2);
  const other = rig.process.open("/dev/vfio/1");
  for (const group of [rig.group, other]) {
    assertEquals(rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(rig.container)), 0);
  }
  setIommu(rig, 3);
  rig.mapDma(START_DMA);
  const unmap = () => {
    const arg = words(24, 0, BigInt(START_DMA), BigInt(PAGE));
    const result = rig.ioctl(rig.container, IOCTL.UNMAP_DMA, arg);
    return result === 0 ? u32(arg, 16) : result;
  };
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER), 0);
  assertEquals(unmap(), PAGE);
  rig.mapDma(START_DMA);
  assertEquals(rig.ioctl(other, IOCTL.GROUP_UNSET_CONTAINER), 0);
  assertEquals(unmap(), "EINVAL");
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container)), 0);
  setIommu(rig, 1);
  assertEquals(unmap(), 0, "the mappings are gone");
});

Deno.test.each<{ context: string; rig: () => Rig; result: Outcome }>([
  { context: "without a container", rig: () => apart(), result: "EINVAL" },
  { context: "in a container without a type", rig: () => joined(), result: "EINVAL" },
  { context: "in a container with a type", rig: () => (Rig.opened()), result: 6 },
])("GET_DEVICE_FD of a group $context: $result (vfio.group.getfd)", ({ rig: make, result }) => {
  const rig = make();
  assertEquals(deviceFd(rig, "0002:00:00.0"), "ENODEV", "the name comes first");
  assertEquals(deviceFd(rig, `${rig.name} vf_token=`), "EINVAL", "the options come first");
  assertEquals(deviceFd(rig, rig.name), result);
});

const UUID = "01234567-89ab-cdef-0123-456789abcdef";

Deno.test.each([
  { text: "0001:00:00.0", result: 6 },
  { text: "0001:00:00.0\0garbage", result: 6 },
  { text: "", result: "ENODEV" },
  { text: "0001:00:00", result: "ENODEV" },
  { text: "0001:00:00.1", result: "ENODEV" },
  { text: " 0001:00:00.0", result: "ENODEV" },
  { text: "0001:00:00.0x", result: "ENODEV" },
  { text: "0001:00:00.0,vf_token=", result: "ENODEV" },
  { text: "0001:00:00.0\t", result: "ENODEV" },
  { text: `0001:00:00.0 vf_token=${UUID}`, result: "EINVAL" },
  { text: `0001:00:00.0 vf_token=${UUID} vf_token=${UUID}`, result: "EINVAL" },
  { text: "0001:00:00.0 vf_token=short", result: "EINVAL" },
  { text: "0001:00:00.0 noiommu", result: "EINVAL" },
])("GET_DEVICE_FD of $text: $result (vfio.group.getfd)", ({ text, result }) => {
  const rig = Rig.opened();
  assertEquals(deviceFd(rig, text), result);
});

Deno.test.each([
  { what: "no byte", length: 0, end: -1, result: "EFAULT" },
  { what: "4095 bytes without an end", length: 4095, end: -1, result: "EFAULT" },
  { what: "4096 bytes without an end", length: 4096, end: -1, result: "EINVAL" },
  { what: "an end as byte 4097", length: 4097, end: 4096, result: "EINVAL" },
  { what: "an end as byte 4096", length: 4096, end: 4095, result: "ENODEV" },
])("GET_DEVICE_FD with $what: $result (vfio.group.getfd)", ({ length, end, result }) => {
  const rig = Rig.opened();
  const name = new Uint8Array(length).fill(0x41);
  if (end >= 0) name[end] = 0;
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, name), result);
});

Deno.test("GET_DEVICE_FD again shares the open device, not the file position (vfio.group.getfd)", () => {
  const rig = Rig.opened("group", { ism: { bar0Loads: "zeros" } });
  const { process, device } = rig;
  const fh = rig.target.fn.fh;
  const second = deviceFd(rig, rig.name) as number;
  assertEquals(rig.target.fn.fh, fh, "no second reset");
  rig.setConfig(0x3c, 1, 0x5a);
  assertEquals(process.read(device, new Uint8Array(24), 24), 24);
  assertEquals([process.file(device).position, process.file(second).position], [24, 0]);
  rig.device = second;
  assertEquals(rig.config(0x3c, 1), 0x5a, "one config shadow");
  process.close(device);
  assertEquals(rig.config(0x3c, 1), 0x5a, "which the last close ends");
});
