/**
 * vfio.dma.window and vfio.type1.unmap: mapping and unmapping through a type1 container, both versions; limits and
 * order of errors.
 */
import { assertEquals } from "@std/assert";
import { bytes } from "../support/bytes.ts";
import { type Choices, IOCTL, type Outcome, PAGE, Rig, START_DMA, u64, words } from "../support/kernel.ts";

const READ = 1;
const WRITE = 2;
const VADDR = 4;
const ALL = 2;
const IOVA = BigInt(START_DMA);
const TOP = 2n ** 64n;
/** 4 pages. */
const MEMORY = 4 * PAGE;

interface Mapping {
  readonly argsz?: number;
  readonly flags?: number;
  readonly vaddr?: bigint;
  readonly iova?: bigint;
  readonly size?: bigint;
}

/** A container with a group, and 4 pages of memory of the process. */
class Type1 {
  readonly rig: Rig;
  readonly vaddr: bigint;

  constructor(type = 3, choices: Choices = {}) {
    this.rig = new Rig(choices);
    const { process } = this.rig;
    this.rig.container = process.open("/dev/vfio/vfio");
    this.rig.group = process.open("/dev/vfio/0");
    process.ioctl(this.rig.group, IOCTL.GROUP_SET_CONTAINER, words(this.rig.container));
    process.ioctl(this.rig.container, IOCTL.SET_IOMMU, type);
    this.vaddr = BigInt(process.mmapAnonymous(MEMORY));
  }

  map(
    { argsz = 32, flags = READ | WRITE, vaddr = this.vaddr, iova = IOVA, size = 4096n }: Mapping = {},
  ): Outcome {
    return this.rig.ioctl(this.rig.container, IOCTL.MAP_DMA, words(argsz, flags, vaddr, iova, size));
  }

  /** Bytes unmapped, or the errno. */
  unmap(iova: bigint, size: bigint, flags = 0, argsz = 24): bigint | Outcome {
    const arg = words(argsz, flags, iova, size);
    const result = this.rig.ioctl(this.rig.container, IOCTL.UNMAP_DMA, arg);
    if (result !== 0) return result;
    assertEquals(
      [arg.slice(0, 16).toHex()],
      [words(argsz, flags, iova).toHex()],
      "only size is written back",
    );
    return u64(arg, 16);
  }

  /** IOVA and size of what is mapped. */
  get mapped(): string {
    const mappings = this.rig.target.zdev.domain!.mappings();
    return mappings.map(({ iova, size }) => `${(iova - START_DMA) / PAGE}+${size / PAGE}`).join(" ");
  }
}

Deno.test.each<Mapping & { what: string; result: Outcome }>([
  { what: "argsz 31", argsz: 31, result: "EINVAL" },
  { what: "an unknown flag", flags: 8 | READ, size: 0n, result: "EINVAL" },
  { what: "size 0", size: 0n, iova: TOP - 1n, result: "EINVAL" },
  { what: "an IOVA that wraps", iova: TOP - 4096n, size: 8192n, result: "EOVERFLOW" },
  { what: "an IOVA that just does not wrap", iova: TOP - 4096n, result: "EINVAL" },
  { what: "an address that wraps", vaddr: TOP - 4096n, size: 8192n, result: "EOVERFLOW" },
  { what: "an address that just does not wrap", vaddr: TOP - 4096n, result: "EFAULT" },
  { what: "a wrap and no READ or WRITE", flags: 0, iova: TOP - 1n, size: 2n, result: "EOVERFLOW" },
  { what: "neither READ nor WRITE", flags: 0, result: "EINVAL" },
  { what: "VADDR and READ", flags: VADDR | READ, result: "EINVAL" },
  { what: "VADDR and WRITE", flags: VADDR | WRITE, result: "EINVAL" },
  { what: "VADDR where nothing is mapped", flags: VADDR, result: "ENOENT" },
  { what: "VADDR, misaligned", flags: VADDR, iova: IOVA + 1n, result: "EINVAL" },
  { what: "a misaligned IOVA", iova: IOVA + 1n, result: "EINVAL" },
  { what: "a misaligned address", vaddr: 1n, result: "EINVAL" },
  { what: "a misaligned size", size: 4095n, result: "EINVAL" },
  { what: "READ alone", flags: READ, result: 0 },
  { what: "WRITE alone", flags: WRITE, result: 0 },
  { what: "one page", result: 0 },
  { what: "all pages", size: BigInt(MEMORY), result: 0 },
  { what: "more than the memory", size: BigInt(MEMORY) + 4096n, result: "EFAULT" },
  { what: "no memory", vaddr: 0n, result: "EFAULT" },
  { what: "the first page below the range", iova: IOVA - 4096n, result: "EINVAL" },
  { what: "pages across the start of the range", iova: IOVA - 4096n, size: 8192n, result: "EINVAL" },
  { what: "the last page of the range", iova: 0x1_ffff_f000n, result: 0 },
  { what: "pages across the end of the range", iova: 0x1_ffff_f000n, size: 8192n, result: "EINVAL" },
  { what: "the first page above the range", iova: 0x2_0000_0000n, result: "EINVAL" },
  { what: "a bad range and no memory", iova: 0n, vaddr: 0n, result: "EINVAL" },
])("MAP_DMA with $what: $result (vfio.type1.map)", ({ what: _, result, ...mapping }) => {
  const type1 = new Type1();
  assertEquals(type1.map(mapping), result);
  assertEquals(type1.mapped === "", result !== 0);
});

