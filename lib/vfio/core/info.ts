/**
 * GET_INFO with its capability chain, and GET_REGION_INFO. Facts: vfio.info.* and vfio.region.*
 * (drivers/vfio/pci/vfio_pci_core.c, drivers/vfio/pci/vfio_pci_zdev.c, drivers/vfio/vfio_main.c).
 */
import { copyInfo, linkCapabilities } from "../capability_chain.ts";
import type { VfioDevice } from "../device.ts";
import {
  CAP_HEADER,
  CAP_ID,
  DEVICE_FLAGS,
  DEVICE_INFO,
  DEVICE_INFO_MIN,
  IRQ,
  REGION,
  REGION_INFO,
  ZPCI_BASE,
  ZPCI_GROUP,
  ZPCI_PFIP,
  ZPCI_UTIL,
} from "../uapi.ts";
import { checkArgsz } from "../process/user_memory.ts";

/** The generic fragment limit that the group capability reports as maxstbl, whatever the hardware takes. */
const REPORTED_MAXSTBL = 128;
const GROUP_REFRESH = 1n;
const UTILITY_STRING_BYTES = 64;
const PFIP_BYTES = 4;
/** Bytes of an error event (CCDF) that feature ZPCI_ERROR hands out. */
const ERROR_BLOCK_BYTES = 32;

/** VFIO_DEVICE_GET_INFO: a chain that does not fit is no error, argsz then says what it needs. */
export function getDeviceInfo(device: VfioDevice, arg: Uint8Array): number {
  const argsz = checkArgsz(arg, DEVICE_INFO_MIN, "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_info");
  const chain = device.kernel.options.capabilityChain ? capabilityChain(device) : new Uint8Array(0);
  const flags = DEVICE_FLAGS.PCI | (device.resetWorks ? DEVICE_FLAGS.RESET : 0) |
    (chain.length > 0 ? DEVICE_FLAGS.CAPS : 0);
  const fields = { flags, numRegions: REGION.COUNT, numIrqs: IRQ.COUNT };
  copyInfo(arg, argsz, DEVICE_INFO.size, chain, (more) => DEVICE_INFO.encode({ ...fields, ...more }));
  return 0;
}

/** The chain as it lies behind the info struct: BASE, GROUP, UTIL (if firmware gave one), PFIP. */
export function capabilityChain({ zdev, kernel: { rules: { baseVersion } } }: VfioDevice): Uint8Array {
  const { facts } = zdev;
  const parts = [
    CAP_HEADER.encode(
      { id: CAP_ID.ZPCI_BASE, version: baseVersion },
      ZPCI_BASE.encode({
        startDma: facts.startDma,
        endDma: facts.endDma,
        pchid: facts.pchid,
        vfn: facts.vfn,
        fmbLength: facts.fmbLength,
        pft: facts.pft,
        gid: facts.pfgid,
        fh: zdev.fh,
        ccdfErrLength: baseVersion >= 3 ? ERROR_BLOCK_BYTES : 0,
      }),
    ),
    CAP_HEADER.encode(
      { id: CAP_ID.ZPCI_GROUP, version: 2 },
      ZPCI_GROUP.encode({
        dasm: facts.dasm,
        msiAddr: facts.msia,
        flags: GROUP_REFRESH,
        mui: facts.mui,
        noi: facts.noi,
        maxstbl: REPORTED_MAXSTBL,
        version: facts.version,
        imaxstbl: facts.maxstbl,
      }),
    ),
  ];
  if (facts.utilityString !== undefined) {
    const util = ZPCI_UTIL.encode({ size: UTILITY_STRING_BYTES, utilityString: facts.utilityString });
    parts.push(CAP_HEADER.encode({ id: CAP_ID.ZPCI_UTIL, version: 1 }, util));
  }
  const pfip = ZPCI_PFIP.encode({ size: PFIP_BYTES, pfip: facts.pfip });
  parts.push(CAP_HEADER.encode({ id: CAP_ID.ZPCI_PFIP, version: 1 }, pfip));
  return linkCapabilities(parts, DEVICE_INFO.size);
}

/** VFIO_DEVICE_GET_REGION_INFO: on an error nothing is copied back. */
export function getRegionInfo(device: VfioDevice, arg: Uint8Array): number {
  checkArgsz(arg, REGION_INFO.size, "drivers/vfio/vfio_main.c: vfio_get_region_info");
  const { index } = REGION_INFO.decode(arg);
  const { size, offset, flags } = device.variant.regionInfo(device, index);
  REGION_INFO.encode({ size, offset, flags }, arg);
  return 0;
}
