/**
 * vfio.iommufd.compat: type1 ioctls on the compatibility IOAS of an iommufd. What that does not tell follows
 * drivers/iommu/iommufd/vfio_compat.c and io_pagetable.c.
 */
import { assertEquals } from "@std/assert";
import { Compat, IOVA, type Mapping, MEMORY } from "../support/compat.ts";
import { IOCTL, type Outcome, PAGE, START_DMA, u64, words } from "../support/kernel.ts";

const READ = 1;
const WRITE = 2;
const VADDR = 4;
const GET_DIRTY = 1;
const ALL = 2;
const TOP = 2n ** 64n;

Deno.test("a mapping that was cut may be copied for writing on both sides, if its pages may be (iopt_area_split)", () => {
  const compat = new Compat({ open: true, type: 1 });
  const id = compat.compatId as number;
  const copy = (from: bigint, to: bigint, flags: number, length = 4096n) =>
    compat.ioctl(
      IOCTL.IOAS_COPY,
      words(40, flags | 1, id, id, length, IOVA + to * 4096n, IOVA + from * 4096n),
    );
  assertEquals([compat.map({ size: 12288n }), copy(0n, 8n, 4, 12288n)], [0, 0], "a copy that is read-only");
  assertEquals(compat.unmap(IOVA + 9n * 4096n, 4096n), [0, 4096n]);
  assertEquals([copy(8n, 16n, 6), copy(10n, 17n, 6)], [0, 0]);
});

Deno.test.each<Mapping & { what: string; result: Outcome; before?: Outcome }>([
  { what: "argsz 31", argsz: 31, result: "EINVAL" },
  { what: "VADDR", flags: VADDR, result: "EINVAL" },
  { what: "VADDR and READ", flags: VADDR | READ, result: "EINVAL" },
  { what: "an unknown flag", flags: 8, result: "EINVAL" },
  { what: "size 0", size: 0n, result: "EINVAL" },
  { what: "an address that wraps", vaddr: TOP - 4096n, size: 8192n, result: "EOVERFLOW" },
  { what: "an IOVA that wraps", iova: TOP - 4096n, size: 8192n, result: "EOVERFLOW" },
  { what: "a misaligned IOVA", iova: IOVA + 1n, result: "EINVAL", before: 0 },
  { what: "a misaligned address", vaddr: 0x10_2001n, size: 1n, result: "EINVAL", before: 0 },
  { what: "a misaligned size", size: 4095n, result: "EINVAL", before: 0 },
  { what: "neither READ nor WRITE", flags: 0, result: 0 },
  { what: "READ alone", flags: READ, result: 0 },
  { what: "WRITE alone", flags: WRITE, result: 0 },
  { what: "all pages", size: BigInt(MEMORY), result: 0 },
  { what: "no memory", vaddr: 0n, result: "EFAULT", before: 0 },
  { what: "a page below the range", iova: IOVA - 4096n, result: "EINVAL", before: 0 },
  { what: "the last page of the window", iova: 0x1_ffff_f000n, result: 0 },
  { what: "a page above what page tables reach", iova: 0x400_0000_0000n, result: "EINVAL", before: 0 },
])(
  "MAP_DMA on an iommufd with $what: $result (vfio.iommufd.map)",
  ({ what: _, result, before = result, ...mapping }) => {
    assertEquals(new Compat({ open: true }).map(mapping), result, "with a device");
    assertEquals(new Compat().map(mapping), before, "before there is a device");
  },
);

Deno.test("a mapping with neither READ nor WRITE is one that the device may not write (vfio_compat.c)", () => {
  const compat = new Compat({ open: true });
  assertEquals(compat.map({ flags: 0 }), 0);
  const [mapping] = compat.rig.target.zdev.domain!.mappings();
  assertEquals([mapping!.read, mapping!.write], [false, false]);
  assertEquals(compat.map({ flags: READ }), "EEXIST");
});