Deno.test("a mapping that overlaps is EEXIST, even the same again, before range, limit and memory (vfio.type1.map)", () => {
  const type1 = new Type1(3, { kernel: { dmaEntryLimit: 1 } });
  assertEquals(type1.map({ iova: IOVA + 4096n, size: 8192n }), 0);
  assertEquals(type1.map({ iova: IOVA + 4096n, size: 8192n }), "EEXIST");
  assertEquals(type1.map({ iova: IOVA + 8192n, size: 4096n }), "EEXIST");
  assertEquals(type1.map({ iova: IOVA, size: 8192n }), "EEXIST");
  assertEquals(type1.map({ iova: 0n, size: 2n ** 63n, vaddr: 0n }), "EEXIST");
  assertEquals(
    type1.map({ iova: IOVA + 4096n, flags: VADDR }),
    "EINVAL",
    "a mapping that waits for no address",
  );
  assertEquals(type1.map({ iova: 0n }), "ENOSPC", "the limit comes before the range");
  assertEquals([type1.mapped, type1.unmap(IOVA + 4096n, 8192n)], ["1+2", 8192n]);
  assertEquals([type1.map(), type1.mapped], [0, "0+1"]);
});

Deno.test.each([
  { limit: 1, mapped: 1 },
  { limit: 3, mapped: 3 },
])("$limit mappings and no more: ENOSPC (vfio.type1.map)", ({ limit, mapped }) => {
  const type1 = new Type1(3, { kernel: { dmaEntryLimit: limit } });
  for (let i = 0; i < mapped; i++) assertEquals(type1.map({ iova: IOVA + BigInt(i * 2 * PAGE) }), 0);
  assertEquals(type1.map({ iova: IOVA + 2n ** 30n }), "ENOSPC");
  type1.unmap(IOVA, 4096n);
  assertEquals(type1.map({ iova: IOVA + 2n ** 30n }), 0);
});

Deno.test("a mapping may begin anywhere in the memory of the process, and the device writes there (vfio.type1.map)", () => {
  const type1 = new Type1();
  assertEquals(type1.map({ vaddr: type1.vaddr + 4096n, size: 8192n }), 0);
  const { fn, zdev } = type1.rig.target;
  assertEquals(zdev.domain!.mappings()[0]!.vaddr, Number(type1.vaddr) + PAGE);
  fn.model.config.write(4, 0x06);
  assertEquals(fn.dma.write(START_DMA + 4097, Uint8Array.of(0x5a)), 0);
  assertEquals(type1.rig.process.memory(Number(type1.vaddr), MEMORY, false).indexOf(0x5a), 2 * PAGE + 1);
});

Deno.test("mappings side by side do not overlap, and two may share memory (vfio.type1.map)", () => {
  const type1 = new Type1();
  for (const page of [0n, 1n, 2n]) assertEquals(type1.map({ iova: IOVA + page * 4096n }), 0);
  assertEquals(type1.mapped, "0+1 1+1 2+1");
});

Deno.test.each<
  {
    what: string;
    iova: bigint;
    size: bigint;
    flags?: number;
    argsz?: number;
    v2: bigint | Outcome;
    v1?: bigint;
  }
>([
  { what: "argsz 23", iova: IOVA, size: 4096n, argsz: 23, v2: "EINVAL" },
  { what: "an unknown flag", iova: IOVA, size: 4096n, flags: 8, v2: "EINVAL" },
  { what: "size 0", iova: IOVA, size: 0n, v2: "EINVAL" },
  { what: "a misaligned IOVA", iova: IOVA + 1n, size: 4096n, v2: "EINVAL" },
  { what: "a misaligned size", iova: IOVA, size: 4097n, v2: "EINVAL" },
  { what: "a wrap", iova: TOP - 4096n, size: 8192n, v2: "EOVERFLOW" },
  { what: "the last page of all", iova: TOP - 4096n, size: 4096n, v2: 0n },
  { what: "nothing mapped", iova: IOVA + 2n ** 20n, size: 4096n, v2: 0n },
  { what: "the first mapping", iova: IOVA, size: 8192n, v2: 8192n },
  { what: "the gap between", iova: IOVA + 8192n, size: 8192n, v2: 0n },
  { what: "both mappings", iova: IOVA, size: 24576n, v2: 16384n },
  { what: "a larger range", iova: 0n, size: 2n ** 63n, v2: 16384n },
  { what: "a cut at the end of a mapping", iova: IOVA + 4096n, size: 4096n, v2: "EINVAL", v1: 0n },
  { what: "a cut at the start of a mapping", iova: IOVA, size: 4096n, v2: "EINVAL", v1: 8192n },
  { what: "a cut in front, another mapping behind", iova: IOVA + 4096n, size: 20480n, v2: "EINVAL", v1: 0n },
  { what: "a cut behind, another mapping in front", iova: IOVA, size: 20480n, v2: "EINVAL", v1: 16384n },
])("UNMAP_DMA of $what: $v2 (vfio.type1.unmap)", ({ iova, size, flags, argsz, v2, v1 = v2 }) => {
  for (const [type, expected] of [[3, v2], [1, v1]] as const) {
    const type1 = new Type1(type);
    assertEquals([type1.map({ size: 8192n }), type1.map({ iova: IOVA + 16384n, size: 8192n })], [0, 0]);
    assertEquals<unknown>(type1.unmap(iova, size, flags, argsz), expected, `version ${type}`);
    const left = 4n - (typeof expected === "bigint" ? expected / 4096n : 0n);
    assertEquals(type1.mapped, { 4: "0+2 4+2", 2: "4+2", 0: "" }[Number(left)]!);
  }
});

