/**
 * docs/reference/vfio/binding.md and vfio/iommufd.md: paths of sysfs, its config file, resources, ids that are added to
 * drivers.
 */
import { assertEquals } from "@std/assert";
import { readAttribute, writeAttribute, type Written } from "../../lib/vfio/sysfs/node.ts";
import { lookUp, readDirectory, readLink } from "../../lib/vfio/sysfs/tree.ts";
import { IOCTL, outcome, region, Rig, words } from "../support/kernel.ts";

const DEVICE = "/sys/bus/pci/devices/0001:00:00.0";
const REAL = "/sys/devices/pci0001:00/0001:00:00.0";
const kernelOf = (rig: Rig) => rig.target.guest.kernel;

function read(rig: Rig, path: string, at = 0, count = 4096): Uint8Array {
  const { node } = lookUp(kernelOf(rig), path);
  if (node.kind !== "attribute") throw new Error(`${path} is a ${node.kind}`);
  return readAttribute(path, node, at, count);
}

const text = (rig: Rig, path: string) => new TextDecoder().decode(read(rig, path));

function write(rig: Rig, path: string, value: string | Uint8Array, at = 0): Written {
  const { node } = lookUp(kernelOf(rig), path);
  if (node.kind !== "attribute") throw new Error(`${path} is a ${node.kind}`);
  return writeAttribute(path, node, typeof value === "string" ? new TextEncoder().encode(value) : value, at);
}

Deno.test.each([
  { path: DEVICE, found: REAL },
  { path: `${DEVICE}/`, found: REAL },
  { path: `${DEVICE}/driver`, found: "/sys/bus/pci/drivers/ism_vfio_pci" },
  { path: `${DEVICE}/driver/0001:00:00.0/iommu_group`, found: "/sys/kernel/iommu_groups/0" },
  { path: `${DEVICE}/iommu_group/devices/0001:00:00.0/uid`, found: `${REAL}/uid` },
  { path: `${DEVICE}/../..`, found: "/sys/devices" },
  { path: `${DEVICE}/subsystem/slots/./00000010/power`, found: "/sys/bus/pci/slots/00000010/power" },
  { path: `${DEVICE}/vfio-dev/vfio0`, found: `${REAL}/vfio-dev/vfio0` },
  { path: "/", found: "/" },
  { path: "/sys/../../sys", found: "/sys" },
])("$path leads to $found", ({ path, found }) => {
  assertEquals(lookUp(kernelOf(new Rig()), path).path, found);
});

Deno.test.each([
  "/dev",
  "/sys/bus/pci/devices/0002:00:00.0",
  `${DEVICE}/uid/x`,
  `${DEVICE}/resource0`,
  `${DEVICE}/vfio-dev/vfio1`,
  "/sys/bus/pci/slots/10",
  "/sys/bus/pci/drivers/ism/0001:00:00.0",
].map((path) => ({ path })))("$path is ENOENT", ({ path }) => {
  const rig = new Rig();
  assertEquals(outcome(() => lookUp(kernelOf(rig), path).path.length), "ENOENT");
});

Deno.test("a link is read, and nothing else is; only directories have names in them", () => {
  const kernel = kernelOf(new Rig());
  assertEquals(readLink(kernel, DEVICE), "../../../devices/pci0001:00/0001:00:00.0");
  assertEquals(outcome(() => readLink(kernel, `${DEVICE}/uid`).length), "EINVAL");
  assertEquals(outcome(() => readLink(kernel, "/sys").length), "EINVAL");
  assertEquals(readDirectory(kernel, "/sys/bus/pci/slots"), ["00000010"]);
  assertEquals(outcome(() => readDirectory(kernel, `${DEVICE}/uid`).length), "ENOTDIR");
});

Deno.test.each<{ at: number; count: number; pieces: string[] }>([
  { at: 0, count: 8, pieces: ["0x0 4", "0x4 4"] },
  { at: 1, count: 7, pieces: ["0x1 1", "0x2 2", "0x4 4"] },
  { at: 2, count: 4, pieces: ["0x2 2", "0x4 2"] },
  { at: 3, count: 2, pieces: ["0x3 1", "0x4 1"] },
  { at: 0x84, count: 3, pieces: ["0x84 2", "0x86 1"] },
  { at: 254, count: 8, pieces: ["0xfe 2"] },
  { at: 256, count: 1, pieces: [] },
])("config: $count bytes at $at are the accesses $pieces", ({ at, count, pieces }) => {
  const rig = new Rig();
  let bytes = 0;
  const loads = rig.instructions(() => bytes = read(rig, `${DEVICE}/config`, at, count).length, [15]);
  assertEquals<string[]>(loads, pieces.map((piece) => `PCILG 15 ${piece}`));
  assertEquals(bytes, Math.min(count, 256 - at));
  const stores = rig.instructions(() => {
    const result = outcome(() => write(rig, `${DEVICE}/config`, new Uint8Array(count), at).count);
    assertEquals(result, at >= 256 ? "EFBIG" : bytes);
  }, [15]);
  assertEquals<string[]>(stores, pieces.map((piece) => `PCISTG 15 ${piece}`));
});

