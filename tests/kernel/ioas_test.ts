/**
 * vfio.iommufd.option and vfio.iommufd.place: ALLOW_IOVAS, IOAS_COPY, OPTION and IOAS_MAP_FILE of an iommufd, and where
 * the kernel places a mapping. What these do not tell follows drivers/iommu/iommufd/ioas.c and io_pagetable.c.
 */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, PAGE, Rig, START_DMA, u32, u64, words } from "../support/kernel.ts";

const FIXED = 1;
const WRITEABLE = 2;
const READABLE = 4;
const RW = WRITEABLE | READABLE;
const IOVA = BigInt(START_DMA);
const P = BigInt(PAGE);
const MAX = 2n ** 64n - 1n;
const RLIMIT_MODE = 0;
const HUGE_PAGES = 1;
const SET = 0;
const GET = 1;

/** An iommufd with an IOAS, a bound device, and 4 pages of memory of the process. */
class Iommufd {
  readonly rig: Rig;
  readonly va: bigint;

  constructor({ attached = false }: { attached?: boolean } = {}) {
    this.rig = new Rig();
    this.rig.openCdev();
    if (!attached) this.detach();
    this.va = BigInt(this.rig.process.mmapAnonymous(4 * PAGE));
  }

  ioctl(request: number, arg: Uint8Array, effect = false): Outcome {
    return this.rig.ioctl(this.rig.iommufd, request, arg, { effect });
  }

  detach(): Outcome {
    return this.rig.ioctl(this.rig.device, IOCTL.DETACH_PT, words(8, 0));
  }

  attach(id = this.rig.ioas): Outcome {
    return this.rig.ioctl(this.rig.device, IOCTL.ATTACH_PT, words(12, 0, id));
  }

  /** Where the mapping is, or the errno. */
  map(
    { id = this.rig.ioas, va = this.va, length = P, iova, flags = RW }: {
      id?: number;
      va?: bigint;
      length?: bigint;
      iova?: bigint;
      flags?: number;
    } = {},
  ): bigint | Outcome {
    const fixed = iova === undefined ? 0 : FIXED;
    const arg = words(40, flags | fixed, id, 0, va, length, iova ?? 0n);
    const result = this.ioctl(IOCTL.IOAS_MAP, arg);
    return result === 0 ? u64(arg, 32) : result;
  }

  /** Where the copy is, or the errno. */
  copy(
    { dst = this.rig.ioas, src = this.rig.ioas, length = P, to, from = IOVA, flags = RW }: {
      dst?: number;
      src?: number;
      length?: bigint;
      to?: bigint;
      from?: bigint;
      flags?: number;
    },
  ): bigint | Outcome {
    const fixed = to === undefined ? 0 : FIXED;
    const arg = words(40, flags | fixed, dst, src, length, to ?? 0n, from);
    const result = this.ioctl(IOCTL.IOAS_COPY, arg);
    if (result !== 0) return result;
    assertEquals([u64(arg, 16), u64(arg, 32)], [length, from], "only the target is written back");
    return u64(arg, 24);
  }

  unmap(iova: bigint, length: bigint, id = this.rig.ioas, effect = false): bigint | Outcome {
    const arg = words(24, id, iova, length);
    const result = this.ioctl(IOCTL.IOAS_UNMAP, arg, effect);
    return result === 0 ? u64(arg, 16) : result;
  }

  /** ALLOW_IOVAS with ranges that are written into memory of the process. */
  allow(...ranges: readonly (readonly [first: bigint, last: bigint])[]): Outcome {
    const memory = this.rig.process.mmapAnonymous(PAGE);
    this.rig.process.memory(memory, ranges.length * 16, true).set(words(...ranges.flat()));
    return this.ioctl(
      IOCTL.IOAS_ALLOW_IOVAS,
      words(24, this.rig.ioas, ranges.length, 0, BigInt(memory)),
    );
  }

  /** Value that OPTION gave back, or the errno. */
  option(id: number, op: number, object: number, value = 0n): bigint | Outcome {
    const arg = words(24, id, op, object, value);
    const result = this.ioctl(IOCTL.OPTION, arg);
    return result === 0 ? u64(arg, 16) : result;
  }

