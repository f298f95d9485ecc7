/**
 * /dev/iommu: I/O address spaces (IOAS) of the iommufd way in. Facts: VFIO sheet 1.5 and 9.3
 * (drivers/iommu/iommufd/main.c, ioas.c). Other numbers than those of its own commands go to the VFIO compatibility
 * layer, which is in iommufd_compat.ts.
 */
import type { FieldRow, Struct, StructValue } from "../../base/struct.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import { type IoctlArg, notATty, OpenFile } from "../process/file.ts";
import { Ioas, type IoasState, type IovaRange, MAX_64 } from "./ioas.ts";
import { iommufdContainerIoctl } from "./iommufd_compat.ts";
import type { Kernel } from "../kernel.ts";
import { coreError, structArgument } from "../refusal.ts";
import {
  IOAS_ALLOC,
  IOAS_ALLOW_IOVAS,
  IOAS_COPY,
  IOAS_IOVA_RANGES,
  IOAS_MAP,
  IOAS_MAP_FILE,
  IOAS_MAP_FLAGS,
  IOAS_UNMAP,
  IOMMU_DESTROY,
  IOMMU_OPTION,
  IOMMU_OPTION_ID,
  IOMMU_OPTION_OP,
  IOMMUFD_IOCTL,
  IOVA_RANGE,
  VFIO_IOAS,
  VFIO_IOAS_OP,
} from "../uapi.ts";
import { copyStructSize, copyToUser } from "../process/user_memory.ts";
import type { Zdev } from "../s390/zdev.ts";

const SOURCE = "drivers/iommu/iommufd";
/** First command number of iommufd itself. */
const FIRST_COMMAND = 0x3b80;

/** An iommufd in the host file. */
export interface IommufdState {
  readonly id: number;
  readonly open: boolean;
  /** The compatibility IOAS of container ioctls, null if there is none. */
  readonly vfioIoas: number | null;
  /** Option RLIMIT_MODE: locked memory is counted per process, as type1 does, and not per user. */
  readonly rlimitMode: boolean;
  readonly ioases: readonly IoasState[];
}

/** The context behind an iommufd descriptor; object ids are unique in it. */
export class Iommufd {
  readonly id: number;
  readonly #kernel: Kernel;
  readonly ioases = new Map<number, Ioas>();
  /** Object ids of the devices that are bound. */
  readonly devices = new Set<number>();
  /** Id of the compatibility IOAS that container ioctls work on. */
  vfioIoas: number | undefined = undefined;
  rlimitMode = false;
  /** A descriptor refers to it; a bound device or a group keeps it alive too. */
  open = true;

  constructor(kernel: Kernel, id: number) {
    this.#kernel = kernel;
    this.id = id;
  }

  /** The IOAS with an id. @throws {ErrnoError} ENOENT */
  ioas(id: number): Ioas {
    const ioas = this.ioases.get(id);
    if (ioas !== undefined) return ioas;
    throw noObject(id, "IOAS");
  }

  /** What a device can be attached to: an IOAS, by its own id or that of its page table. @throws {ErrnoError} ENOENT, EINVAL for an object of another kind */
  pageTable(id: number): Ioas {
    if (this.devices.has(id)) {
      const source = `${SOURCE}/device.c: iommufd_device_change_pt`;
      throw coreError("EINVAL", "object kind", source, `Object ${id} is a device, not an IOAS`);
    }
    return [...this.ioases.values()].find(({ pageTable }) => pageTable === id) ?? this.ioas(id);
  }

  /** The compatibility IOAS. @throws {ErrnoError} ENODEV if there is none */
  compatIoas(): Ioas {
    const ioas = this.vfioIoas === undefined ? undefined : this.ioases.get(this.vfioIoas);
    if (ioas !== undefined) return ioas;
    throw coreError(
      "ENODEV",
      "no compatibility IOAS",
      `${SOURCE}/vfio_compat.c: get_compat_ioas`,
      "The iommufd has no IOAS for VFIO container ioctls",
      "VFIO_GROUP_SET_CONTAINER makes one, IOMMU_VFIO_IOAS chooses one",
    );
  }

