/**
 * An I/O address space of an iommufd: which addresses may be mapped, and where a mapping goes that the caller does not
 * place. Facts: docs/reference/vfio/iommufd.md (drivers/iommu/iommufd/io_pagetable.c, pages.c, ioas.c); what that does
 * not say cites the kernel symbol that the rule models.
 */
import type { RuleName } from "../../base/rule_names.ts";
import { hex } from "../../base/hex.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Translation } from "../../zpci/translation.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import type { AddressSpace } from "../process/address_space.ts";
import { type DomainState, IommuDomain } from "./iommu_domain.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import type { Zdev } from "../s390/zdev.ts";

/** Largest value of 64 bits, and the last DMA address of all. */
export const MAX_64 = 2n ** 64n - 1n;
const PAGE = BigInt(PAGE_SIZE);
/** Alignment that an address chosen by the kernel does not go beyond: a segment of s390 (HPAGE_SIZE). */
const SEGMENT = 0x10_0000n;
const IOPT = "drivers/iommu/iommufd/io_pagetable.c";

/** A refusal by the address space; `symbol` is a function of io_pagetable.c. */
function refuse(
  code: ErrnoName,
  ref: RuleName,
  rule: string,
  symbol: string,
  message: string,
): ErrnoError {
  return coreError(code, ref, rule, `${IOPT}: ${symbol}`, message);
}

/** First and last address of a range, both inclusive. */
export type IovaRange = readonly [first: bigint, last: bigint];

/** Memory of a process that one mapping shows: contiguous, with what its first mapping allowed. Bytes. */
export interface Piece {
  /** Where the memory is found: a process, or what another mapping holds already. */
  readonly space: Pick<AddressSpace, "find">;
  readonly vaddr: bigint;
  readonly size: bigint;
  /** The pages were taken for writing when they were mapped first. */
  readonly writable: boolean;
}

/** What a mapping asks for. */
export interface MapRequest {
  /** Where it goes; undefined leaves the choice to the kernel. */
  readonly iova: bigint | undefined;
  readonly length: bigint;
  /** What the device may do. */
  readonly read: boolean;
  readonly write: boolean;
}

/** An IOAS in the host file; 64-bit addresses as `0x…`. */
export interface IoasState {
  readonly id: number;
  readonly domain: DomainState;
  readonly hugePages: boolean;
  readonly allowed: readonly (readonly [first: string, last: string])[];
  /** IOVAs of mappings that are read-only although their pages may be written. */
  readonly writablePages: readonly number[];
  /** Object id of the page table that the last first ATTACH made, null before. */
  readonly pageTable: number | null;
}

/** An I/O address space. */
export class Ioas {
  readonly id: number;
  readonly domain: IommuDomain;
  /** Option HUGE_PAGES; without it a mapping can be cut, and addresses are whole pages. */
  #hugePages = true;
  /** Where the kernel places mappings (ALLOW_IOVAS); empty for anywhere. By rising address. */
  #allowed: readonly IovaRange[] = [];
  readonly #writablePages = new Set<number>();
  #pageTable: number | undefined = undefined;

  constructor(id: number, domain: IommuDomain) {
    this.id = id;
    this.domain = domain;
  }

  get hugePages(): boolean {
    return this.#hugePages;
  }

  /** Attached functions and cut mappings need whole pages (io_pagetable.c: iopt_calculate_iova_alignment). Bytes. */
  get alignment(): number {
    return this.domain.zdevs.size === 0 && this.#hugePages ? 1 : PAGE_SIZE;
  }

  /** First and last address that may be mapped: what is outside an attached function's DMA addresses is reserved. */
  get range(): IovaRange {
    let first = 0n;
    let last = MAX_64;
    for (const { facts } of this.domain.zdevs) {
      if (BigInt(facts.startDma) > first) first = BigInt(facts.startDma);
      if (BigInt(facts.endDma) < last) last = BigInt(facts.endDma);
    }
    return [first, last];
  }

  /** Object id of the page table that the attached functions share; undefined while there are none. */
  get pageTable(): number | undefined {
    return this.domain.zdevs.size === 0 ? undefined : this.#pageTable;
  }

