/**
 * What a vfio-pci variant driver decides for itself: regions, and read and write of them. Everything else is the
 * vfio-pci core's.
 */
import type { VfioDevice } from "../device.ts";
import type { Iommufd } from "../iommu/iommufd.ts";
import type { RegionLayout } from "../region_layout.ts";

/** One region as GET_REGION_INFO tells it. Bytes. */
export interface RegionAnswer {
  readonly size: number;
  readonly offset: number;
  /** REGION_FLAGS. */
  readonly flags: number;
}

/** Operations of a driver that lets processes attach address spaces of their own (PASIDs) to a device. */
export interface PasidOperations {
  /** @throws {ErrnoError} on a function that has no PASIDs */
  attach(iommufd: Iommufd, pasid: number, ptId: number): never;
}

/** Feature DMA_BUF of a driver that can tell where a BAR lies. */
export interface DmaBufOperations {
  /** Exports ranges of a BAR; `payload` is what lies behind the feature's header. @throws {ErrnoError} */
  get(device: VfioDevice, payload: Uint8Array): never;
}

/** A driver that holds functions. */
export interface Variant {
  /** Driver name in sysfs, as driver_override takes it. */
  readonly driver: "ism_vfio_pci" | "vfio-pci";
  /** Where the regions of a device lie that is being opened for the `opens`-th time. */
  layout(device: VfioDevice, opens: number): RegionLayout;
  /** Undefined for a driver without PASID operations. */
  readonly pasid: PasidOperations | undefined;
  /** Undefined for a driver without a physical-range operation. */
  readonly dmaBuf: DmaBufOperations | undefined;
  /** @throws {ErrnoError} EINVAL for an index without a region */
  regionInfo(device: VfioDevice, index: number): RegionAnswer;
  /** What a position that was refused may have been meant for; undefined where nothing is to be said. */
  hint(device: VfioDevice, position: number): string | undefined;
  /** @returns bytes read @throws {ErrnoError} */
  read(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number;
  /** @returns bytes written @throws {ErrnoError} */
  write(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number;
}