  /** Makes sure that there is a compatibility IOAS. @throws {ErrnoError} ENOMEM */
  createCompatIoas(): void {
    if (this.vfioIoas !== undefined) return;
    this.vfioIoas = this.allocate().id;
  }

  allocate(): Ioas {
    const ioas = new Ioas(this.#newObjectId(), this.#kernel.newDomain());
    this.ioases.set(ioas.id, ioas);
    return ioas;
  }

  /** A device is bound. @returns its object id */
  bindDevice(): number {
    const devid = this.#newObjectId();
    this.devices.add(devid);
    return devid;
  }

  /** Attaches a function to an IOAS. @returns the object id of the page table @throws {ErrnoError} EADDRINUSE */
  attach(ioas: Ioas, zdev: Zdev): number {
    return ioas.attach(zdev, () => this.#newObjectId());
  }

  /** The lowest id that no object has, from 1 on (main.c: iommufd_ctx, an xarray with XA_FLAGS_ALLOC1). */
  #newObjectId(): number {
    const taken = new Set(this.devices);
    for (const { id, pageTable } of this.ioases.values()) taken.add(id).add(pageTable ?? id);
    let id = 1;
    while (taken.has(id)) id++;
    return id;
  }

  /** A device is not bound any more. */
  unbindDevice(devid: number): void {
    this.devices.delete(devid);
    this.releaseIfUnused();
  }

  /** A descriptor or a group does not refer to it any more. */
  releaseIfUnused(): void {
    this.#kernel.releaseIommufd(this);
  }

  /** IOMMU_DESTROY. @throws {ErrnoError} ENOENT, EBUSY */
  destroy(id: number): void {
    const busy = () =>
      coreError("EBUSY", "object in use", `${SOURCE}/main.c: iommufd_destroy`, `Object ${id} is in use`);
    const isPageTable = [...this.ioases.values()].some(({ pageTable }) => pageTable === id);
    if (this.devices.has(id) || isPageTable) throw busy();
    const ioas = this.ioas(id);
    if (ioas.domain.zdevs.size > 0) throw busy();
    ioas.dispose();
    this.ioases.delete(id);
    if (this.vfioIoas === id) this.vfioIoas = undefined;
  }

  /** Nobody refers to it any more: every IOAS goes, with its mappings. */
  dispose(): void {
    for (const ioas of this.ioases.values()) ioas.dispose();
    this.ioases.clear();
  }

  save(): IommufdState {
    return {
      id: this.id,
      open: this.open,
      vfioIoas: this.vfioIoas ?? null,
      rlimitMode: this.rlimitMode,
      ioases: [...this.ioases.values()].map((ioas) => ioas.save()),
    };
  }

  static restore(kernel: Kernel, state: IommufdState): Iommufd {
    const iommufd = new Iommufd(kernel, state.id);
    iommufd.open = state.open;
    iommufd.vfioIoas = state.vfioIoas ?? undefined;
    iommufd.rlimitMode = state.rlimitMode;
    for (const ioas of state.ioases) iommufd.ioases.set(ioas.id, Ioas.restore(kernel, ioas));
    return iommufd;
  }
}

/** What a command gets: the context, the argument, and the kernel for the memory and descriptors of the process. */
type Command = (iommufd: Iommufd, arg: Uint8Array, kernel: Kernel) => void;

const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  [IOMMUFD_IOCTL.IOMMU_DESTROY, destroy],
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC, alloc],
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOW_IOVAS, allowIovas],
  [IOMMUFD_IOCTL.IOMMU_IOAS_COPY, copy],
  [IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES, iovaRanges],
  [IOMMUFD_IOCTL.IOMMU_IOAS_MAP, map],
  [IOMMUFD_IOCTL.IOMMU_IOAS_UNMAP, unmap],
  [IOMMUFD_IOCTL.IOMMU_OPTION, option],
  [IOMMUFD_IOCTL.IOMMU_VFIO_IOAS, vfioIoas],
  [IOMMUFD_IOCTL.IOMMU_IOAS_MAP_FILE, mapFile],
]);

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
    if (request < FIRST_COMMAND) {
      const result = iommufdContainerIoctl(this.iommufd, request, arg, this.#kernel.current.space);
      if (result === undefined) throw notATty(this.kind, request);
      return result;
    }
    const command = COMMANDS.get(request);
    if (command === undefined) throw notATty(this.kind, request);
    command(this.iommufd, structArgument(arg), this.#kernel);
    return 0;
  }

  override release(): void {
    this.iommufd.open = false;
    this.iommufd.releaseIfUnused();
  }
}

