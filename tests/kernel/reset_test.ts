/** docs/reference/vfio/reset.md: DEVICE_RESET, hot reset, and the trap of IOEVENTFD. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { be, bytes } from "../support/bytes.ts";
import { startedHost } from "../support/host.ts";
import { IOCTL, type Outcome, region, Rig, START_DMA, WAYS, words } from "../support/kernel.ts";

const EACH_WAY = WAYS.map((way) => ({ way }));
const reset = (rig: Rig) => rig.ioctl(rig.device, IOCTL.RESET);

Deno.test.each(EACH_WAY)(
  "DEVICE_RESET takes what the device registered, and changes the handle (vfio.reset.keeps, $way, vfio.open.lost)",
  ({ way }) => {
    const rig = Rig.opened(way);
    const { adapter, fn, zdev } = rig.target;
    adapter.sba = START_DMA;
    adapter.vlans.add(7);
    adapter.commandArea[0] = 1;
    const { fh } = fn;
    assertEquals(reset(rig), 0);
    assertEquals([adapter.sba, adapter.vlans.size, adapter.commandArea[0]], [undefined, 0, 0]);
    assertNotEquals(fn.fh, fh);
    assertEquals([zdev.fh, fn.state], [fn.fh, "enabled"]);
  },
);

Deno.test("DEVICE_RESET saves COMMAND, BARs and MSI around it, and leaves the shadow alone (vfio.reset.keeps)", () => {
  const rig = Rig.opened();
  const { model } = rig.target.fn;
  const hardware = () => Array.from({ length: 0x4e }, (_, i) => model.config.read(i));
  rig.setConfig(4, 2, 0x0406);
  rig.setConfig(0x3c, 1, 0x77);
  rig.setConfig(0x0c, 1, 0x10);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, rig.process.eventfd()));
  const before = { hardware: hardware(), shown: rig.config(4, 2), line: rig.config(0x3c, 1) };
  // MSI is not saved: the kernel has a copy of its own (vfio.reset.saved).
  for (let i = 0; i < 10; i++) model.config.write(0x44 + i, 0x51 + i);
  assertEquals(reset(rig), 0);
  assertEquals({ hardware: hardware(), shown: rig.config(4, 2), line: rig.config(0x3c, 1) }, before);
});

Deno.test("DEVICE_RESET keeps DMA mappings and MSI wiring: registered anew, the device works on (vfio.reset.keeps, zpci.dma.order)", () => {
  const host = startedHost(2);
  const [{ driver, fn, zdev }, peer] = [host.functions[0]!, host.functions[1]!];
  const mappings = zdev.domain!.mappings();
  const { sba, ieq } = driver.registrations!;
  const { fd } = driver.descriptor;
  assertEquals(host.guests[0]!.kernel.process.ioctl(fd, IOCTL.RESET), 0);
  assertEquals(zdev.domain!.mappings(), mappings);
  assertEquals([fn.interrupts?.noi, fn.ioat?.pba, fn.model.config.busMaster], [1, START_DMA, true]);
  driver.channel.raw(0x01, bytes(be(sba.iova, 8)));
  driver.channel.raw(0x02, bytes(be(ieq.iova, 8) + be(512, 8)));
  peer.driver.signal(driver.readGid(), 0x83, 7n);
  assertEquals(driver.handleInterrupt().interrupts, 1);
});

Deno.test.each(EACH_WAY)(
  "DEVICE_RESET clears the error state (recovery.event.state, zpci.dma.order, $way)",
  ({ way }) => {
    const rig = Rig.opened(way);
    rig.mapDma(START_DMA);
    rig.target.fn.fail(0x02, START_DMA, true);
    assertEquals([rig.pread(region(2), 8), rig.pread(region(7) + 4, 2)], ["EIO", "ENODEV"]);
    assertEquals(reset(rig), 0);
    assertEquals([rig.pread(region(2), 8), rig.config(4, 2)], [8, 0x0002]);
    assertEquals(rig.target.zdev.domain?.mappings().length, 1);
  },
);

Deno.test("DEVICE_RESET: EAGAIN while the lock is taken, EIO if the machine does not reset (vfio.reset.result, vfio.reset.refused)", () => {
  const rig = Rig.opened();
  rig.takeLock(2);
  assertEquals([reset(rig), reset(rig), reset(rig)], ["EAGAIN", "EAGAIN", 0]);
  rig.target.fn.disable("standby");
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET, 0, { effect: true }), "EIO");
});

Deno.test("DEVICE_RESET takes no argument, and looks at none (vfio.reset.result)", () => {
  const rig = Rig.opened();
  const arg = new Uint8Array(8).fill(0xa5);
  assertEquals([rig.ioctl(rig.device, IOCTL.RESET, arg), rig.ioctl(rig.device, IOCTL.RESET, 0x1234)], [0, 0]);
  assertEquals(arg.toHex(), "a5".repeat(8));
});

/** GET_PCI_HOT_RESET_INFO with an argument of `length` bytes of 0xa5. */
function hotResetInfo(rig: Rig, argsz: number, length = argsz): [Outcome, string] {
  const arg = new Uint8Array(length).fill(0xa5);
  arg.set(words(argsz));
  return [rig.ioctl(rig.device, IOCTL.GET_PCI_HOT_RESET_INFO, arg, { effect: true }), arg.toHex()];
}

