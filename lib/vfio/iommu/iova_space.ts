/**
 * Which addresses of an I/O address space may be mapped, and where a mapping goes that the caller does not place.
 * Facts: docs/reference/vfio/iommufd.md (drivers/iommu/iommufd/io_pagetable.c); what that does not say cites the kernel
 * symbol that the rule models.
 */
import type { RuleName } from "../../base/rule_names.ts";
import { hex } from "../../base/hex.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { TranslationTables } from "../../zpci/translation.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import { coreError } from "../refusal.ts";

/** Largest value of 64 bits, and the last DMA address of all. */
export const MAX_64 = 2n ** 64n - 1n;
const PAGE = BigInt(PAGE_SIZE);
/** Alignment that an address chosen by the kernel does not go beyond: a segment of s390 (HPAGE_SIZE). */
const SEGMENT = 0x10_0000n;
const IOPT = "drivers/iommu/iommufd/io_pagetable.c";

/** First and last address of a range, both inclusive. */
export type IovaRange = readonly [first: bigint, last: bigint];

/** An address space, as far as placing goes. */
export interface IovaSpace {
  /** First and last address that is not reserved. */
  readonly range: IovaRange;
  /** Bytes. */
  readonly alignment: number;
  readonly tables: TranslationTables;
}

/** A refusal by the address space; `symbol` is a function of io_pagetable.c. */
export function refuseIova(
  code: ErrnoName,
  ref: RuleName,
  rule: string,
  symbol: string,
  message: string,
): ErrnoError {
  return coreError(code, ref, rule, `${IOPT}: ${symbol}`, message);
}

/** @throws {ErrnoError} EINVAL */
export function checkAligned({ alignment }: IovaSpace, value: bigint, symbol: string): void {
  if (value % BigInt(alignment) === 0n) return;
  throw refuseIova(
    "EINVAL",
    "vfio.iommufd.map",
    "alignment",
    symbol,
    `${hex(value)} is no multiple of ${alignment}`,
  );
}

/** A place that the caller chose. @throws {ErrnoError} EINVAL, EOVERFLOW, EEXIST (iopt_check_iova) */
export function checkIova(space: IovaSpace, iova: bigint, length: bigint): void {
  const symbol = "iopt_check_iova";
  checkAligned(space, iova, symbol);
  if (iova + length - 1n > MAX_64) {
    throw refuseIova(
      "EOVERFLOW",
      "vfio.iommufd.map",
      "address wrap",
      symbol,
      "Address plus length passes 2^64",
    );
  }
  const [first, last] = space.range;
  if (iova < first || iova + length - 1n > last) {
    const message = `${hex(iova)} is outside ${hex(first)} to ${hex(last)}`;
    throw refuseIova("EINVAL", "vfio.iommufd.map", "reserved range", symbol, message);
  }
  if (space.tables.overlapping(Number(iova), Number(length)).length > 0) {
    throw refuseIova("EEXIST", "vfio.iommufd.map", "overlap", symbol, `${hex(iova)} is mapped already`);
  }
}

/**
 * The lowest place for a length, in the allowed ranges if there are any; never 0, and never the last page of all.
 * It keeps the memory's offset in a page and, up to a segment, its alignment (iopt_alloc_iova).
 *
 * @param address of the memory
 * @throws {ErrnoError} EOVERFLOW, EINVAL, ENOSPC
 */
export function chooseIova(
  space: IovaSpace,
  allowed: readonly IovaRange[],
  address: bigint,
  length: bigint,
): bigint {
  const symbol = "iopt_alloc_iova";
  if (length >= MAX_64 / 2n) {
    throw refuseIova(
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
  if (step < BigInt(space.alignment)) {
    const message = `${hex(address)} is less aligned than the address space`;
    throw refuseIova("EINVAL", "vfio.iommufd.place", "alignment", symbol, message);
  }
  const offset = address % PAGE;
  const anywhere: IovaRange = [0n, MAX_64];
  for (const [first, last] of allowed.length === 0 ? [anywhere] : allowed) {
    const from = first > PAGE ? first : PAGE;
    const start = roundUp(from, step) | offset;
    for (const hole of holes(space, start, last < MAX_64 - PAGE ? last : MAX_64 - PAGE)) {
      const at = roundUp(hole[0], step) | offset;
      if (at <= hole[1] && hole[1] - at >= length - 1n) return at;
    }
  }
  throw refuseIova(
    "ENOSPC",
    "vfio.iommufd.place",
    "no free range",
    symbol,
    "No address range is large enough",
  );
}

/** Ranges between two addresses that are neither mapped nor reserved. */
function* holes({ range, tables }: IovaSpace, first: bigint, last: bigint): Generator<IovaRange> {
  const [start, end] = range;
  const to = last < end ? last : end;
  let at = first > start ? first : start;
  for (const { iova, size } of tables.entries) {
    if (BigInt(iova + size) <= at) continue;
    if (BigInt(iova) > to) break;
    if (BigInt(iova) > at) yield [at, BigInt(iova) - 1n];
    at = BigInt(iova + size);
  }
  if (at <= to) yield [at, to];
}

function roundUp(value: bigint, step: bigint): bigint {
  return (value + step - 1n) / step * step;
}
