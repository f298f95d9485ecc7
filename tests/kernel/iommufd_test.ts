/** vfio.iommufd.window: objects and mappings of an iommufd; alignment and ranges before and after ATTACH. */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, PAGE, Rig, START_DMA, u32, u64, words } from "../support/kernel.ts";

const FIXED = 1;
const WRITEABLE = 2;
const READABLE = 4;
const IOVA = BigInt(START_DMA);
const MAX = 2n ** 64n - 1n;

interface Mapping {
  readonly size?: number;
  readonly flags?: number;
  readonly id?: number;
  readonly reserved?: number;
  readonly va?: bigint;
  readonly length?: bigint;
  readonly iova?: bigint;
}

/** An iommufd with an IOAS, a bound device, and 4 pages of memory of the process. */
class Iommufd {
  readonly rig: Rig;
  readonly va: bigint;

  constructor({ attached }: { attached: boolean }) {
    this.rig = new Rig();
    this.rig.openCdev();
    if (!attached) this.#ioctl(this.rig.device, IOCTL.DETACH_PT, words(8, 0));
    this.va = BigInt(this.rig.process.mmapAnonymous(4 * PAGE));
  }

  #ioctl(fd: number, request: number, arg: Uint8Array): Outcome {
    return this.rig.ioctl(fd, request, arg);
  }

  /** The IOVA of the new mapping, or the errno. */
  map(
    { size = 40, flags = 7, id = this.rig.ioas, reserved = 0, va = this.va, length = 4096n, iova = IOVA }:
      Mapping = {},
  ): bigint | Outcome {
    const arg = words(size, flags, id, reserved, va, length, iova);
    const result = this.#ioctl(this.rig.iommufd, IOCTL.IOAS_MAP, arg);
    if (result !== 0) return result;
    assertEquals(arg.slice(0, 32), words(size, flags, id, reserved, va, length), "only iova is written back");
    return u64(arg, 32);
  }

  /** Bytes unmapped, or the errno. */
  unmap(iova: bigint, length: bigint, id = this.rig.ioas): bigint | Outcome {
    const arg = words(24, id, iova, length);
    const result = this.#ioctl(this.rig.iommufd, IOCTL.IOAS_UNMAP, arg);
    return result === 0 ? u64(arg, 16) : result;
  }

  attach(): Outcome {
    return this.#ioctl(this.rig.device, IOCTL.ATTACH_PT, words(12, 0, this.rig.ioas));
  }

  destroy(id: number): Outcome {
    return this.#ioctl(this.rig.iommufd, IOCTL.DESTROY, words(8, id));
  }

  /** Count, alignment and ranges of IOVA_RANGES with room for `slots` ranges. */
  ranges(slots: number): [Outcome, number, bigint, string] {
    const memory = this.rig.process.mmapAnonymous(PAGE);
    const arg = words(32, this.rig.ioas, slots, 0, BigInt(memory), 0n);
    const result = this.rig.ioctl(this.rig.iommufd, IOCTL.IOAS_IOVA_RANGES, arg, { effect: true });
    return [result, u32(arg, 8), u64(arg, 24), this.rig.process.memory(memory, 16, false).toHex()];
  }
}

Deno.test("IOAS_ALLOC gives an id of its own each time; flags are EOPNOTSUPP (vfio.iommufd.alloc)", () => {
  const { rig } = new Iommufd({ attached: false });
  assertEquals(new Set([rig.ioas, rig.newIoas(), rig.newIoas()]).size, 3);
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.IOAS_ALLOC, words(12, 1, 0)), "EOPNOTSUPP");
});

