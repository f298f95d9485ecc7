/**
 * VFIO sheet 1.4 and the end of 9.3: an iommufd in the place of a container. What the sheet does not tell follows
 * drivers/iommu/iommufd/vfio_compat.c and drivers/vfio/group.c.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import {
  cString,
  IOCTL,
  type Outcome,
  outcome,
  PAGE,
  region,
  Rig,
  START_DMA,
  u32,
  u64,
  words,
} from "../support/kernel.ts";

const READ = 1;
const WRITE = 2;
const VADDR = 4;
const GET_DIRTY = 1;
const ALL = 2;
const IOVA = BigInt(START_DMA);
const TOP = 2n ** 64n;
/** 4 pages. */
const MEMORY = 4 * PAGE;
/** Operations of IOMMU_VFIO_IOAS. */
const GET = 0;
const SET = 1;
const CLEAR = 2;

interface Mapping {
  readonly argsz?: number;
  readonly flags?: number;
  readonly vaddr?: bigint;
  readonly iova?: bigint;
  readonly size?: bigint;
}

/** An iommufd and a group, and 4 pages of memory of the process. */
class Compat {
  readonly rig: Rig;
  readonly vaddr: bigint;

  constructor(
    { joined = true, open = false, type }: { joined?: boolean; open?: boolean; type?: number } = {},
  ) {
    this.rig = new Rig();
    const { process } = this.rig;
    this.rig.iommufd = process.open("/dev/iommu");
    this.rig.group = process.open("/dev/vfio/0");
    this.vaddr = BigInt(process.mmapAnonymous(MEMORY));
    if (joined) assertEquals(this.join(), 0);
    if (type !== undefined) assertEquals(this.setIommu(type), 0);
    if (open) this.rig.device = this.rig.deviceFd();
  }

  ioctl(request: number, arg: Uint8Array | number = 0, effect = false): Outcome {
    return this.rig.ioctl(this.rig.iommufd, request, arg, { effect });
  }

  join(): Outcome {
    return this.rig.ioctl(this.rig.group, IOCTL.GROUP_SET_CONTAINER, words(this.rig.iommufd));
  }

  unset(): Outcome {
    return this.rig.ioctl(this.rig.group, IOCTL.GROUP_UNSET_CONTAINER);
  }

  setIommu(type: number): Outcome {
    return this.ioctl(IOCTL.SET_IOMMU, type);
  }

  deviceFd(effect = false): Outcome {
    const { group, name } = this.rig;
    return this.rig.ioctl(group, IOCTL.GROUP_GET_DEVICE_FD, cString(name), { effect });
  }

  map(
    { argsz = 32, flags = READ | WRITE, vaddr = this.vaddr, iova = IOVA, size = 4096n }: Mapping = {},
  ): Outcome {
    return this.ioctl(IOCTL.MAP_DMA, words(argsz, flags, vaddr, iova, size));
  }

  /** The size that the kernel wrote back, and the result. */
  unmap(iova: bigint, size: bigint, flags = 0, argsz = 24): [Outcome, bigint] {
    const arg = words(argsz, flags, iova, size);
    const result = this.ioctl(IOCTL.UNMAP_DMA, arg, true);
    return [result, u64(arg, 16)];
  }

  /** IOVA and size of what is mapped, in pages from the start of the range. */
  get mapped(): string {
    const mappings = this.ioas(this.compatId as number)!.domain.mappings();
    return mappings.map(({ iova, size }) => `${(iova - START_DMA) / PAGE}+${size / PAGE}`).join(" ");
  }

  ioas(id: number) {
    const { kernel } = this.rig.target.guest;
    return [...kernel.iommufds.values()][0]!.ioases.get(id);
  }

  /** Id of the compatibility IOAS, or the errno. */
  get compatId(): Outcome {
    const arg = words(12, 0, GET);
    const result = this.ioctl(IOCTL.VFIO_IOAS, arg);
    return result === 0 ? u32(arg, 4) : result;
  }

  choose(id: number): Outcome {
    return this.ioctl(IOCTL.VFIO_IOAS, words(12, id, SET));
  }

  clear(): Outcome {
    return this.ioctl(IOCTL.VFIO_IOAS, words(12, 0, CLEAR));
  }

