/**
 * The Linux of one guest, as far as VFIO goes: functions found at boot, drivers, device nodes, interrupts, and
 * processes. Facts: vfio.bind.*, vfio.node.names and zpci.irq.deliver.
 */
import { Kept, KeptMap, type PutRow } from "../base/journal.ts";
import type { Processor } from "../zpci/instruction.ts";
import { isEnabledHandle } from "../zpci/handle.ts";
import {
  type AvailabilityEvent,
  type ErrorEvent,
  type Partition,
  type PartitionKernel,
  SIC,
} from "../zpci/partition.ts";
import { SCLP, sclp } from "../zpci/service_processor.ts";
import { PAGE_SIZE } from "../zpci/storage.ts";
import { Container, type ContainerState } from "./iommu/container.ts";
import { Binding, type BindingState } from "./binding.ts";
import type { DeviceState, VfioDevice } from "./device.ts";
import { type DynamicId, DynamicIds } from "./dynamic_ids.ts";
import { EventFd, EventFdFile } from "./process/eventfd.ts";
import type { FileState, OpenFile } from "./process/file.ts";
import { Group } from "./group.ts";
import { IommuDomain } from "./iommu/iommu_domain.ts";
import { type ForeignFiles, openInPrograms, wiredEventFds } from "./process/foreign_files.ts";
import { Iommufd, type IommufdState } from "./iommu/iommufd.ts";
import type { KernelOptions } from "./kernel_options.ts";
import { LockPlan } from "./lock_plan.ts";
import { tableEnd } from "./s390/aperture.ts";
import { EventWorker, type EventWorkerState } from "./s390/event_worker.ts";
import { listEntries } from "./s390/pci_clp.ts";
import { quietly } from "./pci/pci_device.ts";
import { DescriptorTable, MAX_FDS } from "./process/descriptors.ts";
import type { Caller } from "./process/caller.ts";
import { Process } from "./process/process.ts";
import { restoredFile, saveFile } from "./process/saved_files.ts";
import { coreError } from "./refusal.ts";
import { type ReleaseRules, rulesOf } from "./release.ts";
import { type InterruptBits, PCI_ISC, Zdev } from "./s390/zdev.ts";
import type { ZdevState } from "./s390/zdev_state.ts";

export { DEFAULT_KERNEL_OPTIONS, type KernelOptions } from "./kernel_options.ts";

/** The kernel's own domain of a function: where its tables lie, and whether the function uses it now. */
export interface DefaultDomainState {
  /** Storage address; null where there is none yet. */
  readonly origin: number | null;
  readonly attached: boolean;
}

/** State of a kernel and its driver process, for the host file. */
export interface KernelState {
  readonly zdevs: readonly ZdevState[];
  readonly interruptPage: number;
  readonly nextId: number;
  /** Counts above 2^53 are decimal text. */
  readonly eventfds: readonly { readonly id: number; readonly count: number | string }[];
  readonly containers: readonly ContainerState[];
  readonly iommufds: readonly IommufdState[];
  readonly bindings: readonly BindingState[];
  readonly dynamicIds: readonly DynamicId[];
  /** Container of each group by number, or the iommufd that it has for one; null where none is set. */
  readonly groups: readonly (number | null)[];
  readonly devices: readonly DeviceState[];
  /** The kernel's own IOMMU domain of each function. */
  readonly defaultDomains: readonly DefaultDomainState[];
  /** Reports of the machine that wait for a lock. */
  readonly events: EventWorkerState;
  readonly files: readonly FileState[];
}

/** State of a kernel that is copied while real programs run. */
interface RunningState extends KernelState {
  /** What they have open. */
  readonly programs?: readonly FileState[];
}

const DOUBLEWORD = 8;
/** Summary bits fit one doubleword: aisbo has 6 bits. */
const MAX_FUNCTIONS = 64;
/** Summary doubleword at the start of the interrupt page, one vector doubleword per function behind it. */
const VECTORS_AT = DOUBLEWORD;

