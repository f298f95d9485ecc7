import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseBigNumber, parseNumber } from "./number.ts";
import { UsageError } from "./usage_error.ts";

const GOOD: readonly (readonly [string, bigint])[] = [
  ["0", 0n],
  ["4096", 4096n],
  ["1_000_000", 1_000_000n],
  ["0x0", 0n],
  ["0x1000", 0x1000n],
  ["0xDEAD_beef", 0xdeadbeefn],
  ["0x007", 7n],
  ["0b101", 5n],
  ["0b0000_0001", 1n],
  ["0k", 0n],
  ["4k", 4096n],
  ["4K", 4096n],
  ["64K", 65536n],
  ["4KiB", 4096n],
  ["4kiB", 4096n],
  ["4M", 4n << 20n],
  ["4MiB", 4n << 20n],
  ["1_0GiB", 10n << 30n],
  ["1TiB", 1n << 40n],
  ["4G", 4n << 30n],
  ["256T", 1n << 48n],
  ["1_0k", 10240n],
  ["18446744073709551615", (1n << 64n) - 1n],
  ["0xffff_ffff_ffff_ffff", (1n << 64n) - 1n],
  ["0x0000000000000000000ffff", 0xffffn],
  ["0b" + "1".repeat(64), (1n << 64n) - 1n],
  ["16777215T", 0xffffffn << 40n],
  ["0x" + "0".repeat(254), 0n],
];
for (const [text, value] of GOOD) {
  Deno.test(`parseBigNumber() reads ${text.slice(0, 30)}`, () =>
    assertEquals(parseBigNumber(text, "offset"), value));
}

