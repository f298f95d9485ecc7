/**
 * The user-space ABI of iommufd as tables: ioctl numbers, flags, struct layouts. Little-endian, sizes in bytes. Every
 * struct begins with its size.
 * Facts: docs/reference/vfio/iommufd.md (include/uapi/linux/iommufd.h).
 */
import { defineStruct } from "../base/struct.ts";

/** `_IO(';', n)`: type 0x3B, no size or direction bits. */
const io = (number: number) => 0x3b00 | number;

/** ioctls of an iommufd descriptor; other numbers go to its VFIO compatibility layer. */
export const IOMMUFD_IOCTL = {
  IOMMU_DESTROY: io(0x80),
  IOMMU_IOAS_ALLOC: io(0x81),
  IOMMU_IOAS_ALLOW_IOVAS: io(0x82),
  IOMMU_IOAS_COPY: io(0x83),
  IOMMU_IOAS_IOVA_RANGES: io(0x84),
  IOMMU_IOAS_MAP: io(0x85),
  IOMMU_IOAS_UNMAP: io(0x86),
  IOMMU_OPTION: io(0x87),
  IOMMU_VFIO_IOAS: io(0x88),
  IOMMU_HWPT_ALLOC: io(0x89),
  IOMMU_GET_HW_INFO: io(0x8a),
  IOMMU_HWPT_SET_DIRTY_TRACKING: io(0x8b),
  IOMMU_HWPT_GET_DIRTY_BITMAP: io(0x8c),
  IOMMU_HWPT_INVALIDATE: io(0x8d),
  IOMMU_FAULT_QUEUE_ALLOC: io(0x8e),
  IOMMU_IOAS_MAP_FILE: io(0x8f),
  IOMMU_VIOMMU_ALLOC: io(0x90),
  IOMMU_VDEVICE_ALLOC: io(0x91),
  IOMMU_IOAS_CHANGE_PROCESS: io(0x92),
  IOMMU_VEVENTQ_ALLOC: io(0x93),
  IOMMU_HW_QUEUE_ALLOC: io(0x94),
  IOMMU_NOIOMMU_GET_PA: io(0x95),
} as const;

