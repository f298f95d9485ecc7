/** REG_DMB and UNREG_DMB. Facts: docs/reference/ism/commands.md, ism/signals.md and ism/adapter.md. */
import { DMB, RET, SBA } from "../protocol.ts";
import { type Handlers, isPageAligned, isReachable } from "./command_handlers.ts";
import { checkVlan } from "./commands_vlan.ts";
import { tellUnregistered } from "./peer_events.ts";

/** Handlers by command. */
export const DMB_COMMANDS: Handlers<"REG_DMB" | "UNREG_DMB"> = {
  REG_DMB(adapter, { dmb, length, sbaIndex, vlanValid, vlanId, rgid }) {
    const { options, fabric } = adapter;
    if (options.dmbNeedsSba && adapter.sba === undefined) return [RET.WRONG_STATE];
    if (sbaIndex >= SBA.INDICES || adapter.dmbs.has(sbaIndex)) return [RET.BAD_INDEX];
    if (length < DMB.UNIT || length > DMB.MAX || length % DMB.UNIT !== 0 || !isPageAligned(dmb)) {
      return [RET.BAD_ADDRESS];
    }
    const address = Number(dmb);
    if (address % DMB.BOUNDARY + length > DMB.BOUNDARY) return [RET.BAD_ADDRESS];
    const vlan = checkVlan(adapter, vlanValid, vlanId);
    if (vlan !== RET.OK) return [vlan];
    if (options.unknownWriter === "refuse" && fabric.byGid(rgid) === undefined) return [RET.UNKNOWN_GID];
    if (!isReachable(adapter, address, length)) return [RET.BAD_ADDRESS];
    const token = fabric.takeToken();
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
    tellUnregistered(dmb);
    return [RET.OK];
  },
};