Deno.test.each<Mapping & { what: string; result: bigint | string }>([
  { what: "size 39", size: 39, result: "EINVAL" },
  { what: "an unknown flag and everything else wrong", flags: 8, id: 99, length: MAX, result: "EOPNOTSUPP" },
  { what: "reserved not 0", reserved: 1, id: 99, length: MAX, result: "EOPNOTSUPP" },
  { what: "iova 2^64-1", flags: FIXED, iova: MAX, result: "EOVERFLOW" },
  { what: "length 2^64-1", flags: FIXED, length: MAX, result: "EOVERFLOW" },
  { what: "neither READABLE nor WRITEABLE", flags: FIXED, id: 99, result: "EINVAL" },
  { what: "a bad id", id: 99, length: 0n, result: "ENOENT" },
  { what: "length 0", length: 0n, result: "EINVAL" },
  { what: "a misaligned iova", iova: IOVA + 1n, result: "EINVAL" },
  { what: "a misaligned length", length: 4097n, result: "EINVAL" },
  { what: "a wrap of iova", iova: MAX - 4095n, length: 8192n, result: "EOVERFLOW" },
  { what: "a wrap of the address", va: MAX - 4095n, length: 8192n, result: "EOVERFLOW" },
  // The kernel adds the whole length, so that the last page of all wraps (pages.c: iopt_alloc_user_pages).
  { what: "an address whose end just wraps", va: MAX - 4095n, result: "EOVERFLOW" },
  { what: "an address that just does not wrap", va: MAX - 8191n, result: "EFAULT" },
  { what: "a reserved range below", iova: IOVA - 4096n, result: "EINVAL" },
  { what: "a reserved range above", iova: 0x400_0000_0000n, result: "EINVAL" },
  { what: "the last page of the window", iova: 0x1_ffff_f000n, result: 0x1_ffff_f000n },
  { what: "READABLE alone", flags: FIXED | READABLE, result: IOVA },
  { what: "WRITEABLE alone", flags: FIXED | WRITEABLE, result: IOVA },
  { what: "no memory", va: 0n, result: "EFAULT" },
  { what: "all memory", length: 16384n, result: IOVA },
])(
  "IOAS_MAP of an attached IOAS with $what: $result (vfio.iommufd.map)",
  ({ what: _, result, ...mapping }) => {
    assertEquals(new Iommufd({ attached: true }).map(mapping), result);
  },
);

Deno.test("IOAS_MAP that overlaps is EEXIST, even the same again; side by side is fine (vfio.iommufd.map)", () => {
  const iommufd = new Iommufd({ attached: true });
  const at = (page: bigint, pages = 1n) => iommufd.map({ iova: IOVA + page * 4096n, length: pages * 4096n });
  assertEquals(at(1n, 2n), IOVA + 4096n);
  assertEquals([at(1n, 2n), at(0n, 2n), at(2n), at(0n, 4n)], ["EEXIST", "EEXIST", "EEXIST", "EEXIST"]);
  assertEquals([at(0n), at(3n)], [IOVA, IOVA + 12288n]);
});

Deno.test("without FIXED_IOVA the kernel chooses a free address in the range and returns it (vfio.iommufd.place)", () => {
  const iommufd = new Iommufd({ attached: true });
  const choose = (length: bigint) => iommufd.map({ flags: READABLE | WRITEABLE, iova: 0xdead_b000n, length });
  const first = choose(4096n) as bigint;
  const second = choose(8192n) as bigint;
  assertEquals([first >= IOVA, second >= IOVA, first % 4096n, second % 4096n], [true, true, 0n, 0n]);
  assertEquals(second + 8192n <= first || second >= first + 4096n, true, "they do not overlap");
  assertEquals(iommufd.unmap(first, 4096n), 4096n);
  assertEquals(choose(2n ** 50n), "ENOSPC");
});

