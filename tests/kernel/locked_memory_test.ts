/**
 * vfio.dma.memlock: RLIMIT_MEMLOCK of a process without CAP_IPC_LOCK. type1 counts every page of every mapping; an
 * iommufd counts for the user, pages that mappings share once, and only while there is a page table.
 */
import { assertEquals } from "@std/assert";
import { Compat } from "../support/compat.ts";
import { IOCTL, type Outcome, PAGE, Rig, START_DMA, type Way, words } from "../support/kernel.ts";

const IOVA = BigInt(START_DMA);
const P = BigInt(PAGE);
const MAX = 2n ** 64n - 1n;

/** A process that may lock so many bytes, with 8 pages of memory. */
class Bench {
  readonly rig: Rig;
  readonly vaddr: bigint;

  constructor(way: Way, memlockLimit: number | "unlimited") {
    this.rig = Rig.opened(way, { kernel: { memlockLimit } });
    this.vaddr = BigInt(this.rig.process.mmapAnonymous(8 * PAGE));
  }

  /** Maps pages of the memory, from `from` on, at page `at`. */
  map(at: bigint, pages: bigint, from = 0n): Outcome {
    const { rig } = this;
    const vaddr = this.vaddr + from * P;
    return rig.iommufd < 0
      ? rig.ioctl(rig.container, IOCTL.MAP_DMA, words(32, 3, vaddr, IOVA + at * P, pages * P))
      : rig.ioctl(rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, rig.ioas, 0, vaddr, pages * P, IOVA + at * P));
  }

  unmap(at: bigint, pages: bigint): Outcome {
    const { rig } = this;
    return rig.iommufd < 0
      ? rig.ioctl(rig.container, IOCTL.UNMAP_DMA, words(24, 0, IOVA + at * P, pages * P))
      : rig.ioctl(rig.iommufd, IOCTL.IOAS_UNMAP, words(24, rig.ioas, IOVA + at * P, pages * P));
  }

  copy(from: bigint, to: bigint, pages: bigint): Outcome {
    const { iommufd, ioas } = this.rig;
    return this.rig.ioctl(
      iommufd,
      IOCTL.IOAS_COPY,
      words(40, 7, ioas, ioas, pages * P, IOVA + to * P, IOVA + from * P),
    );
  }

  attach(): Outcome {
    return this.rig.ioctl(this.rig.device, IOCTL.ATTACH_PT, words(12, 0, this.rig.ioas));
  }

  detach(): Outcome {
    return this.rig.ioctl(this.rig.device, IOCTL.DETACH_PT, words(8, 0));
  }
}

const LIMITS = [
  { limit: 0, pages: 1n, result: "ENOMEM" },
  { limit: 4 * PAGE - 1, pages: 3n, result: 0 },
  { limit: 4 * PAGE - 1, pages: 4n, result: "ENOMEM" },
  { limit: 4 * PAGE, pages: 4n, result: 0 },
  { limit: 4 * PAGE, pages: 5n, result: "ENOMEM" },
  { limit: "unlimited", pages: 8n, result: 0 },
] as const;

Deno.test.each((["group", "cdev"] as const).flatMap((way) => LIMITS.map((row) => ({ way, ...row }))))(
  "$pages pages by $way with a limit of $limit bytes: $result (vfio.dma.memlock)",
  ({ way, limit, pages, result }) => {
    const bench = new Bench(way, limit);
    assertEquals(bench.map(0n, pages), result);
    assertEquals(bench.rig.target.zdev.domain!.mappings().length, result === 0 ? 1 : 0);
  },
);

Deno.test.each([{ way: "group" }, { way: "cdev" }] as const)(
  "by $way the pages of all mappings count, the same page twice too, and an unmap gives them back (vfio.dma.memlock)",
  ({ way }) => {
    const bench = new Bench(way, 4 * PAGE);
    assertEquals([bench.map(0n, 2n), bench.map(2n, 2n), bench.map(4n, 1n)], [0, 0, "ENOMEM"]);
    assertEquals([bench.unmap(0n, 2n), bench.map(4n, 3n), bench.map(4n, 2n)], [0, "ENOMEM", 0]);
  },
);

Deno.test("type1 meets the limit before a page that is not there, an iommufd looks for all pages first (vfio.dma.memlock)", () => {
  const results = (way: Way, limit: number) => new Bench(way, limit).map(0n, 9n);
  assertEquals([results("group", 7 * PAGE), results("group", 8 * PAGE)], ["ENOMEM", "EFAULT"]);
  assertEquals([results("cdev", 7 * PAGE), results("cdev", 8 * PAGE)], ["EFAULT", "EFAULT"]);
});