const BAD: readonly (readonly [string, string])[] = [
  ["", `offset: "" is not a number; try 4096, 4k or 0x1000`],
  [" 1", `offset: " 1" is not a number; try 4096, 4k or 0x1000`],
  ["1\n", `offset: "1\\n" is not a number; try 4096, 4k or 0x1000`],
  ["\x1b[2J", `offset: "\\x1b[2J" is not a number; try 4096, 4k or 0x1000`],
  ["-1", `offset: "-1" is not a number; a number has no sign here`],
  ["+1", `offset: "+1" is not a number; a number has no sign here`],
  ["0778", `offset: "0778" is not a number; a leading zero is not octal here, try 778 or 0x778`],
  ["00", `offset: "00" is not a number; a leading zero is not octal here, try 0`],
  ["0_1", `offset: "0_1" is not a number; a leading zero is not octal here, try 1 or 0x1`],
  ["04k", `offset: "04k" is not a number; a leading zero is not octal here, try 4k`],
  ["_1", `offset: "_1" is not a number; "_" stands between two digits only`],
  ["1_", `offset: "1_" is not a number; "_" stands between two digits only`],
  ["1__0", `offset: "1__0" is not a number; "_" stands between two digits only`],
  ["4_k", `offset: "4_k" is not a number; "_" stands between two digits only`],
  ["0x_1", `offset: "0x_1" is not a number; "_" stands between two digits only`],
  ["0b_1", `offset: "0b_1" is not a number; "_" stands between two digits only`],
  ["0x", `offset: "0x" is not a number; try 4096, 4k or 0x1000`],
  ["0X10", `offset: "0X10" is not a number; the prefix is lower-case, try 0x10`],
  ["0Xzz", `offset: "0Xzz" is not a number; the prefix is lower-case`],
  ["0x10k", `offset: "0x10k" is not a number; a unit follows decimal digits only`],
  ["0x10KiB", `offset: "0x10KiB" is not a number; a unit follows decimal digits only`],
  ["04KiB", `offset: "04KiB" is not a number; a leading zero is not octal here, try 4KiB`],
  ["4m", `offset: "4m" is not a number; the units are k, M, G and T, or KiB, MiB, GiB and TiB, try 4M`],
  ["4mib", `offset: "4mib" is not a number; the units are k, M, G and T, or KiB, MiB, GiB and TiB, try 4MiB`],
  ["4Ki", `offset: "4Ki" is not a number; the units are k, M, G and T, or KiB, MiB, GiB and TiB, try 4KiB`],
  ["4KB", `offset: "4KB" is not a number; units are powers of 1024, and KB is taken for 1000s, try 4KiB`],
  ["4kb", `offset: "4kb" is not a number; units are powers of 1024, and KB is taken for 1000s, try 4KiB`],
  ["1GB", `offset: "1GB" is not a number; units are powers of 1024, and GB is taken for 1000s, try 1GiB`],
  ["ff", `offset: "ff" is not a number; hexadecimal starts with 0x, try 0xff`],
  ["10h", `offset: "10h" is not a number; hexadecimal starts with 0x, try 0x10`],
  ["0b12", `offset: "0b12" is not a number; hexadecimal starts with 0x, try 0x0b12`],
  ["1.5", `offset: "1.5" is not a number; try 4096, 4k or 0x1000`],
  ["1e3", `offset: "1e3" is not a number; hexadecimal starts with 0x, try 0x1e3`],
  ["١", `offset: "١" is not a number; try 4096, 4k or 0x1000`],
  ["18446744073709551616", `offset: "18446744073709551616" does not fit in 64 bits`],
  ["0x1_0000_0000_0000_0000", `offset: "0x1_0000_0000_0000_0000" does not fit in 64 bits`],
  ["16777216T", `offset: "16777216T" does not fit in 64 bits`],
  ["0x" + "0".repeat(255), `offset: "0x${"0".repeat(38)}…" is too long for a number`],
];
for (const [text, message] of BAD) {
  Deno.test(`parseBigNumber() refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
    const error = assertThrows(() => parseBigNumber(text, "offset"), UsageError);
    assertEquals(error.message, message);
    assertEquals(error.token, text);
  });
}

const LIMITS: readonly (readonly [string, { min?: number; max?: number }, number | string])[] = [
  ["0", {}, 0],
  ["9007199254740991", {}, Number.MAX_SAFE_INTEGER],
  ["9007199254740992", {}, `count: "9007199254740992" is too large; the most is 9007199254740991`],
  [
    "9007199254740992",
    { max: 2 ** 60 },
    `count: "9007199254740992" is too large; the most is 9007199254740991`,
  ],
  ["5", { min: 1, max: 5 }, 5],
  ["6", { min: 1, max: 5 }, `count: "6" is too large; the most is 5`],
  ["1", { min: 1, max: 5 }, 1],
  ["0", { min: 1, max: 5 }, `count: "0" is too small; the least is 1`],
];
for (const [text, limits, expected] of LIMITS) {
  Deno.test(`parseNumber() applies ${JSON.stringify(limits)} to ${text}`, () => {
    if (typeof expected === "number") return assertEquals(parseNumber(text, "count", limits), expected);
    const error = assertThrows(() => parseNumber(text, "count", limits), UsageError);
    assertEquals([error.message, error.token], [expected, text]);
  });
}

const numberish = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."0123456789abcxXkMGT_+- ") }),
);

Deno.test("parseBigNumber() and parseNumber() throw nothing but UsageError, free of control characters", () => {
  fc.assert(fc.property(numberish, (text) => {
    for (const parse of [parseBigNumber, parseNumber]) {
      try {
        parse(text, "value");
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        assertMatch(error.message, /^\P{Cc}+$/u);
        assertEquals(error.token, text);
      }
    }
  }));
});

Deno.test("parseBigNumber() advises only what it accepts", () => {
  fc.assert(fc.property(numberish, (text) => {
    try {
      parseBigNumber(text, "value");
    } catch (error) {
      const advice = error instanceof UsageError ? / try (\S+)(?: or (\S+))?$/.exec(error.message) : null;
      for (const spelling of advice?.slice(1) ?? []) {
        // 64 bits may still be too few for a spelling that is right.
        if (spelling !== undefined && spelling.length < 16) parseBigNumber(spelling, "advice");
      }
    }
  }));
});

Deno.test("parseBigNumber() reads back decimal, hexadecimal and binary", () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
    assertEquals(parseBigNumber(value.toString(), "value"), value);
    assertEquals(parseBigNumber(`0x${value.toString(16)}`, "value"), value);
    assertEquals(parseBigNumber(`0x${value.toString(16).toUpperCase()}`, "value"), value);
    assertEquals(parseBigNumber(`0b${value.toString(2)}`, "value"), value);
    assertEquals(parseBigNumber(value.toLocaleString("en").replaceAll(",", "_"), "value"), value);
  }));
});

Deno.test("parseNumber() reads back every safe integer", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (value) => {
    assertEquals(parseNumber(String(value), "value"), value);
    assertEquals(parseNumber(`0x${value.toString(16)}`, "value"), value);
  }));
});
