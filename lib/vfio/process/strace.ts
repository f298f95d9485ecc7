/**
 * ioctls by name and their arguments by field, as strace shows them. One table per kind of descriptor, because the
 * same number means different things on different kinds (vfio.ioctl.numbers).
 */
import { snakeCase } from "../../base/names.ts";
import type { FieldRow, Struct } from "../../base/struct.ts";
import { SHOWN_BYTES, type TraceValue } from "../../base/trace.ts";
import type { ErrnoName } from "../errno.ts";
import type { FileKind, IoctlArg } from "./file.ts";
import { symbolOf } from "./symbols.ts";
import * as uapi from "../uapi.ts";
import { CLP_REQ, CLP_SYNC } from "../s390/clp_file.ts";
import { FS_UUID, VFS_INT, VFS_IOCTL } from "./vfs_ioctl.ts";

/** Any struct of the ABI. */
export type AnyStruct = Struct<Record<string, FieldRow>>;

/** How the argument of an ioctl is shown: its struct, and which fields the kernel writes. */
interface IoctlShape {
  readonly name: string;
  readonly struct?: AnyStruct;
  readonly out?: readonly string[];
  /** Fields among `out` that the kernel reads as well. */
  readonly both?: readonly string[];
  /** The argument is text. */
  readonly text?: boolean;
}

const { CONTAINER_IOCTL, GROUP_IOCTL, DEVICE_IOCTL, IOMMUFD_IOCTL } = uapi;

function shape(
  name: string,
  struct?: unknown,
  out: readonly string[] = [],
  both: readonly string[] = [],
): IoctlShape {
  return struct === undefined ? { name } : { name, struct: struct as AnyStruct, out, both };
}

const CONTAINER: ReadonlyMap<number, IoctlShape> = new Map([
  [CONTAINER_IOCTL.VFIO_GET_API_VERSION, shape("VFIO_GET_API_VERSION")],
  [CONTAINER_IOCTL.VFIO_CHECK_EXTENSION, shape("VFIO_CHECK_EXTENSION")],
  [CONTAINER_IOCTL.VFIO_SET_IOMMU, shape("VFIO_SET_IOMMU")],
  [
    CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO,
    shape("VFIO_IOMMU_GET_INFO", uapi.IOMMU_INFO, ["flags", "iovaPgsizes", "capOffset"]),
  ],
  [CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA, shape("VFIO_IOMMU_MAP_DMA", uapi.DMA_MAP, [])],
  [
    CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA,
    shape("VFIO_IOMMU_UNMAP_DMA", uapi.DMA_UNMAP, ["size"], ["size"]),
  ],
  [
    CONTAINER_IOCTL.VFIO_IOMMU_DIRTY_PAGES,
    shape("VFIO_IOMMU_DIRTY_PAGES", uapi.DIRTY_PAGES, []),
  ],
]);

const GROUP: ReadonlyMap<number, IoctlShape> = new Map([
  [
    GROUP_IOCTL.VFIO_GROUP_GET_STATUS,
    shape("VFIO_GROUP_GET_STATUS", uapi.GROUP_STATUS, ["flags"]),
  ],
  [GROUP_IOCTL.VFIO_GROUP_SET_CONTAINER, shape("VFIO_GROUP_SET_CONTAINER", uapi.GROUP_SET_CONTAINER)],
  [GROUP_IOCTL.VFIO_GROUP_UNSET_CONTAINER, shape("VFIO_GROUP_UNSET_CONTAINER")],
  [GROUP_IOCTL.VFIO_GROUP_GET_DEVICE_FD, { name: "VFIO_GROUP_GET_DEVICE_FD", text: true }],
]);

