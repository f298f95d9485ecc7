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

/** Contiguous memory that DMA addresses lead to: a buffer of a partition's storage, or memory of a real process. */
export interface DmaMemory {
  readonly address: number;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Read-modify-writes are one step, as on the machine. Where they are two, a bit of the same byte that a program clears
   * between them is set again.
   */
  readonly atomic: boolean;
  /** A device's store: the first `length` bytes of `source` at `offset`. The caller has checked the range. */
  store(offset: number, source: Uint8Array, length: number): void;
  /** One byte, as a device's load. */
  byteAt(offset: number): number;
  /** A device's read-modify-write of one byte; bits that are set already are left alone. @returns the byte before */
  setBits(offset: number, mask: number): number;
}

/** State of a page of a buffer. */
const ABSENT = 1;
const DIRTY = 2;

/**
 * One allocation: contiguous bytes with a mark per page. Nothing but address and size exists until it is touched, so
 * that a host with thousands of buffers loads fast.
 */
export class StorageBuffer implements DmaMemory {
  readonly address: number;
  /** Size in bytes, a multiple of the page size. */
  readonly size: number;
  readonly atomic = true;
  readonly #source: PageSource | undefined;
  #bytes: Uint8Array | undefined = undefined;
  #pages: Uint8Array | undefined = undefined;

  constructor(address: number, size: number, source?: PageSource) {
    this.address = address;
    this.size = size;
    this.#source = source;
  }

  /**
   * The buffer's bytes, with `length` bytes at `offset` present and, if `write`, marked dirty.
   * The caller has checked the range.
   */
  touch(offset: number, length: number, write: boolean): Uint8Array {
    const bytes = this.#bytes ?? this.#materialize();
    const pages = this.#pages!;
    const last = length === 0 ? offset : offset + length - 1;
    for (let page = Math.floor(offset / PAGE_SIZE); page * PAGE_SIZE <= last; page++) {
      if ((pages[page]! & ABSENT) !== 0) this.#fetch(bytes, pages, page);
      if (write) pages[page] = DIRTY;
    }
    return bytes;
  }

  store(offset: number, source: Uint8Array, length: number): void {
    const bytes = this.touch(offset, length, true);
    if (length > SHORT) {
      bytes.set(length === source.length ? source : viewOf(source, length), offset);
      return;
    }
    for (let i = 0; i < length; i++) bytes[offset + i] = source[i]!;
  }

  byteAt(offset: number): number {
    return this.touch(offset, 1, false)[offset]!;
  }

  setBits(offset: number, mask: number): number {
    const bytes = this.touch(offset, 1, true);
    const before = bytes[offset]!;
    bytes[offset] = before | mask;
    return before;
  }

  /** Offsets of the pages written since the last call of {@linkcode clean}. */
  *dirtyPages(): Generator<number> {
    const pages = this.#pages;
    if (pages === undefined) return;
    for (let page = 0; page < pages.length; page++) if ((pages[page]! & DIRTY) !== 0) yield page * PAGE_SIZE;
  }

  /** Forgets the dirty marks: the pages are stored. */
  clean(): void {
    const pages = this.#pages;
    if (pages === undefined) return;
    for (let page = 0; page < pages.length; page++) pages[page]! &= ~DIRTY;
  }

  #materialize(): Uint8Array {
    this.#pages = new Uint8Array(this.size / PAGE_SIZE);
    if (this.#source !== undefined) this.#pages.fill(ABSENT);
    return this.#bytes = new Uint8Array(this.size);
  }

  #fetch(bytes: Uint8Array, pages: Uint8Array, page: number): void {
    const stored = this.#source!.load(this.address + page * PAGE_SIZE);
    if (stored !== undefined) bytes.set(stored, page * PAGE_SIZE);
    pages[page] = 0;
  }
}

/** Below this many bytes a loop is faster than a call of the copy routine. */
const SHORT = 32;
/** Views of the last source by length, so that a repeated length costs no allocation. */
let viewedSource: Uint8Array | undefined = undefined;
let views: (Uint8Array | undefined)[] = [];

/** The first `length` bytes of a buffer. */
function viewOf(source: Uint8Array, length: number): Uint8Array {
  if (viewedSource !== source) {
    viewedSource = source;
    views = [];
  }
  return views[length] ??= source.subarray(0, length);
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
  /** Addresses of buffers that the operating system keeps to itself: no program's memory. */
  readonly reserved = new Set<number>();

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
    this.reserved.delete(address);
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

  /** Bytes from an address to the end of the buffer that holds it; 0 if none does. */
  bytesAt(address: number): number {
    const buffer = this.find(address, 1);
    return buffer === undefined ? 0 : buffer.address + buffer.size - address;
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
