/**
 * /dev/vfio/vfio: a container with a type1 IOMMU. Facts: VFIO sheet 1.4 and 9.2
 * (drivers/vfio/container.c, drivers/vfio/vfio_iommu_type1.c).
 */
import { PAGE_SIZE } from "../zpci/storage.ts";
import { hex } from "../base/hex.ts";
import { copyInfo, linkCapabilities } from "./capability_chain.ts";
import { type FileState, type IoctlArg, notATty, OpenFile } from "./file.ts";
import { type DomainState, IommuDomain } from "./iommu_domain.ts";
import type { Group } from "./group.ts";
import type { Kernel } from "./kernel.ts";
import { coreError, structArgument } from "./refusal.ts";
import {
  CAP_HEADER,
  CONTAINER_IOCTL,
  DMA_MAP,
  DMA_MAP_FLAGS,
  DMA_UNMAP,
  DMA_UNMAP_FLAGS,
  EXTENSION,
  IOMMU_CAP_DMA_AVAIL,
  IOMMU_CAP_ID,
  IOMMU_CAP_IOVA_RANGE,
  IOMMU_CAP_MIGRATION,
  IOMMU_INFO,
  IOMMU_INFO_FLAGS,
  IOMMU_INFO_MIN,
  VFIO_API_VERSION,
} from "./uapi.ts";
import { checkArgsz } from "./user_memory.ts";

const TYPE1_SOURCE = "drivers/vfio/vfio_iommu_type1.c";
const CONTAINER_SOURCE = "drivers/vfio/container.c";
const TWO_64 = 2n ** 64n;
/** Largest dirty bitmap: one bit for each of 2^31 pages (DIRTY_BITMAP_SIZE_MAX). */
const DIRTY_BITMAP_BYTES = 2 ** 28;

/** State of a container, for the host file. */
export interface ContainerState {
  readonly id: number;
  readonly open: boolean;
  readonly type: number | null;
  readonly domain: DomainState | null;
}

/** A container: groups attached to it share its mappings. */
export class Container {
  readonly id: number;
  readonly #kernel: Kernel;
  readonly groups = new Set<Group>();
  /** IOMMU type that SET_IOMMU chose. */
  type: number | undefined = undefined;
  domain: IommuDomain | undefined = undefined;
  /** A descriptor refers to it. */
  open = true;

  constructor(kernel: Kernel, id: number) {
    this.#kernel = kernel;
    this.id = id;
  }

  /** GROUP_SET_CONTAINER: a container that has a type attaches the group's device at once. @throws {ErrnoError} */
  addGroup(group: Group): void {
    if (this.domain !== undefined) group.zdev.attach(this.domain);
    this.groups.add(group);
  }

  /** The last group to leave takes the IOMMU type and all mappings with it. */
  removeGroup(group: Group): void {
    this.groups.delete(group);
    if (this.domain !== undefined) group.zdev.attach(undefined);
    if (this.groups.size === 0) this.#dropDomain();
    this.releaseIfUnused();
  }

  /** Forgotten when no descriptor and no group refers to it. */
  releaseIfUnused(): void {
    if (this.open || this.groups.size > 0) return;
    this.#dropDomain();
    this.#kernel.containers.delete(this.id);
  }

  #dropDomain(): void {
    this.domain?.dispose();
    this.domain = undefined;
    this.type = undefined;
  }

  /** SET_IOMMU. */
  setIommu(type: number): number {
    if (this.groups.size === 0 || this.type !== undefined) {
      throw coreError(
        "EINVAL",
        "SET_IOMMU order",
        `${CONTAINER_SOURCE}: vfio_ioctl_set_iommu`,
        this.type === undefined
          ? "SET_IOMMU needs a group in the container"
          : "The container has an IOMMU type already",
        "order: SET_CONTAINER on the group, then SET_IOMMU",
      );
    }
    if (type !== EXTENSION.TYPE1 && type !== EXTENSION.TYPE1V2) {
      throw coreError(
        "ENODEV",
        "IOMMU type",
        `${CONTAINER_SOURCE}: vfio_ioctl_set_iommu`,
        `No IOMMU backend accepts type ${type}`,
        "use VFIO_TYPE1v2_IOMMU (3)",
      );
    }
    const domain = this.#kernel.newDomain();
    try {
      for (const group of this.groups) group.zdev.attach(domain);
    } catch (error) {
      for (const { zdev } of this.groups) zdev.attach(undefined);
      domain.dispose();
      throw error;
    }
    this.domain = domain;
    this.type = type;
    return 0;
  }

  save(): ContainerState {
    return {
      id: this.id,
      open: this.open,
      type: this.type ?? null,
      domain: this.domain?.save() ?? null,
    };
  }

  static restore(kernel: Kernel, state: ContainerState): Container {
    const container = new Container(kernel, state.id);
    container.open = state.open;
    container.type = state.type ?? undefined;
    if (state.domain !== null) container.domain = IommuDomain.restore(kernel.partition, state.domain);
    return container;
  }
}

