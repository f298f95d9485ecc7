/** Times that a user gives. */
import { quoteText } from "./quote.ts";
import { MAX_CHARS, parseNumber } from "./number.ts";
import { UsageError } from "./usage_error.ts";

/** The machine's clock counts microseconds; nothing is shorter. */
const MICROSECONDS: Readonly<Record<string, bigint>> = {
  us: 1n,
  ms: 1000n,
  s: 1_000_000n,
  m: 60_000_000n,
  min: 60_000_000n,
  h: 3_600_000_000n,
};
const TIME = /^(0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.([0-9]+))?(us|ms|s|min|m|h)?$/;
const SECOND = MICROSECONDS["s"]!;

/** Parses 10, 0.5, 0x10, 500ms, 2s, 3m or 1h, up to `max` seconds. @returns seconds, exact to the microsecond @throws {UsageError} */
export function parseDuration(text: string, what: string, max: number): number {
  if (text.length > MAX_CHARS) {
    throw new UsageError(`${what}: ${quoteText(text)} is too long for a number`, { token: text });
  }
  if (/^0[xb]/.test(text)) return parseNumber(text, what, { max });
  const [, whole, fraction = "", unit = "s"] = TIME.exec(text) ?? [];
  if (whole === undefined) {
    throw new UsageError(`${what}: ${quoteText(text)} is not a time; ${advise(text)}`, { token: text });
  }
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole.replaceAll("_", "") + fraction) * MICROSECONDS[unit]!;
  if (scaled % scale !== 0n) {
    throw new UsageError(`${what}: ${quoteText(text)} is finer than a microsecond; try 0.000001`, {
      token: text,
    });
  }
  const microseconds = scaled / scale;
  if (microseconds > BigInt(max) * SECOND) {
    throw new UsageError(`${what}: ${quoteText(text)} is too large; the most is ${max} seconds`, {
      token: text,
    });
  }
  return Number(microseconds) / Number(SECOND);
}

/** Says why `text` is not a time, with the likeliest correct spelling. */
function advise(text: string): string {
  if (/^[-+]/.test(text)) return "a time has no sign here";
  const bare = /^([0-9]*)\.([0-9]*)$/.exec(text);
  if (bare !== null) {
    const [, whole = "", fraction = ""] = bare;
    return `try ${whole.replace(/^0+(?=[0-9])/, "") || "0"}${fraction === "" ? "" : `.${fraction}`}`;
  }
  const [, days] = /^([1-9][0-9]{0,2}) ?(?:d|days?)$/i.exec(text) ?? [];
  if (days !== undefined) return `the longest unit is h, try ${Number(days) * 24}h`;
  const [, count, name = ""] = /^([1-9][0-9]*(?:\.[0-9]+)?) ?([a-zA-Zµ]+)$/.exec(text) ?? [];
  const unit = LIKELY[name] ?? LIKELY[name.toLowerCase()];
  if (count !== undefined && unit !== undefined) {
    return `the units are us, ms, s, m and h, try ${count}${unit}`;
  }
  return "try 10, 0.5, 500ms, 3m or 1h";
}

/** Other names of the units. */
const LIKELY: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["us", "µs", "usec", "usecs", "microseconds"].map((name) => [name, "us"])),
  ...Object.fromEntries(["ms", "msec", "msecs", "milliseconds"].map((name) => [name, "ms"])),
  ...Object.fromEntries(["s", "sec", "secs", "second", "seconds"].map((name) => [name, "s"])),
  ...Object.fromEntries(["m", "min", "mins", "minute", "minutes"].map((name) => [name, "m"])),
  ...Object.fromEntries(["h", "hr", "hrs", "hour", "hours"].map((name) => [name, "h"])),
};
