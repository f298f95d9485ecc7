/**
 * The type1 IOMMU of a container: mappings and what it tells about itself. Facts: vfio.type1.map
 * (drivers/vfio/vfio_iommu_type1.c).
 */
import { hex } from "../../base/hex.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Translation } from "../../zpci/translation.ts";
import { copyInfo, linkCapabilities } from "../capability_chain.ts";
import type { Container } from "./container.ts";
import type { ErrnoName } from "../errno.ts";
import type { IommuDomain, MappingState } from "./iommu_domain.ts";
import { lockLimit, lockRefusal, type1Locked } from "./locked_memory.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import { checkDirtyLog, DIRTY_BITMAP_MAX, readUnmapBitmap, writeDirty } from "./type1_dirty.ts";
import {
  CAP_HEADER,
  DMA_MAP,
  DMA_MAP_FLAGS,
  DMA_UNMAP,
  DMA_UNMAP_FLAGS,
  EXTENSION,
  IOMMU_CAP_DMA_AVAIL,
  IOMMU_CAP_ID,
  IOMMU_CAP_IOVA_RANGE,
  IOMMU_CAP_MIGRATION,
  IOMMU_INFO,
  IOMMU_INFO_FLAGS,
  IOMMU_INFO_MIN,
} from "../uapi.ts";
import { checkArgsz } from "../process/user_memory.ts";

const TYPE1_SOURCE = "drivers/vfio/vfio_iommu_type1.c";
const TWO_64 = 2n ** 64n;

/** IOMMU_GET_INFO: page sizes, and the chain MIGRATION, DMA_AVAIL, IOVA_RANGE. */
export function iommuInfo(
  { options }: Kernel,
  container: Container,
  domain: IommuDomain,
  arg: Uint8Array,
): number {
  const argsz = checkArgsz(arg, IOMMU_INFO_MIN, `${TYPE1_SOURCE}: vfio_iommu_type1_get_info`);
  const [start, end] = usableRange(container);
  const chain = linkCapabilities([
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.MIGRATION, version: 1 },
      IOMMU_CAP_MIGRATION.encode({ pageSizes: PAGE_SIZE, maxBitmap: DIRTY_BITMAP_MAX }),
    ),
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.DMA_AVAIL, version: 1 },
      IOMMU_CAP_DMA_AVAIL.encode({ available: options.dmaEntryLimit - domain.tables.entries.length }),
    ),
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.IOVA_RANGE, version: 1 },
      IOMMU_CAP_IOVA_RANGE.encode({ count: 1, start: BigInt(start), end: BigInt(end) }),
    ),
  ], IOMMU_INFO.size);
  const fields = { flags: IOMMU_INFO_FLAGS.PGSIZES | IOMMU_INFO_FLAGS.CAPS, iovaPgsizes: PAGE_SIZE };
  copyInfo(arg, argsz, IOMMU_INFO.size, chain, (more) => IOMMU_INFO.encode({ ...fields, ...more }));
  return 0;
}

/** First and last DMA address that all functions of the container can use. */
function usableRange({ groups }: Container): readonly [start: number, end: number] {
  const facts = [...groups].map(({ zdev }) => zdev.facts);
  return [Math.max(...facts.map(({ startDma }) => startDma)), Math.min(...facts.map(({ endDma }) => endDma))];
}