  /**
   * ATTACH of a function: the first one gets a page table, which lives until the last one is detached
   * (drivers/iommu/iommufd/device.c: iommufd_device_auto_get_domain).
   *
   * @param newId gives the page table its object id
   * @returns the page table's object id
   * @throws {ErrnoError} EADDRINUSE if a mapping or an allowed range is out of its reach
   */
  attach(zdev: Zdev, newId: () => number): number {
    const { startDma, endDma } = zdev.facts;
    const conflict = (what: string) =>
      refuse(
        "EADDRINUSE",
        "vfio.iommufd.window",
        "reserved range",
        "iopt_table_enforce_dev_resv_regions",
        `${what} is outside the function's DMA addresses or no whole pages`,
      );
    for (const { iova, size, vaddr } of this.domain.mappings()) {
      const aligned = [iova, size, vaddr].every((value) => value % PAGE_SIZE === 0);
      if (iova >= startDma && iova + size - 1 <= endDma && aligned) continue;
      throw conflict(`The mapping at ${hex(iova)}`);
    }
    for (const [first, last] of this.#allowed) {
      if (first >= BigInt(startDma) && last <= BigInt(endDma)) continue;
      throw conflict(`The allowed range from ${hex(first)} to ${hex(last)}`);
    }
    const made = this.pageTable;
    zdev.attach(this.domain);
    return this.#pageTable = made ?? newId();
  }

  /** Says where the kernel may place mappings. @throws {ErrnoError} EADDRINUSE if a range is reserved */
  allow(ranges: readonly IovaRange[]): void {
    const [start, end] = this.range;
    for (const [first, last] of ranges) {
      if (first >= start && last <= end) continue;
      const what = `The range from ${hex(first)} to ${hex(last)}`;
      throw refuse(
        "EADDRINUSE",
        "vfio.iommufd.allow",
        "reserved range",
        "iopt_set_allow_iova",
        `${what} is reserved in part`,
      );
    }
    this.#allowed = [...ranges].sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** Option HUGE_PAGES. @throws {ErrnoError} EINVAL if mappings may be large already, EADDRINUSE if one is no page */
  setHugePages(wanted: boolean): void {
    const symbol = "iopt_disable_large_pages";
    const { zdevs, tables } = this.domain;
    if (!wanted && this.#hugePages) {
      if (zdevs.size > 0 && tables.entries.length > 0) {
        throw refuse(
          "EINVAL",
          "vfio.iommufd.option",
          "large pages",
          symbol,
          "A function already uses the mappings of the IOAS",
        );
      }
      const odd = this.domain.mappings().find((each) =>
        [each.iova, each.size, each.vaddr].some((value) => value % PAGE_SIZE !== 0)
      );
      if (odd !== undefined) {
        throw refuse(
          "EADDRINUSE",
          "vfio.iommufd.option",
          "alignment",
          symbol,
          `The mapping at ${hex(odd.iova)} is no whole pages`,
        );
      }
    }
    this.#hugePages = wanted;
  }

  /** Maps memory of the process. @returns its DMA address @throws {ErrnoError} in the order of iopt_map_user_pages */
  mapUser(vaddr: bigint, request: MapRequest, space: AddressSpace): bigint {
    const { length, write } = request;
    if (vaddr + length > MAX_64) {
      const message = "Address plus length passes 2^64";
      throw coreError(
        "EOVERFLOW",
        "vfio.iommufd.map",
        "address wrap",
        "drivers/iommu/iommufd/pages.c: iopt_alloc_user_pages",
        message,
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
        throw refuse(
          "EPERM",
          "vfio.iommufd.copy",
          "read-only pages",
          "iopt_insert_area",
          "The pages were mapped without WRITEABLE",
        );
      }
      this.#checkAligned(vaddr, "iopt_insert_area");
    }
    const done: number[] = [];
    try {
      let iova = at;
      for (const { space, vaddr, size, writable } of pieces) {
        if (!this.domain.map(Number(iova), Number(vaddr), Number(size), read, write, space)) {
          const source = "drivers/iommu/iommufd/pages.c: iopt_area_fill_domains";
          throw coreError(
            "EFAULT",
            "vfio.iommufd.pages",
            "pinning",
            source,
            `${hex(vaddr)} is not memory of the process`,
          );
        }
        done.push(Number(iova));
        if (writable && !write) this.#writablePages.add(Number(iova));
        iova += size;
      }
    } catch (error) {
      for (const iova of done) this.#remove(this.domain.tables.find(iova)!);
      throw error;
    }
    return at;
  }

  /**
   * Where a mapping goes, checks in the order of io_pagetable.c: iopt_alloc_area_pages. `address` is that of the
   * memory; one that the kernel places keeps its offset in a page and, up to a segment, its alignment.
   *
   * @throws {ErrnoError} EINVAL, EOVERFLOW, EEXIST, ENOSPC
   */
  place({ iova, length }: MapRequest, address: bigint): bigint {
    const symbol = "iopt_alloc_area_pages";
    if (length === 0n) {
      throw refuse("EINVAL", "vfio.iommufd.map", "length 0", symbol, "A mapping needs a length");
    }
    this.#checkAligned(length, symbol);
    if (iova === undefined) return this.#choose(address, length);
    this.#checkAligned(iova, "iopt_check_iova");
    if (iova + length - 1n > MAX_64) {
      throw refuse(
        "EOVERFLOW",
        "vfio.iommufd.map",
        "address wrap",
        "iopt_check_iova",
        "Address plus length passes 2^64",
      );
    }
    const [first, last] = this.range;
    if (iova < first || iova + length - 1n > last) {
      const message = `${hex(iova)} is outside ${hex(first)} to ${hex(last)}`;
      throw refuse("EINVAL", "vfio.iommufd.map", "reserved range", "iopt_check_iova", message);
    }
    if (this.domain.tables.overlapping(Number(iova), Number(length)).length > 0) {
      throw refuse(
        "EEXIST",
        "vfio.iommufd.map",
        "overlap",
        "iopt_check_iova",
        `${hex(iova)} is mapped already`,
      );
    }
    return iova;
  }

  #checkAligned(value: bigint, symbol: string): void {
    const { alignment } = this;
    if (value % BigInt(alignment) === 0n) return;
    throw refuse(
      "EINVAL",
      "vfio.iommufd.map",
      "alignment",
      symbol,
      `${hex(value)} is no multiple of ${alignment}`,
    );
  }