const DEVICE: ReadonlyMap<number, IoctlShape> = new Map([
  [
    DEVICE_IOCTL.VFIO_DEVICE_GET_INFO,
    shape(
      "VFIO_DEVICE_GET_INFO",
      uapi.DEVICE_INFO,
      ["argsz", "flags", "numRegions", "numIrqs", "capOffset"],
    ),
  ],
  [
    DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO,
    shape(
      "VFIO_DEVICE_GET_REGION_INFO",
      uapi.REGION_INFO,
      ["flags", "capOffset", "size", "offset"],
    ),
  ],
  [
    DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO,
    shape("VFIO_DEVICE_GET_IRQ_INFO", uapi.IRQ_INFO, ["flags", "count"]),
  ],
  [DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, shape("VFIO_DEVICE_SET_IRQS", uapi.IRQ_SET, [])],
  [DEVICE_IOCTL.VFIO_DEVICE_RESET, shape("VFIO_DEVICE_RESET")],
  [
    DEVICE_IOCTL.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
    shape(
      "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO",
      uapi.HOT_RESET_INFO,
      ["flags", "count"],
    ),
  ],
  [DEVICE_IOCTL.VFIO_DEVICE_PCI_HOT_RESET, shape("VFIO_DEVICE_PCI_HOT_RESET", uapi.HOT_RESET)],
  [DEVICE_IOCTL.VFIO_DEVICE_QUERY_GFX_PLANE, shape("VFIO_DEVICE_QUERY_GFX_PLANE")],
  [DEVICE_IOCTL.VFIO_DEVICE_IOEVENTFD, shape("VFIO_DEVICE_IOEVENTFD", uapi.IOEVENTFD)],
  [DEVICE_IOCTL.VFIO_DEVICE_FEATURE, shape("VFIO_DEVICE_FEATURE", uapi.FEATURE)],
  [DEVICE_IOCTL.VFIO_DEVICE_BIND_IOMMUFD, shape("VFIO_DEVICE_BIND_IOMMUFD", uapi.BIND_IOMMUFD, ["outDevid"])],
  [
    DEVICE_IOCTL.VFIO_DEVICE_ATTACH_IOMMUFD_PT,
    shape("VFIO_DEVICE_ATTACH_IOMMUFD_PT", uapi.ATTACH_PT, ["ptId"], ["ptId"]),
  ],
  [
    DEVICE_IOCTL.VFIO_DEVICE_DETACH_IOMMUFD_PT,
    shape("VFIO_DEVICE_DETACH_IOMMUFD_PT", uapi.DETACH_PT, []),
  ],
]);

const IOMMUFD: ReadonlyMap<number, IoctlShape> = new Map([
  [IOMMUFD_IOCTL.IOMMU_DESTROY, shape("IOMMU_DESTROY", uapi.IOMMU_DESTROY)],
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC, shape("IOMMU_IOAS_ALLOC", uapi.IOAS_ALLOC, ["outIoasId"])],
  [
    IOMMUFD_IOCTL.IOMMU_IOAS_IOVA_RANGES,
    shape("IOMMU_IOAS_IOVA_RANGES", uapi.IOAS_IOVA_RANGES, ["numIovas", "outIovaAlignment"], ["numIovas"]),
  ],
  [
    IOMMUFD_IOCTL.IOMMU_IOAS_MAP,
    shape("IOMMU_IOAS_MAP", uapi.IOAS_MAP, ["iova"], ["iova"]),
  ],
  [IOMMUFD_IOCTL.IOMMU_IOAS_UNMAP, shape("IOMMU_IOAS_UNMAP", uapi.IOAS_UNMAP, ["length"], ["length"])],
  [IOMMUFD_IOCTL.IOMMU_IOAS_ALLOW_IOVAS, shape("IOMMU_IOAS_ALLOW_IOVAS", uapi.IOAS_ALLOW_IOVAS)],
  [
    IOMMUFD_IOCTL.IOMMU_IOAS_COPY,
    shape("IOMMU_IOAS_COPY", uapi.IOAS_COPY, ["dstIova"], ["dstIova"]),
  ],
  [IOMMUFD_IOCTL.IOMMU_OPTION, shape("IOMMU_OPTION", uapi.IOMMU_OPTION, ["val64"], ["val64"])],
  [IOMMUFD_IOCTL.IOMMU_VFIO_IOAS, shape("IOMMU_VFIO_IOAS", uapi.VFIO_IOAS, ["ioasId"], ["ioasId"])],
  [
    IOMMUFD_IOCTL.IOMMU_IOAS_MAP_FILE,
    shape("IOMMU_IOAS_MAP_FILE", uapi.IOAS_MAP_FILE, ["iova"], ["iova"]),
  ],
  [IOMMUFD_IOCTL.IOMMU_HWPT_ALLOC, shape("IOMMU_HWPT_ALLOC", uapi.HWPT_ALLOC, ["outHwptId"])],
  [
    IOMMUFD_IOCTL.IOMMU_GET_HW_INFO,
    shape(
      "IOMMU_GET_HW_INFO",
      uapi.GET_HW_INFO,
      ["dataLen", "outDataType", "outMaxPasidLog2", "outCapabilities"],
      ["dataLen", "outDataType"],
    ),
  ],
  [
    IOMMUFD_IOCTL.IOMMU_HWPT_SET_DIRTY_TRACKING,
    shape("IOMMU_HWPT_SET_DIRTY_TRACKING", uapi.HWPT_SET_DIRTY_TRACKING),
  ],
  [
    IOMMUFD_IOCTL.IOMMU_HWPT_GET_DIRTY_BITMAP,
    shape("IOMMU_HWPT_GET_DIRTY_BITMAP", uapi.HWPT_GET_DIRTY_BITMAP),
  ],
  [
    IOMMUFD_IOCTL.IOMMU_HWPT_INVALIDATE,
    shape("IOMMU_HWPT_INVALIDATE", uapi.HWPT_INVALIDATE, ["entryNum"], ["entryNum"]),
  ],
  [
    IOMMUFD_IOCTL.IOMMU_FAULT_QUEUE_ALLOC,
    shape("IOMMU_FAULT_QUEUE_ALLOC", uapi.FAULT_QUEUE_ALLOC, ["outFaultId", "outFaultFd"]),
  ],
  [IOMMUFD_IOCTL.IOMMU_VIOMMU_ALLOC, shape("IOMMU_VIOMMU_ALLOC", uapi.VIOMMU_ALLOC, ["outViommuId"])],
  [IOMMUFD_IOCTL.IOMMU_VDEVICE_ALLOC, shape("IOMMU_VDEVICE_ALLOC", uapi.VDEVICE_ALLOC, ["outVdeviceId"])],
  [IOMMUFD_IOCTL.IOMMU_IOAS_CHANGE_PROCESS, shape("IOMMU_IOAS_CHANGE_PROCESS", uapi.IOAS_CHANGE_PROCESS)],
  [
    IOMMUFD_IOCTL.IOMMU_VEVENTQ_ALLOC,
    shape("IOMMU_VEVENTQ_ALLOC", uapi.VEVENTQ_ALLOC, ["outVeventqId", "outVeventqFd"]),
  ],
  [IOMMUFD_IOCTL.IOMMU_HW_QUEUE_ALLOC, shape("IOMMU_HW_QUEUE_ALLOC", uapi.HW_QUEUE_ALLOC, ["outHwQueueId"])],
  [
    IOMMUFD_IOCTL.IOMMU_NOIOMMU_GET_PA,
    shape("IOMMU_NOIOMMU_GET_PA", uapi.NOIOMMU_GET_PA, ["length", "outPhys"], ["length"]),
  ],
  ...CONTAINER,
]);

