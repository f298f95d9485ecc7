/**
 * The generic vfio-pci driver holding an ISM function: why the variant driver exists. Regions are 2^40 bytes apart, so
 * BAR 0 with its 2^48 bytes covers all others; BARs would be reached through a mapping, which ISM does not have. Facts:
 * vfio.generic.* and zpci.mio.ism (drivers/vfio/pci/vfio_pci_rdwr.c,
 * vfio_pci_core.c).
 */
import type { RuleName } from "../../base/rule_names.ts";
import { hex } from "../../base/hex.ts";
import type { VfioDevice } from "../device.ts";
import type { Iommufd } from "../iommu/iommufd.ts";
import { coreError } from "../refusal.ts";
import { ErrnoError, type ErrnoName } from "../errno.ts";
import { LEGACY_LAYOUT, type RegionLayout } from "../region_layout.ts";
import { DMA_BUF, REGION, REGION_FLAGS } from "../uapi.ts";
import { copyFromUser, copyToUser } from "../process/user_memory.ts";
import { loadWidth } from "./load_width.ts";
import type { DmaBufOperations, PasidOperations, RegionAnswer, Variant } from "./variant.ts";

const SOURCE = "drivers/vfio/pci/vfio_pci_rdwr.c";
/** The kernel maps a BAR as a whole before its first access; more than this cannot be mapped. */
const MAPPABLE_BYTES = 2 ** 47;
const COMMAND = 0x04;
const COMMAND_MEMORY = 0x02;

function refuse(
  code: ErrnoName,
  ref: RuleName,
  symbol: string,
  rule: string,
  message: string,
  hint?: string,
): ErrnoError {
  return coreError(code, ref, rule, `${SOURCE}: ${symbol}`, message, hint);
}

/** vfio-pci. */
export class GenericVariant implements Variant {
  readonly driver = "vfio-pci";
  readonly pasid: PasidOperations = { attach: attachPasid };
  readonly dmaBuf: DmaBufOperations = { get: exportDmaBuf };

  layout(): RegionLayout {
    return LEGACY_LAYOUT;
  }

  regionInfo({ zdev, config, layout }: VfioDevice, index: number): RegionAnswer {
    const offset = layout.positionOf(index);
    const access = REGION_FLAGS.READ | REGION_FLAGS.WRITE;
    if (index === REGION.CONFIG) return { size: config.size, offset, flags: access };
    if (index === REGION.ROM) return { size: 0, offset, flags: 0 };
    if (index >= REGION.VGA) {
      throw new ErrnoError("EINVAL", {
        layer: "vfio-core",
        ref: "vfio.generic.regions",
        rule: "region index",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_region_info",
        message: `Region index ${index} does not exist`,
      });
    }
    const { size } = zdev.facts.bars[index]!;
    return { size, offset, flags: size === 0 ? 0 : access };
  }

  /** Its refusals say themselves that BAR 0 lies over everything. */
  hint(): undefined {}

