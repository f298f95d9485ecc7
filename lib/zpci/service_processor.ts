/**
 * The service processor's part: SCLP commands by which a partition configures and deconfigures functions, and changes
 * of availability that an operator causes, of which the partition is told by events.
 * Facts: zpci.sclp.responses and recovery.avail.codes.
 */
import { defineStruct } from "../base/struct.ts";
import type { FunctionState, ZpciFunction } from "./function.ts";
import type { AvailabilityEvent, Partition } from "./partition.ts";

/** SCLP commands for adapters. */
export const SCLP = { CONFIGURE: 0x001a_0001, DECONFIGURE: 0x001b_0001 } as const;
/** Adapter type of PCI functions in the block of such a command. */
export const SCLP_PCI_ADAPTER = 2;
/** Bytes of the block: header, adapter type, adapter id. */
const SCCB_BYTES = 16;

/** SCLP response codes; the first two are success. */
export const SCLP_RESPONSE = {
  DONE: 0x0020,
  NO_ACTION: 0x0120,
  RESERVED: 0x05f0,
  TYPE_UNKNOWN: 0x06f0,
  ID_UNKNOWN: 0x09f0,
} as const;

/** Availability event codes. */
export const AVAILABILITY = {
  /** Reserved or standby to configured. */
  CONFIGURED: 0x0301,
  /** Reserved to standby. */
  STANDBY: 0x0302,
  /** Deconfiguration is asked for. */
  DECONFIGURE_REQUESTED: 0x0303,
  /** Configured to standby or reserved: already gone. */
  GONE: 0x0304,
  /** Several functions changed. */
  RESCAN: 0x0306,
  /** Standby to reserved. */
  RESERVED: 0x0308,
} as const;

const AVAILABILITY_TEXT: Readonly<Record<number, string>> = {
  [AVAILABILITY.CONFIGURED]: "reserved or standby to configured",
  [AVAILABILITY.STANDBY]: "reserved to standby",
  [AVAILABILITY.DECONFIGURE_REQUESTED]: "deconfiguration requested",
  [AVAILABILITY.GONE]: "configured to standby or reserved",
  [AVAILABILITY.RESCAN]: "several functions changed",
  [AVAILABILITY.RESERVED]: "standby to reserved",
};

/** An availability event code in words. */
export function availabilityText(pec: number): string {
  return AVAILABILITY_TEXT[pec] ?? "unknown event";
}

/** An availability event as CHSC stores it (recovery.avail.codes). */
export const AVAILABILITY_BLOCK = defineStruct("be", 32, {
  fh: [4, "u32"],
  fid: [8, "u32"],
  pec: [30, "u16"],
});

/** The block of an availability event, 32 bytes. */
export function availabilityBlock(event: AvailabilityEvent): Uint8Array {
  return AVAILABILITY_BLOCK.encode(event);
}

/**
 * SCLP configure (standby to configured, disabled) or deconfigure (configured to standby, disabled first) of an adapter.
 *
 * @param command one of {@linkcode SCLP}
 * @param id adapter id, the function id of a PCI function
 * @returns the response code
 */
export function sclp(
  partition: Partition,
  command: (typeof SCLP)[keyof typeof SCLP],
  id: number,
  adapterType: number = SCLP_PCI_ADAPTER,
): number {
  const response = adapterType === SCLP_PCI_ADAPTER
    ? change(partition.byFid(id), command)
    : SCLP_RESPONSE.TYPE_UNKNOWN;
  if (partition.tracer.sink !== undefined) {
    const name = command === SCLP.CONFIGURE ? "CONFIGURE" : "DECONFIGURE";
    const args = { command: { value: command, name }, length: SCCB_BYTES, id };
    const event = { layer: "insn", op: "SCLP", guest: partition.name, args } as const;
    partition.tracer.point({ ...event, fid: partition.byFid(id)?.identity.fid, cc: 0, status: 0, response });
  }
  return response;
}

function change(fn: ZpciFunction | undefined, command: number): number {
  if (fn === undefined) return SCLP_RESPONSE.ID_UNKNOWN;
  if (fn.state === "reserved") return SCLP_RESPONSE.RESERVED;
  if ((fn.state === "standby") !== (command === SCLP.CONFIGURE)) return SCLP_RESPONSE.NO_ACTION;
  fn.touch();
  if (command === SCLP.CONFIGURE) fn.state = "disabled";
  else fn.disable("standby");
  return SCLP_RESPONSE.DONE;
}

/** From which states an availability event leads where; without `to` the event changes nothing by itself. */
interface Availability {
  readonly from: readonly FunctionState[];
  readonly to?: FunctionState;
  /** The event is also sent, and changes nothing, to a function in another state: it comes late. */
  readonly late: boolean;
}

const CONFIGURED_STATES = ["disabled", "enabled", "blocked", "error", "permanent-error"] as const;
const CHANGES: Readonly<Record<number, Availability>> = {
  [AVAILABILITY.CONFIGURED]: { from: ["reserved", "standby"], to: "disabled", late: true },
  [AVAILABILITY.STANDBY]: { from: ["reserved"], to: "standby", late: false },
  [AVAILABILITY.DECONFIGURE_REQUESTED]: { from: CONFIGURED_STATES, late: true },
  [AVAILABILITY.GONE]: { from: CONFIGURED_STATES, to: "standby", late: false },
  [AVAILABILITY.RESCAN]: { from: [], late: true },
  [AVAILABILITY.RESERVED]: { from: ["standby"], to: "reserved", late: false },
};

/** True if there is such an availability event. */
export function isAvailabilityEvent(pec: number): boolean {
  return CHANGES[pec] !== undefined;
}

/**
 * Changes a function's availability under the partition's hands and tells it (recovery.avail.codes).
 *
 * @param pec one of {@linkcode AVAILABILITY}
 * @param to for 0x0304: reserved in place of standby
 * @returns false, and nothing happened, if the function is in no state for that
 */
export function changeAvailability(fn: ZpciFunction, pec: number, to?: FunctionState): boolean {
  const row = CHANGES[pec];
  if (row === undefined) return false;
  const applies = row.from.includes(fn.state);
  if (!applies && !row.late) return false;
  const next = applies ? to ?? row.to : undefined;
  fn.touch();
  if (next !== undefined && CONFIGURED_STATES.some((state) => state === fn.state)) fn.disable(next);
  else if (next !== undefined) fn.state = next;
  fn.partition.availabilityEvent(fn, pec);
  return true;
}
