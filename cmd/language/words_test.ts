import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlacedError, UsageError } from "./usage_error.ts";
import { MAX_LINE_LENGTH } from "./limits.ts";
import { locate, placeError, splitLines } from "./lines.ts";
import { expand, splitWords, type Word } from "./words.ts";

const PLACE = { file: "f.ism", line: 3 };
const words = (text: string) => splitWords(text, PLACE);
const texts = (text: string) => words(text).map((word) => word.text);

/** The first (and only) logical line of a text. */
function onlyLine(text: string) {
  const [line, ...others] = splitLines(text, "f.ism");
  assert(line !== undefined && others.length === 0);
  return line;
}

const SPLITS: readonly (readonly [string, readonly string[]])[] = [
  ["", []],
  [" \t ", []],
  ["peek bar0 0x10", ["peek", "bar0", "0x10"]],
  ["\tpeek  bar0\t", ["peek", "bar0"]],
  ["peek # bar0", ["peek"]],
  ["# peek", []],
  ["peek#bar0 a#", ["peek#bar0", "a#"]],
  [`'#' "#" \\#`, ["#", "#", "#"]],
  [`''#a`, ["#a"]],
  [`\\ #a`, [" #a"]],
  [`'a b'"c d"e`, ["a bc de"]],
  [`'' ""`, ["", ""]],
  [`'a\\b"$x'`, [`a\\b"$x`]],
  [`"a\\"b\\\\c\\$d\\n'"`, [`a"b\\c$d\\n'`]],
  [`a\\ b \\' \\" \\\\ \\$x \\n`, ["a b", "'", `"`, "\\", "$x", "n"]],
  ["text:é\u{1f600} 天", ["text:é\u{1f600}", "天"]],
  ["$tok a${b}c", ["$tok", "a${b}c"]],
  [`"$tok"'$tok'`, ["$tok$tok"]],
];
for (const [text, expected] of SPLITS) {
  Deno.test(`splitWords() splits ${JSON.stringify(text)}`, () => assertEquals(texts(text), [...expected]));
}

Deno.test("splitWords() tells parts, column and quotes of each word", () => {
  const expected: Word[] = [
    { parts: [{ kind: "literal", text: "move" }], text: "move", column: 1, quoted: false },
    { parts: [{ kind: "variable", name: "tok" }], text: "$tok", column: 6, quoted: false },
    {
      parts: [
        { kind: "literal", text: "a" },
        { kind: "variable", name: "b_1" },
        { kind: "literal", text: "$c" },
        { kind: "variable", name: "d" },
      ],
      text: "a${b_1}$c$d",
      column: 12,
      quoted: true,
    },
    { parts: [], text: "", column: 29, quoted: true },
    { parts: [{ kind: "literal", text: "-n" }], text: "-n", column: 32, quoted: true },
  ];
  assertEquals(words(`move $tok  a\${b_1}'$c'"$d"  '' \\-n`), expected);
});

Deno.test("splitWords() ends a variable name where it ends", () => {
  assertEquals(words("$a.b")[0]?.parts, [{ kind: "variable", name: "a" }, { kind: "literal", text: ".b" }]);
  assertEquals(words("$_9$x")[0]?.parts, [{ kind: "variable", name: "_9" }, { kind: "variable", name: "x" }]);
});

const REFUSALS: readonly (readonly [string, number, string])[] = [
  ["a 'b c", 3, "the ' quote has no end"],
  [`a "b c`, 3, `the " quote has no end`],
  [`a "b\\"`, 3, `the " quote has no end`],
  [`'a' b"c'`, 6, `the " quote has no end`],
  ["a b\\", 4, "nothing follows the backslash"],
  ["a $", 3, "no variable name after $; write \\$ for a dollar sign"],
  ["a $1", 3, "no variable name after $; write \\$ for a dollar sign"],
  [`a "$ "`, 4, "no variable name after $; write \\$ for a dollar sign"],
  ["${a", 1, "no variable name after $; write \\$ for a dollar sign"],
  ["${}", 1, "no variable name after $; write \\$ for a dollar sign"],
  ["${1}", 1, "no variable name after $; write \\$ for a dollar sign"],
  ["$(a)", 1, "no variable name after $; write \\$ for a dollar sign"],
  ["a\nb", 2, "a line break within a line; put one command on a line"],
  ["a\rb", 2, "a line break within a line; put one command on a line"],
];
for (const [text, column, message] of REFUSALS) {
  Deno.test(`splitWords() refuses ${JSON.stringify(text)}`, () => {
    const error = assertThrows(() => words(text), PlacedError);
    assertInstanceOf(error, UsageError);
    assertEquals(error.message, message);
    assertEquals(error.place, { file: "f.ism", line: 3, column });
    assertEquals(error.source, text);
  });
}

