/**
 * Commands that register SBA and IEQ, and those that tell what the function is. Facts: docs/reference/ism/commands.md
 * and ism/signals.md.
 */
import { IEQ, IEQ_HEADER, RET, SBA, VLAN } from "../protocol.ts";
import { type Handlers, isPageAligned, isReachable } from "./command_handlers.ts";

/** Handlers by command. */
export const SETUP_COMMANDS: Handlers<
  "REG_SBA" | "UNREG_SBA" | "REG_IEQ" | "UNREG_IEQ" | "READ_GID" | "QUERY_INFO"
> = {
  REG_SBA(adapter, { sba }) {
    if (adapter.sba !== undefined) return [RET.WRONG_STATE];
    if (!isPageAligned(sba)) return [RET.BAD_ADDRESS];
    const address = Number(sba);
    if (!isReachable(adapter, address, SBA.BYTES)) return [RET.BAD_ADDRESS];
    adapter.sba = address;
    return [RET.OK];
  },
  UNREG_SBA(adapter) {
    if (adapter.sba === undefined) return [RET.WRONG_STATE];
    if (adapter.options.unregSbaWithDmbs === "refuse" && adapter.dmbs.size > 0) return [RET.WRONG_STATE];
    adapter.sba = undefined;
    return [RET.OK];
  },
  REG_IEQ(adapter, { ieq, length }) {
    if (adapter.ieq !== undefined) return [RET.WRONG_STATE];
    if (!isPageAligned(ieq) || length !== IEQ.BYTES) return [RET.BAD_ADDRESS];
    const address = Number(ieq);
    if (!isReachable(adapter, address, IEQ.BYTES)) return [RET.BAD_ADDRESS];
    adapter.ieq = address;
    adapter.ieqSlot = 0;
    adapter.ieqUnread = 0;
    adapter.fn.dma.write(
      address,
      IEQ_HEADER.encode({ idx: 0, ieqLength: IEQ.BYTES, entryLength: IEQ.ENTRY_BYTES }),
    );
    return [RET.OK];
  },
  UNREG_IEQ(adapter) {
    if (adapter.ieq === undefined) return [RET.WRONG_STATE];
    adapter.ieq = undefined;
    return [RET.OK];
  },
  READ_GID: (adapter) => [RET.OK, { gid: adapter.gid }],
  QUERY_INFO(adapter) {
    const { version, maxLength, ismState } = adapter.options;
    const vlanIds = new Uint8Array(VLAN.COUNT * 2);
    [...adapter.vlans].forEach((id, i) => new DataView(vlanIds.buffer).setUint16(i * 2, id));
    return [RET.OK, {
      version,
      maxLength,
      ismState,
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
};
