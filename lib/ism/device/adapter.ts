/**
 * One ISM function: what stands behind the platform's device boundary. BAR 0 is in data_path.ts, BAR 2 in
 * command_bar.ts and commands.ts, SBA and IEQ in notify.ts; here is the state they share. Facts:
 * docs/reference/ism.
 */
import { Kept, type PutRow, refill } from "../../base/journal.ts";
import type { DeviceEvent, TraceValue } from "../../base/trace.ts";
import type { ConfigRegisters } from "../../zpci/config_registers.ts";
import { MODEL, type PciFunctionModel, type ZpciFunction } from "../../zpci/function.ts";
import { STATUS } from "../../zpci/answer.ts";
import { COMMAND_BAR, DATA_BAR, IEQ, SBA } from "../protocol.ts";
import { CommandBar, type CommandBarState } from "./command_bar.ts";
import { ismConfigRegisters } from "./config_image.ts";
import { storeData } from "./data_path.ts";
import { type Dmb, type DmbState, DmbTable, saveDmb } from "./dmb.ts";
import type { IsmFabric } from "./fabric.ts";
import { ELEMENT_MASKS } from "./notify.ts";
import type { IsmOptions } from "./options.ts";
import { type ResetCause, tellReset } from "./peer_events.ts";

/** What a simulator can count and hardware does not show. A reset does not touch it. */
export interface AdapterStatistics {
  /** Events that found 15 others in the IEQ since the driver last cleared `e` (ism.ieq.overflow). */
  ieqOverflows: number;
  /** How often the IEQ came to 15 unread events, of which a driver that has handled others sees none. */
  ieqFull: number;
}

/** Changing part of an adapter, for the host file. */
export interface AdapterState {
  readonly commandBar: CommandBarState;
  readonly sba: number | null;
  readonly ieq: number | null;
  readonly ieqSlot: number;
  readonly ieqUnread: number;
  readonly vlanRequired: boolean;
  readonly vlans: readonly number[];
  readonly dmbs: readonly DmbState[];
  readonly statistics: Readonly<AdapterStatistics>;
}

/** An ISM function on a fabric. */
export class IsmAdapter extends Kept implements PciFunctionModel {
  readonly fn: ZpciFunction;
  readonly fabric: IsmFabric;
  readonly gid: bigint;
  readonly options: IsmOptions;
  readonly config: ConfigRegisters;
  readonly commandBar: CommandBar;
  /** Element masks by idx. */
  readonly elementMasks: readonly number[];
  /** The one function that this one may not talk to: itself, if the topology says so. */
  readonly barred: IsmAdapter | undefined;
  /** DMA addresses of the registered SBA and IEQ. */
  sba: number | undefined = undefined;
  ieq: number | undefined = undefined;
  /** IEQ slot that the next event goes to. */
  ieqSlot = 0;
  /** Events in the IEQ since the driver last cleared `e`, at most 15. */
  ieqUnread = 0;
  vlanRequired = false;
  readonly vlans = new Set<number>();
  readonly statistics: AdapterStatistics = { ieqOverflows: 0, ieqFull: 0 };
  readonly #dmbs: DmbTable;

  constructor(fn: ZpciFunction, fabric: IsmFabric, gid: bigint, options: IsmOptions) {
    super(fn.journal);
    this.fn = fn;
    this.fabric = fabric;
    this.gid = gid;
    this.options = options;
    this.config = ismConfigRegisters(fn.identity.barExponents, fn.identity.barFlags);
    this.#dmbs = new DmbTable(fabric, fn.journal, `adapter/${fn.identity.fid}/dmbs`);
    this.commandBar = new CommandBar(this);
    this.elementMasks = ELEMENT_MASKS[options.elementMask];
    this.barred = options.selfCommunication === "refuse" ? this : undefined;
    fn.dma.enforceBusMaster = options.busMaster === "enforced";
    fn.attach(this);
    fabric.adapters.push(this);
  }

  /** The bytes in which request and response of a command lie. */
  get commandArea(): Uint8Array {
    return this.commandBar.area;
  }

  /** True while a trace is taken. */
  get tracing(): boolean {
    return this.fn.partition.tracer.sink !== undefined;
  }

  /** Records a device event; `args` is only called while a trace is taken. */
  trace(op: DeviceEvent["op"], args: () => Record<string, TraceValue>): void {
    if (!this.tracing) return;
    const { name: guest, tracer } = this.fn.partition;
    tracer.point({ layer: "device", op, guest, fid: this.fn.identity.fid, args: args() });
  }

