/**
 * The Linux of one guest, as far as VFIO goes: functions found at boot, drivers, device nodes, interrupts, and the
 * one driver process. Facts: VFIO sheet 1.1 and 1.2, zPCI sheet 11.
 */
import { CLP, clp, CLP_HEADER, LIST_ENTRY, LIST_RESPONSE } from "../zpci/clp.ts";
import { HANDLE_ENABLED } from "../zpci/handle.ts";
import type { Processor } from "../zpci/instruction.ts";
import type { ErrorEvent, Partition, PartitionKernel } from "../zpci/partition.ts";
import { PAGE_SIZE } from "../zpci/storage.ts";
import { Container, ContainerFile, type ContainerState } from "./container.ts";
import { type DeviceState, VfioDevice } from "./device.ts";
import { DeviceFile } from "./device_file.ts";
import { EventFd, EventFdFile } from "./eventfd.ts";
import { type FileState, type OpenFile, vfsError } from "./file.ts";
import { Group, GroupFile } from "./group.ts";
import { IommuDomain } from "./iommu_domain.ts";
import { Process } from "./process.ts";
import { coreError } from "./refusal.ts";
import { IsmVariant } from "./variant/ism.ts";
import { clpBlock, Zdev, type ZdevState } from "./zdev.ts";

/** Choices of the topology that concern the kernel. */
export interface KernelOptions {
  /** Busy answers after which a call is reported as one that would hang. */
  readonly busyRetryLimit: number;
  /** GET_INFO carries the zPCI capability chain (CONFIG_VFIO_PCI_ZDEV_KVM). */
  readonly capabilityChain: boolean;
  /** Most DMA mappings of a container (dma_entry_limit). */
  readonly dmaEntryLimit: number;
}

export const DEFAULT_KERNEL_OPTIONS: KernelOptions = {
  busyRetryLimit: 1_000_000,
  capabilityChain: true,
  dmaEntryLimit: 65_535,
};

/** State of a kernel and its driver process, for the host file. */
export interface KernelState {
  readonly zdevs: readonly ZdevState[];
  readonly interruptPage: number;
  readonly nextId: number;
  readonly eventfds: readonly { readonly id: number; readonly count: number }[];
  readonly containers: readonly ContainerState[];
  /** Container of each group by number, null where none is set. */
  readonly groups: readonly (number | null)[];
  readonly devices: readonly DeviceState[];
  readonly files: readonly FileState[];
}

const DOUBLEWORD = 8;
/** Summary bits fit one doubleword: aisbo has 6 bits. */
const MAX_FUNCTIONS = 64;
/** Summary doubleword at the start of the interrupt page, one vector doubleword per function behind it. */
const VECTORS_AT = DOUBLEWORD;

/** A guest's kernel. */
export class Kernel implements PartitionKernel {
  readonly partition: Partition;
  readonly options: KernelOptions;
  readonly process: Process;
  readonly containers = new Map<number, Container>();
  readonly #zdevs: Zdev[] = [];
  readonly #groups: Group[] = [];
  readonly #devices = new Map<Zdev, VfioDevice>();
  readonly #eventfds = new Map<number, EventFd>();
  readonly #interruptPage: number;
  #nextId = 1;

  private constructor(
    partition: Partition,
    processor: Processor,
    options: KernelOptions,
    interruptPage: number,
    handles: readonly number[],
  ) {
    this.partition = partition;
    this.options = options;
    this.process = new Process(this, partition.tracer);
    this.#interruptPage = interruptPage;
    partition.kernel = this;
    handles.slice(0, MAX_FUNCTIONS).forEach((fh, i) => {
      const bits = { aibv: interruptPage + VECTORS_AT + i * DOUBLEWORD, aisb: interruptPage, aisbo: i };
      const zdev = new Zdev(processor, fh, bits, options.busyRetryLimit);
      this.#zdevs.push(zdev);
      this.#groups.push(new Group(i, zdev));
      this.#devices.set(zdev, new VfioDevice(this, zdev, new IsmVariant()));
    });
  }

