/**
 * DEVICE_RESET, hot reset, and the ioeventfd trap. Facts: docs/reference/vfio/reset.md
 * (drivers/vfio/pci/vfio_pci_core.c).
 */
import type { VfioDevice } from "../device.ts";
import type { GroupFile } from "../group.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import {
  HOT_RESET,
  HOT_RESET_ENTRY,
  HOT_RESET_FLAGS,
  HOT_RESET_INFO,
  IOEVENTFD,
  IOEVENTFD_MIN,
  REGION,
} from "../uapi.ts";
import { checkArgsz, copyToUser } from "../process/user_memory.ts";

const CORE = "drivers/vfio/pci/vfio_pci_core.c";
/** The common code decodes offsets with this shift, whatever the variant driver uses. */
const CORE_SHIFT = 40n;

/** VFIO_DEVICE_RESET. @returns 0, or a condition code: see {@linkcode VfioDevice.reset} */
export function resetDevice(device: VfioDevice): number {
  if (!device.resetWorks) {
    throw coreError(
      "EINVAL",
      "vfio.reset.result",
      "no reset",
      `${CORE}: vfio_pci_ioctl_reset`,
      "The device does not offer a reset",
      "the RESET flag of VFIO_DEVICE_GET_INFO says whether it does",
    );
  }
  return device.reset.try("reset");
}

/**
 * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: one entry, the function's own slot. `devid` is the iommufd's number for the
 * device behind a cdev, undefined for a descriptor that came from a group.
 */
export function hotResetInfo(
  device: VfioDevice,
  arg: Uint8Array,
  kernel: Kernel,
  devid: number | undefined,
): number {
  const source = `${CORE}: vfio_pci_ioctl_get_pci_hot_reset_info`;
  const argsz = checkArgsz(arg, HOT_RESET_INFO.size, source);
  device.reset.probe(source);
  if (argsz < HOT_RESET_INFO.size + HOT_RESET_ENTRY.size) {
    HOT_RESET_INFO.encode({ flags: 0, count: 1 }, arg);
    throw coreError(
      "ENOSPC",
      "vfio.hotreset.info",
      "room for devices",
      source,
      "There is no room for 1 device",
      "count says how many",
    );
  }
  const entry = HOT_RESET_ENTRY.encode({
    groupOrDevice: devid ?? kernel.group(device.zdev).number,
    segment: device.zdev.facts.uid,
    bus: 0,
    devfn: 0,
  });
  const flags = devid === undefined ? 0 : HOT_RESET_FLAGS.DEV_ID | HOT_RESET_FLAGS.DEV_ID_OWNED;
  copyToUser(arg, HOT_RESET_INFO.size, entry, 0, entry.length);
  HOT_RESET_INFO.encode({ flags, count: 1 }, arg);
  return 0;
}

/** VFIO_DEVICE_PCI_HOT_RESET: a group descriptor proves ownership, a cdev passes none. */
export function hotReset(
  device: VfioDevice,
  arg: Uint8Array,
  kernel: Kernel,
  devid: number | undefined,
): number {
  const source = `${CORE}: vfio_pci_ioctl_pci_hot_reset`;
  const invalid = (message: string) =>
    coreError("EINVAL", "vfio.hotreset.call", "hot reset", source, message);
  checkArgsz(arg, HOT_RESET.size, source);
  const { flags, count } = HOT_RESET.decode(arg);
  if (flags !== 0) throw invalid("Flags must be 0");
  const viaCdev = devid !== undefined;
  if (viaCdev !== (count === 0)) {
    throw invalid(viaCdev ? "A cdev passes no group descriptors" : "A group descriptor must be passed");
  }
  device.reset.probe(source);
  if (count > 1) throw invalid("More descriptors than devices");
  if (count === 1) {
    if (arg.length < HOT_RESET.size + 4) {
      throw coreError(
        "EFAULT",
        "vfio.hotreset.call",
        "user memory",
        source,
        "The descriptors are not accessible",
      );
    }
    const fd = new DataView(arg.buffer, arg.byteOffset).getInt32(HOT_RESET.size, true);
    const file = kernel.current.file(fd);
    if (file.kind !== "group") throw invalid(`Descriptor ${fd} is not a group`);
    const { dissolved, group } = file as GroupFile;
    if (dissolved || group.zdev !== device.zdev) {
      throw invalid("The device is not in a group that was passed");
    }
  }
  return device.reset.try("hot-reset");
}

const NO_IOEVENTFDS =
  "the kernel's common code takes regions to be 2^40 bytes apart and mapped: an ISM function has no ioeventfds";

/**
 * VFIO_DEVICE_IOEVENTFD: never works for ISM, and decodes offsets with the wrong shift. The region is looked up, then its
 * BAR, which cannot be mapped (vfio_pci_rdwr.c: vfio_pci_ioeventfd).
 */
export function ioeventfd({ zdev }: VfioDevice, arg: Uint8Array): number {
  const source = `${CORE}: vfio_pci_ioctl_ioeventfd`;
  const invalid = (message: string, hint?: string) =>
    coreError("EINVAL", "vfio.ioeventfd.trap", "ioeventfd", source, message, hint);
  checkArgsz(arg, IOEVENTFD_MIN, source);
  const { flags, offset, fd } = IOEVENTFD.decode(arg);
  const size = flags & 0xf;
  if (flags > 0xf || size === 0 || (size & (size - 1)) !== 0) throw invalid("Exactly one size bit is needed");
  if (fd < -1) throw invalid(`Descriptor ${fd} is not valid`);
  const index = Number(offset >> CORE_SHIFT);
  if (index > REGION.BAR5) {
    throw invalid(`The offset decodes to region index ${index} with a shift of 40`, NO_IOEVENTFDS);
  }
  const at = Number(BigInt.asUintN(Number(CORE_SHIFT), offset));
  if (at + size > zdev.facts.bars[index]!.size) {
    throw invalid(`The access is not within BAR ${index}`, NO_IOEVENTFDS);
  }
  throw coreError(
    "ENODEV",
    "vfio.ioeventfd.trap",
    "BAR mapping",
    source,
    `BAR ${index} of ISM cannot be mapped`,
    NO_IOEVENTFDS,
  );
}
