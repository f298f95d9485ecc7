/** vfio.cdev.bind: character device and iommufd, step by step, errors in the order of the table. */
import { assertEquals } from "@std/assert";
import { IOCTL, PAGE, region, Rig, START_DMA, u32, words } from "../support/kernel.ts";

/** A rig with an iommufd and a character device that is not bound. */
function unbound(functions = 1): Rig {
  const rig = new Rig({ functions });
  rig.iommufd = rig.process.open("/dev/iommu");
  rig.device = rig.process.open("/dev/vfio/devices/vfio0");
  return rig;
}

/** As {@linkcode unbound}, bound to the iommufd, with an IOAS that nothing is attached to. */
function bound(): Rig {
  const rig = unbound();
  rig.process.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(16, 0, rig.iommufd, 0));
  rig.ioas = rig.newIoas();
  return rig;
}

const bind = (rig: Rig, ...fields: (number | bigint)[]) =>
  rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(...fields));
const attach = (rig: Rig, ...fields: number[]) => rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(...fields));
const detach = (rig: Rig, ...fields: number[]) => rig.ioctl(rig.device, IOCTL.DETACH_PT, words(...fields));
const info = (rig: Rig) => rig.ioctl(rig.device, IOCTL.GET_INFO, words(16, 0, 0, 0));

Deno.test("the order of the table works, step by step (vfio.cdev.bind)", () => {
  const rig = unbound();
  assertEquals(info(rig), "EINVAL");
  const arg = words(24, 0, rig.iommufd, 0, 0n);
  assertEquals(rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, arg), 0);
  assertEquals([u32(arg, 0), u32(arg, 4), u32(arg, 8), u32(arg, 12) > 0], [24, 0, rig.iommufd, true]);
  assertEquals(info(rig), 0, "no IOAS is needed for it");
  rig.ioas = rig.newIoas();
  assertEquals(attach(rig, 16, 0, rig.ioas, 0), 0);
  rig.mapDma(START_DMA);
  assertEquals(rig.pread(region(2), 8), 8);
  assertEquals(detach(rig, 12, 0, 0), 0);
  rig.close();
});

Deno.test("every call on an unbound descriptor is EINVAL, BIND and what the VFS answers aside (vfio.cdev.bind, vfio.cdev.before)", () => {
  const rig = unbound();
  const { process, device } = rig;
  const bytes = new Uint8Array(8);
  const refused = [
    ...[0, 1, 8].flatMap((count) => [rig.pread(0, count), rig.pwrite(region(7), count)]),
    rig.call(() => process.read(device, bytes, 8)),
    rig.call(() => process.write(device, bytes, 8)),
    rig.call(() => process.readv(device, [bytes])),
    rig.call(() => process.pwritev(device, [bytes], 0)),
    rig.call(() => process.mmap(device, PAGE, 0)),
    ...Array.from({ length: 48 }, (_, i) => 0x3b60 + i).filter((request) => request !== IOCTL.BIND_IOMMUFD)
      .map((request) => rig.ioctl(device, request, words(64, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0n))),
  ];
  assertEquals(refused, refused.map(() => "EINVAL"));
  assertEquals(rig.call(() => process.lseek(device, 0, "SEEK_SET")), "ESPIPE");
  assertEquals(rig.target.fn.fh, 0x8100_0001, "the function was not touched");
});

Deno.test.each([
  { what: "argsz 15", fields: [15, 0, 3, 0], errno: "EINVAL" },
  { what: "a tail that is not zero", fields: [32, 0, -1, 0, 0n, 1n], errno: "E2BIG" },
  { what: "a tail of zeros", fields: [32, 0, 3, 0, 0n, 0n], errno: 0 },
  { what: "iommufd -1", fields: [24, 0, -1, 0, 0n], errno: "EINVAL" },
  { what: "iommufd -2", fields: [24, 0, -2, 0, 0n], errno: "EINVAL" },
  { what: "an unknown flag", fields: [24, 2, 99, 0, 0n], errno: "EINVAL" },
  { what: "a token that is not there", fields: [24, 1, 99, 0, 0n], errno: "EFAULT" },
  { what: "a token behind argsz", fields: [16, 1, 99, 0, 0x100000n], errno: "EFAULT" },
  { what: "no such descriptor", fields: [24, 0, 99, 0, 0n], errno: "EBADF" },
  { what: "a descriptor of another kind", fields: [24, 0, 4, 0, 0n], errno: "EBADFD" },
  { what: "the shortest argument", fields: [16, 0, 3, 0], errno: 0 },
  { what: "all of the argument", fields: [24, 0, 3, 0, 0n], errno: 0 },
])("BIND_IOMMUFD with $what: $errno (vfio.cdev.bind)", ({ fields, errno }) => {
  const rig = unbound();
  assertEquals([rig.iommufd, rig.device], [3, 4]);
  assertEquals(bind(rig, ...fields), errno);
});