  /** Lowest place for a length; never 0, and never the last page of all (io_pagetable.c: iopt_alloc_iova). */
  #choose(address: bigint, length: bigint): bigint {
    const symbol = "iopt_alloc_iova";
    if (length >= MAX_64 / 2n) {
      throw refuse(
        "EOVERFLOW",
        "vfio.iommufd.place",
        "length",
        symbol,
        `${hex(length)} bytes cannot be placed`,
      );
    }
    let step = SEGMENT;
    while (step >= 2n && step / 2n >= length) step /= 2n;
    if (address !== 0n && (address & -address) < step) step = address & -address;
    if (step < BigInt(this.alignment)) {
      throw refuse(
        "EINVAL",
        "vfio.iommufd.place",
        "alignment",
        symbol,
        `${hex(address)} is less aligned than the address space`,
      );
    }
    const offset = address % PAGE;
    const anywhere: IovaRange = [0n, MAX_64];
    for (const [first, last] of this.#allowed.length === 0 ? [anywhere] : this.#allowed) {
      const from = first > PAGE ? first : PAGE;
      const start = roundUp(from, step) | offset;
      for (const hole of this.#holes(start, last < MAX_64 - PAGE ? last : MAX_64 - PAGE)) {
        const at = roundUp(hole[0], step) | offset;
        if (at <= hole[1] && hole[1] - at >= length - 1n) return at;
      }
    }
    throw refuse("ENOSPC", "vfio.iommufd.place", "no free range", symbol, "No address range is large enough");
  }

  /** Ranges between two addresses that are neither mapped nor reserved. */
  *#holes(first: bigint, last: bigint): Generator<IovaRange> {
    const [start, end] = this.range;
    const to = last < end ? last : end;
    let at = first > start ? first : start;
    for (const { iova, size } of this.domain.tables.entries) {
      if (BigInt(iova + size) <= at) continue;
      if (BigInt(iova) > to) break;
      if (BigInt(iova) > at) yield [at, BigInt(iova) - 1n];
      at = BigInt(iova + size);
    }
    if (at <= to) yield [at, to];
  }

  /**
   * The memory behind a range of addresses, for IOAS_COPY.
   *
   * @throws {ErrnoError} EINVAL, EOVERFLOW, ENOENT if not all of it is mapped (io_pagetable.c: iopt_get_pages)
   */
  pieces(iova: bigint, length: bigint): Piece[] {
    const symbol = "iopt_get_pages";
    if (length === 0n) {
      throw refuse("EINVAL", "vfio.iommufd.copy", "length 0", symbol, "A copy needs a length");
    }
    if (iova + length - 1n > MAX_64) {
      throw refuse(
        "EOVERFLOW",
        "vfio.iommufd.copy",
        "address wrap",
        symbol,
        "Address plus length passes 2^64",
      );
    }
    const pieces: Piece[] = [];
    const end = Number(iova) + Number(length);
    for (let at = Number(iova); at < end;) {
      const entry = this.domain.tables.find(at);
      if (entry === undefined) {
        throw refuse("ENOENT", "vfio.iommufd.copy", "not mapped", symbol, `Nothing is mapped at ${hex(at)}`);
      }
      const size = Math.min(end, entry.iova + entry.size) - at;
      const vaddr = entry.buffer.address + entry.bufferOffset + at - entry.iova;
      const writable = entry.write || this.#writablePages.has(entry.iova);
      pieces.push({
        space: { find: () => entry.buffer },
        vaddr: BigInt(vaddr),
        size: BigInt(size),
        writable,
      });
      at += size;
    }
    return pieces;
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
    for (const mapping of this.domain.tables.overlapping(from, to - from)) {
      if (mapping.iova < from || mapping.iova + mapping.size > to) return { bytes, cut: true };
      this.#remove(mapping);
      bytes += mapping.size;
    }
    return { bytes, cut: false };
  }

  #remove(mapping: Translation): void {
    this.domain.unmap(mapping);
    this.#writablePages.delete(mapping.iova);
  }

  /** Cuts the mapping that holds an address into two, the first of which ends there (iopt_area_split). */
  cut(last: bigint): void {
    const mapping = this.domain.tables.find(Number(last));
    if (mapping === undefined) return;
    const next = Number(last) + 1;
    if (Number(last) === mapping.iova || next === mapping.iova + mapping.size) return;
    this.#checkAligned(last + 1n, "iopt_area_split");
    this.domain.split(mapping, next);
    if (this.#writablePages.has(mapping.iova)) this.#writablePages.add(next);
  }

  /** The address space has gone. */
  dispose(): void {
    for (const zdev of [...this.domain.zdevs]) zdev.attach(undefined);
    this.domain.dispose();
  }

  save(): IoasState {
    return {
      id: this.id,
      domain: this.domain.save(),
      hugePages: this.#hugePages,
      allowed: this.#allowed.map(([first, last]) => [hex(first), hex(last)]),
      writablePages: [...this.#writablePages],
      pageTable: this.#pageTable ?? null,
    };
  }

  /** An IOAS of a saved iommufd. */
  static restore(kernel: Kernel, state: IoasState): Ioas {
    const ioas = new Ioas(state.id, IommuDomain.restore(kernel.partition, state.domain));
    ioas.#hugePages = state.hugePages;
    ioas.#allowed = state.allowed.map(([first, last]) => [BigInt(first), BigInt(last)]);
    ioas.#pageTable = state.pageTable ?? undefined;
    for (const iova of state.writablePages) ioas.#writablePages.add(iova);
    return ioas;
  }
}

function roundUp(value: bigint, step: bigint): bigint {
  return (value + step - 1n) / step * step;
}
