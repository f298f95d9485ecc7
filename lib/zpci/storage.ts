/**
 * Main storage of one partition, as far as PCI sees it: buffers that its programs allocated.
 *
 * Addresses are byte addresses; buffers are page aligned with an unbacked page between them, so a range that leaves
 * its buffer is an addressing fault and never another buffer.
 */

/** Page size of storage and of DMA translation, in bytes. */
export const PAGE_SIZE = 4096;

/** Rounds up to whole pages. Bytes. */
export function pageRound(size: number): number {
  return Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
}

/** Where pages of a buffer come from that have not been touched since the host was loaded. */
export interface PageSource {
  /** The page's bytes (4096), or undefined if it was never written. */
  load(address: number): Uint8Array | undefined;
}

/** One allocation: contiguous bytes with a dirty mark per page. Its bytes exist only once they are touched. */
export class StorageBuffer {
  readonly address: number;
  /** Size in bytes, a multiple of the page size. */
  readonly size: number;
  #bytes: Uint8Array | undefined;
  #dirty: Uint8Array;
  #absent: Uint8Array | undefined;
  #absentCount = 0;
  #source: PageSource | undefined;

  constructor(address: number, size: number, source?: PageSource) {
    this.address = address;
    this.size = size;
    const pages = size / PAGE_SIZE;
    this.#dirty = new Uint8Array(pages);
    if (source !== undefined) {
      this.#source = source;
      this.#absent = new Uint8Array(pages).fill(1);
      this.#absentCount = pages;
    }
  }

  /**
   * The buffer's bytes, with `length` bytes at `offset` present and, if `write`, marked dirty.
   * The caller has checked the range.
   */
  touch(offset: number, length: number, write: boolean): Uint8Array {
    const bytes = this.#bytes ??= new Uint8Array(this.size);
    const first = Math.floor(offset / PAGE_SIZE);
    const last = length === 0 ? first : Math.floor((offset + length - 1) / PAGE_SIZE);
    if (this.#absent !== undefined) this.#fetch(bytes, first, last);
    if (write) { for (let page = first; page <= last; page++) this.#dirty[page] = 1; }
    return bytes;
  }

  /** Offsets of the pages written since the last call of {@linkcode clean}. */
  *dirtyPages(): Generator<number> {
    for (let page = 0; page < this.#dirty.length; page++) {
      if (this.#dirty[page] === 1) yield page * PAGE_SIZE;
    }
  }

  /** Forgets the dirty marks: the pages are stored. */
  clean(): void {
    this.#dirty.fill(0);
  }

  #fetch(bytes: Uint8Array, first: number, last: number): void {
    const absent = this.#absent!;
    for (let page = first; page <= last; page++) {
      if (absent[page] !== 1) continue;
      const stored = this.#source!.load(this.address + page * PAGE_SIZE);
      if (stored !== undefined) bytes.set(stored, page * PAGE_SIZE);
      absent[page] = 0;
      this.#absentCount--;
    }
    if (this.#absentCount === 0) this.#absent = undefined;
  }
}

/** State of a partition's storage without its contents. */
export interface StorageState {
  readonly next: number;
  readonly buffers: readonly { readonly address: number; readonly size: number }[];
}

/** Lowest address handed out, so that small wrong addresses hit nothing. */
const FIRST_ADDRESS = 0x10_0000;
/** Highest address handed out plus one: far below 2^53. */
const STORAGE_LIMIT = 2 ** 44;

/** All buffers of one partition, found by address. */
export class MainStorage {
  #buffers: StorageBuffer[] = [];
  #next = FIRST_ADDRESS;
  /** Most bytes that may be allocated at once. */
  readonly limit: number;
  #allocated = 0;
  #freed: { address: number; size: number }[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes allocated now. */
  get allocated(): number {
    return this.#allocated;
  }

  /** Every buffer, by rising address. */
  get buffers(): readonly StorageBuffer[] {
    return this.#buffers;
  }

  /** Allocates zeroed storage, whole pages; undefined if the limit would be passed. Bytes. */
  allocate(size: number): StorageBuffer | undefined {
    const rounded = pageRound(size);
    if (rounded === 0 || this.#allocated + rounded > this.limit) return undefined;
    if (this.#next + rounded > STORAGE_LIMIT) return undefined;
    const buffer = new StorageBuffer(this.#next, rounded);
    this.#next += rounded + PAGE_SIZE;
    this.#allocated += rounded;
    this.#buffers.push(buffer);
    return buffer;
  }

  /** Frees the buffer that starts at an address; false if none does. */
  free(address: number): boolean {
    const at = this.#buffers.findIndex((buffer) => buffer.address === address);
    if (at < 0) return false;
    const { size } = this.#buffers[at]!;
    this.#allocated -= size;
    this.#freed.push({ address, size });
    this.#buffers.splice(at, 1);
    return true;
  }

  /** The buffer that holds all of `length` bytes at `address`, or undefined. */
  find(address: number, length: number): StorageBuffer | undefined {
    let low = 0;
    let high = this.#buffers.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const buffer = this.#buffers[middle]!;
      if (address < buffer.address) high = middle - 1;
      else if (address >= buffer.address + buffer.size) low = middle + 1;
      else return address + length <= buffer.address + buffer.size ? buffer : undefined;
    }
    return undefined;
  }

  /** Ranges freed since the last call; addresses are never handed out again. */
  takeFreed(): readonly { readonly address: number; readonly size: number }[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  /** State for the host file; contents travel page by page. */
  save(): StorageState {
    return {
      next: this.#next,
      buffers: this.#buffers.map(({ address, size }) => ({ address, size })),
    };
  }

  /** Storage with the buffers of a state, their pages fetched from `source` when touched. */
  static restore(limit: number, state: StorageState, source: PageSource): MainStorage {
    const storage = new MainStorage(limit);
    storage.#next = state.next;
    storage.#buffers = state.buffers.map(({ address, size }) => new StorageBuffer(address, size, source));
    storage.#allocated = state.buffers.reduce((sum, { size }) => sum + size, 0);
    return storage;
  }
}
