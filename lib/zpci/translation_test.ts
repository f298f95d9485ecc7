/** Translation tables against a page table written out page by page. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { StorageBuffer } from "./storage.ts";
import { TranslationTables } from "./translation.ts";

const PAGE = 4096;
const PAGES = 40;

Deno.test("find() and overlapping() agree with a table of pages, whatever was inserted and removed", () => {
  const buffer = new StorageBuffer(0x10_0000, PAGES * PAGE);
  const step = fc.record({
    first: fc.nat(PAGES - 1),
    count: fc.integer({ min: 1, max: 6 }),
    remove: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const tables = new TranslationTables();
    const pages = new Map<number, number>();
    for (const { first, count, remove } of steps) {
      const iova = first * PAGE;
      const size = count * PAGE;
      const before = tables.generation;
      const taken = Array.from({ length: count }, (_, i) => pages.get(first + i)).filter((at) =>
        at !== undefined
      );
      assertEquals(tables.overlapping(iova, size).map((entry) => entry.iova), [...new Set(taken)]);
      if (remove) {
        tables.remove(iova);
        const begins = pages.get(first) === iova;
        if (begins) { for (const [page, start] of pages) if (start === iova) pages.delete(page); }
        assertEquals(tables.generation !== before, begins);
      } else if (taken.length === 0) {
        tables.insert({ iova, size, read: true, write: true, buffer, bufferOffset: 0 });
        for (let i = 0; i < count; i++) pages.set(first + i, iova);
        assertEquals(tables.generation !== before, true);
      }
    }
    for (let page = 0; page < PAGES + 8; page++) {
      for (const at of [page * PAGE, page * PAGE + PAGE - 1]) {
        assertEquals(tables.find(at)?.iova, pages.get(page), `at ${at}`);
      }
    }
    const starts = tables.entries.map((entry) => entry.iova);
    assertEquals(starts, [...starts].sort((a, b) => a - b));
  });
  fc.assert(property, { seed: 0x7a, numRuns: 200 });
});