function destroy(iommufd: Iommufd, arg: Uint8Array): void {
  iommufd.destroy(readCommand(arg, IOMMU_DESTROY, "iommufd_destroy").id);
}

function alloc(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "iommufd_ioas_alloc_ioctl";
  const { flags } = readCommand(arg, IOAS_ALLOC, symbol);
  if (flags !== 0) throw ioasError("EOPNOTSUPP", "flags", symbol, "Flags must be 0");
  IOAS_ALLOC.encode({ outIoasId: iommufd.allocate().id }, arg);
}

/** One range; a caller with room for none is told how many it needs. */
function iovaRanges(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "iommufd_ioas_iova_ranges";
  const { ioasId, numIovas: count, reserved, allowedIovas: pointer } = readCommand(
    arg,
    IOAS_IOVA_RANGES,
    symbol,
  );
  checkReserved(reserved, symbol);
  const ioas = iommufd.ioas(ioasId);
  const [start, last] = ioas.range;
  if (count > 0) {
    const target = process.memory(Number(pointer), IOVA_RANGE.size, true);
    copyToUser(target, 0, IOVA_RANGE.encode({ start, last }), 0, IOVA_RANGE.size);
  }
  IOAS_IOVA_RANGES.encode({ numIovas: 1, outIovaAlignment: BigInt(ioas.alignment) }, arg);
  if (count < 1) throw ioasError("EMSGSIZE", "range count", symbol, "There is 1 range");
}

/** ALLOW_IOVAS: all ranges are read before any counts; the old ones go. */
function allowIovas(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "iommufd_ioas_allow_iovas";
  const { ioasId, numIovas: count, reserved, allowedIovas: pointer } = readCommand(
    arg,
    IOAS_ALLOW_IOVAS,
    symbol,
  );
  checkReserved(reserved, symbol);
  const ioas = iommufd.ioas(ioasId);
  const invalid = (rule: string, message: string) =>
    ioasError("EINVAL", rule, "iommufd_ioas_load_iovas", message);
  const ranges: IovaRange[] = [];
  for (let i = 0; i < count; i++) {
    const bytes = process.memory(Number(pointer) + i * IOVA_RANGE.size, IOVA_RANGE.size, false);
    const { start, last } = IOVA_RANGE.decode(bytes);
    if (start >= last) throw invalid("empty range", `Range ${i} ends before its second byte`);
    if (ranges.some((other) => start <= other[1] && last >= other[0])) {
      throw invalid("overlap", `Range ${i} overlaps one before it`);
    }
    ranges.push([start, last]);
  }
  ioas.allow(ranges);
}

/** What the three mapping commands check first, in the order of VFIO sheet 9.3. */
function checkMapping(flags: number, sizes: readonly bigint[], symbol: string, reserved = 0) {
  const { FIXED_IOVA, READABLE, WRITEABLE } = IOAS_MAP_FLAGS;
  if ((flags & ~(FIXED_IOVA | READABLE | WRITEABLE)) !== 0 || reserved !== 0) {
    throw ioasError("EOPNOTSUPP", "flags", symbol, "Unknown flags, or reserved is not 0");
  }
  if (sizes.includes(MAX_64)) throw ioasError("EOVERFLOW", "size", symbol, "2^64 - 1 is no size");
  const read = (flags & READABLE) !== 0;
  const write = (flags & WRITEABLE) !== 0;
  if (!read && !write) throw ioasError("EINVAL", "flags", symbol, "A mapping needs READABLE or WRITEABLE");
  return { read, write, fixed: (flags & FIXED_IOVA) !== 0 };
}