Deno.test.each([12, 13, 19].map((argsz) => ({ argsz })))(
  "hot-reset info with argsz $argsz: ENOSPC, count filled, flags 0 (vfio.hotreset.info)",
  ({ argsz }) => {
    for (const way of WAYS) {
      const expected = words(argsz, 0, 1).toHex() + "a5".repeat(20);
      assertEquals(hotResetInfo(Rig.opened(way), argsz, 32), ["ENOSPC", expected]);
    }
  },
);

Deno.test("hot-reset info: one entry with group, segment, bus and devfn for a group's descriptor (vfio.hotreset.info)", () => {
  const rig = Rig.opened("group", { functions: 2 });
  const expected = bytes(`20000000 00000000 01000000 00000000 0100 00 00 ${"a5".repeat(12)}`).toHex();
  assertEquals(hotResetInfo(rig, 32), [0, expected]);
  assertEquals(hotResetInfo(rig, 20), [0, bytes("14000000 00000000 01000000 00000000 0100 00 00").toHex()]);
});

Deno.test("hot-reset info: DEV_ID and DEV_ID_OWNED with the devid of BIND for a cdev (vfio.hotreset.info)", () => {
  const rig = Rig.opened("cdev");
  const expected = "14000000" + "03000000" + "01000000" + words(rig.devid).toHex() + "01000000";
  assertEquals(hotResetInfo(rig, 20), [0, expected]);
});

/** PCI_HOT_RESET with header fields and descriptors. */
const hotReset = (rig: Rig, ...fields: number[]) =>
  rig.ioctl(rig.device, IOCTL.PCI_HOT_RESET, words(...fields));

Deno.test.each([
  { what: "argsz 11", fields: () => [11, 0, 1, 4], result: "EINVAL" },
  { what: "flags 1", fields: () => [16, 1, 1, 4], result: "EINVAL" },
  { what: "no group", fields: () => [12, 0, 0], result: "EINVAL" },
  { what: "more groups than devices", fields: () => [20, 0, 2, 4, 4], result: "EINVAL" },
  { what: "more groups than devices, unreadable", fields: () => [12, 0, 2], result: "EINVAL" },
  { what: "an unreadable group", fields: () => [12, 0, 1], result: "EFAULT" },
  { what: "no such descriptor", fields: () => [16, 0, 1, 99], result: "EBADF" },
  { what: "a negative descriptor", fields: () => [16, 0, 1, -1], result: "EBADF" },
  { what: "a container", fields: ({ container }: Rig) => [16, 0, 1, container], result: "EINVAL" },
  { what: "the device", fields: ({ device }: Rig) => [16, 0, 1, device], result: "EINVAL" },
  {
    what: "another group",
    fields: ({ process }: Rig) => [16, 0, 1, process.open("/dev/vfio/1")],
    result: "EINVAL",
  },
  { what: "the group", fields: ({ group }: Rig) => [16, 0, 1, group], result: 0 },
])("PCI_HOT_RESET with $what: $result (vfio.hotreset.call)", ({ fields, result }) => {
  const rig = Rig.opened("group", { functions: 2 });
  const { fh } = rig.target.fn;
  assertEquals<Outcome>(hotReset(rig, ...fields(rig)), result);
  assertEquals(rig.target.fn.fh === fh, result !== 0);
});

