/**
 * vfio.type1.vaddr and vfio.type1.dirty: flag VADDR, UPDATE_VADDR, DIRTY_PAGES. What these do not tell follows
 * drivers/vfio/vfio_iommu_type1.c.
 */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, PAGE, Rig, START_DMA, u64, words } from "../support/kernel.ts";

const READ = 1;
const WRITE = 2;
const VADDR = 4;
const GET_DIRTY = 1;
const ALL = 2;
const START = 1;
const STOP = 2;
const GET_BITMAP = 4;
const IOVA = BigInt(START_DMA);
const P = BigInt(PAGE);

/** Number of the last page of all, counted from {@linkcode IOVA}. */
const LAST = 2n ** 52n - 1n - 2n ** 20n;

/** A container with a group, and 80 pages of memory of the process. */
class Type1 {
  readonly rig: Rig;
  readonly vaddr: bigint;

  constructor(type = 3) {
    this.rig = new Rig({ functions: 2 });
    const { process } = this.rig;
    this.rig.container = process.open("/dev/vfio/vfio");
    this.rig.group = process.open("/dev/vfio/0");
    process.ioctl(this.rig.group, IOCTL.GROUP_SET_CONTAINER, words(this.rig.container));
    process.ioctl(this.rig.container, IOCTL.SET_IOMMU, type);
    this.vaddr = BigInt(process.mmapAnonymous(80 * PAGE));
  }

  ioctl(request: number, arg: Uint8Array | number): Outcome {
    return this.rig.ioctl(this.rig.container, request, arg);
  }

  map(page: bigint, pages: bigint, flags = READ | WRITE, vaddr = this.vaddr): Outcome {
    return this.ioctl(IOCTL.MAP_DMA, words(32, flags, vaddr, IOVA + page * P, pages * P));
  }

  /** Pages unmapped, or the errno. */
  unmap(page: bigint, pages: bigint, flags = 0): bigint | Outcome {
    const all = (flags & ALL) !== 0;
    const arg = words(24, flags, all ? 0n : IOVA + page * P, all ? 0n : pages * P);
    const result = this.ioctl(IOCTL.UNMAP_DMA, arg);
    return result === 0 ? u64(arg, 16) / P : result;
  }

  /** IOVA and size of what is mapped, in pages. */
  get mapped(): string {
    const mappings = this.rig.target.zdev.domain!.mappings();
    return mappings.map(({ iova, size }) => `${(iova - START_DMA) / PAGE}+${size / PAGE}`).join(" ");
  }
}

Deno.test("UPDATE_VADDR is an extension of a container with an IOMMU, not of one without (vfio.container.extension)", () => {
  const rig = new Rig();
  const container = rig.process.open("/dev/vfio/vfio");
  const group = rig.process.open("/dev/vfio/0");
  const check = () => [10, 4].map((extension) => rig.ioctl(container, IOCTL.CHECK_EXTENSION, extension));
  assertEquals(check(), [0, 0], "vfio_iommu_type1_check_extension asks whether there is an IOMMU");
  rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(container));
  rig.ioctl(container, IOCTL.SET_IOMMU, 3);
  assertEquals(check(), [1, 0], "s390 enforces no coherency: no DMA_CC");
});

Deno.test("UNMAP with VADDR keeps the mapping, MAP with VADDR gives it an address again (vfio.type1.vaddr)", () => {
  const type1 = new Type1();
  const { fn } = type1.rig.target;
  assertEquals([type1.map(0n, 2n), type1.unmap(0n, 2n, VADDR), type1.mapped], [0, 2n, "0+2"]);
  fn.model.config.write(4, 0x06);
  assertEquals(fn.dma.write(START_DMA + PAGE, Uint8Array.of(1)), 0, "the device goes on");
  assertEquals(type1.map(0n, 2n), "EEXIST");
  assertEquals(type1.map(0n, 2n, VADDR, 0x7000n), 0, "nobody looks at the address");
  assertEquals(type1.map(0n, 2n, VADDR), "EINVAL", "it has one again");
  assertEquals(fn.dma.write(START_DMA + PAGE + 1, Uint8Array.of(2)), 0);
  assertEquals([...type1.rig.process.memory(Number(type1.vaddr) + PAGE, 2, false)], [1, 2], "the same pages");
});

