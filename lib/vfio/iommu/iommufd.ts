/**
 * The context behind an iommufd: its objects and their ids. Facts: vfio.iommufd.ids and vfio.cdev.attach
 * (drivers/iommu/iommufd/main.c, device.c). Its descriptor is in iommufd_file.ts.
 */
import { Kept, type PutRow, refill } from "../../base/journal.ts";
import type { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import type { Zdev } from "../s390/zdev.ts";
import { type Attachment, Ioas, type IoasState } from "./ioas.ts";

/** Directory of the kernel's sources. */
export const IOMMUFD_SOURCE = "drivers/iommu/iommufd";

/** An iommufd in the host file. */
export interface IommufdState {
  readonly id: number;
  readonly open: boolean;
  /** The compatibility IOAS of container ioctls, null if there is none. */
  readonly vfioIoas: number | null;
  /** Option RLIMIT_MODE: locked memory is counted per process, as type1 does, and not per user. */
  readonly rlimitMode: boolean;
  readonly ioases: readonly IoasState[];
  /** Object ids of fault queues. */
  readonly faultQueues: readonly number[];
}

/** What ATTACH goes to: an IOAS, or a page table of one. */
export interface AttachTarget {
  readonly ioas: Ioas;
  /** Object id of a page table of HWPT_ALLOC; undefined for the one that the IOAS has by itself. */
  readonly hwpt: number | undefined;
}

/** The context behind an iommufd descriptor; object ids are unique in it. */
export class Iommufd extends Kept {
  readonly id: number;
  readonly #kernel: Kernel;
  readonly ioases = new Map<number, Ioas>();
  /** Object ids of the devices that are bound. */
  readonly devices = new Set<number>();
  /** Object ids of fault queues, and whether a descriptor refers to them. */
  readonly faultQueues = new Map<number, { open: boolean }>();
  /** Id of the compatibility IOAS that container ioctls work on. */
  vfioIoas: number | undefined = undefined;
  rlimitMode = false;
  /** A descriptor refers to it; a bound device, a group or the descriptor of a fault queue keeps it alive too. */
  open = true;

  constructor(kernel: Kernel, id: number) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.id = id;
  }

  /** Key of its row in the saved state. */
  get key(): string {
    return `${this.#kernel.key}/iommufds/${this.id}`;
  }

  /** The kernel still has it. */
  get isThere(): boolean {
    return this.#kernel.iommufds.get(this.id) === this;
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    if (this.isThere) put(this.key, this.#head());
  }

  protected override remember(): () => void {
    const { vfioIoas, rlimitMode, open } = this;
    const [ioases, devices] = [[...this.ioases], [...this.devices]];
    const queues = [...this.faultQueues].map(([id, queue]) => [id, { ...queue }] as const);
    return () => {
      Object.assign(this, { vfioIoas, rlimitMode, open });
      refill(this.devices, devices);
      this.ioases.clear();
      for (const [id, ioas] of ioases) this.ioases.set(id, ioas);
      this.faultQueues.clear();
      for (const [id, queue] of queues) this.faultQueues.set(id, queue);
    };
  }

  /** Nothing keeps it alive but groups, which the kernel knows. */
  get isUnused(): boolean {
    return !this.open && this.devices.size === 0 && ![...this.faultQueues.values()].some(({ open }) => open);
  }

  /** It has no object. */
  get isEmpty(): boolean {
    return this.ioases.size + this.devices.size + this.faultQueues.size === 0;
  }

  /** The IOAS with an id. @throws {ErrnoError} ENOENT */
  ioas(id: number): Ioas {
    const ioas = this.ioases.get(id);
    if (ioas !== undefined) return ioas;
    throw noObject(id, "IOAS");
  }

  /** Checks that an object is a device. @throws {ErrnoError} ENOENT */
  checkDevice(id: number): void {
    if (!this.devices.has(id)) throw noObject(id, "device");
  }

  /** The IOAS that a page table belongs to, of whatever kind; undefined if no page table has the id. */
  ioasOfPageTable(id: number): Ioas | undefined {
    return [...this.ioases.values()].find(({ pageTables }) => pageTables.includes(id));
  }

  /** Checks that an object is a page table. @throws {ErrnoError} ENOENT */
  checkPageTable(id: number): void {
    if (this.ioasOfPageTable(id) === undefined) throw noObject(id, "page table");
  }

  /** An object of any kind has the id. */
  has(id: number): boolean {
    return this.#taken().has(id);
  }

  /** What an id of ATTACH names. @throws {ErrnoError} ENOENT; EINVAL for an object of another kind */
  attachTarget(id: number): AttachTarget {
    if (this.devices.has(id) || this.faultQueues.has(id)) {
      const source = `${IOMMUFD_SOURCE}/device.c: iommufd_device_change_pt`;
      throw coreError(
        "EINVAL",
        "vfio.cdev.attach",
        "object kind",
        source,
        `Object ${id} is neither an IOAS nor a page table`,
      );
    }
    const ioas = this.ioasOfPageTable(id);
    if (ioas === undefined) return { ioas: this.ioas(id), hwpt: undefined };
    return { ioas, hwpt: ioas.hwpts.has(id) ? id : undefined };
  }

  /** The compatibility IOAS. @throws {ErrnoError} ENODEV if there is none */
  compatIoas(): Ioas {
    const ioas = this.vfioIoas === undefined ? undefined : this.ioases.get(this.vfioIoas);
    if (ioas !== undefined) return ioas;
    throw coreError(
      "ENODEV",
      "vfio.iommufd.vfioioas",
      "no compatibility IOAS",
      `${IOMMUFD_SOURCE}/vfio_compat.c: get_compat_ioas`,
      "The iommufd has no IOAS for VFIO container ioctls",
      "VFIO_GROUP_SET_CONTAINER makes one, IOMMU_VFIO_IOAS chooses one",
    );
  }

  /** Makes sure that there is a compatibility IOAS. @throws {ErrnoError} ENOMEM */
  createCompatIoas(): void {
    if (this.vfioIoas !== undefined) return;
    this.touch();
    this.vfioIoas = this.allocate().id;
  }

  allocate(): Ioas {
    const ioas = new Ioas(this.#kernel, this, this.newObjectId());
    this.touch();
    ioas.touch();
    this.ioases.set(ioas.id, ioas);
    return ioas;
  }

  /** A device is bound. @returns its object id */
  bindDevice(): number {
    const devid = this.newObjectId();
    this.touch();
    this.devices.add(devid);
    return devid;
  }

  /** The IOAS that a function is attached to, and how; undefined if it is not. */
  attachment(zdev: Zdev): { readonly ioas: Ioas; readonly how: Attachment } | undefined {
    for (const ioas of this.ioases.values()) {
      const how = ioas.attachments.get(zdev);
      if (how !== undefined) return { ioas, how };
    }
    return undefined;
  }

  /**
   * Attaches a function, in place of what it is attached to.
   *
   * @returns the object id of the page table @throws {ErrnoError} EADDRINUSE, EIO, EFAULT, ENOMEM
   */
  attach({ ioas, hwpt }: AttachTarget, zdev: Zdev): number {
    const before = this.attachment(zdev);
    return before === undefined ? ioas.attach(zdev, hwpt) : ioas.replace(before.ioas, zdev, hwpt);
  }

  /** Detaches a function; fine if it is not attached. */
  detach(zdev: Zdev): void {
    this.attachment(zdev)?.ioas.detach(zdev);
  }

  /** The lowest id that no object has, from 1 on (main.c: iommufd_ctx, an xarray with XA_FLAGS_ALLOC1). */
  newObjectId(): number {
    const taken = this.#taken();
    let id = 1;
    while (taken.has(id)) id++;
    return id;
  }

  #taken(): Set<number> {
    const taken = new Set([...this.devices, ...this.faultQueues.keys()]);
    for (const { id, pageTables } of this.ioases.values()) {
      for (const each of [id, ...pageTables]) taken.add(each);
    }
    return taken;
  }

  /** A device is not bound any more. */
  unbindDevice(devid: number): void {
    this.touch();
    this.devices.delete(devid);
    this.releaseIfUnused();
  }

  /** A descriptor or a group does not refer to it any more. */
  releaseIfUnused(): void {
    this.#kernel.releaseIommufd(this);
  }

  /** IOMMU_DESTROY. @throws {ErrnoError} ENOENT, EBUSY */
  destroy(id: number): void {
    if (this.#isBusy(id)) {
      const source = `${IOMMUFD_SOURCE}/main.c: iommufd_destroy`;
      throw coreError("EBUSY", "vfio.iommufd.destroy", "object in use", source, `Object ${id} is in use`);
    }
    const owner = this.ioasOfPageTable(id);
    this.touch();
    owner?.touch();
    if (owner !== undefined) owner.hwpts.delete(id);
    else if (!this.faultQueues.delete(id)) {
      this.ioas(id).dispose();
      this.ioases.delete(id);
      if (this.vfioIoas === id) this.vfioIoas = undefined;
    }
  }

  /** A device is in use as long as it is bound, an IOAS while it has page tables, a page table by functions. */
  #isBusy(id: number): boolean {
    const owner = this.ioasOfPageTable(id);
    if (owner === undefined) {
      return this.devices.has(id) || this.faultQueues.get(id)?.open === true ||
        this.ioases.get(id)?.hasTable === true;
    }
    return owner.pageTable === id || [...owner.attachments.values()].some(({ hwpt }) => hwpt === id);
  }

  /** Nobody refers to it any more: every IOAS goes, with its mappings. */
  dispose(): void {
    this.touch();
    for (const ioas of this.ioases.values()) ioas.dispose();
    this.ioases.clear();
  }

  save(): IommufdState {
    return { ...this.#head(), ioases: [...this.ioases.values()].map((ioas) => ioas.save()) };
  }

  /** All but the IOASes, which have rows of their own. */
  #head(): Omit<IommufdState, "ioases"> {
    return {
      id: this.id,
      open: this.open,
      vfioIoas: this.vfioIoas ?? null,
      rlimitMode: this.rlimitMode,
      faultQueues: [...this.faultQueues.keys()],
    };
  }

  static restore(kernel: Kernel, state: IommufdState): Iommufd {
    const iommufd = new Iommufd(kernel, state.id);
    iommufd.open = state.open;
    iommufd.vfioIoas = state.vfioIoas ?? undefined;
    iommufd.rlimitMode = state.rlimitMode;
    for (const ioas of state.ioases) iommufd.ioases.set(ioas.id, Ioas.restore(kernel, iommufd, ioas));
    for (const id of state.faultQueues) iommufd.faultQueues.set(id, { open: false });
    return iommufd;
  }
}

/** ENOENT for an id. */
export function noObject(id: number, what: string): ErrnoError {
  const source = `${IOMMUFD_SOURCE}/main.c: iommufd_get_object`;
  return coreError("ENOENT", "vfio.iommufd.ids", "object id", source, `There is no ${what} with id ${id}`);
}
