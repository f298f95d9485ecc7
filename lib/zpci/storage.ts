/**
 * Main storage of one partition, as far as PCI sees it: buffers that its programs allocated.
 *
 * Addresses are byte addresses; buffers are page aligned with an unbacked page between them, so a range that leaves
 * its buffer is an addressing fault and never another buffer.
 */

import { Changes, Journal, Kept, KeptMap, type PutRow } from "../base/journal.ts";
import { PAGE_SIZE, pageRound, type PageSource, StorageBuffer } from "./storage_buffer.ts";

export { type DmaMemory, PAGE_SIZE, pageRound, type PageSource, StorageBuffer } from "./storage_buffer.ts";

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
export class MainStorage extends Kept {
  #buffers: StorageBuffer[] = [];
  #next = FIRST_ADDRESS;
  /** What was found last is often looked for again. */
  #lastFound: StorageBuffer | undefined = undefined;
  /** Most bytes that may be allocated at once. */
  readonly limit: number;
  #allocated = 0;
  /** Reads the buffers of a saved state; undefined once that is done. */
  #load: (() => void) | undefined = undefined;
  readonly #changes: Changes<StorageBuffer>;
  readonly #key: string;
  /** Buffers that the open transaction wrote to. */
  readonly changed = new Set<StorageBuffer>();
  /** Addresses of buffers that the operating system keeps to itself: no program's memory. */
  readonly reserved: KeptMap<true>;
  /** Where pages come from that are stored; undefined for storage that never was. */
  source: PageSource | undefined = undefined;

  /** `key` is that of its row in the saved state. */
  constructor(limit: number, journal: Journal = new Journal(), key = "storage") {
    super(journal);
    this.limit = limit;
    this.#key = key;
    this.reserved = new KeptMap(journal);
    this.#changes = new Changes<StorageBuffer>(
      journal,
      (address, buffer) => {
        this.#takeOut(address);
        if (buffer !== undefined) this.#putIn(buffer);
      },
      (put, address) => {
        const buffer = this.#startingAt(address);
        put(`${key}/buffers`, buffer === undefined ? undefined : { address, size: buffer.size }, address);
      },
    );
  }

  get rows(): this {
    return this;
  }

  /** Bytes allocated now. */
  get allocated(): number {
    this.#load?.();
    return this.#allocated;
  }

  /** Every buffer, by rising address. */
  get buffers(): readonly StorageBuffer[] {
    this.#load?.();
    return this.#buffers;
  }

  /** Allocates zeroed storage, whole pages; undefined if the limit would be passed. Bytes. */
  allocate(size: number): StorageBuffer | undefined {
    const rounded = pageRound(size);
    if (rounded === 0 || this.allocated + rounded > this.limit) return undefined;
    if (this.#next + rounded > STORAGE_LIMIT) return undefined;
    this.touch();
    const buffer = new StorageBuffer(this.#next, rounded, undefined, this);
    this.#changes.note(buffer.address, undefined);
    this.#next += rounded + PAGE_SIZE;
    this.#putIn(buffer);
    return buffer;
  }

  /** Frees the buffer that starts at an address; false if none does. Its address is never handed out again. */
  free(address: number): boolean {
    const buffer = this.#startingAt(address);
    if (buffer === undefined) return false;
    this.touch();
    this.reserved.delete(address);
    this.#changes.note(address, buffer);
    this.#takeOut(address);
    return true;
  }

  /** The buffer that holds all of `length` bytes at `address`, or undefined. */
  find(address: number, length: number): StorageBuffer | undefined {
    const last = this.#lastFound;
    if (last !== undefined && address >= last.address && address + length <= last.address + last.size) {
      return last;
    }
    const buffer = this.buffers[this.#indexBehind(address) - 1];
    if (buffer === undefined || address + length > buffer.address + buffer.size) return undefined;
    return this.#lastFound = buffer;
  }

  /** Bytes from an address to the end of the buffer that holds it; 0 if none does. */
  bytesAt(address: number): number {
    const buffer = this.find(address, 1);
    return buffer === undefined ? 0 : buffer.address + buffer.size - address;
  }

  /** Ranges that the open transaction freed. Bytes. */
  *freed(): Generator<{ readonly address: number; readonly size: number }> {
    for (const [address, before] of this.#changes.before) {
      if (before !== undefined && this.#startingAt(address) === undefined) yield before;
    }
  }

  /** Has the pages that a range lies in read again when they are touched. Bytes. */
  forget(address: number, length: number): void {
    // Buffers that nobody has looked at have none.
    if (this.#load !== undefined) return;
    for (let at = address - address % PAGE_SIZE; at < address + length; at += PAGE_SIZE) {
      const buffer = this.find(at, PAGE_SIZE);
      buffer?.forget(at - buffer.address);
    }
  }

  /** Whether a buffer is one of these. */
  has(buffer: StorageBuffer): boolean {
    return this.#startingAt(buffer.address) === buffer;
  }

  /** State for the host file; contents travel page by page. */
  save(): StorageState {
    return {
      next: this.#next,
      buffers: this.buffers.map(({ address, size }) => ({ address, size })),
    };
  }

  writeRows(put: PutRow): void {
    put(this.#key, { next: this.#next, buffers: this.buffers.length });
  }

  /** Storage with the buffers of a state, which are read when they are needed; their pages come from `source`. */
  static restore(
    limit: number,
    state: StorageState,
    source: PageSource,
    journal?: Journal,
    key?: string,
  ): MainStorage {
    const storage = new MainStorage(limit, journal, key);
    storage.#next = state.next;
    storage.source = source;
    storage.#load = () => {
      storage.#load = undefined;
      storage.#buffers = state.buffers.map(({ address, size }) =>
        new StorageBuffer(address, size, source, storage)
      );
      storage.#allocated = storage.#buffers.reduce((sum, { size }) => sum + size, 0);
    };
    return storage;
  }

  protected override remember(): () => void {
    const next = this.#next;
    return () => this.#next = next;
  }

  #startingAt(address: number): StorageBuffer | undefined {
    const buffer = this.buffers[this.#indexBehind(address) - 1];
    return buffer?.address === address ? buffer : undefined;
  }

  #putIn(buffer: StorageBuffer): void {
    this.#buffers.splice(this.#indexBehind(buffer.address), 0, buffer);
    this.#allocated += buffer.size;
  }

  #takeOut(address: number): void {
    const buffer = this.#startingAt(address);
    if (buffer === undefined) return;
    this.#buffers.splice(this.#indexBehind(address) - 1, 1);
    this.#lastFound = undefined;
    this.#allocated -= buffer.size;
  }

  /** Index of the first buffer that begins behind an address. */
  #indexBehind(address: number): number {
    const buffers = this.#buffers;
    let low = 0;
    let high = buffers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (buffers[middle]!.address <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
