/** What the kernel tells of a device: GET_INFO with its capabilities, and the regions. */
import {
  CAP_HEADER,
  CAP_ID,
  DEVICE_FLAGS,
  DEVICE_INFO,
  DEVICE_IOCTL,
  REGION_INFO,
  ZPCI_BASE,
  ZPCI_GROUP,
  ZPCI_PFIP,
  ZPCI_UTIL,
} from "../../vfio/uapi.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";

/** GET_INFO with its capabilities decoded. */
export interface DeviceInfo {
  readonly flags: number;
  readonly numRegions: number;
  readonly numIrqs: number;
  /** DMA address range, fh, and the other fields of ZPCI_BASE; undefined without a capability chain. */
  readonly base: (ReturnType<typeof ZPCI_BASE.decode> & { readonly version: number }) | undefined;
  readonly group: ReturnType<typeof ZPCI_GROUP.decode> | undefined;
  readonly utilityString: Uint8Array | undefined;
  readonly pfip: Uint8Array | undefined;
}

/** One region as GET_REGION_INFO tells it. Bytes. */
export interface RegionInfo {
  readonly index: number;
  readonly flags: number;
  readonly size: number;
  readonly offset: number;
}

/** GET_INFO twice, as the ABI wants it: the first call says how long the chain is. */
export function deviceInfo(sys: SystemCalls, fd: number): DeviceInfo {
  let arg = DEVICE_INFO.encode({ argsz: DEVICE_INFO.size });
  sys.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_GET_INFO, arg);
  const { argsz } = DEVICE_INFO.decode(arg);
  if (argsz > DEVICE_INFO.size) {
    arg = DEVICE_INFO.encode({ argsz }, new Uint8Array(argsz));
    sys.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_GET_INFO, arg);
  }
  const { flags, numRegions, numIrqs, capOffset } = DEVICE_INFO.decode(arg);
  let info: DeviceInfo = {
    flags,
    numRegions,
    numIrqs,
    base: undefined,
    group: undefined,
    utilityString: undefined,
    pfip: undefined,
  };
  let at = (flags & DEVICE_FLAGS.CAPS) === 0 ? 0 : capOffset;
  while (at !== 0) {
    const { id, version, next } = CAP_HEADER.decode(arg, at);
    if (id === CAP_ID.ZPCI_BASE) info = { ...info, base: { ...ZPCI_BASE.decode(arg, at), version } };
    else if (id === CAP_ID.ZPCI_GROUP) info = { ...info, group: ZPCI_GROUP.decode(arg, at) };
    else if (id === CAP_ID.ZPCI_UTIL) {
      info = { ...info, utilityString: ZPCI_UTIL.decode(arg, at).utilityString };
    } else if (id === CAP_ID.ZPCI_PFIP) info = { ...info, pfip: ZPCI_PFIP.decode(arg, at).pfip };
    at = next;
  }
  return info;
}

/** GET_REGION_INFO. @throws {ErrnoError} EINVAL for an index without a region */
export function regionInfo(sys: SystemCalls, fd: number, index: number): RegionInfo {
  const arg = REGION_INFO.encode({ argsz: REGION_INFO.size, index });
  sys.ioctl(fd, DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO, arg);
  const { flags, size, offset } = REGION_INFO.decode(arg);
  return { index, flags, size, offset };
}

/** Regions that a PCI driver asks for: the BARs and config space. */
export function knownRegions(sys: SystemCalls, fd: number, count: number): RegionInfo[] {
  return [0, 1, 2, 3, 4, 5, 7].filter((index) => index < count).map((index) => regionInfo(sys, fd, index));
}
