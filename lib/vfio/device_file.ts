/**
 * A descriptor of a vfio-pci device: dispatch of its ioctls, read and write handed to the variant driver. A descriptor
 * that GET_DEVICE_FD gave works at once; one of the character device only after BIND_IOMMUFD.
 * Facts: vfio.cdev.* (drivers/vfio/device_cdev.c, drivers/vfio/vfio_main.c).
 */
import { deviceFeature } from "./core/features.ts";
import { getDeviceInfo, getRegionInfo } from "./core/info.ts";
import { getIrqInfo, setIrqs } from "./core/irqs.ts";
import { hotReset, hotResetInfo, ioeventfd, resetDevice } from "./core/resets.ts";
import type { VfioDevice } from "./device.ts";
import { ErrnoError } from "./errno.ts";
import {
  type CdevState,
  type FileState,
  type IoctlArg,
  notATty,
  OPEN_FLAGS,
  OpenFile,
} from "./process/file.ts";
import type { Iommufd } from "./iommu/iommufd.ts";
import { IommufdFile } from "./iommu/iommufd_file.ts";
import type { Kernel } from "./kernel.ts";
import { coreError, structArgument } from "./refusal.ts";
import {
  ATTACH_PT,
  ATTACH_PT_MIN,
  BIND_FLAGS,
  BIND_IOMMUFD,
  BIND_IOMMUFD_MIN,
  DETACH_PT,
  DETACH_PT_MIN,
  DEVICE_IOCTL,
  PT_FLAGS,
} from "./uapi.ts";
import { checkArgsz, copyStructSize } from "./process/user_memory.ts";

const CDEV = "drivers/vfio/device_cdev.c";
const UUID_BYTES = 16;

type Handler = (device: VfioDevice, arg: Uint8Array, kernel: Kernel, devid: number | undefined) => number;

const IOCTLS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [DEVICE_IOCTL.VFIO_DEVICE_GET_INFO, getDeviceInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_GET_REGION_INFO, getRegionInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO, getIrqInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS, setIrqs],
  [DEVICE_IOCTL.VFIO_DEVICE_RESET, resetDevice],
  [DEVICE_IOCTL.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, hotResetInfo],
  [DEVICE_IOCTL.VFIO_DEVICE_PCI_HOT_RESET, hotReset],
  [DEVICE_IOCTL.VFIO_DEVICE_IOEVENTFD, ioeventfd],
  [DEVICE_IOCTL.VFIO_DEVICE_FEATURE, deviceFeature],
]);

/** One descriptor of a device; several may share one device. */
export class DeviceFile extends OpenFile {
  override readonly kind = "device";
  override readonly positioned = true;
  override readonly hasData = true;
  readonly device: VfioDevice;
  readonly #kernel: Kernel;
  /** Opened as a character device. */
  readonly #viaCdev: boolean;
  /** What BIND_IOMMUFD bound; for a descriptor of the character device. */
  #bound: { readonly iommufd: Iommufd; readonly devid: number } | undefined = undefined;
  /** The device was attached with PASID 0, of which a plain ATTACH or DETACH knows nothing. */
  #pasid = false;