/** What every kind of descriptor knows, because the VFS answers it. */
const VFS: ReadonlyMap<number, IoctlShape> = new Map<number, IoctlShape>([
  ...Object.entries(VFS_IOCTL).map(([name, request]) => [request, shape(name)] as const),
  [VFS_IOCTL.FIONBIO, shape("FIONBIO", VFS_INT)],
  [VFS_IOCTL.FIOASYNC, shape("FIOASYNC", VFS_INT)],
  [VFS_IOCTL.FIGETBSZ, shape("FIGETBSZ", VFS_INT, ["value"])],
  [VFS_IOCTL.FS_IOC_GETFSUUID, shape("FS_IOC_GETFSUUID", FS_UUID, ["len", "uuid"])],
]);

const TABLES: Readonly<Record<FileKind, ReadonlyMap<number, IoctlShape>>> = {
  container: CONTAINER,
  group: GROUP,
  device: DEVICE,
  iommufd: IOMMUFD,
  eventfd: new Map(),
  other: new Map(),
  "fault-queue": new Map(),
  clp: new Map([[CLP_SYNC, shape("CLP_SYNC", CLP_REQ)]]),
};

/** What is known of an ioctl: its number, and the struct or text that it takes. */
export interface KnownIoctl {
  readonly request: number;
  readonly struct: AnyStruct | undefined;
  readonly text: boolean;
}

function shapeOf(kind: FileKind | undefined, request: number): IoctlShape | undefined {
  return kind === undefined ? undefined : VFS.get(request) ?? TABLES[kind].get(request);
}

/** An ioctl of a kind of descriptor, by name or by number. */
export function findIoctl(kind: FileKind, which: string | number): KnownIoctl | undefined {
  for (const [request, { name, struct, text }] of [...VFS, ...TABLES[kind]]) {
    if (which === name || which === request) return { request, struct, text: text === true };
  }
  return undefined;
}

/** An ioctl as a list has it. */
export interface ListedIoctl extends KnownIoctl {
  readonly name: string;
  /** Fields that the kernel writes, by the codec's names. */
  readonly out: readonly string[];
}

