/**
 * Commands of an iommufd that concern the IOMMU and page tables: GET_HW_INFO, HWPT_ALLOC, dirty pages, INVALIDATE. The
 * IOMMU of s390 has no data of its own, no dirty pages and no nested page tables. Facts: vfio.iommufd.hwpt,
 * vfio.iommufd.hwinfo and vfio.iommufd.others (drivers/iommu/iommufd/device.c, hw_pagetable.c).
 */
import type { Kernel } from "../kernel.ts";
import {
  GET_HW_INFO,
  GET_HW_INFO_MIN,
  HW_CAPABILITY,
  HW_INFO_FLAGS,
  HWPT_ALLOC,
  HWPT_ALLOC_MIN,
  HWPT_DIRTY_BITMAP_FLAGS,
  HWPT_DIRTY_TRACKING_FLAGS,
  HWPT_GET_DIRTY_BITMAP,
  HWPT_INVALIDATE,
  HWPT_SET_DIRTY_TRACKING,
  IOMMUFD_IOCTL,
} from "../uapi.ts";
import { type Iommufd, noObject } from "./iommufd.ts";
import { checkReserved, type Command, readCommand, refuseCommand, respond } from "./iommufd_struct.ts";

/** By number. */
export const HWPT_COMMANDS: readonly (readonly [number, Command])[] = [
  [IOMMUFD_IOCTL.IOMMU_HWPT_ALLOC, alloc],
  [IOMMUFD_IOCTL.IOMMU_GET_HW_INFO, hwInfo],
  [IOMMUFD_IOCTL.IOMMU_HWPT_SET_DIRTY_TRACKING, setDirtyTracking],
  [IOMMUFD_IOCTL.IOMMU_HWPT_GET_DIRTY_BITMAP, getDirtyBitmap],
  [IOMMUFD_IOCTL.IOMMU_HWPT_INVALIDATE, invalidate],
];

/** GET_HW_INFO: no data, so the caller's buffer becomes zeros; neither PASIDs nor ATS. */
function hwInfo(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "device.c: iommufd_get_hw_info";
  const fields = readCommand(arg, GET_HW_INFO, symbol, GET_HW_INFO_MIN);
  const { flags, devId, dataLen, dataUptr, reserved } = fields;
  if ((flags & ~HW_INFO_FLAGS.INPUT_TYPE) !== 0 || reserved.some((byte) => byte !== 0)) {
    throw refuseCommand(
      "EOPNOTSUPP",
      "vfio.iommufd.hwinfo",
      "flags",
      symbol,
      "Unknown flags, or reserved is not 0",
    );
  }
  iommufd.checkDevice(devId);
  if (dataLen > 0) process.memory(Number(dataUptr), dataLen, true).fill(0);
  const outCapabilities = HW_CAPABILITY.ATS_NOT_SUPPORTED;
  const answer = GET_HW_INFO.encode({
    ...fields,
    dataLen: 0,
    outDataType: 0,
    outMaxPasidLog2: 0,
    outCapabilities,
  });
  respond(arg.subarray(0, fields.size), answer);
}

/** HWPT_ALLOC: a page table over an IOAS. Nothing else can be had: no flags, no data, no nesting. */
function alloc(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "hw_pagetable.c: iommufd_hwpt_alloc";
  const fields = readCommand(arg, HWPT_ALLOC, symbol, HWPT_ALLOC_MIN);
  const { flags, devId, ptId, reserved, reserved2, dataType, dataLen } = fields;
  checkReserved(reserved | reserved2, symbol);
  if ((dataType === 0) !== (dataLen === 0)) {
    throw refuseCommand(
      "EINVAL",
      "vfio.iommufd.hwpt",
      "data",
      symbol,
      "Data has a type and a length, or neither",
    );
  }
  iommufd.checkDevice(devId);
  const isPageTable = iommufd.ioasOfPageTable(ptId) !== undefined;
  const ioas = iommufd.ioases.get(ptId);
  if (ioas === undefined && !isPageTable) {
    throw refuseCommand(
      "EINVAL",
      "vfio.iommufd.hwpt",
      "object kind",
      symbol,
      `Object ${ptId} is neither an IOAS nor a page table`,
    );
  }
  if (ioas === undefined || flags !== 0 || dataLen !== 0) {
    const what = "The IOMMU has page tables over an IOAS, without flags or data, and nothing else";
    throw refuseCommand(
      "EOPNOTSUPP",
      "vfio.iommufd.hwpt",
      "page table kind",
      "hw_pagetable.c: iommufd_hwpt_paging_alloc",
      what,
    );
  }
  respond(arg.subarray(0, fields.size), HWPT_ALLOC.encode({ ...fields, outHwptId: ioas.allocateTable() }));
}

function setDirtyTracking(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "hw_pagetable.c: iommufd_hwpt_set_dirty_tracking";
  const { flags, hwptId } = readCommand(arg, HWPT_SET_DIRTY_TRACKING, symbol);
  if ((flags & ~HWPT_DIRTY_TRACKING_FLAGS.ENABLE) !== 0) throw noDirtyPages(symbol);
  iommufd.checkPageTable(hwptId);
  throw noDirtyPages(symbol);
}

function getDirtyBitmap(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "hw_pagetable.c: iommufd_hwpt_get_dirty_bitmap";
  const { hwptId, flags, reserved } = readCommand(arg, HWPT_GET_DIRTY_BITMAP, symbol);
  if ((flags & ~HWPT_DIRTY_BITMAP_FLAGS.NO_CLEAR) !== 0 || reserved !== 0) throw noDirtyPages(symbol);
  iommufd.checkPageTable(hwptId);
  throw noDirtyPages(symbol);
}

function noDirtyPages(symbol: string) {
  return refuseCommand(
    "EOPNOTSUPP",
    "vfio.iommufd.others",
    "dirty pages",
    symbol,
    "The IOMMU does not track dirty pages, or not with such flags",
  );
}

/** HWPT_INVALIDATE: there are no nested page tables. The number of entries done is told in any case: 0. */
function invalidate(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "hw_pagetable.c: iommufd_hwpt_invalidate";
  const { hwptId, dataUptr, entryLen, entryNum, reserved } = readCommand(arg, HWPT_INVALIDATE, symbol);
  HWPT_INVALIDATE.encode({ entryNum: 0 }, arg);
  checkReserved(reserved, symbol);
  if (entryNum !== 0 && (dataUptr === 0n || entryLen === 0)) {
    throw refuseCommand(
      "EINVAL",
      "vfio.iommufd.others",
      "entries",
      symbol,
      "Entries need an address and a length",
    );
  }
  if (!iommufd.has(hwptId)) throw noObject(hwptId, "object");
  throw refuseCommand(
    "EINVAL",
    "vfio.iommufd.others",
    "object kind",
    symbol,
    `Object ${hwptId} is not a nested page table`,
  );
}