/** A descriptor of a container. */
export class ContainerFile extends OpenFile {
  override readonly kind = "container";
  readonly container: Container;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, container: Container) {
    super();
    this.#kernel = kernel;
    this.container = container;
  }

  override get id(): number {
    return this.container.id;
  }

  override get path(): string {
    return "/dev/vfio/vfio";
  }

  override ioctl(request: number, arg: IoctlArg): number {
    const { container } = this;
    switch (request) {
      case CONTAINER_IOCTL.VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
      case CONTAINER_IOCTL.VFIO_CHECK_EXTENSION:
        return checkExtension(Number(arg));
      case CONTAINER_IOCTL.VFIO_SET_IOMMU:
        return container.setIommu(Number(arg));
    }
    if (container.domain === undefined) {
      throw coreError(
        "EINVAL",
        "no IOMMU type",
        `${CONTAINER_SOURCE}: vfio_fops_unl_ioctl`,
        "The container has no IOMMU type yet",
        "call VFIO_SET_IOMMU first",
      );
    }
    switch (request) {
      case CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO:
        return iommuInfo(this.#kernel, container, container.domain, structArgument(arg));
      case CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA:
        return mapDma(this.#kernel, container, container.domain, structArgument(arg));
      case CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA:
        return unmapDma(container.type!, container.domain, structArgument(arg));
    }
    throw notATty(this.kind, request);
  }

  override release(): void {
    this.container.open = false;
    this.container.releaseIfUnused();
  }

  override save(): Partial<FileState> {
    return {};
  }
}

function checkExtension(value: number): number {
  const supported: readonly number[] = [
    EXTENSION.TYPE1,
    EXTENSION.TYPE1V2,
    EXTENSION.UNMAP_ALL,
    EXTENSION.UPDATE_VADDR,
  ];
  return supported.includes(value) ? 1 : 0;
}

/** IOMMU_GET_INFO: page sizes, and the chain MIGRATION, DMA_AVAIL, IOVA_RANGE. */
function iommuInfo({ options }: Kernel, container: Container, domain: IommuDomain, arg: Uint8Array): number {
  const argsz = checkArgsz(arg, IOMMU_INFO_MIN, `${TYPE1_SOURCE}: vfio_iommu_type1_get_info`);
  const [start, end] = usableRange(container);
  const chain = linkCapabilities([
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.MIGRATION, version: 1 },
      IOMMU_CAP_MIGRATION.encode({ pageSizes: PAGE_SIZE, maxBitmap: DIRTY_BITMAP_BYTES }),
    ),
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.DMA_AVAIL, version: 1 },
      IOMMU_CAP_DMA_AVAIL.encode({ available: options.dmaEntryLimit - domain.tables.entries.length }),
    ),
    CAP_HEADER.encode(
      { id: IOMMU_CAP_ID.IOVA_RANGE, version: 1 },
      IOMMU_CAP_IOVA_RANGE.encode({ count: 1, start: BigInt(start), end: BigInt(end) }),
    ),
  ], IOMMU_INFO.size);
  const fields = { flags: IOMMU_INFO_FLAGS.PGSIZES | IOMMU_INFO_FLAGS.CAPS, pageSizes: PAGE_SIZE };
  copyInfo(arg, argsz, IOMMU_INFO.size, chain, (more) => IOMMU_INFO.encode({ ...fields, ...more }));
  return 0;
}

/** First and last DMA address that all functions of the container can use. */
function usableRange({ groups }: Container): readonly [start: number, end: number] {
  const facts = [...groups].map(({ zdev }) => zdev.facts);
  return [Math.max(...facts.map(({ startDma }) => startDma)), Math.min(...facts.map(({ endDma }) => endDma))];
}

