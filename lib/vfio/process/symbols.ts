/**
 * Names of the values that ioctl arguments hold: flag bits, region and IRQ indices, extensions, features, as the
 * headers spell them (include/uapi/linux/vfio.h, include/uapi/linux/iommufd.h).
 */
import * as uapi from "../uapi.ts";

type Namer = (value: number) => string | undefined;

/** Names for the bits that are known, the rest as a number; 0 without bits. */
function bits(...names: readonly (readonly [bit: number, name: string])[]): Namer {
  return (value) => {
    const set = names.filter(([bit]) => (value & bit) !== 0);
    const rest = set.reduce((left, [bit]) => left & ~bit, value) >>> 0;
    const parts = set.map(([, name]) => name);
    if (rest !== 0 || parts.length === 0) parts.push(rest === 0 ? "0" : `0x${rest.toString(16)}`);
    return parts.join("|");
  };
}

function prefixed(prefix: string, names: Readonly<Record<string, number>>): Namer {
  return bits(...Object.entries(names).map(([name, bit]) => [bit, prefix + name] as const));
}

const REGION_INDEX: Namer = (index) =>
  index <= uapi.REGION.BAR5
    ? `VFIO_PCI_BAR${index}_REGION_INDEX`
    : ["VFIO_PCI_ROM_REGION_INDEX", "VFIO_PCI_CONFIG_REGION_INDEX", "VFIO_PCI_VGA_REGION_INDEX"][index - 6];

const IRQ_INDEX: Namer = (index) => {
  const name = ["INTX", "MSI", "MSIX", "ERR", "REQ"][index];
  return name === undefined ? undefined : `VFIO_PCI_${name}_IRQ_INDEX`;
};

const EXTENSION: Namer = (value) =>
  new Map<number, string>([
    [uapi.EXTENSION.TYPE1, "VFIO_TYPE1_IOMMU"],
    [uapi.EXTENSION.TYPE1V2, "VFIO_TYPE1v2_IOMMU"],
    [uapi.EXTENSION.DMA_CC, "VFIO_DMA_CC_IOMMU"],
    [uapi.EXTENSION.NOIOMMU, "VFIO_NOIOMMU_IOMMU"],
    [uapi.EXTENSION.UNMAP_ALL, "VFIO_UNMAP_ALL"],
    [uapi.EXTENSION.UPDATE_VADDR, "VFIO_UPDATE_VADDR"],
  ]).get(value);

const FEATURES = [
  ...["PCI_VF_TOKEN", "MIGRATION", "MIG_DEVICE_STATE", "LOW_POWER_ENTRY", "LOW_POWER_ENTRY_WITH_WAKEUP"],
  ...["LOW_POWER_EXIT", "DMA_LOGGING_START", "DMA_LOGGING_STOP", "DMA_LOGGING_REPORT", "MIG_DATA_SIZE"],
  ...["BUS_MASTER", "DMA_BUF", "MIG_PRECOPY_INFOv2"],
];

/** Bits 0 to 15 are a number, the others are bits (vfio.feature.table). */
const FEATURE_FLAGS: Namer = (value) => {
  const { INDEX, GET, SET, PROBE } = uapi.FEATURE_FLAGS;
  const feature = value & INDEX;
  const operation = value - feature;
  const name = FEATURES[feature] === undefined ? String(feature) : `VFIO_DEVICE_FEATURE_${FEATURES[feature]}`;
  return operation === 0
    ? name
    : `${prefixed("VFIO_DEVICE_FEATURE_", { GET, SET, PROBE })(operation)}|${name}`;
};

const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, MASK, UNMASK, TRIGGER } = uapi.IRQ_SET_FLAGS;

const IOAS_MAP_FLAGS = prefixed("IOMMU_IOAS_MAP_", uapi.IOAS_MAP_FLAGS);