Deno.test.each<{ what: string; page: bigint; pages: bigint; result: Outcome }>([
  { what: "the mapping", page: 0n, pages: 2n, result: 0 },
  { what: "a part of it", page: 0n, pages: 1n, result: "EINVAL" },
  { what: "more than it", page: 0n, pages: 3n, result: "EINVAL" },
  { what: "a later part of it", page: 1n, pages: 1n, result: "EINVAL" },
  { what: "nothing", page: 2n, pages: 2n, result: "ENOENT" },
  { what: "a mapping that has its address", page: 4n, pages: 2n, result: "EINVAL" },
])("MAP_DMA with VADDR of $what: $result (vfio.type1.vaddr, vfio_dma_do_map)", ({ page, pages, result }) => {
  const type1 = new Type1();
  assertEquals([type1.map(0n, 2n), type1.map(4n, 2n), type1.unmap(0n, 2n, VADDR)], [0, 0, 2n]);
  assertEquals([type1.map(page, pages, VADDR), type1.mapped], [result, "0+2 4+2"]);
});

Deno.test("UNMAP with VADDR: ranges as without; a mapping without an address stops it, and none changes (vfio.type1.vaddr)", () => {
  const type1 = new Type1();
  for (const page of [0n, 2n, 4n]) type1.map(page, 2n);
  assertEquals([type1.unmap(8n, 2n, VADDR), type1.unmap(1n, 2n, VADDR)], [0n, "EINVAL"]);
  assertEquals([type1.unmap(2n, 2n, VADDR), type1.unmap(0n, 6n, VADDR)], [2n, "EINVAL"]);
  assertEquals([0n, 2n, 4n].map((page) => type1.map(page, 2n, VADDR)), ["EINVAL", 0, "EINVAL"]);
  assertEquals([type1.unmap(0n, 0n, VADDR | ALL), type1.unmap(0n, 0n, VADDR | ALL)], [6n, "EINVAL"]);
  assertEquals([0n, 2n, 4n].map((page) => type1.map(page, 2n, VADDR)), [0, 0, 0]);
  assertEquals(type1.mapped, "0+2 2+2 4+2");
});

Deno.test("version 1 takes addresses of what its unmap would take (vfio.type1.vaddr)", () => {
  const type1 = new Type1(1);
  assertEquals([type1.map(0n, 2n), type1.unmap(1n, 1n, VADDR), type1.unmap(0n, 1n, VADDR)], [0, 0n, 2n]);
  assertEquals(type1.map(0n, 2n, VADDR), 0);
});

Deno.test("a mapping without an address is unmapped as any other, and a new one there has one (vfio.type1.unmap)", () => {
  const type1 = new Type1();
  assertEquals([type1.map(0n, 2n), type1.unmap(0n, 2n, VADDR), type1.unmap(0n, 2n)], [0, 2n, 2n]);
  assertEquals([type1.map(0n, 2n, VADDR), type1.map(0n, 2n), type1.map(0n, 2n, VADDR)], [
    "ENOENT",
    0,
    "EINVAL",
  ]);
});

Deno.test("no group can join while a mapping has no address: EBUSY (vfio_iommu_type1_attach_group)", () => {
  const type1 = new Type1();
  const other = type1.rig.process.open("/dev/vfio/1");
  const join = () => type1.rig.ioctl(other, IOCTL.GROUP_SET_CONTAINER, words(type1.rig.container));
  assertEquals([type1.map(0n, 1n), type1.unmap(0n, 1n, VADDR), join()], [0, 1n, "EBUSY"]);
  assertEquals([type1.map(0n, 1n, VADDR), join()], [0, 0]);
});

