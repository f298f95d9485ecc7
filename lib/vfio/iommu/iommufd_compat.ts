/**
 * An iommufd used as a container: the type1 ioctls on its compatibility IOAS. Facts: vfio.group.compat and
 * vfio.iommufd.compat (drivers/iommu/iommufd/vfio_compat.c); order and corners that these do not tell follow that file.
 */
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { hex } from "../../base/hex.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import type { AddressSpace } from "../process/address_space.ts";
import type { IoctlArg } from "../process/file.ts";
import type { Ioas } from "./ioas.ts";
import { MAX_64 } from "./iova_space.ts";
import type { Iommufd } from "./iommufd.ts";
import { coreError, structArgument } from "../refusal.ts";
import {
  CAP_HEADER,
  CONTAINER_IOCTL,
  DMA_MAP,
  DMA_MAP_FLAGS,
  DMA_UNMAP,
  DMA_UNMAP_FLAGS,
  EXTENSION,
  IOMMU_CAP_DMA_AVAIL,
  IOMMU_CAP_ID,
  IOMMU_CAP_IOVA_RANGE,
  IOMMU_INFO,
  IOMMU_INFO_FLAGS,
  IOMMU_INFO_MIN,
  VFIO_API_VERSION,
} from "../uapi.ts";
import { checkArgsz, copyToUser } from "../process/user_memory.ts";

const SOURCE = "drivers/iommu/iommufd/vfio_compat.c";
/** The limit of mappings is that of memory: 2^32 - 1 stands for it. */
const DMA_AVAIL = 0xffff_ffff;
/** Bytes of IOVA_RANGE without its ranges. */
const RANGE_HEADER = 16;

function refuse(
  code: ErrnoName,
  rule: string,
  symbol: string,
  message: string,
  hint?: string,
): ErrnoError {
  return coreError(code, "vfio.iommufd.compat", rule, `${SOURCE}: ${symbol}`, message, hint);
}

/** A container ioctl on an iommufd; undefined for a number that the layer does not know, DIRTY_PAGES among them. */
export function iommufdContainerIoctl(
  iommufd: Iommufd,
  request: number,
  arg: IoctlArg,
  space: AddressSpace,
): number | undefined {
  switch (request) {
    case CONTAINER_IOCTL.VFIO_GET_API_VERSION:
      return VFIO_API_VERSION;
    case CONTAINER_IOCTL.VFIO_CHECK_EXTENSION:
      return checkExtension(iommufd, Number(arg));
    case CONTAINER_IOCTL.VFIO_SET_IOMMU:
      return setIommu(iommufd, Number(arg));
    case CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO:
      return iommuInfo(iommufd, structArgument(arg));
    case CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA:
      return mapDma(iommufd, structArgument(arg), space);
    case CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA:
      return unmapDma(iommufd, structArgument(arg));
  }
  return undefined;
}

/** No UPDATE_VADDR. DMA_CC is asked of the compatibility IOAS: s390 enforces no coherency for a function. */
function checkExtension(iommufd: Iommufd, value: number): number {
  if (value === EXTENSION.DMA_CC) return iommufd.compatIoas().hasTable ? 0 : 1;
  const supported: readonly number[] = [EXTENSION.TYPE1, EXTENSION.TYPE1V2, EXTENSION.UNMAP_ALL];
  return supported.includes(value) ? 1 : 0;
}

/** SET_IOMMU chooses nothing but whether mappings can be cut, which version 1 allows; again is fine. */
function setIommu(iommufd: Iommufd, type: number): number {
  if (type !== EXTENSION.TYPE1 && type !== EXTENSION.TYPE1V2) {
    throw refuse(
      "EINVAL",
      "IOMMU type",
      "iommufd_vfio_set_iommu",
      `An iommufd does not take type ${type}`,
      "use VFIO_TYPE1v2_IOMMU (3)",
    );
  }
  const ioas = iommufd.compatIoas();
  if (type === EXTENSION.TYPE1) ioas.setHugePages(false);
  return 0;
}

/** Without a device any page size goes, from a page on (vfio_compat.c: iommufd_get_pagesizes). */
function pageSizes({ hasTable }: Ioas): bigint {
  return hasTable ? BigInt(PAGE_SIZE) : MAX_64 - BigInt(PAGE_SIZE) + 1n;
}

/**
 * IOMMU_GET_INFO: DMA_AVAIL and IOVA_RANGE. Unlike type1 it copies as many capabilities as fit, and says in argsz what
 * all of them need even if that is less than the caller's.
 */
