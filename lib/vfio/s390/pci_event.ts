/**
 * What the kernel makes of error and availability events. Facts: docs/reference/recovery.md
 * (arch/s390/pci/pci_event.c).
 */
import { isMeasurementEvent, isPermanentEvent } from "../../zpci/error_events.ts";
import type { AvailabilityEvent, ErrorEvent } from "../../zpci/partition.ts";
import { AVAILABILITY } from "../../zpci/service_processor.ts";
import { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { listEntries } from "./pci_clp.ts";
import type { Zdev } from "./zdev.ts";

/** How an error event ended, as far as the kernel goes. */
export type Reaction =
  /** A handle that List PCI does not report: ignored. */
  | "stale"
  /** About the measurement block: written to the log, nothing else. */
  | "logged"
  /** A vfio driver holds the function and it is open: queued, recovery is left to user space. */
  | "left-to-user-space"
  /** A vfio driver holds it and nobody has it open: accesses unblocked, error state cleared, or a reset. */
  | "recovered"
  /** No driver, or one without error handlers, or a permanent error: lost until an operator acts. */
  | "permanent-failure";

/** An error event (recovery.event.codes, last column). */
export function reactToError(kernel: Kernel, event: ErrorEvent): Reaction {
  const reaction = react(kernel, event);
  if (kernel.partition.tracer.sink !== undefined) {
    const args = { pec: event.pec, reaction };
    kernel.partition.tracer.point({ layer: "irq", op: "recovery", fid: event.fid, args });
  }
  return reaction;
}

function react(kernel: Kernel, event: ErrorEvent): Reaction {
  const zdev = kernel.zdevs.find(({ facts }) => facts.fid === event.fid);
  const listed = listEntries(kernel.partition).find(({ fid }) => fid === event.fid);
  if (zdev === undefined || listed?.fh !== event.fh) return "stale";
  zdev.fh = event.fh;
  if (isMeasurementEvent(event.pec)) return "logged";
  const binding = kernel.binding(zdev);
  const { device } = binding;
  const isOpen = device !== undefined && device.openCount > 0;
  if (isOpen) binding.errorEvent(event);
  if (isPermanentEvent(event.pec) || device === undefined) return "permanent-failure";
  if (isOpen) return "left-to-user-space";
  return recover(zdev) ? "recovered" : "permanent-failure";
}

/** The kernel's own recovery: MPCIFC 9 and 7, and a reset if one of them is refused. */
function recover(zdev: Zdev): boolean {
  return succeeds(() => {
    zdev.unblock();
    zdev.clearError();
  }) || succeeds(() => zdev.hotReset());
}

function succeeds(step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    if (error instanceof ErrnoError) return false;
    throw error;
  }
}

/**
 * An availability event (recovery.avail.codes). An event that comes late, for a function in another state, is ignored.
 */
export function reactToAvailability(kernel: Kernel, { fid, fh, pec }: AvailabilityEvent): void {
  if (pec === AVAILABILITY.RESCAN) return rescan(kernel);
  const zdev = kernel.zdevs.find(({ facts }) => facts.fid === fid);
  if (zdev === undefined) return;
  const binding = kernel.binding(zdev);
  switch (pec) {
    case AVAILABILITY.CONFIGURED:
      return binding.arrived(fh);
    case AVAILABILITY.STANDBY:
      if (zdev.state === "reserved") zdev.state = "standby";
      zdev.fh = fh;
      return;
    case AVAILABILITY.DECONFIGURE_REQUESTED:
    case AVAILABILITY.GONE:
      if (zdev.state !== "configured") return;
      zdev.fh = fh;
      return binding.leave();
    case AVAILABILITY.RESERVED:
      zdev.state = "reserved";
  }
}

/** Several functions changed: what has gone is forgotten, what is new is taken. */
function rescan(kernel: Kernel): void {
  const entries = listEntries(kernel.partition);
  for (const zdev of kernel.zdevs) {
    const entry = entries.find(({ fid }) => fid === zdev.facts.fid);
    if (entry === undefined) {
      if (zdev.state === "standby") zdev.state = "reserved";
    } else if (zdev.state === "reserved") {
      zdev.state = "standby";
      if (entry.configured) kernel.binding(zdev).arrived(entry.fh);
    }
  }
}
