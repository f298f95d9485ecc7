import { assertEquals, assertThrows } from "@std/assert";
import { GLOBAL_OPTIONS, VALUE_OPTIONAL } from "./globals.ts";
import { literalWord, readOptions } from "./options.ts";
import { UsageError } from "./usage_error.ts";

/** Reads words as they come from a command line. */
function read(line: string, stopAfter = Infinity) {
  const words = line.split(" ").filter((text) => text !== "").map((text, i) => literalWord(text, i + 1));
  const { options, positionals, next } = readOptions(words, GLOBAL_OPTIONS, {
    stopAfter,
    implied: VALUE_OPTIONAL,
  });
  return {
    options: Object.fromEntries([...options].map(([key, list]) => [key, list.map(({ text }) => text)])),
    positionals: positionals.map(({ text }) => text),
    next,
  };
}

Deno.test.each([
  { line: "peek --json bar0", options: { json: [] }, positionals: ["peek", "bar0"] },
  { line: "--host a --host=b", options: { host: ["a", "b"] }, positionals: [] },
  { line: "--host=a=b", options: { host: ["a=b"] }, positionals: [] },
  { line: "-d 1 -d1 -d=1", options: { device: ["1", "1", "1"] }, positionals: [] },
  { line: "-vqd1", options: { device: ["1"], quiet: [], verbose: [] }, positionals: [] },
  { line: "-vd 1", options: { device: ["1"], verbose: [] }, positionals: [] },
  { line: "-d - -", options: { device: ["-"] }, positionals: ["-"] },
  { line: "peek -- --json -x", options: {}, positionals: ["peek", "--json", "-x"] },
  { line: "--trace peek", options: { trace: ["syscall,insn,device,irq"] }, positionals: ["peek"] },
  { line: "--trace=insn peek", options: { trace: ["insn"] }, positionals: ["peek"] },
])("readOptions() of $line", ({ line, options, positionals }) => {
  const read_ = read(line);
  assertEquals([read_.options, read_.positionals], [options, positionals]);
});

Deno.test.each([
  { line: "--jsn", message: '"--jsn" is not an option here' },
  { line: "-x", message: '"-x" is not an option here' },
  { line: "-1", message: '"-1" is not an option here' },
  { line: "--_", message: '"--_" is not an option here' },
  { line: "--_=3 peek", message: '"--_=3" is not an option here' },
  { line: "--__proto__=1", message: '"--__proto__=1" is not an option here' },
  { line: "--host", message: "--host needs a value: FILE" },
  { line: "--host=", message: "--host needs a value: FILE" },
  { line: "--host --json", message: "--host needs a value: FILE" },
  { line: "-c", message: "-c needs a value: LINE" },
  { line: "--host -- x", message: '"--host" needs a value before "--"' },
  { line: "--json=1", message: "--json takes no value" },
  { line: "-v=1", message: "--verbose takes no value" },
])("readOptions() refuses $line", ({ line, message }) => {
  assertEquals(assertThrows(() => read(line), UsageError).message, message);
});

Deno.test("readOptions() stops behind the words that it was asked for", () => {
  const { options, positionals, next } = read("-v peek -q bar0", 1);
  assertEquals({ options, positionals, next }, { options: { verbose: [] }, positionals: ["peek"], next: 2 });
});