/** The ioctls of a kind of descriptor, by rising number; those that any file has are not among them. */
export function ioctlsOf(kind: FileKind | "any"): ListedIoctl[] {
  const table = kind === "any" ? VFS : TABLES[kind];
  return [...table].sort(([a], [b]) => a - b)
    .map(([request, { name, struct, text, out = [] }]) => ({
      request,
      name,
      struct,
      text: text === true,
      out,
    }));
}

/** Names of the ioctls of a kind of descriptor. */
export function ioctlNames(kind: FileKind): string[] {
  return [...TABLES[kind].values(), ...VFS.values()].map(({ name }) => name);
}

/** The name of an ioctl on a kind of descriptor, or its number. */
export function ioctlName(kind: FileKind | undefined, request: number): string {
  const known = shapeOf(kind, request);
  return known?.name ?? `0x${request.toString(16)}`;
}

/** What the caller passes: a value, a text, or the fields that the kernel reads and what lies behind them. */
export function ioctlInput(
  kind: FileKind | undefined,
  request: number,
  arg: IoctlArg,
): Record<string, TraceValue> {
  const known = shapeOf(kind, request);
  if (typeof arg === "number") {
    const name = known === undefined ? undefined : symbolOf(known.name, "arg", arg);
    return name !== undefined ? { arg: { value: arg, name } } : arg === 0 ? {} : { arg };
  }
  if (known?.text === true) {
    const end = arg.indexOf(0);
    return { name: new TextDecoder().decode(end < 0 ? arg : arg.subarray(0, end)) };
  }
  if (known?.struct === undefined) return { length: arg.length };
  const read = fields(known, arg, (name) => {
    return name === "argsz" || !known.out!.includes(name) || known.both!.includes(name);
  });
  return { ...read, ...behind(known, arg) };
}

/** The variable part of an argument, behind its struct. */
function behind({ name, struct }: IoctlShape, arg: Uint8Array): Record<string, TraceValue> {
  const rest = arg.subarray(struct!.size);
  if (rest.length === 0) return {};
  switch (name) {
    case "VFIO_DEVICE_SET_IRQS": {
      const isDescriptors = (uapi.IRQ_SET.decode(arg).flags & uapi.IRQ_SET_FLAGS.DATA_EVENTFD) !== 0;
      return { data: isDescriptors ? words(rest) : [...rest.subarray(0, SHOWN_BYTES)] };
    }
    case "VFIO_DEVICE_PCI_HOT_RESET":
      return { group_fds: words(rest) };
    case "VFIO_DEVICE_FEATURE":
      return { data: rest.slice(0, SHOWN_BYTES) };
  }
  return {};
}

/** s32 values, as many as are shown. */
function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from(
    { length: Math.min(SHOWN_BYTES, bytes.length >> 2) },
    (_, i) => view.getInt32(i * 4, true),
  );
}

/** Refusals that say in the struct how much room is needed (vfio.hotreset.call and vfio.iommufd.general). */
const WRITTEN_WITH: Readonly<Record<string, ErrnoName>> = {
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: "ENOSPC",
  IOMMU_IOAS_IOVA_RANGES: "EMSGSIZE",
};

/** What the kernel wrote into the caller's struct; nothing after a failure, but for {@linkcode WRITTEN_WITH}. */
export function ioctlOutput(
  kind: FileKind | undefined,
  request: number,
  arg: IoctlArg,
  error?: string,
): Record<string, TraceValue> | undefined {
  const known = typeof arg === "number" ? undefined : shapeOf(kind, request);
  if (error !== undefined && WRITTEN_WITH[known?.name ?? ""] !== error) return undefined;
  if (known?.struct === undefined || known.out!.length === 0) return undefined;
  return fields(known, arg as Uint8Array, (name) => known.out!.includes(name));
}

function fields(
  { name: ioctl, struct }: IoctlShape,
  arg: Uint8Array,
  wanted: (name: string) => boolean,
): Record<string, TraceValue> {
  const shown: Record<string, TraceValue> = {};
  for (const [field, value] of Object.entries(struct!.decode(arg))) {
    if (!wanted(field) || value instanceof Uint8Array) continue;
    const symbol = typeof value === "number" ? symbolOf(ioctl, field, value) : undefined;
    shown[snakeCase(field)] = symbol === undefined ? value : { value: Number(value), name: symbol };
  }
  return shown;
}