  get status(): number {
    const arg = words(8, 0xffff_ffff);
    assertEquals(this.rig.ioctl(this.rig.group, IOCTL.GROUP_GET_STATUS, arg), 0);
    return u32(arg, 4);
  }
}

Deno.test("the order of 1.4 works with an iommufd, step by step", () => {
  const compat = new Compat({ joined: false });
  const { rig } = compat;
  assertEquals([compat.ioctl(IOCTL.GET_API_VERSION), compat.status], [0, 1]);
  assertEquals([compat.join(), compat.status], [0, 3]);
  assertEquals([compat.ioctl(IOCTL.CHECK_EXTENSION, 3), compat.setIommu(3), compat.map()], [1, 0, 0]);
  rig.device = compat.deviceFd() as number;
  assertEquals(rig.target.zdev.domain?.mappings().length, 1, "attached, with what was mapped before");
  assertEquals([rig.pread(region(2), 8), rig.ioctl(rig.device, IOCTL.RESET)], [8, 0]);
  rig.setConfig(4, 2, 4);
  assertEquals(rig.target.fn.dma.write(START_DMA, Uint8Array.of(0x5a)), 0);
  assertEquals(rig.process.memory(Number(compat.vaddr), 1, false)[0], 0x5a);
  rig.process.close(rig.device);
  assertEquals([rig.target.zdev.domain, compat.unset(), compat.status], [undefined, 0, 1]);
  assertEquals(compat.mapped, "0+1", "the IOAS outlives group and device");
});

Deno.test("SET_CONTAINER makes the compatibility IOAS; before there is none: ENODEV (vfio_compat.c)", () => {
  const compat = new Compat({ joined: false });
  const calls = () => [
    compat.setIommu(3),
    compat.map(),
    compat.unmap(0n, 0n, ALL)[0],
    compat.ioctl(IOCTL.IOMMU_GET_INFO, words(16, 0, 0n)),
    compat.ioctl(IOCTL.CHECK_EXTENSION, 4),
  ];
  assertEquals(calls(), calls().map(() => "ENODEV"));
  assertEquals([compat.compatId, compat.join()], ["ENODEV", 0]);
  const id = compat.compatId;
  assertEquals(typeof id, "number");
  assertEquals([compat.unset(), compat.join(), compat.compatId], [0, 0, id], "it stays the same one");
  assertEquals(calls(), [0, 0, 0, 0, 1]);
});

Deno.test("arguments are checked before the compatibility IOAS is looked for (vfio_compat.c)", () => {
  const compat = new Compat({ joined: false });
  assertEquals(compat.setIommu(0), "EINVAL");
  assertEquals([compat.map({ argsz: 31 }), compat.map({ flags: VADDR })], ["EINVAL", "EINVAL"]);
  assertEquals(compat.ioctl(IOCTL.MAP_DMA, new Uint8Array(31)), "EFAULT");
  assertEquals(compat.unmap(0n, 0n, GET_DIRTY)[0], "EINVAL");
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, words(15, 0, 0n)), "EINVAL");
});

Deno.test.each([
  { type: 1, result: 0 },
  { type: 3, result: 0 },
  { type: 0, result: "EINVAL" },
  { type: 2, result: "EINVAL" },
  { type: 8, result: "EINVAL" },
  { type: 10, result: "EINVAL" },
])("SET_IOMMU of $type: $result, again and again (vfio_compat.c)", ({ type, result }) => {
  const compat = new Compat();
  assertEquals([compat.setIommu(type), compat.setIommu(type), compat.setIommu(3)], [result, result, 0]);
});

Deno.test.each([
  { extension: 1, answer: 1 },
  { extension: 3, answer: 1 },
  { extension: 9, answer: 1 },
  { extension: 10, answer: 0 },
  { extension: 8, answer: 0 },
  { extension: 6, answer: 0 },
  { extension: 0xffff, answer: 0 },
])("CHECK_EXTENSION of $extension on an iommufd: $answer, with a group and without (1.4)", (row) => {
  for (const joined of [false, true]) {
    assertEquals(new Compat({ joined }).ioctl(IOCTL.CHECK_EXTENSION, row.extension), row.answer);
  }
});

Deno.test("SET_IOMMU is not needed for a device: the group has its IOMMU with the iommufd (group.c)", () => {
  const compat = new Compat();
  assertEquals(typeof compat.deviceFd(), "number");
  assertNotEquals(compat.rig.target.zdev.domain, undefined);
});

