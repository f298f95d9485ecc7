/** What a driver holds of a function: descriptor, registrations, DMBs, memory, VLANs, eventfds; and how it is kept. */
import { Kept, type PutRow, refill } from "../../base/journal.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import { IRQ } from "../../vfio/uapi.ts";
import { CommandChannel } from "./command_channel.ts";
import { VfioDescriptor } from "./descriptor.ts";
import { type DriverPlace, type DriverState, NEW_DRIVER } from "./driver_state.ts";
import { DriverError } from "./errors.ts";
import { Listener } from "./listener.ts";
import { DriverMemory } from "./memory.ts";
import type { MappedMemory, Means, Registrations } from "./registration.ts";
import { DmbList, type DriverDmb, MemoryList } from "./tables.ts";
import type { WayIn } from "./ways_in.ts";

/** The part of a driver that a host file holds. */
export abstract class DriverHoldings extends Kept {
  protected readonly sys: SystemCalls;
  readonly address: string;
  #descriptor: VfioDescriptor | undefined = undefined;
  #channel: CommandChannel | undefined = undefined;
  #registrations: Registrations | undefined = undefined;
  readonly #key: string;
  protected readonly dmbList: DmbList;
  protected readonly memoryList: MemoryList;
  protected readonly vlanIds = new Set<number>();
  protected readonly requests: Listener;
  protected readonly errors: Listener;
  protected readonly mapped: DriverMemory;

  /** `address` is the PCI address of the function. */
  constructor(
    sys: SystemCalls,
    address: string,
    { journal, key }: DriverPlace,
    state: DriverState = NEW_DRIVER,
  ) {
    super(journal);
    this.#key = key;
    this.sys = sys;
    this.address = address;
    if (state.descriptor !== null) this.#adopt(new VfioDescriptor(sys, state.descriptor));
    this.#registrations = state.registrations ?? undefined;
    const reverted = () => this.mapped.forgetAddresses();
    this.dmbList = new DmbList(journal, `${key}/dmbs`, () => state.dmbs, reverted);
    this.memoryList = new MemoryList(journal, `${key}/memory`, () => state.memory, reverted);
    for (const id of state.vlans) this.vlanIds.add(id);
    this.mapped = new DriverMemory(sys, () => this.descriptor, () => this.#used());
    const touch = () => this.touch();
    this.requests = new Listener(sys, IRQ.REQ, state.requests, touch);
    this.errors = new Listener(sys, IRQ.ERR, state.errorEvents, touch);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put(this.#key, { ...this.#head(), dmbs: this.dmbList.size, memory: this.memoryList.size });
  }

  protected override remember(): () => void {
    const [descriptor, channel, registrations] = [this.#descriptor, this.#channel, this.#registrations];
    const [vlans, requests, errors] = [[...this.vlanIds], this.requests.eventfd, this.errors.eventfd];
    return () => {
      if (registrations?.sba !== this.#registrations?.sba) this.mapped.forgetAddresses();
      this.#descriptor = descriptor;
      this.#channel = channel;
      this.#registrations = registrations;
      refill(this.vlanIds, vlans);
      this.requests.eventfd = requests;
      this.errors.eventfd = errors;
    };
  }

  get isOpen(): boolean {
    return this.#descriptor !== undefined;
  }

  /** SBA and IEQ are registered. */
  get isStarted(): boolean {
    return this.#registrations !== undefined;
  }

  /** The descriptor, opened if it is not open yet. @throws {ErrnoError} @throws {DriverError} */
  get descriptor(): VfioDescriptor {
    return this.#descriptor ?? this.open("group");
  }

  /** Opens the function by one of the two ways in. @throws {ErrnoError} @throws {DriverError} if it is open already */
  open(way: WayIn): VfioDescriptor {
    if (this.#descriptor !== undefined) throw new DriverError("The function is open already; close it first");
    const descriptor = VfioDescriptor.open(this.sys, this.address, way);
    this.#adopt(descriptor);
    return descriptor;
  }

  /** The command channel of the open descriptor. */
  get channel(): CommandChannel {
    void this.descriptor;
    return this.#channel!;
  }

  /** Registered DMBs by rising index. */
  get dmbs(): readonly DriverDmb[] {
    return this.dmbList.byIndex;
  }

  /** Memory mapped by hand, in the order in which it was mapped. */
  get memory(): readonly MappedMemory[] {
    return this.memoryList.all;
  }

  /** VLAN ids that this driver added. */
  get vlans(): readonly number[] {
    return [...this.vlanIds];
  }

  /** SBA and IEQ memory, or undefined before they are registered. */
  get registrations(): Registrations | undefined {
    return this.#registrations;
  }

  protected set registrations(registrations: Registrations | undefined) {
    this.#registrations = registrations;
  }

  #adopt(descriptor: VfioDescriptor): void {
    this.touch();
    this.#descriptor = descriptor;
    this.#channel = new CommandChannel(descriptor);
  }

  /** Lets go of a descriptor that was closed. */
  protected forgetDescriptor(): void {
    this.#descriptor = undefined;
    this.#channel = undefined;
  }

  save(): DriverState {
    return { ...this.#head(), dmbs: this.dmbList.all, memory: this.memoryList.all };
  }

  /** All but the lists that have rows of their own. */
  #head(): Omit<DriverState, "dmbs" | "memory"> {
    return {
      descriptor: this.#descriptor?.save() ?? null,
      registrations: this.#registrations ?? null,
      vlans: this.vlans,
      requests: this.requests.eventfd,
      errorEvents: this.errors.eventfd,
    };
  }

  /** What registering needs. */
  protected means(): Means {
    return {
      sys: this.sys,
      descriptor: this.descriptor,
      channel: this.channel,
      allocate: (size) => this.mapped.allocate(size),
      release: (memory) => this.mapped.release(memory),
    };
  }

  *#used(): Generator<MappedMemory> {
    yield* this.dmbList.all;
    yield* this.memoryList.all;
    if (this.#registrations === undefined) return;
    yield this.#registrations.sba;
    yield this.#registrations.ieq;
  }
}
