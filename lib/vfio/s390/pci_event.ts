/**
 * What the kernel makes of availability events. Facts: zpci.state.table and recovery.avail.codes
 * (arch/s390/pci/pci_event.c: __zpci_event_availability).
 */
import type { AvailabilityEvent } from "../../zpci/partition.ts";
import { AVAILABILITY } from "../../zpci/service_processor.ts";
import type { Kernel } from "../kernel.ts";
import { listEntries } from "./pci_clp.ts";

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
      return binding.leave(pec === AVAILABILITY.GONE);
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
