/**
 * Thousands of random calls on the objects of an iommufd against a model written from docs/reference/vfio/config.md,
 * vfio/iommufd.md and recovery.md alone: ids of page tables, what ATTACH and HWPT_ALLOC refuse, and the range of every
 * IOAS after every call.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { IOCTL, outcome, PAGE, Rig, START_DMA, u32, u64, words } from "../support/kernel.ts";
import { type TableAnswer, type TableCall, TableModel } from "../support/page_table_model.ts";
import { ranged } from "../support/ranges.ts";

const SEED = 0x7_3;
const RUNS = 500;
const START = BigInt(START_DMA);
/** With 4 GiB of main memory. */
const END = 2n ** 33n - 1n;
/** What page tables with a region-third root translate. */
const REACH = 2n ** 42n - 1n;
const P = BigInt(PAGE);

const ID = fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 2, max: 7 }) }, {
  weight: 1,
  arbitrary: fc.constantFrom(0, 1, 99),
});
/** Pages in the window, below it, and above what page tables reach: nothing in between, where the machine refuses. */
const IOVA_PAGE = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(START, START + P, START + 2n * P, END - P + 1n) },
  { weight: 2, arbitrary: fc.constantFrom(0n, START - P, REACH + 1n, 2n ** 63n) },
);

const CALL: fc.Arbitrary<TableCall> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<TableCall>({ op: "alloc" }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("hwpt" as const), id: ID }) },
  { weight: 7, arbitrary: fc.record({ op: fc.constant("attach" as const), id: ID }) },
  { weight: 2, arbitrary: fc.constant<TableCall>({ op: "detach" }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("destroy" as const), id: ID }) },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("map" as const),
      id: ID,
      iova: IOVA_PAGE,
      isThere: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("unmap" as const), id: ID }) },
);

class Bench {
  readonly rig = new Rig();
  readonly #vaddr: number;

  constructor() {
    const { process } = this.rig;
    this.rig.iommufd = process.open("/dev/iommu");
    this.rig.device = process.open("/dev/vfio/devices/vfio0");
    process.ioctl(this.rig.device, IOCTL.BIND_IOMMUFD, words(24, 0, this.rig.iommufd, 0, 0n));
    this.#vaddr = process.mmapAnonymous(PAGE);
  }

  perform(call: TableCall): TableAnswer {
    const { process, iommufd, device } = this.rig;
    const ask = (fd: number, request: number, arg: Uint8Array, answer: () => TableAnswer = () => 0) => {
      const result = outcome(() => process.ioctl(fd, request, arg));
      return typeof result === "string" ? result : answer();
    };
    switch (call.op) {
      case "alloc": {
        const arg = words(12, 0, 0);
        return ask(iommufd, IOCTL.IOAS_ALLOC, arg, () => u32(arg, 8));
      }
      case "hwpt": {
        const arg = words(48, 0, 1, call.id, 0, 0, 0, 0, 0n, 0, 0);
        return ask(iommufd, IOCTL.HWPT_ALLOC, arg, () => u32(arg, 16));
      }
      case "attach": {
        const arg = words(12, 0, call.id);
        return ask(device, IOCTL.ATTACH_PT, arg, () => u32(arg, 8));
      }
      case "detach":
        return ask(device, IOCTL.DETACH_PT, words(8, 0));
      case "destroy":
        return ask(iommufd, IOCTL.DESTROY, words(8, call.id));
      case "map": {
        const vaddr = call.isThere ? BigInt(this.#vaddr) : 0n;
        return ask(iommufd, IOCTL.IOAS_MAP, words(40, 7, call.id, 0, vaddr, P, call.iova));
      }
      case "unmap": {
        const arg = words(24, call.id, 0n, 2n ** 64n - 1n);
        return ask(iommufd, IOCTL.IOAS_UNMAP, arg, () => Number(u64(arg, 16)));
      }
    }
  }
}

Deno.test("objects of an iommufd have the ids and ranges that the tables say, whatever came before (vfio.config.restore, vfio.iommufd.others, vfio.iommufd.window, vfio.iommufd.ids)", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(CALL, { maxLength: 40, size: "max" }), (calls) => {
      const bench = new Bench();
      const model = new TableModel({ start: START, end: END, reach: REACH });
      calls.forEach((call, i) => {
        const expected = model.perform(call);
        const told = `call ${i} ${
          JSON.stringify(call, (_, value) => typeof value === "bigint" ? `0x${value.toString(16)}` : value)
        }`;
        assertEquals(bench.perform(call), expected, told);
        seen.add(`${call.op} ${typeof expected === "number" ? "works" : expected}`);
        for (const id of model.ioases.keys()) {
          const [first, last] = ranged(bench.rig.process, bench.rig.iommufd, id);
          assertEquals([first, last], [...model.range(id)], `range of ${id} after ${told}`);
        }
        assertEquals(bench.rig.target.fn.state, "enabled");
      });
      const fork = bench.rig.host.fork().functions[0]!.guest.kernel.process;
      for (const id of model.ioases.keys()) {
        const [first, last] = ranged(fork, bench.rig.iommufd, id);
        assertEquals([first, last], [...model.range(id)], `range of ${id} of the saved host`);
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
  const wanted = ["attach EADDRINUSE", "attach EFAULT", "attach EINVAL", "attach ENOENT", "destroy EBUSY"];
  for (
    const each of [...wanted, "hwpt EADDRINUSE", "hwpt EFAULT", "hwpt EOPNOTSUPP", "map EEXIST", "map EFAULT"]
  ) {
    assertEquals(seen.has(each), true, `the calls never met ${each}`);
  }
});
