/**
 * Length and alignment rules of loads, stores and store blocks. Facts: zpci.pcilg.* and zpci.pcistb.*
 * (QEMU hw/s390x/s390-pci-inst.c: pcilg_service_call, pcistg_service_call, pcistb_service_call).
 */
import { remainder } from "../base/bits.ts";
import type { FunctionGroup } from "./function.ts";
import { PAGE_SIZE } from "./storage.ts";

/** Address space of configuration space in a request. Spaces 0 to 5 are BARs. */
export const SPACE_CONFIG = 15;
/** Last BAR. */
export const LAST_BAR = 5;

const DOUBLEWORD = 8;
const WORD = 4;

/** Why a PCILG or PCISTG is an operand exception, or undefined if it is legal. */
export function loadStoreFault(space: number, offset: number, length: number): string | undefined {
  if (space === SPACE_CONFIG) {
    if (length !== 1 && length !== 2 && length !== 4) return `a length of ${length} in configuration space`;
    return length > WORD - remainder(offset, WORD) ? `${length} bytes that leave their word` : undefined;
  }
  if (length < 1 || length > DOUBLEWORD) return `a length of ${length}`;
  return length > DOUBLEWORD - remainder(offset, DOUBLEWORD)
    ? `${length} bytes that leave their doubleword`
    : undefined;
}

/** Why a PCISTB is a specification exception, or undefined if it is legal. */
export function storeBlockFault(group: FunctionGroup, offset: number, length: number): string | undefined {
  if (length > group.maxstbl) return `a length of ${length} over maxstbl ${group.maxstbl}`;
  if (remainder(offset, PAGE_SIZE) + length > PAGE_SIZE) {
    return `${length} bytes that cross a 4096-byte boundary`;
  }
  if (group.relaxed) return length < 1 ? "a length of 0" : undefined;
  if (length <= DOUBLEWORD || length % DOUBLEWORD !== 0) {
    return `a length of ${length} (strict rules: a multiple of 8 over 8)`;
  }
  return remainder(offset, DOUBLEWORD) !== 0
    ? "an offset that is no multiple of 8 (strict rules)"
    : undefined;
}
