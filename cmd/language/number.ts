import { quoteText } from "./quote.ts";
import { UsageError } from "./usage_error.ts";

/** Limits of {@linkcode parseNumber}, both inclusive. */
export interface NumberLimits {
  /** The least value, 0 by default. */
  readonly min?: number | undefined;
  /** The largest value; never above, and by default, `Number.MAX_SAFE_INTEGER`. */
  readonly max?: number | undefined;
}

/** Powers of two behind a decimal number; `iB` may follow. */
const UNIT_SHIFT: Readonly<Record<string, bigint>> = { k: 10n, K: 10n, M: 20n, G: 30n, T: 40n };
const MAX_64 = (1n << 64n) - 1n;
/** Longer than any sensible spelling of 64 bits, short enough for every regular expression here. */
export const MAX_CHARS = 256;

const BASED = /^0(?:x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|b[01]+(?:_[01]+)*)$/;
const DECIMAL = /^(0|[1-9][0-9]*(?:_[0-9]+)*)(?:([kKMGT])(?:iB)?)?$/;

/**
 * Parses 4096, 4k, 4KiB, 0x1000, 0b101 or 1_000_000, up to 64 bits; never octal, never a sign.
 *
 * @param what names the value in the error: `offset`.
 */
export function parseBigNumber(text: string, what: string): bigint {
  if (text.length > MAX_CHARS) {
    throw new UsageError(`${what}: ${quoteText(text)} is too long for a number`, { token: text });
  }
  const value = readNumber(text);
  if (value === undefined) {
    throw new UsageError(`${what}: ${quoteText(text)} is not a number; ${advise(text)}`, { token: text });
  }
  if (value > MAX_64) {
    throw new UsageError(`${what}: ${quoteText(text)} does not fit in 64 bits`, { token: text });
  }
  return value;
}

/** Parses what {@linkcode parseBigNumber} parses, between `min` and `max`, into a number that is exact. */
export function parseNumber(text: string, what: string, { min = 0, max }: NumberLimits = {}): number {
  const value = parseBigNumber(text, what);
  const most = Math.min(max ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  if (value > most) {
    throw new UsageError(`${what}: ${quoteText(text)} is too large; the most is ${most}`, { token: text });
  }
  if (value < min) {
    throw new UsageError(`${what}: ${quoteText(text)} is too small; the least is ${min}`, { token: text });
  }
  return Number(value);
}

/** The value of a well-formed number, however large. */
function readNumber(text: string): bigint | undefined {
  if (BASED.test(text)) return BigInt(text.replaceAll("_", ""));
  const [, digits, unit = ""] = DECIMAL.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return BigInt(digits.replaceAll("_", "")) << (UNIT_SHIFT[unit] ?? 0n);
}

/** Says why `text` is not a number, with the likeliest correct spelling. */
function advise(text: string): string {
  const octal = /^0+([0-9_]*)((?:[kKMGT](?:iB)?)?)$/.exec(text);
  if (octal !== null) {
    const digits = (octal[1] ?? "").replaceAll("_", "").replace(/^0+/, "") || "0";
    const unit = octal[2] ?? "";
    const spellings = unit === "" && digits !== "0" ? `${digits} or 0x${digits}` : digits + unit;
    return `a leading zero is not octal here, try ${spellings}`;
  }
  if (/^[-+]/.test(text)) return "a number has no sign here";
  if (/^0[XB]/.test(text)) {
    return suggest("the prefix is lower-case", text.slice(0, 2).toLowerCase() + text.slice(2));
  }
  if (/^(?:0[xb])?[0-9a-fA-F_]*[kKMGT]?$/.test(text) && /^_|__|_$|[xb]_|_[kKMGT]/.test(text)) {
    return `"_" stands between two digits only`;
  }
  if (/^0x[0-9a-fA-F_]*[kKMGT](?:iB)?$/.test(text)) return "a unit follows decimal digits only";

  const [, count = "", letter = "", rest = ""] = /^([0-9_]+)([kmgt])(i|i?b)?$/i.exec(text) ?? [];
  if (letter !== "") {
    const unit = letter.toUpperCase();
    if (/^b$/i.test(rest)) {
      return suggest(`units are powers of 1024, and ${unit}B is taken for 1000s`, `${count}${unit}iB`);
    }
    const spelling = rest === "" ? (unit === "K" ? "k" : unit) : `${unit}iB`;
    return suggest("the units are k, M, G and T, or KiB, MiB, GiB and TiB", count + spelling);
  }
  const bare = /^([0-9a-f_]+)h?$/i.exec(text);
  if (bare !== null) return suggest("hexadecimal starts with 0x", `0x${bare[1]}`);
  return "try 4096, 4k or 0x1000";
}

/** A reason, and `spelling` if that is indeed a number. */
function suggest(reason: string, spelling: string): string {
  return readNumber(spelling) === undefined ? reason : `${reason}, try ${spelling}`;
}
