/**
 * The Linux of one guest, as far as VFIO goes: functions found at boot, drivers, device nodes, interrupts, and
 * processes. Facts: vfio.bind.*, vfio.node.names and zpci.irq.deliver.
 */
import { Kept, KeptMap, type PutRow } from "../base/journal.ts";
import type { Processor } from "../zpci/instruction.ts";
import {
  type AvailabilityEvent,
  type ErrorEvent,
  type Partition,
  type PartitionKernel,
  SIC,
} from "../zpci/partition.ts";
import { PAGE_SIZE } from "../zpci/storage.ts";
import { Binding } from "./binding.ts";
import type { VfioDevice } from "./device.ts";
import { DynamicIds } from "./dynamic_ids.ts";
import { Group } from "./group.ts";
import type { Container } from "./iommu/container.ts";
import { DefaultDomains } from "./iommu/default_domains.ts";
import type { Iommufd } from "./iommu/iommufd.ts";
import type { KernelOptions } from "./kernel_options.ts";
import {
  groupState,
  type KernelHead,
  type KernelState,
  restoreParts,
  type RunningState,
  saveParts,
} from "./kernel_state.ts";
import { LockPlan } from "./lock_plan.ts";
import type { Caller } from "./process/caller.ts";
import { DescriptorTable, MAX_FDS } from "./process/descriptors.ts";
import { EventFds } from "./process/eventfds.ts";
import type { OpenFile } from "./process/file.ts";
import type { ForeignFiles } from "./process/foreign_files.ts";
import { Process } from "./process/process.ts";
import { restoredFile, saveFile } from "./process/saved_files.ts";
import { type ReleaseRules, rulesOf } from "./release.ts";
import { tableEnd } from "./s390/aperture.ts";
import { EventWorker } from "./s390/event_worker.ts";
import { type InterruptBits, InterruptPage, PCI_ISC } from "./s390/interrupt_page.ts";
import { listEntries } from "./s390/pci_clp.ts";
import { Zdev } from "./s390/zdev.ts";

export { DEFAULT_KERNEL_OPTIONS, type KernelOptions } from "./kernel_options.ts";

/** Summary bits fit one doubleword: aisbo has 6 bits. */
const MAX_FUNCTIONS = 64;

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
  readonly eventfds: EventFds;
  readonly #interrupts: InterruptPage;
  /** Handles the machine's reports. */
  readonly events = new EventWorker(this);
  /** The kernel's own IOMMU domains, which a function uses while user space does not have its DMA. */
  readonly defaultDomains: DefaultDomains;
  #nextId = 1;

  private constructor(partition: Partition, options: KernelOptions, interruptPage: number) {
    super(partition.journal);
    const put =
      <Of extends { writeRows(put: PutRow): void }>(list: string) => (put: PutRow, id: number, value?: Of) =>
        value === undefined ? put(`${this.key}/${list}/${id}`, undefined) : value.writeRows(put);
    this.containers = new KeptMap(this.journal, put<Container>("containers"));
    this.iommufds = new KeptMap(this.journal, put<Iommufd>("iommufds"));
    this.eventfds = new EventFds(this.journal, () => `${this.key}/eventfds`);
    this.defaultDomains = new DefaultDomains(partition, () => this.touch());
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
    this.#interrupts = new InterruptPage(partition.storage, interruptPage);
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
      kernel.defaultDomains.release(binding.zdev);
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
      kernel.#add(
        Zdev.restore(
          processor,
          zdev,
          kernel.#nextBits(),
          options.busyRetryLimit,
        ),
      );
    }
    kernel.#restore(state);
    return kernel;
  }

  /** Interrupt bits of the next function. */
  #nextBits(): InterruptBits {
    return this.#interrupts.bitsOf(this.#zdevs.length);
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
    put(`${this.key}/defaultDomains/${position}`, this.defaultDomains.save(zdev));
    put(`${this.key}/devices/${zdev.facts.fid}`, device?.save());
  }

  protected override remember(): () => void {
    const [nextId, defaultDomains] = [this.#nextId, this.defaultDomains.remember()];
    const [events, dynamicIds, current] = [this.events.remember(), [...this.dynamicIds.save()], this.current];
    return () => {
      this.#nextId = nextId;
      defaultDomains();
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

  /** Errors of an open function are left to user space. */
  get userRecovery(): boolean {
    return this.rules.userRecovery && this.options.capabilityChain;
  }

  /**
   * Scans the interrupt bits, asks for the next interruption, and scans again for what came in between
   * (arch/s390/pci/pci_irq.c: zpci_floating_irq_handler).
   */
  adapterInterruption(isc: number): void {
    const handOn = (zdev: Zdev, vector: number) => this.device(zdev)?.interrupt(vector);
    this.#interrupts.take(this.#zdevs, handOn);
    this.partition.setInterruptionControls(SIC.SINGLE, isc);
    this.#interrupts.take(this.#zdevs, handOn);
  }

  /** Error events. */
  errorEvent(event: ErrorEvent): void {
    this.events.error(event);
  }

  /** Availability events. */
  availabilityEvent(event: AvailabilityEvent): void {
    this.events.availability(event);
  }

  /**
   * State for the host file, in which other processes than ism's own must have ended: they live on nowhere. A copy takes
   * along what real programs have open.
   */
  save({ withPrograms = false } = {}): RunningState {
    if (!withPrograms) this.eventfds.dropUnused(this);
    return saveParts(this, this.#head(withPrograms), withPrograms);
  }

  /** What belongs to none of its parts. */
  #head(withPrograms = false): KernelHead {
    if (this.processes.size > 1 && !withPrograms) {
      throw new Error("A kernel with other processes than ism's own cannot be saved");
    }
    return {
      interruptPage: this.#interrupts.address,
      nextId: this.#nextId,
      dynamicIds: this.dynamicIds.save(),
      events: this.events.save(),
    };
  }

  /** In a copy: real programs are no more, and what they had open is closed as it is when they are killed. */
  endPrograms(): void {
    const left = this.#left;
    this.#left = [];
    this.eventfds.mayBeUnused();
    for (const file of left) file.drop();
  }

  #restore(state: RunningState): void {
    this.#nextId = state.nextId;
    restoreParts(this, state);
    this.#left = (state.programs ?? []).map((file) => {
      const restored = restoredFile(this, file);
      restored.hold();
      return restored;
    });
  }

  /** The vfio devices of all functions that a vfio driver holds. */
  get devices(): VfioDevice[] {
    return this.bindings.map(({ device }) => device).filter((device) => device !== undefined);
  }

  /** The vfio device of a function id. */
  deviceOf(fid: number): VfioDevice {
    const device = this.devices.find(({ zdev }) => zdev.facts.fid === fid);
    if (device === undefined) throw new Error(`No vfio device has function id ${fid}`);
    return device;
  }
}
