/**
 * The ism_vfio_pci variant driver: region offsets shifted by 48, reads cut into loads, each write one store block.
 * Facts: docs/reference/vfio/info.md and vfio/access.md (drivers/vfio/pci/ism/main.c).
 */
import { remainder } from "../../base/bits.ts";
import type { RuleName } from "../../base/rule_names.ts";
import { hex } from "../../base/hex.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { VfioDevice } from "../device.ts";
import { ErrnoError } from "../errno.ts";
import { createLayout, hardCodedHint, type RegionLayout, type RegionLayoutName } from "../region_layout.ts";
import { splitMix64 } from "../../base/random.ts";
import { REGION, REGION_FLAGS } from "../uapi.ts";
import { copyFromUser, copyToUser } from "../process/user_memory.ts";
import { loadWidth } from "./load_width.ts";
import type { RegionAnswer, Variant } from "./variant.ts";

const SOURCE = "drivers/vfio/pci/ism/main.c";
const REGISTER_BYTES = 8;

function refuse(ref: RuleName, symbol: string, rule: string, message: string, hint?: string): ErrnoError {
  return new ErrnoError("EINVAL", {
    layer: "variant",
    ref,
    rule,
    source: `${SOURCE}: ${symbol}`,
    message,
    hint,
  });
}

/** Revisions of the driver: as merged, and as posted in version 4 of the series, which took only 8-byte reads. */
export type DriverRevision = "merged" | "posted-v4";

/** The variant driver. */
export class IsmVariant implements Variant {
  readonly driver = "ism_vfio_pci";
  // The driver provides neither of the two (vfio.driver.ops).
  readonly pasid = undefined;
  readonly dmaBuf = undefined;
  readonly #checkRead: (offset: number, count: number) => void;

  readonly #layout: RegionLayoutName;

  /** `layout` is where the driver puts regions; the real one uses `ism48`. */
  constructor(revision: DriverRevision, layout: RegionLayoutName) {
    this.#layout = layout;
    this.#checkRead = revision === "merged" ? () => {} : checkDoublewords;
  }