Deno.test("UNMAP_DMA with ALL takes everything; IOVA and size must be 0 (vfio.type1.unmap)", () => {
  const type1 = new Type1();
  assertEquals(type1.unmap(0n, 0n, ALL), 0n);
  assertEquals([type1.map({ size: 8192n }), type1.map({ iova: IOVA + 16384n })], [0, 0]);
  assertEquals([type1.unmap(IOVA, 0n, ALL), type1.unmap(0n, 4096n, ALL)], ["EINVAL", "EINVAL"]);
  assertEquals([type1.unmap(0n, 0n, ALL), type1.mapped], [12288n, ""]);
});

Deno.test("UNMAP_DMA with GET_DIRTY without dirty logging is EINVAL (vfio.type1.dirty)", () => {
  const type1 = new Type1();
  type1.map();
  assertEquals(type1.unmap(IOVA, 4096n, 1), "EINVAL");
});

Deno.test("a larger argsz is fine, bytes behind the struct are not looked at (vfio.ioctl.argsz)", () => {
  const type1 = new Type1();
  const arg = new Uint8Array(64).fill(0xa5);
  arg.set(words(64, 3, type1.vaddr, IOVA, 4096n));
  assertEquals(type1.rig.ioctl(type1.rig.container, IOCTL.MAP_DMA, arg), 0);
  assertEquals(arg.slice(32).toHex(), "a5".repeat(32));
});

/** MIGRATION at 24, DMA_AVAIL at 56, IOVA_RANGE at 72: all of it is 104 bytes. */
const CHAIN = `0200 0100 38000000 00000000 00000000 0010000000000000 0000001000000000
  0300 0100 48000000 feff0000 00000000
  0100 0100 00000000 01000000 00000000 0000000001000000 ffffffff01000000`;

Deno.test.each([
  { argsz: 16, fields: "68000000 03000000 0010000000000000", chain: "" },
  { argsz: 24, fields: "68000000 03000000 0010000000000000 00000000 00000000", chain: "" },
  { argsz: 103, fields: "68000000 03000000 0010000000000000 00000000 00000000", chain: "" },
  { argsz: 104, fields: "68000000 03000000 0010000000000000 18000000 00000000", chain: CHAIN },
  { argsz: 200, fields: "c8000000 03000000 0010000000000000 18000000 00000000", chain: CHAIN },
])(
  "IOMMU_GET_INFO with argsz $argsz: page sizes and a chain of 104 bytes if it fits (vfio.type1.info)",
  (row) => {
    const { argsz, fields, chain } = row;
    const type1 = new Type1();
    type1.map();
    const arg = new Uint8Array(200).fill(0xa5);
    arg.set(words(argsz));
    assertEquals(type1.rig.ioctl(type1.rig.container, IOCTL.IOMMU_GET_INFO, arg), 0);
    const expected = bytes(fields + chain).toHex();
    assertEquals(arg.toHex(), expected + "a5".repeat(200 - expected.length / 2));
  },
);

Deno.test("IOMMU_GET_INFO into a buffer that ends before argsz says is EFAULT (vfio.type1.info)", () => {
  const type1 = new Type1();
  const arg = words(104, 0, 0n, 0, 0);
  const call = () => type1.rig.ioctl(type1.rig.container, IOCTL.IOMMU_GET_INFO, arg, { effect: true });
  assertEquals(call(), "EFAULT");
});

Deno.test("the range follows the topology, both ends (vfio.dma.window)", () => {
  const type1 = new Type1(3, { machine: { startDma: 0x1000, endDma: 0x2fff } });
  const at = (iova: bigint) => type1.map({ iova });
  assertEquals([at(0n), at(0x1000n), at(0x2000n), at(0x3000n)], ["EINVAL", 0, 0, "EINVAL"]);
});
