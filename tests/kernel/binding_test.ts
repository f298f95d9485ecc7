/**
 * vfio.bind.ids and vfio.node.names: who may hold a function, and which nodes exist then; vfio.unplug.wait: taking it
 * away while it is open.
 */
import { assertEquals } from "@std/assert";
import type { DriverName } from "../../lib/vfio/bind_rules.ts";
import type { Binding } from "../../lib/vfio/binding.ts";
import { cString, IOCTL, outcome, region, Rig, type Way, WAYS, words } from "../support/kernel.ts";

const bindingOf = ({ target }: Rig): Binding => target.guest.kernel.binding(target.zdev);

/** A write to a file of sysfs, or the errno that it is refused with. */
const write = (rig: Rig, act: (binding: Binding) => unknown) =>
  rig.call(() => {
    act(bindingOf(rig));
    return 0;
  });

/** A rig whose function no driver holds. */
function unbound(override?: string): Rig {
  const rig = new Rig();
  const binding = bindingOf(rig);
  binding.unbind();
  binding.override = override;
  return rig;
}

Deno.test.each<{ override: string | undefined; driver: DriverName; result: number | string }>([
  { override: undefined, driver: "ism_vfio_pci", result: "ENODEV" },
  { override: undefined, driver: "vfio-pci", result: "ENODEV" },
  { override: undefined, driver: "ism", result: 0 },
  { override: "ism_vfio_pci", driver: "ism_vfio_pci", result: 0 },
  { override: "ism_vfio_pci", driver: "vfio-pci", result: "ENODEV" },
  { override: "ism_vfio_pci", driver: "ism", result: "ENODEV" },
  { override: "vfio-pci", driver: "vfio-pci", result: 0 },
  { override: "vfio-pci", driver: "ism_vfio_pci", result: "ENODEV" },
  { override: "ism-vfio-pci", driver: "ism_vfio_pci", result: "ENODEV" },
  { override: "none", driver: "ism", result: "ENODEV" },
])(
  "a write to bind of $driver with driver_override $override: $result (vfio.bind.errno)",
  ({ override, driver, result }) => {
    const rig = unbound(override);
    assertEquals(write(rig, (binding) => binding.bind(driver)), result);
    assertEquals(bindingOf(rig).driver, result === 0 ? driver : undefined);
  },
);

Deno.test.each<{ override: string | undefined; driver: string | undefined }>([
  { override: undefined, driver: "ism" },
  { override: "ism_vfio_pci", driver: "ism_vfio_pci" },
  { override: "vfio-pci", driver: "vfio-pci" },
  { override: "ism", driver: "ism" },
  { override: "ism-vfio-pci", driver: undefined },
  { override: "nvme", driver: undefined },
])(
  "drivers_probe with driver_override $override finds $driver (vfio.bind.recipe)",
  ({ override, driver }) => {
    const rig = unbound(override);
    bindingOf(rig).probe();
    assertEquals<string | undefined>(bindingOf(rig).driver, driver);
  },
);

Deno.test("bind and unbind refuse a function that is held, or held by nobody (vfio.bind.errno)", () => {
  const rig = new Rig();
  assertEquals(write(rig, (binding) => binding.bind("ism_vfio_pci")), "EBUSY");
  assertEquals(write(rig, (binding) => binding.unbind()), 0);
  assertEquals(write(rig, (binding) => binding.unbind()), "ENODEV");
});

Deno.test("the recipe: override, unbind, probe; and the way back with a bare newline (vfio.bind.recipe)", () => {
  const rig = new Rig();
  const binding = bindingOf(rig);
  const drivers: (string | undefined)[] = [];
  for (const override of ["vfio-pci", undefined, "ism_vfio_pci"]) {
    binding.override = override;
    binding.unbind();
    binding.probe();
    drivers.push(binding.driver);
  }
  assertEquals(drivers, ["vfio-pci", "ism", "ism_vfio_pci"]);
  rig.openGroup();
  assertEquals(rig.pread(region(2), 8), 8);
});

