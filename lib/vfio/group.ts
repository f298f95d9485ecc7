/**
 * /dev/vfio/N: an IOMMU group of one function. Facts: vfio.group.* (drivers/vfio/group.c).
 */
import { Kept, type Rows } from "../base/journal.ts";
import type { Container } from "./iommu/container.ts";
import { ContainerFile } from "./iommu/container.ts";
import { DeviceFile } from "./device_file.ts";
import { type FileState, type IoctlArg, notATty, OpenFile } from "./process/file.ts";
import type { Iommufd } from "./iommu/iommufd.ts";
import { IommufdFile } from "./iommu/iommufd_file.ts";
import type { Kernel } from "./kernel.ts";
import { coreError, structArgument } from "./refusal.ts";
import { GROUP_FLAGS, GROUP_IOCTL, GROUP_STATUS } from "./uapi.ts";
import { checkArgsz } from "./process/user_memory.ts";
import type { Zdev } from "./s390/zdev.ts";

const SOURCE = "drivers/vfio/group.c";
/** GET_DEVICE_FD takes a string of at most a page (strndup_user with PAGE_SIZE). */
const NAME_LIMIT = 4096;

/** An IOMMU group. */
export class Group extends Kept {
  readonly number: number;
  readonly zdev: Zdev;
  /** The one open descriptor. */
  file: GroupFile | undefined = undefined;
  container: Container | undefined = undefined;
  /** The iommufd that it has for a container. */
  iommufd: Iommufd | undefined = undefined;

  constructor(number: number, zdev: Zdev) {
    super(zdev.journal);
    this.number = number;
    this.zdev = zdev;
  }

  get rows(): Rows | undefined {
    return this.zdev.rows;
  }

  /** The row of its descriptor tells of its container, too. */
  override touch(): void {
    super.touch();
    this.file?.touch();
  }

  protected override remember(): () => void {
    const { file, container, iommufd } = this;
    return () => void Object.assign(this, { file, container, iommufd });
  }

  /** It has a container of one of the two kinds. */
  get hasIommu(): boolean {
    return this.container !== undefined || this.iommufd !== undefined;
  }

  /** Its descriptor is open, or was closed while the device still is; an iommufd does not keep it open for that. */
  get inUse(): boolean {
    return this.file !== undefined || this.container !== undefined;
  }

  /** The device's descriptors keep the group's own alive: with the last of them both are gone. */
  deviceClosed(): void {
    if (this.file === undefined) this.leaveContainer();
  }

  /** The driver has gone, and the group with it: its descriptor leads nowhere any more. */
  dissolve(): void {
    this.leaveContainer();
    this.touch();
    if (this.file !== undefined) this.file.dissolved = true;
    this.file = undefined;
  }

  /** Leaves the container or iommufd; a device that is bound to the iommufd stays bound. */
  leaveContainer(): void {
    const { container, iommufd } = this;
    this.touch();
    this.container = undefined;
    this.iommufd = undefined;
    container?.removeGroup(this);
    iommufd?.releaseIfUnused();
  }
}

/** The descriptor of a group. */
export class GroupFile extends OpenFile {
  override readonly kind = "group";
  override readonly positioned = true;
  readonly group: Group;
  readonly #kernel: Kernel;

  /** The group does not exist any more; a new one may have its number. */
  dissolved: boolean;

