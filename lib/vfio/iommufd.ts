/**
 * /dev/iommu: I/O address spaces (IOAS) of the iommufd way in. Facts: VFIO sheet 1.5 and 9.3
 * (drivers/iommu/iommufd/main.c, ioas.c, io_pagetable.c). Other numbers than 0x80 and up would go to the VFIO
 * compatibility layer, which needs a compatibility IOAS; there is none here, so most are answered with ENODEV.
 */
import { hex } from "../base/hex.ts";
import type { FieldRow, Struct, StructValue } from "../base/struct.ts";
import { PAGE_SIZE } from "../zpci/storage.ts";
import type { ErrnoName } from "./errno.ts";
import { type IoctlArg, notATty, OpenFile } from "./file.ts";
import { type DomainState, IommuDomain } from "./iommu_domain.ts";
import type { Kernel } from "./kernel.ts";
import { coreError, structArgument } from "./refusal.ts";
import {
  CONTAINER_IOCTL,
  EXTENSION,
  IOAS_ALLOC,
  IOAS_IOVA_RANGES,
  IOAS_MAP,
  IOAS_MAP_FLAGS,
  IOAS_UNMAP,
  IOMMU_DESTROY,
  IOMMUFD_IOCTL,
  IOVA_RANGE,
  VFIO_API_VERSION,
} from "./uapi.ts";
import { copyStructSize, copyToUser } from "./user_memory.ts";
import type { Zdev } from "./zdev.ts";

const SOURCE = "drivers/iommu/iommufd";
const MAX_64 = 2n ** 64n - 1n;
/** What the iommufd as a container can do; UPDATE_VADDR is not among it (VFIO sheet 1.4). */
const CONTAINER_EXTENSIONS: readonly number[] = [EXTENSION.TYPE1, EXTENSION.TYPE1V2, EXTENSION.UNMAP_ALL];
/** First command number of iommufd itself. */
const FIRST_COMMAND = 0x3b80;

/** An I/O address space. */
export class Ioas {
  readonly id: number;
  readonly domain: IommuDomain;

  constructor(id: number, domain: IommuDomain) {
    this.id = id;
    this.domain = domain;
  }

  /** Attached functions raise the alignment to a page and reserve what is outside their DMA addresses. */
  get alignment(): number {
    return this.domain.zdevs.size === 0 ? 1 : PAGE_SIZE;
  }

  /** First and last address that may be mapped. */
  get range(): readonly [first: bigint, last: bigint] {
    let first = 0n;
    let last = MAX_64;
    for (const { facts } of this.domain.zdevs) {
      if (BigInt(facts.startDma) > first) first = BigInt(facts.startDma);
      if (BigInt(facts.endDma) < last) last = BigInt(facts.endDma);
    }
    return [first, last];
  }

  /** ATTACH of a function. @throws {ErrnoError} EADDRINUSE if a mapping is where the function cannot reach */
  attach(zdev: Zdev): void {
    const { startDma, endDma } = zdev.facts;
    for (const { iova, size, vaddr } of this.domain.mappings()) {
      const aligned = [iova, size, vaddr].every((value) => value % PAGE_SIZE === 0);
      if (iova >= startDma && iova + size - 1 <= endDma && aligned) continue;
      throw coreError(
        "EADDRINUSE",
        "reserved range",
        `${SOURCE}/io_pagetable.c: iopt_table_enforce_dev_resv_regions`,
        `The mapping at ${hex(iova)} is outside the function's DMA addresses or no whole pages`,
      );
    }
    zdev.attach(this.domain);
  }
}

/** An iommufd in the host file. */
export interface IommufdState {
  readonly id: number;
  readonly open: boolean;
  readonly ioases: readonly { readonly id: number; readonly domain: DomainState }[];
}

/** The context behind an iommufd descriptor; object ids are unique in it. */
export class Iommufd {
  readonly id: number;
  readonly #kernel: Kernel;
  readonly ioases = new Map<number, Ioas>();
  /** A descriptor refers to it; a bound device keeps it alive too. */
  open = true;

  constructor(kernel: Kernel, id: number) {
    this.#kernel = kernel;
    this.id = id;
  }

  /** The IOAS with an id. @throws {ErrnoError} ENOENT */
  ioas(id: number): Ioas {
    const ioas = this.ioases.get(id);
    if (ioas !== undefined) return ioas;
    throw coreError(
      "ENOENT",
      "object id",
      `${SOURCE}/main.c: iommufd_get_object`,
      `There is no IOAS with id ${id}`,
    );
  }

