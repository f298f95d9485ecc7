/** Facts, zPCI sheet section 10: what firstFit() gives is free, inside the range, and crosses no 1 MiB boundary. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { firstFit, type Range } from "./iova.ts";

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