Deno.test.each<{ what: string; iova: bigint; length: bigint; result: bigint | string }>([
  { what: "length 0", iova: IOVA, length: 0n, result: "EINVAL" },
  { what: "nothing mapped", iova: IOVA + 2n ** 20n, length: 4096n, result: "ENOENT" },
  { what: "the gap between", iova: IOVA + 8192n, length: 8192n, result: "ENOENT" },
  { what: "a cut at the end of a mapping", iova: IOVA + 4096n, length: 4096n, result: "ENOENT" },
  { what: "a cut at the start of a mapping", iova: IOVA, length: 4096n, result: "ENOENT" },
  { what: "the first mapping", iova: IOVA, length: 8192n, result: 8192n },
  { what: "both mappings", iova: IOVA, length: 24576n, result: 16384n },
  { what: "a larger range", iova: 0n, length: 2n ** 63n, result: 16384n },
  { what: "everything", iova: 0n, length: MAX, result: 16384n },
])("IOAS_UNMAP of $what: $result (vfio.iommufd.unmap)", ({ iova, length, result }) => {
  const iommufd = new Iommufd({ attached: true });
  iommufd.map({ length: 8192n });
  iommufd.map({ iova: IOVA + 16384n, length: 8192n });
  assertEquals(iommufd.unmap(iova, length, 99), "ENOENT", "the id comes first");
  assertEquals(iommufd.unmap(iova, length), result);
});

Deno.test("before ATTACH alignment is 1 and nothing is reserved: anything goes (vfio.iommufd.window)", () => {
  const iommufd = new Iommufd({ attached: false });
  const [result, count, alignment, range] = iommufd.ranges(1);
  assertEquals([result, count, alignment, range], [0, 1, 1n, "00".repeat(8) + "ff".repeat(8)]);
  assertEquals(iommufd.map({ iova: 0n }), 0n);
  assertEquals(iommufd.map({ iova: MAX - 8191n, length: 4096n }), MAX - 8191n);
  assertEquals(iommufd.map({ iova: 0x1_0001n, length: 3n, va: iommufd.va + 5n }), 0x1_0001n);
  assertEquals([iommufd.map({ iova: 0x1_0003n, length: 1n }), iommufd.map({ length: 0n })], [
    "EEXIST",
    "EINVAL",
  ]);
  assertEquals(iommufd.unmap(0x1_0001n, 3n), 3n);
  assertEquals(iommufd.map({ iova: MAX - 4095n, length: 4096n }), MAX - 4095n, "the last page of all");
  assertEquals([iommufd.unmap(MAX - 4095n, 4096n), iommufd.unmap(MAX - 4095n, 4096n)], [4096n, "ENOENT"]);
});

Deno.test("after ATTACH alignment is 4096 and what the function cannot reach is reserved (vfio.dma.window, vfio.iommufd.window)", () => {
  const iommufd = new Iommufd({ attached: false });
  assertEquals(iommufd.attach(), 0);
  const range = "0000000001000000" + "ffffffffff030000";
  assertEquals(iommufd.ranges(1), [0, 1, 4096n, range]);
  assertEquals(iommufd.ranges(5), [0, 1, 4096n, range], "a caller with more room is told how many there are");
  const detached = iommufd.rig.ioctl(iommufd.rig.device, IOCTL.DETACH_PT, words(8, 0));
  assertEquals([detached, iommufd.ranges(1)[2]], [0, 1n]);
});

Deno.test("IOVA_RANGES with too few slots: the needed count, EMSGSIZE (vfio.iommufd.ranges)", () => {
  const iommufd = new Iommufd({ attached: true });
  assertEquals(iommufd.ranges(0), ["EMSGSIZE", 1, 4096n, "00".repeat(16)]);
});

Deno.test("IOVA_RANGES: a bad id, reserved not 0, an array that is not there (vfio.iommufd.ranges)", () => {
  const { rig } = new Iommufd({ attached: true });
  const call = (id: number, reserved: number, pointer: bigint) =>
    rig.ioctl(rig.iommufd, IOCTL.IOAS_IOVA_RANGES, words(32, id, 1, reserved, pointer, 0n));
  assertEquals([call(99, 0, 0n), call(99, 1, 0n), call(rig.ioas, 0, 0n)], ["ENOENT", "EOPNOTSUPP", "EFAULT"]);
});

