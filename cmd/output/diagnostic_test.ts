import {
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { displayWidth, formatDiagnostic } from "./diagnostic.ts";
import { escapeText, quoteText } from "../language/quote.ts";
import { PlacedError, UsageError } from "../language/usage_error.ts";

Deno.test("formatDiagnostic() puts the caret under the column", () => {
  const place = { file: "demo.ism", line: 4, column: 10 };
  const source = "stb bar0 0xff8 seq:0*9";
  assertEquals(
    formatDiagnostic(place, source, "Length 9 at 0xff8 crosses a 4096-byte boundary"),
    `demo.ism:4:10: Length 9 at 0xff8 crosses a 4096-byte boundary
4 | stb bar0 0xff8 seq:0*9
             ^`,
  );
});

// The padding starts with the gutter's four columns.
const CARETS: readonly (readonly [string, string, number, string])[] = [
  ["keeps tabs", "\ta\tbc", 5, "    \t \t ^"],
  ["counts wide characters twice", "天地x", 3, "        ^"],
  ["counts combining characters not at all", "e\u0301x", 3, "     ^"],
  ["counts escapes as they are printed", "\x1bx", 2, "        ^"],
  ["goes behind the last character", "ab", 3, "      ^"],
  ["stays at the end when the column is beyond", "ab", 99, "      ^"],
  ["stays at the start when the column is zero", "ab", 0, "    ^"],
  ["stays before a character of two units", "\u{1f600}b", 2, "    ^"],
  ["works on an empty line", "", 1, "    ^"],
];
for (const [what, source, column, caret] of CARETS) {
  Deno.test(`formatDiagnostic() ${what}`, () => {
    const lines = formatDiagnostic({ file: "f", line: 1, column }, source, "m").split("\n");
    assertEquals(lines.length, 3);
    assertEquals(lines[2], caret);
  });
}

Deno.test("formatDiagnostic() shows unsafe text as escapes", () => {
  const text = formatDiagnostic({ file: "a\nb", line: 1, column: 1 }, "\x1b[2J\u202e", "no\x07");
  assertEquals(text.split("\n").slice(0, 2), ["a\\nb:1:1: no\\x07", "1 | \\x1b[2J\\u{202e}"]);
});

Deno.test("formatDiagnostic() shortens a line at 100 columns", () => {
  const shown = (length: number, column: number) => {
    const lines = formatDiagnostic({ file: "f", line: 1, column }, "a".repeat(length), "m").split("\n");
    return [lines[1], lines[2]?.length];
  };
  assertEquals(shown(95, 96), ["1 | " + "a".repeat(95), 100]);
  assertEquals(shown(96, 1), ["1 | " + "a".repeat(93) + "…", 5]);
  assertEquals(shown(300, 301), ["1 | …" + "a".repeat(93), 99]);
  const [middle = "", caret] = shown(300, 150);
  assertMatch(String(middle), /^1 \| …a{93}…$/);
  assertEquals(caret, 4 + 1 + 46 + 1);
});

const anyLine = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.string({ unit: "grapheme", minLength: 50, maxLength: 400 }),
  fc.string({ unit: fc.constantFrom("a", "\t", "天", "\u{1f600}", "\x1b", "\u0301"), maxLength: 600 }),
);

Deno.test("formatDiagnostic() keeps source and caret within 100 columns and shows what the caret points at", () => {
  fc.assert(fc.property(anyLine, fc.nat(700), (source, column) => {
    const lines = formatDiagnostic({ file: "f", line: 12, column }, source, "m").split("\n");
    assertEquals(lines.length, 3);
    for (const line of lines) {
      assertLessOrEqual(displayWidth(line.replaceAll("\t", "        ")), 100);
      assertMatch(line, /^[\P{Cc}\t]*$/u);
    }
    // Cut the printed line at the caret by width: the next printed character is the one at the column.
    const at = Math.min(Math.max(column - 1, 0), source.length);
    const pointed = String.fromCodePoint(source.codePointAt(at) ?? 0x20);
    if (at === source.length || pointed === "\t" || displayWidth(pointed) === 0) return;
    const lowHalf = at > 0 && (source.codePointAt(at - 1) ?? 0) > 0xffff;
    if (lowHalf) return;
    const caret = displayWidth((lines[2] ?? "").replaceAll("\t", "x")) - 1;
    let rest = [...(lines[1] ?? "").replaceAll("\t", "x")];
    let width = 0;
    while (width < caret) {
      width += displayWidth(rest[0] ?? "");
      rest = rest.slice(1);
    }
    while (rest[0] !== undefined && displayWidth(rest[0]) === 0) rest = rest.slice(1);
    assertEquals(rest.join("").slice(0, escapeText(pointed).length), escapeText(pointed));
  }));
});

