/**
 * How the device tells a function's owner: signal bits in the SBA, entries in the IEQ, then the MSI.
 * Order matters: data, element mask, DMB bit, summary bit, MSI (ism.data.store); entry, idx, event bit, summary bit,
 * MSI (ism.ieq.order).
 */
import { DMA } from "../../zpci/dma.ts";
import type { DmaMemory } from "../../zpci/storage.ts";
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

/** Of the queue's header only `idx`, its first doubleword, is written after the registration. */
const IDX_BYTES = 8;
const header = new Uint8Array(IEQ_HEADER.size);

/** An entry of the IEQ without its time. */
export interface IsmEvent {
  readonly type: number;
  readonly code: number;
  readonly tok: bigint;
  readonly info: bigint;
}

/**
 * Stores the first `length` bytes of `source` into a DMB's memory at `at`, sets the DMB's signal bits, and raises the MSI
 * if the summary bit was 0. Nothing but the store without a registered SBA.
 *
 * @param data where the store goes; undefined if it is lost
 */
export function storeAndSignal(
  owner: IsmAdapter,
  sbaIndex: number,
  idx: number,
  data: DmaMemory | undefined,
  at: number,
  source: Uint8Array,
  length: number,
): void {
  const { dma } = owner.fn;
  if (owner.sba === undefined || dma.resolve(owner.sba, SBA.BYTES) !== DMA.OK) {
    data?.store(at, source, length);
    return;
  }
  const { offset } = dma;
  const sba = dma.memory!;
  // One bit, in one of the two bytes.
  const mask = owner.elementMasks[idx]!;
  const maskAt = offset + SBA.MASKS + sbaIndex * 2 + (mask > 0xff ? 0 : 1);
  const bitAt = offset + SBA.DMB_BITS + (sbaIndex >> 3);
  const bit = 0x80 >> (sbaIndex & 7);
  const maskBit = mask > 0xff ? mask >> 8 : mask;
  const before = sba.tell(maskAt, maskBit, bitAt, bit, offset, SBA.SUMMARY, data, at, source, length);
  if (owner.tracing) owner.trace("sba", () => ({ index: sbaIndex, idx, mask }));
  interrupt(owner, before);
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
  const { offset: queueAt } = dma;
  const queue = dma.memory!;
  if (dma.resolve(to.sba, SBA.BYTES) !== DMA.OK) return;
  const { offset: sbaAt } = dma;
  const sba = dma.memory!;
  to.touch();
  if ((sba.byteAt(sbaAt) & SBA.EVENT) === 0) to.ieqUnread = 0;
  if (to.ieqUnread === IEQ.SLOTS) {
    to.statistics.ieqOverflows++;
    to.trace("ieq-overflow", () => ({ type: event.type, code: event.code, token: event.tok }));
    if (to.options.ieqOverflow === "drop") return;
  } else if (++to.ieqUnread === IEQ.SLOTS) {
    // A driver that has handled events before is at idx again: it sees none of them (ism_drv.c: ism_handle_event).
    to.statistics.ieqFull++;
    to.trace("ieq-full", () => ({ unread: IEQ.SLOTS }));
  }
  const slot = to.ieqSlot;
  const time = EVENT_TIMES[to.options.eventTime](to.fn.partition.clock);
  const entry = IEQ_ENTRY.encode({ ...event, time });
  queue.store(queueAt + IEQ.ENTRIES + slot * IEQ.ENTRY_BYTES, entry, entry.length);
  // idx is the slot just written plus one: 1 to 15, never 0 again after the first event (ism.ieq.index).
  IEQ_HEADER.encode({ idx: slot + 1 }, header);
  queue.store(queueAt, header, IDX_BYTES);
  to.ieqSlot = (slot + 1) % IEQ.SLOTS;
  to.trace("ieq", () => ({ slot, type: event.type, code: event.code, token: event.tok, info: event.info }));
  const before = sba.setBits(sbaAt, SBA.EVENT);
  if (trigger) interrupt(to, sba.setBits(sbaAt, SBA.SUMMARY));
  // The summary may have been cleared and set again in the same byte: one interrupt too many is none too few.
  if (!sba.atomic && (before & (SBA.SUMMARY | SBA.EVENT)) === SBA.SUMMARY) to.fn.raiseMsi(MSI_VECTOR);
}

/** The MSI of a signal that has set the summary bit in a byte that was `before`. */
function interrupt(owner: IsmAdapter, before: number): void {
  if ((before & SBA.SUMMARY) === 0 || owner.options.msiOn === "every-signal") owner.fn.raiseMsi(MSI_VECTOR);
}
