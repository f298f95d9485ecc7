/** The table of findings: what a program did that only luck makes work, the rule it forgets, and what to do. */
import type { RuleName } from "../../base/rule_names.ts";

/** A row of the table. `error`: it fails on the real machine, or loses something; `warning`: some day it will. */
interface Row {
  readonly rule: RuleName;
  readonly level: "error" | "warning";
  /** What is wrong, in a few words. */
  readonly title: string;
  readonly advice: string;
}

/** Findings by name. */
export const FINDINGS = {
  "position-not-asked": {
    rule: "vfio.region.offset",
    level: "error",
    title: "A position that no GET_REGION_INFO of this open explains",
    advice: "take the offset of each region from VFIO_DEVICE_GET_REGION_INFO after every open",
  },
  "store-crosses-line": {
    rule: "vfio.write.boundary",
    level: "error",
    title: "A write to a BAR that crosses a 4 KiB line",
    advice: "end each write at the next multiple of 4096 of its offset",
  },
  "bar-mapped": {
    rule: "vfio.mmap.never",
    level: "error",
    title: "mmap of a BAR",
    advice: "use pread and pwrite; a missing MMAP flag does not mean that there is no BAR",
  },
  "limit-is-maxstbl": {
    rule: "vfio.info.limit",
    level: "warning",
    title: "maxstbl (128) taken for the limit of a store block",
    advice: "take the limit from imaxstbl of the group capability, version 2; maxstbl is for mediated stores",
  },
  "limit-not-asked": {
    rule: "vfio.info.limit",
    level: "error",
    title: "A long store block although imaxstbl was never read",
    advice:
      "read imaxstbl of the group capability (VFIO_DEVICE_GET_INFO with room for the chain) before the first store",
  },
  "result-not-checked": {
    rule: "vfio.rw.clamp",
    level: "warning",
    title: "A short or failed read or write was taken for whole",
    advice: "compare the result with the count, and go on behind the bytes that were moved",
  },
  "response-not-read": {
    rule: "ism.cmd.sequence",
    level: "error",
    title: "A command before the response of the last one was read",
    advice: "read the 8 bytes of the response header before the next command: one command at a time",
  },
  "summary-cleared-late": {
    rule: "ism.sba.walk",
    level: "error",
    title: "The summary bit of the SBA was cleared after the scan",
    advice: "clear the summary bit first, then scan: a signal that comes between scan and clearing is lost",
  },
  "left-registered": {
    rule: "ism.dmb.unregister",
    level: "warning",
    title: "Still registered at the last close",
    advice:
      "unregister DMBs, IEQ and SBA before closing: a close that ends a removal does not reset the function",
  },
  "iova-not-asked": {
    rule: "vfio.dma.window",
    level: "error",
    title: "A DMA address that nothing the kernel told explains",
    advice:
      "take addresses from start_dma and end_dma of ZPCI_BASE, or from the IOVA ranges of the container or IOAS",
  },
  "reset-not-retried": {
    rule: "recovery.lock.calls",
    level: "error",
    title: "RESET was not tried again on EAGAIN",
    advice: "pause and call VFIO_DEVICE_RESET again: the kernel holds its locks for a moment after an error",
  },
  "no-err-eventfd": {
    rule: "vfio.setirqs.err",
    level: "warning",
    title: "No eventfd for the ERR interrupt",
    advice: "install one with VFIO_DEVICE_SET_IRQS, index 3, before DMA starts, where GET_IRQ_INFO has it",
  },
  "errors-not-drained": {
    rule: "vfio.feature.zpcierror",
    level: "warning",
    title: "Error blocks were not read to the end",
    advice: "after ERR, or the first EIO, GET feature 13 (ZPCI_ERROR) until ENOMSG, then RESET",
  },
} as const satisfies Readonly<Record<string, Row>>;

/** The name of a finding. */
export type FindingName = keyof typeof FINDINGS;
