/**
 * Commands of an iommufd that concern IOASes: IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS, MAP, MAP_FILE, COPY, UNMAP,
 * CHANGE_PROCESS. Facts: docs/reference/vfio/iommufd.md (drivers/iommu/iommufd/ioas.c).
 */
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../process/user_memory.ts";
import { coreError } from "../refusal.ts";
import {
  IOAS_ALLOC,
  IOAS_ALLOW_IOVAS,
  IOAS_CHANGE_PROCESS,
  IOAS_COPY,
  IOAS_IOVA_RANGES,
  IOAS_MAP,
  IOAS_MAP_FILE,
  IOAS_MAP_FLAGS,
  IOAS_UNMAP,
  IOMMUFD_IOCTL,
  IOVA_RANGE,
} from "../uapi.ts";
import { type Iommufd, IOMMUFD_SOURCE } from "./iommufd.ts";
import { checkReserved, type Command, readCommand, refuseCommand } from "./iommufd_struct.ts";
import { type IovaRange, MAX_64 } from "./iova_space.ts";
import { piecesOf } from "./pieces.ts";

/** By number. */
export const IOAS_COMMANDS: readonly (readonly [number, Command])[] = [
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC, alloc],
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOW_IOVAS, allowIovas],
  [IOMMUFD_IOCTL.IOMMU_IOAS_COPY, copy],
  [IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES, iovaRanges],
  [IOMMUFD_IOCTL.IOMMU_IOAS_MAP, map],
  [IOMMUFD_IOCTL.IOMMU_IOAS_MAP_FILE, mapFile],
  [IOMMUFD_IOCTL.IOMMU_IOAS_UNMAP, unmap],
  [IOMMUFD_IOCTL.IOMMU_IOAS_CHANGE_PROCESS, changeProcess],
];

function alloc(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "ioas.c: iommufd_ioas_alloc_ioctl";
  const { flags } = readCommand(arg, IOAS_ALLOC, symbol);
  if (flags !== 0) {
    throw refuseCommand("EOPNOTSUPP", "vfio.iommufd.alloc", "flags", symbol, "Flags must be 0");
  }
  IOAS_ALLOC.encode({ outIoasId: iommufd.allocate().id }, arg);
}

/** One range; a caller with room for none is told how many it needs. */
function iovaRanges(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "ioas.c: iommufd_ioas_iova_ranges";
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
  if (count < 1) {
    throw refuseCommand("EMSGSIZE", "vfio.iommufd.ranges", "range count", symbol, "There is 1 range");
  }
}