function iommuInfo(iommufd: Iommufd, arg: Uint8Array): number {
  const argsz = checkArgsz(arg, IOMMU_INFO_MIN, `${SOURCE}: iommufd_vfio_iommu_get_info`);
  const ioas = iommufd.compatIoas();
  const [start, end] = ioas.range;
  const available = CAP_HEADER.encode(
    { id: IOMMU_CAP_ID.DMA_AVAIL, version: 1 },
    IOMMU_CAP_DMA_AVAIL.encode({ available: DMA_AVAIL }),
  );
  const range = CAP_HEADER.encode(
    { id: IOMMU_CAP_ID.IOVA_RANGE, version: 1 },
    IOMMU_CAP_IOVA_RANGE.encode({ count: 1, start, end }),
  );
  const rangeAt = IOMMU_INFO.size + available.length;
  const needed = rangeAt + range.length;
  if (argsz >= rangeAt) {
    CAP_HEADER.encode({ next: rangeAt }, available);
    copyToUser(arg, IOMMU_INFO.size, available, 0, available.length);
  }
  if (argsz >= needed) copyToUser(arg, rangeAt, range, 0, RANGE_HEADER + 16);
  const info = IOMMU_INFO.encode({
    argsz: needed,
    flags: IOMMU_INFO_FLAGS.PGSIZES | IOMMU_INFO_FLAGS.CAPS,
    iovaPgsizes: Number(pageSizes(ioas)),
    capOffset: argsz >= needed ? IOMMU_INFO.size : 0,
  });
  copyToUser(arg, 0, info, 0, Math.min(argsz, IOMMU_INFO.size));
  return 0;
}

/** MAP_DMA: no VADDR; neither READ nor WRITE is accepted, and gives a mapping that the device may not write. */
function mapDma(iommufd: Iommufd, arg: Uint8Array, space: AddressSpace): number {
  const symbol = "iommufd_vfio_map_dma";
  checkArgsz(arg, DMA_MAP.size, `${SOURCE}: ${symbol}`);
  const { flags, vaddr, iova, size } = DMA_MAP.decode(arg);
  const { READ, WRITE } = DMA_MAP_FLAGS;
  if ((flags & ~(READ | WRITE)) !== 0) {
    throw refuse("EINVAL", "flags", symbol, `Flags ${hex(flags)} are not supported`);
  }
  const ioas = iommufd.compatIoas();
  const access = { read: (flags & READ) !== 0, write: (flags & WRITE) !== 0 };
  ioas.mapUser(vaddr, { iova, length: size, ...access }, space);
  return 0;
}

/** UNMAP_DMA: the caller's size becomes the bytes unmapped, even if a cut mapping ends it early with ENOENT. */
function unmapDma(iommufd: Iommufd, arg: Uint8Array): number {
  const symbol = "iommufd_vfio_unmap_dma";
  checkArgsz(arg, DMA_UNMAP.size, `${SOURCE}: ${symbol}`);
  const { flags, iova, size } = DMA_UNMAP.decode(arg);
  if ((flags & ~DMA_UNMAP_FLAGS.ALL) !== 0) {
    throw refuse("EINVAL", "flags", symbol, `Flags ${hex(flags)} are not supported`);
  }
  const ioas = iommufd.compatIoas();
  const all = flags !== 0;
  if (all && (iova !== 0n || size !== 0n)) {
    throw refuse("EINVAL", "alignment", symbol, "With ALL, IOVA and size must be 0");
  }
  const failure = all ? undefined : rangeError(iova, size);
  // The caller's size is written back even where the range is refused: as 0.
  if (!all && !ioas.hugePages) cutAtEnds(ioas, iova, size);
  const { bytes, cut } = failure !== undefined
    ? { bytes: 0, cut: false }
    : ioas.unmap(iova, all ? MAX_64 : iova + size - 1n);
  DMA_UNMAP.encode({ size: BigInt(bytes) }, arg);
  if (failure !== undefined) throw failure;
  if (cut) {
    throw refuse(
      "ENOENT",
      "partial unmap",
      symbol,
      "The range cuts a mapping",
      "unmap whole mappings",
    );
  }
  return 0;
}

function rangeError(iova: bigint, size: bigint): ErrnoError | undefined {
  const source = "drivers/iommu/iommufd/io_pagetable.c: iopt_unmap_iova";
  if (size === 0n) {
    return coreError("EINVAL", "vfio.iommufd.compat", "size 0", source, "An unmap needs a size");
  }
  if (iova + size - 1n <= MAX_64) return undefined;
  return coreError("EOVERFLOW", "vfio.iommufd.compat", "address wrap", source, "IOVA plus size passes 2^64");
}

/** Version 1 unmaps in the middle of a mapping: it is cut at both ends first. @throws {ErrnoError} EINVAL */
function cutAtEnds(ioas: Ioas, iova: bigint, size: bigint): void {
  ioas.cut(BigInt.asUintN(64, iova + size - 1n));
  if (iova !== 0n) ioas.cut(iova - 1n);
}