/** MAP_DMA, checks in the order of vfio.type1.map. */
export function mapDma(
  kernel: Kernel,
  container: Container,
  domain: IommuDomain,
  arg: Uint8Array,
): number {
  const source = `${TYPE1_SOURCE}: vfio_dma_do_map`;
  checkArgsz(arg, DMA_MAP.size, `${TYPE1_SOURCE}: vfio_iommu_type1_map_dma`);
  const { flags, vaddr, iova, size } = DMA_MAP.decode(arg);
  const read = (flags & DMA_MAP_FLAGS.READ) !== 0;
  const write = (flags & DMA_MAP_FLAGS.WRITE) !== 0;
  if (flags > 7) {
    throw coreError("EINVAL", "vfio.type1.map", "flags", source, `Unknown flags in ${hex(flags)}`);
  }
  if (size === 0n) throw coreError("EINVAL", "vfio.type1.map", "size 0", source, "A mapping needs a size");
  if (iova + size > TWO_64 || vaddr + size > TWO_64) {
    throw coreError("EOVERFLOW", "vfio.type1.map", "address wrap", source, "Address plus size passes 2^64");
  }
  const moved = (flags & DMA_MAP_FLAGS.VADDR) !== 0;
  if (moved === (read || write)) {
    throw coreError(
      "EINVAL",
      "vfio.type1.map",
      "flags",
      source,
      "A mapping needs READ or WRITE, or VADDR alone",
    );
  }
  const page = BigInt(PAGE_SIZE);
  if (size % page !== 0n || iova % page !== 0n || vaddr % page !== 0n) {
    throw coreError(
      "EINVAL",
      "vfio.type1.map",
      "alignment",
      source,
      "Address, IOVA and size must be multiples of 4096",
    );
  }
  const at = Number(iova);
  const length = Number(size);
  const overlapping = domain.tables.overlapping(at, length);
  if (moved) return giveAddress(container, overlapping[0], at, length);
  if (overlapping.length > 0) {
    throw coreError(
      "EEXIST",
      "vfio.type1.map",
      "overlap",
      source,
      `${hex(iova)} is mapped already`,
      "unmap it first",
    );
  }
  if (domain.tables.entries.length >= kernel.options.dmaEntryLimit) {
    throw coreError("ENOSPC", "vfio.type1.map", "mapping limit", source, "No mapping entries are left");
  }
  const [start, end] = usableRange(container);
  if (at < start || at + length - 1 > end) {
    throw coreError(
      "EINVAL",
      "vfio.type1.map",
      "IOVA range",
      source,
      `${hex(iova)} is outside the DMA addresses ${hex(start)} to ${hex(end)}`,
      "the range is in the IOVA_RANGE capability of VFIO_IOMMU_GET_INFO",
    );
  }
  const mapping = { iova: at, vaddr: Number(vaddr), size: length, read, write };
  checkLocked(kernel, mapping);
  if (!domain.map(mapping, kernel.current.space)) {
    throw coreError(
      "EFAULT",
      "vfio.type1.map",
      "pinning",
      source,
      `${hex(vaddr)} is not memory of the process`,
    );
  }
  return 0;
}

/**
 * Pages are taken one by one, and each is counted: the limit can come before a page that is not there.
 *
 * @throws {ErrnoError} ENOMEM
 */
function checkLocked(kernel: Kernel, { vaddr, size, write }: MappingState): void {
  const limit = lockLimit(kernel);
  if (limit === Infinity) return;
  const there = kernel.current.space.there(vaddr, size, write);
  if (type1Locked(kernel) + there / PAGE_SIZE <= limit) return;
  throw lockRefusal(kernel, `${TYPE1_SOURCE}: vfio_pin_pages_remote`);
}

/**
 * MAP_DMA with VADDR: a mapping that waits for one gets a new address. The device goes on reaching the pages that were
 * taken when it was mapped; the address itself is not looked at.
 */
function giveAddress(
  container: Container,
  mapping: Translation | undefined,
  iova: number,
  size: number,
): number {
  const refuse = (code: ErrnoName, message: string) =>
    coreError(
      code,
      "vfio.type1.vaddr",
      "VADDR",
      `${TYPE1_SOURCE}: vfio_dma_do_map`,
      message,
      "unmap it with VADDR first",
    );
  if (mapping === undefined) throw refuse("ENOENT", `Nothing is mapped at ${hex(iova)}`);
  if (mapping.iova !== iova || mapping.size !== size) {
    throw refuse(
      "EINVAL",
      `The mapping at ${hex(mapping.iova)} has another address or size`,
    );
  }
  container.touch();
  if (!container.withoutAddress.delete(iova)) {
    throw refuse("EINVAL", `The mapping at ${hex(iova)} has an address`);
  }
  return 0;
}

