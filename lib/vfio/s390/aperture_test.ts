/** zpci.dma.window: how much of a DMA window the kernel uses, on both sides of each limit. */
import { assertEquals } from "@std/assert";
import { tableEnd, usableEnd } from "./aperture.ts";

const GIB = 2 ** 30;
const TIB = 2 ** 40;
const SDMA = 2 ** 32;
const EDMA = 2 * TIB - 1;

Deno.test.each([
  { what: "as many bytes as main memory", memory: 4 * GIB, factor: 1, end: 8 * GIB - 1 },
  { what: "twice as many", memory: 4 * GIB, factor: 2, end: 12 * GIB - 1 },
  { what: "not cut with factor 0", memory: 4 * GIB, factor: 0, end: EDMA },
  { what: "a page less than the window", memory: 2 * TIB - SDMA - 4096, factor: 1, end: EDMA - 4096 },
  { what: "just the window", memory: 2 * TIB - SDMA, factor: 1, end: EDMA },
  { what: "no more than the window", memory: 3 * TIB, factor: 1, end: EDMA },
  { what: "a large factor", memory: 64 * GIB, factor: 65_536, end: EDMA },
  { what: "64 MiB", memory: 2 ** 26, factor: 1, end: SDMA + 2 ** 26 - 1 },
])("the DMA window is cut: $what (zpci.dma.window)", ({ memory, factor, end }) => {
  assertEquals(usableEnd(SDMA, EDMA, memory, factor), end);
});

Deno.test("page tables with a region-third root reach to 2^42, and so does the window (vfio.dma.reach)", () => {
  assertEquals(usableEnd(SDMA, 8 * TIB - 1, 4 * GIB, 0), 4 * TIB - 1);
  assertEquals(usableEnd(SDMA, 4 * TIB - 1, 4 * GIB, 0), 4 * TIB - 1);
  assertEquals(usableEnd(SDMA, 4 * TIB - 4097, 4 * GIB, 0), 4 * TIB - 4097);
  assertEquals([tableEnd(EDMA), tableEnd(4 * TIB - 1)], [2n ** 42n - 1n, 2n ** 42n - 1n]);
});
