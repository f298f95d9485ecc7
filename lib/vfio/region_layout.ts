/**
 * Where regions lie in a device descriptor's file: the position of a region, and the region at a position. The ABI
 * calls offsets opaque, so that a kernel may choose any layout; a driver that takes them from GET_REGION_INFO works
 * with each of these. Facts: docs/reference/vfio/info.md and vfio/generic.md (drivers/vfio/pci/ism/main.c:
 * ISM_VFIO_PCI_OFFSET_SHIFT).
 */
import { splitMix64 } from "../base/random.ts";
import { hex } from "../base/hex.ts";
import { PAGE_SIZE, pageRound } from "../zpci/storage.ts";
import { REGION } from "./uapi.ts";

/** A way to place regions. All positions are bytes; a position up to 2^53 is exact. */
export interface RegionLayout {
  /** File position of a region's first byte. */
  positionOf(index: number): number;
  /** Index of the region that a position decodes to; -1 where no region lies. */
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
    // What `%` gives, without its division in software.
    offsetAt: (position) => position - Math.floor(position / spacing) * spacing,
  };
}

/** The layout of every vfio-pci driver but the ISM variant: index << 40. */
export const LEGACY_LAYOUT: RegionLayout = shifted(40);

/** Regions of any position and size, in an order of their own, with gaps between them. */
class PlacedLayout implements RegionLayout {
  readonly #positions: readonly number[];
  readonly #sizes: readonly number[];

  constructor(positions: readonly number[], sizes: readonly number[]) {
    this.#positions = positions;
    this.#sizes = sizes;
  }

  positionOf(index: number): number {
    return this.#positions[index] ?? 0;
  }

  indexAt(position: number): number {
    for (let index = 0; index < this.#sizes.length; index++) {
      const offset = position - this.#positions[index]!;
      if (offset >= 0 && offset < this.#sizes[index]!) return index;
    }
    return -1;
  }

  offsetAt(position: number): number {
    const index = this.indexAt(position);
    return index < 0 ? position : position - this.#positions[index]!;
  }
}

/** Places regions one behind the other in an order; `gap` pages before each. Empty regions take a page of nothing. */
function place(sizes: readonly number[], order: readonly number[], gap: () => number): RegionLayout {
  const positions = sizes.map(() => 0);
  let next = 0;
  for (const index of order) {
    next += gap() * PAGE_SIZE;
    positions[index] = next;
    next += Math.max(PAGE_SIZE, pageRound(sizes[index]!));
  }
  return new PlacedLayout(positions, sizes);
}

/** Regions that the variant driver has: the BARs and config space. */
const REGIONS = [0, 1, 2, 3, 4, 5, REGION.CONFIG];
/** Most pages of a random gap. */
const GAP_PAGES = 1n << 20n;

/** Order and gaps from a seed, as a kernel would place regions that hands out whatever range is free. */
function dynamic(sizes: readonly number[], seed: bigint): RegionLayout {
  let state = seed;
  const random = (below: bigint) => {
    state = splitMix64(state);
    return Number(state % below);
  };
  const order = [...REGIONS];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random(BigInt(i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return place(sizes, order, () => random(GAP_PAGES));
}

/** Layouts of the variant driver, by the name that a topology gives; the first is the real one. */
const LAYOUTS = {
  /** index << 48, because BAR 0 spans 2^48 bytes. */
  ism48: () => shifted(48),
  /** index << 40 as everywhere else: BAR 0 lies over all other regions. */
  legacy40: () => LEGACY_LAYOUT,
  /** Another order and other gaps at each open. */
  dynamic,
  /** Config space first, BAR 0 last. */
  reordered: (sizes) => place(sizes, REGIONS.toReversed(), () => 0),
  /** One region behind the other without a gap. */
  packed: (sizes) => place(sizes, REGIONS, () => 0),
} as const satisfies Record<string, (sizes: readonly number[], seed: bigint) => RegionLayout>;

export type RegionLayoutName = keyof typeof LAYOUTS;
/** Names of the layouts, the real one first. */
export const REGION_LAYOUTS = Object.keys(LAYOUTS) as [RegionLayoutName, ...RegionLayoutName[]];

/** The layout of a device that is being opened. `sizes` are bytes by region index, 0 for an empty region. */
export function createLayout(name: RegionLayoutName, sizes: readonly number[], seed: bigint): RegionLayout {
  return LAYOUTS[name](sizes, seed);
}

/**
 * What a position means to a driver that hard-codes a shift instead of asking GET_REGION_INFO; undefined if it means
 * nothing, or what it means here (vfio.region.offset).
 */
export function hardCodedHint(
  layout: RegionLayout,
  sizes: readonly number[],
  position: number,
): string | undefined {
  for (const shift of [40, 48]) {
    const meant = shifted(shift);
    const index = meant.indexAt(position);
    const offset = meant.offsetAt(position);
    if (index < 1 || index >= REGION.COUNT || offset >= (sizes[index] ?? 0)) continue;
    const right = layout.positionOf(index) + offset;
    if (right === position) return undefined;
    const name = index === REGION.CONFIG ? "config space" : `BAR ${index}`;
    return `with regions 2^${shift} bytes apart this would be ${name}, which GET_REGION_INFO puts at ${
      hex(right)
    }`;
  }
  return undefined;
}