Deno.test.each<{ what: string; mapping: Mapping; result: Outcome }>([
  { what: "pages in the range", mapping: {}, result: 0 },
  { what: "a page below the range", mapping: { iova: IOVA - 4096n }, result: "EADDRINUSE" },
  { what: "pages across its start", mapping: { iova: IOVA - 4096n, length: 8192n }, result: "EADDRINUSE" },
  { what: "the last page of the window", mapping: { iova: 0x1_ffff_f000n }, result: 0 },
  {
    what: "pages across the end of page tables",
    mapping: { iova: 0x3ff_ffff_f000n, length: 8192n },
    result: "EADDRINUSE",
  },
  { what: "a misaligned iova", mapping: { iova: IOVA + 1n }, result: "EADDRINUSE" },
  { what: "a misaligned length", mapping: { length: 1n }, result: "EADDRINUSE" },
])(
  "ATTACH of an IOAS that maps $what: $result (vfio.cdev.attach, vfio.iommufd.window)",
  ({ mapping, result }) => {
    const iommufd = new Iommufd({ attached: false });
    assertEquals(typeof iommufd.map(mapping), "bigint");
    assertEquals(iommufd.attach(), result);
    assertEquals(iommufd.rig.domain === undefined, result !== 0);
  },
);

Deno.test("DESTROY: ENOENT for no object, EBUSY while it is attached, 0 after, with all mappings (vfio.iommufd.destroy)", () => {
  const iommufd = new Iommufd({ attached: true });
  const { rig } = iommufd;
  iommufd.map();
  assertEquals([iommufd.destroy(0), iommufd.destroy(99), iommufd.destroy(rig.ioas)], [
    "ENOENT",
    "ENOENT",
    "EBUSY",
  ]);
  const second = rig.newIoas();
  assertEquals([iommufd.destroy(second), iommufd.destroy(second)], [0, "ENOENT"]);
  rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0));
  assertEquals([iommufd.destroy(rig.ioas), iommufd.map(), iommufd.attach()], [0, "ENOENT", "ENOENT"]);
});

Deno.test("objects of one iommufd are not those of another (vfio.iommufd.ids)", () => {
  const { rig } = new Iommufd({ attached: true });
  const other = rig.process.open("/dev/iommu");
  assertEquals(rig.ioctl(other, IOCTL.DESTROY, words(8, rig.ioas)), "ENOENT");
  assertEquals(rig.ioctl(other, IOCTL.IOAS_UNMAP, words(24, rig.ioas, 0n, MAX)), "ENOENT");
});

Deno.test("as a container the iommufd knows the version and its extensions (vfio.group.compat)", () => {
  const { rig } = new Iommufd({ attached: true });
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.GET_API_VERSION), 0);
  const check = (extension: number) => rig.ioctl(rig.iommufd, IOCTL.CHECK_EXTENSION, extension);
  assertEquals([1, 3, 9, 10, 0, 2].map(check), [1, 1, 1, 0, 0, 0]);
});

Deno.test("object ids are the lowest that are free, from 1 on, in each iommufd (main.c: iommufd_fops_open)", () => {
  const rig = new Rig();
  const { process } = rig;
  rig.iommufd = process.open("/dev/iommu");
  const device = process.open("/dev/vfio/devices/vfio0");
  const bind = words(24, 0, rig.iommufd, 0, 0n);
  process.ioctl(device, IOCTL.BIND_IOMMUFD, bind);
  const [first, second] = [rig.newIoas(), rig.newIoas()];
  assertEquals([u32(bind, 12), first, second], [1, 2, 3]);
  const attach = words(16, 0, second, 0);
  process.ioctl(device, IOCTL.ATTACH_PT, attach);
  assertEquals(u32(attach, 8), 4, "the page table");
  process.ioctl(rig.iommufd, IOCTL.DESTROY, words(8, first));
  assertEquals([rig.newIoas(), rig.newIoas()], [2, 5]);
  rig.iommufd = process.open("/dev/iommu");
  assertEquals(rig.newIoas(), 1);
});
