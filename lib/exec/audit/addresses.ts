/** DMA addresses: those that a program takes from what the kernel told, and those that it has brought along. */
import { hex } from "../../base/hex.ts";
import {
  CAP_HEADER,
  CAP_ID,
  CONTAINER_IOCTL,
  DEVICE_IOCTL,
  DMA_MAP,
  DMA_MAP_FLAGS,
  IOAS_MAP,
  IOMMU_CAP_ID,
  IOMMU_INFO,
  IOMMU_INFO_FLAGS,
  IOMMUFD_IOCTL,
  IOVA_RANGE,
  ZPCI_BASE,
} from "../../vfio/uapi.ts";
import type { AuditEvent, EventOf, Group, Origin, Report } from "./event.ts";
import { capability } from "./lengths.ts";

/** IOAS_MAP with an address of the caller's. */
const FIXED_IOVA = 1;
/** Bytes of the range capability before its ranges, and of a range. */
const RANGES_AT = 16;

/** Addresses that the kernel said could be used, both inclusive. */
interface Range {
  readonly start: bigint;
  readonly last: bigint;
}

/** Findings about DMA addresses. */
export class Addresses implements Group {
  /** Whatever any process of the program was told: children map what their parents asked for. */
  readonly #ranges: Range[] = [];

  see(event: AuditEvent, report: Report): void {
    if (event.kind === "ioctl") this.#learnBase(event);
    else if (event.kind === "iommu") {
      this.#learnRanges(event);
      const map = mapOf(event);
      if (map !== undefined) this.#check(map, event.origin, report);
    }
  }

  #learnBase({ request, arg, result }: EventOf<"ioctl">): void {
    if (request !== DEVICE_IOCTL.VFIO_DEVICE_GET_INFO || result !== 0) return;
    const base = capability(arg, CAP_ID.ZPCI_BASE);
    if (base === undefined || base.length < ZPCI_BASE.size) return;
    const { startDma, endDma } = ZPCI_BASE.decode(base);
    this.#ranges.push({ start: BigInt(startDma), last: BigInt(endDma) });
  }

  #learnRanges({ request, arg, ranges, result }: EventOf<"iommu">): void {
    if (result !== 0) return;
    if (request === IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES && ranges !== undefined) this.#addAll(ranges);
    if (request === CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO) this.#addAll(rangesOf(arg));
  }

  #addAll(bytes: Uint8Array): void {
    for (let at = 0; at + IOVA_RANGE.size <= bytes.length; at += IOVA_RANGE.size) {
      this.#ranges.push(IOVA_RANGE.decode(bytes.subarray(at)));
    }
  }

  #check(
    { iova, size }: { readonly iova: bigint; readonly size: bigint },
    origin: Origin,
    report: Report,
  ): void {
    if (this.#ranges.length === 0) {
      report("iova-not-asked", origin, `${hex(iova)} is mapped, and no range of DMA addresses was asked for`);
    } else if (!this.#ranges.some(({ start, last }) => iova >= start && iova + size - 1n <= last)) {
      report("iova-not-asked", origin, `${hex(iova)} lies in no range of DMA addresses that was asked for`);
    }
  }
}

/** What an ioctl maps at an address of the caller's; undefined if it does not. */
function mapOf(
  { request, arg }: EventOf<"iommu">,
): { readonly iova: bigint; readonly size: bigint } | undefined {
  if (request === CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA && arg.length >= DMA_MAP.size) {
    const { flags, iova, size } = DMA_MAP.decode(arg);
    // An update of the virtual address maps nothing.
    return (flags & DMA_MAP_FLAGS.VADDR) === 0 ? { iova, size } : undefined;
  }
  if (request === IOMMUFD_IOCTL.IOMMU_IOAS_MAP && arg.length >= IOAS_MAP.size) {
    const { flags, iova, length } = IOAS_MAP.decode(arg);
    return (flags & FIXED_IOVA) !== 0 ? { iova, size: length } : undefined;
  }
  return undefined;
}

/** The ranges in what VFIO_IOMMU_GET_INFO wrote. */
function rangesOf(arg: Uint8Array): Uint8Array {
  const nothing = new Uint8Array(0);
  if (arg.length < IOMMU_INFO.size) return nothing;
  const { argsz, flags, capOffset } = IOMMU_INFO.decode(arg);
  if ((flags & IOMMU_INFO_FLAGS.CAPS) === 0) return nothing;
  const end = Math.min(argsz, arg.length);
  for (let at = capOffset; at > 0 && at + CAP_HEADER.size <= end;) {
    const { id, next } = CAP_HEADER.decode(arg.subarray(at));
    if (id === IOMMU_CAP_ID.IOVA_RANGE) return arg.subarray(at + RANGES_AT, next > at ? next : end);
    if (next <= at) break;
    at = next;
  }
  return nothing;
}