const lineish = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."ab1_'\"\\$\\{}# \t\n\r") }),
);

Deno.test("splitWords() throws nothing but a placed UsageError", () => {
  fc.assert(
    fc.property(lineish, (text) => {
      try {
        for (const word of words(text)) {
          assert(word.column >= 1 && word.column <= text.length);
          assert(word.text !== "" || word.quoted);
        }
      } catch (error) {
        if (!(error instanceof PlacedError)) throw error;
        assert(error.place.column >= 1 && error.place.column <= text.length + 1);
      }
    }),
    { numRuns: 1000 },
  );
});

const anyText = fc.oneof(fc.string({ unit: "binary" }), lineish);

Deno.test("splitWords() reads back any text in single quotes", () => {
  fc.assert(fc.property(fc.array(anyText), (values) => {
    const quoted = values.map((value) => `'${value.replaceAll("'", `'\\''`)}'`).join(" ");
    const read = words(quoted);
    assertEquals(read.map((word) => expand(word, () => undefined)), values);
    assert(read.every((word) => word.quoted));
  }));
});

Deno.test("splitWords() reads back any text in double quotes", () => {
  fc.assert(fc.property(fc.array(anyText), (values) => {
    const quoted = values.map((value) => `"${value.replaceAll(/["\\$]/g, "\\$&")}"`).join("\t");
    assertEquals(words(quoted).map((word) => expand(word, () => undefined)), values);
  }));
});

Deno.test("splitWords() reads back any one-line text with a backslash before each unit", () => {
  fc.assert(fc.property(anyText.filter((text) => text !== ""), (value) => {
    const escaped = value.split("").map((unit) => "\\" + unit).join("");
    assertEquals(words(escaped).map((word) => word.text), [value]);
  }));
});

const LINES: readonly (readonly [string, readonly (readonly [number, string, boolean])[]])[] = [
  ["", []],
  ["\n", [[1, "", false]]],
  ["a", [[1, "a", false]]],
  ["a\n\nb\n", [[1, "a", false], [2, "", false], [3, "b", false]]],
  ["a\r\nb\r\n", [[1, "a", false], [2, "b", false]]],
  ["a \\\nb\nc", [[1, "a b", false], [3, "c", false]]],
  ["a \\\r\nb\r\nc", [[1, "a b", false], [3, "c", false]]],
  ["a\\\nb\\\nc\nd", [[1, "abc", false], [4, "d", false]]],
  ["a\\\\\nb", [[1, "a\\\\", false], [2, "b", false]]],
  ["a\\\\\\\nb", [[1, "a\\\\b", false]]],
  ["a \\ \nb", [[1, "a \\ ", false], [2, "b", false]]],
  ["\\\n\\\n\\\na\nb", [[1, "a", false], [5, "b", false]]],
  ["'a\\\nb'", [[1, "'ab'", false]]],
  ["a\\", [[1, "a\\", true]]],
  ["a\\\n", [[1, "a\\", true]]],
  ["a \\\nb\\\n", [[1, "a b\\", true]]],
  ["# a\\\nb", [[1, "# a\\", false], [2, "b", false]]],
  ["a # b\\\nc", [[1, "a # b\\", false], [2, "c", false]]],
  ["a \\\n# b\\\nc", [[1, "a # b\\", false], [3, "c", false]]],
  ["a\\\n#b\\\nc", [[1, "a#bc", false]]],
  ["'a \\\n# b' \\\nc", [[1, "'a # b' c", false]]],
  ["# a\\", [[1, "# a\\", false]]],
];
for (const [text, expected] of LINES) {
  Deno.test(`splitLines() splits ${JSON.stringify(text)}`, () => {
    assertEquals(
      splitLines(text).map(({ line, text, open }) => [line, text, open]),
      expected.map((row) => [...row]),
    );
  });
}

Deno.test("splitLines() refuses a NUL character where it is", () => {
  const error = assertThrows(() => splitLines("a\nb \\\nc\0", "f.ism"), PlacedError);
  assertEquals(error.message, "a NUL character; a script is plain text");
  assertEquals(error.place, { file: "f.ism", line: 3, column: 2 });
});

