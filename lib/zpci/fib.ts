/**
 * The function information block, operand of MPCIFC. Facts: zpci.mpcifc.fib.
 */
import { defineStruct } from "../base/struct.ts";

/** FIB layout; 80 bytes, doubleword aligned in storage. */
export const FIB = defineStruct("be", 80, {
  format: [0, "u8"],
  /** Stored by STPCIFC: {@linkcode FUNCTION_CONTROLS}. */
  controls: [8, "u8"],
  pba: [16, "u64"],
  pal: [24, "u64"],
  iota: [32, "u64"],
  /** isc, noi, aibvo, sum, aisbo packed: {@linkcode packInterrupts}. */
  interrupts: [40, "u32"],
  aibv: [48, "u64"],
  aisb: [56, "u64"],
  fmba: [64, "u64"],
  gd: [76, "u32"],
});

/** Bits of the function-controls byte (zpci.stpcifc.controls). */
export const FUNCTION_CONTROLS = { ENABLED: 0x80, ERROR: 0x40, BLOCKED: 0x20, DMA_REGISTERED: 0x10 } as const;

/** iota: translation on, the designation type's bits, and their value for a region-third table. */
export const IOTA_TRANSLATION_ON = 0x800;
export const IOTA_TYPE = 0x1c;
export const IOTA_REGION_THIRD = 0x4;
/** Low bits of an iota that are flags; the rest is the table origin. */
export const IOTA_FLAGS_SIZE = 0x1000;

/** The packed interrupt word of a FIB. */
export interface InterruptWord {
  readonly isc: number;
  readonly noi: number;
  readonly aibvo: number;
  readonly sum: number;
  readonly aisbo: number;
}

/** Packs the interrupt word of a FIB. */
export function packInterrupts({ isc, noi, aibvo, sum, aisbo }: InterruptWord): number {
  return ((isc & 7) << 28 | (noi & 0xfff) << 16 | (aibvo & 0x3f) << 8 | (sum & 1) << 7 | (aisbo & 0x3f)) >>>
    0;
}

/** The fields of a FIB's interrupt word. */
export function unpackInterrupts(word: number): InterruptWord {
  return {
    isc: word >>> 28 & 7,
    noi: word >>> 16 & 0xfff,
    aibvo: word >>> 8 & 0x3f,
    sum: word >>> 7 & 1,
    aisbo: word & 0x3f,
  };
}