  /** Boots: finds the functions through CLP, enables them and binds ism_vfio_pci to each. */
  static boot(partition: Partition, processor: Processor, options: KernelOptions): Kernel {
    const page = partition.storage.allocate(PAGE_SIZE);
    if (page === undefined) throw new Error("The guest has no storage for its interrupt page");
    const handles = listHandles(partition);
    const kernel = new Kernel(partition, processor, options, page.address, handles);
    for (const zdev of kernel.#zdevs) zdev.enable();
    return kernel;
  }

  /** A kernel with a saved state; the partition's storage is there already. */
  static restore(
    partition: Partition,
    processor: Processor,
    options: KernelOptions,
    state: KernelState,
  ): Kernel {
    const handles = listHandles(partition);
    const kernel = new Kernel(partition, processor, options, state.interruptPage, handles);
    kernel.#restore(state);
    return kernel;
  }

  /** The functions that the kernel knows, in the order of their discovery. */
  get zdevs(): readonly Zdev[] {
    return this.#zdevs;
  }

  /** The IOMMU group of a function. */
  group(zdev: Zdev): Group {
    return this.#groups.find((group) => group.zdev === zdev)!;
  }

  /** The vfio-pci device of a function, undefined if no vfio driver holds it. */
  device(zdev: Zdev): VfioDevice | undefined {
    return this.#devices.get(zdev);
  }

  /** Opens a device node. @throws {ErrnoError} ENOENT, EBUSY */
  openNode(path: string): OpenFile {
    if (path === "/dev/vfio/vfio") {
      const container = new Container(this, this.#nextId++);
      this.containers.set(container.id, container);
      return new ContainerFile(this, container);
    }
    const number = /^\/dev\/vfio\/(\d+)$/.exec(path)?.[1];
    const group = number === undefined ? undefined : this.#groups[Number(number)];
    if (group === undefined) {
      throw vfsError("ENOENT", "no such node", "fs/namei.c: path_openat", `${path} does not exist`);
    }
    if (group.file !== undefined) {
      throw coreError(
        "EBUSY",
        "single opener",
        "drivers/vfio/group.c: vfio_group_fops_open",
        `${path} is open already`,
      );
    }
    return new GroupFile(this, group);
  }

  /** The sysfs links that lead from a PCI address to its group. @throws {ErrnoError} ENOENT */
  readLink(path: string): string {
    const address = /^\/sys\/bus\/pci\/devices\/([^/]+)\/iommu_group$/.exec(path)?.[1];
    const group = this.#groups.find(({ zdev }) => zdev.name === address);
    if (group === undefined) {
      throw vfsError("ENOENT", "no such link", "fs/stat.c: do_readlinkat", `${path} does not exist`);
    }
    return `../../../kernel/iommu_groups/${group.number}`;
  }

  newEventFd(): EventFd {
    const eventfd = new EventFd(this.#nextId++);
    this.#eventfds.set(eventfd.id, eventfd);
    return eventfd;
  }

  /** The eventfd with an id of a saved state. */
  eventFd(id: number): EventFd {
    const eventfd = this.#eventfds.get(id);
    if (eventfd === undefined) throw new Error(`Eventfd ${id} is not there`);
    return eventfd;
  }

  /** A new IOMMU domain. @throws {ErrnoError} ENOMEM */
  newDomain(): IommuDomain {
    const domain = IommuDomain.create(this.partition);
    if (domain === undefined) {
      throw coreError(
        "ENOMEM",
        "memory",
        "drivers/iommu/s390-iommu.c: s390_domain_alloc_paging",
        "No memory",
      );
    }
    return domain;
  }

  /** Scans summary bits, then the vector bits of each function, and hands vectors on (arch/s390/pci/pci_irq.c). */
  adapterInterruption(_isc: number): void {
    const storage = this.partition.storage.find(this.#interruptPage, PAGE_SIZE)!;
    const bytes = storage.touch(0, PAGE_SIZE, true);
    this.#zdevs.forEach((zdev, i) => {
      const summary = 0x80 >> (i & 7);
      if ((bytes[i >> 3]! & summary) === 0) return;
      bytes[i >> 3] = bytes[i >> 3]! & ~summary;
      const vectorsAt = VECTORS_AT + i * DOUBLEWORD;
      for (let vector = 0; vector < zdev.vectors; vector++) {
        const mask = 0x80 >> (vector & 7);
        const at = vectorsAt + (vector >> 3);
        if ((bytes[at]! & mask) === 0) continue;
        bytes[at] = bytes[at]! & ~mask;
        this.#devices.get(zdev)?.interrupt(vector);
      }
    });
  }

  /** Error events: vfio leaves recovery to user space, which sees EIO until it resets (VFIO sheet 8.6). */
  errorEvent(_event: ErrorEvent): void {}

  save(): KernelState {
    this.#dropUnusedEventFds();
    return {
      zdevs: this.#zdevs.map((zdev) => zdev.save()),
      interruptPage: this.#interruptPage,
      nextId: this.#nextId,
      eventfds: [...this.#eventfds.values()].map(({ id, count }) => ({ id, count })),
      containers: [...this.containers.values()].map((container) => container.save()),
      groups: this.#groups.map((group) => group.container?.id ?? null),
      devices: [...this.#devices.values()].map((device) => device.save()),
      files: [...this.process.save().files],
    };
  }

  #restore(state: KernelState): void {
    this.#nextId = state.nextId;
    for (const { id, count } of state.eventfds) {
      const eventfd = new EventFd(id);
      eventfd.count = count;
      this.#eventfds.set(id, eventfd);
    }
    for (const container of state.containers) {
      this.containers.set(container.id, Container.restore(this, container));
    }
    state.zdevs.forEach((zdev, i) => this.#zdevs[i]!.restore(zdev));
    state.groups.forEach((id, i) => {
      const container = id === null ? undefined : this.containers.get(id);
      if (container === undefined) return;
      const group = this.#groups[i]!;
      group.container = container;
      container.groups.add(group);
      if (container.domain !== undefined) {
        group.zdev.domain = container.domain;
        container.domain.zdevs.add(group.zdev);
      }
    });
    for (const device of state.devices) this.#byFid(device.fid).restore(device);
    for (const file of state.files) {
      this.process.restoreFile(file.fd, this.#restoredFile(file), file.position);
    }
  }

  #restoredFile(file: FileState): OpenFile {
    switch (file.kind) {
      case "container":
        return new ContainerFile(this, this.containers.get(file.id)!);
      case "group":
        return new GroupFile(this, this.#groups[file.id]!);
      case "eventfd":
        return new EventFdFile(this.eventFd(file.id));
      case "device":
        return new DeviceFile(this, this.#byFid(file.id));
    }
  }

  #byFid(fid: number): VfioDevice {
    const device = [...this.#devices.values()].find(({ zdev }) => zdev.facts.fid === fid);
    if (device === undefined) throw new Error(`No vfio device has function id ${fid}`);
    return device;
  }

  /** An eventfd lives as long as a descriptor or interrupt wiring refers to it. */
  #dropUnusedEventFds(): void {
    const used = new Set<EventFd | undefined>();
    for (const [, file] of this.process.files()) if (file instanceof EventFdFile) used.add(file.context);
    for (const { msi, req } of this.#devices.values()) {
      used.add(req);
      msi?.forEach((eventfd) => used.add(eventfd));
    }
    for (const [id, eventfd] of this.#eventfds) if (!used.has(eventfd)) this.#eventfds.delete(id);
  }
}

/** Handles of all configured functions, from List PCI (arch/s390/pci/pci_clp.c: clp_list_pci). */
function listHandles(partition: Partition): number[] {
  const responseBytes = PAGE_SIZE - 32;
  const handles: number[] = [];
  let resumeToken = 0;
  do {
    const block = clpBlock(CLP.LIST_PCI, responseBytes);
    new DataView(block.buffer).setBigUint64(16, BigInt(resumeToken));
    clp(partition, block);
    const { length } = CLP_HEADER.decode(block, 32);
    for (let at = 32 + LIST_RESPONSE.size; at < 32 + length; at += LIST_ENTRY.size) {
      const entry = LIST_ENTRY.decode(block, at);
      if (entry.vendorId !== 0 && entry.configured === HANDLE_ENABLED) handles.push(entry.fh);
    }
    resumeToken = LIST_RESPONSE.decode(block, 32).resumeToken;
  } while (resumeToken !== 0);
  return handles;
}
