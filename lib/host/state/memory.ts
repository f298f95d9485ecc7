/** What the checks of saved state share: how they say what is wrong, and which memory is there. */
import { PAGE_SIZE, type StorageState } from "../../zpci/storage.ts";

/** Says that something is wrong in a row, at a path in it. */
export type Say = (path: string, what: string) => void;

/** Values that are there twice, once each. */
export function doubles<Of>(values: Iterable<Of>): Of[] {
  const seen = new Set<Of>();
  const twice = new Set<Of>();
  for (const value of values) (seen.has(value) ? twice : seen).add(value);
  return [...twice];
}

/** A guest's memory: which of its addresses are there. */
export class SavedMemory {
  readonly #buffers: StorageState["buffers"];

  /** Of a row whose buffers rise. */
  constructor({ buffers }: StorageState) {
    this.#buffers = buffers;
  }

  /** All of `size` bytes at an address are in one buffer. */
  holds(address: number, size: number): boolean {
    let low = 0;
    let high = this.#buffers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#buffers[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    const buffer = this.#buffers[low - 1];
    return buffer !== undefined && address + size <= buffer.address + buffer.size;
  }

  /** A buffer of one page begins at the address. */
  isPage(address: number): boolean {
    return this.#buffers.some((buffer) => buffer.address === address && buffer.size === PAGE_SIZE);
  }
}
