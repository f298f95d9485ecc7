import { assertEquals } from "@std/assert";
import { nearest } from "./nearest.ts";

const WORDS = ["peek", "poke", "stb", "status", "host show", "dmb register"];

Deno.test.each([
  { typed: "pek", word: "peek" },
  { typed: "PEEK", word: "peek" },
  { typed: "statsu", word: "status" },
  { typed: "dmb registre", word: "dmb register" },
  // Farther than a third of what was typed.
  { typed: "frob", word: undefined },
  { typed: "constructor", word: undefined },
  { typed: "p", word: undefined },
  { typed: "", word: undefined },
  { typed: "x".repeat(41), word: undefined },
])("nearest() of $typed is $word", ({ typed, word }) => {
  assertEquals(nearest(typed, WORDS), word);
});
