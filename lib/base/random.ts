/** Deterministic numbers from a seed. */

const MASK_64 = 0xffff_ffff_ffff_ffffn;

/** SplitMix64 (Steele, Lea and Flood): the output for a state; the next state is one golden-ratio step on. */
export function splitMix64(state: bigint): bigint {
  let mixed = (state + SPLIT_MIX_STEP) & MASK_64;
  mixed = (mixed ^ mixed >> 30n) * 0xbf58476d1ce4e5b9n & MASK_64;
  mixed = (mixed ^ mixed >> 27n) * 0x94d049bb133111ebn & MASK_64;
  return mixed ^ mixed >> 31n;
}

/** What the state advances by from one output to the next. */
export const SPLIT_MIX_STEP = 0x9e3779b97f4a7c15n;
