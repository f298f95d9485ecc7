/** Widths of one config space access in bytes. */
export type Width = 1 | 2 | 4;

/** The value of `width` bytes with every bit set. */
export function allOnes(width: Width): number {
  return width === 4 ? 0xffffffff : (1 << (8 * width)) - 1;
}

/** Reads a little-endian value of `width` bytes; bytes beyond the end read as zero. */
export function readWord(bytes: Uint8Array, at: number, width: Width): number {
  let value = 0;
  for (let index = width - 1; index >= 0; index--) value = (value << 8) | (bytes[at + index] ?? 0);
  return value >>> 0;
}

/** Writes the low `width` bytes of `value` in little-endian order; bytes beyond the end are dropped. */
export function writeWord(bytes: Uint8Array, at: number, width: Width, value: number): void {
  for (let index = 0; index < width; index++) bytes[at + index] = (value >>> (8 * index)) & 0xff;
}

/** Takes the bits of `mask` from `chosen` and all others from `base`. */
export function mergeBits(base: number, chosen: number, mask: number): number {
  return ((base & ~mask) | (chosen & mask)) >>> 0;
}
