/**
 * One ISM function: what stands behind the platform's device boundary. BAR 0 is in data_path.ts, the commands of
 * BAR 2 in commands.ts, SBA and IEQ in notify.ts; here is the state they share. Facts: zPCI sheet sections 6 to 10.
 */
import type { TraceValue } from "../../base/trace.ts";
import type { ConfigRegisters } from "../../zpci/config_registers.ts";
import { MODEL, type PciFunctionModel, type ZpciFunction } from "../../zpci/function.ts";
import { STATUS } from "../../zpci/answer.ts";
import { COMMAND_BAR, DATA_BAR, EVENT_CODE, EVENT_TYPE, HEADER_BYTES, IEQ, SBA } from "../protocol.ts";
import { COMMAND_AREA_BYTES, executeCommand } from "./commands.ts";
import { ismConfigRegisters } from "./config_image.ts";
import { storeData } from "./data_path.ts";
import type { Dmb, DmbState } from "./dmb.ts";
import type { IsmFabric } from "./fabric.ts";
import { postEvent } from "./notify.ts";
import type { IsmOptions } from "./options.ts";

/** Changing part of an adapter, for the host file. */
export interface AdapterState {
  readonly commandArea: string;
  readonly sba: number | null;
  readonly ieq: number | null;
  readonly ieqSlot: number;
  readonly vlanRequired: boolean;
  readonly vlans: readonly number[];
  readonly dmbs: readonly DmbState[];
}

/** An ISM function on a fabric. */
export class IsmAdapter implements PciFunctionModel {
  readonly fn: ZpciFunction;
  readonly fabric: IsmFabric;
  readonly gid: bigint;
  readonly options: IsmOptions;
  readonly config: ConfigRegisters;
  /** Request and response of the command channel share these bytes (zPCI sheet 7.1). */
  readonly commandArea = new Uint8Array(COMMAND_AREA_BYTES);
  /** DMA addresses of the registered SBA and IEQ. */
  sba: number | undefined = undefined;
  ieq: number | undefined = undefined;
  /** IEQ slot that the next event goes to. */
  ieqSlot = 0;
  vlanRequired = false;
  readonly vlans = new Set<number>();
  /** Registered DMBs by SBA index. */
  readonly dmbs = new Map<number, Dmb>();

  constructor(fn: ZpciFunction, fabric: IsmFabric, gid: bigint, options: IsmOptions) {
    this.fn = fn;
    this.fabric = fabric;
    this.gid = gid;
    this.options = options;
    this.config = ismConfigRegisters(fn.identity.barExponents, fn.identity.barFlags);
    fn.dma.enforceBusMaster = options.busMaster === "enforced";
    fn.attach(this);
    fabric.adapters.push(this);
  }

  /** True while a trace is taken. */
  get tracing(): boolean {
    return this.fn.partition.tracer.sink !== undefined;
  }

  /** Records a device event; `args` is only called while a trace is taken. */
  trace(op: string, args: () => Record<string, TraceValue>): void {
    if (!this.tracing) return;
    this.fn.partition.tracer.point({ layer: "device", op, fid: this.fn.identity.fid, args: args() });
  }

  /** The function is enabled and works: peers can reach it. */
  get reachable(): boolean {
    return this.fn.state === "enabled";
  }

  load(space: number, offset: number, length: number, into: Uint8Array, at: number): number {
    if (space === DATA_BAR) {
      if (this.options.bar0Loads === "refuse") return STATUS.INVALID_SPACE;
      into.fill(0, at, at + length);
      return MODEL.OK;
    }
    for (let i = 0; i < length; i++) into[at + i] = this.commandArea[offset + i] ?? 0;
    return MODEL.OK;
  }

  store(space: number, offset: number, length: number, from: Uint8Array, at: number): number {
    if (space !== COMMAND_BAR || this.options.bar2Stores === "refuse") return STATUS.INVALID_SPACE;
    return this.#storeCommand(offset, from.subarray(at, at + length), length);
  }

