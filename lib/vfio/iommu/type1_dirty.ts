/**
 * Dirty pages of a type1 IOMMU: which pages the device may have written. No function here tells, so every mapped page
 * is dirty (drivers/vfio/vfio_iommu_type1.c: update_user_bitmap). Facts: vfio.type1.dirty for numbers and
 * capability; the rest follows that file.
 */
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Translation } from "../../zpci/translation.ts";
import type { Container } from "./container.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import type { IommuDomain } from "./iommu_domain.ts";
import type { Kernel } from "../kernel.ts";
import type { Caller } from "../process/caller.ts";
import { coreError } from "../refusal.ts";
import {
  DIRTY_BITMAP,
  DIRTY_PAGES,
  DIRTY_PAGES_FLAGS,
  DIRTY_PAGES_MIN,
  DMA_UNMAP,
  EXTENSION,
} from "../uapi.ts";
import { checkArgsz } from "../process/user_memory.ts";

const SOURCE = "drivers/vfio/vfio_iommu_type1.c";
/** Longest bitmap in bytes: one bit for each of 2^31 pages (DIRTY_BITMAP_SIZE_MAX). */
export const DIRTY_BITMAP_MAX = 2 ** 28;
/** A bitmap is made of 64-bit words. */
const WORD_BITS = 64n;
const WORD_BYTES = 8;

/** Where a bitmap goes. */
export interface Bitmap {
  readonly pageSize: bigint;
  /** Address in the process. */
  readonly data: bigint;
}

function refuse(code: ErrnoName, rule: string, symbol: string, message: string): ErrnoError {
  return coreError(code, "vfio.type1.dirty", rule, `${SOURCE}: ${symbol}`, message);
}

function fault(symbol: string): ErrnoError {
  return refuse(
    "EFAULT",
    "user memory",
    symbol,
    "The argument is shorter than argsz says",
  );
}

/** VFIO_IOMMU_DIRTY_PAGES. @throws {ErrnoError} EACCES on version 1, EFAULT, EINVAL */
export function dirtyPages(
  { current: process }: Kernel,
  container: Container,
  domain: IommuDomain,
  arg: Uint8Array,
): number {
  const symbol = "vfio_iommu_type1_dirty_pages";
  if (container.type !== EXTENSION.TYPE1V2) {
    throw refuse(
      "EACCES",
      "version 1",
      symbol,
      "Version 1 of type1 does not log dirty pages",
    );
  }
  const argsz = checkArgsz(arg, DIRTY_PAGES_MIN, `${SOURCE}: ${symbol}`);
  const { flags } = DIRTY_PAGES.decode(arg);
  switch (flags) {
    case DIRTY_PAGES_FLAGS.START:
      container.touch();
      container.dirtyLog = true;
      return 0;
    case DIRTY_PAGES_FLAGS.STOP:
      container.touch();
      container.dirtyLog = false;
      return 0;
    case DIRTY_PAGES_FLAGS.GET_BITMAP:
      return getBitmap(process, container, domain, arg, argsz);
  }
  throw refuse(
    "EINVAL",
    "flags",
    symbol,
    "Exactly one of START, STOP and GET_BITMAP is needed",
  );
}

function getBitmap(
  process: Caller,
  container: Container,
  { tables }: IommuDomain,
  arg: Uint8Array,
  argsz: number,
): number {
  const symbol = "vfio_iommu_type1_dirty_pages";
  const invalid = (rule: string, message: string) => refuse("EINVAL", rule, symbol, message);
  if (argsz < DIRTY_PAGES.size) throw invalid("argsz", `argsz ${argsz} has no room for a range`);
  if (arg.length < DIRTY_PAGES.size) throw fault(symbol);
  const { iova, size, pageSize, bitmapSize, data } = DIRTY_PAGES.decode(arg);
  if (size === 0n) throw invalid("size 0", "A range needs a size");
  if (iova + size > 2n ** 64n) {
    throw refuse("EOVERFLOW", "address wrap", symbol, "IOVA plus size passes 2^64");
  }
  checkBitmapSize(size, pageSize, bitmapSize, symbol);
  const page = BigInt(PAGE_SIZE);
  if (pageSize !== page) throw invalid("page size", `Page size ${pageSize} is not ${page}`);
  if (iova % page !== 0n || size % page !== 0n) {
    throw invalid("alignment", "IOVA and size must be multiples of 4096");
  }
  checkDirtyLog(container, pageSize, `${SOURCE}: ${symbol}`);
  const from = Number(iova);
  const hit = tables.overlapping(from, Number(size));
  if (hit.some((mapping) => mapping.iova < from || mapping.iova + mapping.size > from + Number(size))) {
    throw refuse(
      "EINVAL",
      "partial range",
      "vfio_iova_dirty_bitmap",
      "The range cuts a mapping",
    );
  }
  for (const mapping of hit) writeDirty(process, data, mapping, from);
  return 0;
}