/** A guest's kernel. */
export class Kernel extends Kept implements PartitionKernel {
  readonly partition: Partition;
  readonly options: KernelOptions;
  /** What the release does. */
  readonly rules: ReleaseRules;
  /** The process of ism's own commands, the only one that the host file holds. */
  readonly process: Process;
  /** All processes. */
  readonly processes = new Set<Process>();
  /** Descriptors of real programs, wherever they are: no host file holds them. */
  readonly foreign: ForeignFiles = new Set();
  /** What real programs had open when this kernel was copied. */
  #left: OpenFile[] = [];
  /** The process whose system call is carried out. */
  current: Caller;
  readonly containers: KeptMap<Container>;
  readonly iommufds: KeptMap<Iommufd>;
  /** When somebody else holds device locks; a host gives all its kernels the same. */
  locks: LockPlan;
  /** One per function, in the order of discovery; the index is the number of group and character device. */
  readonly bindings: Binding[] = [];
  /** Ids that were added to drivers. */
  readonly dynamicIds = new DynamicIds(() => this.touch());
  readonly groups: Group[] = [];
  readonly #zdevs: Zdev[] = [];
  readonly #eventfds: KeptMap<EventFd>;
  readonly #interruptPage: number;
  /** Handles the machine's reports. */
  readonly events = new EventWorker(this);
  readonly #defaultDomains = new Map<Zdev, IommuDomain>();
  #nextId = 1;
  /** Eventfds may be there that nothing refers to. */
  #mayDrop = false;

  private constructor(partition: Partition, options: KernelOptions, interruptPage: number) {
    super(partition.journal);
    const put =
      <Of extends { writeRows(put: PutRow): void }>(list: string) => (put: PutRow, id: number, value?: Of) =>
        value === undefined ? put(`${this.key}/${list}/${id}`, undefined) : value.writeRows(put);
    this.containers = new KeptMap(this.journal, put<Container>("containers"));
    this.iommufds = new KeptMap(this.journal, put<Iommufd>("iommufds"));
    this.#eventfds = new KeptMap(this.journal, put<EventFd>("eventfds"));
    this.locks = new LockPlan(this.journal);
    this.partition = partition;
    this.options = options;
    this.rules = rulesOf(options.release);
    const saved = {
      journal: this.journal,
      write: (put: PutRow, fd: number, file: OpenFile | undefined) =>
        put(`${this.key}/files/${fd}`, file && saveFile(fd, file)),
    };
    this.process = new Process(this, partition.tracer, new DescriptorTable(MAX_FDS, saved));
    this.processes.add(this.process);
    this.current = this.process;
    this.#interruptPage = interruptPage;
    partition.storage.reserved.set(interruptPage, true);
    partition.kernel = this;
    partition.setInterruptionControls(SIC.SINGLE, PCI_ISC);
  }

  /** Boots: finds the functions through CLP, enables them and binds ism_vfio_pci to each by driver_override. */
  static boot(partition: Partition, processor: Processor, options: KernelOptions): Kernel {
    const page = partition.storage.allocate(PAGE_SIZE);
    if (page === undefined) throw new Error("The guest has no storage for its interrupt page");
    const kernel = new Kernel(partition, options, page.address);
    const configured = listEntries(partition).filter((entry) => entry.configured);
    for (const { fh } of configured.slice(0, MAX_FUNCTIONS)) {
      kernel.#add(Zdev.discover(processor, fh, kernel.#nextBits(), options));
    }
    for (const binding of kernel.bindings) {
      binding.zdev.enable();
      binding.zdev.pci.scan();
      kernel.releaseDma(binding.zdev);
      binding.override = "ism_vfio_pci";
      binding.probe();
    }
    return kernel;
  }

  /** A kernel with a saved state; the partition's storage is there already. */
  static restore(
    partition: Partition,
    processor: Processor,
    options: KernelOptions,
    state: KernelState,
  ): Kernel {
    const kernel = new Kernel(partition, options, state.interruptPage);
    for (const zdev of state.zdevs) {
      kernel.#add(Zdev.restore(processor, zdev, kernel.#nextBits(), options.busyRetryLimit));
    }
    kernel.#restore(state);
    return kernel;
  }

