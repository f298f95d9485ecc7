/** `$((…))` against what shells and C say of the same expressions, and both sides of its limits. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { endOfArithmetic, parseArithmetic } from "./arithmetic.ts";
import { UsageError } from "./usage_error.ts";

const VARIABLES: Readonly<Record<string, string>> = {
  a: "7",
  tok: "0x22f890000000",
  minus: "-3",
  k: "4k",
  word: "hello",
};
const value = (text: string) => parseArithmetic(text).evaluate((name) => VARIABLES[name]!);

/** What bash's `$((…))` answers, but for the last rows, which are numbers of this language. */
const VALUES: readonly (readonly [text: string, value: bigint])[] = [
  ["1 + 2 * 3", 7n],
  ["(1 + 2) * 3", 9n],
  ["7 / 2", 3n],
  ["-7 / 2", -3n],
  ["-7 % 3", -1n],
  ["2 ** 3 ** 2", 512n],
  ["-2 ** 2", 4n],
  ["1 << 4 | 1", 17n],
  ["6 & 3 ^ 1", 3n],
  ["~0 & 0xff", 255n],
  ["!5", 0n],
  ["!0 + 1", 2n],
  ["3 > 2 == 1", 1n],
  ["1 < 2 && 2 < 1 || 5", 1n],
  ["0 ? 1 / 0 : 9", 9n],
  ["1 ? 2 : 0 ? 3 : 4", 2n],
  ["10 - 4 - 3", 3n],
  ["64 >> 2 >> 1", 8n],
  ["1 != 2", 1n],
  ["5 >= 5", 1n],
  [" a+ $a +${a} ", 21n],
  ["tok + 4k", 0x22f890001000n],
  ["k * 2", 8192n],
  ["minus * minus", 9n],
  ["1_000 + 0b11", 1003n],
  ["0xffffffffffffffff", 0xffff_ffff_ffff_ffffn],
  ["0xffff_ffff_ffff_ffff - 1", 0xffff_ffff_ffff_fffen],
  ["(0 - 1) ** 1000001", -1n],
  ["1 << 63", 1n << 63n],
];
for (const [text, expected] of VALUES) {
  Deno.test(`$((${text})) is ${expected}`, () => assertEquals(value(text), expected));
}

const REFUSED: readonly (readonly [text: string, message: RegExp])[] = [
  ["", /a value is missing/],
  ["1 +", /a value is missing/],
  ["(1", /a value is missing/],
  ["1 2", /"2" does not belong there/],
  ["1 ? 2", /a value is missing/],
  ["a = 3", /"= 3" is not understood/],
  ["1 # 2", /"# 2" is not understood/],
  ["1 / 0", /a division by zero/],
  ["1 % (1 - 1)", /a division by zero/],
  ["1 << 64", /a shift by 64; shift by 0 to 63/],
  ["1 >> -1", /a shift by -1/],
  ["2 ** -1", /the exponent -1 is negative/],
  ["2 ** 64", /does not fit in 64 bits/],
  ["9 ** 999999999", /does not fit in 64 bits/],
  ["0xffffffffffffffff + 1", /does not fit in 64 bits/],
  ["0x10000000000000000", /does not fit in 64 bits/],
  ["010", /a leading zero is not octal here/],
  ["word", /\$word: "hello" is not a number/],
  ["(".repeat(1000), /brackets go too deep/],
  ["-".repeat(1000) + "1", /signs go too deep/],
  ["1" + "**1".repeat(1000), /brackets go too deep/],
];
for (const [text, message] of REFUSED) {
  Deno.test(`$((${text.slice(0, 30)})) is refused`, () => {
    const error = assertThrows(() => value(text), UsageError);
    assertEquals(message.test(error.message), true, error.message);
  });
}

Deno.test("arithmetic tells its variables, and where it ends", () => {
  assertEquals(parseArithmetic("a + b * ${c} - 1").names, ["a", "b", "c"]);
  assertEquals(endOfArithmetic("x$((1+(2)))y", 1), 11);
  for (const text of ["$((1", "$((1)", "$((1) )", "$(((1))"]) assertEquals(endOfArithmetic(text, 0), -1);
});

Deno.test("arithmetic agrees with the engine's own whole numbers", () => {
  const leaf = fc.bigInt(0n, 0xffffn).map((number) => [String(number), `${number}n`] as const);
  type Pair = readonly [ours: string, engine: string];
  const { tree } = fc.letrec<{ tree: Pair }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.tuple(tie("tree"), fc.constantFrom("+", "-", "*", "&", "|", "^"), tie("tree"))
        .map(([[a, x], sign, [b, y]]) => [`${a} ${sign} ${b}`, `${x} ${sign} ${y}`] as const),
      tie("tree").map(([a, x]) => [`(${a})`, `(${x})`] as const),
      tie("tree").map(([a, x]) => [`- ${a}`, `- ${x}`] as const),
    ),
  }));
  const most = (1n << 64n) - 1n;
  fc.assert(fc.property(tree, ([ours, engine]) => {
    const expected = new Function(`return ${engine}`)() as bigint;
    try {
      assertEquals(value(ours), expected, ours);
    } catch (error) {
      // A value on the way was beyond 64 bits.
      if (!(error instanceof UsageError)) throw error;
      assertEquals(/64 bits/.test(error.message), true, error.message);
    }
    return expected <= most || expected > most;
  }));
});