  allocate(): Ioas {
    const ioas = new Ioas(this.#kernel.newId(), this.#kernel.newDomain());
    this.ioases.set(ioas.id, ioas);
    return ioas;
  }

  /** Nobody refers to it any more: every IOAS goes, with its mappings. */
  dispose(): void {
    for (const { domain } of this.ioases.values()) {
      for (const zdev of [...domain.zdevs]) zdev.attach(undefined);
      domain.dispose();
    }
    this.ioases.clear();
  }

  save(): IommufdState {
    return {
      id: this.id,
      open: this.open,
      ioases: [...this.ioases.values()].map(({ id, domain }) => ({ id, domain: domain.save() })),
    };
  }

  static restore(kernel: Kernel, state: IommufdState): Iommufd {
    const iommufd = new Iommufd(kernel, state.id);
    iommufd.open = state.open;
    for (const { id, domain } of state.ioases) {
      iommufd.ioases.set(id, new Ioas(id, IommuDomain.restore(kernel.partition, domain)));
    }
    return iommufd;
  }
}

/** A descriptor of /dev/iommu. */
export class IommufdFile extends OpenFile {
  override readonly kind = "iommufd";
  readonly iommufd: Iommufd;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, iommufd: Iommufd) {
    super();
    this.#kernel = kernel;
    this.iommufd = iommufd;
  }

  override get id(): number {
    return this.iommufd.id;
  }

  override get path(): string {
    return "/dev/iommu";
  }

  /** Only what a virtual IOMMU offers can be mapped, and there is none. @throws {ErrnoError} ENXIO */
  override mmap(): number {
    throw coreError(
      "ENXIO",
      "no mmap",
      `${SOURCE}/main.c: iommufd_fops_mmap`,
      "Nothing of an iommufd can be mapped",
    );
  }

  override ioctl(request: number, arg: IoctlArg): number {
    if (request < FIRST_COMMAND) return containerIoctl(request, arg);
    const bytes = structArgument(arg);
    switch (request) {
      case IOMMUFD_IOCTL.IOMMU_DESTROY:
        return this.#destroy(bytes);
      case IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC:
        return this.#alloc(bytes);
      case IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES:
        return this.#ranges(bytes);
      case IOMMUFD_IOCTL.IOMMU_IOAS_MAP:
        return this.#map(bytes);
      case IOMMUFD_IOCTL.IOMMU_IOAS_UNMAP:
        return this.#unmap(bytes);
    }
    throw notATty(this.kind, request);
  }

  override release(): void {
    this.iommufd.open = false;
    this.#kernel.releaseIommufd(this.iommufd);
  }

