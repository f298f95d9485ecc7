/** Where the driver puts its DMA addresses: first fit above the function's start address. */
import { PAGE_SIZE } from "../../zpci/storage.ts";

/** An address range that is in use. Bytes. */
export interface Range {
  readonly iova: number;
  readonly size: number;
}

/**
 * The lowest free address for `size` bytes between `first` and `last`, aligned to the next power of two of the size
 * (at least a page). That keeps a DMB of up to 1 MiB from crossing a 1 MiB boundary (ism.dmb.limits).
 *
 * @returns undefined if there is no room
 */
export function firstFit(
  used: readonly Range[],
  first: number,
  last: number,
  size: number,
): number | undefined {
  const alignment = alignmentOf(size);
  let at = roundUp(first, alignment);
  for (const { iova, size: length } of [...used].sort((a, b) => a.iova - b.iova)) {
    if (at + size <= iova) break;
    if (iova + length > at) at = roundUp(iova + length, alignment);
  }
  return at + size - 1 <= last ? at : undefined;
}

function alignmentOf(size: number): number {
  return Math.max(PAGE_SIZE, 2 ** Math.ceil(Math.log2(size)));
}

function roundUp(address: number, alignment: number): number {
  return Math.ceil(address / alignment) * alignment;
}

/**
 * The addresses of one function: what {@linkcode firstFit} says of all ranges that are in use, without looking at each
 * of them every time. The ranges are kept by rising address, and for each size the place below which nothing fits.
 */
export class IovaSpace {
  readonly #first: number;
  readonly #last: number;
  readonly #used: Range[] = [];
  /** By size: no free place of that size begins below this address. */
  readonly #floors = new Map<number, number>();
  /** Ranges that overlap others; while there are any, the short way is not open. */
  #overlaps = 0;

  /** Addresses from `first` to `last`, both inclusive. */
  constructor(first: number, last: number, used: Iterable<Range> = []) {
    this.#first = first;
    this.#last = last;
    for (const range of [...used].sort((a, b) => a.iova - b.iova)) this.add(range);
  }

  /** The lowest free address for `size` bytes, as {@linkcode firstFit} finds it. Nothing is taken. */
  find(size: number): number | undefined {
    if (this.#overlaps > 0) return firstFit(this.#used, this.#first, this.#last, size);
    const alignment = alignmentOf(size);
    let at = roundUp(Math.max(this.#first, this.#floors.get(size) ?? 0), alignment);
    for (let i = this.#firstEndingAbove(at); i < this.#used.length; i++) {
      const { iova, size: length } = this.#used[i]!;
      if (at + size <= iova) break;
      if (iova + length > at) at = roundUp(iova + length, alignment);
    }
    this.#floors.set(size, at);
    return at + size - 1 <= this.#last ? at : undefined;
  }

  /** Takes a range, wherever it is. */
  add({ iova, size }: Range): void {
    const at = this.#indexOf(iova);
    const before = this.#used[at - 1];
    const after = this.#used[at];
    const overlaps = (before !== undefined && before.iova + before.size > iova) ||
      (after !== undefined && iova + size > after.iova);
    if (overlaps || this.#overlaps > 0) this.#overlaps++;
    this.#used.splice(at, 0, { iova, size });
  }

  /** Gives a range back that was taken just so. */
  remove({ iova, size }: Range): void {
    let at = this.#indexOf(iova);
    while (this.#used[at]?.iova === iova && this.#used[at]?.size !== size) at++;
    if (this.#used[at]?.iova !== iova) return;
    this.#used.splice(at, 1);
    if (this.#overlaps > 0) return this.#countOverlaps();
    const before = this.#used[at - 1];
    const free = before === undefined ? this.#first : before.iova + before.size;
    for (const [each, floor] of this.#floors) if (floor > free) this.#floors.set(each, free);
  }

  /** Somebody unmapped a range by other means, and mapped another one over it: that is rare, and soon over. */
  #countOverlaps(): void {
    const ranges = this.#used.splice(0);
    this.#floors.clear();
    this.#overlaps = 0;
    for (const range of ranges) this.add(range);
  }

  /** Index of the first range at or above an address. */
  #indexOf(iova: number): number {
    return this.#search((range) => range.iova >= iova);
  }

  /** Index of the first range that ends above an address; ranges do not overlap. */
  #firstEndingAbove(address: number): number {
    return this.#search((range) => range.iova + range.size > address);
  }

  #search(isBehind: (range: Range) => boolean): number {
    let low = 0;
    let high = this.#used.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBehind(this.#used[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