  read(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number {
    if (count === 0) return 0;
    const index = checkIndex(device, position);
    const offset = device.layout.offsetAt(position);
    if (index === REGION.CONFIG) return device.config.read(offset, buffer, count, start);
    const clamped = checkBar(device, index, offset, count);
    for (let done = 0; done < clamped;) {
      const width = loadWidth(offset + done, clamped - done);
      // The accessor executes an MIO load; the function has no MIO addresses, and all ones come back.
      mioAccess(device, "PCILGI", index, offset + done, width);
      copyToUser(buffer, start + done, ALL_ONES, 0, width);
      done += width;
    }
    return clamped;
  }

  write(device: VfioDevice, buffer: Uint8Array, count: number, position: number, start: number): number {
    if (count === 0) return 0;
    const index = checkIndex(device, position);
    const offset = device.layout.offsetAt(position);
    if (index === REGION.CONFIG) return device.config.write(offset, buffer, count, start);
    const clamped = checkBar(device, index, offset, count);
    const value = new Uint8Array(8);
    for (let done = 0; done < clamped;) {
      const width = loadWidth(offset + done, clamped - done);
      copyFromUser(value, buffer, start + done, width);
      mioAccess(device, "PCISTGI", index, offset + done, width);
      done += width;
    }
    return clamped;
  }
}

/** Regions beyond the nine of PCI do not exist. */
function checkIndex({ layout }: VfioDevice, position: number): number {
  const index = layout.indexAt(position);
  if (index < REGION.COUNT) return index;
  throw new ErrnoError("EINVAL", {
    layer: "vfio-core",
    ref: "vfio.generic.regions",
    rule: "region index",
    source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_rw",
    message: `The position decodes to region index ${index}, which does not exist`,
    hint: "regions are 2^40 bytes apart here, and BAR 0 of ISM is larger than that",
  });
}

const NO_MAPPING = "this is why ism_vfio_pci exists: it never maps BARs";
const ALL_ONES = new Uint8Array(8).fill(0xff);

function checkBar(device: VfioDevice, index: number, offset: number, count: number): number {
  const { bars, vfn } = device.zdev.facts;
  const size = bars[index]?.size ?? 0;
  if (size === 0) {
    throw refuse(
      "EINVAL",
      "vfio.generic.bars",
      "vfio_pci_bar_rw",
      "empty region",
      `Region index ${index} has no memory`,
    );
  }
  if (offset >= size) {
    throw refuse(
      "EINVAL",
      "vfio.generic.bars",
      "vfio_pci_bar_rw",
      "end of BAR",
      `Offset ${hex(offset)} is not inside BAR ${index}`,
    );
  }
  if (device.kernel.rules.genericBars === "absent") {
    throw refuse(
      "ENODEV",
      "vfio.generic.bars",
      "vfio_pci_bar_rw",
      "BAR mapping",
      `BAR ${index} of ISM cannot be mapped`,
      NO_MAPPING,
    );
  }
  if (size > MAPPABLE_BYTES) {
    throw refuse(
      "ENOMEM",
      "vfio.generic.bars",
      "vfio_pci_bar_rw",
      "BAR mapping",
      `BAR ${index} with ${hex(size)} bytes cannot be mapped into the kernel`,
      NO_MAPPING,
    );
  }
  if (vfn === 0 && (device.zdev.configLoad(COMMAND, 2) & COMMAND_MEMORY) === 0) {
    throw refuse(
      "EIO",
      "vfio.generic.memory",
      "vfio_pci_core_do_io_rw",
      "memory decode",
      "The memory bit of COMMAND is off",
    );
  }
  return Math.min(count, size - offset);
}

/** An MIO instruction on a function without MIO addresses: condition code 3, which the accessors swallow. */
function mioAccess(
  { kernel, zdev }: VfioDevice,
  op: "PCILGI" | "PCISTGI",
  space: number,
  offset: number,
  length: number,
): void {
  const { name: guest, tracer } = kernel.partition;
  if (tracer.sink === undefined) return;
  const { fid } = zdev.facts;
  tracer.point({ layer: "insn", op, guest, fid, fh: zdev.fh, space, length, offset, cc: 3, status: 0 });
}

/** Largest PASID that can be remembered (lib/idr.c: ida_alloc_range). */
const PASID_LIMIT = 2 ** 31;

/** vfio_iommufd_physical_pasid_attach_ioas: the page table is found first, then the function has no PASIDs. */
function attachPasid(iommufd: Iommufd, pasid: number, ptId: number): never {
  if (pasid >= PASID_LIMIT) {
    throw coreError(
      "ENOSPC",
      "vfio.generic.pasid",
      "PASID",
      "lib/idr.c: ida_alloc_range",
      `${pasid} is no PASID`,
    );
  }
  iommufd.attachTarget(ptId);
  const source = "drivers/iommu/iommufd/device.c: iommufd_hwpt_pasid_compat";
  throw coreError(
    "EINVAL",
    "vfio.generic.pasid",
    "PASID",
    source,
    "An IOAS cannot be attached to a PASID of this function",
  );
}

/**
 * vfio_pci_core_feature_dma_buf, its checks in order. BARs of ISM cannot be mapped, so none can be exported, and the
 * ranges are not looked at.
 *
 * @throws {ErrnoError} EINVAL, ENODEV
 */
function exportDmaBuf(_device: VfioDevice, payload: Uint8Array): never {
  const source = "drivers/vfio/pci/vfio_pci_dmabuf.c: vfio_pci_core_feature_dma_buf";
  const { regionIndex, flags, count } = DMA_BUF.decode(payload);
  if (count === 0 || flags !== 0) {
    throw coreError(
      "EINVAL",
      "vfio.generic.dmabuf",
      "arguments",
      source,
      "Flags must be 0, and there must be a range",
    );
  }
  if (regionIndex >= REGION.ROM) {
    throw coreError(
      "ENODEV",
      "vfio.generic.dmabuf",
      "region index",
      source,
      `Region ${regionIndex} is no BAR`,
    );
  }
  throw coreError(
    "ENODEV",
    "vfio.generic.dmabuf",
    "BAR mapping",
    source,
    `BAR ${regionIndex} cannot be mapped, and so not exported`,
  );
}
