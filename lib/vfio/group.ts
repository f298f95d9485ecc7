/**
 * /dev/vfio/N: an IOMMU group of one function. Facts: VFIO sheet 1.4 (drivers/vfio/group.c).
 */
import type { Container } from "./container.ts";
import { ContainerFile } from "./container.ts";
import { DeviceFile } from "./device_file.ts";
import { type FileState, type IoctlArg, notATty, OpenFile } from "./file.ts";
import type { Kernel } from "./kernel.ts";
import { coreError, structArgument } from "./refusal.ts";
import { GROUP_FLAGS, GROUP_IOCTL, GROUP_STATUS } from "./uapi.ts";
import { checkArgsz } from "./user_memory.ts";
import type { Zdev } from "./zdev.ts";

const SOURCE = "drivers/vfio/group.c";
/** GET_DEVICE_FD takes a string of at most a page (strndup_user with PAGE_SIZE). */
const NAME_LIMIT = 4096;

/** An IOMMU group. */
export class Group {
  readonly number: number;
  readonly zdev: Zdev;
  /** The one open descriptor. */
  file: GroupFile | undefined = undefined;
  container: Container | undefined = undefined;

  constructor(number: number, zdev: Zdev) {
    this.number = number;
    this.zdev = zdev;
  }
}

/** The descriptor of a group. */
export class GroupFile extends OpenFile {
  override readonly kind = "group";
  readonly group: Group;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, group: Group) {
    super();
    this.#kernel = kernel;
    this.group = group;
    group.file = this;
  }

  override get id(): number {
    return this.group.number;
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
    throw notATty();
  }

  override release(): void {
    if (this.group.container !== undefined && !this.#deviceOpen()) this.#unsetContainer();
    this.group.file = undefined;
  }

  override save(): Partial<FileState> {
    return { container: this.group.container?.id ?? null };
  }

  #status(arg: Uint8Array): number {
    const argsz = checkArgsz(arg, GROUP_STATUS.size, `${SOURCE}: vfio_group_ioctl_get_status`);
    const flags = GROUP_FLAGS.VIABLE | (this.group.container === undefined ? 0 : GROUP_FLAGS.CONTAINER_SET);
    GROUP_STATUS.encode({ argsz, flags }, arg);
    return 0;
  }

  #setContainer(arg: Uint8Array): number {
    const source = `${SOURCE}: vfio_group_ioctl_set_container`;
    if (arg.length < 4) {
      throw coreError("EFAULT", "user memory", source, "The argument points to no descriptor");
    }
    const fd = new DataView(arg.buffer, arg.byteOffset).getInt32(0, true);
    const file = this.#kernel.process.file(fd);
    if (this.group.container !== undefined) {
      throw coreError("EINVAL", "container set", source, "The group has a container already");
    }
    if (!(file instanceof ContainerFile)) {
      throw coreError(
        "EBADFD",
        "container",
        source,
        `Descriptor ${fd} is not a container`,
        "open /dev/vfio/vfio",
      );
    }
    this.group.container = file.container;
    file.container.addGroup(this.group);
    return 0;
  }

  #unsetContainer(): number {
    const source = `${SOURCE}: vfio_group_ioctl_unset_container`;
    const { container } = this.group;
    if (container === undefined) {
      throw coreError("EINVAL", "no container", source, "The group has no container");
    }
    if (this.#deviceOpen()) {
      throw coreError("EBUSY", "device open", source, "The group's device is still open");
    }
    this.group.container = undefined;
    container.removeGroup(this.group);
    return 0;
  }

  #deviceFd(arg: Uint8Array): number {
    const source = `${SOURCE}: vfio_group_ioctl_get_device_fd`;
    const end = arg.subarray(0, NAME_LIMIT).indexOf(0);
    if (end < 0) {
      const code = arg.length >= NAME_LIMIT ? "EINVAL" : "EFAULT";
      throw coreError(code, "device name", source, "The device name has no end");
    }
    const text = new TextDecoder().decode(arg.subarray(0, end));
    const [name = "", ...options] = text.split(" ");
    const device = this.#kernel.openableDevice(this.group.zdev);
    if (name !== this.group.zdev.name || device === undefined) {
      throw coreError("ENODEV", "device name", source, "The group has no such device");
    }
    // The only option is vf_token, which a function that is neither PF nor VF may not be given.
    if (options.length > 0) {
      throw coreError("EINVAL", "device options", source, "The device takes no options");
    }
    if (this.group.container?.domain === undefined) {
      throw coreError(
        "EINVAL",
        "no IOMMU",
        source,
        "The group has no IOMMU yet",
        "order: SET_CONTAINER, SET_IOMMU, then GET_DEVICE_FD",
      );
    }
    device.open();
    return this.#kernel.process.install(new DeviceFile(this.#kernel, device));
  }

  #deviceOpen(): boolean {
    return (this.#kernel.device(this.group.zdev)?.openCount ?? 0) > 0;
  }
}
