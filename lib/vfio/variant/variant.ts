/**
 * What a vfio-pci variant driver decides for itself: regions, and read and write of them. Everything else is the
 * vfio-pci core's.
 */
import type { VfioDevice } from "../device.ts";
import type { RegionLayout } from "../region_layout.ts";

/** One region as GET_REGION_INFO tells it. Bytes. */
export interface RegionAnswer {
  readonly size: number;
  readonly offset: number;
  /** REGION_FLAGS. */
  readonly flags: number;
}

/** A driver that holds functions. */
export interface Variant {
  /** Driver name in sysfs, as driver_override takes it. */
  readonly driver: "ism_vfio_pci" | "vfio-pci";
  /** Where the regions of a device lie that is being opened for the `opens`-th time. */
  layout(device: VfioDevice, opens: number): RegionLayout;
  /** @throws {ErrnoError} EINVAL for an index without a region */
  regionInfo(device: VfioDevice, index: number): RegionAnswer;
  /** What a position that was refused may have been meant for; undefined where nothing is to be said. */
  hint(device: VfioDevice, position: number): string | undefined;
  /** @returns bytes read @throws {ErrnoError} */
  read(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number;
  /** @returns bytes written @throws {ErrnoError} */
  write(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number;
}
