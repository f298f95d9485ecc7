/**
 * How the device tells a function's owner: signal bits in the SBA, entries in the IEQ, then the MSI.
 * Order matters: data, element mask, DMB bit, summary bit, MSI (ism.data.store); entry, idx, event bit, summary bit,
 * MSI (ism.ieq.order).
 */
import { DMA } from "../../zpci/dma.ts";
import type { Clock } from "../../zpci/clock.ts";
import { DATA_OFFSET, elementMask, IEQ, IEQ_ENTRY, IEQ_HEADER, SBA } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { IsmOptions } from "./options.ts";

const MSI_VECTOR = 0;

/** Element masks by idx (ism.data.element). */
export const ELEMENT_MASKS: Readonly<Record<IsmOptions["elementMask"], readonly number[]>> = {
  rotate: Array.from({ length: DATA_OFFSET.IDX_COUNT }, (_, idx) => elementMask(idx)),
  "msb-first": Array.from({ length: DATA_OFFSET.IDX_COUNT }, (_, idx) => 0x8000 >> idx),
};

/** The time in an event (ism.event.time). */
const EVENT_TIMES: Readonly<Record<IsmOptions["eventTime"], (clock: Clock) => bigint>> = {
  tod: (clock) => clock.tod,
  zero: () => 0n,
};

/** An entry of the IEQ without its time. */
export interface IsmEvent {
  readonly type: number;
  readonly code: number;
  readonly tok: bigint;
  readonly info: bigint;
}

/** Sets a DMB's signal bits and raises the MSI if the summary bit was 0. Nothing without a registered SBA. */
export function signalDmb(owner: IsmAdapter, sbaIndex: number, idx: number): void {
  const { dma } = owner.fn;
  if (owner.sba === undefined || dma.resolve(owner.sba, SBA.BYTES) !== DMA.OK) return;
  const { bytes, offset } = dma;
  const mask = owner.elementMasks[idx]!;
  const at = offset + SBA.MASKS + sbaIndex * 2;
  bytes[at] = bytes[at]! | mask >> 8;
  bytes[at + 1] = bytes[at + 1]! | mask & 0xff;
  const bit = offset + SBA.DMB_BITS + (sbaIndex >> 3);
  bytes[bit] = bytes[bit]! | 0x80 >> (sbaIndex & 7);
  owner.trace("sba", () => ({ index: sbaIndex, idx, mask }));
  raiseSummary(owner, bytes, offset);
}

/**
 * Puts an event into the IEQ; with `trigger` the summary bit and the MSI follow at once. Nothing unless both SBA and
 * IEQ are registered and reachable.
 */
export function postEvent(to: IsmAdapter, event: IsmEvent, trigger: boolean): void {
  const { dma } = to.fn;
  if (to.ieq === undefined || to.sba === undefined) return;
  // The entry is what is written first (ism.ieq.order), so it is what a fault is reported of first.
  if (dma.resolve(to.ieq, IEQ.BYTES) !== DMA.OK) return;
  const { bytes: queue, offset: queueAt } = dma;
  if (dma.resolve(to.sba, SBA.BYTES) !== DMA.OK) return;
  const { bytes: sba, offset: sbaAt } = dma;
  if ((sba[sbaAt]! & SBA.EVENT) === 0) to.ieqUnread = 0;
  if (to.ieqUnread === IEQ.SLOTS) {
    to.statistics.ieqOverflows++;
    to.trace("ieq-overflow", () => ({ type: event.type, code: event.code, token: event.tok }));
    if (to.options.ieqOverflow === "drop") return;
  } else to.ieqUnread++;
  const slot = to.ieqSlot;
  const time = EVENT_TIMES[to.options.eventTime](to.fn.partition.clock);
  IEQ_ENTRY.encode({ ...event, time }, queue, queueAt + IEQ.ENTRIES + slot * IEQ.ENTRY_BYTES);
  // idx is the slot just written plus one: 1 to 15, never 0 again after the first event (ism.ieq.index).
  IEQ_HEADER.encode({ idx: slot + 1 }, queue, queueAt);
  to.ieqSlot = (slot + 1) % IEQ.SLOTS;
  to.trace("ieq", () => ({ slot, type: event.type, code: event.code, token: event.tok, info: event.info }));
  sba[sbaAt] = sba[sbaAt]! | SBA.EVENT;
  if (trigger) raiseSummary(to, sba, sbaAt);
}

function raiseSummary(owner: IsmAdapter, bytes: Uint8Array, offset: number): void {
  const wasSet = (bytes[offset]! & SBA.SUMMARY) !== 0;
  bytes[offset] = bytes[offset]! | SBA.SUMMARY;
  if (!wasSet || owner.options.msiOn === "every-signal") owner.fn.raiseMsi(MSI_VECTOR);
}
