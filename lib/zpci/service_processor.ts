/**
 * The service processor's part: configuring and deconfiguring functions, and the availability events that tell a
 * partition. Facts: zPCI sheet 1.5 (SCLP commands and response codes), 12.3 (availability event codes).
 */
import type { ZpciFunction } from "./function.ts";
import type { Partition } from "./partition.ts";

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

/** SCLP configure: standby to configured, disabled. @returns the response code */
export function sclpConfigure(partition: Partition, fid: number): number {
  const fn = partition.byFid(fid);
  if (fn === undefined) return SCLP_RESPONSE.ID_UNKNOWN;
  if (fn.state === "reserved") return SCLP_RESPONSE.RESERVED;
  if (fn.state !== "standby") return SCLP_RESPONSE.NO_ACTION;
  fn.state = "disabled";
  return SCLP_RESPONSE.DONE;
}

/** SCLP deconfigure: configured to standby, disabled first if it is enabled. @returns the response code */
export function sclpDeconfigure(partition: Partition, fid: number): number {
  const fn = partition.byFid(fid);
  if (fn === undefined) return SCLP_RESPONSE.ID_UNKNOWN;
  if (fn.state === "reserved") return SCLP_RESPONSE.RESERVED;
  if (fn.state === "standby") return SCLP_RESPONSE.NO_ACTION;
  fn.disable("standby");
  return SCLP_RESPONSE.DONE;
}

/** Takes a function away under the partition's hands, as a hot unplug that nobody announced. */
export function takeAway(fn: ZpciFunction, to: "standby" | "reserved"): void {
  fn.disable(to);
  fn.partition.availabilityEvent(fn, AVAILABILITY.GONE);
}

/** Gives a function to the partition: configured, disabled, and the partition is told. */
export function giveBack(fn: ZpciFunction): void {
  fn.state = "disabled";
  fn.partition.availabilityEvent(fn, AVAILABILITY.CONFIGURED);
}
