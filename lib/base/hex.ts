/** Formats a number or bigint as `0x…`, padded to `digits` hexadecimal digits. */
export function hex(value: number | bigint, digits = 0): string {
  return "0x" + value.toString(16).padStart(digits, "0");
}
