/** Which mappings of an address space have pages that may be written, and which share their pages with others. */
import { refill } from "../../base/journal.ts";

/** The part of the host file that the pages need. */
export interface MappedPagesState {
  /** IOVAs of mappings that are read-only although their pages may be written. */
  readonly writablePages: readonly number[];
  /** Mappings that share their pages with others: IOVA, and a number that they have in common. */
  readonly shared: readonly (readonly [iova: number, pages: number])[];
}

/** Pages by the IOVA of their mapping. */
export class MappedPages {
  readonly #writable = new Set<number>();
  readonly #shared = new Map<number, number>();

  /** The mapping is read-only, but its pages may be written. */
  setWritable(iova: number): void {
    this.#writable.add(iova);
  }

  areWritable(iova: number): boolean {
    return this.#writable.has(iova);
  }

  /** The number that the pages have in common with those of other mappings, undefined if they are its own. */
  shared(iova: number): number | undefined {
    return this.#shared.get(iova);
  }

  /** The largest number of shared pages, 0 without. */
  get lastShared(): number {
    return Math.max(0, ...this.#shared.values());
  }

  /**
   * A mapping has the same pages as one at `source` of `from`, which may be these. `next` gives a number for pages that
   * nobody shared before.
   *
   * @returns what takes that back for the source
   */
  share(iova: number, from: MappedPages, source: number, next: () => number): () => void {
    const known = from.#shared.get(source);
    const pages = known ?? next();
    from.#shared.set(source, pages);
    this.#shared.set(iova, pages);
    return () => {
      if (known === undefined) from.#shared.delete(source);
    };
  }

  /** A mapping is gone. */
  remove(iova: number): void {
    this.#writable.delete(iova);
    this.#shared.delete(iova);
  }

  /** A mapping was cut: what was behind it begins at `next`. */
  split(iova: number, next: number): void {
    if (this.#writable.has(iova)) this.#writable.add(next);
    const shared = this.#shared.get(iova);
    if (shared !== undefined) this.#shared.set(next, shared);
  }

  /** @returns what puts it back as it is now */
  remember(): () => void {
    const [writable, shared] = [[...this.#writable], [...this.#shared]];
    return () => {
      refill(this.#writable, writable);
      this.#shared.clear();
      for (const [iova, pages] of shared) this.#shared.set(iova, pages);
    };
  }

  save(): MappedPagesState {
    return { writablePages: [...this.#writable], shared: [...this.#shared] };
  }

  restore({ writablePages, shared }: MappedPagesState): void {
    for (const iova of writablePages) this.#writable.add(iova);
    for (const [iova, pages] of shared) this.#shared.set(iova, pages);
  }
}
