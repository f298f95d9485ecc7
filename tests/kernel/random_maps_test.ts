/** Thousands of random maps and unmaps, type1 and iommufd, against a model written from vfio.type1.* alone. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { IOCTL, outcome, Rig, START_DMA, u64, type Way, words } from "../support/kernel.ts";
import { type Answer, iommufd, type MapCall, type MapRules, type1 } from "../support/map_model.ts";
import { MapModel } from "../support/mappings.ts";

const SEED = 0x9_2;
const RUNS = 400;
const PAGES = 16n;
const TOP = 2n ** 64n;
/** DMA addresses end here on the default machine: as many bytes as the guest has main memory (zpci.dma.window). */
const END_DMA = 2n ** 33n;
/** Page tables reach to here, and nothing above can be mapped once there is one (vfio.dma.reach). */
const REACH = 2n ** 42n;
const START = BigInt(START_DMA);

/** Pages from the start of the DMA range, so that calls meet, and the corners of the address space. */
const IOVA = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(0n, 7n).map((page) => START + page * 4096n) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      0n,
      START - 4096n,
      START + 1n,
      END_DMA - 4096n,
      END_DMA,
      REACH,
      TOP - 4096n,
      TOP - 1n,
    ),
  },
);
const SIZE = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(1n, 4n).map((pages) => pages * 4096n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, 1n, 4095n, TOP - 4096n, TOP - 1n) },
);
/** From the start of the memory of the process. */
const VADDR = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(0n, PAGES - 4n).map((page) => page * 4096n) },
  { weight: 1, arbitrary: fc.constantFrom(1n, PAGES * 4096n, (PAGES - 1n) * 4096n) },
);

function calls(mapFlags: readonly number[], unmapFlags: readonly number[], all: Partial<MapCall>) {
  const fields = { vaddr: VADDR, iova: IOVA, size: SIZE };
  const flags = (usual: readonly number[], others: readonly number[]) =>
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...usual) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    );
  const map = fc.record({
    op: fc.constant("map" as const),
    flags: flags(mapFlags, [mapFlags[0]! & 1, 8, 15]),
    ...fields,
  });
  const unmap = fc.record({
    op: fc.constant("unmap" as const),
    flags: fc.constantFrom(...unmapFlags),
    ...fields,
  });
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: map },
      { weight: 4, arbitrary: unmap },
      { weight: 1, arbitrary: unmap.map((call): MapCall => ({ ...call, ...all })) },
    ),
    { maxLength: 30, size: "max" },
  );
}

/** Performs a call; what an unmap tells of its size, or the errno. */
function perform(rig: Rig, { op, flags, vaddr, iova, size }: MapCall): Answer {
  const { process, container, iommufd, ioas } = rig;
  const isType1 = container >= 0;
  const fd = isType1 ? container : iommufd;
  const [request, arg, at] = op === "map"
    ? isType1
      ? [IOCTL.MAP_DMA, words(32, flags, vaddr, iova, size), 0] as const
      : [IOCTL.IOAS_MAP, words(40, flags, ioas, 0, vaddr, size, iova), 0] as const
    : isType1
    ? [IOCTL.UNMAP_DMA, words(24, flags, iova, size), 16] as const
    : [IOCTL.IOAS_UNMAP, words(24, ioas, iova, size), 16] as const;
  const result = outcome(() => process.ioctl(fd, request, arg));
  return typeof result === "string" ? result : op === "map" ? 0n : u64(arg, at);
}

function agree(way: Way, end: bigint, rules: MapRules, operations: readonly MapCall[]): void {
  const rig = Rig.opened(way);
  const base = BigInt(rig.process.mmapAnonymous(Number(PAGES * 4096n)));
  const model = new MapModel(
    { start: START, end },
    { start: base, end: base + PAGES * 4096n },
  );
  for (const operation of operations) {
    const call = { ...operation, vaddr: base + operation.vaddr };
    assertEquals(perform(rig, call), rules(model, call), `${call.op} of 0x${call.iova.toString(16)}`);
    const mapped = rig.target.zdev.domain!.mappings().map(({ iova, size }) => [BigInt(iova), BigInt(size)]);
    assertEquals(mapped, [...model.mappings].sort(([a], [b]) => a < b ? -1 : 1));
  }
}

Deno.test("type1 maps and unmaps as the table says, whatever is mapped already (vfio.type1.unmap)", () => {
  const operations = calls([3, 3, 1, 2], [0, 0, 0, 0, 0, 0, 2], { flags: 2, iova: 0n, size: 0n });
  fc.assert(fc.property(operations, (each) => agree("group", END_DMA, type1, each)), {
    seed: SEED,
    numRuns: RUNS,
  });
});

Deno.test("an IOAS maps and unmaps as the table says, whatever is mapped already (vfio.iommufd.unmap)", () => {
  const operations = calls([7, 3, 5], [0], { iova: 0n, size: TOP - 1n });
  fc.assert(fc.property(operations, (each) => agree("cdev", REACH, iommufd, each)), {
    seed: SEED,
    numRuns: RUNS,
  });
});
