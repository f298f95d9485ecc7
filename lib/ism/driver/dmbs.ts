/**
 * The life of a driver's DMBs: memory that is allocated, mapped and registered, registered anew after a reset,
 * unregistered and freed. Facts: docs/reference/ism/drivers.md and ism/signals.md.
 */
import { DATA_OFFSET, NO_ANSWER, RET } from "../protocol.ts";
import type { CommandChannel } from "./command_channel.ts";
import { CommandError, DriverError } from "./errors.ts";
import type { MovedDmb } from "./recovery.ts";
import type { Means } from "./registration.ts";
import type { DmbList, DriverDmb } from "./tables.ts";

/** What a DMB is to be. */
export interface DmbRequest {
  /** Bytes, a multiple of 4096 from 4096 to 1 MiB. */
  readonly size: number;
  /** The GID that may write. */
  readonly rgid: bigint;
  /** SBA index; the lowest free one if it is not said. */
  readonly index?: number;
  /** Only members of this VLAN may write. */
  readonly vlan?: number;
}

/**
 * Allocates, maps and registers a DMB.
 *
 * @throws {CommandError} what the device refuses with @throws {DriverError} no index is free, or the token is none
 * @throws {ErrnoError} from mapping the memory; on any failure the memory is freed again
 */
export function registerDmb(means: Means, dmbs: DmbList, { size, rgid, index, vlan }: DmbRequest): DriverDmb {
  const at = index ?? freeIndex(dmbs);
  const memory = means.allocate(size);
  try {
    const wanted = { ...memory, index: at, rgid: `0x${rgid.toString(16)}`, vlan: vlan ?? null };
    const dmb = { ...wanted, token: registerAt(means.channel, wanted, size) };
    dmbs.add(dmb);
    return dmb;
  } catch (error) {
    means.release(memory);
    throw error;
  }
}

/** REG_DMB of memory, all of it by default. Bytes. @returns the token @throws {CommandError} @throws {DriverError} */
function registerAt(
  channel: CommandChannel,
  { iova, size, index, rgid, vlan }: Omit<DriverDmb, "token">,
  length = size,
): number {
  const { token } = channel.send("REG_DMB", {
    dmb: BigInt(iova),
    length,
    sbaIndex: index,
    vlanValid: vlan === null ? 0 : 1,
    vlanId: vlan ?? 0,
    rgid: BigInt(rgid),
  });
  // Nothing can be moved to a token that is no multiple of 2^28 inside BAR 0 (ism.token.format).
  if (token === 0 || token >= DATA_OFFSET.END || token % DATA_OFFSET.TOKEN_UNIT !== 0) {
    throw new DriverError(`REG_DMB answered the token 0x${token.toString(16)}, which is no place in BAR 0`);
  }
  return token;
}

/** The lowest free SBA index from 32 on (ism.sba.bits). @throws {DriverError} */
function freeIndex(dmbs: DmbList): number {
  const index = dmbs.freeIndex();
  if (index !== undefined) return index;
  throw new DriverError("All 1888 usable DMB indices are taken");
}

/** Registers the DMBs anew: all of them have other tokens then, or none has. @throws {CommandError} */
export function moveDmbs({ channel }: Means, dmbs: DmbList): MovedDmb[] {
  const moved = dmbs.byIndex.map((dmb) => ({ ...dmb, token: registerAt(channel, dmb), from: dmb.token }));
  for (const { from: _, ...dmb } of moved) dmbs.add(dmb);
  return moved.map(({ index, from, token }) => ({ index, from, to: token }));
}

/** Unregisters a DMB and frees its memory. @throws {CommandError} */
export function unregisterDmb({ channel, release }: Means, dmbs: DmbList, dmb: DriverDmb): void {
  const ret = channel.unregister("UNREG_DMB", { token: dmb.token });
  if (ret !== RET.OK && ret !== NO_ANSWER) throw new CommandError("UNREG_DMB", ret);
  dmbs.delete(dmb);
  release(dmb);
}