/** UNMAP_DMA; the caller's size becomes the bytes unmapped. Checks in the order of vfio.type1.unmap. */
export function unmapDma(
  { current: process }: Kernel,
  container: Container,
  domain: IommuDomain,
  arg: Uint8Array,
): number {
  const source = `${TYPE1_SOURCE}: vfio_dma_do_unmap`;
  const argsz = checkArgsz(arg, DMA_UNMAP.size, `${TYPE1_SOURCE}: vfio_iommu_type1_unmap_dma`);
  const { flags, iova, size } = DMA_UNMAP.decode(arg);
  const { GET_DIRTY, ALL, VADDR } = DMA_UNMAP_FLAGS;
  const all = (flags & ALL) !== 0;
  const dirty = (flags & GET_DIRTY) !== 0;
  if ((flags & ~(GET_DIRTY | ALL | VADDR)) !== 0 || (dirty && flags !== GET_DIRTY)) {
    throw coreError("EINVAL", "vfio.type1.unmap", "flags", source, `Flags ${hex(flags)} are not supported`);
  }
  const bitmap = dirty ? readUnmapBitmap(arg, argsz, size) : undefined;
  const page = BigInt(PAGE_SIZE);
  if (all ? iova !== 0n || size !== 0n : size === 0n || size % page !== 0n || iova % page !== 0n) {
    throw coreError(
      "EINVAL",
      "vfio.type1.unmap",
      "alignment",
      source,
      all ? "With ALL, IOVA and size must be 0" : "IOVA and size must be multiples of 4096, and size not 0",
    );
  }
  if (iova + size > TWO_64) {
    throw coreError("EOVERFLOW", "vfio.type1.unmap", "address wrap", source, "IOVA plus size passes 2^64");
  }
  if (bitmap !== undefined) checkDirtyLog(container, bitmap.pageSize, source);
  const range = { iova: Number(iova), size: Number(size) };
  const hit = all ? [...domain.tables.entries] : mappingsInRange(container, domain, range);
  if (bitmap !== undefined) {
    for (const mapping of hit) writeDirty(process, bitmap.data, mapping, range.iova);
  }
  if ((flags & VADDR) !== 0) takeAddresses(container, hit);
  else {
    for (const mapping of hit) {
      domain.unmap(mapping);
      if (!container.withoutAddress.has(mapping.iova)) continue;
      container.touch();
      container.withoutAddress.delete(mapping.iova);
    }
  }
  DMA_UNMAP.encode({ size: BigInt(hit.reduce((sum, mapping) => sum + mapping.size, 0)) }, arg);
  return 0;
}

/** What an unmap of a range takes. @throws {ErrnoError} EINVAL if version 2 would cut a mapping */
function mappingsInRange(
  { type }: Container,
  domain: IommuDomain,
  { iova, size }: { readonly iova: number; readonly size: number },
): readonly Translation[] {
  const hit = domain.tables.overlapping(iova, size);
  const cut = hit.some((mapping) => mapping.iova < iova || mapping.iova + mapping.size > iova + size);
  if (!cut) return hit;
  if (type === EXTENSION.TYPE1V2) {
    const source = `${TYPE1_SOURCE}: vfio_dma_do_unmap`;
    throw coreError(
      "EINVAL",
      "vfio.type1.unmap",
      "partial unmap",
      source,
      "The range cuts a mapping",
      "unmap whole mappings",
    );
  }
  // Version 1 stops at a mapping that begins before the range, and takes one that ends behind it whole.
  return hit[0]!.iova < iova ? [] : hit;
}

/** UNMAP_DMA with VADDR: the mappings stay, their addresses go. @throws {ErrnoError} EINVAL, and none of them goes */
function takeAddresses(container: Container, mappings: readonly Translation[]): void {
  const { withoutAddress } = container;
  const again = mappings.find(({ iova }) => withoutAddress.has(iova));
  if (again !== undefined) {
    const message = `The address of the mapping at ${hex(again.iova)} was taken away already`;
    throw coreError("EINVAL", "vfio.type1.vaddr", "VADDR", `${TYPE1_SOURCE}: vfio_dma_do_unmap`, message);
  }
  container.touch();
  for (const { iova } of mappings) withoutAddress.add(iova);
}
