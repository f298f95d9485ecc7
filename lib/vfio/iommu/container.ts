/**
 * /dev/vfio/vfio: a container of groups; what its type1 IOMMU does is in type1.ts. Facts: vfio.container.*
 * (drivers/vfio/container.c).
 */
import { Kept, type PutRow, refill } from "../../base/journal.ts";
import { type FileState, type IoctlArg, notATty, OpenFile } from "../process/file.ts";
import { type DomainState, IommuDomain } from "./iommu_domain.ts";
import type { Group } from "../group.ts";
import type { Kernel } from "../kernel.ts";
import { coreError, structArgument } from "../refusal.ts";
import { dirtyPages } from "./type1_dirty.ts";
import { iommuInfo, mapDma, unmapDma } from "./type1.ts";
import { CONTAINER_IOCTL, EXTENSION, VFIO_API_VERSION } from "../uapi.ts";

const CONTAINER_SOURCE = "drivers/vfio/container.c";

/** State of a container, for the host file. */
export interface ContainerState {
  readonly id: number;
  readonly open: boolean;
  readonly type: number | null;
  readonly domain: DomainState | null;
  /** IOVAs of mappings whose address was taken away (UNMAP_DMA with VADDR) and that wait for a new one. */
  readonly withoutAddress: readonly number[];
  /** Dirty pages are logged. */
  readonly dirtyLog: boolean;
}

/** A container: groups attached to it share its mappings. */
export class Container extends Kept {
  readonly id: number;
  readonly #kernel: Kernel;
  readonly groups = new Set<Group>();
  /** IOMMU type that SET_IOMMU chose. */
  type: number | undefined = undefined;
  domain: IommuDomain | undefined = undefined;
  /** IOVAs of mappings that wait for a new address of their memory. */
  readonly withoutAddress = new Set<number>();
  /** Dirty pages are logged (VFIO_IOMMU_DIRTY_PAGES). */
  dirtyLog = false;
  /** A descriptor refers to it. */
  open = true;

  constructor(kernel: Kernel, id: number) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.id = id;
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    if (this.#kernel.containers.get(this.id) === this) put(this.#key, this.#head());
  }

  get #key(): string {
    return `${this.#kernel.key}/containers/${this.id}`;
  }

  protected override remember(): () => void {
    const { type, domain, dirtyLog, open } = this;
    const [groups, withoutAddress] = [[...this.groups], [...this.withoutAddress]];
    return () => {
      Object.assign(this, { type, domain, dirtyLog, open });
      refill(this.groups, groups);
      refill(this.withoutAddress, withoutAddress);
    };
  }

  /**
   * GROUP_SET_CONTAINER: a container that has a type attaches the group's device at once.
   *
   * @throws {ErrnoError} EBUSY while a mapping has no address
   */
  addGroup(group: Group): void {
    if (this.withoutAddress.size > 0) {
      const source = "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group";
      throw coreError(
        "EBUSY",
        "vfio.type1.vaddr",
        "VADDR",
        source,
        "A mapping of the container waits for a new address",
      );
    }
    this.#kernel.defaultDomains.claim(group.zdev);
    try {
      if (this.domain !== undefined) group.zdev.attach(this.domain);
    } catch (error) {
      this.#kernel.defaultDomains.release(group.zdev);
      throw error;
    }
    this.touch();
    this.groups.add(group);
  }

  /** The last group to leave takes the IOMMU type and all mappings with it. */
  removeGroup(group: Group): void {
    this.touch();
    this.groups.delete(group);
    if (this.domain !== undefined) group.zdev.attach(undefined);
    this.#kernel.defaultDomains.release(group.zdev);
    if (this.groups.size === 0) this.#dropDomain();
    this.releaseIfUnused();
  }

  /** Forgotten when no descriptor and no group refers to it. */
  releaseIfUnused(): void {
    if (this.open || this.groups.size > 0) return;
    this.#dropDomain();
    this.#kernel.containers.delete(this.id);
  }

  #dropDomain(): void {
    this.touch();
    this.domain?.dispose();
    this.domain = undefined;
    this.type = undefined;
    this.withoutAddress.clear();
    this.dirtyLog = false;
  }

  /** SET_IOMMU. */
  setIommu(type: number): number {
    if (this.groups.size === 0 || this.type !== undefined) {
      throw coreError(
        "EINVAL",
        "vfio.container.setiommu",
        "SET_IOMMU order",
        `${CONTAINER_SOURCE}: vfio_ioctl_set_iommu`,
        this.type === undefined
          ? "SET_IOMMU needs a group in the container"
          : "The container has an IOMMU type already",
        "order: SET_CONTAINER on the group, then SET_IOMMU",
      );
    }
    if (type !== EXTENSION.TYPE1 && type !== EXTENSION.TYPE1V2) {
      // The backend is found by CHECK_EXTENSION, which knows more numbers than those of types.
      throw coreError(
        checkExtension(this, type) === 0 ? "ENODEV" : "EINVAL",
        "vfio.container.setiommu",
        "IOMMU type",
        `${CONTAINER_SOURCE}: vfio_ioctl_set_iommu`,
        `No IOMMU backend accepts type ${type}`,
        "use VFIO_TYPE1v2_IOMMU (3)",
      );
    }
    const domain = IommuDomain.allocate(this.#kernel.partition, `${this.#key}/domain`);
    try {
      for (const group of this.groups) group.zdev.attach(domain);
    } catch (error) {
      for (const { zdev } of this.groups) zdev.attach(undefined);
      domain.dispose();
      throw error;
    }
    this.touch();
    this.domain = domain;
    this.type = type;
    return 0;
  }

  save(): ContainerState {
    return { ...this.#head(), domain: this.domain?.save() ?? null };
  }

  /** All but the domain, which has a row of its own. */
  #head(): Omit<ContainerState, "domain"> & { readonly domain?: null } {
    return {
      id: this.id,
      open: this.open,
      type: this.type ?? null,
      ...(this.domain === undefined ? { domain: null } : {}),
      withoutAddress: [...this.withoutAddress],
      dirtyLog: this.dirtyLog,
    };
  }

  static restore(kernel: Kernel, state: ContainerState): Container {
    const container = new Container(kernel, state.id);
    container.open = state.open;
    container.type = state.type ?? undefined;
    for (const iova of state.withoutAddress) container.withoutAddress.add(iova);
    container.dirtyLog = state.dirtyLog;
    const key = `${container.#key}/domain`;
    if (state.domain !== null) container.domain = IommuDomain.restore(kernel.partition, state.domain, key);
    return container;
  }
}