Deno.test("drivers_probe leaves a function alone that is held (vfio.bind.errno)", () => {
  const rig = new Rig();
  bindingOf(rig).override = "vfio-pci";
  bindingOf(rig).probe();
  assertEquals(bindingOf(rig).driver, "ism_vfio_pci");
});

Deno.test("sysfs shows driver, IOMMU group and vfio device; the PCI domain is the UID (vfio.bind.ids, vfio.node.names)", () => {
  const rig = new Rig();
  const device = `/sys/bus/pci/devices/${rig.name}`;
  assertEquals(rig.name, "0001:00:00.0");
  assertEquals(rig.process.readlink(`${device}/driver`), "../../../bus/pci/drivers/ism_vfio_pci");
  assertEquals(rig.process.readlink(`${device}/iommu_group`), "../../../kernel/iommu_groups/0");
  assertEquals(rig.process.readdir(`${device}/vfio-dev`), ["vfio0"]);
  bindingOf(rig).unbind();
  assertEquals(outcome(() => rig.process.readlink(`${device}/driver`).length), "ENOENT");
  assertEquals(outcome(() => rig.process.readdir(`${device}/vfio-dev`).length), "ENOENT");
  assertEquals(rig.process.readlink(`${device}/iommu_group`), "../../../kernel/iommu_groups/0");
});

Deno.test.each([
  { driver: "ism_vfio_pci", cdev: 3, group: 4 },
  { driver: "vfio-pci", cdev: 3, group: 4 },
  { driver: "ism", cdev: "ENOENT", group: "ENOENT" },
])(
  "nodes of the function exist while $driver holds it: $cdev (vfio.node.names)",
  ({ driver, cdev, group }) => {
    const rig = unbound(driver);
    bindingOf(rig).probe();
    const open = (path: string) => rig.call(() => rig.process.open(path));
    assertEquals([open("/dev/vfio/devices/vfio0"), open("/dev/vfio/0")], [cdev, group]);
  },
);

Deno.test.each([
  { path: "/dev/vfio/vfio", result: 3 },
  { path: "/dev/iommu", result: 3 },
  { path: "/dev/vfio/0", result: 3 },
  { path: "/dev/vfio/1", result: 3 },
  { path: "/dev/vfio/2", result: "ENOENT" },
  { path: "/dev/vfio/devices/vfio1", result: 3 },
  { path: "/dev/vfio/devices/vfio2", result: "ENOENT" },
  { path: "/dev/vfio/devices/0", result: "ENOENT" },
  { path: "/dev/vfio/noiommu-0", result: "ENOENT" },
  { path: "/dev/vfio/vfio0", result: "ENOENT" },
  { path: "/dev/vfio", result: "ENOENT" },
])("open of $path on a guest with two functions: $result (vfio.node.missing)", ({ path, result }) => {
  const rig = new Rig({ functions: 2 });
  assertEquals(rig.call(() => rig.process.open(path)), result);
});

/** What still works on the descriptors that are open, and what does not on new ones, while an unbind waits. */
function whileWaiting(rig: Rig, way: Way): void {
  assertEquals([bindingOf(rig).removing, bindingOf(rig).driver], [true, "ism_vfio_pci"]);
  assertEquals(rig.pread(region(2), 8), 8);
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), "EAGAIN", "the removal holds the device lock");
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/devices/vfio0")), "ENODEV");
  if (way !== "cdev") {
    assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_GET_DEVICE_FD, cString(rig.name)), "ENODEV");
  }
}

Deno.test.each(WAYS.map((way) => ({ way })))(
  "unbind of a function opened by its $way signals REQ, waits for the last close, then happens (vfio.unplug.req)",
  ({ way }) => {
    const rig = Rig.opened(way);
    const req = rig.process.eventfd();
    rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 4, 0, 1, req));
    assertEquals(bindingOf(rig).unbind(), false);
    assertEquals(rig.signals(req), 1);
    whileWaiting(rig, way);
    rig.process.close(rig.device);
    assertEquals([bindingOf(rig).removing, bindingOf(rig).driver], [false, undefined]);
    assertEquals(rig.call(() => rig.process.open("/dev/vfio/devices/vfio0")), "ENOENT");
  },
);

