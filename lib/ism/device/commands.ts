/**
 * The command engine of BAR 2: each row is a command of zPCI sheet 7.3, its rules those of sections 7, 9, 10 and 13.
 */
import type { FieldRow, StructValue } from "../../base/struct.ts";
import { PAGE_SIZE, pageRound } from "../../zpci/storage.ts";
import { PEC } from "../../zpci/dma.ts";
import {
  type CommandLayout,
  type CommandName,
  commandName,
  COMMANDS,
  DMB,
  EVENT_CODE,
  EVENT_TYPE,
  HEADER_BYTES,
  IEQ,
  IEQ_HEADER,
  REQUEST_HEADER,
  RESPONSE_HEADER,
  RET,
  SBA,
  VLAN,
} from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import { postEvent } from "./notify.ts";

/** Longest command, and so the bytes of BAR 2 that mean something (zPCI sheet 13, point 24). */
export const COMMAND_AREA_BYTES = 4096;

/** A handler's answer: the return code, and on success the response's fields. */
type Answer<Layout> = Layout extends CommandLayout<infer _Request, infer Response>
  ? readonly [ret: number, fields?: Partial<StructValue<Response>>]
  : never;
type RequestOf<Layout> = Layout extends CommandLayout<infer Request, infer _Response> ? StructValue<Request>
  : never;
type Handlers = {
  readonly [Name in CommandName]: (
    adapter: IsmAdapter,
    request: RequestOf<(typeof COMMANDS)[Name]>,
  ) => Answer<(typeof COMMANDS)[Name]>;
};

const HANDLERS: Handlers = {
  REG_SBA(adapter, { sba }) {
    if (adapter.sba !== undefined) return [RET.WRONG_STATE];
    if (!isAligned(sba)) return [RET.BAD_ADDRESS];
    if (!reachable(adapter, Number(sba), SBA.BYTES)) return [RET.BAD_ADDRESS];
    adapter.sba = Number(sba);
    return [RET.OK];
  },
  REG_IEQ(adapter, { ieq, length }) {
    if (adapter.ieq !== undefined) return [RET.WRONG_STATE];
    if (!isAligned(ieq) || length !== IEQ.BYTES) return [RET.BAD_ADDRESS];
    const address = Number(ieq);
    if (!reachable(adapter, address, IEQ.BYTES)) return [RET.BAD_ADDRESS];
    adapter.ieq = address;
    adapter.ieqSlot = 0;
    adapter.fn.dma.write(
      address,
      IEQ_HEADER.encode({ idx: 0, ieqLength: IEQ.BYTES, entryLength: IEQ.ENTRY_BYTES }),
    );
    return [RET.OK];
  },
  READ_GID: (adapter) => [RET.OK, { gid: adapter.gid }],
  ADD_VLAN_ID(adapter, { vlanId }) {
    if (vlanId === VLAN.V2_PROBE) {
      if (adapter.options.version < 2) return [RET.BAD_VLAN];
    } else if (vlanId < 1 || vlanId > VLAN.MAX_ID) return [RET.BAD_VLAN];
    if (!adapter.vlans.has(vlanId) && adapter.vlans.size >= VLAN.COUNT) return [RET.NO_RESOURCES];
    adapter.vlans.add(vlanId);
    return [RET.OK];
  },
  DEL_VLAN_ID: (adapter, { vlanId }) => [adapter.vlans.delete(vlanId) ? RET.OK : RET.BAD_VLAN],
  SET_VLAN(adapter) {
    adapter.vlanRequired = true;
    return [RET.OK];
  },
  RESET_VLAN(adapter) {
    adapter.vlanRequired = false;
    return [RET.OK];
  },
  QUERY_INFO(adapter) {
    const vlanIds = new Uint8Array(VLAN.COUNT * 2);
    [...adapter.vlans].forEach((id, i) => new DataView(vlanIds.buffer).setUint16(i * 2, id));
    return [RET.OK, {
      version: adapter.options.version,
      maxLength: COMMAND_AREA_BYTES,
      ismState: 0,
      gid: adapter.gid,
      sba: adapter.sba ?? 0,
      ieq: adapter.ieq ?? 0,
      ieqLength: adapter.ieq === undefined ? 0 : IEQ.BYTES,
      dmbsOwned: adapter.dmbs.size,
      dmbsUsed: adapter.fabric.writableBy(adapter.gid).length,
      vlanRequired: adapter.vlanRequired ? 1 : 0,
      vlanCount: adapter.vlans.size,
      vlanIds,
    }];
  },
  QUERY_RGID(adapter, { rgid, vlanValid, vlanId }) {
    const peer = adapter.fabric.byGid(rgid);
    if (peer === undefined || !peer.reachable) return [RET.UNKNOWN_GID];
    const vlan = checkVlan(adapter, vlanValid, vlanId);
    if (vlan !== RET.OK) return [vlan];
    return [vlanValid !== 0 && !peer.vlans.has(vlanId) ? RET.BAD_VLAN : RET.OK];
  },
  REG_DMB(adapter, { dmb, length, sbaIndex, vlanValid, vlanId, rgid }) {
    if (adapter.sba === undefined) return [RET.WRONG_STATE];
    if (sbaIndex >= SBA.INDICES || adapter.dmbs.has(sbaIndex)) return [RET.BAD_INDEX];
    if (length < DMB.UNIT || length > DMB.MAX || length % DMB.UNIT !== 0 || !isAligned(dmb)) {
      return [RET.BAD_ADDRESS];
    }
    const address = Number(dmb);
    if (address % DMB.BOUNDARY + length > DMB.BOUNDARY) return [RET.BAD_ADDRESS];
    const vlan = checkVlan(adapter, vlanValid, vlanId);
    if (vlan !== RET.OK) return [vlan];
    if (!reachable(adapter, address, length)) return [RET.BAD_ADDRESS];
    const token = adapter.fabric.takeToken();
    if (token === 0) return [RET.NO_RESOURCES];
    adapter.addDmb({
      owner: adapter,
      token,
      iova: address,
      length,
      sbaIndex,
      vlanId: vlanValid === 0 ? undefined : vlanId,
      rgid,
    });
    return [RET.OK, { token }];
  },
  UNREG_DMB(adapter, { token }) {
    const dmb = adapter.fabric.dmbByToken(token);
    if (dmb === undefined || dmb.owner !== adapter) return [RET.UNKNOWN_TOKEN];
    adapter.removeDmb(dmb);
    const writer = adapter.fabric.byGid(dmb.rgid);
    if (writer !== undefined) {
      const event = { type: EVENT_TYPE.BUFFER, code: EVENT_CODE.UNREGISTERED, tok: BigInt(token), info: 0n };
      postEvent(writer, event, true);
    }
    return [RET.OK];
  },
  SIGNAL_IEQ(adapter, { rgid, triggerIrq, eventCode, info }) {
    const peer = adapter.fabric.byGid(rgid);
    if (peer === undefined || !peer.reachable) return [RET.UNKNOWN_GID];
    postEvent(peer, { type: EVENT_TYPE.SOFTWARE, code: eventCode, tok: adapter.gid, info }, triggerIrq !== 0);
    return [RET.OK];
  },
  UNREG_SBA(adapter) {
    if (adapter.sba === undefined || adapter.dmbs.size > 0) return [RET.WRONG_STATE];
    adapter.sba = undefined;
    return [RET.OK];
  },
  UNREG_IEQ(adapter) {
    if (adapter.ieq === undefined) return [RET.WRONG_STATE];
    adapter.ieq = undefined;
    return [RET.OK];
  },
};

