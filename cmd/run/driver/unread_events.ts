/**
 * Events that wait in the IEQ. A driver compares the slot behind the last one that it handled with `idx`; when exactly
 * 15 wait, `idx` is that slot again, and the queue looks empty (drivers/s390/net/ism_drv.c: ism_handle_event).
 */
import type { HostFunction } from "../../../lib/host/host.ts";
import { IEQ, IEQ_HEADER, SBA } from "../../../lib/ism/protocol.ts";

/** What to say of events that nobody will see. */
export const HIDDEN_EVENTS =
  `warning: ${IEQ.SLOTS} events wait in the IEQ, and the driver sees none of them: idx is what ` +
  `it compares with again; read them before there are more than ${IEQ.SLOTS - 1}`;

/** Events that were written since the driver last cleared the event bit, as far as the queue has room. */
export function unreadEvents({ adapter, driver, guest }: HostFunction): number {
  const { registrations } = driver;
  if (registrations === undefined || adapter.ieq === undefined) return 0;
  const { process } = guest.kernel;
  const { idx } = IEQ_HEADER.decode(process.memory(registrations.ieq.vaddr, IEQ.BYTES, false));
  const behind = (idx - (registrations.lastSlot + 1) + IEQ.SLOTS) % IEQ.SLOTS;
  const isSignalled = (process.memory(registrations.sba.vaddr, 1, false)[0]! & SBA.EVENT) !== 0;
  return behind === 0 && isSignalled && adapter.ieqUnread === IEQ.SLOTS ? IEQ.SLOTS : behind;
}

/** Events that the driver's next look will not see; 0 if it sees all of them. */
export function hiddenEvents(target: HostFunction): number {
  const { registrations } = target.driver;
  // Before its first event a driver compares with 0, which idx never is.
  if (registrations === undefined || registrations.lastSlot < 0) return 0;
  return unreadEvents(target) === IEQ.SLOTS ? IEQ.SLOTS : 0;
}