Deno.test("unbind without a REQ eventfd waits all the same; each of several descriptors counts (vfio.unplug.req)", () => {
  const rig = Rig.opened();
  const second = rig.deviceFd();
  assertEquals(bindingOf(rig).unbind(), false);
  rig.process.close(rig.device);
  assertEquals(bindingOf(rig).driver, "ism_vfio_pci");
  rig.device = second;
  whileWaiting(rig, "group");
  rig.process.close(second);
  assertEquals(bindingOf(rig).driver, undefined);
});

Deno.test("a character device that is open and not bound keeps the driver too (vfio.unplug.wait)", () => {
  const rig = new Rig();
  rig.device = rig.process.open("/dev/vfio/devices/vfio0");
  assertEquals(bindingOf(rig).unbind(), false);
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/devices/vfio0")), "ENODEV");
  rig.process.close(rig.device);
  assertEquals(bindingOf(rig).driver, undefined);
});

Deno.test("a probe that waits for an unbind happens after it, with the override of then (vfio.bind.errno, vfio.unplug.wait)", () => {
  const rig = Rig.opened();
  const binding = bindingOf(rig);
  binding.override = "vfio-pci";
  binding.unbind();
  binding.probe();
  assertEquals(binding.driver, "ism_vfio_pci");
  rig.process.close(rig.device);
  assertEquals(binding.driver, "vfio-pci");
});

Deno.test("a group whose driver has gone is dissolved: its descriptor leads nowhere (vfio.group.getfd, vfio.unplug.wait)", () => {
  const rig = new Rig();
  const container = rig.process.open("/dev/vfio/vfio");
  const group = rig.process.open("/dev/vfio/0");
  rig.process.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container));
  rig.process.ioctl(container, IOCTL.SET_IOMMU, 3);
  bindingOf(rig).unbind();
  bindingOf(rig).probe();
  const status = words(8, 0xffff_ffff);
  assertEquals(rig.ioctl(group, IOCTL.GROUP_GET_STATUS, status), "ENODEV");
  assertEquals(rig.ioctl(group, IOCTL.GROUP_GET_STATUS, words(7, 0)), "EINVAL", "argsz comes first");
  assertEquals(rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container)), "ENODEV");
  assertEquals(rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(99)), "EBADF");
  assertEquals(
    rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(group)),
    "ENODEV",
    "before the kind of file",
  );
  assertEquals(rig.ioctl(group, IOCTL.GROUP_GET_DEVICE_FD, cString(rig.name)), "ENODEV");
  assertEquals(rig.ioctl(group, IOCTL.GROUP_UNSET_CONTAINER), "EINVAL");
  assertEquals(
    rig.ioctl(container, IOCTL.MAP_DMA, words(32, 3, 0n, 0n, 0n)),
    "EINVAL",
    "no IOMMU type any more",
  );
  const second = rig.process.open("/dev/vfio/0");
  assertEquals(rig.ioctl(second, IOCTL.GROUP_GET_STATUS, words(8, 0)), 0);
  const copy = rig.host.fork().functions[0]!.guest.kernel.process;
  assertEquals(outcome(() => copy.ioctl(group, IOCTL.GROUP_GET_STATUS, words(8, 0))), "ENODEV");
  assertEquals(outcome(() => copy.ioctl(second, IOCTL.GROUP_GET_STATUS, words(8, 0))), 0);
  rig.process.close(group);
  assertEquals(rig.call(() => rig.process.open("/dev/vfio/0")), "EBUSY", "the new group is still open");
});

const SECOND = 1_000_000;

/** A function that is open, with a REQ eventfd, while its unbind waits. */
function requested(way: Way): { rig: Rig; req: number } {
  const rig = Rig.opened(way);
  const req = rig.process.eventfd();
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 4, 0, 1, req));
  assertEquals([rig.signals(req), bindingOf(rig).unbind()], [0, false]);
  return { rig, req };
}