Deno.test.each<{ what: string; iova: bigint; size: bigint; flags?: number; result: [Outcome, bigint] }>([
  { what: "argsz too small", iova: IOVA, size: 4096n, flags: -1, result: ["EINVAL", 4096n] },
  { what: "VADDR", iova: IOVA, size: 8192n, flags: VADDR, result: ["EINVAL", 8192n] },
  { what: "GET_DIRTY", iova: IOVA, size: 8192n, flags: GET_DIRTY, result: ["EINVAL", 8192n] },
  { what: "ALL and a range", iova: IOVA, size: 0n, flags: ALL, result: ["EINVAL", 0n] },
  { what: "ALL and a size", iova: 0n, size: 4096n, flags: ALL, result: ["EINVAL", 4096n] },
  { what: "ALL", iova: 0n, size: 0n, flags: ALL, result: [0, 16384n] },
  { what: "size 0", iova: IOVA, size: 0n, result: ["EINVAL", 0n] },
  { what: "a wrap", iova: TOP - 4096n, size: 8192n, result: ["EOVERFLOW", 0n] },
  { what: "nothing mapped", iova: IOVA + 2n ** 20n, size: 4096n, result: [0, 0n] },
  { what: "the gap between", iova: IOVA + 8192n, size: 8192n, result: [0, 0n] },
  { what: "a misaligned range around a mapping", iova: IOVA - 1n, size: 8194n, result: [0, 8192n] },
  { what: "the first mapping", iova: IOVA, size: 8192n, result: [0, 8192n] },
  { what: "both mappings", iova: IOVA, size: 24576n, result: [0, 16384n] },
  { what: "the end of a mapping", iova: IOVA + 4096n, size: 4096n, result: ["ENOENT", 0n] },
  { what: "the start of a mapping", iova: IOVA, size: 4096n, result: ["ENOENT", 0n] },
  { what: "one and a half mappings", iova: IOVA, size: 20480n, result: ["ENOENT", 8192n] },
])("UNMAP_DMA on an iommufd of $what: $result (vfio.iommufd.unmap)", ({ iova, size, flags = 0, result }) => {
  const compat = new Compat({ open: true, type: 3 });
  assertEquals([compat.map({ size: 8192n }), compat.map({ iova: IOVA + 16384n, size: 8192n })], [0, 0]);
  assertEquals(compat.unmap(iova, size, flags < 0 ? 0 : flags, flags < 0 ? 23 : 24), result);
  const gone = result[0] === 0 || result[0] === "ENOENT" ? result[1] : 0n;
  assertEquals(compat.mapped, { 0: "0+2 4+2", 8192: "4+2", 16384: "" }[Number(gone)]!);
});

Deno.test("version 1 cuts mappings: the middle of one can be unmapped (vfio_compat.c)", () => {
  const compat = new Compat({ open: true, type: 1 });
  assertEquals(compat.map({ size: 16384n }), 0);
  assertEquals(compat.unmap(IOVA + 4096n, 4096n), [0, 4096n]);
  assertEquals(compat.mapped, "0+1 2+2");
  const { dma, model } = compat.rig.target.fn;
  model.config.write(4, 0x06);
  assertEquals(dma.write(START_DMA + 2 * PAGE, Uint8Array.of(0x77)), 0);
  assertEquals(compat.rig.process.memory(Number(compat.vaddr), MEMORY, false).indexOf(0x77), 2 * PAGE);
  assertEquals(compat.unmap(IOVA + 2n, 4096n), ["EINVAL", 4096n], "not inside a page; nothing written back");
  assertEquals([compat.unmap(0n, 0n, ALL), compat.mapped], [[0, 12288n], ""]);
});

Deno.test("SET_IOMMU of version 1 comes too late when a device has mappings: EINVAL (iopt_disable_large_pages)", () => {
  const compat = new Compat({ open: true });
  assertEquals(
    [compat.setIommu(1), compat.map(), compat.setIommu(1)],
    [0, 0, 0],
    "it was in time the first time",
  );
  const late = new Compat({ open: true });
  assertEquals([late.map(), late.setIommu(1), late.setIommu(3)], [0, "EINVAL", 0]);
  const odd = new Compat();
  assertEquals([odd.map({ size: 4095n }), odd.setIommu(1)], [0, "EADDRINUSE"], "a mapping that is no page");
});

/** DMA_AVAIL with 2^32 - 1 at 24, IOVA_RANGE at 40: all of it is 72 bytes. */
const AVAIL = "0300010028000000ffffffff00000000";
const RANGE = "01000100000000000100000000000000" + "0000000001000000ffffffffff030000";

Deno.test.each([
  { argsz: 16, tail: "" },
  { argsz: 24, tail: "0000000000000000" },
  { argsz: 39, tail: "0000000000000000" },
  { argsz: 40, tail: "0000000000000000" + AVAIL },
  { argsz: 71, tail: "0000000000000000" + AVAIL },
  { argsz: 72, tail: "1800000000000000" + AVAIL + RANGE },
  { argsz: 200, tail: "1800000000000000" + AVAIL + RANGE },
])(
  "IOMMU_GET_INFO on an iommufd with argsz $argsz: what fits, and 72 as argsz (vfio.iommufd.general)",
  ({ argsz, tail }) => {
    const compat = new Compat({ open: true });
    const arg = new Uint8Array(200).fill(0xa5);
    arg.set(words(argsz));
    assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, arg), 0);
    const expected = "48000000" + "03000000" + "0010000000000000" + tail;
    assertEquals(arg.toHex(), expected + "a5".repeat(200 - expected.length / 2));
  },
);

Deno.test("IOMMU_GET_INFO before there is a device: any page size, all addresses; EFAULT behind the end (vfio.iommufd.general)", () => {
  const compat = new Compat();
  const arg = words(72, 0, 0n, 0, 0, ...new Array<bigint>(6).fill(0n));
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, arg), 0);
  assertEquals([u64(arg, 8), u64(arg, 56), u64(arg, 64)], [TOP - 4096n, 0n, TOP - 1n]);
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, words(72, 0, 0n, 0, 0), true), "EFAULT");
});

Deno.test("DIRTY_PAGES is not among the ioctls of an iommufd: ENOTTY (vfio.iommufd.general)", () => {
  assertEquals(new Compat({ open: true }).ioctl(IOCTL.DIRTY_PAGES, words(8, 1)), "ENOTTY");
});
