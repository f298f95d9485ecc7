/** The largest number that the engine prints quickly by itself. */
const MAX_SMALL = 0x3fff_ffff;

/** The last large number that was printed, and its text: stores often go to one place many times. */
let last = 0;
let lastText = "0";

/** Formats a number or bigint as `0x…`, padded to `digits` hexadecimal digits. */
export function hex(value: number | bigint, digits = 0): string {
  const isLarge = typeof value === "number" && value > MAX_SMALL && Number.isSafeInteger(value);
  const text = isLarge ? large(value) : value.toString(16);
  return "0x" + (digits > text.length ? text.padStart(digits, "0") : text);
}

function large(value: number): string {
  if (value === last) return lastText;
  // As a bigint in a fifth of the time that the general conversion of doubles takes.
  lastText = BigInt(value).toString(16);
  last = value;
  return lastText;
}