Deno.test("resource: BARs lie in windows of 2^48 that are numbered through all functions; 13 lines", () => {
  const rig = new Rig({ functions: 2, machine: { bar0Prefetch: true } });
  const lines = (name: string) => text(rig, `/sys/bus/pci/devices/${name}/resource`).split("\n");
  const none = `0x${"0".repeat(16)} 0x${"0".repeat(16)} 0x${"0".repeat(16)}`;
  const [first, second] = [lines("0001:00:00.0"), lines("0002:00:00.0")];
  assertEquals([first.length, first.at(-1), first[1], first[12]], [14, "", none, none]);
  assertEquals(first[0], "0x8000000000000000 0x8000ffffffffffff 0x000000000014220c");
  assertEquals(first[2], "0x8001000000000000 0x800100000000ffff 0x0000000000140204");
  assertEquals(second[0], "0x8002000000000000 0x8002ffffffffffff 0x000000000014220c");
});

Deno.test("a reset by sysfs gives a new handle, keeps the header, and takes what the device held", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  rig.process.ioctl(rig.device, IOCTL.SET_IRQS, words(24, 0x24, 1, 0, 1, eventfd));
  rig.setConfig(4, 2, 6);
  const { fh } = rig.target.zdev;
  rig.target.adapter.commandArea.fill(0x5a);
  assertEquals(write(rig, `${DEVICE}/reset`, "1\n"), { count: 2, waits: false });
  assertEquals([rig.target.zdev.fh === fh, rig.config(4, 2)], [false, 6]);
  assertEquals(rig.target.fn.interrupts?.noi, 1, "interrupts are registered again");
  const bytes = new Uint8Array(8);
  assertEquals([rig.pread(region(2), 8, { buffer: bytes }), bytes.includes(0x5a)], [8, false]);
});

Deno.test.each(["1", "1\n", "0x1", "01", "+1\n"].map((value) => ({ value })))(
  "reset takes %j",
  ({ value }) => {
    assertEquals(write(new Rig(), `${DEVICE}/reset`, value).count, value.length);
  },
);

Deno.test.each(["", "\n", "0", "2", "-1", "1x", "1 ", "1\n\n", "yes"].map((value) => ({ value })))(
  "reset refuses %j",
  ({ value }) => {
    assertEquals(outcome(() => write(new Rig(), `${DEVICE}/reset`, value).count), "EINVAL");
  },
);

Deno.test("ids that were added to a driver are part of the saved host", () => {
  const rig = new Rig({ functions: 2 });
  const drivers = "/sys/bus/pci/drivers";
  write(rig, `${drivers}/ism_vfio_pci/unbind`, "0001:00:00.0");
  write(rig, `${DEVICE}/driver_override`, "\n");
  write(rig, `${drivers}/vfio-pci/new_id`, "1014 ffffffff");
  const bound = (each: Rig["host"]) =>
    each.functions.map(({ guest, zdev }) => guest.kernel.binding(zdev).driver);
  assertEquals(bound(rig.host), ["vfio-pci", "ism_vfio_pci"], "of the functions that nobody holds");
  const { kernel } = rig.host.fork().functions[0]!.guest;
  assertEquals(kernel.dynamicIds.match("vfio-pci"), true);
  assertEquals([kernel.dynamicIds.match("ism"), kernel.dynamicIds.match("ism_vfio_pci")], [false, false]);
});

Deno.test.each([
  { ids: "1014 04ed", held: true },
  { ids: "1014 04ee", held: false },
  { ids: "1013 04ed", held: false },
  { ids: "1014 04ed 0 0", held: true },
  { ids: "1014 04ed 1 0", held: false },
  { ids: "1014 04ed 0 0 020000 ff0000", held: false },
  { ids: "1014 04ed 0 0 020000 00ffff", held: true },
])("new_id $ids matches an ISM function: $held", ({ ids, held }) => {
  const rig = new Rig();
  write(rig, `${DEVICE}/driver/unbind`, "0001:00:00.0\n");
  write(rig, `${DEVICE}/driver_override`, "\n");
  write(rig, "/sys/bus/pci/drivers/vfio-pci/new_id", ids);
  const { driver } = kernelOf(rig).binding(rig.target.zdev);
  assertEquals(driver, held ? "vfio-pci" : undefined);
});
