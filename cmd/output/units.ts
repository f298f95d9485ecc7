/** Sizes for people. */
import { format } from "@std/fmt/bytes";
import { hex } from "../../lib/base/hex.ts";

/** `256 TiB (0x1000000000000)`, `64 KiB (0x10000)`, `0`. */
export function sizeText(size: number): string {
  if (size === 0) return "0";
  return `${roundSize(size)} (${hex(size)})`;
}

/** `12.3 MiB`. */
export function roundSize(size: number): string {
  // std writes kiB; the unit's name is KiB.
  return format(size, { binary: true, maximumFractionDigits: 1 }).replace("kiB", "KiB");
}

/** `1 signal`, `2 signals`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** From so many on, zero bytes at the end are only counted. */
const ZEROS_COUNTED = 8;

/** Bytes in hexadecimal for people: `d5c5 and 62 zero bytes`. */
export function withoutZeros(digits: string): string {
  const shown = digits.replace(/(?:00)+$/, "");
  const zeros = (digits.length - shown.length) / 2;
  return zeros < ZEROS_COUNTED ? digits : `${shown === "" ? "" : `${shown} and `}${zeros} zero bytes`;
}
