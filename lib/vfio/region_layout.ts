/**
 * Where regions lie in a device descriptor's file: the position of a region, and the region at a position.
 * Facts: VFIO sheet 3.1, 3.2 and 11 (drivers/vfio/pci/ism/main.c: ISM_VFIO_PCI_OFFSET_SHIFT).
 */

/** A way to place regions. All positions are bytes; a position up to 2^53 is exact. */
export interface RegionLayout {
  /** File position of a region's first byte. */
  positionOf(index: number): number;
  /** Index of the region that a position decodes to. */
  indexAt(position: number): number;
  /** Offset inside the region that a position decodes to. */
  offsetAt(position: number): number;
}

/** Regions at multiples of a power of two. Division instead of shifts: positions have more than 32 bits. */
function shifted(shift: number): RegionLayout {
  const spacing = 2 ** shift;
  return {
    positionOf: (index) => index * spacing,
    indexAt: (position) => Math.floor(position / spacing),
    offsetAt: (position) => position % spacing,
  };
}

/** The layouts of the drivers. */
export const REGION_LAYOUTS = {
  /** The ISM variant driver: index << 48, because BAR 0 spans 2^48 bytes. */
  ism48: shifted(48),
  /** Every other vfio-pci driver: index << 40. */
  legacy40: shifted(40),
} as const;