/** A descriptor of a container. */
export class ContainerFile extends OpenFile {
  override readonly kind = "container";
  override readonly positioned = true;
  readonly container: Container;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, container: Container) {
    super(kernel.journal);
    this.#kernel = kernel;
    this.container = container;
  }

  override get id(): number {
    return this.container.id;
  }

  override get path(): string {
    return "/dev/vfio/vfio";
  }

  override ioctl(request: number, arg: IoctlArg): number {
    const { container } = this;
    switch (request) {
      case CONTAINER_IOCTL.VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
      case CONTAINER_IOCTL.VFIO_CHECK_EXTENSION:
        return checkExtension(container, Number(arg));
      case CONTAINER_IOCTL.VFIO_SET_IOMMU:
        return container.setIommu(Number(arg));
    }
    if (container.domain === undefined) {
      throw coreError(
        "EINVAL",
        "vfio.container.order",
        "no IOMMU type",
        `${CONTAINER_SOURCE}: vfio_fops_unl_ioctl`,
        "The container has no IOMMU type yet",
        "call VFIO_SET_IOMMU first",
      );
    }
    switch (request) {
      case CONTAINER_IOCTL.VFIO_IOMMU_GET_INFO:
        return iommuInfo(this.#kernel, container, container.domain, structArgument(arg));
      case CONTAINER_IOCTL.VFIO_IOMMU_MAP_DMA:
        return mapDma(this.#kernel, container, container.domain, structArgument(arg));
      case CONTAINER_IOCTL.VFIO_IOMMU_UNMAP_DMA:
        return unmapDma(this.#kernel, container, container.domain, structArgument(arg));
      case CONTAINER_IOCTL.VFIO_IOMMU_DIRTY_PAGES:
        return dirtyPages(this.#kernel, container, container.domain, structArgument(arg));
    }
    throw notATty(this.kind, request);
  }

  override release(): void {
    this.container.touch();
    this.container.open = false;
    this.container.releaseIfUnused();
  }

  override save(): Partial<FileState> {
    return {};
  }
}

/**
 * UPDATE_VADDR is a matter of an IOMMU in use, so only a container with a type has it (drivers/vfio/
 * vfio_iommu_type1.c: vfio_iommu_type1_check_extension). s390 enforces no coherency for a function: no DMA_CC.
 */
function checkExtension({ domain }: Container, value: number): number {
  if (value === EXTENSION.UPDATE_VADDR) return domain === undefined ? 0 : 1;
  const supported: readonly number[] = [EXTENSION.TYPE1, EXTENSION.TYPE1V2, EXTENSION.UNMAP_ALL];
  return supported.includes(value) ? 1 : 0;
}
