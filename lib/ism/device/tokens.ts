/**
 * In which order a fabric hands out its DMB tokens. Facts: ism.token.format: 20 bits, never 0, opaque to software.
 */
import { SPLIT_MIX_STEP, splitMix64 } from "../../base/random.ts";
import type { IsmOptions } from "./options.ts";

/** Token numbers are 20 bits; 0 is never used. */
export const TOKEN_NUMBERS = 2 ** 20;
const MASK = TOKEN_NUMBERS - 1;

/** Token number for a position, both 1 to 2^20 - 1; different positions have different numbers. */
export type TokenOrder = (position: number) => number;

/** Orders by the choice of `ism.tokens` (ism.token.format). */
export const TOKEN_ORDERS: Readonly<Record<IsmOptions["tokens"], (seed: number) => TokenOrder>> = {
  sequential: () => (position) => position,
  random: shuffledOrder,
};

/** A permutation of the token numbers that depends on the seed: no token comes twice before all others came. */
function shuffledOrder(seed: number): TokenOrder {
  const bits = splitMix64(BigInt.asUintN(64, splitMix64(BigInt(seed)) + SPLIT_MIX_STEP));
  const before = Number(bits & BigInt(MASK));
  const after = Number(bits >> 20n & BigInt(MASK));
  // Each step can be undone, so no two numbers become the same.
  const mix = (number: number) => {
    let mixed = Math.imul(number ^ before, 0x9e3b5) & MASK;
    mixed = Math.imul(mixed ^ mixed >>> 10, 0xb5297) & MASK;
    return (mixed ^ mixed >>> 9) + after & MASK;
  };
  // The one position that leads to 0 goes on to where 0 leads.
  return (position) => mix(position) || mix(0);
}
