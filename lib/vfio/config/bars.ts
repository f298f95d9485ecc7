import type { ConfigFacts } from "./hardware.ts";
import { readWord, writeWord } from "./word.ts";

/** Offset of BAR 0 in config space. */
export const BASE_ADDRESS_0 = 0x10;
/** Number of BARs of a type 0 header. */
export const BAR_COUNT = 6;
const BARS_END = BASE_ADDRESS_0 + 4 * BAR_COUNT;
/** Offset of the ROM BAR. */
export const ROM_ADDRESS = 0x30;

const MEMORY_TYPE_64 = 0x4;
const MEMORY_PREFETCH = 0x8;

/** Whether a header access that starts at `offset` is one to a BAR or to the ROM BAR. */
export function isBarOffset(offset: number): boolean {
  return (offset >= BASE_ADDRESS_0 && offset < BARS_END) ||
    (offset >= ROM_ADDRESS && offset < ROM_ADDRESS + 4);
}

/**
 * Settles the BARs of a shadow as hardware would after a write: address bits below the size read 0, the type
 * bits read as they are, absent BARs and the ROM BAR read 0.
 */
export function settleBars(shadow: Uint8Array, facts: ConfigFacts): void {
  for (let bar = 0; bar < BAR_COUNT; bar++) {
    const at = BASE_ADDRESS_0 + 4 * bar;
    const size = facts.barSizes[bar];
    if (size === undefined) {
      writeWord(shadow, at, 4, 0);
      continue;
    }
    const mask = -BigInt(size);
    const type = (facts.bar64[bar] ? MEMORY_TYPE_64 : 0) | (facts.barPrefetch[bar] ? MEMORY_PREFETCH : 0);
    writeWord(shadow, at, 4, (readWord(shadow, at, 4) & lowDword(mask)) | type);
    if (facts.bar64[bar]) {
      bar++; // The upper half is settled here, with the size of its lower half.
      writeWord(shadow, at + 4, 4, readWord(shadow, at + 4, 4) & lowDword(mask >> 32n));
    }
  }
  writeWord(shadow, ROM_ADDRESS, 4, 0);
}

function lowDword(value: bigint): number {
  return Number(BigInt.asUintN(32, value));
}