Deno.test("BIND_IOMMUFD reads argsz alone first, then all of what argsz says (vfio.cdev.bind)", () => {
  const rig = unbound();
  const call = (arg: Uint8Array) => rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, arg);
  assertEquals(call(new Uint8Array(3)), "EFAULT");
  assertEquals(call(words(15)), "EINVAL");
  assertEquals(call(words(16, 0, 3)), "EFAULT");
  assertEquals(call(words(24, 0, 3, 0)), "EFAULT");
  assertEquals(call(words(16, 0, 3, 0)), 0);
});

Deno.test("BIND_IOMMUFD with a readable token: EINVAL, the function is neither PF nor VF (vfio.cdev.bind)", () => {
  const rig = unbound();
  const token = rig.process.mmapAnonymous(PAGE);
  assertEquals(bind(rig, 24, 1, 99, 0, BigInt(token)), "EINVAL");
  assertEquals(bind(rig, 24, 0, 99, 0, BigInt(token)), "EBADF", "without the flag nobody looks at it");
});

Deno.test("BIND_IOMMUFD refuses a group's descriptor, before anything about the iommufd (vfio.cdev.bind)", () => {
  const rig = Rig.opened();
  assertEquals(bind(rig, 24, 0, -1, 0, 0n), "EINVAL");
  assertEquals(bind(rig, 24, 0, 99, 0, 0n), "EINVAL", "not EBUSY for the open group");
});

Deno.test("BIND_IOMMUFD while the group is open: EBUSY, after the checks of the arguments (vfio.cdev.bind)", () => {
  const rig = unbound();
  rig.group = rig.process.open("/dev/vfio/0");
  assertEquals(bind(rig, 24, 0, 99, 0, 0n), "EBUSY");
  assertEquals(bind(rig, 24, 1, 99, 0, 0n), "EBUSY");
  assertEquals(bind(rig, 24, 2, 99, 0, 0n), "EINVAL");
  rig.process.close(rig.group);
  assertEquals(bind(rig, 24, 0, rig.iommufd, 0, 0n), 0);
});

Deno.test("BIND_IOMMUFD a second time: EINVAL, before anything about the iommufd (vfio.cdev.bind)", () => {
  const rig = bound();
  assertEquals(bind(rig, 24, 0, 99, 0, 0n), "EINVAL");
  assertEquals(bind(rig, 24, 1, rig.iommufd, 0, 0n), "EINVAL", "before the token");
});

Deno.test("BIND_IOMMUFD of a second descriptor: EINVAL, after the look-up of the iommufd (vfio.cdev.bind)", () => {
  const rig = bound();
  const first = rig.device;
  rig.device = rig.process.open("/dev/vfio/devices/vfio0");
  assertEquals(bind(rig, 24, 0, 99, 0, 0n), "EBADF");
  assertEquals(bind(rig, 24, 0, first, 0, 0n), "EBADFD");
  assertEquals(bind(rig, 24, 0, rig.iommufd, 0, 0n), "EINVAL");
  assertEquals(info(rig), "EINVAL", "the second one is still unbound");
  rig.process.close(first);
  assertEquals(bind(rig, 24, 0, rig.iommufd, 0, 0n), 0);
});

Deno.test("BIND_IOMMUFD passes an open error on and leaves the descriptor unbound (vfio.cdev.bind, vfio.open.sequence)", () => {
  const rig = unbound();
  const { fn } = rig.target;
  const arg = words(24, 0, rig.iommufd, 0xa5a5_a5a5, 0n);
  // Memory decode is enabled before the reset is tried.
  const open = () => rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, arg, { effect: true });
  rig.takeLock();
  assertEquals(open(), "EAGAIN");
  fn.disable("standby");
  assertEquals(open(), "ENODEV");
  assertEquals(arg, words(24, 0, rig.iommufd, 0xa5a5_a5a5, 0n));
  assertEquals(info(rig), "EINVAL");
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), 5, "the group is free");
});

Deno.test("the devid of BIND differs from device to device of an iommufd (vfio.cdev.bind)", () => {
  const rig = unbound(2);
  const second = rig.process.open("/dev/vfio/devices/vfio1");
  const ids = [rig.device, second].map((fd) => {
    const arg = words(16, 0, rig.iommufd, 0);
    assertEquals(rig.ioctl(fd, IOCTL.BIND_IOMMUFD, arg), 0);
    return u32(arg, 12);
  });
  assertEquals(new Set([...ids, rig.newIoas()]).size, 3);
});

