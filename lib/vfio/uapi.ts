/**
 * The VFIO user-space ABI as tables: ioctl numbers, flags, struct layouts. Little-endian, sizes in bytes. Facts:
 * docs/reference/vfio/open.md, vfio/info.md, vfio/interrupts.md, vfio/reset.md and vfio/type1.md
 * (include/uapi/linux/vfio.h, include/uapi/linux/vfio_zdev.h).
 */
import { defineStruct } from "../base/struct.ts";

/** iommufd has an ABI of its own. */
export * from "./uapi_iommufd.ts";

/** `_IO(';', n)`: type 0x3B, no size or direction bits. */
const io = (number: number) => 0x3b00 | number;

/** ioctls of a container descriptor. */
export const CONTAINER_IOCTL = {
  VFIO_GET_API_VERSION: io(0x64),
  VFIO_CHECK_EXTENSION: io(0x65),
  VFIO_SET_IOMMU: io(0x66),
  VFIO_IOMMU_GET_INFO: io(0x70),
  VFIO_IOMMU_MAP_DMA: io(0x71),
  VFIO_IOMMU_UNMAP_DMA: io(0x72),
  VFIO_IOMMU_DIRTY_PAGES: io(0x75),
} as const;

/** ioctls of a group descriptor. */
export const GROUP_IOCTL = {
  VFIO_GROUP_GET_STATUS: io(0x67),
  VFIO_GROUP_SET_CONTAINER: io(0x68),
  VFIO_GROUP_UNSET_CONTAINER: io(0x69),
  VFIO_GROUP_GET_DEVICE_FD: io(0x6a),
} as const;

/** ioctls of a device descriptor. */
export const DEVICE_IOCTL = {
  VFIO_DEVICE_GET_INFO: io(0x6b),
  VFIO_DEVICE_GET_REGION_INFO: io(0x6c),
  VFIO_DEVICE_GET_IRQ_INFO: io(0x6d),
  VFIO_DEVICE_SET_IRQS: io(0x6e),
  VFIO_DEVICE_RESET: io(0x6f),
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: io(0x70),
  VFIO_DEVICE_PCI_HOT_RESET: io(0x71),
  /** Not for a PCI device: a vfio-pci driver does not know it. */
  VFIO_DEVICE_QUERY_GFX_PLANE: io(0x72),
  VFIO_DEVICE_IOEVENTFD: io(0x74),
  VFIO_DEVICE_FEATURE: io(0x75),
  VFIO_DEVICE_BIND_IOMMUFD: io(0x76),
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: io(0x77),
  VFIO_DEVICE_DETACH_IOMMUFD_PT: io(0x78),
} as const;

export const VFIO_API_VERSION = 0;

/** Values of CHECK_EXTENSION and SET_IOMMU. */
export const EXTENSION = {
  TYPE1: 1,
  TYPE1V2: 3,
  DMA_CC: 4,
  NOIOMMU: 8,
  UNMAP_ALL: 9,
  UPDATE_VADDR: 10,
} as const;

/** Region indices of a PCI device. */
export const REGION = { BAR0: 0, BAR5: 5, ROM: 6, CONFIG: 7, VGA: 8, COUNT: 9 } as const;
/** IRQ indices of a PCI device. */
export const IRQ = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4, COUNT: 5 } as const;

export const GROUP_STATUS = defineStruct("le", 8, { argsz: [0, "u32"], flags: [4, "u32"] });
export const GROUP_SET_CONTAINER = defineStruct("le", 4, { container: [0, "i32"] });
export const GROUP_FLAGS = { VIABLE: 1, CONTAINER_SET: 2 } as const;

export const DEVICE_INFO = defineStruct("le", 24, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  numRegions: [8, "u32"],
  numIrqs: [12, "u32"],
  capOffset: [16, "u32"],
});
/** Shortest accepted GET_INFO argument. */
export const DEVICE_INFO_MIN = 16;
export const DEVICE_FLAGS = { RESET: 0x1, PCI: 0x2, CAPS: 0x80 } as const;

export const REGION_INFO = defineStruct("le", 32, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  index: [8, "u32"],
  capOffset: [12, "u32"],
  size: [16, "u64"],
  offset: [24, "u64"],
});
export const REGION_FLAGS = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;

export const IRQ_INFO = defineStruct("le", 16, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  index: [8, "u32"],
  count: [12, "u32"],
});
export const IRQ_FLAGS = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

/** Header of SET_IRQS; data follows at its end. */
export const IRQ_SET = defineStruct("le", 20, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  index: [8, "u32"],
  start: [12, "u32"],
  count: [16, "u32"],
});
export const IRQ_SET_FLAGS = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  MASK: 8,
  UNMASK: 16,
  TRIGGER: 32,
} as const;

/** Header of every capability in an info chain; `next` is an offset from the start of the struct, 0 ends. */
export const CAP_HEADER = defineStruct("le", 8, { id: [0, "u16"], version: [2, "u16"], next: [4, "u32"] });
export const CAP_ID = { ZPCI_BASE: 1, ZPCI_GROUP: 2, ZPCI_UTIL: 3, ZPCI_PFIP: 4 } as const;
export const ZPCI_BASE = defineStruct("le", 40, {
  startDma: [8, "u64"],
  endDma: [16, "u64"],
  pchid: [24, "u16"],
  vfn: [26, "u16"],
  fmbLength: [28, "u16"],
  pft: [30, "u8"],
  gid: [31, "u8"],
  fh: [32, "u32"],
  /** From version 3 on. */
  ccdfErrLength: [36, "u32"],
});
export const ZPCI_GROUP = defineStruct("le", 48, {
  dasm: [8, "big64"],
  msiAddr: [16, "big64"],
  flags: [24, "big64"],
  mui: [32, "u16"],
  noi: [34, "u16"],
  maxstbl: [36, "u16"],
  version: [38, "u8"],
  imaxstbl: [40, "u16"],
});
export const ZPCI_UTIL = defineStruct("le", 80, { size: [8, "u32"], utilityString: [12, "bytes", 64] });
export const ZPCI_PFIP = defineStruct("le", 16, { size: [8, "u32"], pfip: [12, "bytes", 4] });