/** By ioctl and field; `arg` is an argument that is no struct. */
const NAMERS: Readonly<Record<string, Readonly<Record<string, Namer>>>> = {
  VFIO_CHECK_EXTENSION: { arg: EXTENSION },
  VFIO_SET_IOMMU: { arg: EXTENSION },
  VFIO_IOMMU_GET_INFO: { flags: prefixed("VFIO_IOMMU_INFO_", uapi.IOMMU_INFO_FLAGS) },
  VFIO_IOMMU_MAP_DMA: { flags: prefixed("VFIO_DMA_MAP_FLAG_", uapi.DMA_MAP_FLAGS) },
  VFIO_IOMMU_UNMAP_DMA: {
    flags: bits(
      [uapi.DMA_UNMAP_FLAGS.GET_DIRTY, "VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP"],
      [uapi.DMA_UNMAP_FLAGS.ALL, "VFIO_DMA_UNMAP_FLAG_ALL"],
      [uapi.DMA_UNMAP_FLAGS.VADDR, "VFIO_DMA_UNMAP_FLAG_VADDR"],
    ),
  },
  VFIO_GROUP_GET_STATUS: { flags: prefixed("VFIO_GROUP_FLAGS_", uapi.GROUP_FLAGS) },
  VFIO_DEVICE_GET_INFO: { flags: prefixed("VFIO_DEVICE_FLAGS_", uapi.DEVICE_FLAGS) },
  VFIO_DEVICE_GET_REGION_INFO: {
    flags: prefixed("VFIO_REGION_INFO_FLAG_", uapi.REGION_FLAGS),
    index: REGION_INDEX,
  },
  VFIO_DEVICE_GET_IRQ_INFO: { flags: prefixed("VFIO_IRQ_INFO_", uapi.IRQ_FLAGS), index: IRQ_INDEX },
  VFIO_DEVICE_SET_IRQS: {
    flags: bits(
      [DATA_NONE, "VFIO_IRQ_SET_DATA_NONE"],
      [DATA_BOOL, "VFIO_IRQ_SET_DATA_BOOL"],
      [DATA_EVENTFD, "VFIO_IRQ_SET_DATA_EVENTFD"],
      [MASK, "VFIO_IRQ_SET_ACTION_MASK"],
      [UNMASK, "VFIO_IRQ_SET_ACTION_UNMASK"],
      [TRIGGER, "VFIO_IRQ_SET_ACTION_TRIGGER"],
    ),
    index: IRQ_INDEX,
  },
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: {
    flags: prefixed("VFIO_PCI_HOT_RESET_FLAG_", uapi.HOT_RESET_FLAGS),
  },
  VFIO_DEVICE_FEATURE: { flags: FEATURE_FLAGS },
  VFIO_DEVICE_IOEVENTFD: { flags: prefixed("VFIO_DEVICE_IOEVENTFD_", { 8: 1, 16: 2, 32: 4, 64: 8 }) },
  VFIO_DEVICE_BIND_IOMMUFD: { flags: prefixed("VFIO_DEVICE_BIND_FLAG_", uapi.BIND_FLAGS) },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: { flags: prefixed("VFIO_DEVICE_ATTACH_", uapi.PT_FLAGS) },
  VFIO_DEVICE_DETACH_IOMMUFD_PT: { flags: prefixed("VFIO_DEVICE_DETACH_", uapi.PT_FLAGS) },
  VFIO_IOMMU_DIRTY_PAGES: {
    flags: bits(
      [uapi.DIRTY_PAGES_FLAGS.START, "VFIO_IOMMU_DIRTY_PAGES_FLAG_START"],
      [uapi.DIRTY_PAGES_FLAGS.STOP, "VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP"],
      [uapi.DIRTY_PAGES_FLAGS.GET_BITMAP, "VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP"],
    ),
  },
  IOMMU_IOAS_MAP: { flags: IOAS_MAP_FLAGS },
  IOMMU_IOAS_COPY: { flags: IOAS_MAP_FLAGS },
  IOMMU_IOAS_MAP_FILE: { flags: IOAS_MAP_FLAGS },
  IOMMU_HWPT_ALLOC: {
    flags: bits(
      [1, "IOMMU_HWPT_ALLOC_NEST_PARENT"],
      [2, "IOMMU_HWPT_ALLOC_DIRTY_TRACKING"],
      [4, "IOMMU_HWPT_FAULT_ID_VALID"],
      [8, "IOMMU_HWPT_ALLOC_PASID"],
    ),
  },
  IOMMU_GET_HW_INFO: { flags: prefixed("IOMMU_HW_INFO_FLAG_", uapi.HW_INFO_FLAGS) },
  IOMMU_HWPT_SET_DIRTY_TRACKING: {
    flags: prefixed("IOMMU_HWPT_DIRTY_TRACKING_", uapi.HWPT_DIRTY_TRACKING_FLAGS),
  },
  IOMMU_HWPT_GET_DIRTY_BITMAP: {
    flags: prefixed("IOMMU_HWPT_GET_DIRTY_BITMAP_", uapi.HWPT_DIRTY_BITMAP_FLAGS),
  },
  IOMMU_OPTION: {
    optionId: (id) => ["IOMMU_OPTION_RLIMIT_MODE", "IOMMU_OPTION_HUGE_PAGES"][id],
    op: (op) => ["IOMMU_OPTION_OP_SET", "IOMMU_OPTION_OP_GET"][op],
  },
  IOMMU_VFIO_IOAS: {
    op: (op) => ["IOMMU_VFIO_IOAS_GET", "IOMMU_VFIO_IOAS_SET", "IOMMU_VFIO_IOAS_CLEAR"][op],
  },
};

/** The headers' name for a value of an ioctl's field, or undefined where the field is just a number. */
export function symbolOf(ioctl: string, field: string, value: number): string | undefined {
  return NAMERS[ioctl]?.[field]?.(value);
}