/** Page aligned; asked of all 64 bits, because the number that follows from them may be rounded. */
function isAligned(address: bigint): boolean {
  return address % BigInt(PAGE_SIZE) === 0n;
}

/** A VLAN tag is needed when the function requires one, and must name a VLAN the function is in. */
function checkVlan(adapter: IsmAdapter, vlanValid: number, vlanId: number): number {
  if (vlanValid === 0) return adapter.vlanRequired ? RET.BAD_VLAN : RET.OK;
  return adapter.vlans.has(vlanId) ? RET.OK : RET.BAD_VLAN;
}

/**
 * The device looks at the translations of a buffer that is being registered. An address that leads nowhere is an
 * error event and the error state, as seen on real machines when a token was taken for an address (zPCI sheet 7.1).
 */
function reachable(adapter: IsmAdapter, iova: number, length: number): boolean {
  const { fn } = adapter;
  for (let at = 0; at < pageRound(length); at += PAGE_SIZE) {
    if (fn.dma.reaches(iova + at, Math.min(PAGE_SIZE, length - at))) continue;
    fn.fail(PEC.OUT_OF_RANGE, iova + at, true);
    return false;
  }
  return true;
}

/** Runs the command whose header and payload lie in the command area; the response takes their place. */
export function executeCommand(adapter: IsmAdapter): void {
  const area = adapter.commandArea;
  const { code, length } = REQUEST_HEADER.decode(area);
  const name = commandName(code);
  if (name === undefined) return respond(adapter, code, RET.UNKNOWN_COMMAND);
  const layout: CommandLayout = COMMANDS[name];
  if (length !== layout.request.size) return respond(adapter, code, RET.BAD_LENGTH, name);
  const handler = HANDLERS[name] as (
    adapter: IsmAdapter,
    request: StructValue<Record<string, FieldRow>>,
  ) => readonly [number, Partial<StructValue<Record<string, FieldRow>>>?];
  const [ret, fields = {}] = handler(adapter, layout.request.decode(area));
  // A function that the command put into the error state answers nothing.
  if (!adapter.reachable) return;
  if (ret !== RET.OK) return respond(adapter, code, ret, name);
  const response = layout.response.encode(fields);
  RESPONSE_HEADER.encode({ code, ret, length: response.length }, response);
  area.set(response);
  adapter.trace("command", () => ({ command: name, ret }));
}

/** A failed command answers with a bare header. */
function respond(adapter: IsmAdapter, code: number, ret: number, name = "unknown"): void {
  RESPONSE_HEADER.encode({ code, ret, length: HEADER_BYTES }, adapter.commandArea);
  adapter.trace("command", () => ({ command: name, code, ret }));
}
