/**
 * A user-space ISM driver: what a process does with one function from open to close. It knows the device only
 * through its descriptor. Facts: docs/reference/ism/drivers.md, ism/data.md, ism/signals.md and ism/adapter.md.
 */
import { type Journal, Kept, type PutRow, refill } from "../../base/journal.ts";
import { PAGE_SIZE, pageRound } from "../../zpci/storage.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import { DATA_BAR, DATA_OFFSET, dataOffset, IEQ, NO_ANSWER, RET, SBA } from "../protocol.ts";
import { CommandChannel } from "./command_channel.ts";
import { CommandError, DriverError } from "./errors.ts";
import { type DescriptorState, unlessClosed, VfioDescriptor } from "./descriptor.ts";
import type { WayIn } from "./ways_in.ts";
import { DriverMemory } from "./memory.ts";
import {
  giveBack,
  type MappedMemory,
  type Means,
  register,
  registerAgain,
  type Registrations,
  unregister,
} from "./registration.ts";
import { Listener, takeCount } from "./listener.ts";
import {
  drainErrors,
  type ErrorBlock,
  lostBy,
  type MovedDmb,
  type Recovery,
  resetUntilDone,
} from "./recovery.ts";
import { DmbList, type DriverDmb, MemoryList } from "./tables.ts";
import { IRQ } from "../../vfio/uapi.ts";
import { type DmbSignal, type DriverEvent, takeEntries, takeEventBit, takeSignals } from "./signals.ts";

/** What one interrupt walk found. */
export interface InterruptWalk {
  /** Eventfd count: interrupts since the last walk. */
  readonly interrupts: number;
  /** Signalled DMBs by rising index; without a token if the driver has none with that index. */
  readonly dmbs: readonly (DmbSignal & { readonly token: number | undefined })[];
  readonly events: readonly DriverEvent[];
}

/** State of a driver, for the host file. */
export interface DriverState {
  readonly descriptor: DescriptorState | null;
  readonly registrations: Registrations | null;
  readonly dmbs: readonly DriverDmb[];
  /** Memory mapped by hand. */
  readonly memory: readonly MappedMemory[];
  readonly vlans: readonly number[];
  /** Eventfd with which the kernel asks for the device, null if the driver does not listen. */
  readonly requests: number | null;
  /** Eventfd with which the kernel tells of errors, null if the driver does not listen. */
  readonly errorEvents: number | null;
}

const NEW: DriverState = {
  descriptor: null,
  registrations: null,
  dmbs: [],
  memory: [],
  vlans: [],
  requests: null,
  errorEvents: null,
};

export type { DriverDmb } from "./tables.ts";

/** Where a driver's state goes. */
export interface DriverPlace {
  readonly journal: Journal;
  /** Key of its row in the saved state. */
  readonly key: string;
}

/** The driver of one function. */
export class IsmDriver extends Kept {
  readonly #sys: SystemCalls;
  readonly address: string;
  #descriptor: VfioDescriptor | undefined = undefined;
  #channel: CommandChannel | undefined = undefined;
  #registrations: Registrations | undefined = undefined;
  readonly #key: string;
  readonly #dmbs: DmbList;
  readonly #memory: MemoryList;
  readonly #vlans = new Set<number>();
  readonly #requests: Listener;
  readonly #errors: Listener;
  readonly #mapped: DriverMemory;

