/**
 * vfio.region.struct: VFIO_DEVICE_GET_REGION_INFO of ism_vfio_pci (vfio.region.table) and of the generic driver
 * (vfio.generic.regions).
 */
import { assertEquals } from "@std/assert";
import { bytes } from "../support/bytes.ts";
import { IOCTL, type Outcome, Rig, u32, u64, words } from "../support/kernel.ts";

/** Offset, size and flags of a region, or the errno. */
function regionInfo(rig: Rig, index: number): readonly [bigint, bigint, number] | Outcome {
  const arg = words(32, 0xdead, index, 0xbeef, 0x1111n, 0x2222n);
  const result = rig.ioctl(rig.device, IOCTL.GET_REGION_INFO, arg);
  if (result !== 0) return result;
  assertEquals([u32(arg, 0), u32(arg, 8)], [32, index], "argsz and index are the caller's");
  return [u64(arg, 24), u64(arg, 16), u32(arg, 4)];
}

Deno.test.each([
  { index: 0, info: [0x0000_0000_0000_0000n, 2n ** 48n, 3] },
  { index: 1, info: [0x0001_0000_0000_0000n, 0n, 0] },
  { index: 2, info: [0x0002_0000_0000_0000n, 0x10000n, 3] },
  { index: 3, info: [0x0003_0000_0000_0000n, 0n, 0] },
  { index: 4, info: [0x0004_0000_0000_0000n, 0n, 0] },
  { index: 5, info: [0x0005_0000_0000_0000n, 0n, 0] },
  { index: 6, info: "EINVAL" },
  { index: 7, info: [1_970_324_836_974_592n, 256n, 3] },
  { index: 8, info: "EINVAL" },
  { index: 9, info: "EINVAL" },
  { index: 32767, info: "EINVAL" },
  { index: 32768, info: "EINVAL" },
  { index: 65536, info: "EINVAL" },
  { index: 2 ** 31, info: "EINVAL" },
  { index: 2 ** 32 - 1, info: "EINVAL" },
])("ism_vfio_pci: region $index is $info (vfio.region.table)", ({ index, info }) => {
  assertEquals<unknown>(regionInfo(Rig.opened(), index), info);
  assertEquals<unknown>(regionInfo(Rig.opened("cdev"), index), info);
});

Deno.test("the struct byte for byte: argsz and cap_offset echo, nothing behind 32 bytes changes (vfio.region.struct)", () => {
  const arg = bytes("28000000 ffffffff 02000000 78563412 ffffffffffffffff ffffffffffffffff a5a5a5a5a5a5a5a5");
  const rig = Rig.opened();
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_REGION_INFO, arg), 0);
  const expected = "28000000 03000000 02000000 78563412 0000010000000000 0000000000000200 a5a5a5a5a5a5a5a5";
  assertEquals(arg.toHex(), bytes(expected).toHex());
});

Deno.test("the size of BAR 2 is the resource's, whether or not memory decode is on (vfio.region.table)", () => {
  const rig = Rig.opened("group", { ism: { bar2Size: 4096 }, vfn: 0 });
  rig.setConfig(4, 2, 0);
  assertEquals(rig.config(4, 2), 0);
  assertEquals<unknown>(regionInfo(rig, 2), [0x0002_0000_0000_0000n, 4096n, 3]);
});

Deno.test("a BAR that config space was told to be elsewhere is where it was (vfio.region.table, vfio.config.sizing)", () => {
  const rig = Rig.opened();
  rig.setConfig(0x18, 4, 0xffff_ffff);
  assertEquals<unknown>(regionInfo(rig, 2), [0x0002_0000_0000_0000n, 0x10000n, 3]);
});

Deno.test.each([
  { index: 0, info: [0n, 2n ** 48n, 3] },
  { index: 1, info: [0x100_0000_0000n, 0n, 0] },
  { index: 2, info: [0x200_0000_0000n, 0x10000n, 3] },
  { index: 3, info: [0x300_0000_0000n, 0n, 0] },
  { index: 4, info: [0x400_0000_0000n, 0n, 0] },
  { index: 5, info: [0x500_0000_0000n, 0n, 0] },
  { index: 6, info: [0x600_0000_0000n, 0n, 0] },
  { index: 7, info: [0x700_0000_0000n, 256n, 3] },
  { index: 8, info: "EINVAL" },
  { index: 9, info: "EINVAL" },
  { index: 2 ** 32 - 1, info: "EINVAL" },
])("vfio-pci: region $index is $info, never mappable (vfio.generic.regions)", ({ index, info }) => {
  assertEquals<unknown>(regionInfo(Rig.opened("group", { driver: "vfio-pci" }), index), info);
});

Deno.test("both drivers agree on the number of regions, whatever indices fail then (vfio.info.struct, vfio.region.struct)", () => {
  const counts = (["ism_vfio_pci", "vfio-pci"] as const).map((driver) => {
    const rig = Rig.opened("group", { driver });
    const info = words(16, 0, 0, 0);
    assertEquals(rig.ioctl(rig.device, IOCTL.GET_INFO, info), 0);
    return [u32(info, 8), u32(info, 12)];
  });
  assertEquals(counts, [[9, 5], [9, 5]]);
});