Deno.test("formatDiagnostic() is quick on a line of a mebibyte", () => {
  const text = formatDiagnostic({ file: "f", line: 1, column: 500_000 }, "\u0301".repeat(1 << 20), "m");
  assertLessOrEqual(text.length, 1000);
});

const WIDTHS: readonly (readonly [string, number])[] = [
  ["", 0],
  ["plain ~", 7],
  ["\x1b\n\x7f", 0],
  ["é", 1],
  ["e\u0301", 1],
  ["soft\u00adhyphen", 11],
  ["a\u200db", 2],
  ["\u10ff\u1100\u115f\u1160", 5],
  ["\uabff\uac00\ud7a3\ud7b0", 6],
  ["\uff61\uff60", 3],
  ["天地玄黃", 8],
  ["ｆｕｌｌ", 8],
  ["голубой", 7],
  ["\u{1f600}", 2],
  ["\u{1f1e6}\u{1f1fa}", 2],
  ["\u{1ffff}\u{20000}", 3],
];
for (const [text, width] of WIDTHS) {
  Deno.test(`displayWidth() of ${JSON.stringify(text)} is ${width}`, () =>
    assertEquals(displayWidth(text), width));
}

const ESCAPES: readonly (readonly [string, string])[] = [
  ["plain ~", "plain ~"],
  ["\x00\x1f\x7f", "\\x00\\x1f\\x7f"],
  ["\x80\x9f\xa0", "\\x80\\x9f\xa0"],
  ["a\nb\tc\rd", "a\\nb\\tc\\x0dd"],
  ["\u2029\u202a\u202e\u202f", "\u2029\\u{202a}\\u{202e}\u202f"],
  ["\u2065\u2066\u2069\u206a", "\u2065\\u{2066}\\u{2069}\u206a"],
  ["\ufefe\ufeff", "\ufefe\\u{feff}"],
  ["\ud800x\udc00", "\\u{d800}x\\u{dc00}"],
  ["\u{1f600}é天", "\u{1f600}é天"],
];
for (const [text, escaped] of ESCAPES) {
  Deno.test(`escapeText() makes ${JSON.stringify(text)} safe`, () => assertEquals(escapeText(text), escaped));
}

Deno.test("escapeText() keeps newline and tab when asked, and no other control character", () => {
  assertEquals(escapeText("a\n\tb\r\x1b", { keepNewline: true }), "a\n\tb\\x0d\\x1b");
});

Deno.test("escapeText() leaves nothing unsafe and is idempotent", () => {
  fc.assert(fc.property(fc.array(fc.nat(0xffff)), (units) => {
    const text = String.fromCharCode(...units);
    const escaped = escapeText(text);
    assertMatch(escaped, /^[^\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\ufeff]*$/u);
    assertEquals(escapeText(escaped), escaped);
    const kept = escapeText(text, { keepNewline: true });
    assertMatch(kept.replaceAll(/[\n\t]/g, ""), /^[^\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\ufeff]*$/u);
  }));
});

Deno.test("quoteText() cuts what is over its limit, between characters", () => {
  assertEquals(quoteText("a".repeat(40)), `"${"a".repeat(40)}"`);
  assertEquals(quoteText("a".repeat(41)), `"${"a".repeat(40)}…"`);
  assertEquals(quoteText("a\u{1f600}", 2), `"a…"`);
  assertEquals(quoteText("\x07"), `"\\x07"`);
});

Deno.test("PlacedError() is a UsageError with a place", () => {
  const cause = new UsageError("no such region", { token: "bar9", hint: "bar0 to bar5" });
  const error = new PlacedError({ file: "f", line: 2, column: 6 }, "peek bar9", cause);
  assertInstanceOf(error, UsageError);
  assertEquals([error.name, error.message, error.token], ["PlacedError", "no such region", "bar9"]);
  assertEquals([error.hint, error.cause], ["bar0 to bar5", cause]);
  assertStringIncludes(formatDiagnostic(error.place, error.source, error.message), "f:2:6: no such region\n");
});
