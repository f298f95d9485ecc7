/**
 * The driver's side of SBA and IEQ: which DMBs were signalled, which events came. Works on the driver's own memory and
 * talks to nobody. Facts: ism.ieq.layout and ism.sba.walk (drivers/s390/net/ism_drv.c: ism_handle_irq,
 * ism_handle_event).
 */
import { IEQ, IEQ_ENTRY, IEQ_HEADER, SBA } from "../protocol.ts";

/** An entry of the IEQ as the driver read it. */
export interface DriverEvent {
  readonly type: number;
  readonly code: number;
  readonly tok: string;
  readonly time: string;
  readonly info: string;
}

/** A signalled DMB: its SBA index, and the elements that the signals named. */
export interface DmbSignal {
  readonly index: number;
  readonly mask: number;
}

/**
 * The first half of the interrupt handler: clears `s`, then takes the DMB bits from index 32 on, each with its element
 * mask. `s` is cleared before the scan, so that no signal is lost.
 *
 * @param only SBA indices to handle; other DMBs' bits stay for a later walk
 */
export function takeSignals(sba: Uint8Array, only?: ReadonlySet<number>): DmbSignal[] {
  sba[0] = sba[0]! & ~SBA.SUMMARY;
  const signals: DmbSignal[] = [];
  for (let byte = SBA.FIRST_INDEX >> 3; byte < SBA.INDICES >> 3; byte++) {
    const bits = sba[SBA.DMB_BITS + byte]!;
    if (bits === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      const index = byte * 8 + bit;
      if ((bits & 0x80 >> bit) === 0 || (only !== undefined && !only.has(index))) continue;
      sba[SBA.DMB_BITS + byte] = sba[SBA.DMB_BITS + byte]! & ~(0x80 >> bit);
      const at = SBA.MASKS + index * 2;
      const mask = sba[at]! << 8 | sba[at + 1]!;
      sba[at] = sba[at + 1] = 0;
      signals.push({ index, mask });
    }
  }
  return signals;
}

/** Clears `e`. @returns true if it was set */
export function takeEventBit(sba: Uint8Array): boolean {
  const wasSet = (sba[0]! & SBA.EVENT) !== 0;
  sba[0] = sba[0]! & ~SBA.EVENT;
  return wasSet;
}

/**
 * The entries behind slot `last` (-1 before the first one): `last + 1 != idx` is the kernel driver's loop, wrapping
 * after slot 14. A queue whose index makes no sense would keep that driver in the loop for ever; one round is all here.
 *
 * @returns the entries, and the last slot handled
 */
export function takeEntries(ieq: Uint8Array, last: number): { events: DriverEvent[]; last: number } {
  const { idx } = IEQ_HEADER.decode(ieq);
  const events: DriverEvent[] = [];
  while (last + 1 !== idx && events.length < IEQ.SLOTS) {
    last = (last + 1) % IEQ.SLOTS;
    const entry = IEQ_ENTRY.decode(ieq, IEQ.ENTRIES + last * IEQ.ENTRY_BYTES);
    events.push({
      type: entry.type,
      code: entry.code,
      tok: `0x${entry.tok.toString(16)}`,
      time: `0x${entry.time.toString(16)}`,
      info: `0x${entry.info.toString(16)}`,
    });
  }
  return { events, last };
}