Deno.test("the wait for an address ends with the last group, and is saved with the host", () => {
  const type1 = new Type1();
  const { rig } = type1;
  assertEquals([type1.map(0n, 1n), type1.unmap(0n, 1n, VADDR)], [0, 1n]);
  const copied = rig.host.fork().functions[0]!.guest.kernel.process;
  const again = words(32, VADDR, type1.vaddr, IOVA, P);
  assertEquals(copied.ioctl(rig.container, IOCTL.MAP_DMA, again), 0);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER), 0);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container)), 0);
  assertEquals(type1.ioctl(IOCTL.SET_IOMMU, 3), 0);
  assertEquals([type1.map(0n, 1n, VADDR), type1.map(0n, 1n)], ["ENOENT", 0]);
});

const dirty = (type1: Type1, flags: number, argsz = 8) => type1.ioctl(IOCTL.DIRTY_PAGES, words(argsz, flags));

Deno.test("DIRTY_PAGES: one flag at a time; START and STOP as often as one likes; version 1 has none: EACCES", () => {
  const type1 = new Type1();
  assertEquals([0, START | STOP, START | GET_BITMAP, 8, 7].map((flags) => dirty(type1, flags)), [
    "EINVAL",
    "EINVAL",
    "EINVAL",
    "EINVAL",
    "EINVAL",
  ]);
  assertEquals([STOP, START, START, STOP, STOP].map((flags) => dirty(type1, flags)), [0, 0, 0, 0, 0]);
  const first = new Type1(1);
  assertEquals([dirty(first, START), dirty(first, 0), first.ioctl(IOCTL.DIRTY_PAGES, 0)], [
    "EACCES",
    "EACCES",
    "EACCES",
  ]);
});

/** GET_BITMAP into a page of ones of the process: the result and the first words of the bitmap. */
function getBitmap(
  type1: Type1,
  { page = 0n, pages = 64n, pageSize = P, bytes = 512n, argsz = 48, data }: {
    page?: bigint;
    pages?: bigint;
    pageSize?: bigint;
    bytes?: bigint;
    argsz?: number;
    data?: bigint;
  },
): [Outcome, string] {
  const { process } = type1.rig;
  const memory = process.mmapAnonymous(PAGE);
  process.memory(memory, 32, true).fill(0xa5);
  const arg = words(argsz, GET_BITMAP, IOVA + page * P, pages * P, pageSize, bytes, data ?? BigInt(memory));
  const result = type1.ioctl(IOCTL.DIRTY_PAGES, arg);
  return [result, process.memory(memory, 24, false).toHex()];
}

const CLEAN = "a5".repeat(8);

Deno.test("GET_BITMAP: every mapped page is dirty, a word at a time (vfio.type1.dirty, update_user_bitmap)", () => {
  const type1 = new Type1();
  assertEquals([type1.map(1n, 3n), type1.map(6n, 2n), dirty(type1, START)], [0, 0, 0]);
  // Page 0 is not mapped: its bit stays as it was (0xa5 has it set); those behind a mapping become 0.
  assertEquals(getBitmap(type1, {}), [0, "cf00000000000000" + CLEAN + CLEAN]);
  assertEquals(getBitmap(type1, { page: 6n, pages: 2n }), [0, "0300000000000000" + CLEAN + CLEAN]);
  assertEquals(
    getBitmap(type1, { page: 10n }),
    [0, CLEAN + CLEAN + CLEAN],
    "nothing mapped, nothing written",
  );
  assertEquals(type1.unmap(0n, 64n), 5n);
  assertEquals(type1.map(60n, 70n), 0);
  const bits = getBitmap(type1, { page: 0n, pages: 130n })[1];
  assertEquals(bits, "a5a5a5a5a5a5a5f5" + "ff".repeat(8) + "0300000000000000");
});

