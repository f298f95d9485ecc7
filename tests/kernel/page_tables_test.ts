/**
 * vfio.cdev.pagetable and vfio.iommufd.ids (vfio.info.base, recovery.lock.calls, vfio.iommufd.ids), 13 and 15: page
 * tables of an iommufd as objects: their ids, HWPT_ALLOC, ATTACH in place of another, PASID 0, and mappings of memory
 * that is not there.
 */
import { operationOf } from "../support/events.ts";
import { assertEquals } from "@std/assert";
import { type Choices, IOCTL, type Outcome, PAGE, Rig, START_DMA, u32, words } from "../support/kernel.ts";
import { ranges } from "../support/ranges.ts";

const IOVA = BigInt(START_DMA);
const REACH = 2n ** 42n - 1n;
const MAX = 2n ** 64n - 1n;

/** A bound device and an IOAS: device 1, IOAS 2. */
class Bench {
  readonly rig: Rig;
  readonly vaddr: bigint;
  readonly device: number;

  constructor(choices: Choices = {}) {
    this.rig = new Rig(choices);
    this.rig.openCdev();
    this.device = this.rig.devid;
    this.vaddr = BigInt(this.rig.process.mmapAnonymous(4 * PAGE));
    assertEquals(this.detach(), 0);
    assertEquals([this.device, this.rig.ioas], [1, 2]);
  }

  /** Id that is written back, or the errno; `pasid` as the argument's last word. */
  attach(id: number, pasid?: number): Outcome {
    const arg = pasid === undefined ? words(12, 0, id) : words(16, 1, id, pasid);
    const result = this.rig.ioctl(this.rig.device, IOCTL.ATTACH_PT, arg);
    return result === 0 ? u32(arg, 8) : result;
  }

  detach(pasid?: number): Outcome {
    const arg = pasid === undefined ? words(8, 0) : words(12, 1, pasid);
    return this.rig.ioctl(this.rig.device, IOCTL.DETACH_PT, arg);
  }

  /** Id of the new page table, or the errno. */
  alloc(
    {
      size = 48,
      flags = 0,
      dev = this.device,
      pt = this.rig.ioas,
      reserved = 0,
      type = 0,
      length = 0,
      last = 0,
    }: {
      size?: number;
      flags?: number;
      dev?: number;
      pt?: number;
      reserved?: number;
      type?: number;
      length?: number;
      last?: number;
    } = {},
  ): Outcome {
    const fields = words(size, flags, dev, pt, 0, reserved, type, length, 0n, 0, last);
    const arg = fields.slice(0, Math.max(size, 24));
    const result = this.rig.ioctl(this.rig.iommufd, IOCTL.HWPT_ALLOC, arg);
    return result === 0 ? u32(arg, 16) : result;
  }

  destroy(id: number): Outcome {
    return this.rig.ioctl(this.rig.iommufd, IOCTL.DESTROY, words(8, id));
  }

  map({ iova = IOVA, size = 4096n, vaddr = this.vaddr, ioas = this.rig.ioas } = {}): Outcome {
    return this.rig.ioctl(this.rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, ioas, 0, vaddr, size, iova));
  }

  /** MPCIFC operations that a call leads to. */
  operations(call: () => unknown): number[] {
    const found: number[] = [];
    this.rig.host.tracer.sink = {
      enter: (event) =>
        void (event.layer === "insn" && event.op === "MPCIFC" && found.push(operationOf(event))),
      leave: () => {},
    };
    try {
      call();
    } finally {
      this.rig.host.tracer.sink = undefined;
    }
    return found;
  }
}

Deno.test("the page table of ATTACH has the lowest free id: 3, 3, 3 after each DETACH (vfio.iommufd.ids)", () => {
  const bench = new Bench();
  const ids = Array.from({ length: 3 }, () => [bench.attach(2), bench.detach()]);
  assertEquals(ids, [[3, 0], [3, 0], [3, 0]]);
});

Deno.test("ATTACH to another IOAS makes the new page table before the old one goes: 5 after 3 (vfio.cdev.pagetable)", () => {
  const bench = new Bench();
  assertEquals([bench.attach(2), bench.rig.newIoas(), bench.attach(4)], [3, 4, 5]);
  assertEquals([bench.destroy(3), bench.attach(2)], ["ENOENT", 3]);
  assertEquals([bench.attach(4), bench.attach(4)], [5, 5], "the same again gives the same");
});

Deno.test("ATTACH in place of another is MPCIFC 5, then 4; to the same page table nothing (vfio.cdev.pagetable)", () => {
  const bench = new Bench();
  bench.rig.newIoas();
  assertEquals(bench.operations(() => bench.attach(2)), [4]);
  assertEquals([bench.operations(() => bench.attach(2)), bench.operations(() => bench.attach(4))], [[], []]);
});

