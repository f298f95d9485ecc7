/**
 * Remainders of offsets. `&` looks at the low 32 bits of a number only, which are exact for every whole number below
 * 2^53; so the remainder by a power of two up to 2^30 may be taken with it, and that costs a fraction of `%` for
 * numbers above 2^31.
 */

/** The remainder of a whole number (0 to 2^53) by a power of two (1 to 2^30). */
export function remainder(value: number, powerOfTwo: number): number {
  return value & (powerOfTwo - 1);
}