/** The bitmap that UNMAP_DMA with GET_DIRTY names behind its struct. @throws {ErrnoError} EINVAL, EFAULT */
export function readUnmapBitmap(arg: Uint8Array, argsz: number, size: bigint): Bitmap {
  const symbol = "vfio_iommu_type1_unmap_dma";
  const needed = DMA_UNMAP.size + DIRTY_BITMAP.size;
  if (argsz < needed) {
    throw refuse("EINVAL", "argsz", symbol, `argsz ${argsz} has no room for a bitmap`);
  }
  if (arg.length < needed) throw fault(symbol);
  const { pageSize, bitmapSize, data } = DIRTY_BITMAP.decode(arg, DMA_UNMAP.size);
  checkBitmapSize(size, pageSize, bitmapSize, symbol);
  return { pageSize, data };
}

/** A bitmap must have room for a bit a page, in whole words (vfio_iommu_type1.c: verify_bitmap_size). */
function checkBitmapSize(size: bigint, pageSize: bigint, bitmapSize: bigint, symbol: string): void {
  const pages = pageSize === 0n ? 0n : size / (pageSize & -pageSize);
  const needed = (pages + WORD_BITS - 1n) / WORD_BITS * BigInt(WORD_BYTES);
  if (pages !== 0n && bitmapSize >= needed && bitmapSize <= BigInt(DIRTY_BITMAP_MAX) && bitmapSize !== 0n) {
    return;
  }
  throw refuse(
    "EINVAL",
    "bitmap size",
    symbol,
    `A bitmap of ${bitmapSize} bytes does not fit ${pages} pages`,
  );
}

/** @throws {ErrnoError} EINVAL if dirty pages are not logged, or in pages of another size */
export function checkDirtyLog({ dirtyLog }: Container, pageSize: bigint, source: string): void {
  if (dirtyLog && pageSize === BigInt(PAGE_SIZE)) return;
  throw coreError(
    "EINVAL",
    "vfio.type1.dirty",
    "dirty log",
    source,
    "Dirty pages are not logged, or not in such pages",
  );
}

/**
 * Sets the bits of a mapping in the process's bitmap, whose first bit is the page at `base`. Whole words are written:
 * bits in front of the mapping stay, those behind it become 0.
 *
 * @throws {ErrnoError} EFAULT
 */
export function writeDirty(process: Caller, data: bigint, mapping: Translation, base: number): void {
  const pages = BigInt(mapping.size / PAGE_SIZE);
  const firstBit = BigInt((mapping.iova - base) / PAGE_SIZE);
  const shift = firstBit % WORD_BITS;
  const words = Number((shift + pages + WORD_BITS - 1n) / WORD_BITS);
  const address = Number(data) + Number(firstBit / WORD_BITS) * WORD_BYTES;
  const bytes = process.memory(address, words * WORD_BYTES, true);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < words; i++) {
    const kept = i === 0 ? view.getBigUint64(0, true) & (1n << shift) - 1n : 0n;
    const from = i === 0 ? shift : 0n;
    const end = shift + pages - BigInt(i) * WORD_BITS;
    const ones = (1n << (end < WORD_BITS ? end : WORD_BITS)) - (1n << from);
    view.setBigUint64(i * WORD_BYTES, kept | ones, true);
  }
}