  #destroy(arg: Uint8Array): number {
    const { id } = readCommand(arg, IOMMU_DESTROY, "iommufd_destroy");
    const ioas = this.iommufd.ioas(id);
    if (ioas.domain.zdevs.size > 0) {
      throw coreError(
        "EBUSY",
        "object in use",
        `${SOURCE}/main.c: iommufd_destroy`,
        `IOAS ${id} is attached`,
      );
    }
    ioas.domain.dispose();
    this.iommufd.ioases.delete(id);
    return 0;
  }

  #alloc(arg: Uint8Array): number {
    const { flags } = readCommand(arg, IOAS_ALLOC, "iommufd_ioas_alloc_ioctl");
    if (flags !== 0) throw ioasError("EOPNOTSUPP", "flags", "iommufd_ioas_alloc_ioctl", "Flags must be 0");
    IOAS_ALLOC.encode({ outId: this.iommufd.allocate().id }, arg);
    return 0;
  }

  /** One range; a caller with room for none is told how many it needs. */
  #ranges(arg: Uint8Array): number {
    const { ioasId, count, reserved, pointer } = readCommand(
      arg,
      IOAS_IOVA_RANGES,
      "iommufd_ioas_iova_ranges",
    );
    if (reserved !== 0) {
      throw ioasError("EOPNOTSUPP", "reserved", "iommufd_ioas_iova_ranges", "Reserved must be 0");
    }
    const ioas = this.iommufd.ioas(ioasId);
    const [start, last] = ioas.range;
    if (count > 0) {
      const target = this.#kernel.process.memory(Number(pointer), IOVA_RANGE.size, true);
      copyToUser(target, 0, IOVA_RANGE.encode({ start, last }), 0, IOVA_RANGE.size);
    }
    IOAS_IOVA_RANGES.encode({ count: 1, alignment: BigInt(ioas.alignment) }, arg);
    if (count < 1) throw ioasError("EMSGSIZE", "range count", "iommufd_ioas_iova_ranges", "There is 1 range");
    return 0;
  }

  /** IOAS_MAP, checks in the order of VFIO sheet 9.3. */
  #map(arg: Uint8Array): number {
    const symbol = "iommufd_ioas_map";
    const { flags, ioasId, reserved, userVa, length, iova } = readCommand(arg, IOAS_MAP, symbol);
    const known = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
    if ((flags & ~known) !== 0 || reserved !== 0) {
      throw ioasError("EOPNOTSUPP", "flags", symbol, "Unknown flags, or reserved is not 0");
    }
    if (iova === MAX_64 || length === MAX_64) {
      throw ioasError("EOVERFLOW", "size", symbol, "2^64 - 1 is no size");
    }
    const read = (flags & IOAS_MAP_FLAGS.READABLE) !== 0;
    const write = (flags & IOAS_MAP_FLAGS.WRITEABLE) !== 0;
    if (!read && !write) throw ioasError("EINVAL", "flags", symbol, "A mapping needs READABLE or WRITEABLE");
    const ioas = this.iommufd.ioas(ioasId);
    const fixed = (flags & IOAS_MAP_FLAGS.FIXED_IOVA) !== 0;
    const at = fixed ? iova : freeIova(ioas, length);
    const alignment = BigInt(ioas.alignment);
    if (length === 0n || at % alignment !== 0n || length % alignment !== 0n || userVa % alignment !== 0n) {
      throw ioasError("EINVAL", "alignment", symbol, `Address and length must be multiples of ${alignment}`);
    }
    if (at + length > MAX_64 + 1n || userVa + length > MAX_64 + 1n) {
      throw ioasError("EOVERFLOW", "address wrap", symbol, "Address plus length passes 2^64");
    }
    const [first, last] = ioas.range;
    if (at < first || at + length - 1n > last) {
      throw ioasError(
        "EINVAL",
        "reserved range",
        symbol,
        `${hex(at)} is outside ${hex(first)} to ${hex(last)}`,
      );
    }
    if (ioas.domain.tables.overlapping(Number(at), Number(length)).length > 0) {
      throw ioasError("EEXIST", "overlap", symbol, `${hex(at)} is mapped already`);
    }
    if (!ioas.domain.map(Number(at), Number(userVa), Number(length), read, write)) {
      throw ioasError("EFAULT", "pinning", symbol, `${hex(userVa)} is not memory of the process`);
    }
    IOAS_MAP.encode({ iova: at }, arg);
    return 0;
  }

  #unmap(arg: Uint8Array): number {
    const symbol = "iommufd_ioas_unmap";
    const { ioasId, iova, length } = readCommand(arg, IOAS_UNMAP, symbol);
    const { domain } = this.iommufd.ioas(ioasId);
    const all = iova === 0n && length === MAX_64;
    if (!all && length === 0n) throw ioasError("EINVAL", "length 0", symbol, "An unmap needs a length");
    if (!all && iova + length > MAX_64 + 1n) {
      throw ioasError("EOVERFLOW", "address wrap", symbol, "Address plus length passes 2^64");
    }
    const from = Number(iova);
    const to = from + Number(length);
    const hit = all ? [...domain.tables.entries] : domain.tables.overlapping(from, to - from);
    const cut = !all && hit.some((mapping) => mapping.iova < from || mapping.iova + mapping.size > to);
    if (cut) throw ioasError("ENOENT", "partial unmap", symbol, "The range cuts a mapping");
    if (hit.length === 0 && !all) {
      throw ioasError("ENOENT", "nothing mapped", symbol, "Nothing is mapped there");
    }
    for (const mapping of hit) domain.unmap(mapping);
    IOAS_UNMAP.encode({ length: BigInt(hit.reduce((sum, { size }) => sum + size, 0)) }, arg);
    return 0;
  }
}

/** The compatibility layer, as far as it needs no compatibility IOAS. */
function containerIoctl(request: number, arg: IoctlArg): number {
  switch (request) {
    case CONTAINER_IOCTL.VFIO_GET_API_VERSION:
      return VFIO_API_VERSION;
    case CONTAINER_IOCTL.VFIO_CHECK_EXTENSION:
      return CONTAINER_EXTENSIONS.includes(Number(arg)) ? 1 : 0;
    case CONTAINER_IOCTL.VFIO_SET_IOMMU:
    case CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO:
    case CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA:
    case CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA:
      throw coreError(
        "ENODEV",
        "no compatibility IOAS",
        `${SOURCE}/vfio_compat.c: iommufd_vfio_ioctl`,
        "The iommufd has no IOAS for VFIO container ioctls",
      );
  }
  throw notATty("iommufd", request);
}

function ioasError(code: ErrnoName, rule: string, symbol: string, message: string) {
  return coreError(code, rule, `${SOURCE}/ioas.c: ${symbol}`, message);
}

/** Lowest free address for a length, for a caller that leaves the choice to the kernel. */
function freeIova({ range: [first, last], domain, alignment }: Ioas, length: bigint): bigint {
  const step = BigInt(Math.max(alignment, PAGE_SIZE));
  let at = first === 0n ? step : first;
  for (const { iova, size } of domain.tables.entries) {
    if (at + length <= BigInt(iova)) break;
    at = BigInt(iova + size);
  }
  if (at + length - 1n > last) {
    throw ioasError("ENOSPC", "no free range", "iommufd_ioas_map", "No address range is large enough");
  }
  return at;
}

/** An iommufd struct: all of it is needed, and a larger one must end in zeros (E2BIG). */
function readCommand<Fields extends Record<string, FieldRow>>(
  arg: Uint8Array,
  struct: Struct<Fields>,
  symbol: string,
): StructValue<Fields> {
  copyStructSize(arg, struct.size, struct.size, `${SOURCE}/main.c: ${symbol}`);
  return struct.decode(arg);
}