Deno.test("PCI_HOT_RESET of a cdev takes no descriptors (vfio.hotreset.call)", () => {
  const rig = Rig.opened("cdev");
  const { fh } = rig.target.fn;
  assertEquals([hotReset(rig, 16, 0, 1, rig.iommufd), hotReset(rig, 12, 0, 1)], ["EINVAL", "EINVAL"]);
  assertEquals(hotReset(rig, 12, 0, 0), 0);
  assertNotEquals(rig.target.fn.fh, fh);
});

Deno.test("PCI_HOT_RESET while the device lock is taken: EAGAIN, last of all checks (vfio.hotreset.lock)", () => {
  const rig = Rig.opened();
  rig.takeLock();
  assertEquals(hotReset(rig, 16, 0, 1, 99), "EBADF");
  assertEquals(hotReset(rig, 16, 0, 1, rig.group), "EAGAIN");
  assertEquals(hotReset(rig, 16, 0, 1, rig.group), 0, "the lock is free again, and is tried once a call");
});

/** IOEVENTFD with flags, offset and descriptor. */
const ioeventfd = (rig: Rig, flags: number, offset: bigint, fd: number) =>
  rig.ioctl(rig.device, IOCTL.IOEVENTFD, words(28, flags, offset, 0n, fd));

Deno.test("IOEVENTFD: exactly one size bit, 8 as well, no descriptor below -1 (vfio.ioeventfd.trap)", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  for (let flags = 0; flags < 32; flags++) {
    const expected = [1, 2, 4, 8].includes(flags) ? "ENODEV" : "EINVAL";
    assertEquals(ioeventfd(rig, flags, 0n, eventfd), expected, `flags ${flags}`);
  }
  assertEquals([ioeventfd(rig, 4, 0n, -2), ioeventfd(rig, 4, 0n, -1)], ["EINVAL", "ENODEV"]);
});

Deno.test.each([
  { offset: 0n, errno: "ENODEV" },
  { offset: 2n ** 40n - 4n, errno: "ENODEV" },
  { offset: 2n ** 40n, errno: "EINVAL" },
  { offset: 2n << 40n, errno: "ENODEV" },
  { offset: (2n << 40n) + 0xfffcn, errno: "ENODEV" },
  { offset: (2n << 40n) + 0xfffdn, errno: "EINVAL" },
  { offset: 3n << 40n, errno: "EINVAL" },
  { offset: 7n << 40n, errno: "EINVAL" },
  { offset: 9n << 40n, errno: "EINVAL" },
  { offset: 1n << 48n, errno: "EINVAL" },
  { offset: 2n << 48n, errno: "EINVAL" },
  { offset: 7n << 48n, errno: "EINVAL" },
  { offset: 1n << 63n, errno: "EINVAL" },
  { offset: 2n ** 64n - 1n, errno: "EINVAL" },
])("IOEVENTFD at $offset: $errno, decoded with a shift of 40 (vfio.ioeventfd.trap)", ({ offset, errno }) => {
  for (const driver of ["ism_vfio_pci", "vfio-pci"] as const) {
    for (const release of ["7.1", "7.3"]) {
      const rig = Rig.opened("group", { driver, kernel: { release } });
      assertEquals(ioeventfd(rig, 4, offset, rig.process.eventfd()), errno);
    }
  }
});
