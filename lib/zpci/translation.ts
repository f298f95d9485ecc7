/**
 * DMA address translation: what a function's I/O address translation anchor (iota) leads to.
 *
 * The tables of the real machine are region, segment and page tables in storage; here they are one sorted list of
 * contiguous mappings, which gives the same answers.
 */
import { Changes, Journal, type Rows } from "../base/journal.ts";
import { type DmaMemory, PAGE_SIZE } from "./storage.ts";

/** A contiguous mapping of DMA addresses to memory. Bytes; all page aligned. */
export interface Translation {
  readonly iova: number;
  readonly size: number;
  /** The device may read. */
  readonly read: boolean;
  /** The device may write. */
  readonly write: boolean;
  readonly buffer: DmaMemory;
  /** Offset of the mapping's first byte in the buffer. */
  readonly bufferOffset: number;
}

/** One DMA address space. Any number of functions may be registered with the same tables. */
export class TranslationTables {
  readonly #entries: Translation[] = [];
  /** Changes with every change of the mappings, so that a cached translation can be told to be stale. */
  generation = 0;
  /** Reads the mappings of a saved state; undefined once that is done. */
  #load: (() => void) | undefined = undefined;
  readonly #changes: Changes<Translation>;

  /** `write` writes the row of the mapping at an IOVA; without it nothing is stored. */
  constructor(journal: Journal = new Journal(), write?: ConstructorParameters<typeof Changes>[2]) {
    const put = (iova: number, entry: Translation | undefined) => {
      this.#takeOut(iova);
      if (entry !== undefined) this.#putIn(entry);
    };
    this.#changes = new Changes<Translation>(journal, put, write);
  }

  /** Whose rows tell of the mappings. */
  get rows(): Rows | undefined {
    return this.#changes.rows;
  }

  /** Has the mappings of a saved state inserted when somebody looks at them first. */
  loadLater(load: () => void): void {
    this.#load = () => {
      this.#load = undefined;
      load();
    };
  }

  /** All mappings by rising IOVA. */
  get entries(): readonly Translation[] {
    this.#load?.();
    return this.#entries;
  }

  /** Index of the first mapping that ends above `iova`. */
  #lowerBound(iova: number): number {
    this.#load?.();
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.#entries[middle]!;
      if (entry.iova + entry.size > iova) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The mapping that holds `iova`, or undefined. */
  find(iova: number): Translation | undefined {
    const entry = this.#entries[this.#lowerBound(iova)];
    return entry !== undefined && entry.iova <= iova ? entry : undefined;
  }

  /** Mappings that share a byte with `size` bytes at `iova`. */
  overlapping(iova: number, size: number): readonly Translation[] {
    const first = this.#lowerBound(iova);
    let end = first;
    while (end < this.#entries.length && this.#entries[end]!.iova < iova + size) end++;
    return this.#entries.slice(first, end);
  }

  /** Adds a mapping; the caller has made sure that it overlaps none. */
  insert(entry: Translation): void {
    this.#changes.note(entry.iova, undefined);
    this.#putIn(entry);
  }

  /** Removes the mapping that starts at `iova`. */
  remove(iova: number): void {
    const entry = this.find(iova);
    if (entry?.iova !== iova) return;
    this.#changes.note(iova, entry);
    this.#takeOut(iova);
  }

  #putIn(entry: Translation): void {
    this.#entries.splice(this.#lowerBound(entry.iova), 0, entry);
    this.generation++;
  }

  #takeOut(iova: number): void {
    const at = this.#lowerBound(iova);
    if (this.#entries[at]?.iova !== iova) return;
    this.#entries.splice(at, 1);
    this.generation++;
  }
}

/** I/O address translation as MPCIFC operation 4 registered it. */
export interface IoatRegistration {
  /** Storage address of the tables' origin, as the iota designates them. */
  readonly origin: number;
  readonly tables: TranslationTables;
  /** First DMA address, page aligned. */
  readonly pba: number;
  /** Last DMA address, inclusive. */
  readonly pal: number;
}

/**
 * The last usable DMA address of a registration. Linux passes `pal` one page too high for ISM, because the ISM
 * virtual device is off by one page (arch/s390/pci/pci.c: zpci_register_ioat); so one page is taken off again.
 */
export function usableLimit(pal: number, palQuirk: boolean): number {
  return palQuirk ? pal - PAGE_SIZE : pal;
}