export const IOMMU_DESTROY = defineStruct("le", 8, { size: [0, "u32"], id: [4, "u32"] });
export const IOAS_ALLOC = defineStruct("le", 12, {
  size: [0, "u32"],
  flags: [4, "u32"],
  outIoasId: [8, "u32"],
});
export const IOAS_IOVA_RANGES = defineStruct("le", 32, {
  size: [0, "u32"],
  ioasId: [4, "u32"],
  numIovas: [8, "u32"],
  reserved: [12, "u32"],
  allowedIovas: [16, "big64"],
  outIovaAlignment: [24, "big64"],
});
export const IOVA_RANGE = defineStruct("le", 16, { start: [0, "big64"], last: [8, "big64"] });
export const IOAS_MAP = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  ioasId: [8, "u32"],
  reserved: [12, "u32"],
  userVa: [16, "big64"],
  length: [24, "big64"],
  iova: [32, "big64"],
});
export const IOAS_MAP_FLAGS = { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 } as const;
export const IOAS_UNMAP = defineStruct("le", 24, {
  size: [0, "u32"],
  ioasId: [4, "u32"],
  iova: [8, "big64"],
  length: [16, "big64"],
});
export const IOAS_ALLOW_IOVAS = defineStruct("le", 24, {
  size: [0, "u32"],
  ioasId: [4, "u32"],
  numIovas: [8, "u32"],
  reserved: [12, "u32"],
  allowedIovas: [16, "big64"],
});
export const IOAS_COPY = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  dstIoasId: [8, "u32"],
  srcIoasId: [12, "u32"],
  length: [16, "big64"],
  dstIova: [24, "big64"],
  srcIova: [32, "big64"],
});
export const IOMMU_OPTION = defineStruct("le", 24, {
  size: [0, "u32"],
  optionId: [4, "u32"],
  op: [8, "u16"],
  reserved: [10, "u16"],
  objectId: [12, "u32"],
  val64: [16, "big64"],
});
export const IOMMU_OPTION_ID = { RLIMIT_MODE: 0, HUGE_PAGES: 1 } as const;
export const IOMMU_OPTION_OP = { SET: 0, GET: 1 } as const;
export const VFIO_IOAS = defineStruct("le", 12, {
  size: [0, "u32"],
  ioasId: [4, "u32"],
  op: [8, "u16"],
  reserved: [10, "u16"],
});
export const VFIO_IOAS_OP = { GET: 0, SET: 1, CLEAR: 2 } as const;
export const IOAS_MAP_FILE = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  ioasId: [8, "u32"],
  fd: [12, "i32"],
  start: [16, "big64"],
  length: [24, "big64"],
  iova: [32, "big64"],
});
export const HWPT_ALLOC = defineStruct("le", 48, {
  size: [0, "u32"],
  flags: [4, "u32"],
  devId: [8, "u32"],
  ptId: [12, "u32"],
  outHwptId: [16, "u32"],
  reserved: [20, "u32"],
  dataType: [24, "u32"],
  dataLen: [28, "u32"],
  dataUptr: [32, "big64"],
  faultId: [40, "u32"],
  reserved2: [44, "u32"],
});
/** Shortest accepted HWPT_ALLOC argument. */
export const HWPT_ALLOC_MIN = 24;
export const GET_HW_INFO = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  devId: [8, "u32"],
  dataLen: [12, "u32"],
  dataUptr: [16, "big64"],
  outDataType: [24, "u32"],
  outMaxPasidLog2: [28, "u8"],
  reserved: [29, "bytes", 3],
  outCapabilities: [32, "big64"],
});
/** Shortest accepted GET_HW_INFO argument. */
export const GET_HW_INFO_MIN = 32;
export const HW_INFO_FLAGS = { INPUT_TYPE: 1 } as const;
export const HW_CAPABILITY = {
  DIRTY_TRACKING: 1n,
  PASID_EXEC: 2n,
  PASID_PRIV: 4n,
  ATS_NOT_SUPPORTED: 8n,
} as const;
export const HWPT_SET_DIRTY_TRACKING = defineStruct("le", 16, {
  size: [0, "u32"],
  flags: [4, "u32"],
  hwptId: [8, "u32"],
  reserved: [12, "u32"],
});
export const HWPT_DIRTY_TRACKING_FLAGS = { ENABLE: 1 } as const;
export const HWPT_GET_DIRTY_BITMAP = defineStruct("le", 48, {
  size: [0, "u32"],
  hwptId: [4, "u32"],
  flags: [8, "u32"],
  reserved: [12, "u32"],
  iova: [16, "big64"],
  length: [24, "big64"],
  pageSize: [32, "big64"],
  data: [40, "big64"],
});
export const HWPT_DIRTY_BITMAP_FLAGS = { NO_CLEAR: 1 } as const;
export const HWPT_INVALIDATE = defineStruct("le", 32, {
  size: [0, "u32"],
  hwptId: [4, "u32"],
  dataUptr: [8, "big64"],
  dataType: [16, "u32"],
  entryLen: [20, "u32"],
  entryNum: [24, "u32"],
  reserved: [28, "u32"],
});
export const FAULT_QUEUE_ALLOC = defineStruct("le", 16, {
  size: [0, "u32"],
  flags: [4, "u32"],
  outFaultId: [8, "u32"],
  outFaultFd: [12, "u32"],
});
export const VIOMMU_ALLOC = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  type: [8, "u32"],
  devId: [12, "u32"],
  hwptId: [16, "u32"],
  outViommuId: [20, "u32"],
  dataLen: [24, "u32"],
  reserved: [28, "u32"],
  dataUptr: [32, "big64"],
});
/** Shortest accepted VIOMMU_ALLOC argument. */
export const VIOMMU_ALLOC_MIN = 24;
export const VDEVICE_ALLOC = defineStruct("le", 24, {
  size: [0, "u32"],
  viommuId: [4, "u32"],
  devId: [8, "u32"],
  outVdeviceId: [12, "u32"],
  virtId: [16, "big64"],
});
export const IOAS_CHANGE_PROCESS = defineStruct("le", 8, { size: [0, "u32"], reserved: [4, "u32"] });
export const VEVENTQ_ALLOC = defineStruct("le", 32, {
  size: [0, "u32"],
  flags: [4, "u32"],
  viommuId: [8, "u32"],
  type: [12, "u32"],
  veventqDepth: [16, "u32"],
  outVeventqId: [20, "u32"],
  outVeventqFd: [24, "u32"],
  reserved: [28, "u32"],
});
export const HW_QUEUE_ALLOC = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  viommuId: [8, "u32"],
  type: [12, "u32"],
  index: [16, "u32"],
  outHwQueueId: [20, "u32"],
  nestingParentIova: [24, "big64"],
  length: [32, "big64"],
});
export const NOIOMMU_GET_PA = defineStruct("le", 40, {
  size: [0, "u32"],
  flags: [4, "u32"],
  ioasId: [8, "u32"],
  reserved: [12, "u32"],
  iova: [16, "big64"],
  length: [24, "big64"],
  outPhys: [32, "big64"],
});