Deno.test.each([
  { what: "argsz 11", fields: [11, 0, 0], errno: "EINVAL" },
  { what: "argsz 12", fields: [12, 0, 0], errno: 0 },
  { what: "argsz 16", fields: [16, 0, 0, 0xffff], errno: 0 },
  { what: "an unknown flag", fields: [16, 2, 0, 0], errno: "EINVAL" },
  { what: "PASID and an unknown flag", fields: [16, 3, 0, 0], errno: "EINVAL" },
  { what: "PASID", fields: [16, 1, 0, 1], errno: "EOPNOTSUPP" },
  { what: "PASID without room for one", fields: [12, 1, 0], errno: "EOPNOTSUPP" },
  { what: "PASID and a bad id", fields: [16, 1, 99, 1], errno: "EOPNOTSUPP" },
  { what: "id 2^32-1", fields: [16, 0, 0xffff_ffff, 0], errno: "ENOENT" },
  { what: "id 99", fields: [16, 0, 99, 0], errno: "ENOENT" },
])("ATTACH_IOMMUFD_PT with $what: $errno (vfio.cdev.attach)", ({ fields, errno }) => {
  const rig = bound();
  const [argsz, flags, ptId, ...rest] = fields;
  assertEquals(attach(rig, argsz, flags, ptId === 0 ? rig.ioas : ptId, ...rest), errno);
});

Deno.test.each([
  { what: "argsz 7", fields: [7, 0], errno: "EINVAL" },
  { what: "argsz 8", fields: [8, 0], errno: 0 },
  { what: "argsz 12", fields: [12, 0, 0xffff], errno: 0 },
  { what: "an unknown flag", fields: [12, 2, 0], errno: "EINVAL" },
  { what: "PASID", fields: [12, 1, 1], errno: "EOPNOTSUPP" },
  { what: "PASID without room for one", fields: [8, 1], errno: "EOPNOTSUPP" },
])("DETACH_IOMMUFD_PT with $what: $errno, attached or not (vfio.cdev.detach)", ({ fields, errno }) => {
  const rig = bound();
  assertEquals(detach(rig, ...fields), errno);
  attach(rig, 16, 0, rig.ioas, 0);
  assertEquals(detach(rig, ...fields), errno);
});

Deno.test("ATTACH again replaces the page table; DETACH twice is fine (vfio.cdev.detach)", () => {
  const rig = bound();
  const second = rig.newIoas();
  const attached = () => rig.domain?.mappings().map(({ iova }) => iova);
  rig.mapDma(START_DMA);
  assertEquals(attached(), undefined);
  attach(rig, 16, 0, rig.ioas, 0);
  assertEquals(attached(), [START_DMA]);
  assertEquals(attach(rig, 16, 0, second, 0), 0);
  assertEquals(attached(), []);
  assertEquals(attach(rig, 16, 0, 99, 0), "ENOENT", "which leaves the second attached");
  assertEquals([detach(rig, 8, 0), detach(rig, 8, 0)], [0, 0]);
  assertEquals(attached(), undefined);
});

Deno.test("ATTACH and DETACH on a group's descriptor fall through to the driver: ENOTTY (vfio.cdev.detach)", () => {
  const rig = Rig.opened();
  assertEquals([attach(rig, 16, 0, 1, 0), detach(rig, 12, 0, 0)], ["ENOTTY", "ENOTTY"]);
  assertEquals([attach(rig, 1, 9, 1, 0), detach(rig, 1, 9, 0)], ["ENOTTY", "ENOTTY"]);
});

Deno.test("a bound device keeps its iommufd's mappings when that descriptor is closed (vfio.cdev.bind, zpci.dma.order)", () => {
  const rig = Rig.opened("cdev");
  rig.mapDma(START_DMA);
  rig.process.close(rig.iommufd);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1);
  rig.process.close(rig.device);
  assertEquals([rig.domain, rig.target.guest.kernel.iommufds.size], [undefined, 0]);
});

Deno.test("ATTACH writes back the id of a page table, which ATTACH takes too, until the last detach (vfio.cdev.pagetable)", () => {
  const rig = bound();
  const attached = (id: number): [unknown, number] => {
    const arg = words(16, 0, id, 0);
    return [rig.ioctl(rig.device, IOCTL.ATTACH_PT, arg), u32(arg, 8)];
  };
  const destroy = (id: number) => rig.ioctl(rig.iommufd, IOCTL.DESTROY, words(8, id));
  const [result, table] = attached(rig.ioas);
  assertEquals([result, table === rig.ioas], [0, false]);
  assertEquals([attached(rig.ioas), attached(table)], [[0, table], [0, table]], "one for the IOAS");
  assertEquals([destroy(table), destroy(rig.ioas)], ["EBUSY", "EBUSY"]);
  const unmap = words(24, table, 0n, 4096n);
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.IOAS_UNMAP, unmap), "ENOENT", "it is no IOAS");
  const copy = rig.host.fork().functions[0]!.guest.kernel.process;
  const again = words(16, 0, table, 0);
  assertEquals([copy.ioctl(rig.device, IOCTL.ATTACH_PT, again), u32(again, 8)], [0, table]);
  assertEquals(detach(rig, 8, 0), 0);
  assertEquals([destroy(table), attached(table)], ["ENOENT", ["ENOENT", table]]);
  assertEquals(attached(rig.ioas), [0, table], "a new one, with the lowest id that is free");
});
