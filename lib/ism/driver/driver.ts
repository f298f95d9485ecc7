/**
 * A user-space ISM driver: what a process does with one function from open to close. It knows the device only
 * through its descriptor. Facts: docs/reference/ism/drivers.md, ism/data.md, ism/signals.md and ism/adapter.md.
 */
import { pageRound } from "../../zpci/storage.ts";
import { IRQ } from "../../vfio/uapi.ts";
import { unlessClosed } from "./descriptor.ts";
import { type DmbRequest, moveDmbs, registerDmb, unregisterDmb } from "./dmbs.ts";
import { DriverError } from "./errors.ts";
import { DriverHoldings } from "./holdings.ts";
import { type InterruptWalk, takeEvents, walk } from "./interrupt_walk.ts";
import { takeCount } from "./listener.ts";
import {
  drainErrors,
  type ErrorBlock,
  lostBy,
  lostError,
  type Recovery,
  resetUntilDone,
} from "./recovery.ts";
import {
  giveBack,
  type MappedMemory,
  register,
  registerAgain,
  type Registrations,
  unregister,
} from "./registration.ts";
import type { DriverEvent } from "./signals.ts";
import { storeBlocks, type StoreBlocksOptions } from "./store_blocks.ts";
import type { DriverDmb } from "./tables.ts";

/** The driver of one function. */
export class IsmDriver extends DriverHoldings {
  /**
   * Makes the function ready for DMBs and events, as {@linkcode register} says, and listens to errors before DMA starts
   * where the kernel tells of them. Does nothing if that was done.
   *
   * @throws {ErrnoError} @throws {CommandError}; on a failure what was set up is taken down again
   */
  start(): void {
    if (this.registrations !== undefined) return;
    const { descriptor } = this;
    this.touch();
    const listens = this.errors.eventfd !== null;
    if (!listens && descriptor.offersIrq(IRQ.ERR)) this.errors.listen(descriptor);
    try {
      this.registrations = register(this.means());
    } catch (error) {
      if (!listens) unlessClosed(() => this.errors.leave(descriptor));
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
    return this.requests.take(this.descriptor);
  }

  /**
   * How often the kernel told of an error since the last call (IRQ index ERR); the first call installs the eventfd.
   *
   * @throws {ErrnoError} EINVAL before Linux 7.3
   */
  takeErrorInterrupts(): number {
    return this.errors.take(this.descriptor);
  }

  /** Error blocks that wait, taken out. @throws {ErrnoError} */
  takeErrors(): ErrorBlock[] {
    return drainErrors(this.sys, this.descriptor);
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
      throw lostError(lost);
    }
    const resets = resetUntilDone(this.descriptor, pause);
    this.touch();
    if (this.registrations !== undefined) {
      this.registrations = registerAgain(this.means(), this.registrations);
    }
    for (const id of this.vlanIds) this.channel.send("ADD_VLAN_ID", { vlanId: id });
    return { blocks, resets, dmbs: moveDmbs(this.means(), this.dmbList) };
  }

  /** The function's own GID. */
  readGid(): bigint {
    return this.channel.send("READ_GID", {}).gid;
  }

  /**
   * Allocates, maps and registers a DMB that one GID may write, after {@linkcode start} if that is still to do.
   *
   * @throws {CommandError} what the device refuses with @throws {DriverError} no index is free, or the token is none
   * @throws {ErrnoError} from mapping the memory; on any failure the memory is freed again
   */
  registerDmb(request: DmbRequest): DriverDmb {
    this.start();
    this.touch();
    return registerDmb(this.means(), this.dmbList, request);
  }

  /** Unregisters a DMB and frees its memory. @throws {DriverError} @throws {CommandError} */
  unregisterDmb(token: number): void {
    const dmb = this.dmb(token);
    this.touch();
    unregisterDmb(this.means(), this.dmbList, dmb);
  }

  /** The driver's own view of a DMB. @throws {DriverError} */
  dmb(token: number): DriverDmb {
    const dmb = this.dmbList.withToken(token);
    if (dmb === undefined) throw new DriverError(`This driver has no DMB with token 0x${token.toString(16)}`);
    return dmb;
  }

  /** Reads mapped memory as the driver's own loads would: `length` bytes at `offset` of `memory`. */
  view(memory: MappedMemory, offset: number, length: number, write = false): Uint8Array {
    return this.sys.memory(memory.vaddr + offset, length, write);
  }