  mapFile(
    fields: { fd?: number; flags?: number; id?: number; start?: bigint; length?: bigint; iova?: bigint },
  ) {
    const { fd = this.rig.device, flags = RW | FIXED, id = this.rig.ioas, start = 0n, length = P } = fields;
    return this.ioctl(IOCTL.IOAS_MAP_FILE, words(40, flags, id, fd, start, length, fields.iova ?? IOVA));
  }

  /** Page of the process's memory that a byte written by the device at an address ends up in. */
  reaches(iova: bigint): number {
    this.rig.setConfig(4, 2, 4);
    const memory = this.rig.process.memory(Number(this.va), 4 * PAGE, true);
    memory.fill(0);
    assertEquals(this.rig.target.fn.dma.write(Number(iova), Uint8Array.of(0x5a)), 0);
    return memory.indexOf(0x5a) / PAGE;
  }
}

Deno.test("without FIXED_IOVA a mapping is as aligned as its memory, up to its length and 1 MiB (iopt_alloc_iova)", () => {
  const iommufd = new Iommufd();
  const chosen = (va: bigint, length: bigint) => {
    const at = iommufd.map({ va, length }) as bigint;
    iommufd.unmap(at, length);
    return at;
  };
  assertEquals(iommufd.va % (2n * P), 0n, "the memory begins at an even page");
  assertEquals(chosen(iommufd.va, P), P, "never 0");
  assertEquals(chosen(iommufd.va, 2n * P), 2n * P);
  assertEquals(chosen(iommufd.va + P, 2n * P), P);
  assertEquals(chosen(iommufd.va + 5n, 3n), P + 5n, "its offset in the page stays");
  const large = BigInt(iommufd.rig.process.mmapAnonymous(4 * 2 ** 20));
  const aligned = large + 0x10_0000n - large % 0x10_0000n;
  assertEquals(chosen(aligned, 0x20_0000n), 0x10_0000n);
});

Deno.test("without FIXED_IOVA the lowest hole that is large enough is taken (iopt_alloc_iova)", () => {
  const iommufd = new Iommufd({ attached: true });
  assertEquals([iommufd.map({ iova: IOVA + P }), iommufd.map({ iova: IOVA + 4n * P })], [
    IOVA + P,
    IOVA + 4n * P,
  ]);
  assertEquals([iommufd.map({ length: 2n * P }), iommufd.map(), iommufd.map()], [
    IOVA + 2n * P,
    IOVA,
    IOVA + 5n * P,
  ]);
  assertEquals(iommufd.map({ va: iommufd.va + 1n }), "EINVAL", "less aligned than the address space");
  assertEquals(iommufd.map({ length: 2n ** 63n }), "EOVERFLOW");
});

Deno.test("ALLOW_IOVAS: mappings that the kernel places go there, FIXED_IOVA ones where they want (ioas.c)", () => {
  const iommufd = new Iommufd();
  assertEquals(iommufd.allow([8n * P, 9n * P - 1n], [0x20_0000n, 0x20_2000n - 1n]), 0);
  assertEquals([iommufd.map(), iommufd.map(), iommufd.map()], [8n * P, 0x20_0000n, 0x20_1000n]);
  assertEquals(iommufd.map(), "ENOSPC");
  assertEquals(iommufd.map({ iova: 0n }), 0n);
  assertEquals([iommufd.allow(), iommufd.map()], [0, P], "no ranges: anywhere again");
  assertEquals(
    [iommufd.allow([MAX - P + 1n, MAX]), iommufd.map()],
    [0, "ENOSPC"],
    "never the last page of all",
  );
});

Deno.test.each<{ what: string; ranges: [bigint, bigint][]; attached: boolean; result: Outcome }>([
  { what: "one byte", ranges: [[P, P]], attached: false, result: "EINVAL" },
  { what: "a range that ends before it begins", ranges: [[P, 0n]], attached: false, result: "EINVAL" },
  { what: "ranges that overlap", ranges: [[0n, P], [P, 2n * P]], attached: false, result: "EINVAL" },
  { what: "ranges that touch", ranges: [[0n, P - 1n], [P, 2n * P]], attached: false, result: 0 },
  { what: "everything", ranges: [[0n, MAX]], attached: false, result: 0 },
  { what: "what is reserved", ranges: [[0n, P]], attached: true, result: "EADDRINUSE" },
  { what: "a byte that is reserved", ranges: [[IOVA - 1n, IOVA]], attached: true, result: "EADDRINUSE" },
  { what: "all that is not", ranges: [[IOVA, 0x3ff_ffff_ffffn]], attached: true, result: 0 },
  { what: "a byte more", ranges: [[IOVA, 0x400_0000_0000n]], attached: true, result: "EADDRINUSE" },
])(
  "ALLOW_IOVAS of $what, attached $attached: $result (ioas.c, io_pagetable.c, vfio.iommufd.allow)",
  (row) => {
    assertEquals(new Iommufd(row).allow(...row.ranges), row.result);
  },
);

