/** VLAN membership and the commands that change it. Facts: ism.vlan.ids and ism.vlan.required. */
import { RET, VLAN } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { Handlers } from "./command_handlers.ts";
import { tellVlanLeft } from "./peer_events.ts";

/** Handlers by command. */
export const VLAN_COMMANDS: Handlers<"ADD_VLAN_ID" | "DEL_VLAN_ID" | "SET_VLAN" | "RESET_VLAN"> = {
  ADD_VLAN_ID(adapter, { vlanId }) {
    if (vlanId === VLAN.V2_PROBE) {
      if (adapter.options.version < 2) return [RET.BAD_VLAN];
    } else if (vlanId < 1 || vlanId > VLAN.MAX_ID) return [RET.BAD_VLAN];
    if (!adapter.vlans.has(vlanId) && adapter.vlans.size >= VLAN.COUNT) return [RET.NO_RESOURCES];
    adapter.vlans.add(vlanId);
    return [RET.OK];
  },
  DEL_VLAN_ID(adapter, { vlanId }) {
    if (!adapter.vlans.delete(vlanId)) return [RET.BAD_VLAN];
    tellVlanLeft(adapter, vlanId);
    return [RET.OK];
  },
  SET_VLAN(adapter) {
    adapter.vlanRequired = true;
    return [RET.OK];
  },
  RESET_VLAN(adapter) {
    adapter.vlanRequired = false;
    return [RET.OK];
  },
};

/** A VLAN tag is needed when the function requires one, and must name a VLAN the function is in. */
export function checkVlan(adapter: IsmAdapter, vlanValid: number, vlanId: number): number {
  if (vlanValid !== 0) return adapter.vlans.has(vlanId) ? RET.OK : RET.BAD_VLAN;
  return adapter.vlanRequired && adapter.options.vlanRequired === "enforced" ? RET.BAD_VLAN : RET.OK;
}