Deno.test("HWPT_ALLOC makes a page table that stays: ATTACH takes its id, DESTROY frees it (vfio.iommufd.hwpt)", () => {
  const bench = new Bench();
  assertEquals(bench.alloc(), 3);
  assertEquals([bench.destroy(2), bench.attach(3), bench.destroy(3)], ["EBUSY", 3, "EBUSY"]);
  assertEquals([bench.map(), bench.rig.target.zdev.domain?.mappings().length], [0, 1]);
  assertEquals([bench.attach(2), bench.attach(3)], [4, 3], "the IOAS has one of its own beside it");
  assertEquals([bench.detach(), bench.attach(3), bench.detach()], [0, 3, 0], "it does not go by itself");
  assertEquals([bench.destroy(3), bench.destroy(3), bench.destroy(2)], [0, "ENOENT", 0]);
});

Deno.test("a page table of HWPT_ALLOC reserves what it does not reach, at once (vfio.iommufd.hwpt)", () => {
  const bench = new Bench();
  const { rig } = bench;
  assertEquals(ranges(rig, 2), [0n, MAX, 1n]);
  assertEquals(bench.alloc(), 3);
  assertEquals(ranges(rig, 2), [0n, REACH, 4096n]);
  assertEquals([bench.attach(3), ranges(rig, 2)], [3, [IOVA, REACH, 4096n]]);
  assertEquals([bench.detach(), ranges(rig, 2)], [0, [0n, REACH, 4096n]]);
  const { kernel } = rig.host.fork().functions[0]!.guest;
  assertEquals(
    [...[...kernel.iommufds.values()][0]!.ioases.values()][0]!.range,
    [0n, REACH],
    "a saved host knows",
  );
  assertEquals([bench.destroy(3), ranges(rig, 2)], [0, [0n, MAX, 1n]]);
});

Deno.test.each<{ what: string; iova: bigint; size?: bigint; vaddr?: bigint; result: Outcome }>([
  { what: "the last page in reach", iova: REACH - 4095n, result: 3 },
  { what: "the first page above", iova: REACH + 1n, result: "EADDRINUSE" },
  { what: "pages across the end", iova: REACH - 4095n, size: 8192n, result: "EADDRINUSE" },
  { what: "less than a page", iova: IOVA, size: 1n, result: "EADDRINUSE" },
  { what: "page 0", iova: 0n, result: 3 },
  { what: "memory that is not there", iova: IOVA, vaddr: 0n, result: "EFAULT" },
])(
  "HWPT_ALLOC over an IOAS that maps $what: $result (vfio.iommufd.hwpt)",
  ({ what: _, result, ...mapping }) => {
    const bench = new Bench();
    assertEquals([bench.map(mapping), bench.alloc()], [0, result]);
  },
);

Deno.test.each<{ what: string; fields: Parameters<Bench["alloc"]>[0]; result: Outcome }>([
  { what: "size 23 and everything wrong", fields: { size: 23, dev: 99 }, result: "EINVAL" },
  { what: "size 24", fields: { size: 24 }, result: 3 },
  { what: "reserved, and data without a type", fields: { reserved: 1, length: 8 }, result: "EOPNOTSUPP" },
  { what: "reserved at the end", fields: { last: 1 }, result: "EOPNOTSUPP" },
  { what: "data without a type, and a bad device", fields: { length: 8, dev: 99 }, result: "EINVAL" },
  { what: "a type without data", fields: { type: 1 }, result: "EINVAL" },
  { what: "a bad device, and flags", fields: { dev: 99, flags: 1 }, result: "ENOENT" },
  { what: "an IOAS for a device", fields: { dev: 2 }, result: "ENOENT" },
  { what: "a bad page table id, and flags", fields: { pt: 99, flags: 1 }, result: "EINVAL" },
  { what: "the device as page table", fields: { pt: 1 }, result: "EINVAL" },
  { what: "NEST_PARENT", fields: { flags: 1 }, result: "EOPNOTSUPP" },
  { what: "DIRTY_TRACKING", fields: { flags: 2 }, result: "EOPNOTSUPP" },
  { what: "an unknown flag", fields: { flags: 0x80 }, result: "EOPNOTSUPP" },
  { what: "data", fields: { type: 1, length: 8 }, result: "EOPNOTSUPP" },
])("HWPT_ALLOC with $what: $result (vfio.iommufd.hwpt)", ({ fields, result }) => {
  assertEquals(new Bench().alloc(fields), result);
});