Deno.test("IOAS_COPY shares its pages: they count once, as long as one mapping shows them (vfio.dma.memlock)", () => {
  const bench = new Bench("cdev", 4 * PAGE);
  assertEquals([bench.map(0n, 4n), bench.copy(0n, 8n, 4n), bench.copy(1n, 16n, 2n)], [0, 0, 0]);
  assertEquals([bench.unmap(0n, 4n), bench.map(0n, 1n, 4n)], [0, "ENOMEM"], "the copies still hold them");
  const fork = bench.rig.host.fork().functions[0]!.guest.kernel.process;
  const unmap = words(24, bench.rig.ioas, IOVA + 8n * P, 4n * P);
  assertEquals(fork.ioctl(bench.rig.iommufd, IOCTL.IOAS_UNMAP, unmap), 0);
  const map = (pages: bigint) => words(40, 7, bench.rig.ioas, 0, bench.vaddr, pages * P, IOVA);
  assertEquals(
    fork.ioctl(bench.rig.iommufd, IOCTL.IOAS_MAP, map(2n)),
    0,
    "a saved host knows: two pages are left",
  );
  assertEquals([bench.unmap(8n, 4n), bench.map(0n, 3n, 4n), bench.map(0n, 2n, 4n)], [0, "ENOMEM", 0]);
});

Deno.test("without a page table nothing counts; ATTACH and HWPT_ALLOC take the pages, and a DETACH gives them back (vfio.dma.memlock)", () => {
  const bench = new Bench("cdev", 4 * PAGE);
  const { rig } = bench;
  const alloc = () =>
    rig.ioctl(rig.iommufd, IOCTL.HWPT_ALLOC, words(48, 0, rig.devid, rig.ioas, 0, 0, 0, 0, 0n, 0, 0));
  assertEquals([bench.detach(), bench.map(0n, 3n), bench.map(4n, 2n, 4n)], [0, 0, 0]);
  assertEquals([bench.attach(), alloc(), rig.target.zdev.domain], ["ENOMEM", "ENOMEM", undefined]);
  assertEquals([bench.unmap(4n, 2n), bench.attach(), bench.map(4n, 1n), bench.map(5n, 1n)], [
    0,
    0,
    0,
    "ENOMEM",
  ]);
  assertEquals([bench.detach(), bench.map(5n, 1n), bench.attach()], [0, 0, "ENOMEM"]);
});

Deno.test("type1 counts for the process, an iommufd for the user: neither sees the other's pages (vfio.dma.memlock)", () => {
  const rig = new Rig({ functions: 2, kernel: { memlockLimit: 4 * PAGE } });
  rig.openCdev();
  const { process } = rig;
  const vaddr = BigInt(process.mmapAnonymous(8 * PAGE));
  const container = process.open("/dev/vfio/vfio");
  process.ioctl(process.open("/dev/vfio/1"), IOCTL.GROUP_SET_CONTAINER, words(container));
  process.ioctl(container, IOCTL.SET_IOMMU, 3);
  const type1 = (at: bigint) =>
    rig.ioctl(container, IOCTL.MAP_DMA, words(32, 3, vaddr, IOVA + at * P, 4n * P));
  const ioas = (at: bigint) =>
    rig.ioctl(rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, rig.ioas, 0, vaddr, 4n * P, IOVA + at * P));
  assertEquals([type1(0n), ioas(0n), type1(8n), ioas(8n)], [0, 0, "ENOMEM", "ENOMEM"]);
});

Deno.test("the compatibility layer counts as the iommufd does (vfio.dma.memlock)", () => {
  const compat = new Compat({ open: true }, { kernel: { memlockLimit: 2 * PAGE } });
  assertEquals([compat.map({ size: 3n * P }), compat.map({ size: 2n * P })], ["ENOMEM", 0]);
});

Deno.test("OPTION RLIMIT_MODE is a matter of privileged processes: EPERM without the capability (vfio.dma.memlock)", () => {
  const option = (memlockLimit: number | "unlimited", op: number, value: bigint) => {
    const rig = new Rig({ kernel: { memlockLimit } });
    rig.iommufd = rig.process.open("/dev/iommu");
    return rig.ioctl(rig.iommufd, IOCTL.OPTION, words(24, 0, op, 0, value));
  };
  assertEquals([option("unlimited", 0, 1n), option(PAGE, 0, 1n), option(PAGE, 0, 0n)], [0, "EPERM", "EPERM"]);
  assertEquals([option("unlimited", 1, 0n), option(PAGE, 1, 0n)], [0, 0], "anybody may look");
  assertEquals([option(PAGE, 2, 0n), option("unlimited", 0, MAX)], ["EOPNOTSUPP", "EINVAL"]);
});