  /** `address` is the PCI address of the function. */
  constructor(sys: SystemCalls, address: string, { journal, key }: DriverPlace, state: DriverState = NEW) {
    super(journal);
    this.#key = key;
    this.#sys = sys;
    this.address = address;
    if (state.descriptor !== null) this.#adopt(new VfioDescriptor(sys, state.descriptor));
    this.#registrations = state.registrations ?? undefined;
    const reverted = () => this.#mapped.forgetAddresses();
    this.#dmbs = new DmbList(journal, `${key}/dmbs`, () => state.dmbs, reverted);
    this.#memory = new MemoryList(journal, `${key}/memory`, () => state.memory, reverted);
    for (const id of state.vlans) this.#vlans.add(id);
    this.#mapped = new DriverMemory(sys, () => this.descriptor, () => this.#used());
    const touch = () => this.touch();
    this.#requests = new Listener(sys, IRQ.REQ, state.requests, touch);
    this.#errors = new Listener(sys, IRQ.ERR, state.errorEvents, touch);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put(this.#key, { ...this.#head(), dmbs: this.#dmbs.size, memory: this.#memory.size });
  }

  protected override remember(): () => void {
    const [descriptor, channel, registrations] = [this.#descriptor, this.#channel, this.#registrations];
    const [vlans, requests, errors] = [[...this.#vlans], this.#requests.eventfd, this.#errors.eventfd];
    return () => {
      if (registrations?.sba !== this.#registrations?.sba) this.#mapped.forgetAddresses();
      this.#descriptor = descriptor;
      this.#channel = channel;
      this.#registrations = registrations;
      refill(this.#vlans, vlans);
      this.#requests.eventfd = requests;
      this.#errors.eventfd = errors;
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
    const descriptor = VfioDescriptor.open(this.#sys, this.address, way);
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
    return this.#dmbs.all.sort((a, b) => a.index - b.index);
  }

  /** Memory mapped by hand, in the order in which it was mapped. */
  get memory(): readonly MappedMemory[] {
    return this.#memory.all;
  }

  /** VLAN ids that this driver added. */
  get vlans(): readonly number[] {
    return [...this.#vlans];
  }

  /** SBA and IEQ memory, or undefined before {@linkcode start}. */
  get registrations(): Registrations | undefined {
    return this.#registrations;
  }

  #adopt(descriptor: VfioDescriptor): void {
    this.touch();
    this.#descriptor = descriptor;
    this.#channel = new CommandChannel(descriptor);
  }

  /**
   * Makes the function ready for DMBs and events, as {@linkcode register} says, and listens to errors before DMA starts
   * where the kernel tells of them. Does nothing if that was done.
   *
   * @throws {ErrnoError} @throws {CommandError}; on a failure what was set up is taken down again
   */
  start(): void {
    if (this.#registrations !== undefined) return;
    const { descriptor } = this;
    this.touch();
    const listens = this.#errors.eventfd !== null;
    if (!listens && descriptor.offersIrq(IRQ.ERR)) this.#errors.listen(descriptor);
    try {
      this.#registrations = register(this.#means());
    } catch (error) {
      if (!listens) unlessClosed(() => this.#errors.leave(descriptor));
      throw error;
    }
  }

  /**
   * How often the kernel asked for the device since the last call (IRQ index REQ). The first call installs the
   * eventfd: what was asked before it is not counted.
   *
   * @throws {ErrnoError}
   */
  takeRequests(): number {
    return this.#requests.take(this.descriptor);
  }

  /**
   * How often the kernel told of an error since the last call (IRQ index ERR); the first call installs the eventfd.
   *
   * @throws {ErrnoError} EINVAL before Linux 7.3
   */
  takeErrorInterrupts(): number {
    return this.#errors.take(this.descriptor);
  }

  /** Error blocks that wait, taken out. @throws {ErrnoError} */
  takeErrors(): ErrorBlock[] {
    return drainErrors(this.#sys, this.descriptor);
  }

  /**
   * Recovers from an error of the function: takes the error blocks, resets, and registers anew what was registered. The
   * memory of a DMB stays, its token is another one. A function that is lost is closed.
   *
   * @param pause what passes between two resets, while the kernel has its locks
   * @throws {ErrnoError} @throws {CommandError} @throws {DriverError} if the function is lost
   */
  recover(pause: () => void): Recovery {
    const blocks = this.takeErrors();
    const lost = lostBy(blocks);
    if (lost !== undefined) {
      this.close();
      throw new DriverError(
        `The function is lost: its error block says event 0x${lost.pec.toString(16)}. It was closed; ` +
          '"ism zpci deconfigure" and "ism zpci configure" may bring it back',
      );
    }
    const resets = resetUntilDone(this.descriptor, pause);
    this.touch();
    if (this.#registrations !== undefined) {
      this.#registrations = registerAgain(this.#means(), this.#registrations);
    }
    for (const id of this.#vlans) this.channel.send("ADD_VLAN_ID", { vlanId: id });
    return { blocks, resets, dmbs: this.#moveDmbs() };
  }

  /** Registers the DMBs anew: all of them have other tokens then, or none has. @throws {CommandError} */
  #moveDmbs(): MovedDmb[] {
    const moved = this.dmbs.map((dmb) => ({ ...dmb, token: this.#registerAt(dmb), from: dmb.token }));
    for (const { from: _, ...dmb } of moved) this.#dmbs.add(dmb);
    return moved.map(({ index, from, token }) => ({ index, from, to: token }));
  }

  /** The function's own GID. */
  readGid(): bigint {
    return this.channel.send("READ_GID", {}).gid;
  }

  /**
   * Allocates, maps and registers a DMB that one GID may write.
   *
   * @param size bytes, a multiple of 4096 from 4096 to 1 MiB
   * @throws {CommandError} what the device refuses with @throws {DriverError} no index is free, or the token is none
   * @throws {ErrnoError} from mapping the memory; on any failure the memory is freed again
   */
  registerDmb(
    { size, rgid, index, vlan }: { size: number; rgid: bigint; index?: number; vlan?: number },
  ): DriverDmb {
    this.start();
    const at = index ?? this.#freeIndex();
    this.touch();
    const memory = this.#mapped.allocate(size);
    try {
      const wanted = { ...memory, index: at, rgid: `0x${rgid.toString(16)}`, vlan: vlan ?? null };
      const dmb = { ...wanted, token: this.#registerAt(wanted, size) };
      this.#dmbs.add(dmb);
      return dmb;
    } catch (error) {
      this.#mapped.release(memory);
      throw error;
    }
  }

  /** REG_DMB of memory, all of it by default. Bytes. @returns the token @throws {CommandError} @throws {DriverError} */
  #registerAt({ iova, size, index, rgid, vlan }: Omit<DriverDmb, "token">, length = size): number {
    const { token } = this.channel.send("REG_DMB", {
      dmb: BigInt(iova),
      length,
      sbaIndex: index,
      vlanValid: vlan === null ? 0 : 1,
      vlanId: vlan ?? 0,
      rgid: BigInt(rgid),
    });
    // Nothing can be moved to a token that is no multiple of 2^28 inside BAR 0 (ism.token.format).
    if (token === 0 || token >= DATA_OFFSET.END || token % DATA_OFFSET.TOKEN_UNIT !== 0) {
      throw new DriverError(`REG_DMB answered the token 0x${token.toString(16)}, which is no place in BAR 0`);
    }
    return token;
  }

  /** Unregisters a DMB and frees its memory. @throws {DriverError} @throws {CommandError} */
  unregisterDmb(token: number): void {
    const dmb = this.dmb(token);
    this.touch();
    const ret = this.channel.unregister("UNREG_DMB", { token });
    if (ret !== RET.OK && ret !== NO_ANSWER) throw new CommandError("UNREG_DMB", ret);
    this.#dmbs.delete(dmb);
    this.#mapped.release(dmb);
  }

  /** The driver's own view of a DMB. @throws {DriverError} */
  dmb(token: number): DriverDmb {
    const dmb = this.#dmbs.withToken(token);
    if (dmb === undefined) throw new DriverError(`This driver has no DMB with token 0x${token.toString(16)}`);
    return dmb;
  }

  /** Reads mapped memory as the driver's own loads would: `length` bytes at `offset` of `memory`. */
  view(memory: MappedMemory, offset: number, length: number, write = false): Uint8Array {
    return this.#sys.memory(memory.vaddr + offset, length, write);
  }

  /**
   * Moves `length` bytes of `data` at `start` into a peer's DMB: one store block per 4 KiB line of the target,
   * the signal on the last one only. Nothing, not even a signal, for zero bytes (ism.data.chunks).
   *
   * @returns store blocks issued @throws {ErrnoError} stores before a refused one stay done
   */
  move(
    token: number,
    offset: number,
    data: Uint8Array,
    { idx = 0, signal = false, start = 0, length = data.length - start }: {
      idx?: number;
      signal?: boolean;
      start?: number;
      length?: number;
    } = {},
  ): number {
    const { descriptor } = this;
    const limit = descriptor.maxStoreBlock;
    let stores = 0;
    let done = 0;
    while (done < length) {
      const chunk = Math.min(length - done, PAGE_SIZE - (offset + done) % PAGE_SIZE, limit);
      const last = done + chunk === length;
      const target = dataOffset(token, idx, signal && last, offset + done);
      descriptor.write(DATA_BAR, target, data, start + done, chunk);
      done += chunk;
      stores++;
    }
    return stores;
  }

  /** Sends a software event to a peer. @throws {CommandError} */
  signal(rgid: bigint, code: number, info: bigint, trigger = true): void {
    this.channel.send("SIGNAL_IEQ", { rgid, triggerIrq: trigger ? 1 : 0, eventCode: code, info });
  }

  /** Adds or removes a VLAN id. @throws {CommandError} */
  setVlan(id: number, member: boolean): void {
    this.channel.send(member ? "ADD_VLAN_ID" : "DEL_VLAN_ID", { vlanId: id });
    this.touch();
    if (member) this.#vlans.add(id);
    else this.#vlans.delete(id);
  }

  /**
   * The interrupt handler: takes the eventfd's count, clears `s`, scans the DMB bits from index 32, takes the element
   * masks, then the events (ism.sba.walk). `s` is cleared before the scan, so no signal is lost.
   *
   * @param only SBA indices to handle; other DMBs' signals and all events stay for a later walk
   */
  handleInterrupt(only?: ReadonlySet<number>): InterruptWalk {
    const registered = this.#registrations;
    if (registered === undefined) throw new DriverError("The driver has no SBA and IEQ registered");
    return this.#walk(registered, takeCount(this.#sys, registered.eventfd), only);
  }

  /** As {@linkcode handleInterrupt}, but only if an interrupt came: what was set without one stays for the next walk. */
  handleNextInterrupt(): InterruptWalk | undefined {
    const registered = this.#registrations;
    if (registered === undefined) throw new DriverError("The driver has no SBA and IEQ registered");
    const interrupts = takeCount(this.#sys, registered.eventfd);
    return interrupts === 0 ? undefined : this.#walk(registered, interrupts, undefined);
  }

  #walk(
    registered: Registrations,
    interrupts: number,
    only: ReadonlySet<number> | undefined,
  ): InterruptWalk {
    const sba = this.#sys.memory(registered.sba.vaddr, SBA.BYTES, true);
    const dmbs = takeSignals(sba, only).map(({ index, mask }) => ({
      index,
      token: this.#dmbs.at(index)?.token,
      mask,
    }));
    const events = only === undefined && takeEventBit(sba) ? this.#takeEntries(registered) : [];
    return { interrupts, dmbs, events };
  }

  /** Events that wait in the IEQ, taken out whether an interrupt came or not. */
  takeEvents(): DriverEvent[] {
    const registered = this.#registrations;
    if (registered === undefined) throw new DriverError("The driver has no SBA and IEQ registered");
    takeEventBit(this.#sys.memory(registered.sba.vaddr, 1, true));
    return this.#takeEntries(registered);
  }

  #takeEntries(registered: Registrations): DriverEvent[] {
    const ieq = this.#sys.memory(registered.ieq.vaddr, IEQ.BYTES, false);
    const { events, last } = takeEntries(ieq, registered.lastSlot);
    if (last !== registered.lastSlot) {
      this.touch();
      this.#registrations = { ...registered, lastSlot: last };
    }
    return events;
  }

  /** Allocates memory and maps it where the caller or the driver chooses. Bytes. @throws {ErrnoError} */
  mapMemory(size: number, iova?: number): MappedMemory {
    const memory = this.#mapped.allocate(pageRound(size), iova);
    this.touch();
    this.#memory.add(memory);
    return memory;
  }

  /** Unmaps a range; memory whose mapping is gone is freed. @returns bytes unmapped @throws {ErrnoError} */
  unmapMemory(iova: number, size: number): number {
    const unmapped = this.descriptor.unmapDma(iova, size);
    this.touch();
    for (const each of this.#memory.within(iova, size)) {
      this.#mapped.free(each);
      this.#memory.delete(each);
    }
    return unmapped;
  }

  /** VFIO_DEVICE_RESET; what was registered with the device is gone, so its memory is given back. */
  reset(): void {
    this.descriptor.reset();
    this.#forget();
  }

  /** Unregisters what can be unregistered, in the order of the kernel's driver, and closes the descriptor. */
  close(): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.touch();
    this.#mapped.forgetAddresses();
    for (const dmb of this.dmbs) {
      this.channel.unregister("UNREG_DMB", { token: dmb.token });
      this.#dmbs.delete(dmb);
      this.#mapped.release(dmb);
    }
    if (this.#registrations !== undefined) unregister(this.channel, this.#registrations);
    this.#forget();
    for (const memory of this.#memory.all) {
      this.#memory.delete(memory);
      this.#mapped.release(memory);
    }
    this.#requests.close();
    this.#errors.close();
    descriptor.close();
    this.#descriptor = undefined;
    this.#channel = undefined;
    this.#vlans.clear();
  }

  save(): DriverState {
    return { ...this.#head(), dmbs: this.#dmbs.all, memory: this.#memory.all };
  }

  /** All but the lists that have rows of their own. */
  #head(): Omit<DriverState, "dmbs" | "memory"> {
    return {
      descriptor: this.#descriptor?.save() ?? null,
      registrations: this.#registrations ?? null,
      vlans: this.vlans,
      requests: this.#requests.eventfd,
      errorEvents: this.#errors.eventfd,
    };
  }

  /** Frees the memory of everything that was registered; the device does not hold it any more. */
  #forget(): void {
    this.touch();
    for (const dmb of this.#dmbs.all) {
      // First: what cannot be unmapped is not released twice.
      this.#dmbs.delete(dmb);
      this.#mapped.release(dmb);
    }
    this.#vlans.clear();
    const registered = this.#registrations;
    if (registered === undefined) return;
    this.#registrations = undefined;
    giveBack(this.#means(), registered);
  }

  #means(): Means {
    return {
      sys: this.#sys,
      descriptor: this.descriptor,
      channel: this.channel,
      allocate: (size) => this.#mapped.allocate(size),
      release: (memory) => this.#mapped.release(memory),
    };
  }

  /** The lowest free SBA index from 32 on (ism.sba.bits). @throws {DriverError} */
  #freeIndex(): number {
    const index = this.#dmbs.freeIndex();
    if (index !== undefined) return index;
    throw new DriverError("All 1888 usable DMB indices are taken");
  }

  *#used(): Generator<MappedMemory> {
    yield* this.#dmbs.all;
    yield* this.#memory.all;
    if (this.#registrations === undefined) return;
    yield this.#registrations.sba;
    yield this.#registrations.ieq;
  }
}