Deno.test("SET_CONTAINER of a group that has an iommufd, or a container: EINVAL (1.4)", () => {
  const compat = new Compat();
  const { process, group } = compat.rig;
  const container = process.open("/dev/vfio/vfio");
  const set = (fd: number) => compat.rig.ioctl(group, IOCTL.GROUP_SET_CONTAINER, words(fd));
  assertEquals([set(99), set(container), compat.join()], ["EBADF", "EINVAL", "EINVAL"]);
  assertEquals([compat.unset(), compat.unset(), set(container), compat.join()], [0, "EINVAL", 0, "EINVAL"]);
});

Deno.test("UNSET_CONTAINER of an iommufd does not mind an open device, which keeps its IOAS (group.c)", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  assertEquals([compat.map(), compat.unset(), compat.status], [0, 0, 0], "the device owns the group's DMA");
  const container = rig.process.open("/dev/vfio/vfio");
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(container)), "EBUSY");
  assertEquals(rig.pread(region(2), 8), 8);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1);
  assertEquals(compat.deviceFd(), "EINVAL", "the group has no IOMMU any more");
  assertEquals(compat.join(), 0);
  const second = compat.deviceFd() as number;
  rig.process.close(rig.device);
  assertEquals(rig.target.zdev.domain?.mappings().length, 1, "the second descriptor keeps the device open");
  rig.process.close(second);
  assertEquals([rig.target.zdev.domain, compat.unset(), compat.status], [undefined, 0, 1]);
  assertEquals(rig.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(container)), 0);
});

Deno.test("the group may be closed and opened again while its device is open (group.c: no container user)", () => {
  const compat = new Compat({ open: true });
  const { process, device, group } = compat.rig;
  process.close(group);
  const cdev = process.open("/dev/vfio/devices/vfio0");
  const bind = words(16, 0, compat.rig.iommufd, 0);
  assertEquals(compat.rig.ioctl(cdev, IOCTL.BIND_IOMMUFD, bind), "EINVAL", "the device is open");
  process.close(cdev);
  compat.rig.group = process.open("/dev/vfio/0");
  assertEquals(compat.status, 0, "it came without its iommufd, which its device is still bound to");
  assertEquals(compat.rig.pread(region(2), 8), 8);
  process.close(device);
  assertEquals(compat.rig.target.zdev.domain, undefined);
});

Deno.test("a device descriptor that came from the group has no ATTACH and DETACH, and no devid (1.5, 8.2)", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  const id = compat.compatId as number;
  assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(16, 0, id, 0)), "ENOTTY");
  assertEquals(rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0)), "ENOTTY");
  const info = words(20, 0, 0, 0n);
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_PCI_HOT_RESET_INFO, info), 0);
  assertEquals([u32(info, 4), u32(info, 12)], [0, 0], "no DEV_ID: group 0");
  assertEquals(rig.ioctl(rig.device, IOCTL.PCI_HOT_RESET, words(16, 0, 1, rig.group)), 0);
});

Deno.test("GET_DEVICE_FD without a compatibility IOAS, or with one out of reach: the device closes again", () => {
  const compat = new Compat();
  const { rig } = compat;
  const opened = () => rig.target.guest.kernel.device(rig.target.zdev)!.openCount;
  assertEquals(compat.map({ iova: 0n }), 0, "before a device is there anything goes");
  assertEquals([compat.deviceFd(true), opened()], ["EADDRINUSE", 0]);
  assertEquals(compat.unmap(0n, 4096n), [0, 4096n]);
  assertEquals(compat.clear(), 0);
  assertEquals([compat.deviceFd(true), opened()], ["ENODEV", 0]);
  assertEquals([compat.unset(), compat.join()], [0, 0]);
  assertEquals(typeof compat.deviceFd(), "number");
});

Deno.test("a device that did not open leaves nothing in the iommufd", () => {
  const compat = new Compat();
  const { process, target, iommufd, group } = compat.rig;
  assertEquals([compat.clear(), compat.deviceFd(true)], [0, "ENODEV"]);
  process.close(group);
  process.close(iommufd);
  assertEquals(target.guest.kernel.iommufds.size, 0);
});

