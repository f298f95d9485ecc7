/** Facts, ism.dmb.limits: what firstFit() gives is free, inside the range, and crosses no 1 MiB boundary. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { firstFit, IovaSpace, type Range } from "./iova.ts";

const FIRST = 0x1_0000_0000;
const MIB = 2 ** 20;

Deno.test.each([
  { what: "an empty space", used: [], size: 4096, at: FIRST },
  { what: "a used start", used: [{ iova: FIRST, size: 4096 }], size: 4096, at: FIRST + 4096 },
  {
    what: "a gap that is large enough",
    used: [{ iova: FIRST, size: 4096 }, { iova: FIRST + 8192, size: 4096 }],
    size: 4096,
    at: FIRST + 4096,
  },
  {
    what: "a gap that is too small",
    used: [{ iova: FIRST + 4096, size: 4096 }],
    size: 8192,
    at: FIRST + 8192,
  },
  {
    what: "three pages, aligned as four",
    used: [{ iova: FIRST, size: 4096 }],
    size: 12288,
    at: FIRST + 16384,
  },
  { what: "the last place", used: [{ iova: FIRST, size: MIB - 4096 }], size: 4096, at: FIRST + MIB - 4096 },
  { what: "no room", used: [{ iova: FIRST, size: MIB }], size: 4096, at: undefined },
])("firstFit() in $what", ({ used, size, at }) => {
  assertEquals(firstFit(used, FIRST, FIRST + MIB - 1, size), at);
});

Deno.test("firstFit() never overlaps, never leaves the range, never crosses a 1 MiB boundary", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 40 });
  const property = fc.property(sizes, fc.array(fc.nat(39)), (pages, freed) => {
    let used: Range[] = [];
    for (const [i, count] of pages.entries()) {
      const size = count * 4096;
      const iova = firstFit(used, FIRST, FIRST + 8 * MIB - 1, size);
      if (iova === undefined) continue;
      assertEquals([iova >= FIRST, iova + size <= FIRST + 8 * MIB, iova % 4096], [true, true, 0]);
      assertEquals(Math.floor(iova / MIB), Math.floor((iova + size - 1) / MIB));
      assertEquals(used.some((each) => each.iova < iova + size && iova < each.iova + each.size), false);
      used.push({ iova, size });
      if (freed.includes(i)) used = used.filter((_, at) => at % 2 === 0);
    }
  });
  fc.assert(property, { seed: 0x10a, numRuns: 150 });
});

/** What a driver does with addresses: maps where there is room or where it wants to, and unmaps the n-th range. */
type Step =
  | { readonly kind: "map"; readonly pages: number }
  | { readonly kind: "place"; readonly page: number; readonly pages: number }
  | { readonly kind: "unmap"; readonly which: number };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("map" as const), pages: fc.integer({ min: 1, max: 70 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("place" as const),
      page: fc.integer({ min: -8, max: 520 }),
      pages: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("unmap" as const), which: fc.nat(1000) }) },
);

Deno.test("IovaSpace finds what firstFit() finds among all ranges, those that overlap included", () => {
  let [found, full, overlapping] = [0, 0, 0];
  const last = FIRST + 2 * MIB - 1;
  const property = fc.property(
    fc.array(STEP, { minLength: 1, maxLength: 120, size: "max" }),
    fc.nat(120),
    fc.boolean(),
    (steps, reload, mayOverlap) => {
      let used: Range[] = [];
      let space = new IovaSpace(FIRST, last);
      for (const [i, step] of steps.entries()) {
        if (i === reload) space = new IovaSpace(FIRST, last, used);
        if (step.kind === "unmap") {
          const gone = used[step.which % Math.max(1, used.length)];
          if (gone === undefined) continue;
          used = used.filter((range) => range !== gone);
          space.remove({ ...gone });
          continue;
        }
        const size = step.pages * 4096;
        const iova = step.kind === "place" ? FIRST + step.page * 4096 : firstFit(used, FIRST, last, size);
        if (step.kind === "map") {
          assertEquals(space.find(size), iova);
          assertEquals(space.find(size), iova, "asking takes nothing");
        }
        if (iova === undefined) {
          full++;
          continue;
        }
        if (used.some((range) => range.iova < iova + size && iova < range.iova + range.size)) {
          // In half of the runs no range overlaps another, so that the short way is taken to the end.
          if (!mayOverlap) continue;
          overlapping++;
        }
        found++;
        used.push({ iova, size });
        space.add({ iova, size });
      }
      for (const pages of [1, 2, 3, 16, 256]) {
        assertEquals(space.find(pages * 4096), firstFit(used, FIRST, last, pages * 4096));
      }
    },
  );
  fc.assert(property, { seed: 0x10b, numRuns: 300 });
  assert(
    found > 1000 && full > 100 && overlapping > 100,
    `${found} found, ${full} full, ${overlapping} overlap`,
  );
});
