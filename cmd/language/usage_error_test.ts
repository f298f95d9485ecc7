import { assertEquals, assertInstanceOf } from "@std/assert";
import { FileError, UsageError } from "./usage_error.ts";

Deno.test("UsageError() keeps token and hint, and has neither by default", () => {
  const plain = new UsageError("no such command");
  assertEquals([plain.name, plain.message], ["UsageError", "no such command"]);
  assertEquals([plain.token, plain.hint], [undefined, undefined]);

  const full = new UsageError("no such command", { token: "pek", hint: "did you mean peek?" });
  assertEquals([full.token, full.hint], ["pek", "did you mean peek?"]);
  assertInstanceOf(full, Error);
});

Deno.test("FileError() keeps path and cause", () => {
  const cause = new Error("os error 2");
  const error = new FileError("a.bin", "a.bin does not exist", { cause });
  assertEquals([error.name, error.path, error.message], ["FileError", "a.bin", "a.bin does not exist"]);
  assertEquals(error.cause, cause);
});
