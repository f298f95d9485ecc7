/**
 * What the other end of a shared DMB is told when something happens at this end. Facts: ism.event.types and
 * docs/fidelity.md (points 17 to 19). Each kind of news is a choice of the topology.
 */
import { EVENT_CODE, EVENT_TYPE } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { Dmb } from "./dmb.ts";
import { postEvent } from "./notify.ts";

/** Why a function lost everything that it had registered. */
export type ResetCause = "disable" | "error";

/** For each cause: who decides whether it is told, and the codes for writers, owners and GIDs. */
const FAREWELL = {
  disable: {
    option: "resetEvents",
    toWriter: EVENT_CODE.UNREGISTERED,
    toOwner: EVENT_CODE.USER_DISABLED,
    toPeer: EVENT_CODE.GID_DISABLED,
  },
  error: {
    option: "errorEvents",
    toWriter: EVENT_CODE.OWNER_ERROR,
    toOwner: EVENT_CODE.USER_ERROR,
    toPeer: EVENT_CODE.GID_ERROR,
  },
} as const;

function postBufferEvent(to: IsmAdapter, code: number, dmb: Dmb): void {
  postEvent(to, { type: EVENT_TYPE.BUFFER, code, tok: BigInt(dmb.token), info: 0n }, true);
}

/** The function that may write a DMB, if it is another one than the owner. */
function otherWriter({ owner, rgid }: Dmb): IsmAdapter | undefined {
  const writer = owner.fabric.byGid(rgid);
  return writer === owner ? undefined : writer;
}

/** A function is gone: one event for each DMB that it owned or could write, then one from its GID to each peer. */
export function tellReset(
  adapter: IsmAdapter,
  cause: ResetCause,
  owned: readonly Dmb[],
  writable: readonly Dmb[],
): void {
  const { option, toWriter, toOwner, toPeer } = FAREWELL[cause];
  if (adapter.options[option] === "none") return;
  const peers = new Set<IsmAdapter>();
  for (const dmb of owned) {
    const writer = otherWriter(dmb);
    if (writer === undefined) continue;
    peers.add(writer);
    postBufferEvent(writer, toWriter, dmb);
  }
  for (const dmb of writable) {
    peers.add(dmb.owner);
    postBufferEvent(dmb.owner, toOwner, dmb);
  }
  for (const peer of peers) {
    postEvent(peer, { type: EVENT_TYPE.DEVICE, code: toPeer, tok: adapter.gid, info: 0n }, true);
  }
}

/** A DMB was unregistered: its writer is told, also when that is the owner itself. */
export function tellUnregistered(dmb: Dmb): void {
  const { owner, rgid } = dmb;
  if (owner.options.unregisterEvents === "none") return;
  const writer = owner.fabric.byGid(rgid);
  if (writer !== undefined) postBufferEvent(writer, EVENT_CODE.UNREGISTERED, dmb);
}

/** A function left a VLAN: the writers of its DMBs with that tag are told, and the owners of those it writes. */
export function tellVlanLeft(adapter: IsmAdapter, vlanId: number): void {
  if (adapter.options.vlanEvents === "none") return;
  for (const dmb of adapter.sortedDmbs) {
    const writer = dmb.vlanId === vlanId ? otherWriter(dmb) : undefined;
    if (writer !== undefined) postBufferEvent(writer, EVENT_CODE.VLAN_MISMATCH_OWNER, dmb);
  }
  for (const dmb of adapter.fabric.writableBy(adapter.gid)) {
    if (dmb.vlanId !== vlanId || dmb.owner === adapter) continue;
    postBufferEvent(dmb.owner, EVENT_CODE.VLAN_MISMATCH_USER, dmb);
  }
}
