/**
 * Commands of an iommufd for virtual IOMMUs and page faults, of which s390 has none: what they say to that. Only a
 * fault queue can be made, and nothing ever arrives in it. Facts: vfio.iommufd.others; what it leaves open follows
 * drivers/iommu/iommufd/viommu.c and eventq.c.
 */
import type { Kernel } from "../kernel.ts";
import {
  FAULT_QUEUE_ALLOC,
  HW_QUEUE_ALLOC,
  IOMMUFD_IOCTL,
  NOIOMMU_GET_PA,
  VDEVICE_ALLOC,
  VEVENTQ_ALLOC,
  VIOMMU_ALLOC,
  VIOMMU_ALLOC_MIN,
} from "../uapi.ts";
import { FaultQueueFile } from "./fault_queue.ts";
import { type Iommufd, noObject } from "./iommufd.ts";
import { type Command, readCommand, refuseCommand } from "./iommufd_struct.ts";
import { MAX_64 } from "./iova_space.ts";

/** By number. */
export const VIOMMU_COMMANDS: readonly (readonly [number, Command])[] = [
  [IOMMUFD_IOCTL.IOMMU_FAULT_QUEUE_ALLOC, faultQueue],
  [IOMMUFD_IOCTL.IOMMU_VIOMMU_ALLOC, viommu],
  [IOMMUFD_IOCTL.IOMMU_VDEVICE_ALLOC, vdevice],
  [IOMMUFD_IOCTL.IOMMU_VEVENTQ_ALLOC, veventq],
  [IOMMUFD_IOCTL.IOMMU_HW_QUEUE_ALLOC, hwQueue],
  [IOMMUFD_IOCTL.IOMMU_NOIOMMU_GET_PA, noIommu],
];

const unsupported = (symbol: string, message: string) =>
  refuseCommand("EOPNOTSUPP", "vfio.iommufd.others", "virtual IOMMU", symbol, message);

/** FAULT_QUEUE_ALLOC: an object, and a descriptor to read it. @throws {ErrnoError} EMFILE */
function faultQueue(iommufd: Iommufd, arg: Uint8Array, { current: process }: Kernel): void {
  const symbol = "eventq.c: iommufd_fault_alloc";
  if (readCommand(arg, FAULT_QUEUE_ALLOC, symbol).flags !== 0) throw unsupported(symbol, "Flags must be 0");
  const outFaultId = iommufd.newObjectId();
  iommufd.touch();
  iommufd.faultQueues.set(outFaultId, { open: false });
  const file = new FaultQueueFile(iommufd, outFaultId);
  try {
    FAULT_QUEUE_ALLOC.encode({ outFaultId, outFaultFd: process.install(file) }, arg);
  } catch (error) {
    iommufd.faultQueues.delete(outFaultId);
    throw error;
  }
}

function viommu(iommufd: Iommufd, arg: Uint8Array): void {
  const symbol = "viommu.c: iommufd_viommu_alloc_ioctl";
  const { flags, type, devId } = readCommand(arg, VIOMMU_ALLOC, symbol, VIOMMU_ALLOC_MIN);
  if (flags !== 0 || type === 0) throw unsupported(symbol, "Flags must be 0, and the type not");
  iommufd.checkDevice(devId);
  throw unsupported(symbol, "The IOMMU cannot be made virtual");
}

function vdevice(_: Iommufd, arg: Uint8Array): void {
  throw noObject(readCommand(arg, VDEVICE_ALLOC, "viommu.c: iommufd_vdevice_alloc_ioctl").viommuId, "vIOMMU");
}

function veventq(_: Iommufd, arg: Uint8Array): void {
  const symbol = "eventq.c: iommufd_veventq_alloc";
  const { flags, viommuId, type, veventqDepth, reserved } = readCommand(arg, VEVENTQ_ALLOC, symbol);
  if (flags !== 0 || reserved !== 0 || type === 0) {
    throw unsupported(symbol, "Flags and reserved must be 0, and the type not");
  }
  if (veventqDepth === 0) {
    throw refuseCommand("EINVAL", "vfio.iommufd.others", "depth", symbol, "A queue needs a depth");
  }
  throw noObject(viommuId, "vIOMMU");
}

function hwQueue(_: Iommufd, arg: Uint8Array): void {
  const symbol = "viommu.c: iommufd_hw_queue_alloc_ioctl";
  const { flags, viommuId, type, nestingParentIova, length } = readCommand(arg, HW_QUEUE_ALLOC, symbol);
  if (flags !== 0 || type === 0) throw unsupported(symbol, "Flags must be 0, and the type not");
  if (length === 0n) {
    throw refuseCommand("EINVAL", "vfio.iommufd.others", "length 0", symbol, "A queue needs a length");
  }
  if (nestingParentIova + length - 1n > MAX_64) {
    throw refuseCommand(
      "EOVERFLOW",
      "vfio.iommufd.others",
      "address wrap",
      symbol,
      "Address plus length passes 2^64",
    );
  }
  throw noObject(viommuId, "vIOMMU");
}

/** NOIOMMU_GET_PA: every function has an IOMMU, so the kernel is built without it. */
function noIommu(_: Iommufd, arg: Uint8Array): void {
  const symbol = "main.c: iommufd_ioctl_ops";
  readCommand(arg, NOIOMMU_GET_PA, symbol);
  throw unsupported(symbol, "The kernel is built without IOMMUFD_NOIOMMU");
}