  layout(device: VfioDevice, opens: number): RegionLayout {
    const { seed } = device.kernel.options;
    const random = splitMix64(BigInt(seed) ^ splitMix64(BigInt(device.zdev.facts.fid)));
    return createLayout(this.#layout, regionSizes(device), random + BigInt(opens));
  }

  regionInfo({ zdev, config, layout }: VfioDevice, index: number): RegionAnswer {
    const offset = layout.positionOf(index);
    if (index === REGION.CONFIG) {
      return { size: config.size, offset, flags: REGION_FLAGS.READ | REGION_FLAGS.WRITE };
    }
    if (index > REGION.BAR5) {
      throw refuse(
        "vfio.region.table",
        "ism_vfio_pci_ioctl_get_region_info",
        "region index",
        `Region index ${index} does not exist`,
        "BARs are 0 to 5, config space is 7",
      );
    }
    const { size } = zdev.facts.bars[index]!;
    return { size, offset, flags: size === 0 ? 0 : REGION_FLAGS.READ | REGION_FLAGS.WRITE };
  }

  read(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number {
    if (count === 0) return 0;
    const { layout } = device;
    const index = layout.indexAt(position);
    const offset = layout.offsetAt(position);
    if (index === REGION.CONFIG) return device.config.read(offset, buffer, count, start);
    const clamped = checkBar(device, index, offset, count);
    this.#checkRead(offset, clamped);
    return readBar(device, index, offset, clamped, buffer, start);
  }

  write(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number {
    if (count === 0) return 0;
    const { layout } = device;
    const index = layout.indexAt(position);
    const offset = layout.offsetAt(position);
    if (index === REGION.CONFIG) return device.config.write(offset, buffer, count, start);
    const clamped = checkBar(device, index, offset, count);
    checkStoreBlock(device.zdev.facts.maxstbl, offset, clamped);
    copyFromUser(device.slab, buffer, start, clamped, "vfio.write.fault");
    device.zdev.storeBlock(index, offset, clamped, device.slab);
    return clamped;
  }

  hint(device: VfioDevice, position: number): string | undefined {
    return hardCodedHint(device.layout, regionSizes(device), position);
  }
}

/** Bytes of each region, by index. */
function regionSizes({ zdev, config }: VfioDevice): number[] {
  const sizes = zdev.facts.bars.map(({ size }) => size);
  sizes[REGION.CONFIG] = config.size;
  return Array.from({ length: REGION.COUNT }, (_, index) => sizes[index] ?? 0);
}

/** Version 4 of the series: reads are whole doublewords. @throws {ErrnoError} EINVAL */
function checkDoublewords(offset: number, count: number): void {
  if (offset % REGISTER_BYTES === 0 && count % REGISTER_BYTES === 0) return;
  throw refuse(
    "vfio.driver.revision",
    "ism_vfio_pci_do_io_r",
    "8-byte reads",
    `This revision of the driver reads whole doublewords only, not ${count} bytes at ${hex(offset)}`,
    "the merged driver takes any length and alignment",
  );
}

/** The prologue of both directions; returns the count clamped to the end of the BAR. */
function checkBar(device: VfioDevice, index: number, offset: number, count: number): number {
  if (index > REGION.BAR5 || index < 0) {
    throw refuse(
      "vfio.rw.index",
      "ism_vfio_pci_rw",
      "region index",
      index < 0
        ? "No region lies at the position"
        : `The position decodes to region index ${index}, which does not exist`,
      "take offsets from VFIO_DEVICE_GET_REGION_INFO",
    );
  }
  const { size } = device.zdev.facts.bars[index]!;
  if (size === 0) {
    throw refuse(
      "vfio.rw.empty",
      "ism_vfio_pci_bar_rw",
      "empty BAR",
      `BAR ${index} has no memory`,
      "an ISM function has BAR 0 and BAR 2",
    );
  }
  if (offset >= size) {
    throw refuse(
      "vfio.rw.end",
      "ism_vfio_pci_bar_rw",
      "end of BAR",
      `Offset ${hex(offset)} is not inside BAR ${index}, which has ${hex(size)} bytes`,
    );
  }
  return Math.min(count, size - offset);
}

/**
 * What the driver refuses before it issues a store block, in its order; counts are already clamped.
 *
 * @throws {ErrnoError} EINVAL
 */
export function checkStoreBlock(maxstbl: number, offset: number, count: number): void {
  if (count > maxstbl) {
    throw refuse(
      "vfio.write.limit",
      "ism_vfio_pci_do_io_w",
      "store-block limit",
      `Length ${count} is over the store-block limit of ${maxstbl} bytes`,
      "split the write; the limit is imaxstbl of the ZPCI_GROUP capability",
    );
  }
  if (remainder(offset, PAGE_SIZE) + count > PAGE_SIZE) {
    const boundary = Math.floor(offset / PAGE_SIZE) * PAGE_SIZE + PAGE_SIZE;
    throw refuse(
      "vfio.write.boundary",
      "ism_vfio_pci_do_io_w",
      "4 KiB boundary",
      `Length ${count} at ${hex(offset)} crosses a 4096-byte boundary`,
      `split at ${hex(boundary)}, or align the block`,
    );
  }
}

/** One load after the other into the caller's buffer; a failing one loses the count, not its predecessors' effects. */
function readBar(
  device: VfioDevice,
  index: number,
  offset: number,
  count: number,
  buffer: Uint8Array,
  start: number,
): number {
  let at = start;
  let left = count;
  while (left > 0) {
    const width = loadWidth(offset, left);
    const register = device.zdev.load(index, offset, width);
    copyToUser(buffer, at, register, REGISTER_BYTES - width, width, "vfio.read.fault");
    offset += width;
    at += width;
    left -= width;
  }
  return count;
}