function map(iommufd: Iommufd, arg: Uint8Array, { current }: Kernel): void {
  const symbol = "iommufd_ioas_map";
  const { flags, ioasId, reserved, userVa, length, iova } = readCommand(arg, IOAS_MAP, symbol);
  const { read, write, fixed } = checkMapping(flags, [iova, length], symbol, reserved);
  const request = { iova: fixed ? iova : undefined, length, read, write };
  IOAS_MAP.encode({ iova: iommufd.ioas(ioasId).mapUser(userVa, request, current.space) }, arg);
}

/**
 * IOAS_MAP_FILE: every check that the kernel makes, up to the kind of file: a guest has neither memfds nor dma-bufs,
 * so no descriptor passes. The kernel looks at the kind when it takes the pages, so as late as ATTACH; here it is now.
 */
function mapFile(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "iommufd_ioas_map_file";
  const { flags, ioasId, fd, start, length, iova } = readCommand(arg, IOAS_MAP_FILE, symbol);
  const { read, write, fixed } = checkMapping(flags, [iova, length], symbol);
  const ioas = iommufd.ioas(ioasId);
  const mapSource = `${SOURCE}/io_pagetable.c: iopt_map_file_pages`;
  if (length === 0n) throw coreError("EINVAL", "length 0", mapSource, "A mapping needs a length");
  if (start + length - 1n > MAX_64) {
    throw coreError("EOVERFLOW", "offset wrap", mapSource, "Start plus length passes 2^64");
  }
  process.file(fd);
  ioas.place({ iova: fixed ? iova : undefined, length, read, write }, start);
  throw coreError(
    "EINVAL",
    "kind of file",
    "mm/gup.c: memfd_pin_folios",
    `Descriptor ${fd} is neither a memfd nor a dma-buf`,
    "map memory of the process with IOMMU_IOAS_MAP",
  );
}

/** IOAS_COPY: the same memory again, without taking its pages a second time. */
function copy(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "iommufd_ioas_copy";
  const fields = readCommand(arg, IOAS_COPY, symbol);
  const { flags, dstIoasId, srcIoasId, length, dstIova, srcIova } = fields;
  const { read, write, fixed } = checkMapping(flags, [length, srcIova, dstIova], symbol);
  const pieces = iommufd.ioas(srcIoasId).pieces(srcIova, length);
  const request = { iova: fixed ? dstIova : undefined, length, read, write };
  IOAS_COPY.encode({ dstIova: iommufd.ioas(dstIoasId).mapPieces(pieces, request) }, arg);
}

function unmap(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "iommufd_ioas_unmap";
  const { ioasId, iova, length } = readCommand(arg, IOAS_UNMAP, symbol);
  const ioas = iommufd.ioas(ioasId);
  const all = iova === 0n && length === MAX_64;
  if (!all) checkUnmapRange(iova, length, symbol);
  const { bytes, cut } = ioas.unmap(iova, all ? MAX_64 : iova + length - 1n);
  if (cut) throw ioasError("ENOENT", "partial unmap", symbol, "The range cuts a mapping");
  if (bytes === 0 && !all) throw ioasError("ENOENT", "nothing mapped", symbol, "Nothing is mapped there");
  IOAS_UNMAP.encode({ length: BigInt(bytes) }, arg);
}

function checkUnmapRange(iova: bigint, length: bigint, symbol: string): void {
  if (iova === MAX_64 || length === MAX_64) {
    throw ioasError("EOVERFLOW", "size", symbol, "2^64 - 1 is no address and no size");
  }
  if (length === 0n) throw ioasError("EINVAL", "length 0", symbol, "An unmap needs a length");
  if (iova + length - 1n > MAX_64) {
    throw ioasError("EOVERFLOW", "address wrap", symbol, "Address plus length passes 2^64");
  }
}