Deno.test("HWPT_ALLOC over a page table: nesting is EOPNOTSUPP (vfio.iommufd.hwpt)", () => {
  const bench = new Bench();
  assertEquals([bench.alloc(), bench.alloc({ pt: 3 })], [3, "EOPNOTSUPP"]);
});

Deno.test.each<{ what: string; vaddr: bigint }>([
  { what: "address 0", vaddr: 0n },
  { what: "an address far above all memory", vaddr: 2n ** 50n },
  { what: "the last address that does not wrap", vaddr: MAX - 8191n },
])("IOAS_MAP of $what without a page table: 0, and EFAULT at ATTACH (vfio.iommufd.pages)", ({ vaddr }) => {
  const bench = new Bench();
  assertEquals(bench.map({ vaddr }), 0);
  assertEquals(bench.attach(2), "EFAULT");
  assertEquals([bench.rig.target.zdev.domain, bench.destroy(3)], [undefined, "ENOENT"]);
  const copy = words(40, 7, 2, 2, 4096n, IOVA + 8192n, IOVA);
  assertEquals(bench.rig.ioctl(bench.rig.iommufd, IOCTL.IOAS_COPY, copy), 0, "a copy does not look either");
  const fork = bench.rig.host.fork().functions[0]!.guest.kernel.process;
  assertEquals(fork.ioctl(bench.rig.iommufd, IOCTL.IOAS_UNMAP, words(24, 2, 0n, MAX)), 0);
  const unmap = words(24, 2, IOVA, 12_288n);
  assertEquals(bench.rig.ioctl(bench.rig.iommufd, IOCTL.IOAS_UNMAP, unmap), 0);
  assertEquals(bench.attach(2), 3);
  assertEquals(bench.map({ vaddr }), "EFAULT", "with a page table it is found out at once");
});

Deno.test("pages are taken anew with every first page table: memory that has gone is EFAULT (vfio.iommufd.pages)", () => {
  const bench = new Bench();
  assertEquals([bench.map(), bench.attach(2), bench.detach()], [0, 3, 0]);
  bench.rig.process.munmap(Number(bench.vaddr));
  assertEquals(bench.attach(2), "EFAULT");
});

Deno.test("the generic driver attaches with PASID 0 as well, again and to another IOAS too (vfio.generic.pasid)", () => {
  const bench = new Bench({ driver: "vfio-pci" });
  assertEquals([bench.attach(2, 0), bench.attach(2, 0), bench.rig.newIoas(), bench.attach(4, 0)], [
    3,
    3,
    4,
    5,
  ]);
  assertEquals(
    [bench.attach(2), bench.attach(4)],
    ["EBUSY", "EBUSY"],
    "a plain ATTACH is another attachment",
  );
  assertEquals([bench.detach(), bench.destroy(5)], [0, "EBUSY"], "of which a plain DETACH knows nothing");
  const fork = bench.rig.host.fork().functions[0]!.guest.kernel.process;
  assertEquals(fork.ioctl(bench.rig.device, IOCTL.DETACH_PT, words(12, 1, 0)), 0, "a saved host knows");
  assertEquals(fork.ioctl(bench.rig.iommufd, IOCTL.DESTROY, words(8, 4)), 0);
  assertEquals([bench.detach(0), bench.detach(0), bench.destroy(5)], [0, 0, "ENOENT"]);
  assertEquals([bench.attach(2), bench.attach(2, 0), bench.attach(4, 0)], [3, "EBUSY", "EBUSY"]);
  assertEquals([bench.attach(99, 0), bench.attach(1, 0)], ["ENOENT", "EINVAL"], "the object comes first");
  assertEquals([bench.detach(0), bench.destroy(3), bench.detach(), bench.attach(2, 0)], [0, "EBUSY", 0, 3]);
});

Deno.test.each([{ pasid: 1, result: "EINVAL" }, { pasid: 2 ** 31, result: "ENOSPC" }])(
  "the generic driver has no PASID $pasid: $result; ism_vfio_pci none at all (vfio.generic.pasid)",
  ({ pasid, result }) => {
    assertEquals(new Bench({ driver: "vfio-pci" }).attach(2, pasid), result);
    assertEquals([new Bench().attach(2, pasid), new Bench().attach(2, 0)], ["EOPNOTSUPP", "EOPNOTSUPP"]);
  },
);

Deno.test("closing a device that is attached with PASID 0 detaches it", () => {
  const bench = new Bench({ driver: "vfio-pci" });
  assertEquals(bench.attach(2, 0), 3);
  bench.rig.process.close(bench.rig.device);
  const { zdev, guest } = bench.rig.target;
  assertEquals([guest.kernel.defaultDomains.userDomain(zdev), bench.destroy(2)], [undefined, 0]);
});
