/** Sizes for people. */
import { hex } from "../../lib/base/hex.ts";

/** `256 TiB (0x1000000000000)`, `64 KiB (0x10000)`, `0`. */
export function sizeText(size: number): string {
  if (size === 0) return "0";
  return `${roundSize(size)} (${hex(size)})`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** `12.3 MiB`. */
export function roundSize(size: number): string {
  const exponent = size < 1 ? 0 : Math.min(Math.floor(Math.log(size) / Math.log(1024)), UNITS.length - 1);
  const number = (size / 1024 ** exponent).toLocaleString(undefined, { maximumFractionDigits: 1 });
  return `${number} ${UNITS[exponent]}`;
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
