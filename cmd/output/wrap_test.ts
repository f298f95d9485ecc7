import { assert, assertEquals } from "@std/assert";
import { definitions, paragraph, wrap } from "./wrap.ts";

Deno.test("wrap() breaks at spaces, and only where it must", () => {
  assertEquals(wrap("one two three", 7), ["one two", "three"]);
  assertEquals(wrap("one two three", 6), ["one", "two", "three"]);
  assertEquals(wrap("  one\n two ", 80), ["one two"]);
  assertEquals(wrap("unbreakable word", 4), ["unbreakable", "word"]);
  assertEquals(wrap("", 10), []);
});

Deno.test("definitions() aligns meanings, and puts them below on a narrow terminal", () => {
  const rows = [["a", "first meaning"], ["long term", "second"]] as const;
  assertEquals(definitions(rows, 80), "  a          first meaning\n  long term  second\n");
  assertEquals(definitions(rows, 30), "  a\n      first meaning\n  long term\n      second\n");
});

Deno.test("definitions() keeps within the columns", () => {
  const rows = [["term", "word ".repeat(60)], ["--other", "word ".repeat(3)]] as const;
  for (let columns = 40; columns < 130; columns++) {
    for (const line of definitions(rows, columns).split("\n")) assert(line.length <= columns, line);
  }
});

Deno.test("paragraph() indents by two", () => {
  assertEquals(paragraph("one two", 80), "  one two\n");
});
