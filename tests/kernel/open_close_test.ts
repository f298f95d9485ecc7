/** vfio.close.sequence: what the first open and the last close do to the device, by both ways in. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { ErrnoError } from "../../lib/vfio/errno.ts";
import { errnoOf, hostOf } from "../support/host.ts";
import {
  cString,
  IOCTL,
  type Outcome,
  region,
  Rig,
  START_DMA,
  u32,
  type Way,
  WAYS,
  words,
} from "../support/kernel.ts";

const EACH_WAY = WAYS.map((way) => ({ way }));
const COMMAND_MASTER = 4;

/** Whether the machine's own COMMAND has a bit set, whatever vfio shows. */
const hardwareCommand = ({ target }: Rig) => target.fn.model.config.read(4);
const flagsOf = (rig: Rig) => {
  const info = words(16, 0, 0, 0);
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_INFO, info), 0);
  return u32(info, 4);
};

/** Opens the function by a way; the result of the call that opens the device, and what happens right `before` it. */
function tryOpen(rig: Rig, way: Way, before = () => {}): Outcome {
  if (way === "cdev") {
    rig.iommufd = rig.process.open("/dev/iommu");
    rig.device = rig.process.open("/dev/vfio/devices/vfio0");
    before();
    return rig.ioctl(rig.device, IOCTL.BIND_IOMMUFD, words(16, 0, rig.iommufd, 0), { effect: true });
  }
  rig.container = rig.process.open("/dev/vfio/vfio");
  rig.group = rig.process.open("/dev/vfio/0");
  rig.process.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
  rig.process.ioctl(rig.container, IOCTL.SET_IOMMU, 3);
  before();
  const result = rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, cString(rig.name), { effect: true });
  if (typeof result === "number") rig.device = result;
  return typeof result === "number" ? 0 : result;
}

Deno.test.each(EACH_WAY)(
  "the first open by $way switches bus master off and resets the function (vfio.open.sequence)",
  ({ way }) => {
    const rig = new Rig();
    const { fn, adapter, zdev } = rig.target;
    fn.model.config.write(4, 0x06);
    adapter.sba = START_DMA;
    adapter.ieq = START_DMA + 4096;
    adapter.vlans.add(7);
    const { fh } = fn;
    assertEquals(tryOpen(rig, way), 0);
    assertEquals([adapter.sba, adapter.ieq, adapter.vlans.size], [undefined, undefined, 0]);
    assertNotEquals(fn.fh, fh);
    assertEquals([zdev.fh, fn.state], [fn.fh, "enabled"]);
    assertEquals(hardwareCommand(rig) & COMMAND_MASTER, 0);
    assertEquals(rig.config(4, 2), 0x0002, "memory is on, bus master off");
    assertEquals(flagsOf(rig) & 3, 3, "RESET and PCI");
  },
);

Deno.test.each(EACH_WAY)(
  "the last close by $way switches bus master off and resets the function (vfio.close.sequence)",
  ({ way }) => {
    const host = hostOf(2);
    const [{ driver, fn, adapter, zdev }, peer] = [host.functions[0]!, host.functions[1]!];
    driver.open(way);
    driver.start();
    driver.setVlan(7, true);
    const { token } = driver.registerDmb({ size: 4096, rgid: peer.adapter.gid });
    assertEquals([fn.model.config.busMaster, fn.interrupts?.noi, adapter.dmbs.size], [true, 1, 1]);
    const { fh } = fn;
    // As a process that is killed: the descriptors go, and nothing is unregistered before.
    for (const fd of [...driver.descriptor.fds].reverse()) host.guests[0]!.kernel.process.close(fd);
    assertEquals([adapter.sba, adapter.ieq, adapter.vlans.size, adapter.dmbs.size], [
      undefined,
      undefined,
      0,
      0,
    ]);
    assertNotEquals(fn.fh, fh);
    assertEquals([fn.model.config.busMaster, fn.interrupts], [false, undefined]);
    assertEquals(
      fn.ioat?.tables.entries,
      [],
      "the kernel's own domain, in which nothing is mapped (vfio.open.instructions)",
    );
    assertEquals([zdev.fh, zdev.vectors, fn.state], [fn.fh, 0, "enabled"]);
    assertEquals(errnoOf(() => peer.driver.move(token, 0, new Uint8Array(8))), "EIO", "the DMB is gone");
  },
);