  /** {@linkcode storeBlocks} to a DMB of a peer. @returns store blocks issued @throws {ErrnoError} */
  move(token: number, offset: number, data: Uint8Array, how?: StoreBlocksOptions): number {
    return storeBlocks(this.descriptor, token, offset, data, how);
  }

  /** Sends a software event to a peer. @throws {CommandError} */
  signal(rgid: bigint, code: number, info: bigint, trigger = true): void {
    this.channel.send("SIGNAL_IEQ", { rgid, triggerIrq: trigger ? 1 : 0, eventCode: code, info });
  }

  /** Adds or removes a VLAN id. @throws {CommandError} */
  setVlan(id: number, member: boolean): void {
    this.channel.send(member ? "ADD_VLAN_ID" : "DEL_VLAN_ID", { vlanId: id });
    this.touch();
    if (member) this.vlanIds.add(id);
    else this.vlanIds.delete(id);
  }

  /**
   * The interrupt handler: takes the eventfd's count, then walks through SBA and IEQ as {@linkcode walk} does.
   *
   * @param only SBA indices to handle; other DMBs' signals and all events stay for a later walk
   */
  handleInterrupt(only?: ReadonlySet<number>): InterruptWalk {
    const registered = this.#registered;
    return this.#walk(registered, takeCount(this.sys, registered.eventfd), only);
  }

  /** As {@linkcode handleInterrupt}, but only if an interrupt came: what was set without one stays for the next walk. */
  handleNextInterrupt(): InterruptWalk | undefined {
    const registered = this.#registered;
    const interrupts = takeCount(this.sys, registered.eventfd);
    return interrupts === 0 ? undefined : this.#walk(registered, interrupts, undefined);
  }

  #walk(
    registered: Registrations,
    interrupts: number,
    only: ReadonlySet<number> | undefined,
  ): InterruptWalk {
    const { dmbs, events, lastSlot } = walk(this.sys, registered, this.dmbList, only);
    this.#handledTo(registered, lastSlot);
    return { interrupts, dmbs, events };
  }

  /** Events that wait in the IEQ, taken out whether an interrupt came or not. */
  takeEvents(): DriverEvent[] {
    const registered = this.#registered;
    const { events, lastSlot } = takeEvents(this.sys, registered);
    this.#handledTo(registered, lastSlot);
    return events;
  }

  #handledTo(registered: Registrations, lastSlot: number): void {
    if (lastSlot === registered.lastSlot) return;
    this.touch();
    this.registrations = { ...registered, lastSlot };
  }

  /** SBA and IEQ. @throws {DriverError} if there are none yet */
  get #registered(): Registrations {
    if (this.registrations === undefined) throw new DriverError("The driver has no SBA and IEQ registered");
    return this.registrations;
  }

  /** Allocates memory and maps it where the caller or the driver chooses. Bytes. @throws {ErrnoError} */
  mapMemory(size: number, iova?: number): MappedMemory {
    const memory = this.mapped.allocate(pageRound(size), iova);
    this.touch();
    this.memoryList.add(memory);
    return memory;
  }

  /** Unmaps a range; memory whose mapping is gone is freed. @returns bytes unmapped @throws {ErrnoError} */
  unmapMemory(iova: number, size: number): number {
    const unmapped = this.descriptor.unmapDma(iova, size);
    this.touch();
    for (const each of this.memoryList.within(iova, size)) {
      this.mapped.free(each);
      this.memoryList.delete(each);
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
    if (!this.isOpen) return;
    const { descriptor } = this;
    this.touch();
    this.mapped.forgetAddresses();
    for (const dmb of this.dmbs) {
      this.channel.unregister("UNREG_DMB", { token: dmb.token });
      this.dmbList.delete(dmb);
      this.mapped.release(dmb);
    }
    if (this.registrations !== undefined) unregister(this.channel, this.registrations);
    this.#forget();
    for (const memory of this.memoryList.all) {
      this.memoryList.delete(memory);
      this.mapped.release(memory);
    }
    this.requests.close();
    this.errors.close();
    descriptor.close();
    this.forgetDescriptor();
    this.vlanIds.clear();
  }

  /** Frees the memory of everything that was registered; the device does not hold it any more. */
  #forget(): void {
    this.touch();
    for (const dmb of this.dmbList.all) {
      // First: what cannot be unmapped is not released twice.
      this.dmbList.delete(dmb);
      this.mapped.release(dmb);
    }
    this.vlanIds.clear();
    const registered = this.registrations;
    if (registered === undefined) return;
    this.registrations = undefined;
    giveBack(this.means(), registered);
  }
}