Deno.test("ALLOW_IOVAS: reserved, then the id, then the ranges; a refused call leaves the old ones (ioas.c)", () => {
  const iommufd = new Iommufd();
  const call = (id: number, reserved: number) =>
    iommufd.ioctl(IOCTL.IOAS_ALLOW_IOVAS, words(24, id, 1, reserved, 0n));
  assertEquals([call(99, 1), call(99, 0), call(iommufd.rig.ioas, 0)], ["EOPNOTSUPP", "ENOENT", "EFAULT"]);
  assertEquals(iommufd.allow([8n * P, 9n * P]), 0);
  assertEquals([iommufd.allow([0n, P], [0n, P]), iommufd.map()], ["EINVAL", 8n * P]);
});

Deno.test("ATTACH of an IOAS whose allowed ranges are out of reach: EADDRINUSE (vfio.cdev.attach, iopt_reserve_iova)", () => {
  const iommufd = new Iommufd();
  assertEquals([iommufd.allow([P, 2n * P]), iommufd.attach()], [0, "EADDRINUSE"]);
  assertEquals([iommufd.allow([IOVA, IOVA + P]), iommufd.attach(), iommufd.map()], [0, 0, IOVA]);
});

Deno.test("IOAS_COPY maps the same memory again, in the same IOAS or another (ioas.c, vfio.iommufd.copy)", () => {
  const iommufd = new Iommufd({ attached: true });
  const other = iommufd.rig.newIoas();
  assertEquals(iommufd.map({ iova: IOVA, length: 4n * P }), IOVA);
  assertEquals(iommufd.copy({ to: IOVA + 16n * P, from: IOVA + P, length: 2n * P }), IOVA + 16n * P);
  assertEquals([iommufd.reaches(IOVA + 16n * P), iommufd.reaches(IOVA + 17n * P)], [1, 2]);
  assertEquals(iommufd.copy({ dst: other, from: IOVA + 17n * P, to: IOVA }), IOVA);
  assertEquals(iommufd.unmap(0n, MAX), 6n * P);
  assertEquals(iommufd.attach(other), 0);
  assertEquals(iommufd.reaches(IOVA), 2, "the copy outlives what it was copied from");
});

Deno.test("IOAS_COPY of several mappings side by side; a hole, or a byte behind the end: ENOENT (iopt_get_pages)", () => {
  const iommufd = new Iommufd();
  const other = iommufd.rig.newIoas();
  for (const page of [0n, 1n, 3n]) iommufd.map({ iova: page * P, va: iommufd.va + page * P });
  const copy = (from: bigint, length: bigint) => iommufd.copy({ dst: other, from, length, to: from });
  assertEquals([copy(0n, 3n * P), copy(0n, 2n * P + 1n), copy(2n * P, P)], ["ENOENT", "ENOENT", "ENOENT"]);
  assertEquals([copy(0n, 2n * P), iommufd.unmap(0n, P, other)], [0n, P], "two mappings, as in the source");
  assertEquals([copy(3n * P + 5n, 7n), iommufd.unmap(3n * P + 5n, 7n, other)], [3n * P + 5n, 7n]);
});

