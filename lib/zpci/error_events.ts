/**
 * Error events: what each event code does to the function. Facts: zpci.state.table and recovery.event.codes (names as
 * in QEMU include/hw/s390x/s390-pci-bus.h: ERR_EVENT_*).
 */
import { defineStruct } from "../base/struct.ts";
import type { ZpciFunction } from "./function.ts";
import type { ErrorEvent } from "./partition.ts";

/** Error event codes (recovery.event.codes). */
export const PEC = {
  INVALID_DMA_SPACE: 0x01,
  OUT_OF_RANGE: 0x02,
  INVALID_TRANSLATION_FORMAT: 0x03,
  TRANSLATION_PROTECTION: 0x04,
  ACCESS_PROTECTION: 0x05,
  KEY_ERROR: 0x06,
  INVALID_TABLE_ENTRY: 0x07,
  TABLE_LENGTH: 0x08,
  TABLE_TYPE: 0x09,
  INVALID_MEMORY_SPACE: 0x0a,
  SYSTEM_ERROR: 0x0b,
  NO_MSI: 0x10,
  INVALID_BIT_VECTOR: 0x11,
  INTERRUPT_BIT_VECTOR: 0x12,
  INTERRUPT_ERROR: 0x13,
  FMB_ADDRESS: 0x2a,
  FMB_UPDATE: 0x2b,
  FMB_PROTECTION: 0x2c,
  CONFIGURATION_CHANGE: 0x30,
  SERVICE_ACTION: 0x3a,
  PERMANENT_ERROR: 0x3b,
  RECOVERY_FAILED: 0x40,
} as const;

const PEC_TEXT: Readonly<Record<number, string>> = {
  [PEC.INVALID_DMA_SPACE]: "invalid DMA address space",
  [PEC.OUT_OF_RANGE]: "DMA address out of range",
  [PEC.INVALID_TRANSLATION_FORMAT]: "invalid translation format",
  [PEC.TRANSLATION_PROTECTION]: "translation protection",
  [PEC.ACCESS_PROTECTION]: "access protection",
  [PEC.KEY_ERROR]: "key error",
  [PEC.INVALID_TABLE_ENTRY]: "invalid table entry",
  [PEC.TABLE_LENGTH]: "invalid table length",
  [PEC.TABLE_TYPE]: "invalid table type",
  [PEC.INVALID_MEMORY_SPACE]: "invalid memory space",
  [PEC.SYSTEM_ERROR]: "system error",
  [PEC.NO_MSI]: "no MSI",
  [PEC.INVALID_BIT_VECTOR]: "invalid bit vector",
  [PEC.INTERRUPT_BIT_VECTOR]: "interrupt bit vector error",
  [PEC.INTERRUPT_ERROR]: "interrupt error",
  [PEC.FMB_ADDRESS]: "measurement block address",
  [PEC.FMB_UPDATE]: "measurement block update",
  [PEC.FMB_PROTECTION]: "measurement block protection",
  [PEC.CONFIGURATION_CHANGE]: "configuration change",
  [PEC.SERVICE_ACTION]: "service action",
  [PEC.PERMANENT_ERROR]: "permanent error",
  [PEC.RECOVERY_FAILED]: "service action or error recovery failed",
};

/** An error event code in words. */
export function pecText(pec: number): string {
  return PEC_TEXT[pec] ?? "unknown event";
}

/** An error event as CHSC stores it (recovery.event.block). */
export const ERROR_BLOCK = defineStruct("be", 32, {
  fh: [4, "u32"],
  fid: [8, "u32"],
  /** Table type, MSI vector, DMA space, qualifier and direction; the machine knows the direction only. */
  information: [12, "u32"],
  address: [16, "u64"],
  pec: [30, "u16"],
});
/** Bit of {@linkcode ERROR_BLOCK}.information: the access was a write. */
const ERROR_WRITE = 1;

/** The block of an error event, 32 bytes. */
export function errorBlock({ fh, fid, pec, address, write }: ErrorEvent): Uint8Array {
  return ERROR_BLOCK.encode({ fh, fid, pec, address, information: write ? ERROR_WRITE : 0 });
}

/** Events about the measurement block; the function goes on working. */
const MEASUREMENT: ReadonlySet<number> = new Set([PEC.FMB_ADDRESS, PEC.FMB_UPDATE, PEC.FMB_PROTECTION]);
/** Events after which nothing but the service processor helps. */
const PERMANENT: ReadonlySet<number> = new Set([PEC.PERMANENT_ERROR, PEC.RECOVERY_FAILED]);

/** True for the events that concern the measurement block only. */
export function isMeasurementEvent(pec: number): boolean {
  return MEASUREMENT.has(pec);
}

/** True for the events of a function that is lost. */
export function isPermanentEvent(pec: number): boolean {
  return PERMANENT.has(pec);
}

/**
 * The machine reports an error of a function that is enabled: its state follows from the code, and the partition is
 * told. A function in the error state can have more events, one with a permanent error has none.
 *
 * @param address failing DMA address
 * @returns false, and nothing happened, if the function is in a state without error events
 */
export function reportError(fn: ZpciFunction, pec: number, address: number, write: boolean): boolean {
  const { state } = fn;
  if (state !== "enabled" && state !== "blocked" && state !== "error") return false;
  if (!isMeasurementEvent(pec)) {
    fn.touch();
    fn.state = isPermanentEvent(pec) ? "permanent-error" : "error";
    if (state !== "error") fn.model.reset("error");
  }
  fn.partition.errorEvent(fn, pec, address, write);
  return true;
}