Deno.test("opening once more and closing one of two resets nothing (vfio.group.getfd, vfio.open.sequence)", () => {
  const rig = Rig.opened();
  const { fn, adapter } = rig.target;
  rig.setConfig(4, 2, 0x0006);
  adapter.vlans.add(7);
  const { fh } = fn;
  const second = rig.deviceFd();
  rig.process.close(rig.device);
  assertEquals([fn.fh, fn.model.config.busMaster, adapter.vlans.size], [fh, true, 1]);
  rig.process.close(second);
  assertEquals([fn.fh === fh, fn.model.config.busMaster, adapter.vlans.size], [false, false, 0]);
});

Deno.test.each(EACH_WAY)(
  "the config shadow is built anew at each open by $way (vfio.open.sequence, vfio.config.sizing)",
  ({ way }) => {
    const rig = Rig.opened(way);
    rig.setConfig(0x10, 4, 0xffff_ffff);
    rig.setConfig(0x14, 4, 0x1234_0000);
    rig.setConfig(0x3c, 1, 0x5a);
    rig.setConfig(4, 2, 0x0406);
    assertEquals([rig.config(0x14, 4), rig.config(0x3c, 1), rig.config(4, 2)], [0x1234_0000, 0x5a, 0x0406]);
    rig.close();
    assertEquals(tryOpen(rig, way), 0);
    assertEquals([rig.config(0x10, 4), rig.config(0x14, 4), rig.config(0x3c, 1)], [4, 0, 0]);
    assertEquals(rig.config(4, 2), 0x0002);
  },
);

Deno.test.each(EACH_WAY)(
  "MSI, REQ and low power of one open by $way are gone in the next (vfio.open.sequence)",
  ({ way }) => {
    const rig = Rig.opened(way);
    const eventfd = rig.process.eventfd();
    const irqs = (...fields: number[]) => rig.ioctl(rig.device, IOCTL.SET_IRQS, words(...fields));
    const enterLowPower = () => rig.ioctl(rig.device, IOCTL.FEATURE, words(8, 0x20003));
    assertEquals([irqs(24, 0x24, 1, 0, 1, eventfd), irqs(24, 0x24, 4, 0, 1, eventfd), enterLowPower()], [
      0,
      0,
      0,
    ]);
    rig.close();
    assertEquals(tryOpen(rig, way), 0);
    assertEquals(irqs(20, 0x21, 1, 0, 0), "EINVAL", "MSI is off");
    assertEquals(irqs(20, 0x21, 4, 0, 1), "EINVAL", "no eventfd for REQ");
    assertEquals(enterLowPower(), 0);
    assertEquals(rig.signals(eventfd), 0);
  },
);

Deno.test.each(EACH_WAY)(
  "open by $way while the device lock is taken: EAGAIN, and it is not open (vfio.open.sequence)",
  ({ way }) => {
    const rig = new Rig();
    const device = rig.target.guest.kernel.device(rig.target.zdev)!;
    const { fh } = rig.target.fn;
    rig.takeLock();
    assertEquals(tryOpen(rig, way), "EAGAIN");
    assertEquals([device.openCount, rig.target.fn.fh], [0, fh]);
    rig.close();
    assertEquals(tryOpen(rig, way), 0);
  },
);