  /** The function is enabled and works: peers can reach it. */
  get reachable(): boolean {
    return this.fn.state === "enabled";
  }

  /** The function is in an error state: it answers nothing and everything registered is gone. */
  get failed(): boolean {
    return this.fn.state === "error" || this.fn.state === "permanent-error";
  }

  load(space: number, offset: number, length: number, into: Uint8Array, at: number): number {
    if (space === DATA_BAR) {
      if (this.options.bar0Loads === "refuse") return STATUS.INVALID_SPACE;
      into.fill(0, at, at + length);
      return MODEL.OK;
    }
    return this.commandBar.load(offset, length, into, at);
  }

  store(space: number, offset: number, length: number, from: Uint8Array, at: number): number {
    if (space !== COMMAND_BAR || this.options.bar2Stores === "refuse") return STATUS.INVALID_SPACE;
    return this.commandBar.store(offset, from.subarray(at, at + length), length);
  }

  storeBlock(space: number, offset: number, source: Uint8Array, length: number): number {
    return space === DATA_BAR
      ? storeData(this, offset, source, length)
      : this.commandBar.store(offset, source, length);
  }

  usesDma(iova: number, length: number): boolean {
    const within = (start: number | undefined, size: number) =>
      start !== undefined && start < iova + length && iova < start + size;
    if (within(this.sba, SBA.BYTES) || within(this.ieq, IEQ.BYTES)) return true;
    return this.#dmbs.uses(iova, length);
  }

  /** Everything registered is gone; peers that share a DMB are told (ism.reset.events and ism.error.events). */
  reset(cause: ResetCause): void {
    this.touch();
    const owned = this.sortedDmbs;
    for (const dmb of owned) this.removeDmb(dmb);
    this.sba = undefined;
    this.ieq = undefined;
    this.ieqSlot = 0;
    this.ieqUnread = 0;
    this.vlanRequired = false;
    this.vlans.clear();
    this.commandBar.reset();
    tellReset(this, cause, owned, this.fabric.writableBy(this.gid));
    this.trace("reset", () => ({ cause }));
  }

  /** Registered DMBs by SBA index. */
  get dmbs(): ReadonlyMap<number, Dmb> {
    return this.#dmbs.all;
  }

  /** Registered DMBs by rising SBA index. */
  get sortedDmbs(): Dmb[] {
    return [...this.#dmbs.all.values()].sort((a, b) => a.sbaIndex - b.sbaIndex);
  }

  addDmb(dmb: Dmb): void {
    this.touch();
    this.#dmbs.add(dmb);
  }

  removeDmb(dmb: Dmb): void {
    this.touch();
    this.#dmbs.remove(dmb);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put(`adapter/${this.fn.identity.fid}`, { ...this.#head(), dmbs: this.#dmbs.all.size });
  }

  protected override remember(): () => void {
    const { sba, ieq, ieqSlot, ieqUnread, vlanRequired } = this;
    const vlans = [...this.vlans];
    const statistics = { ...this.statistics };
    return () => {
      Object.assign(this, { sba, ieq, ieqSlot, ieqUnread, vlanRequired });
      refill(this.vlans, vlans);
      Object.assign(this.statistics, statistics);
    };
  }

  save(): AdapterState {
    return { ...this.#head(), dmbs: this.sortedDmbs.map(saveDmb) };
  }

  #head(): Omit<AdapterState, "dmbs"> {
    return {
      commandBar: this.commandBar.save(),
      sba: this.sba ?? null,
      ieq: this.ieq ?? null,
      ieqSlot: this.ieqSlot,
      ieqUnread: this.ieqUnread,
      vlanRequired: this.vlanRequired,
      vlans: [...this.vlans],
      statistics: { ...this.statistics },
    };
  }

  restore(state: AdapterState): void {
    this.commandBar.restore(state.commandBar);
    this.sba = state.sba ?? undefined;
    this.ieq = state.ieq ?? undefined;
    this.ieqSlot = state.ieqSlot;
    this.ieqUnread = state.ieqUnread;
    this.vlanRequired = state.vlanRequired;
    state.vlans.forEach((id) => this.vlans.add(id));
    this.#dmbs.loadLater(() =>
      state.dmbs.map(({ vlanId, rgid, ...dmb }) => ({
        ...dmb,
        owner: this,
        vlanId: vlanId ?? undefined,
        rgid: BigInt(rgid),
      }))
    );
    Object.assign(this.statistics, state.statistics);
  }
}