  /** Interrupt bits of the next function. */
  #nextBits(): InterruptBits {
    const i = this.#zdevs.length;
    const page = this.#interruptPage;
    return { aibv: page + VECTORS_AT + i * DOUBLEWORD, aisb: page, aisbo: i };
  }

  #add(zdev: Zdev): void {
    const position = this.#zdevs.length;
    this.groups.push(new Group(position, zdev));
    this.bindings.push(new Binding(this, zdev));
    this.#zdevs.push(zdev);
    zdev.rowsOfFunction = { writeRows: (put) => this.#writeFunction(put, position) };
  }

  /** Key of its row in the saved state. */
  get key(): string {
    return `${this.partition.key}/kernel`;
  }

  get rows(): this {
    return this;
  }

  /** All but what has rows of its own. */
  writeRows(put: PutRow): void {
    put(this.key, this.#head());
  }

  #writeFunction(put: PutRow, position: number): void {
    const binding = this.bindings[position]!;
    const { zdev, device } = binding;
    put(`${this.key}/zdevs/${position}`, zdev.save());
    put(`${this.key}/bindings/${position}`, binding.save());
    put(`${this.key}/groups/${position}`, groupState(this.groups[position]!));
    put(`${this.key}/defaultDomains/${position}`, this.#defaultDomain(zdev));
    put(`${this.key}/devices/${zdev.facts.fid}`, device?.save());
  }

  protected override remember(): () => void {
    const [nextId, defaultDomains] = [this.#nextId, [...this.#defaultDomains]];
    const [events, dynamicIds, current] = [this.events.remember(), [...this.dynamicIds.save()], this.current];
    return () => {
      this.#nextId = nextId;
      this.#defaultDomains.clear();
      for (const [zdev, domain] of defaultDomains) this.#defaultDomains.set(zdev, domain);
      events();
      this.dynamicIds.restore(dynamicIds);
      this.current = current;
    };
  }

  /** The functions that the kernel knows, in the order of their discovery. */
  get zdevs(): readonly Zdev[] {
    return this.#zdevs;
  }

  /** The last address that page tables can translate; the functions of a guest have the same window. */
  get tableEnd(): bigint {
    return tableEnd(Math.max(0, ...this.#zdevs.map(({ facts }) => facts.endDma)));
  }

  /** The IOMMU group of a function. */
  group(zdev: Zdev): Group {
    return this.groups.find((group) => group.zdev === zdev)!;
  }

  /** The binding of a function. */
  binding(zdev: Zdev): Binding {
    return this.bindings.find((binding) => binding.zdev === zdev)!;
  }

  /** The vfio-pci device of a function, undefined if no vfio driver holds it. */
  device(zdev: Zdev): VfioDevice | undefined {
    return this.binding(zdev).device;
  }

  /** The device, if descriptors for it are still handed out. */
  openableDevice(zdev: Zdev): VfioDevice | undefined {
    const { device, removing } = this.binding(zdev);
    return removing ? undefined : device;
  }

  /** A descriptor of a device was closed. */
  deviceClosed(device: VfioDevice): void {
    this.binding(device.zdev).closed();
  }

  /** Does what is due by the machine's clock: a removal that waits asks for its device again. */
  tick(): void {
    for (const binding of this.bindings) binding.tick();
  }

  /** When {@linkcode tick} next has something to do; undefined if never. Microseconds since 1900. */
  get nextTick(): number | undefined {
    const times = this.bindings.map(({ nextRequest }) => nextRequest).filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Forgets an iommufd to which neither a descriptor nor a bound device nor a group refers. */
  releaseIommufd(iommufd: Iommufd): void {
    if (!iommufd.isUnused) return;
    if (this.groups.some((group) => group.iommufd === iommufd)) return;
    iommufd.dispose();
    this.iommufds.delete(iommufd.id);
  }

  /** Open files of all processes; one that several descriptors share comes several times. */
  *files(): Generator<OpenFile> {
    for (const process of this.processes) for (const [, file] of process.files()) yield file;
  }

  /** A number for a new kernel object. */
  newId(): number {
    this.touch();
    return this.#nextId++;
  }

  /** A new eventfd. */
  newEventFd(): EventFd {
    const eventfd = this.#makeEventFd(this.newId());
    this.#eventfds.set(eventfd.id, eventfd);
    return eventfd;
  }

  #makeEventFd(id: number): EventFd {
    return new EventFd(id, {
      journal: this.journal,
      write: (put, eventfd) => {
        if (this.#eventfds.get(id) === eventfd) put(`${this.key}/eventfds/${id}`, eventfd.save());
      },
      closed: () => this.eventFdLost(),
    });
  }

  /** The eventfd with an id of a saved state. */
  eventFd(id: number): EventFd {
    const eventfd = this.#eventfds.get(id);
    if (eventfd === undefined) throw new Error(`Eventfd ${id} is not there`);
    return eventfd;
  }

  /** A new IOMMU domain, with the key of its row in the saved state. @throws {ErrnoError} ENOMEM */
  newDomain(key: string): IommuDomain {
    const domain = IommuDomain.create(this.partition, key);
    if (domain === undefined) {
      throw coreError(
        "ENOMEM",
        "vfio.container.setiommu",
        "memory",
        "drivers/iommu/s390-iommu.c: s390_domain_alloc_paging",
        "No memory",
      );
    }
    return domain;
  }

  /** Errors of an open function are left to user space. */
  get userRecovery(): boolean {
    return this.rules.userRecovery && this.options.capabilityChain;
  }

  /** iommu_group_claim_dma_owner: user space is to have the function's DMA, so that the kernel's own domain goes. */
  claimDma(zdev: Zdev): void {
    zdev.attach(undefined);
  }

  /** iommu_group_release_dma_owner: back to the kernel's own domain, in which nothing is mapped. Cannot fail. */
  releaseDma(zdev: Zdev): void {
    const domain = this.#defaultDomains.get(zdev) ?? IommuDomain.create(this.partition);
    if (domain === undefined) return;
    this.touch();
    zdev.touch();
    this.#defaultDomains.set(zdev, domain);
    quietly(() => zdev.attach(domain));
  }

  /** The IOMMU domain that user space attached a function to; undefined while it has the kernel's own, or none. */
  userDomain(zdev: Zdev): IommuDomain | undefined {
    return zdev.domain === this.#defaultDomains.get(zdev) ? undefined : zdev.domain;
  }

  /**
   * Scans the interrupt bits, asks for the next interruption, and scans again for what came in between
   * (arch/s390/pci/pci_irq.c: zpci_floating_irq_handler).
   */
  adapterInterruption(isc: number): void {
    this.#scanInterrupts();
    this.partition.setInterruptionControls(SIC.SINGLE, isc);
    this.#scanInterrupts();
  }

  /** Summary bits, then the vector bits of each function; vectors are handed on. */
  #scanInterrupts(): void {
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
        this.device(zdev)?.interrupt(vector);
      }
    });
  }

  /** Error events. */
  errorEvent(event: ErrorEvent): void {
    this.events.error(event);
  }

  /** Availability events. */
  availabilityEvent(event: AvailabilityEvent): void {
    this.events.availability(event);
  }

  /** Lets go of a function whose driver is gone: disable, then SCLP deconfigure unless the machine took it already. */
  deconfigure(zdev: Zdev): void {
    zdev.attach(undefined);
    quietly(() => isEnabledHandle(zdev.fh) && zdev.disable());
    const entry = listEntries(this.partition).find(({ fid }) => fid === zdev.facts.fid);
    if (entry?.configured === true) sclp(this.partition, SCLP.DECONFIGURE, zdev.facts.fid);
    zdev.state = entry === undefined ? "reserved" : "standby";
  }

  /**
   * State for the host file, in which other processes than ism's own must have ended: they live on nowhere. A copy takes
   * along what real programs have open.
   */
  save({ withPrograms = false } = {}): RunningState {
    if (!withPrograms) this.dropUnusedEventFds();
    const { interruptPage, nextId, dynamicIds, events } = this.#head(withPrograms);
    const eventfds = new Set([
      ...withPrograms ? wiredEventFds(this.#devices()) : [],
      ...this.#eventfds.values(),
    ]);
    return {
      zdevs: this.#zdevs.map((zdev) => zdev.save()),
      interruptPage,
      nextId,
      eventfds: [...eventfds].sort((a, b) => a.id - b.id).map((eventfd) => eventfd.save()),
      containers: [...this.containers.values()].map((container) => container.save()),
      iommufds: [...this.iommufds.values()].map((iommufd) => iommufd.save()),
      bindings: this.bindings.map((binding) => binding.save()),
      dynamicIds,
      groups: this.groups.map(groupState),
      devices: this.#devices().map((device) => device.save()),
      defaultDomains: this.#zdevs.map((zdev) => this.#defaultDomain(zdev)),
      events,
      files: [...this.process.files()].map(([fd, file]) => saveFile(fd, file)),
      ...(withPrograms ? { programs: openInPrograms(this.foreign) } : {}),
    };
  }

  /** What belongs to none of its parts. */
  #head(withPrograms = false): Pick<KernelState, "interruptPage" | "nextId" | "dynamicIds" | "events"> {
    if (this.processes.size > 1 && !withPrograms) {
      throw new Error("A kernel with other processes than ism's own cannot be saved");
    }
    return {
      interruptPage: this.#interruptPage,
      nextId: this.#nextId,
      dynamicIds: this.dynamicIds.save(),
      events: this.events.save(),
    };
  }

  #defaultDomain(zdev: Zdev): DefaultDomainState {
    const domain = this.#defaultDomains.get(zdev);
    return { origin: domain?.origin ?? null, attached: domain !== undefined && zdev.domain === domain };
  }

  /** In a copy: real programs are no more, and what they had open is closed as it is when they are killed. */
  endPrograms(): void {
    const left = this.#left;
    this.#left = [];
    this.#mayDrop = true;
    for (const file of left) file.drop();
  }

  #restore(state: RunningState): void {
    this.#nextId = state.nextId;
    this.#mayDrop = true;
    for (const { id, count } of state.eventfds) {
      const eventfd = this.#makeEventFd(id);
      eventfd.count = BigInt(count);
      this.#eventfds.set(id, eventfd);
    }
    for (const container of state.containers) {
      this.containers.set(container.id, Container.restore(this, container));
    }
    for (const iommufd of state.iommufds) this.iommufds.set(iommufd.id, Iommufd.restore(this, iommufd));
    this.dynamicIds.restore(state.dynamicIds);
    const open = new Set(state.devices.filter(({ openCount }) => openCount > 0).map(({ fid }) => fid));
    state.bindings.forEach((binding, i) =>
      this.bindings[i]!.restore(binding, open.has(this.#zdevs[i]!.facts.fid))
    );
    this.events.restore(state.events);
    state.defaultDomains.forEach(({ origin, attached }, i) => {
      if (origin === null) return;
      const domain = IommuDomain.restore(this.partition, { origin, mappings: [] });
      this.#defaultDomains.set(this.#zdevs[i]!, domain);
      if (attached) domain.adopt(this.#zdevs[i]!);
    });
    state.groups.forEach((id, i) => {
      if (id === null) return;
      const group = this.groups[i]!;
      group.iommufd = this.iommufds.get(id);
      const container = this.containers.get(id);
      if (container === undefined) return;
      group.container = container;
      container.groups.add(group);
      container.domain?.adopt(group.zdev);
    });
    for (const device of state.devices) this.deviceOf(device.fid).restore(device);
    for (const file of state.files) {
      const restored = restoredFile(this, file);
      restored.flags = file.flags;
      this.process.restoreFile(file.fd, restored, file.position);
    }
    this.#left = (state.programs ?? []).map((file) => {
      const restored = restoredFile(this, file);
      restored.hold();
      return restored;
    });
  }

  #devices(): VfioDevice[] {
    return this.bindings.map(({ device }) => device).filter((device) => device !== undefined);
  }

  /** The vfio device of a function id. */
  deviceOf(fid: number): VfioDevice {
    const device = this.#devices().find(({ zdev }) => zdev.facts.fid === fid);
    if (device === undefined) throw new Error(`No vfio device has function id ${fid}`);
    return device;
  }

  /** An eventfd may have lost the last thing that refers to it. */
  eventFdLost(): void {
    this.#mayDrop = true;
  }

  /** An eventfd lives as long as a descriptor or interrupt wiring refers to it. */
  dropUnusedEventFds(): void {
    if (!this.#mayDrop) return;
    this.#mayDrop = false;
    const used = new Set<EventFd | undefined>();
    for (const [, file] of this.process.files()) if (file instanceof EventFdFile) used.add(file.context);
    for (const { msi, req, err } of this.#devices()) {
      used.add(req).add(err);
      msi?.forEach((eventfd) => used.add(eventfd));
    }
    for (const [id, eventfd] of this.#eventfds) if (!used.has(eventfd)) this.#eventfds.delete(id);
  }
}

/** The id of a group's container or iommufd. */
function groupState({ container, iommufd }: Group): number | null {
  return container?.id ?? iommufd?.id ?? null;
}