  constructor(kernel: Kernel, group: Group, dissolved = false) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.group = group;
    this.dissolved = dissolved;
    if (dissolved) return;
    group.touch();
    group.file = this;
  }

  override get id(): number {
    return this.group.number;
  }

  override get path(): string {
    return `/dev/vfio/${this.group.number}`;
  }

  override ioctl(request: number, arg: IoctlArg): number {
    switch (request) {
      case GROUP_IOCTL.VFIO_GROUP_GET_STATUS:
        return this.#status(structArgument(arg));
      case GROUP_IOCTL.VFIO_GROUP_SET_CONTAINER:
        return this.#setContainer(structArgument(arg));
      case GROUP_IOCTL.VFIO_GROUP_UNSET_CONTAINER:
        return this.#unsetContainer();
      case GROUP_IOCTL.VFIO_GROUP_GET_DEVICE_FD:
        return this.#deviceFd(structArgument(arg));
    }
    throw notATty(this.kind, request);
  }

  override release(): void {
    if (this.dissolved) return;
    this.group.touch();
    this.group.file = undefined;
    if (this.group.container === undefined || !this.#deviceOpen()) this.group.leaveContainer();
  }

  protected override remember(): () => void {
    const [dissolved, file] = [this.dissolved, super.remember()];
    return () => {
      this.dissolved = dissolved;
      file();
    };
  }

  override save(): Partial<FileState> {
    if (this.dissolved) return { container: null, dissolved: true };
    return { container: this.group.container?.id ?? this.group.iommufd?.id ?? null };
  }

  get #hasIommu(): boolean {
    return !this.dissolved && this.group.hasIommu;
  }

  #checkDissolved(symbol: string): void {
    if (!this.dissolved) return;
    throw coreError(
      "ENODEV",
      "vfio.unplug.wait",
      "group dissolved",
      `${SOURCE}: ${symbol}`,
      "The group's driver has gone",
    );
  }

  #status(arg: Uint8Array): number {
    const argsz = checkArgsz(arg, GROUP_STATUS.size, `${SOURCE}: vfio_group_ioctl_get_status`);
    this.#checkDissolved("vfio_group_ioctl_get_status");
    // A device that stayed open when its group left an iommufd still owns the group's DMA.
    const viable = this.#hasIommu || !this.#ownedByIommufd() ? GROUP_FLAGS.VIABLE : 0;
    const flags = viable | (this.#hasIommu ? GROUP_FLAGS.CONTAINER_SET : 0);
    GROUP_STATUS.encode({ argsz, flags }, arg);
    return 0;
  }

  #setContainer(arg: Uint8Array): number {
    const source = `${SOURCE}: vfio_group_ioctl_set_container`;
    if (arg.length < 4) {
      throw coreError(
        "EFAULT",
        "vfio.group.setcontainer",
        "user memory",
        source,
        "The argument points to no descriptor",
      );
    }
    const fd = new DataView(arg.buffer, arg.byteOffset).getInt32(0, true);
    const file = this.#kernel.current.file(fd);
    if (this.#hasIommu) {
      throw coreError(
        "EINVAL",
        "vfio.group.setcontainer",
        "container set",
        source,
        "The group has a container already",
      );
    }
    this.#checkDissolved("vfio_group_ioctl_set_container");
    if (file instanceof ContainerFile) {
      if (this.#ownedByIommufd()) {
        throw coreError(
          "EBUSY",
          "vfio.group.setcontainer",
          "DMA owner",
          "drivers/vfio/container.c: vfio_container_attach_group",
          "The group's device is bound to an iommufd",
          "close the device first",
        );
      }
      file.container.addGroup(this.group);
      this.group.touch();
      this.group.container = file.container;
      return 0;
    }
    if (file instanceof IommufdFile) {
      file.iommufd.createCompatIoas();
      this.group.touch();
      this.group.iommufd = file.iommufd;
      return 0;
    }
    throw coreError(
      "EBADFD",
      "vfio.group.setcontainer",
      "container",
      source,
      `Descriptor ${fd} is neither a container nor an iommufd`,
      "open /dev/vfio/vfio or /dev/iommu",
    );
  }

  #unsetContainer(): number {
    const source = `${SOURCE}: vfio_group_ioctl_unset_container`;
    if (!this.#hasIommu) {
      throw coreError("EINVAL", "vfio.group.unset", "no container", source, "The group has no container");
    }
    // With an iommufd nobody counts: the device keeps its own binding to it (vfio_group_ioctl_unset_container).
    if (this.group.container !== undefined && this.#deviceOpen()) {
      throw coreError(
        "EBUSY",
        "vfio.group.unset",
        "device open",
        source,
        "The group's device is still open",
        "close its descriptors first",
      );
    }
    this.group.leaveContainer();
    return 0;
  }

  #deviceFd(arg: Uint8Array): number {
    const source = `${SOURCE}: vfio_group_ioctl_get_device_fd`;
    const end = arg.subarray(0, NAME_LIMIT).indexOf(0);
    if (end < 0) {
      const code = arg.length >= NAME_LIMIT ? "EINVAL" : "EFAULT";
      throw coreError(code, "vfio.group.getfd", "device name", source, "The device name has no end");
    }
    const text = new TextDecoder().decode(arg.subarray(0, end));
    const [name = "", ...options] = text.split(" ");
    const device = this.#kernel.openableDevice(this.group.zdev);
    if (name !== this.group.zdev.name || device === undefined || this.dissolved) {
      throw coreError("ENODEV", "vfio.group.name", "device name", source, "The group has no such device");
    }
    // The only option is vf_token, which a function that is neither PF nor VF may not be given.
    if (options.some((option) => option !== "")) {
      throw coreError(
        "EINVAL",
        "vfio.group.name",
        "device options",
        "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match",
        "The device takes no options behind its name",
      );
    }
    const { iommufd } = this.group;
    if (iommufd === undefined && this.group.container?.domain === undefined) {
      throw coreError(
        "EINVAL",
        "vfio.group.getfd",
        "no IOMMU",
        source,
        "The group has no IOMMU yet",
        "order: SET_CONTAINER, SET_IOMMU, then GET_DEVICE_FD",
      );
    }
    if (iommufd === undefined) device.open();
    else device.openThrough(iommufd);
    return this.#kernel.current.install(new DeviceFile(this.#kernel, device));
  }

  #ownedByIommufd(): boolean {
    return this.#kernel.device(this.group.zdev)?.compat !== undefined;
  }

  #deviceOpen(): boolean {
    return (this.#kernel.device(this.group.zdev)?.openCount ?? 0) > 0;
  }
}