export const DMA_MAP = defineStruct("le", 32, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  vaddr: [8, "big64"],
  iova: [16, "big64"],
  size: [24, "big64"],
});
export const DMA_MAP_FLAGS = { READ: 1, WRITE: 2, VADDR: 4 } as const;
export const DMA_UNMAP = defineStruct("le", 24, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  iova: [8, "big64"],
  size: [16, "big64"],
});
export const DMA_UNMAP_FLAGS = { GET_DIRTY: 1, ALL: 2, VADDR: 4 } as const;
/** Where a dirty bitmap goes; behind DMA_UNMAP with GET_DIRTY, and in DIRTY_PAGES. */
export const DIRTY_BITMAP = defineStruct("le", 24, {
  pageSize: [0, "big64"],
  bitmapSize: [8, "big64"],
  data: [16, "big64"],
});
/** DIRTY_PAGES: START and STOP take the first 8 bytes, GET_BITMAP all. */
export const DIRTY_PAGES = defineStruct("le", 48, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  iova: [8, "big64"],
  size: [16, "big64"],
  pageSize: [24, "big64"],
  bitmapSize: [32, "big64"],
  data: [40, "big64"],
});
/** Shortest accepted DIRTY_PAGES argument. */
export const DIRTY_PAGES_MIN = 8;
export const DIRTY_PAGES_FLAGS = { START: 1, STOP: 2, GET_BITMAP: 4 } as const;
export const IOMMU_INFO = defineStruct("le", 24, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  iovaPgsizes: [8, "u64"],
  capOffset: [16, "u32"],
});
export const IOMMU_INFO_MIN = 16;
export const IOMMU_INFO_FLAGS = { PGSIZES: 1, CAPS: 2 } as const;
export const IOMMU_CAP_ID = { IOVA_RANGE: 1, MIGRATION: 2, DMA_AVAIL: 3 } as const;
export const IOMMU_CAP_MIGRATION = defineStruct("le", 32, {
  flags: [8, "u32"],
  pageSizes: [16, "u64"],
  maxBitmap: [24, "u64"],
});
export const IOMMU_CAP_DMA_AVAIL = defineStruct("le", 16, { available: [8, "u32"] });
/** One range; the struct is as long as its ranges. */
export const IOMMU_CAP_IOVA_RANGE = defineStruct("le", 32, {
  count: [8, "u32"],
  start: [16, "big64"],
  end: [24, "big64"],
});

/** GET_PCI_HOT_RESET_INFO header; entries of 8 bytes follow. */
export const HOT_RESET_INFO = defineStruct("le", 12, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  count: [8, "u32"],
});
export const HOT_RESET_ENTRY = defineStruct("le", 8, {
  groupOrDevice: [0, "u32"],
  segment: [4, "u16"],
  bus: [6, "u8"],
  devfn: [7, "u8"],
});
export const HOT_RESET_FLAGS = { DEV_ID: 1, DEV_ID_OWNED: 2 } as const;
/** PCI_HOT_RESET header; s32 descriptors follow. */
export const HOT_RESET = defineStruct("le", 12, { argsz: [0, "u32"], flags: [4, "u32"], count: [8, "u32"] });

export const IOEVENTFD = defineStruct("le", 32, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  offset: [8, "big64"],
  data: [16, "big64"],
  fd: [24, "i32"],
});
/** Shortest accepted IOEVENTFD argument: up to the descriptor. */
export const IOEVENTFD_MIN = 28;

/** Payload of feature DMA_BUF; ranges of 16 bytes follow. */
export const DMA_BUF = defineStruct("le", 16, {
  regionIndex: [0, "u32"],
  openFlags: [4, "u32"],
  flags: [8, "u32"],
  count: [12, "u32"],
});

/** Header of DEVICE_FEATURE; the payload follows. */
export const FEATURE = defineStruct("le", 8, { argsz: [0, "u32"], flags: [4, "u32"] });
export const FEATURE_FLAGS = { INDEX: 0xffff, GET: 0x1_0000, SET: 0x2_0000, PROBE: 0x4_0000 } as const;

/** An error block as feature ZPCI_ERROR gives it: big-endian on every machine. */
export { ERROR_BLOCK as ZPCI_ERROR_BLOCK } from "../zpci/error_events.ts";

/** Payload of feature ZPCI_ERROR: where the error block goes. */
export const ZPCI_ERROR = defineStruct("le", 8, { data: [0, "big64"] });

export const BIND_IOMMUFD = defineStruct("le", 24, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  iommufd: [8, "i32"],
  outDevid: [12, "u32"],
  tokenUuidPtr: [16, "big64"],
});
export const BIND_IOMMUFD_MIN = 16;
export const BIND_FLAGS = { TOKEN: 1 } as const;
export const ATTACH_PT = defineStruct("le", 16, {
  argsz: [0, "u32"],
  flags: [4, "u32"],
  ptId: [8, "u32"],
  pasid: [12, "u32"],
});
export const ATTACH_PT_MIN = 12;
export const DETACH_PT = defineStruct("le", 12, { argsz: [0, "u32"], flags: [4, "u32"], pasid: [8, "u32"] });
export const DETACH_PT_MIN = 8;
export const PT_FLAGS = { PASID: 1 } as const;
