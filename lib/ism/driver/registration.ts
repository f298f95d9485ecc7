/**
 * Making a function ready for DMBs and events, and taking that back, in the order of the kernel's own driver.
 * Facts: ism.driver.start and ism.vlan.version, V2 detection (drivers/s390/net/ism_drv.c: ism_dev_init, ism_dev_exit).
 */
import type { SystemCalls } from "../../vfio/process/process.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { IEQ, SBA, VLAN } from "../protocol.ts";
import { type CommandChannel } from "./command_channel.ts";
import { CommandError } from "./errors.ts";
import { unlessClosed, type VfioDescriptor } from "./descriptor.ts";

/** Memory of the process that is mapped for the device. Bytes. */
export interface MappedMemory {
  readonly iova: number;
  readonly vaddr: number;
  readonly size: number;
}

/** What the driver needs for signals: registered pages, the eventfd, and its place in the IEQ. */
export interface Registrations {
  readonly sba: MappedMemory;
  readonly ieq: MappedMemory;
  readonly eventfd: number;
  readonly gid: string;
  /** The device took the reserved VLAN id: it is ISM V2. */
  readonly isV2: boolean;
  /** Last IEQ slot handled, -1 before the first. */
  readonly lastSlot: number;
}

/** What registering works with. */
export interface Means {
  readonly sys: SystemCalls;
  readonly descriptor: VfioDescriptor;
  readonly channel: CommandChannel;
  /** Allocates and maps memory. Bytes. */
  allocate(size: number): MappedMemory;
  release(memory: MappedMemory): void;
}

/** Region index of config space, COMMAND register, and the bits that the driver sets. */
const CONFIG = 7;
const COMMAND = 4;
const MEMORY = 2;
const BUS_MASTER = 4;

/**
 * Memory decode and bus master on, MSI, REG_SBA, REG_IEQ, QUERY_INFO, READ_GID, then ADD_VLAN_ID of the reserved id,
 * by which SMC finds out the version.
 *
 * @throws {ErrnoError} @throws {CommandError}; on a failure what was set up is taken down again
 */
export function register({ sys, descriptor, channel, allocate, release }: Means): Registrations {
  switchOn(descriptor);
  const undo: (() => void)[] = [];
  try {
    const eventfd = sys.eventfd();
    undo.push(() => sys.close(eventfd));
    descriptor.enableMsi(eventfd);
    undo.push(() => descriptor.disableMsi());
    const sba = allocate(SBA.BYTES);
    undo.unshift(() => release(sba));
    channel.send("REG_SBA", { sba: BigInt(sba.iova) });
    undo.push(() => channel.unregister("UNREG_SBA", {}));
    const ieq = allocate(PAGE_SIZE);
    undo.unshift(() => release(ieq));
    channel.send("REG_IEQ", { ieq: BigInt(ieq.iova), length: IEQ.BYTES });
    undo.push(() => channel.unregister("UNREG_IEQ", {}));
    // The kernel's driver only logs the answer.
    succeeds(() => channel.send("QUERY_INFO", {}));
    const { gid } = channel.send("READ_GID", {});
    const isV2 = succeeds(() => channel.send("ADD_VLAN_ID", { vlanId: VLAN.V2_PROBE }));
    return { sba, ieq, eventfd, gid: `0x${gid.toString(16)}`, isV2, lastSlot: -1 };
  } catch (error) {
    // Pages go last: the device may use them until it is told not to.
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/**
 * As {@linkcode register}, after a reset: pages, mappings and MSI are still there, what the device knew of them is not.
 *
 * @throws {ErrnoError} @throws {CommandError}
 */
export function registerAgain({ sys, descriptor, channel }: Means, registered: Registrations): Registrations {
  const { sba, ieq } = registered;
  switchOn(descriptor);
  // What was signalled before the reset is of no use any more.
  sys.memory(sba.vaddr, SBA.BYTES, true).fill(0);
  sys.memory(ieq.vaddr, IEQ.BYTES, true).fill(0);
  channel.send("REG_SBA", { sba: BigInt(sba.iova) });
  channel.send("REG_IEQ", { ieq: BigInt(ieq.iova), length: IEQ.BYTES });
  const isV2 = registered.isV2 && succeeds(() => channel.send("ADD_VLAN_ID", { vlanId: VLAN.V2_PROBE }));
  return { ...registered, isV2, lastSlot: -1 };
}

/** Memory decode and bus master: DMA needs the latter, which is off after open (vfio.config.command). */
function switchOn(descriptor: VfioDescriptor): void {
  setCommandBits(descriptor, MEMORY);
  setCommandBits(descriptor, BUS_MASTER);
}

/** Tells the device that nothing is registered any more; no answer counts as done. */
export function unregister(channel: CommandChannel, { isV2 }: Registrations): void {
  if (isV2) channel.unregister("DEL_VLAN_ID", { vlanId: VLAN.V2_PROBE });
  channel.unregister("UNREG_IEQ", {});
  channel.unregister("UNREG_SBA", {});
}

/** Interrupts off, then the pages back: the device does not use them any more. */
export function giveBack({ sys, descriptor, release }: Means, registered: Registrations): void {
  unlessClosed(() => descriptor.disableMsi());
  unlessClosed(() => sys.close(registered.eventfd));
  release(registered.sba);
  release(registered.ieq);
}

/** False if the device answered a return code. @throws {ErrnoError} */
function succeeds(command: () => unknown): boolean {
  try {
    command();
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

/** Sets bits of COMMAND that are not set. */
function setCommandBits(descriptor: VfioDescriptor, bits: number): void {
  const command = new Uint8Array(2);
  descriptor.read(CONFIG, COMMAND, 2, command);
  if ((command[0]! & bits) === bits) return;
  command[0] = command[0]! | bits;
  descriptor.write(CONFIG, COMMAND, command);
}