/** MAP_DMA, checks in the order of VFIO sheet 9.2. */
function mapDma(kernel: Kernel, container: Container, domain: IommuDomain, arg: Uint8Array): number {
  const source = `${TYPE1_SOURCE}: vfio_dma_do_map`;
  checkArgsz(arg, DMA_MAP.size, `${TYPE1_SOURCE}: vfio_iommu_type1_map_dma`);
  const { flags, vaddr, iova, size } = DMA_MAP.decode(arg);
  const read = (flags & DMA_MAP_FLAGS.READ) !== 0;
  const write = (flags & DMA_MAP_FLAGS.WRITE) !== 0;
  if (flags > 7) throw coreError("EINVAL", "flags", source, `Unknown flags in ${hex(flags)}`);
  if (size === 0n) throw coreError("EINVAL", "size 0", source, "A mapping needs a size");
  if (iova + size > TWO_64 || vaddr + size > TWO_64) {
    throw coreError("EOVERFLOW", "address wrap", source, "Address plus size passes 2^64");
  }
  const moved = (flags & DMA_MAP_FLAGS.VADDR) !== 0;
  if (moved === (read || write)) {
    throw coreError("EINVAL", "flags", source, "A mapping needs READ or WRITE, or VADDR alone");
  }
  const page = BigInt(PAGE_SIZE);
  if (size % page !== 0n || iova % page !== 0n || vaddr % page !== 0n) {
    throw coreError("EINVAL", "alignment", source, "Address, IOVA and size must be multiples of 4096");
  }
  const at = Number(iova);
  const length = Number(size);
  const overlaps = domain.tables.overlapping(at, length).length > 0;
  if (moved) {
    // An address waits for a new one only after an unmap with VADDR, which is not there.
    throw coreError(overlaps ? "EINVAL" : "ENOENT", "VADDR", source, "No mapping waits for a new address");
  }
  if (overlaps) {
    throw coreError("EEXIST", "overlap", source, `${hex(iova)} is mapped already`, "unmap it first");
  }
  if (domain.tables.entries.length >= kernel.options.dmaEntryLimit) {
    throw coreError("ENOSPC", "mapping limit", source, "No mapping entries are left");
  }
  const [start, end] = usableRange(container);
  if (at < start || at + length - 1 > end) {
    throw coreError(
      "EINVAL",
      "IOVA range",
      source,
      `${hex(iova)} is outside the DMA addresses ${hex(start)} to ${hex(end)}`,
      "the range is in the IOVA_RANGE capability of VFIO_IOMMU_GET_INFO",
    );
  }
  if (!domain.map(at, Number(vaddr), length, read, write)) {
    throw coreError("EFAULT", "pinning", source, `${hex(vaddr)} is not memory of the process`);
  }
  return 0;
}

/** UNMAP_DMA; the caller's size becomes the bytes unmapped. */
function unmapDma(type: number, domain: IommuDomain, arg: Uint8Array): number {
  const source = `${TYPE1_SOURCE}: vfio_dma_do_unmap`;
  checkArgsz(arg, DMA_UNMAP.size, `${TYPE1_SOURCE}: vfio_iommu_type1_unmap_dma`);
  const { flags, iova, size } = DMA_UNMAP.decode(arg);
  const all = (flags & DMA_UNMAP_FLAGS.ALL) !== 0;
  if ((flags & ~DMA_UNMAP_FLAGS.ALL) !== 0) {
    throw coreError("EINVAL", "flags", source, `Flags ${hex(flags)} are not supported`);
  }
  const page = BigInt(PAGE_SIZE);
  if (all ? iova !== 0n || size !== 0n : size === 0n || size % page !== 0n || iova % page !== 0n) {
    throw coreError(
      "EINVAL",
      "alignment",
      source,
      all ? "With ALL, IOVA and size must be 0" : "IOVA and size must be multiples of 4096, and size not 0",
    );
  }
  if (iova + size > TWO_64) {
    throw coreError("EOVERFLOW", "address wrap", source, "IOVA plus size passes 2^64");
  }
  const from = Number(iova);
  const to = from + Number(size);
  const hit = all ? [...domain.tables.entries] : domain.tables.overlapping(from, to - from);
  const cut = all ? [] : hit.filter((mapping) => mapping.iova < from || mapping.iova + mapping.size > to);
  let unmapped = hit;
  if (cut.length > 0) {
    if (type === EXTENSION.TYPE1V2) {
      throw coreError("EINVAL", "partial unmap", source, "The range cuts a mapping", "unmap whole mappings");
    }
    // Version 1 stops at a mapping that begins before the range, and takes one that ends behind it whole.
    if (hit[0]!.iova < from) unmapped = [];
  }
  for (const mapping of unmapped) domain.unmap(mapping);
  DMA_UNMAP.encode({ size: BigInt(unmapped.reduce((sum, mapping) => sum + mapping.size, 0)) }, arg);
  return 0;
}