Deno.test.each<{ what: string; fields: Parameters<typeof getBitmap>[1]; result: Outcome; log?: boolean }>([
  { what: "no room for a range", fields: { argsz: 47 }, result: "EINVAL" },
  { what: "no page", fields: { pages: 0n }, result: "EINVAL" },
  { what: "a range that wraps", fields: { page: LAST - 62n }, result: "EOVERFLOW" },
  { what: "a range that wraps, and no log", fields: { page: LAST - 62n }, result: "EOVERFLOW", log: false },
  { what: "no page behind the end", fields: { page: LAST + 1n, pages: 0n }, result: "EINVAL" },
  { what: "a range up to the last page", fields: { page: LAST - 63n }, result: 0 },
  {
    what: "a range up to the last page, and no log",
    fields: { page: LAST - 63n },
    result: "EINVAL",
    log: false,
  },
  { what: "a bitmap without bytes", fields: { bytes: 0n }, result: "EINVAL" },
  { what: "a bitmap that is a word too short", fields: { pages: 65n, bytes: 15n }, result: "EINVAL" },
  { what: "a bitmap of just its words", fields: { pages: 65n, bytes: 16n }, result: 0 },
  { what: "the longest bitmap", fields: { bytes: 2n ** 28n }, result: 0 },
  { what: "a longer one", fields: { bytes: 2n ** 28n + 1n }, result: "EINVAL" },
  { what: "pages of 8 KiB", fields: { pageSize: 8192n }, result: "EINVAL" },
  { what: "pages of 0", fields: { pageSize: 0n }, result: "EINVAL" },
  { what: "half of a mapping", fields: { pages: 2n }, result: "EINVAL" },
  { what: "no memory for the bitmap", fields: { data: 0n }, result: "EFAULT" },
  { what: "no log", fields: {}, result: "EINVAL", log: false },
  { what: "all of it", fields: {}, result: 0 },
])("GET_BITMAP with $what: $result (vfio_iommu_type1_dirty_pages)", ({ fields, result, log = true }) => {
  const type1 = new Type1();
  assertEquals([type1.map(1n, 3n), dirty(type1, log ? START : STOP)], [0, 0]);
  assertEquals(getBitmap(type1, fields)[0], result);
});

Deno.test("UNMAP with GET_DIRTY gives the bitmap of what it unmaps (vfio.type1.dirty)", () => {
  const type1 = new Type1();
  const { process } = type1.rig;
  const memory = process.mmapAnonymous(PAGE);
  const unmap = (flags: number, argsz = 48, pageSize = P, bytes = 8n) => {
    const arg = words(argsz, flags, IOVA, 8n * P, pageSize, bytes, BigInt(memory));
    return type1.ioctl(IOCTL.UNMAP_DMA, arg);
  };
  assertEquals([type1.map(1n, 3n), unmap(GET_DIRTY), dirty(type1, START)], [0, "EINVAL", 0]);
  assertEquals([unmap(GET_DIRTY | ALL), unmap(GET_DIRTY | VADDR), unmap(GET_DIRTY, 47)], [
    "EINVAL",
    "EINVAL",
    "EINVAL",
  ]);
  assertEquals([unmap(GET_DIRTY, 48, P, 7n), unmap(GET_DIRTY, 48, 8192n)], ["EINVAL", "EINVAL"]);
  assertEquals(type1.ioctl(IOCTL.UNMAP_DMA, words(48, GET_DIRTY, IOVA, 8n * P)), "EFAULT");
  assertEquals([type1.mapped, unmap(GET_DIRTY), type1.mapped], ["1+3", 0, ""]);
  assertEquals(process.memory(memory, 8, false).toHex(), "0e00000000000000");
});

Deno.test("the log ends with the last group, and is saved with the host", () => {
  const type1 = new Type1();
  const { rig } = type1;
  assertEquals([type1.map(0n, 1n), dirty(type1, START)], [0, 0]);
  const copied = rig.host.fork().functions[0]!.guest.kernel.process;
  const arg = words(48, GET_BITMAP, IOVA, P, P, 8n, type1.vaddr);
  assertEquals(copied.ioctl(rig.container, IOCTL.DIRTY_PAGES, arg), 0);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER), 0);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container)), 0);
  assertEquals(type1.ioctl(IOCTL.SET_IOMMU, 3), 0);
  assertEquals(getBitmap(type1, {})[0], "EINVAL");
});
