/**
 * The mappings of an I/O address space of an iommufd, apart from who uses them: which memory they show, what may be
 * reserved beside them, how they are cut and copied. Facts: vfio.iommufd.map, vfio.iommufd.pages and
 * vfio.iommufd.window (drivers/iommu/iommufd/io_pagetable.c, pages.c).
 */
import { Kept } from "../../base/journal.ts";
import { hex } from "../../base/hex.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Translation, TranslationTables } from "../../zpci/translation.ts";
import type { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import type { IommuDomain, MemorySource } from "./iommu_domain.ts";
import {
  checkAligned,
  checkIova,
  chooseIova,
  type IovaRange,
  type IovaSpace,
  MAX_64,
  refuseIova,
} from "./iova_space.ts";
import type { Piece } from "./pieces.ts";
import { MappedPages, type MappedPagesState } from "./mapped_pages.ts";
import { iommufdLocked, lockLimit, lockRefusal, type TakenPages } from "./locked_memory.ts";

const PAGES = "drivers/iommu/iommufd/pages.c";

/** What a mapping asks for. */
export interface MapRequest {
  /** Where it goes; undefined leaves the choice to the kernel. */
  readonly iova: bigint | undefined;
  readonly length: bigint;
  /** What the device may do. */
  readonly read: boolean;
  readonly write: boolean;
}

/** The part of the host file that the mappings need; 64-bit addresses as `0x…`. */
export interface IoPagetableState extends MappedPagesState {
  readonly hugePages: boolean;
  readonly allowed: readonly (readonly [first: string, last: string])[];
}

/** Mappings of an address space. */
export abstract class IoPagetable extends Kept implements IovaSpace {
  readonly domain: IommuDomain;
  protected readonly kernel: Kernel;
  /** Option HUGE_PAGES; without it a mapping can be cut, and addresses are whole pages. */
  #hugePages = true;
  /** Where the kernel places mappings (ALLOW_IOVAS); empty for anywhere. By rising address. */
  #allowed: readonly IovaRange[] = [];
  readonly #pages = new MappedPages();
  /** While the first page table is filled: mappings whose pages were taken. */
  #filled = 0;

  constructor(kernel: Kernel, domain: IommuDomain) {
    super(kernel.journal);
    this.kernel = kernel;
    this.domain = domain;
  }

  /** There is a page table: pages are taken, and what it cannot translate is reserved. */
  abstract readonly hasTable: boolean;
  abstract readonly range: IovaRange;

  get tables(): TranslationTables {
    return this.domain.tables;
  }

  get hugePages(): boolean {
    return this.#hugePages;
  }

  /** Page tables and cut mappings need whole pages (iopt_calculate_iova_alignment). Bytes. */
  get alignment(): number {
    return !this.hasTable && this.#hugePages ? 1 : PAGE_SIZE;
  }

  /** Pages that are taken, for the count of locked memory. */
  *takenPages(): Generator<TakenPages> {
    const { entries } = this.tables;
    for (
      const { iova, size, buffer, bufferOffset } of this.hasTable ? entries : entries.slice(0, this.#filled)
    ) {
      yield { shared: this.#pages.shared(iova), vaddr: buffer.address + bufferOffset, size };
    }
  }

  /** Says where the kernel may place mappings. @throws {ErrnoError} EADDRINUSE if a range is reserved */
  allow(ranges: readonly IovaRange[]): void {
    const [start, end] = this.range;
    for (const [first, last] of ranges) {
      if (first >= start && last <= end) continue;
      const what = `The range from ${hex(first)} to ${hex(last)}`;
      throw refuseIova(
        "EADDRINUSE",
        "vfio.iommufd.map",
        "reserved range",
        "iopt_set_allow_iova",
        `${what} is reserved in part`,
      );
    }
    this.touch();
    this.#allowed = [...ranges].sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** Option HUGE_PAGES. @throws {ErrnoError} EINVAL if mappings may be large already, EADDRINUSE if one is no page */
  setHugePages(wanted: boolean): void {
    const symbol = "iopt_disable_large_pages";
    if (!wanted && this.#hugePages) {
      if (this.hasTable && this.tables.entries.length > 0) {
        throw refuseIova(
          "EINVAL",
          "vfio.iommufd.map",
          "large pages",
          symbol,
          "A page table already holds the mappings of the IOAS",
        );
      }
      this.#checkWholePages(symbol);
    }
    this.touch();
    this.#hugePages = wanted;
  }

  #checkWholePages(symbol: string): void {
    const odd = this.domain.mappings().find(({ iova, size, vaddr }) =>
      [iova, size, vaddr].some((value) => value % PAGE_SIZE !== 0)
    );
    if (odd === undefined) return;
    throw refuseIova(
      "EADDRINUSE",
      "vfio.iommufd.map",
      "alignment",
      symbol,
      `The mapping at ${hex(odd.iova)} is no whole pages`,
    );
  }

  /** What lies outside of a range can be reserved: nothing there is mapped or allowed. @throws {ErrnoError} EADDRINUSE */
  protected checkReservable([start, end]: IovaRange, symbol: string): void {
    const conflict = (what: string) =>
      refuseIova(
        "EADDRINUSE",
        "vfio.iommufd.map",
        "reserved range",
        symbol,
        `${what} is outside ${hex(start)} to ${hex(end)}`,
      );
    for (const { iova, size } of this.tables.entries) {
      if (BigInt(iova) >= start && BigInt(iova) + BigInt(size) - 1n <= end) continue;
      throw conflict(`The mapping at ${hex(iova)}`);
    }
    for (const [first, last] of this.#allowed) {
      if (first >= start && last <= end) continue;
      throw conflict(`The allowed range from ${hex(first)} to ${hex(last)}`);
    }
  }

  /**
   * The first page table is filled: all mappings are whole pages in its reach, and their memory is there
   * (io_pagetable.c: iopt_table_add_domain).
   *
   * @throws {ErrnoError} EADDRINUSE, EFAULT, ENOMEM; EIO if a function refuses the translations
   */
  protected fill(): void {
    const symbol = "iopt_table_add_domain";
    this.#checkWholePages(symbol);
    this.checkReservable([0n, this.kernel.tableEnd], symbol);
    try {
      for (const mapping of [...this.tables.entries]) {
        if (!this.domain.takePages(mapping)) throw notThere(mapping.buffer.address + mapping.bufferOffset);
        this.domain.refresh(mapping.iova, mapping.size);
        this.#filled++;
        this.#checkLocked("iopt_area_fill_domain");
      }
    } finally {
      this.#filled = 0;
    }
  }

  /** The limit is looked at when the pages were taken. @throws {ErrnoError} ENOMEM */
  #checkLocked(symbol: string): void {
    const limit = lockLimit(this.kernel);
    if (limit !== Infinity && iommufdLocked(this.kernel) > limit) {
      throw lockRefusal(this.kernel, `${PAGES}: ${symbol}`);
    }
  }

  /** Maps memory of the process. @returns its DMA address @throws {ErrnoError} in the order of iopt_map_user_pages */
  mapUser(vaddr: bigint, request: MapRequest, space: MemorySource): bigint {
    const { length, write } = request;
    if (vaddr + length > MAX_64) {
      const source = `${PAGES}: iopt_alloc_user_pages`;
      throw coreError(
        "EOVERFLOW",
        "vfio.iommufd.map",
        "address wrap",
        source,
        "Address plus length passes 2^64",
      );
    }
    return this.mapPieces([{ space, vaddr, size: length, writable: write }], request);
  }

  /** Maps pieces of memory one behind the other. @returns the first DMA address @throws {ErrnoError} */
  mapPieces(pieces: readonly Piece[], request: MapRequest): bigint {
    const { read, write } = request;
    const at = this.place(request, pieces[0]!.vaddr);
    for (const { vaddr, writable } of pieces) {
      if (write && !writable) {
        const message = "The pages were mapped without WRITEABLE";
        throw refuseIova("EPERM", "vfio.iommufd.copy", "read-only pages", "iopt_insert_area", message);
      }
      checkAligned(this, vaddr, "iopt_insert_area");
    }
    this.touch();
    const undo: (() => void)[] = [];
    try {
      let iova = Number(at);
      for (const { space, vaddr, size, writable, of } of pieces) {
        const mapping = { iova, vaddr: Number(vaddr), size: Number(size), read, write };
        if (!this.hasTable) this.domain.enter(mapping, space);
        else if (!this.domain.map(mapping, space)) throw notThere(mapping.vaddr);
        undo.push(() => this.#remove(this.tables.find(mapping.iova)!));
        if (writable && !write) this.#pages.setWritable(iova);
        if (of !== undefined) undo.push(this.#share(iova, of));
        this.#checkLocked("iopt_area_fill_domains");
        iova += mapping.size;
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    return at;
  }

  /** A copy and what it is a copy of have the same pages from now on. @returns what takes that back */
  #share(iova: number, { from, iova: source }: NonNullable<Piece["of"]>): () => void {
    from.touch();
    return this.#pages.share(iova, from.#pages, source, () => 1 + this.sharedPages());
  }

  /** The largest number in use for shared pages in the iommufd. */
  protected abstract sharedPages(): number;

  /** The largest number of shared pages here, 0 without. */
  get lastShared(): number {
    return this.#pages.lastShared;
  }

  /**
   * Where a mapping goes, checks in the order of io_pagetable.c: iopt_alloc_area_pages. `address` is that of the
   * memory.
   *
   * @throws {ErrnoError} EINVAL, EOVERFLOW, EEXIST, ENOSPC
   */
  place({ iova, length }: MapRequest, address: bigint): bigint {
    const symbol = "iopt_alloc_area_pages";
    if (length === 0n) {
      throw refuseIova("EINVAL", "vfio.iommufd.map", "length 0", symbol, "A mapping needs a length");
    }
    checkAligned(this, length, symbol);
    if (iova === undefined) return chooseIova(this, this.#allowed, address, length);
    checkIova(this, iova, length);
    return iova;
  }

  /** The pages of a mapping may be written, whatever the device may do. */
  hasWritablePages({ iova, write }: Translation): boolean {
    return write || this.#pages.areWritable(iova);
  }

  /**
   * Unmaps what lies in a range, from the lowest mapping on, up to one that the range cuts.
   *
   * @returns bytes unmapped, and whether a mapping was cut (io_pagetable.c: iopt_unmap_iova_range)
   */
  unmap(first: bigint, last: bigint): { readonly bytes: number; readonly cut: boolean } {
    const from = Number(first);
    const to = Number(last + 1n);
    let bytes = 0;
    for (const mapping of this.tables.overlapping(from, to - from)) {
      if (mapping.iova < from || mapping.iova + mapping.size > to) return { bytes, cut: true };
      this.#remove(mapping);
      bytes += mapping.size;
    }
    return { bytes, cut: false };
  }

  #remove(mapping: Translation): void {
    this.touch();
    this.domain.unmap(mapping);
    this.#pages.remove(mapping.iova);
  }

  /** Cuts the mapping that holds an address into two, the first of which ends there (iopt_area_split). */
  cut(last: bigint): void {
    const mapping = this.tables.find(Number(last));
    if (mapping === undefined) return;
    const next = Number(last) + 1;
    if (Number(last) === mapping.iova || next === mapping.iova + mapping.size) return;
    checkAligned(this, last + 1n, "iopt_area_split");
    this.touch();
    this.domain.split(mapping, next);
    this.#pages.split(mapping.iova, next);
  }

  protected override remember(): () => void {
    const [hugePages, allowed, filled] = [this.#hugePages, this.#allowed, this.#filled];
    const pages = this.#pages.remember();
    return () => {
      this.#hugePages = hugePages;
      this.#allowed = allowed;
      this.#filled = filled;
      pages();
    };
  }

  protected savePagetable(): IoPagetableState {
    return {
      hugePages: this.#hugePages,
      allowed: this.#allowed.map(([first, last]) => [hex(first), hex(last)]),
      ...this.#pages.save(),
    };
  }

  protected restorePagetable({ hugePages, allowed, ...pages }: IoPagetableState): void {
    this.#hugePages = hugePages;
    this.#allowed = allowed.map(([first, last]) => [BigInt(first), BigInt(last)]);
    this.#pages.restore(pages);
  }
}

function notThere(vaddr: number): ErrnoError {
  const source = `${PAGES}: pfn_reader_user_pin`;
  return coreError(
    "EFAULT",
    "vfio.iommufd.pages",
    "pinning",
    source,
    `${hex(vaddr)} is not memory of the process`,
  );
}
