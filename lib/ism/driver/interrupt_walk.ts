/**
 * What a driver does after an interrupt: it looks through SBA and IEQ for what came (ism.sba.walk;
 * drivers/s390/net/ism_drv.c: ism_handle_irq).
 */
import type { SystemCalls } from "../../vfio/process/process.ts";
import { IEQ, SBA } from "../protocol.ts";
import type { Registrations } from "./registration.ts";
import { type DmbSignal, type DriverEvent, takeEntries, takeEventBit, takeSignals } from "./signals.ts";
import type { DmbList } from "./tables.ts";

/** What one interrupt walk found. */
export interface InterruptWalk {
  /** Eventfd count: interrupts since the last walk. */
  readonly interrupts: number;
  /** Signalled DMBs by rising index; without a token if the driver has none with that index. */
  readonly dmbs: readonly (DmbSignal & { readonly token: number | undefined })[];
  readonly events: readonly DriverEvent[];
}

/** Events that were taken out of the IEQ. */
interface TakenEvents {
  readonly events: DriverEvent[];
  /** The last slot of the IEQ that was handled. */
  readonly lastSlot: number;
}

/**
 * Clears `s`, scans the DMB bits from index 32, takes the element masks, then the events. `s` is cleared before the
 * scan, so no signal is lost.
 *
 * @param only SBA indices to handle; other DMBs' signals and all events stay for a later walk
 */
export function walk(
  sys: SystemCalls,
  registered: Registrations,
  dmbs: DmbList,
  only: ReadonlySet<number> | undefined,
): Pick<InterruptWalk, "dmbs"> & TakenEvents {
  const sba = sys.memory(registered.sba.vaddr, SBA.BYTES, true);
  const signalled = takeSignals(sba, only).map(({ index, mask }) => ({
    index,
    token: dmbs.at(index)?.token,
    mask,
  }));
  if (only !== undefined || !takeEventBit(sba)) {
    return { dmbs: signalled, events: [], lastSlot: registered.lastSlot };
  }
  const { events, lastSlot } = takeWaiting(sys, registered);
  return { dmbs: signalled, events, lastSlot };
}

/** Events that wait in the IEQ, taken out whether an interrupt came or not. */
export function takeEvents(sys: SystemCalls, registered: Registrations): TakenEvents {
  takeEventBit(sys.memory(registered.sba.vaddr, 1, true));
  return takeWaiting(sys, registered);
}

function takeWaiting(sys: SystemCalls, registered: Registrations): TakenEvents {
  const ieq = sys.memory(registered.ieq.vaddr, IEQ.BYTES, false);
  const { events, last } = takeEntries(ieq, registered.lastSlot);
  return { events, lastSlot: last };
}