Deno.test.each<{ what: string; fields: Parameters<Iommufd["copy"]>[0]; result: Outcome | bigint }>([
  { what: "an unknown flag", fields: { flags: 8, src: 99, length: MAX }, result: "EOPNOTSUPP" },
  { what: "length 2^64-1", fields: { length: MAX, flags: 0 }, result: "EOVERFLOW" },
  { what: "source 2^64-1", fields: { from: MAX, flags: 0 }, result: "EOVERFLOW" },
  { what: "target 2^64-1", fields: { to: MAX, flags: 0 }, result: "EOVERFLOW" },
  { what: "neither READABLE nor WRITEABLE", fields: { flags: 0, src: 99 }, result: "EINVAL" },
  { what: "a bad source", fields: { src: 99, length: 0n }, result: "ENOENT" },
  { what: "length 0", fields: { length: 0n, dst: 99 }, result: "EINVAL" },
  { what: "a source that wraps", fields: { from: MAX - 1n, length: 4n, dst: 99 }, result: "EOVERFLOW" },
  { what: "a source that is not mapped", fields: { from: 0n, dst: 99 }, result: "ENOENT" },
  { what: "a bad target", fields: { dst: 99 }, result: "ENOENT" },
  { what: "a misaligned target", fields: { to: IOVA + 1n }, result: "EINVAL" },
  { what: "a target that wraps", fields: { to: MAX - 4095n, length: 2n * P }, result: "EOVERFLOW" },
  { what: "a reserved target", fields: { to: 0n }, result: "EINVAL" },
  { what: "a target that is mapped", fields: { to: IOVA }, result: "EEXIST" },
  { what: "part of a page", fields: { to: IOVA + 8n * P, length: 1n }, result: "EINVAL" },
  { what: "a place that the kernel chooses", fields: { length: 2n * P }, result: IOVA + 2n * P },
])("IOAS_COPY with $what: $result (ioas.c)", ({ fields, result }) => {
  const iommufd = new Iommufd({ attached: true });
  assertEquals(iommufd.map({ iova: IOVA, length: 2n * P }), IOVA);
  assertEquals(iommufd.copy(fields), result);
});

Deno.test("IOAS_COPY cannot make pages writeable that were not, but read-only and back (iopt_insert_area)", () => {
  const iommufd = new Iommufd();
  iommufd.map({ iova: 0n, flags: READABLE });
  assertEquals(iommufd.copy({ from: 0n, to: P, flags: RW }), "EPERM");
  assertEquals(iommufd.copy({ from: 0n, to: P, flags: READABLE }), P);
  iommufd.map({ iova: 2n * P });
  assertEquals(iommufd.copy({ from: 2n * P, to: 3n * P, flags: READABLE }), 3n * P);
  assertEquals(iommufd.copy({ from: 3n * P, to: 4n * P, flags: RW }), 4n * P);
  const copied = iommufd.rig.host.fork().functions[0]!.guest.kernel.process;
  const arg = words(40, RW | FIXED, iommufd.rig.ioas, iommufd.rig.ioas, P, 5n * P, 3n * P);
  assertEquals(copied.ioctl(iommufd.rig.iommufd, IOCTL.IOAS_COPY, arg), 0, "a saved host knows it too");
});

Deno.test("a mapping that goes takes what was known of its pages along (iopt_insert_area)", () => {
  const iommufd = new Iommufd();
  iommufd.map({ iova: 0n });
  assertEquals(iommufd.copy({ from: 0n, to: P, flags: READABLE }), P);
  assertEquals([iommufd.unmap(P, P), iommufd.map({ iova: P, flags: READABLE })], [P, P]);
  assertEquals(iommufd.copy({ from: P, to: 2n * P, flags: RW }), "EPERM");
});

Deno.test("IOAS_COPY that the machine refuses in the middle maps nothing (iopt_fill_domains_pages)", () => {
  const iommufd = new Iommufd({ attached: true });
  for (const page of [0n, 1n, 2n]) iommufd.map({ iova: IOVA + page * P, va: iommufd.va + page * P });
  iommufd.rig.inject({ kind: "invalid-handle" }, { op: "RPCIT" }, 3);
  const copy = () => iommufd.copy({ length: 3n * P, to: IOVA + 8n * P });
  assertEquals([copy(), iommufd.unmap(IOVA + 8n * P, 3n * P)], ["EIO", "ENOENT"]);
  assertEquals(copy(), IOVA + 8n * P);
});

Deno.test("IOAS_UNMAP takes what comes before a mapping that it cuts (iopt_unmap_iova_range)", () => {
  const iommufd = new Iommufd();
  for (const iova of [0n, 8n * P]) iommufd.map({ iova, length: 2n * P });
  assertEquals(iommufd.unmap(0n, 9n * P, iommufd.rig.ioas, true), "ENOENT");
  assertEquals([iommufd.unmap(0n, P), iommufd.unmap(0n, MAX)], ["ENOENT", 2n * P], "the first has gone");
});