Deno.test("only the first descriptor attaches the device; SET_CONTAINER makes an IOAS where there is none", () => {
  const compat = new Compat({ open: true });
  const { rig } = compat;
  const { domain } = rig.target.zdev;
  assertEquals([compat.choose(rig.newIoas()), typeof compat.deviceFd()], [0, "number"]);
  assertEquals(rig.target.zdev.domain === domain, true);
  const fresh = new Compat();
  const id = fresh.compatId as number;
  assertEquals([fresh.ioctl(IOCTL.DESTROY, words(8, id)), fresh.compatId, fresh.unset(), fresh.join()], [
    0,
    "ENODEV",
    0,
    0,
  ]);
  assertEquals([typeof fresh.compatId, fresh.compatId === id], ["number", false]);
});

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

Deno.test("GET_DEVICE_FD while the lock is taken: EAGAIN, and bound to nothing (1.6)", () => {
  const compat = new Compat();
  compat.rig.takeLock();
  assertEquals(compat.deviceFd(true), "EAGAIN");
  const id = compat.compatId as number;
  assertEquals(compat.ioctl(IOCTL.DESTROY, words(8, id)), 0, "nothing is attached");
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
  { what: "no memory", vaddr: 0n, result: "EFAULT" },
  { what: "a page below the range", iova: IOVA - 4096n, result: "EINVAL", before: 0 },
  { what: "the last page of the range", iova: 0x1ff_ffff_f000n, result: 0 },
  { what: "a page above the range", iova: 0x200_0000_0000n, result: "EINVAL", before: 0 },
])("MAP_DMA on an iommufd with $what: $result (9.3)", ({ what: _, result, before = result, ...mapping }) => {
  assertEquals(new Compat({ open: true }).map(mapping), result, "with a device");
  assertEquals(new Compat().map(mapping), before, "before there is a device");
});

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
])("UNMAP_DMA on an iommufd of $what: $result (9.3)", ({ iova, size, flags = 0, result }) => {
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
const RANGE = "01000100000000000100000000000000" + "0000000001000000ffffffffff010000";

Deno.test.each([
  { argsz: 16, tail: "" },
  { argsz: 24, tail: "0000000000000000" },
  { argsz: 39, tail: "0000000000000000" },
  { argsz: 40, tail: "0000000000000000" + AVAIL },
  { argsz: 71, tail: "0000000000000000" + AVAIL },
  { argsz: 72, tail: "1800000000000000" + AVAIL + RANGE },
  { argsz: 200, tail: "1800000000000000" + AVAIL + RANGE },
])("IOMMU_GET_INFO on an iommufd with argsz $argsz: what fits, and 72 as argsz (9.3)", ({ argsz, tail }) => {
  const compat = new Compat({ open: true });
  const arg = new Uint8Array(200).fill(0xa5);
  arg.set(words(argsz));
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, arg), 0);
  const expected = "48000000" + "03000000" + "0010000000000000" + tail;
  assertEquals(arg.toHex(), expected + "a5".repeat(200 - expected.length / 2));
});

Deno.test("IOMMU_GET_INFO before there is a device: any page size, all addresses; EFAULT behind the end (9.3)", () => {
  const compat = new Compat();
  const arg = words(72, 0, 0n, 0, 0, ...new Array<bigint>(6).fill(0n));
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, arg), 0);
  assertEquals([u64(arg, 8), u64(arg, 56), u64(arg, 64)], [TOP - 4096n, 0n, TOP - 1n]);
  assertEquals(compat.ioctl(IOCTL.IOMMU_GET_INFO, words(72, 0, 0n, 0, 0), true), "EFAULT");
});

Deno.test("DIRTY_PAGES is not among the ioctls of an iommufd: ENOTTY (9.3)", () => {
  assertEquals(new Compat({ open: true }).ioctl(IOCTL.DIRTY_PAGES, words(8, 1)), "ENOTTY");
});