Deno.test.each(EACH_WAY)(
  "a reset that fails at open by $way withdraws the RESET capability (vfio.open.sequence, vfio.reset.result)",
  ({ way }) => {
    const rig = new Rig();
    const { zdev } = rig.target;
    const hotReset = zdev.hotReset;
    const refusal = {
      layer: "instruction",
      ref: "vfio.cc.errno",
      rule: "test",
      source: "test: test",
      message: "No reset",
    } as const;
    zdev.hotReset = () => {
      throw new ErrnoError("EIO", refusal);
    };
    assertEquals(tryOpen(rig, way), 0);
    zdev.hotReset = hotReset;
    assertEquals(flagsOf(rig) & 3, 2, "PCI without RESET");
    assertEquals(rig.ioctl(rig.device, IOCTL.RESET), "EINVAL");
    rig.close();
    assertEquals(tryOpen(rig, way), 0);
    assertEquals(flagsOf(rig) & 3, 3, "the next open tries again");
  },
);

Deno.test.each(EACH_WAY)(
  "a function that has gone cannot be opened by $way: ENODEV (vfio.open.sequence)",
  ({ way }) => {
    const rig = new Rig();
    assertEquals(tryOpen(rig, way, () => rig.target.fn.disable("standby")), "ENODEV");
    assertEquals(rig.target.guest.kernel.device(rig.target.zdev)!.openCount, 0);
  },
);

Deno.test.each(EACH_WAY)(
  "closing and opening by $way clears the error state (recovery.event.state)",
  ({ way }) => {
    const rig = Rig.opened(way);
    rig.target.fn.fail(0x02, START_DMA, true);
    assertEquals(rig.pread(region(2), 8), "EIO");
    rig.close();
    assertEquals(rig.target.fn.state, "enabled");
    rig.target.fn.fail(0x02, START_DMA, true);
    assertEquals(tryOpen(rig, way), 0);
    assertEquals([rig.pread(region(2), 8), flagsOf(rig) & 1, rig.config(4, 2)], [8, 1, 0x0002]);
  },
);

Deno.test.each(EACH_WAY)(
  "closing a function by $way that has gone cannot fail (vfio.driver.life)",
  ({ way }) => {
    const rig = Rig.opened(way);
    rig.target.fn.disable("standby");
    assertEquals(rig.call(() => rig.process.close(rig.device)), 0);
  },
);

Deno.test("SET_IOMMU and SET_CONTAINER pass an attach error on, and nothing is attached then (vfio.group.setcontainer, vfio.type1.attach, zpci.mpcifc.error)", () => {
  const rig = new Rig();
  const { fn, zdev } = rig.target;
  rig.container = rig.process.open("/dev/vfio/vfio");
  rig.group = rig.process.open("/dev/vfio/0");
  rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
  const setIommu = () => rig.ioctl(rig.container, IOCTL.SET_IOMMU, 3, { effect: true });
  rig.inject({ kind: "status", status: 24 }, { op: "MPCIFC", space: 4 });
  assertEquals(setIommu(), "EIO");
  rig.inject({ kind: "status", status: 16 }, { op: "MPCIFC", space: 4 });
  assertEquals(setIommu(), "EIO", "not EINVAL for a type that is set");
  assertEquals([zdev.domain, fn.ioat], [undefined, undefined]);
  assertEquals(rig.ioctl(rig.container, IOCTL.UNMAP_DMA, words(24, 2, 0n, 0n)), "EINVAL");
  rig.host.faults.clear();
  assertEquals(setIommu(), 0);
  assertEquals(zdev.domain?.zdevs.size, 1);
});

Deno.test("a device descriptor that is closed is EBADF, its number is free again (vfio.group.getfd)", () => {
  const rig = Rig.opened();
  const { device } = rig;
  assertEquals(rig.call(() => rig.process.close(device)), 0);
  assertEquals(rig.call(() => rig.process.close(device)), "EBADF");
  assertEquals([rig.pread(0, 8), rig.ioctl(device, IOCTL.RESET)], ["EBADF", "EBADF"]);
  assertEquals(rig.deviceFd(), device);
});