/** OPTION; what it gives back is the value, for SET the caller's own (main.c: iommufd_option). */
function option(iommufd: Iommufd, arg: Uint8Array): void {
  const fields = readCommand(arg, IOMMU_OPTION, "iommufd_option");
  const source = `${SOURCE}/main.c: iommufd_option`;
  if (fields.reserved !== 0) throw coreError("EOPNOTSUPP", "reserved", source, "Reserved must be 0");
  if (fields.optionId === IOMMU_OPTION_ID.RLIMIT_MODE) {
    IOMMU_OPTION.encode({ val64: rlimitMode(iommufd, fields) }, arg);
  } else if (fields.optionId === IOMMU_OPTION_ID.HUGE_PAGES) {
    IOMMU_OPTION.encode({ val64: hugePages(iommufd.ioas(fields.objectId), fields) }, arg);
  } else throw coreError("EOPNOTSUPP", "option", source, `There is no option ${fields.optionId}`);
}

type OptionFields = ReturnType<typeof IOMMU_OPTION.decode>;

/** RLIMIT_MODE: of the whole context, while it has no object. The process may do that (CAP_SYS_RESOURCE). */
function rlimitMode(iommufd: Iommufd, { objectId, op, val64 }: OptionFields): bigint {
  const symbol = "iommufd_option_rlimit_mode";
  if (objectId !== 0) throw ioasError("EOPNOTSUPP", "object", symbol, "The option belongs to no object");
  if (op === IOMMU_OPTION_OP.GET) return iommufd.rlimitMode ? 1n : 0n;
  if (op !== IOMMU_OPTION_OP.SET) throw ioasError("EOPNOTSUPP", "operation", symbol, `No operation ${op}`);
  if (iommufd.ioases.size + iommufd.devices.size > 0) {
    throw ioasError("EBUSY", "objects", symbol, "The iommufd has an IOAS or a device already");
  }
  if (val64 > 1n) throw ioasError("EINVAL", "value", symbol, `${val64} is neither 0 nor 1`);
  iommufd.rlimitMode = val64 === 1n;
  return val64;
}

function hugePages(ioas: Ioas, { op, val64 }: OptionFields): bigint {
  const symbol = "iommufd_ioas_option_huge_pages";
  if (op === IOMMU_OPTION_OP.GET) return ioas.hugePages ? 1n : 0n;
  if (op !== IOMMU_OPTION_OP.SET) throw ioasError("EOPNOTSUPP", "operation", symbol, `No operation ${op}`);
  if (val64 > 1n) throw ioasError("EINVAL", "value", symbol, `${val64} is neither 0 nor 1`);
  ioas.setHugePages(val64 === 1n);
  return val64;
}

/** VFIO_IOAS: which IOAS the container ioctls work on (vfio_compat.c: iommufd_vfio_ioas). */
function vfioIoas(iommufd: Iommufd, arg: Uint8Array): void {
  const source = `${SOURCE}/vfio_compat.c: iommufd_vfio_ioas`;
  const { ioasId, op, reserved } = readCommand(arg, VFIO_IOAS, "iommufd_vfio_ioas");
  if (reserved !== 0) throw coreError("EOPNOTSUPP", "reserved", source, "Reserved must be 0");
  switch (op) {
    case VFIO_IOAS_OP.GET:
      VFIO_IOAS.encode({ ioasId: iommufd.compatIoas().id }, arg);
      return;
    case VFIO_IOAS_OP.SET:
      iommufd.vfioIoas = iommufd.ioas(ioasId).id;
      return;
    case VFIO_IOAS_OP.CLEAR:
      iommufd.vfioIoas = undefined;
      return;
  }
  throw coreError("EOPNOTSUPP", "operation", source, `There is no operation ${op}`);
}

function ioasError(code: ErrnoName, rule: string, symbol: string, message: string): ErrnoError {
  return coreError(code, rule, `${SOURCE}/ioas.c: ${symbol}`, message);
}

function noObject(id: number, what: string): ErrnoError {
  const source = `${SOURCE}/main.c: iommufd_get_object`;
  return coreError("ENOENT", "object id", source, `There is no ${what} with id ${id}`);
}

function checkReserved(reserved: number, symbol: string): void {
  if (reserved !== 0) throw ioasError("EOPNOTSUPP", "reserved", symbol, "Reserved must be 0");
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