/** ALLOW_IOVAS: all ranges are read before any counts; the old ones go. */
function allowIovas(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "ioas.c: iommufd_ioas_allow_iovas";
  const { ioasId, numIovas: count, reserved, allowedIovas: pointer } = readCommand(
    arg,
    IOAS_ALLOW_IOVAS,
    symbol,
  );
  checkReserved(reserved, symbol);
  const ioas = iommufd.ioas(ioasId);
  const invalid = (rule: string, message: string) =>
    refuseCommand("EINVAL", "vfio.iommufd.allow", rule, "ioas.c: iommufd_ioas_load_iovas", message);
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

/** What the three mapping commands check first, in the order of vfio.iommufd.map. */
function checkMapping(flags: number, sizes: readonly bigint[], symbol: string, reserved = 0) {
  const { FIXED_IOVA, READABLE, WRITEABLE } = IOAS_MAP_FLAGS;
  if ((flags & ~(FIXED_IOVA | READABLE | WRITEABLE)) !== 0 || reserved !== 0) {
    throw refuseCommand(
      "EOPNOTSUPP",
      "vfio.iommufd.map",
      "flags",
      symbol,
      "Unknown flags, or reserved is not 0",
    );
  }
  if (sizes.includes(MAX_64)) {
    throw refuseCommand("EOVERFLOW", "vfio.iommufd.map", "size", symbol, "2^64 - 1 is no size");
  }
  const read = (flags & READABLE) !== 0;
  const write = (flags & WRITEABLE) !== 0;
  if (!read && !write) {
    throw refuseCommand(
      "EINVAL",
      "vfio.iommufd.map",
      "flags",
      symbol,
      "A mapping needs READABLE or WRITEABLE",
    );
  }
  return { read, write, fixed: (flags & FIXED_IOVA) !== 0 };
}

function map(iommufd: Iommufd, arg: Uint8Array, { current }: Kernel): void {
  const symbol = "ioas.c: iommufd_ioas_map";
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
  const symbol = "ioas.c: iommufd_ioas_map_file";
  const { flags, ioasId, fd, start, length, iova } = readCommand(arg, IOAS_MAP_FILE, symbol);
  const { read, write, fixed } = checkMapping(flags, [iova, length], symbol);
  const ioas = iommufd.ioas(ioasId);
  const mapSource = `${IOMMUFD_SOURCE}/io_pagetable.c: iopt_map_file_pages`;
  if (length === 0n) {
    throw coreError("EINVAL", "vfio.iommufd.file", "length 0", mapSource, "A mapping needs a length");
  }
  if (start + length - 1n > MAX_64) {
    throw coreError(
      "EOVERFLOW",
      "vfio.iommufd.file",
      "offset wrap",
      mapSource,
      "Start plus length passes 2^64",
    );
  }
  process.file(fd);
  ioas.place({ iova: fixed ? iova : undefined, length, read, write }, start);
  throw coreError(
    "EINVAL",
    "vfio.iommufd.file",
    "kind of file",
    "mm/gup.c: memfd_pin_folios",
    `Descriptor ${fd} is neither a memfd nor a dma-buf`,
    "map memory of the process with IOMMU_IOAS_MAP",
  );
}

/** IOAS_COPY: the same memory again, without taking its pages a second time. */
function copy(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "ioas.c: iommufd_ioas_copy";
  const fields = readCommand(arg, IOAS_COPY, symbol);
  const { flags, dstIoasId, srcIoasId, length, dstIova, srcIova } = fields;
  const { read, write, fixed } = checkMapping(flags, [length, srcIova, dstIova], symbol);
  const pieces = piecesOf(iommufd.ioas(srcIoasId), srcIova, length);
  const request = { iova: fixed ? dstIova : undefined, length, read, write };
  IOAS_COPY.encode({ dstIova: iommufd.ioas(dstIoasId).mapPieces(pieces, request) }, arg);
}

function unmap(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "ioas.c: iommufd_ioas_unmap";
  const { ioasId, iova, length } = readCommand(arg, IOAS_UNMAP, symbol);
  const ioas = iommufd.ioas(ioasId);
  const all = iova === 0n && length === MAX_64;
  if (!all) checkUnmapRange(iova, length, symbol);
  const { bytes, cut } = ioas.unmap(iova, all ? MAX_64 : iova + length - 1n);
  if (cut) {
    throw refuseCommand("ENOENT", "vfio.iommufd.unmap", "partial unmap", symbol, "The range cuts a mapping");
  }
  if (bytes === 0 && !all) {
    throw refuseCommand("ENOENT", "vfio.iommufd.unmap", "nothing mapped", symbol, "Nothing is mapped there");
  }
  IOAS_UNMAP.encode({ length: BigInt(bytes) }, arg);
}

function checkUnmapRange(iova: bigint, length: bigint, symbol: string): void {
  if (iova === MAX_64 || length === MAX_64) {
    throw refuseCommand(
      "EOVERFLOW",
      "vfio.iommufd.unmap",
      "size",
      symbol,
      "2^64 - 1 is no address and no size",
    );
  }
  if (length === 0n) {
    throw refuseCommand("EINVAL", "vfio.iommufd.unmap", "length 0", symbol, "An unmap needs a length");
  }
  if (iova + length - 1n > MAX_64) {
    throw refuseCommand(
      "EOVERFLOW",
      "vfio.iommufd.unmap",
      "address wrap",
      symbol,
      "Address plus length passes 2^64",
    );
  }
}

/** IOAS_CHANGE_PROCESS: only the pages of files can be counted for another process, and there are none here. */
function changeProcess(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "ioas.c: iommufd_ioas_change_process";
  checkReserved(readCommand(arg, IOAS_CHANGE_PROCESS, symbol).reserved, symbol);
  if ([...iommufd.ioases.values()].every(({ tables }) => tables.entries.length === 0)) return;
  throw refuseCommand(
    "EINVAL",
    "vfio.iommufd.others",
    "kind of mapping",
    symbol,
    "A mapping shows memory that is not that of a file",
  );
}
