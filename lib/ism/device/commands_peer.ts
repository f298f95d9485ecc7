/**
 * Commands that name a remote GID: is it there, and tell it something. Facts: docs/reference/ism/commands.md,
 * ism/signals.md and ism/adapter.md.
 */
import { EVENT_TYPE, RET } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { Handlers } from "./command_handlers.ts";
import { checkVlan } from "./commands_vlan.ts";
import { postEvent } from "./notify.ts";

/** Handlers by command. */
export const PEER_COMMANDS: Handlers<"QUERY_RGID" | "SIGNAL_IEQ"> = {
  QUERY_RGID(adapter, { rgid, vlanValid, vlanId }) {
    const peer = reachablePeer(adapter, rgid);
    if (peer === undefined) return [RET.UNKNOWN_GID];
    const vlan = checkVlan(adapter, vlanValid, vlanId);
    if (vlan !== RET.OK) return [vlan];
    return [vlanValid !== 0 && !peer.vlans.has(vlanId) ? RET.BAD_VLAN : RET.OK];
  },
  SIGNAL_IEQ(adapter, { rgid, triggerIrq, eventCode, info }) {
    const peer = reachablePeer(adapter, rgid);
    if (peer === undefined) return [RET.UNKNOWN_GID];
    const trigger = triggerIrq !== 0 || adapter.options.untriggeredEvents === "notify";
    postEvent(peer, { type: EVENT_TYPE.SOFTWARE, code: eventCode, tok: adapter.gid, info }, trigger);
    return [RET.OK];
  },
};

/** The function behind a GID, if it is up and this one may talk to it. */
function reachablePeer(adapter: IsmAdapter, gid: bigint): IsmAdapter | undefined {
  const peer = adapter.fabric.byGid(gid);
  return peer === undefined || !peer.reachable || peer === adapter.barred ? undefined : peer;
}