  storeBlock(space: number, offset: number, source: Uint8Array, length: number): number {
    return space === DATA_BAR
      ? storeData(this, offset, source, length)
      : this.#storeCommand(offset, source, length);
  }

  /** A store that covers all of the header starts the command; any other only leaves its bytes. */
  #storeCommand(offset: number, source: Uint8Array, length: number): number {
    for (let i = 0; i < length && offset + i < COMMAND_AREA_BYTES; i++) {
      this.commandArea[offset + i] = source[i]!;
    }
    if (offset === 0 && length >= HEADER_BYTES) executeCommand(this);
    return MODEL.OK;
  }

  usesDma(iova: number, length: number): boolean {
    const within = (start: number | undefined, size: number) =>
      start !== undefined && start < iova + length && iova < start + size;
    if (within(this.sba, SBA.BYTES) || within(this.ieq, IEQ.BYTES)) return true;
    for (const dmb of this.dmbs.values()) if (within(dmb.iova, dmb.length)) return true;
    return false;
  }

  /** Everything registered is gone; peers that share a DMB are told (zPCI sheet 13, points 17 and 18). */
  reset(cause: "disable" | "error"): void {
    const peers = new Set<IsmAdapter>();
    for (const dmb of [...this.dmbs.values()]) {
      this.removeDmb(dmb);
      const writer = this.fabric.byGid(dmb.rgid);
      if (writer === undefined || writer === this) continue;
      peers.add(writer);
      const code = cause === "error" ? EVENT_CODE.OWNER_ERROR : EVENT_CODE.UNREGISTERED;
      postEvent(writer, { type: EVENT_TYPE.BUFFER, code, tok: BigInt(dmb.token), info: 0n }, true);
    }
    for (const dmb of this.fabric.writableBy(this.gid)) {
      peers.add(dmb.owner);
      const code = cause === "error" ? EVENT_CODE.USER_ERROR : EVENT_CODE.USER_DISABLED;
      postEvent(dmb.owner, { type: EVENT_TYPE.BUFFER, code, tok: BigInt(dmb.token), info: 0n }, true);
    }
    this.sba = undefined;
    this.ieq = undefined;
    this.ieqSlot = 0;
    this.vlanRequired = false;
    this.vlans.clear();
    this.commandArea.fill(0);
    const code = cause === "error" ? EVENT_CODE.GID_ERROR : EVENT_CODE.GID_DISABLED;
    for (const peer of peers) {
      postEvent(peer, { type: EVENT_TYPE.DEVICE, code, tok: this.gid, info: 0n }, true);
    }
    this.trace("reset", () => ({ cause }));
  }

  addDmb(dmb: Dmb): void {
    this.dmbs.set(dmb.sbaIndex, dmb);
    this.fabric.addDmb(dmb);
  }

  removeDmb(dmb: Dmb): void {
    this.dmbs.delete(dmb.sbaIndex);
    this.fabric.removeDmb(dmb);
  }

  save(): AdapterState {
    return {
      commandArea: this.commandArea.toHex().replace(/(00)+$/, ""),
      sba: this.sba ?? null,
      ieq: this.ieq ?? null,
      ieqSlot: this.ieqSlot,
      vlanRequired: this.vlanRequired,
      vlans: [...this.vlans],
      dmbs: [...this.dmbs.values()].map(({ token, iova, length, sbaIndex, vlanId, rgid }) => ({
        token,
        iova,
        length,
        sbaIndex,
        vlanId: vlanId ?? null,
        rgid: `0x${rgid.toString(16)}`,
      })),
    };
  }

  restore(state: AdapterState): void {
    this.commandArea.set(Uint8Array.fromHex(state.commandArea));
    this.sba = state.sba ?? undefined;
    this.ieq = state.ieq ?? undefined;
    this.ieqSlot = state.ieqSlot;
    this.vlanRequired = state.vlanRequired;
    state.vlans.forEach((id) => this.vlans.add(id));
    for (const { vlanId, rgid, ...dmb } of state.dmbs) {
      this.addDmb({ ...dmb, owner: this, vlanId: vlanId ?? undefined, rgid: BigInt(rgid) });
    }
  }
}