Deno.test("splitLines() takes a line of 1 MiB, joined or not, and none that is longer", () => {
  const half = "a".repeat(MAX_LINE_LENGTH / 2);
  assertEquals(splitLines(half + half).length, 1);
  assertEquals(splitLines(`${half}\\\n${half}`)[0]?.text.length, MAX_LINE_LENGTH);
  const message = "the line is longer than 1 MiB; large data belongs in a file, as file:PATH";
  const single = assertThrows(() => splitLines(`\n${half}${half}b`), PlacedError, message);
  assertEquals(single.place, { file: "-", line: 2, column: 1 });
  const joined = assertThrows(() => splitLines(`${half}\\\n${half}b`), PlacedError, message);
  assertEquals(joined.place.line, 2);
});

Deno.test("splitLines() is linear in the number of continued lines", () => {
  assertEquals(splitLines("a \\\n".repeat(200_000) + "b")[0]?.text.length, 400_001);
});

Deno.test("locate() finds the physical line and column of a joined column", () => {
  const line = onlyLine("ab \\\n  cd\\\n\\\ne");
  assertEquals(line.text, "ab   cde");
  assertEquals(locate(line, 1), { line: 1, column: 1, source: "ab \\" });
  assertEquals(locate(line, 3), { line: 1, column: 3, source: "ab \\" });
  assertEquals(locate(line, 4), { line: 2, column: 1, source: "  cd\\" });
  assertEquals(locate(line, 7), { line: 2, column: 4, source: "  cd\\" });
  assertEquals(locate(line, 8), { line: 4, column: 1, source: "e" });
  assertEquals(locate(line, 9), { line: 4, column: 2, source: "e" });
});

Deno.test("locate() points at the same character in the source as in the joined text", () => {
  fc.assert(fc.property(fc.array(lineish), (pieces) => {
    for (const logical of splitLines(pieces.join("\\\n").replaceAll("\0", ""))) {
      for (let i = 0; i < logical.text.length; i++) {
        const { column, source } = locate(logical, i + 1);
        assertEquals(source.charAt(column - 1), logical.text.charAt(i));
      }
    }
  }));
});

Deno.test("splitLines() throws nothing but PlacedError and keeps every line in order", () => {
  fc.assert(fc.property(lineish, (text) => {
    try {
      const pieces = splitLines(text).flatMap((logical) => logical.pieces);
      assertEquals(pieces.map((piece) => piece.line), pieces.map((_, i) => i + 1));
      const sources = text.split("\n").map((line) => line.replace(/\r$/, ""));
      assertEquals(
        pieces.map((piece) => piece.source),
        text.endsWith("\n") || text === "" ? sources.slice(0, -1) : sources,
      );
    } catch (error) {
      if (!(error instanceof PlacedError)) throw error;
    }
  }));
});

Deno.test("splitWords() places an error in a continued line where it is in the file", () => {
  const line = onlyLine("peek \\\n  bar0 'x");
  const error = assertThrows(() => splitWords(line, { file: "f.ism", line: line.line }), PlacedError);
  assertEquals(error.place, { file: "f.ism", line: 2, column: 8 });
  assertEquals(error.source, "  bar0 'x");
});

Deno.test("splitWords() refuses a line that is open at the end of the file", () => {
  const error = assertThrows(() => splitWords(onlyLine("peek \\\nbar0 \\"), PLACE), PlacedError);
  assertEquals(error.message, "nothing follows the backslash");
  assertEquals(error.place, { file: "f.ism", line: 2, column: 6 });
});

Deno.test("placeError() keeps sentence, token and hint", () => {
  const cause = new UsageError("no", { token: "x", hint: "y" });
  const error = placeError(cause, "f.ism", onlyLine("a \\\nx"), 3);
  assertEquals([error.message, error.token, error.hint], ["no", "x", "y"]);
  assertEquals(error.place, { file: "f.ism", line: 2, column: 1 });
});

Deno.test("expand() puts values in, as one word and only once", () => {
  const values = new Map([["tok", "0x10"], ["s", "a b $tok"], ["empty", ""]]);
  const expandAll = (text: string) => words(text).map((word) => expand(word, (name) => values.get(name)));
  assertEquals(expandAll(`move $tok x\${tok}y "$s" $s '$tok' \\$tok $empty`), [
    "move",
    "0x10",
    "x0x10y",
    "a b $tok",
    "a b $tok",
    "$tok",
    "$tok",
    "",
  ]);
});

Deno.test("expand() names the unknown variable", () => {
  const [word] = words("a${tok}b");
  assert(word !== undefined);
  const error = assertThrows(() => expand(word, () => undefined), UsageError);
  assertEquals(error.message, `there is no variable "$tok"`);
  assertEquals(error.token, "a${tok}b");
  assertEquals(error.hint, "let tok COMMAND… sets it; \\$ is a dollar sign");
});
