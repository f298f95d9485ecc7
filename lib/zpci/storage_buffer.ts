/**
 * One allocation of a partition's storage: contiguous bytes, fetched and marked page by page, that DMA addresses lead to.
 */
import type { Changed } from "../base/journal.ts";
import type { MainStorage } from "./storage.ts";

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
  /** `length` bytes at `offset`, to the start of `into`, at once; 0 where there are none. The caller has checked the range. */
  load(offset: number, into: Uint8Array, length: number): void;
  /** A device's read-modify-write of one byte; bits that are set already are left alone. @returns the byte before */
  setBits(offset: number, mask: number): number;
  /**
   * Sets single bits of three bytes here that tell of a store, in this order: the store, the bit at `first`, the bit at
   * `second`, the bit at `last`. One operation, because memory of a real process takes it in fewer steps than its parts.
   *
   * @param data where the store goes, at `at`; undefined if it goes nowhere
   * @returns the byte at `last` before; if its bit was set it was so after the other two: who clears it finds them
   */
  tell(
    first: number,
    firstBit: number,
    second: number,
    secondBit: number,
    last: number,
    lastBit: number,
    data: DmaMemory | undefined,
    at: number,
    source: Uint8Array,
    length: number,
  ): number;
}

/** State of a page of a buffer. */
const ABSENT = 1;
const DIRTY = 2;
const CLEAN = 4;

/**
 * One allocation: contiguous bytes with a mark per page. Nothing but address and size exists until it is touched, so
 * that a host with thousands of buffers loads fast. In a transaction a page keeps its bytes before it is written first.
 */
export class StorageBuffer implements DmaMemory, Changed {
  readonly address: number;
  /** Size in bytes, a multiple of the page size. */
  readonly size: number;
  readonly atomic = true;
  /** Contents are stored page by page. */
  readonly rows = undefined;
  readonly #source: PageSource | undefined;
  readonly #home: MainStorage | undefined;
  #bytes: Uint8Array | undefined = undefined;
  #pages: Uint8Array | undefined = undefined;
  /** Bytes before the transaction of the pages that it wrote, by number. */
  #before: Map<number, Uint8Array> | undefined = undefined;

  /** `home` is the storage that it is a part of. */
  constructor(address: number, size: number, source?: PageSource, home?: MainStorage) {
    this.address = address;
    this.size = size;
    this.#source = source;
    this.#home = home;
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
      if (write && pages[page] !== DIRTY) this.#soil(bytes, pages, page);
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

  load(offset: number, into: Uint8Array, length: number): void {
    into.set(this.touch(offset, length, false).subarray(offset, offset + length));
  }

  setBits(offset: number, mask: number): number {
    const bytes = this.touch(offset, 1, true);
    const before = bytes[offset]!;
    bytes[offset] = before | mask;
    return before;
  }

  tell(
    first: number,
    firstBit: number,
    second: number,
    secondBit: number,
    last: number,
    lastBit: number,
    data: DmaMemory | undefined,
    at: number,
    source: Uint8Array,
    length: number,
  ): number {
    data?.store(at, source, length);
    this.setBits(first, firstBit);
    this.setBits(second, secondBit);
    return this.setBits(last, lastBit);
  }

  /** Offsets of the pages written since the last call of {@linkcode clean}. */
  *dirtyPages(): Generator<number> {
    const pages = this.#pages;
    if (pages === undefined) return;
    for (let page = 0; page < pages.length; page++) if ((pages[page]! & DIRTY) !== 0) yield page * PAGE_SIZE;
  }

  /** Offsets of the pages that the open transaction wrote. */
  *changedPages(): Generator<number> {
    for (const page of this.#before?.keys() ?? []) yield page * PAGE_SIZE;
  }

  /** Has the page at an offset read again when it is touched: another process has changed what is stored of it. */
  forget(offset: number): void {
    // Nothing of a loaded buffer that was not touched is there; one that was allocated here is thought to be zeros.
    if (this.#pages === undefined && this.#source !== undefined) return;
    if (this.#pages === undefined) this.#materialize();
    this.#pages![offset / PAGE_SIZE] = ABSENT;
  }

  /**
   * Which bytes of the page at an offset, which the open transaction wrote, are not as before: offsets in the buffer, in
   * words of four bytes, and what lies between two that are close to each other.
   */
  differences(offset: number): (readonly [from: number, to: number])[] {
    const before = this.#before?.get(offset / PAGE_SIZE);
    if (before === undefined) return [[offset, offset + PAGE_SIZE]];
    const bytes = this.#bytes!;
    const old = new Int32Array(before.buffer, before.byteOffset, WORDS);
    const now = new Int32Array(bytes.buffer, bytes.byteOffset + offset, WORDS);
    const found: [number, number][] = [];
    let last: [number, number] | undefined = undefined;
    for (let word = 0; word < WORDS; word++) {
      if (old[word] === now[word]) continue;
      const at = offset + word * WORD;
      if (last !== undefined && at - last[1] <= CLOSE) last[1] = at + WORD;
      else found.push(last = [at, at + WORD]);
    }
    return found;
  }

  /** Forgets all dirty marks: the pages are stored. */
  clean(): void {
    this.#pages?.forEach((mark, page, pages) => pages[page] = mark === DIRTY ? CLEAN : mark);
  }

  /** Offsets of the pages that were ever written since the buffer is in memory. */
  *writtenPages(): Generator<number> {
    const pages = this.#pages ?? [];
    for (let page = 0; page < pages.length; page++) {
      if ((pages[page]! & (DIRTY | CLEAN)) !== 0) yield page * PAGE_SIZE;
    }
  }

  settle(): void {
    for (const page of this.#before!.keys()) this.#pages![page] = CLEAN;
    this.#forget();
  }

  revert(): void {
    for (const [page, bytes] of this.#before!) {
      this.#bytes!.set(bytes, page * PAGE_SIZE);
      this.#pages![page] = CLEAN;
    }
    this.#forget();
  }

  #forget(): void {
    for (const page of this.#before!.values()) if (SPARE.length < MOST_SPARE) SPARE.push(page);
    this.#before = undefined;
    this.#home!.changed.delete(this);
  }

  #soil(bytes: Uint8Array, pages: Uint8Array, page: number): void {
    pages[page] = DIRTY;
    const home = this.#home;
    if (home?.journal.isOpen !== true) return;
    if (this.#before === undefined) {
      this.#before = new Map();
      home.changed.add(this);
      home.journal.add(this);
    }
    const before = SPARE.pop() ?? new Uint8Array(PAGE_SIZE);
    before.set(bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE));
    this.#before.set(page, before);
  }

  #materialize(): Uint8Array {
    this.#pages = new Uint8Array(this.size / PAGE_SIZE);
    if (this.#source !== undefined) this.#pages.fill(ABSENT);
    return this.#bytes = new Uint8Array(this.size);
  }

  #fetch(bytes: Uint8Array, pages: Uint8Array, page: number): void {
    const stored = (this.#source ?? this.#home?.source)?.load(this.address + page * PAGE_SIZE);
    if (stored !== undefined) bytes.set(stored, page * PAGE_SIZE);
    else bytes.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    pages[page] = 0;
  }
}

/** Pages for bytes of before a transaction, used again by the next one. */
const SPARE: Uint8Array[] = [];
const MOST_SPARE = 64;

const WORD = Int32Array.BYTES_PER_ELEMENT;
const WORDS = PAGE_SIZE / WORD;
/** Two changes that are no more bytes apart are one: to tell of each costs as much. */
const CLOSE = 16;

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
