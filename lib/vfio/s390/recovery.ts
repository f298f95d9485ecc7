/**
 * What the kernel makes of an error event, step by step. Facts: docs/reference/vfio/interrupts.md and recovery.md
 * (arch/s390/pci/pci_event.c: __zpci_event_error, zpci_event_attempt_error_recovery, zpci_event_io_failure).
 */
import { isMeasurementEvent, isPermanentEvent } from "../../zpci/error_events.ts";
import type { ErrorEvent } from "../../zpci/partition.ts";
import type { Binding } from "../binding.ts";
import { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { listEntries } from "./pci_clp.ts";
import type { Zdev } from "./zdev.ts";

/** Values of ERROR_EVENT in a uevent (drivers/pci/pcie/err.c: pci_uevent_ers). */
type ErrorUevent = "BEGIN_RECOVERY" | "SUCCESSFUL_RECOVERY" | "FAILED_RECOVERY";

/** How an error event ended, as far as the kernel goes. */
export type Reaction =
  /** A handle that List PCI does not report, or a function without PCI device: ignored. */
  | "stale"
  /** About the measurement block: written to the log, nothing else. */
  | "logged"
  /** A removal of the function's driver holds a lock: nothing happens before it is over. */
  | "held-back"
  /** A vfio driver holds the function and it is open: queued, recovery is left to user space. */
  | "left-to-user-space"
  /** Accesses unblocked and the error state cleared, or a reset. */
  | "recovered"
  /** Given up before: recovery is not tried again. */
  | "skipped"
  /** No driver, or one without error handlers, or a permanent error: lost until an operator acts. */
  | "permanent-failure";

/**
 * Handles an error event. The caller has the state lock.
 *
 * @param lookedUp the handle was compared before, when the event came to wait for the device lock
 */
export function reactToError(kernel: Kernel, event: ErrorEvent, lookedUp: boolean): Reaction {
  const reaction = react(kernel, event, lookedUp);
  const { name: guest, tracer } = kernel.partition;
  if (tracer.sink !== undefined) {
    const args = { pec: event.pec, reaction };
    tracer.point({ layer: "irq", op: "recovery", guest, fid: event.fid, args });
  }
  return reaction;
}

function react(kernel: Kernel, event: ErrorEvent, lookedUp: boolean): Reaction {
  const zdev = kernel.zdevs.find(({ facts }) => facts.fid === event.fid);
  if (zdev === undefined) return "stale";
  if (!lookedUp) {
    const listed = listEntries(kernel.partition).find(({ fid }) => fid === event.fid);
    if (listed?.fh !== event.fh) return "stale";
    zdev.fh = event.fh;
  }
  if (zdev.state !== "configured") return "stale";
  if (isMeasurementEvent(event.pec)) return "logged";
  const binding = kernel.binding(zdev);
  if (binding.holds("device")) return "held-back";
  if (isPermanentEvent(event.pec)) return giveUp(binding, event, "permanent-failure");
  if (zdev.pci.channel === "permanent-failure") return giveUp(binding, event, "skipped");
  zdev.pci.channel = "frozen";
  if (binding.device === undefined) return giveUp(binding, event, "permanent-failure");
  return recover(kernel, binding, event);
}

/** The function is lost: its driver is told once more. */
function giveUp(binding: Binding, event: ErrorEvent, reaction: Reaction): Reaction {
  binding.zdev.pci.channel = "permanent-failure";
  binding.errors.put(event);
  binding.device?.errorDetected();
  return reaction;
}

/** A driver with error handlers: it is told, and votes "can recover". Who recovers depends on who is there. */
function recover(kernel: Kernel, binding: Binding, event: ErrorEvent): Reaction {
  const { zdev, errors } = binding;
  errors.put(event);
  binding.device!.errorDetected();
  uevent(kernel, zdev, "BEGIN_RECOVERY");
  if (errors.userRecovers) return "left-to-user-space";
  if (clearErrorState(zdev) || succeeds(() => zdev.hotReset() === 0)) {
    zdev.pci.channel = "normal";
    uevent(kernel, zdev, "SUCCESSFUL_RECOVERY");
    return "recovered";
  }
  uevent(kernel, zdev, "FAILED_RECOVERY");
  return giveUp(binding, event, "permanent-failure");
}

/** Unblocks loads and stores (MPCIFC 9), then clears the error state (MPCIFC 7). */
function clearErrorState(zdev: Zdev): boolean {
  return succeeds(() => {
    zdev.unblock();
    zdev.clearError();
    return true;
  });
}

/** Tells user space by a uevent; here it is a line of the trace. */
function uevent({ partition }: Kernel, { facts: { fid } }: Zdev, event: ErrorUevent): void {
  const { name: guest, tracer } = partition;
  if (tracer.sink === undefined) return;
  const args = { ERROR_EVENT: event, DEVICE_ONLINE: event === "SUCCESSFUL_RECOVERY" ? 1 : 0 };
  tracer.point({ layer: "irq", op: "uevent", guest, fid, args });
}

function succeeds(step: () => boolean): boolean {
  try {
    return step();
  } catch (error) {
    if (error instanceof ErrnoError) return false;
    throw error;
  }
}
