/** Bytes written by hand in tests: hexadecimal text and big-endian numbers, never the codecs under test. */

/** The bytes of hexadecimal text; spaces are ignored. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

/** `size` bytes of a number, most significant first, as hexadecimal text. */
export function be(value: number | bigint, size: number): string {
  return BigInt.asUintN(size * 8, BigInt(value)).toString(16).padStart(size * 2, "0");
}

/** A number from bytes, most significant first. */
export function fromBe(from: Uint8Array, offset: number, size: number): bigint {
  return BigInt(`0x${from.slice(offset, offset + size).toHex()}`);
}

/** `length` bytes that differ from their neighbours and depend on `seed`. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + seed * 31 + (i >> 8) * 13 + 1) & 0xff);
}
