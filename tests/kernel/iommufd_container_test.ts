/**
 * vfio.group.compat: an iommufd in the place of a container, from SET_CONTAINER to the last close. What that does not
 * tell follows drivers/iommu/iommufd/vfio_compat.c and drivers/vfio/group.c.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { CLEAR, Compat, GET, IOVA } from "../support/compat.ts";
import { IOCTL, outcome, region, START_DMA, u32, words } from "../support/kernel.ts";

const VADDR = 4;
const GET_DIRTY = 1;
const ALL = 2;

Deno.test("the order of vfio.group.getfd works with an iommufd, step by step", () => {
  const compat = new Compat({ joined: false });
  const { rig } = compat;
  assertEquals([compat.ioctl(IOCTL.GET_API_VERSION), compat.status], [0, 1]);
  assertEquals([compat.join(), compat.status], [0, 3]);
  assertEquals([compat.ioctl(IOCTL.CHECK_EXTENSION, 3), compat.setIommu(3), compat.map()], [1, 0, 0]);
  rig.device = compat.deviceFd() as number;
  assertEquals(rig.target.zdev.domain?.mappings().length, 1, "attached, with what was mapped before");
  assertEquals([rig.pread(region(2), 8), rig.ioctl(rig.device, IOCTL.RESET)], [8, 0]);
  rig.setConfig(4, 2, 4);
  assertEquals(rig.target.fn.dma.write(START_DMA, Uint8Array.of(0x5a)), 0);
  assertEquals(rig.process.memory(Number(compat.vaddr), 1, false)[0], 0x5a);
  rig.process.close(rig.device);
  assertEquals([rig.domain, compat.unset(), compat.status], [undefined, 0, 1]);
  assertEquals(compat.mapped, "0+1", "the IOAS outlives group and device");
});

Deno.test("SET_CONTAINER makes the compatibility IOAS; before there is none: ENODEV (vfio_compat.c)", () => {
  const compat = new Compat({ joined: false });
  const calls = () => [
    compat.setIommu(3),
    compat.map(),
    compat.unmap(0n, 0n, ALL)[0],
    compat.ioctl(IOCTL.IOMMU_GET_INFO, words(16, 0, 0n)),
    compat.ioctl(IOCTL.CHECK_EXTENSION, 4),
  ];
  assertEquals(calls(), calls().map(() => "ENODEV"));
  assertEquals([compat.compatId, compat.join()], ["ENODEV", 0]);
  const id = compat.compatId;
  assertEquals(typeof id, "number");
  assertEquals([compat.unset(), compat.join(), compat.compatId], [0, 0, id], "it stays the same one");
  assertEquals(calls(), [0, 0, 0, 0, 1]);
});

Deno.test("arguments are checked before the compatibility IOAS is looked for (vfio_compat.c)", () => {
  const compat = new Compat({ joined: false });
  assertEquals(compat.setIommu(0), "EINVAL");
  assertEquals([compat.map({ argsz: 31 }), compat.map({ flags: VADDR })], ["EINVAL", "EINVAL"]);
  assertEquals(compat.ioctl(IOCTL.MAP_DMA, new Uint8Array(31)), "EFAULT");
  assertEquals(compat.unmap(0n, 0n, GET_DIRTY)[0], "EINVAL");
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, words(15, 0, 0n)), "EINVAL");
});

Deno.test.each([
  { type: 1, result: 0 },
  { type: 3, result: 0 },
  { type: 0, result: "EINVAL" },
  { type: 2, result: "EINVAL" },
  { type: 8, result: "EINVAL" },
  { type: 10, result: "EINVAL" },
])("SET_IOMMU of $type: $result, again and again (vfio_compat.c)", ({ type, result }) => {
  const compat = new Compat();
  assertEquals([compat.setIommu(type), compat.setIommu(type), compat.setIommu(3)], [result, result, 0]);
});

Deno.test.each([
  { extension: 1, answer: 1 },
  { extension: 3, answer: 1 },
  { extension: 9, answer: 1 },
  { extension: 10, answer: 0 },
  { extension: 8, answer: 0 },
  { extension: 6, answer: 0 },
  { extension: 0xffff, answer: 0 },
])(
  "CHECK_EXTENSION of $extension on an iommufd: $answer, with a group and without (vfio.group.compat)",
  (row) => {
    for (const joined of [false, true]) {
      assertEquals(new Compat({ joined }).ioctl(IOCTL.CHECK_EXTENSION, row.extension), row.answer);
    }
  },
);

Deno.test("SET_IOMMU is not needed for a device: the group has its IOMMU with the iommufd (group.c)", () => {
  const compat = new Compat();
  assertEquals(typeof compat.deviceFd(), "number");
  assertNotEquals(compat.rig.domain, undefined);
});

Deno.test("SET_CONTAINER of a group that has an iommufd, or a container: EINVAL (vfio.group.compat)", () => {
  const compat = new Compat();
  const { process, group } = compat.rig;
  const container = process.open("/dev/vfio/vfio");
  const set = (fd: number) => compat.rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(fd));
  assertEquals([set(99), set(container), compat.join()], ["EBADF", "EINVAL", "EINVAL"]);
  assertEquals([compat.unset(), compat.unset(), set(container), compat.join()], [0, "EINVAL", 0, "EINVAL"]);
});

Deno.test("UNSET_CONTAINER of an iommufd does not mind an open device, which keeps its IOAS (group.c)", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  assertEquals([compat.map(), compat.unset(), compat.status], [0, 0, 0], "the device owns the group's DMA");
  const container = rig.process.open("/dev/vfio/vfio");
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(container)), "EBUSY");
  assertEquals(rig.pread(region(2), 8), 8);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1);
  assertEquals(compat.deviceFd(), "EINVAL", "the group has no IOMMU any more");
  assertEquals(compat.join(), 0);
  const second = compat.deviceFd() as number;
  rig.process.close(rig.device);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1, "the second descriptor keeps the device open");
  rig.process.close(second);
  assertEquals([rig.domain, compat.unset(), compat.status], [undefined, 0, 1]);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(container)), 0);
});

Deno.test("the group may be closed and opened again while its device is open (group.c: no container user)", () => {
  const compat = new Compat({ open: true });
  const { process, device, group } = compat.rig;
  process.close(group);
  const cdev = process.open("/dev/vfio/devices/vfio0");
  const bind = words(16, 0, compat.rig.iommufd, 0);
  assertEquals(compat.rig.ioctl(cdev, IOCTL.BIND_IOMMUFD, bind), "EINVAL", "the device is open");
  process.close(cdev);
  compat.rig.group = process.open("/dev/vfio/0");
  assertEquals(compat.status, 0, "it came without its iommufd, which its device is still bound to");
  assertEquals(compat.rig.pread(region(2), 8), 8);
  process.close(device);
  assertEquals(compat.rig.domain, undefined);
});

Deno.test("a device descriptor that came from the group has no ATTACH and DETACH, and no devid (vfio.cdev.detach, vfio.hotreset.call, vfio.cdev.group)", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  const id = compat.compatId as number;
  assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(16, 0, id, 0)), "ENOTTY");
  assertEquals(rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0)), "ENOTTY");
  const info = words(20, 0, 0, 0n);
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_PCI_HOT_RESET_INFO, info), 0);
  assertEquals([u32(info, 4), u32(info, 12)], [0, 0], "no DEV_ID: group 0");
  assertEquals(rig.ioctl(rig.device, IOCTL.PCI_HOT_RESET, words(16, 0, 1, rig.group)), 0);
});

Deno.test("GET_DEVICE_FD without a compatibility IOAS, or with one out of reach: the device closes again", () => {
  const compat = new Compat();
  const { rig } = compat;
  const opened = () => rig.target.guest.kernel.device(rig.target.zdev)!.openCount;
  assertEquals(compat.map({ iova: 0n }), 0, "before a device is there anything goes");
  assertEquals([compat.deviceFd(true), opened()], ["EADDRINUSE", 0]);
  assertEquals(compat.unmap(0n, 4096n), [0, 4096n]);
  assertEquals(compat.clear(), 0);
  assertEquals([compat.deviceFd(true), opened()], ["ENODEV", 0]);
  assertEquals([compat.unset(), compat.join()], [0, 0]);
  assertEquals(typeof compat.deviceFd(), "number");
});

Deno.test("a device that did not open leaves nothing in the iommufd", () => {
  const compat = new Compat();
  const { process, target, iommufd, group } = compat.rig;
  assertEquals([compat.clear(), compat.deviceFd(true)], [0, "ENODEV"]);
  process.close(group);
  process.close(iommufd);
  assertEquals(target.guest.kernel.iommufds.size, 0);
});

Deno.test("only the first descriptor attaches the device; SET_CONTAINER makes an IOAS where there is none", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  const { domain } = rig.target.zdev;
  assertEquals([compat.choose(rig.newIoas()), typeof compat.deviceFd()], [0, "number"]);
  assertEquals(rig.target.zdev.domain === domain, true);
  const fresh = new Compat();
  const id = fresh.compatId as number;
  assertEquals([fresh.ioctl(IOCTL.DESTROY, words(8, id)), fresh.compatId, fresh.unset(), fresh.join()], [
    0,
    "ENODEV",
    0,
    0,
  ]);
  assertEquals(fresh.compatId, id, "the lowest free id");
});

Deno.test("GET_DEVICE_FD while the lock is taken: EAGAIN, and bound to nothing (vfio.open.sequence)", () => {
  const compat = new Compat();
  compat.rig.takeLock();
  assertEquals(compat.deviceFd(true), "EAGAIN");
  const id = compat.compatId as number;
  assertEquals(compat.ioctl(IOCTL.DESTROY, words(8, id)), 0, "nothing is attached");
});

Deno.test("VFIO_IOAS: GET, SET and CLEAR of the IOAS that container ioctls use (vfio_compat.c, vfio.iommufd.vfioioas)", () => {
  const compat = new Compat();
  const first = compat.compatId as number;
  const second = compat.rig.newIoas();
  assertEquals([compat.choose(99), compat.choose(second), compat.compatId], ["ENOENT", 0, second]);
  assertEquals([compat.map(), compat.mapped], [0, "0+1"]);
  assertEquals([compat.choose(first), compat.mapped, compat.clear(), compat.compatId], [0, "", 0, "ENODEV"]);
  assertEquals([compat.map(), compat.choose(second), compat.ioctl(IOCTL.DESTROY, words(8, second))], [
    "ENODEV",
    0,
    0,
  ]);
  assertEquals(compat.compatId, "ENODEV", "with the IOAS the choice has gone");
  const call = (op: number) => compat.ioctl(IOCTL.VFIO_IOAS, words(12, first, op));
  assertEquals([call(3), call(GET | 1 << 16), call(CLEAR | 1 << 16)], [
    "EOPNOTSUPP",
    "EOPNOTSUPP",
    "EOPNOTSUPP",
  ]);
});

Deno.test("a new choice of VFIO_IOAS does not move a device that is open (vfio_compat.c)", () => {
  const compat = new Compat({ open: true });
  const second = compat.rig.newIoas();
  assertEquals([compat.choose(second), compat.map()], [0, 0]);
  assertEquals(compat.rig.target.zdev.domain!.mappings().length, 0);
  compat.rig.process.close(compat.rig.device);
  compat.rig.device = compat.rig.deviceFd();
  assertEquals(compat.rig.target.zdev.domain!.mappings().length, 1);
});

Deno.test("a device that is bound through its group is an object: DESTROY of it and of its IOAS is EBUSY (vfio.iommufd.destroy)", () => {
  const compat = new Compat({ open: true });
  const id = compat.compatId as number;
  const devid = id + 1;
  const destroy = (object: number) => compat.ioctl(IOCTL.DESTROY, words(8, object));
  assertEquals([destroy(id), destroy(devid)], ["EBUSY", "EBUSY"]);
  compat.rig.process.close(compat.rig.device);
  assertEquals([destroy(devid), destroy(id)], ["ENOENT", 0]);
});

Deno.test("an iommufd lives as long as a descriptor, a group or a device refers to it", () => {
  const compat = new Compat({ open: true });
  const { process, iommufd, group, device, target } = compat.rig;
  const { iommufds } = target.guest.kernel;
  assertEquals(compat.map(), 0);
  process.close(iommufd);
  assertEquals([iommufds.size, target.zdev.domain?.mappings().length], [1, 1]);
  process.close(group);
  assertEquals([iommufds.size, target.zdev.domain?.mappings().length], [1, 1]);
  process.close(device);
  assertEquals([iommufds.size, compat.rig.domain], [0, undefined]);
});

Deno.test("a group that is dissolved leaves its iommufd (vfio.unplug.wait)", () => {
  const compat = new Compat();
  const { rig } = compat;
  rig.process.close(rig.iommufd);
  assertEquals(rig.target.guest.kernel.iommufds.size, 1, "the group holds it");
  rig.target.guest.kernel.binding(rig.target.zdev).unbind();
  assertEquals(rig.target.guest.kernel.iommufds.size, 0);
  assertEquals(outcome(() => rig.process.ioctl(rig.group, IOCTL.GROUP_GET_STATUS, words(8, 0))), "ENODEV");
});

Deno.test("a saved host brings back what group and device are bound to", () => {
  const compat = new Compat({ open: true, type: 1 });
  assertEquals(compat.map({ size: 16384n }), 0);
  const state = compat.rig.state();
  const copy = compat.rig.host.fork();
  const injected = ["clock", "faults", "locks"];
  assertEquals(JSON.stringify([...copy.save()].filter(([key]) => !injected.includes(key))), state);
  const { guest, zdev } = copy.functions[0]!;
  const { process } = guest.kernel;
  assertEquals(zdev.domain?.mappings().length, 1);
  const devid = [...[...guest.kernel.iommufds.values()][0]!.devices][0]!;
  const destroy = words(8, devid);
  assertEquals(outcome(() => process.ioctl(compat.rig.iommufd, IOCTL.DESTROY, destroy)), "EBUSY");
  const unmap = words(24, 0, IOVA, 4096n);
  assertEquals(outcome(() => process.ioctl(compat.rig.iommufd, IOCTL.UNMAP_DMA, unmap)), 0);
  assertEquals(zdev.domain?.mappings().length, 1, "cut, and the first page is gone");
  process.close(compat.rig.device);
  assertEquals(guest.kernel.defaultDomains.userDomain(zdev), undefined);
  process.close(compat.rig.group);
  process.close(compat.rig.iommufd);
  assertEquals(guest.kernel.iommufds.size, 0);
});