Deno.test.each([
  { microseconds: 0, signals: 1 },
  { microseconds: 10 * SECOND - 1, signals: 1 },
  { microseconds: 10 * SECOND, signals: 2 },
  { microseconds: 20 * SECOND - 1, signals: 2 },
  { microseconds: 20 * SECOND, signals: 3 },
  { microseconds: 3600 * SECOND, signals: 361 },
])("$microseconds microseconds after an unbind REQ was signalled $signals times (vfio.unplug.req)", (row) => {
  for (const way of WAYS) {
    const { rig, req } = requested(way);
    const { clock } = rig.host;
    // What the test itself does takes a microsecond an instruction: none since the unbind.
    clock.advance(row.microseconds);
    assertEquals(rig.signals(req), row.signals);
    assertEquals(rig.signals(req), 0);
  }
});

Deno.test("every 10 seconds from the unbind on, whenever the kernel is entered (vfio.unplug.req)", () => {
  const { rig, req } = requested("group");
  const { clock } = rig.host;
  assertEquals(rig.signals(req), 1);
  clock.advance(14 * SECOND);
  assertEquals(rig.signals(req), 1);
  clock.advance(6 * SECOND);
  assertEquals(rig.signals(req), 1, "20 seconds after the unbind, not after the last signal");
  assertEquals(bindingOf(rig).nextRequest! - clock.microseconds, 10 * SECOND);
});

Deno.test("a second unbind waits with the first: no signal of its own (vfio.unplug.req)", () => {
  const { rig, req } = requested("group");
  assertEquals([bindingOf(rig).unbind(), rig.signals(req)], [false, 1]);
});

Deno.test("a REQ eventfd that comes late is signalled from its time on, one that goes is not any more (vfio.unplug.req)", () => {
  const rig = Rig.opened();
  assertEquals(bindingOf(rig).unbind(), false);
  rig.host.clock.advance(25 * SECOND);
  const req = rig.process.eventfd();
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 4, 0, 1, req));
  assertEquals(rig.signals(req), 0, "what nobody heard is not counted");
  rig.host.clock.advance(5 * SECOND);
  assertEquals(rig.signals(req), 1);
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(20, 0x21, 4, 0, 0));
  rig.host.clock.advance(60 * SECOND);
  assertEquals(rig.signals(req), 0);
});

Deno.test("the last close ends the requests (vfio.unplug.req)", () => {
  const { rig, req } = requested("group");
  rig.host.clock.advance(10 * SECOND);
  rig.process.close(rig.device);
  assertEquals([rig.signals(req), bindingOf(rig).nextRequest], [2, undefined]);
  rig.host.clock.advance(60 * SECOND);
  assertEquals(rig.signals(req), 0);
});

Deno.test("a saved host goes on asking, by its clock (vfio.unplug.req)", () => {
  const { rig, req } = requested("cdev");
  rig.host.clock.advance(9 * SECOND);
  const copy = rig.host.fork();
  const read = () => {
    const bytes = new Uint8Array(8);
    const result = outcome(() => copy.functions[0]!.guest.kernel.process.read(req, bytes, 8));
    return result === 8 ? bytes[0] : result;
  };
  assertEquals([read(), read()], [1, "EAGAIN"]);
  copy.clock.advance(SECOND);
  assertEquals([read(), read()], [1, "EAGAIN"]);
});

Deno.test("deconfiguration and recovery of an open function ask in the same way (vfio.unplug.wait, recovery.event.state, vfio.sysfs.recover)", () => {
  for (const act of [(binding: Binding) => binding.leave(), (binding: Binding) => binding.recover()]) {
    const rig = Rig.opened();
    const req = rig.process.eventfd();
    rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 4, 0, 1, req));
    act(bindingOf(rig));
    rig.host.clock.advance(10 * SECOND);
    assertEquals(rig.signals(req), 2);
  }
});
