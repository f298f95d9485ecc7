/**
 * zpci.dma.window and vfio.iommufd.window: the end of the DMA window as everyone in a guest sees it, and the ranges
 * that type1, an iommufd and its compatibility layer tell, before and after ATTACH, and after one that replaces
 * another.
 */
import { assertEquals } from "@std/assert";
import { GIB, ranged, ranges } from "../support/ranges.ts";
import { Compat } from "../support/compat.ts";
import { type Choices, IOCTL, PAGE, Rig, START_DMA, u32, u64, words } from "../support/kernel.ts";

const START = BigInt(START_DMA);
const MAX = 2n ** 64n - 1n;
/** Page tables reach to here. */
const REACH = 2n ** 42n - 1n;
/** The end of the window with 4 GiB of main memory. */
const END = 2n ** 33n - 1n;

/** end_dma in ZPCI_BASE, the end of type1's range, and pal as MPCIFC registered it. */
function ends(choices: Choices): [bigint, bigint, number] {
  const rig = Rig.opened("group", choices);
  const info = words(208, ...new Array<number>(51).fill(0));
  rig.process.ioctl(rig.device, IOCTL.GET_INFO, info);
  const iommu = words(104, ...new Array<number>(25).fill(0));
  rig.process.ioctl(rig.container, IOCTL.IOMMU_GET_INFO, iommu);
  return [u64(info, 24 + 16), u64(iommu, 96), rig.target.fn.ioat!.pal];
}

Deno.test.each<{ what: string; choices: Choices; end: number }>([
  { what: "4 GiB by default", choices: {}, end: 8 * GIB - 1 },
  { what: "64 MiB", choices: { memory: 2 ** 26 }, end: 4 * GIB + 2 ** 26 - 1 },
  { what: "64 GiB", choices: { memory: 64 * GIB }, end: 68 * GIB - 1 },
  { what: "4 GiB twice", choices: { kernel: { iommuAperture: 2 } }, end: 12 * GIB - 1 },
  { what: "all of it", choices: { kernel: { iommuAperture: 0 } }, end: 2048 * GIB - 1 },
  { what: "less than memory", choices: { machine: { endDma: 0x1_0000_ffff } }, end: 0x1_0000_ffff },
  { what: "release 7.1", choices: { kernel: { release: "7.1" } }, end: 8 * GIB - 1 },
])(
  "end_dma, IOVA range and pal with $what agree; CLP keeps the machine's value (zpci.mpcifc.error)",
  ({ choices, end }) => {
    assertEquals(ends(choices), [BigInt(end), BigInt(end), end + PAGE], "pal is one page too high for ISM");
    const { fn } = new Rig(choices).target;
    assertEquals(fn.identity.edma, Number(choices.machine?.["endDma"] ?? 0x1ff_ffff_ffff));
  },
);

Deno.test("an iommufd: everything before ATTACH, what page tables reach after it, again after DETACH (vfio.iommufd.window)", () => {
  const rig = new Rig();
  rig.openCdev();
  const { device, ioas } = rig;
  assertEquals(ranges(rig, ioas), [START, REACH, 4096n]);
  rig.process.ioctl(device, IOCTL.DETACH_PT, words(8, 0));
  assertEquals(ranges(rig, ioas), [0n, MAX, 1n]);
  rig.process.ioctl(device, IOCTL.ATTACH_PT, words(12, 0, ioas));
  assertEquals(ranges(rig, ioas), [START, REACH, 4096n]);
});

Deno.test("ATTACH in place of another IOAS reserves what is above end_dma in the new one (vfio.iommufd.window)", () => {
  const rig = new Rig();
  rig.openCdev();
  const second = rig.newIoas();
  const attach = (id: number) => rig.process.ioctl(rig.device, IOCTL.ATTACH_PT, words(12, 0, id));
  attach(second);
  assertEquals([ranges(rig, rig.ioas), ranges(rig, second)], [[0n, MAX, 1n], [START, END, 4096n]]);
  const fork = rig.host.fork().functions[0]!.guest.kernel.process;
  assertEquals(ranged(fork, rig.iommufd, second), [START, END, 4096n], "a saved host knows");
  attach(second);
  assertEquals(ranges(rig, second), [START, END, 4096n], "the same again changes nothing");
  attach(rig.ioas);
  assertEquals([ranges(rig, rig.ioas), ranges(rig, second)], [[START, END, 4096n], [0n, MAX, 1n]]);
  rig.process.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0));
  attach(rig.ioas);
  assertEquals(ranges(rig, rig.ioas), [START, REACH, 4096n], "a first one again");
});

Deno.test.each([
  { what: "the last page below end_dma", at: END - 4095n, result: 0 },
  { what: "the first page above", at: END + 1n, result: "EADDRINUSE" },
  { what: "pages across end_dma", at: END - 4095n, size: 8192n, result: "EADDRINUSE" },
])(
  "ATTACH in place of another to an IOAS that maps $what: $result (vfio.iommufd.window)",
  ({ at, size = 4096n, result }) => {
    const rig = new Rig();
    rig.openCdev();
    const second = rig.newIoas();
    const vaddr = BigInt(rig.process.mmapAnonymous(2 * PAGE));
    rig.process.ioctl(rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, second, 0, vaddr, size, at));
    const arg = words(12, 0, second);
    assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, arg), result);
    const table = u32(arg, 8);
    assertEquals(table, result === 0 ? 5 : second, "nothing is written back by a refused one");
    const [, last] = ranges(rig, rig.ioas);
    assertEquals(last, result === 0 ? MAX : REACH, "a refused one leaves the old one attached");
  },
);

Deno.test("a mapping between end_dma and the reach: the machine's RPCIT decides, and refuses (zpci.rpcit.map, vfio.dma.reach)", () => {
  const rig = new Rig();
  rig.openCdev();
  const vaddr = BigInt(rig.process.mmapAnonymous(PAGE));
  const map = (iova: bigint) =>
    rig.ioctl(rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, rig.ioas, 0, vaddr, 4096n, iova), { effect: true });
  assertEquals(map(REACH - 4095n), "EIO");
  assertEquals([rig.target.fn.state, rig.target.zdev.domain!.mappings()], ["error", []]);
  assertEquals(map(REACH + 1n), "EINVAL", "it is reserved");
});

Deno.test("the compatibility layer: everything before there is a device, then what page tables reach (vfio.dma.reach)", () => {
  const range = (compat: Compat) => {
    const arg = words(72, ...new Array<number>(17).fill(0));
    assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, arg), 0);
    return [u64(arg, 56), u64(arg, 64)];
  };
  assertEquals([range(new Compat()), range(new Compat({ open: true }))], [[0n, MAX], [START, REACH]]);
});