Deno.test("IOAS_UNMAP: 2^64-1 is no address and no length, but for all of it (ioas.c)", () => {
  const iommufd = new Iommufd();
  const calls = [iommufd.unmap(MAX, 1n), iommufd.unmap(1n, MAX), iommufd.unmap(MAX - 1n, 3n)];
  assertEquals(calls, ["EOVERFLOW", "EOVERFLOW", "EOVERFLOW"]);
  assertEquals([iommufd.unmap(0n, MAX), iommufd.unmap(1n, MAX - 1n)], [0n, "ENOENT"]);
});

Deno.test("OPTION: reserved, the option, then the option's own checks (main.c)", () => {
  const iommufd = new Iommufd();
  const { ioas } = iommufd.rig;
  assertEquals(iommufd.option(RLIMIT_MODE, GET | 1 << 16, 0), "EOPNOTSUPP", "reserved");
  assertEquals(iommufd.option(2, GET, ioas), "EOPNOTSUPP");
  assertEquals(iommufd.option(RLIMIT_MODE, GET, ioas), "EOPNOTSUPP", "it belongs to no object");
  assertEquals(iommufd.option(RLIMIT_MODE, 2, 0), "EOPNOTSUPP");
  assertEquals(iommufd.option(HUGE_PAGES, GET, 99), "ENOENT");
  assertEquals(iommufd.option(HUGE_PAGES, 2, ioas), "EOPNOTSUPP");
  assertEquals(iommufd.option(HUGE_PAGES, SET, ioas, 2n), "EINVAL");
});

Deno.test("OPTION RLIMIT_MODE: 0 at first, changed only while the iommufd has no object (ioas.c)", () => {
  const { rig } = new Iommufd();
  const used = new Iommufd();
  assertEquals(used.option(RLIMIT_MODE, GET, 0, 7n), 0n);
  assertEquals(used.option(RLIMIT_MODE, SET, 0, 1n), "EBUSY");
  assertEquals(used.option(RLIMIT_MODE, SET, 0, 2n), "EBUSY");
  assertEquals(used.ioctl(IOCTL.DESTROY, words(8, used.rig.ioas)), 0);
  assertEquals(used.option(RLIMIT_MODE, SET, 0, 1n), "EBUSY", "the device is an object");
  used.rig.process.close(used.rig.device);
  assertEquals(used.option(RLIMIT_MODE, SET, 0, 1n), 1n);
  const fd = rig.process.open("/dev/iommu");
  const option = (op: number, value: bigint) => {
    const arg = words(24, RLIMIT_MODE, op, 0, value);
    const result = rig.ioctl(fd, IOCTL.OPTION, arg);
    return result === 0 ? u64(arg, 16) : result;
  };
  assertEquals([option(SET, 2n), option(SET, 1n), option(GET, 0n)], ["EINVAL", 1n, 1n]);
  const copied = rig.host.fork().functions[0]!.guest.kernel.process;
  const get = words(24, RLIMIT_MODE, GET, 0, 0n);
  assertEquals([copied.ioctl(fd, IOCTL.OPTION, get), u64(get, 16)], [0, 1n]);
  assertEquals([option(SET, 0n), option(GET, 9n)], [0n, 0n]);
});

Deno.test("OPTION HUGE_PAGES: 1 at first; 0 makes addresses whole pages, and comes before mappings (ioas.c)", () => {
  const iommufd = new Iommufd();
  const { ioas } = iommufd.rig;
  const set = (value: bigint) => iommufd.option(HUGE_PAGES, SET, ioas, value);
  const get = () => iommufd.option(HUGE_PAGES, GET, ioas);
  assertEquals([get(), set(0n), get(), iommufd.map({ iova: 1n })], [1n, 0n, 0n, "EINVAL"]);
  assertEquals([set(1n), iommufd.map({ iova: 1n }), set(0n), get()], [1n, 1n, "EADDRINUSE", 1n]);
  assertEquals([iommufd.unmap(1n, P), iommufd.map({ iova: IOVA }), set(0n), set(1n)], [P, IOVA, 0n, 1n]);
  assertEquals([iommufd.attach(), set(0n), get()], [0, "EINVAL", 1n]);
  assertEquals([iommufd.unmap(IOVA, P), set(0n), iommufd.map({ iova: IOVA }), set(0n)], [P, 0n, IOVA, 0n]);
});