Deno.test("VFIO_IOAS: GET, SET and CLEAR of the IOAS that container ioctls use (vfio_compat.c)", () => {
  const compat = new Compat();
  const first = compat.compatId as number;
  const second = compat.rig.newIoas();
  assertEquals([compat.choose(99), compat.choose(second), compat.compatId], ["ENOENT", 0, second]);
  assertEquals([compat.map(), compat.mapped], [0, "0+1"]);
  assertEquals([compat.choose(first), compat.mapped, compat.clear(), compat.compatId], [0, "", 0, "ENODEV"]);
  assertEquals([compat.map(), compat.choose(second), compat.ioctl(IOCTL.DESTROY, words(8, second))], [
    "ENODEV",
    0,
    0,
  ]);
  assertEquals(compat.compatId, "ENODEV", "with the IOAS the choice has gone");
  const call = (op: number) => compat.ioctl(IOCTL.VFIO_IOAS, words(12, first, op));
  assertEquals([call(3), call(GET | 1 << 16), call(CLEAR | 1 << 16)], [
    "EOPNOTSUPP",
    "EOPNOTSUPP",
    "EOPNOTSUPP",
  ]);
});

Deno.test("a new choice of VFIO_IOAS does not move a device that is open (vfio_compat.c)", () => {
  const compat = new Compat({ open: true });
  const second = compat.rig.newIoas();
  assertEquals([compat.choose(second), compat.map()], [0, 0]);
  assertEquals(compat.rig.target.zdev.domain!.mappings().length, 0);
  compat.rig.process.close(compat.rig.device);
  compat.rig.device = compat.rig.deviceFd();
  assertEquals(compat.rig.target.zdev.domain!.mappings().length, 1);
});

Deno.test("a device that is bound through its group is an object: DESTROY of it and of its IOAS is EBUSY (9.3)", () => {
  const compat = new Compat({ open: true });
  const id = compat.compatId as number;
  const devid = id + 1;
  const destroy = (object: number) => compat.ioctl(IOCTL.DESTROY, words(8, object));
  assertEquals([destroy(id), destroy(devid)], ["EBUSY", "EBUSY"]);
  compat.rig.process.close(compat.rig.device);
  assertEquals([destroy(devid), destroy(id)], ["ENOENT", 0]);
});

Deno.test("an iommufd lives as long as a descriptor, a group or a device refers to it", () => {
  const compat = new Compat({ open: true });
  const { process, iommufd, group, device, target } = compat.rig;
  const { iommufds } = target.guest.kernel;
  assertEquals(compat.map(), 0);
  process.close(iommufd);
  assertEquals([iommufds.size, target.zdev.domain?.mappings().length], [1, 1]);
  process.close(group);
  assertEquals([iommufds.size, target.zdev.domain?.mappings().length], [1, 1]);
  process.close(device);
  assertEquals([iommufds.size, target.zdev.domain], [0, undefined]);
});

Deno.test("a group that is dissolved leaves its iommufd (8.5)", () => {
  const compat = new Compat();
  const { rig } = compat;
  rig.process.close(rig.iommufd);
  assertEquals(rig.target.guest.kernel.iommufds.size, 1, "the group holds it");
  rig.target.guest.kernel.binding(rig.target.zdev).unbind();
  assertEquals(rig.target.guest.kernel.iommufds.size, 0);
  assertEquals(outcome(() => rig.process.ioctl(rig.group, IOCTL.GROUP_GET_STATUS, words(8, 0))), "ENODEV");
});

Deno.test("a saved host brings back what group and device are bound to", () => {
  const compat = new Compat({ open: true, type: 1 });
  assertEquals(compat.map({ size: 16384n }), 0);
  const state = compat.rig.state();
  const copy = compat.rig.host.fork();
  const injected = ["clock", "faults", "locks"];
  assertEquals(JSON.stringify([...copy.save()].filter(([key]) => !injected.includes(key))), state);
  const { guest, zdev } = copy.functions[0]!;
  const { process } = guest.kernel;
  assertEquals(zdev.domain?.mappings().length, 1);
  const devid = [...[...guest.kernel.iommufds.values()][0]!.devices][0]!;
  const destroy = words(8, devid);
  assertEquals(outcome(() => process.ioctl(compat.rig.iommufd, IOCTL.DESTROY, destroy)), "EBUSY");
  const unmap = words(24, 0, IOVA, 4096n);
  assertEquals(outcome(() => process.ioctl(compat.rig.iommufd, IOCTL.UNMAP_DMA, unmap)), 0);
  assertEquals(zdev.domain?.mappings().length, 1, "cut, and the first page is gone");
  process.close(compat.rig.device);
  assertEquals(zdev.domain, undefined);
  process.close(compat.rig.group);
  process.close(compat.rig.iommufd);
  assertEquals(guest.kernel.iommufds.size, 0);
});