  constructor(kernel: Kernel, device: VfioDevice, viaCdev = false) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.device = device;
    device.touch();
    device.descriptors++;
    this.#viaCdev = viaCdev;
    // A descriptor that the kernel made was not opened by a path.
    if (!viaCdev) this.flags = OPEN_FLAGS.RDWR;
  }

  override get id(): number {
    return this.device.zdev.facts.fid;
  }

  override get path(): string {
    if (!this.#viaCdev) return "anon_inode:[vfio-device]";
    return `/dev/vfio/devices/vfio${this.#kernel.zdevs.indexOf(this.device.zdev)}`;
  }

  /** The iommufd that the descriptor is bound to. */
  get iommufd(): Iommufd | undefined {
    return this.#bound?.iommufd;
  }

  /** A descriptor of the character device that is bound: the device's group cannot be opened then. */
  get blocksGroup(): boolean {
    return this.#viaCdev && this.#bound !== undefined;
  }

  override read(buffer: Uint8Array, count: number, position: number, start: number): number {
    this.#checkAccess("vfio_device_fops_read");
    try {
      return this.device.variant.read(this.device, buffer, count, position, start);
    } catch (error) {
      throw this.#hinted(error, position);
    }
  }

  override write(buffer: Uint8Array, count: number, position: number, start: number): number {
    this.#checkAccess("vfio_device_fops_write");
    try {
      return this.device.variant.write(this.device, buffer, count, position, start);
    } catch (error) {
      throw this.#hinted(error, position);
    }
  }

  /** A refusal with what its position may have been meant for. */
  #hinted(error: unknown, position: number): unknown {
    if (!(error instanceof ErrnoError)) return error;
    const hint = this.device.variant.hint(this.device, position);
    return hint === undefined ? error : error.withHint(hint);
  }

  /** No driver of an ISM function maps regions (vfio.mmap.never). @throws {ErrnoError} EINVAL */
  override mmap(): number {
    this.#checkAccess("vfio_device_fops_mmap");
    throw coreError(
      "EINVAL",
      "vfio.mmap.never",
      "no mmap",
      "drivers/vfio/vfio_main.c: vfio_device_fops_mmap",
      "No region of the function can be mapped",
      "ISM needs PCILG and PCISTB with a function handle: use pread and pwrite",
    );
  }

  override ioctl(request: number, arg: IoctlArg): number {
    const bytes = structArgument(arg);
    if (request === DEVICE_IOCTL.VFIO_DEVICE_BIND_IOMMUFD) return this.#bind(bytes);
    this.#checkAccess("vfio_device_fops_unl_ioctl");
    if (this.#viaCdev && request === DEVICE_IOCTL.VFIO_DEVICE_ATTACH_IOMMUFD_PT) return this.#attach(bytes);
    if (this.#viaCdev && request === DEVICE_IOCTL.VFIO_DEVICE_DETACH_IOMMUFD_PT) return this.#detach(bytes);
    const handler = IOCTLS.get(request);
    if (handler === undefined) throw notATty(this.kind, request);
    return handler(this.device, bytes, this.#kernel, this.#bound?.devid);
  }

  override release(): void {
    this.device.touch();
    this.device.descriptors--;
    if (!this.#viaCdev || this.#bound !== undefined) this.#closeDevice();
    this.#kernel.deviceClosed(this.device);
  }

  #closeDevice(): void {
    const { zdev } = this.device;
    this.device.close();
    const bound = this.#bound;
    this.touch();
    this.#bound = undefined;
    bound?.iommufd.detach(zdev);
    if (bound !== undefined) {
      bound.iommufd.unbindDevice(bound.devid);
      this.#kernel.defaultDomains.release(zdev);
    } else if (this.device.openCount === 0) this.#kernel.group(zdev).deviceClosed();
  }

  protected override remember(): () => void {
    const [bound, pasid, file] = [this.#bound, this.#pasid, super.remember()];
    return () => {
      this.#bound = bound;
      this.#pasid = pasid;
      file();
    };
  }

  override save(): Partial<FileState> {
    if (!this.#viaCdev) return {};
    const { iommufd, devid } = this.#bound ?? { iommufd: undefined, devid: 0 };
    const attached = iommufd?.attachment(this.device.zdev);
    return {
      cdev: {
        iommufd: iommufd?.id ?? null,
        devid,
        ioas: attached?.ioas.id ?? null,
        hwpt: attached?.how.hwpt ?? null,
        bounded: attached?.how.bounded === true,
        pasid: this.#pasid,
      },
    };
  }

  /** Takes over what a saved descriptor was bound to. */
  restoreBinding(iommufd: Iommufd, { devid, ioas, hwpt, bounded, pasid }: CdevState): void {
    iommufd.devices.add(devid);
    this.#bound = { iommufd, devid };
    this.#pasid = pasid;
    if (ioas !== null) {
      iommufd.ioases.get(ioas)?.adopt(this.device.zdev, { hwpt: hwpt ?? undefined, bounded });
    }
  }

  /** Nothing but BIND works before BIND, whatever is asked (vfio.cdev.before). */
  #checkAccess(symbol: string): void {
    if (!this.#viaCdev || this.#bound !== undefined) return;
    throw coreError(
      "EINVAL",
      "vfio.cdev.before",
      "access not granted",
      `drivers/vfio/vfio_main.c: ${symbol}`,
      "The character device is not bound to an iommufd yet",
      "call VFIO_DEVICE_BIND_IOMMUFD first",
    );
  }

  /** BIND_IOMMUFD, checks in the order of vfio.cdev.bind. */
  #bind(arg: Uint8Array): number {
    const source = `${CDEV}: vfio_df_ioctl_bind_iommufd`;
    const invalid = (rule: string, message: string) =>
      coreError("EINVAL", "vfio.cdev.bind", rule, source, message);
    const size = copyStructSize(arg, BIND_IOMMUFD_MIN, BIND_IOMMUFD.size, source);
    const { flags, iommufd: fd, tokenUuidPtr } = BIND_IOMMUFD.decode(arg.subarray(0, size));
    if (fd < 0) throw invalid("arguments", `iommufd ${fd} is not a descriptor`);
    if ((flags & ~BIND_FLAGS.TOKEN) !== 0) throw invalid("arguments", `Unknown flags in ${flags}`);
    if (!this.#viaCdev) throw invalid("group descriptor", "This descriptor came from a group");
    if (this.#kernel.group(this.device.zdev).inUse) {
      throw coreError("EBUSY", "vfio.cdev.bind", "group open", source, "The device's group is open");
    }
    if (this.#bound !== undefined) throw invalid("bound", "This descriptor is bound already");
    if ((flags & BIND_FLAGS.TOKEN) !== 0) {
      this.#kernel.current.memory(Number(tokenUuidPtr), UUID_BYTES, false);
      throw invalid("token", "A function that is neither PF nor VF takes no token");
    }
    const file = this.#kernel.current.file(fd);
    if (!(file instanceof IommufdFile)) {
      throw coreError("EBADFD", "vfio.cdev.bind", "iommufd", source, `Descriptor ${fd} is not an iommufd`);
    }
    if (this.device.openCount > 0) {
      throw invalid("open elsewhere", "The device is open through another descriptor");
    }
    const { iommufd } = file;
    this.touch();
    let devid = 0;
    this.device.openBound(() => devid = iommufd.bindDevice());
    this.#bound = { iommufd, devid };
    writeWord(arg, BIND_IOMMUFD.offsetOf("outDevid"), devid);
    return 0;
  }

  /** ATTACH_IOMMUFD_PT: attaching again replaces what was there. */
  #attach(arg: Uint8Array): number {
    const source = `${CDEV}: vfio_df_ioctl_attach_pt`;
    checkArgsz(arg, ATTACH_PT_MIN, source);
    const { argsz, flags, ptId, pasid } = ATTACH_PT.decode(arg);
    const wantsPasid = this.#wantsPasid(flags, argsz, arg, ATTACH_PT.size, source);
    const { device: { zdev, variant } } = this;
    const { iommufd } = this.#bound!;
    if (wantsPasid && pasid !== 0) variant.pasid!.attach(iommufd, pasid, ptId);
    const target = iommufd.attachTarget(ptId);
    // PASID 0 is the device itself, but vfio counts it apart: the other way in is a second attachment.
    if (iommufd.attachment(zdev) !== undefined && this.#pasid !== wantsPasid) {
      throw coreError(
        "EBUSY",
        "vfio.cdev.attach",
        "attached",
        "drivers/iommu/iommufd/device.c: iommufd_hw_pagetable_attach",
        `The device is attached ${wantsPasid ? "without a PASID" : "with PASID 0"} already`,
        "detach it first, in the way that it was attached",
      );
    }
    this.touch();
    writeWord(arg, ATTACH_PT.offsetOf("ptId"), iommufd.attach(target, zdev));
    this.#pasid = wantsPasid;
    return 0;
  }

  /** DETACH_IOMMUFD_PT: fine when nothing is attached. */
  #detach(arg: Uint8Array): number {
    const source = `${CDEV}: vfio_df_ioctl_detach_pt`;
    checkArgsz(arg, DETACH_PT_MIN, source);
    const { argsz, flags, pasid } = DETACH_PT.decode(arg);
    const wantsPasid = this.#wantsPasid(flags, argsz, arg, DETACH_PT.size, source);
    // A PASID that was never attached, as none but 0 can be here, is fine to detach.
    if (wantsPasid && pasid !== 0 || this.#pasid !== wantsPasid) return 0;
    this.touch();
    this.#bound!.iommufd.detach(this.device.zdev);
    this.#pasid = false;
    return 0;
  }

  /**
   * The flags of ATTACH and DETACH; `size` is the length of the struct with the PASID in it. The kernel asks whether
   * the driver knows PASIDs before it looks for one.
   *
   * @returns true if a PASID is meant @throws {ErrnoError} EINVAL, EFAULT, EOPNOTSUPP by a driver without PASIDs
   */
  #wantsPasid(flags: number, argsz: number, arg: Uint8Array, size: number, source: string): boolean {
    if ((flags & ~PT_FLAGS.PASID) !== 0) {
      throw coreError("EINVAL", "vfio.cdev.attach", "flags", source, `Unknown flags in ${flags}`);
    }
    if (flags === 0) return false;
    if (this.device.variant.pasid === undefined) {
      throw coreError(
        "EOPNOTSUPP",
        "vfio.cdev.attach",
        "PASID",
        source,
        "The driver has no PASID operations",
      );
    }
    if (argsz < size) {
      throw coreError(
        "EINVAL",
        "vfio.cdev.attach",
        "argsz",
        source,
        `argsz ${argsz} has no room for a PASID`,
      );
    }
    if (arg.length < size) {
      throw coreError("EFAULT", "vfio.cdev.attach", "user memory", source, "The PASID is not accessible");
    }
    return true;
  }
}

/** Writes one word of a struct that the caller may have left shorter than the whole. */
function writeWord(arg: Uint8Array, at: number, value: number): void {
  new DataView(arg.buffer, arg.byteOffset).setUint32(at, value, true);
}