Deno.test.each<{ what: string; fields: Parameters<Iommufd["mapFile"]>[0]; result: string }>([
  { what: "an unknown flag", fields: { flags: 8, length: MAX }, result: "EOPNOTSUPP" },
  { what: "iova 2^64-1", fields: { iova: MAX, flags: 0 }, result: "EOVERFLOW" },
  { what: "length 2^64-1", fields: { length: MAX, flags: 0 }, result: "EOVERFLOW" },
  { what: "neither READABLE nor WRITEABLE", fields: { flags: FIXED, id: 99 }, result: "EINVAL" },
  { what: "a bad id", fields: { id: 99, length: 0n, fd: 99 }, result: "ENOENT" },
  { what: "length 0", fields: { length: 0n, fd: 99 }, result: "EINVAL" },
  { what: "a start that wraps", fields: { start: MAX, length: 2n, fd: 99 }, result: "EOVERFLOW" },
  { what: "a start that just does not wrap", fields: { start: MAX - 4095n, fd: 99 }, result: "EBADF" },
  { what: "no such descriptor", fields: { fd: 99, iova: 0n }, result: "EBADF" },
  { what: "a negative descriptor", fields: { fd: -1 }, result: "EBADF" },
  { what: "an address that is mapped", fields: { iova: IOVA + P }, result: "EEXIST" },
  { what: "a device descriptor", fields: {}, result: "EINVAL" },
  { what: "a place that the kernel chooses", fields: { flags: RW }, result: "EINVAL" },
])("IOAS_MAP_FILE with $what: $result (ioas.c, io_pagetable.c)", ({ fields, result }) => {
  for (const attached of [false, true]) {
    const iommufd = new Iommufd({ attached });
    iommufd.map({ iova: IOVA + P });
    assertEquals(iommufd.mapFile(fields), result);
  }
});

Deno.test("IOAS_MAP_FILE takes no kind of descriptor that a guest has: EINVAL (memfd_pin_folios, vfio.iommufd.file)", () => {
  const iommufd = new Iommufd({ attached: true });
  const { process, device } = iommufd.rig;
  const fds = [
    device,
    iommufd.rig.iommufd,
    process.eventfd(),
    process.open("/dev/vfio/vfio"),
    process.open("/dev/iommu"),
  ];
  assertEquals(fds.map((fd) => iommufd.mapFile({ fd })), fds.map(() => "EINVAL"));
});

Deno.test("the object of a bound device: DESTROY is EBUSY, ATTACH to it EINVAL, and it is no IOAS (vfio.cdev.attach, vfio.iommufd.destroy)", () => {
  const iommufd = new Iommufd();
  const { devid } = iommufd.rig;
  const destroy = (id: number) => iommufd.ioctl(IOCTL.DESTROY, words(8, id));
  assertEquals([destroy(devid), iommufd.attach(devid), iommufd.unmap(0n, P, devid)], [
    "EBUSY",
    "EINVAL",
    "ENOENT",
  ]);
  const arg = words(12, devid, 1);
  assertEquals([iommufd.ioctl(IOCTL.VFIO_IOAS, arg), u32(arg, 4)], ["ENOENT", devid]);
  const copied = iommufd.rig.host.fork().functions[0]!.guest.kernel;
  assertEquals([...copied.iommufds.values()][0]!.devices, new Set([devid]));
  iommufd.rig.process.close(iommufd.rig.device);
  assertEquals(destroy(devid), "ENOENT");
});

Deno.test("a saved host brings allowed ranges and options of an IOAS back", () => {
  const iommufd = new Iommufd();
  assertEquals(iommufd.allow([MAX - 15n * P, MAX - 8n * P], [8n * P, 9n * P - 1n]), 0);
  assertEquals(iommufd.option(HUGE_PAGES, SET, iommufd.rig.ioas, 0n), 0n);
  const fork = iommufd.rig.host.fork();
  const { process } = fork.functions[0]!.guest.kernel;
  const arg = words(40, RW, iommufd.rig.ioas, 0, iommufd.va, P, 0n);
  assertEquals([process.ioctl(iommufd.rig.iommufd, IOCTL.IOAS_MAP, arg), u64(arg, 32)], [0, 8n * P]);
  const option = words(24, HUGE_PAGES, GET, iommufd.rig.ioas, 9n);
  assertEquals([process.ioctl(iommufd.rig.iommufd, IOCTL.OPTION, option), u64(option, 16)], [0, 0n]);
});
