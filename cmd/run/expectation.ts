/** What `expect` compares with: an errno and its rule, any failure, a value, or bytes. */
import { ERRNO } from "../../lib/vfio/errno.ts";
import type { AnyCommand, Kind, Result } from "../language/command.ts";
import { describeFailure, EXIT, ExpectError, returnCodeRule } from "../output/failure.ts";
import { DATA_FORM_NAMES, type DataIo, type DataSource, parseData } from "../language/data.ts";
import { quoteText } from "../language/quote.ts";
import { parseNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";

/** An expected outcome. */
export type Expectation =
  | { readonly kind: "fail" }
  | { readonly kind: "ok" }
  | { readonly kind: "code"; readonly code: string; readonly rule?: string }
  | { readonly kind: "data"; readonly data: DataSource }
  | { readonly kind: "value"; readonly value: string };

/** Failures that have a word of their own instead of an errno. */
const OWN_CODES = ["RET", "DRIVER", "MACHINE", "HANG"];

/** `EINVAL`, `EINVAL:RULE`, `MACHINE:RULE`, `RET:CODE`, `fail`, `ok`, `=VALUE`, or DATA. */
export const EXPECTATION: Kind<Expectation> = {
  placeholder: "WHAT",
  choices: [
    "ok",
    "fail",
    ...OWN_CODES,
    ...Object.keys(ERRNO),
    ...DATA_FORM_NAMES.map((name) => `${name}:`),
  ],
  parse(text) {
    if (text === "fail" || text === "ok") return { kind: text };
    if (Object.hasOwn(ERRNO, text) || OWN_CODES.includes(text)) return { kind: "code", code: text };
    const [, code = "", rule = ""] = /^([A-Z0-9]+):(.+)$/.exec(text) ?? [];
    if (code === "RET") {
      return { kind: "code", code, rule: returnCodeRule(parseNumber(rule, "RET:CODE", { max: 0xffff })) };
    }
    if (Object.hasOwn(ERRNO, code) || code === "MACHINE") return { kind: "code", code, rule };
    if (text.startsWith("=")) return { kind: "value", value: text.slice(1) };
    if (/^E[A-Z0-9]+(:|$)/.test(text)) {
      throw new UsageError(
        `${quoteText(code === "" ? text : code)} is not an errno that this simulator returns`,
        { token: text },
      );
    }
    if (!text.includes(":")) {
      throw new UsageError(
        `${quoteText(text)} cannot be expected; try an errno such as EINVAL, fail, ok, =VALUE or hex:00ff`,
        { token: text },
      );
    }
    return { kind: "data", data: parseData(text) };
  },
};

/**
 * Compares; the result of `expect` when it holds. `command` is the one behind all prefixes, `result` its own.
 *
 * @throws {ExpectError} when it does not hold; other errors pass through
 */
export function checkExpectation(
  expected: Expectation,
  command: AnyCommand,
  outcome: { readonly result: Result | undefined } | { readonly error: unknown },
  io: DataIo,
): Result {
  const got = "error" in outcome ? describeFailure(outcome.error) : undefined;
  // A mistake in the line, a missing file or a bug is never what was expected.
  if (got !== undefined && got.exit !== EXIT.REFUSED) throw (outcome as { error: unknown }).error;
  const result = "result" in outcome ? outcome.result : undefined;
  const gotText = got === undefined ? "success" : `${got.code}: ${got.message}`;
  const miss = (wanted: string, seen = gotText) =>
    new ExpectError(`Expected ${wanted} from "${command.name}", got ${seen}`, wanted, seen);
  switch (expected.kind) {
    case "fail":
      if (got === undefined) throw miss("a failure");
      return { expected: "fail", got: got.code };
    case "ok":
      if (got !== undefined) throw miss("success");
      return { expected: "ok", got: "ok" };
    case "code":
      if (got?.code !== expected.code) throw miss(expected.code);
      if (expected.rule !== undefined && ![got.expectable, got.ref].includes(expected.rule)) {
        throw miss(`${expected.code}:${expected.rule}`, `${got.code}:${got.expectable}`);
      }
      return { expected: expected.code, got: got.code };
    case "value": {
      if (got !== undefined) throw miss(expected.value);
      const value = result === undefined ? undefined : command.value?.(result);
      if (value === undefined) throw new UsageError(`"${command.name}" has no value to compare`);
      if (value !== expected.value) throw miss(expected.value, value);
      return { expected: expected.value, got: value };
    }
    case "data": {
      if (got !== undefined) throw miss(expected.data.text);
      const data = result?.["data"];
      if (typeof data !== "string") throw new UsageError(`"${command.name}" has no bytes to compare`);
      const wanted = expected.data.load(io);
      if (data.length !== wanted.length * 2 || data !== wanted.toHex()) {
        throw miss(`hex:${shorten(wanted)}`, `hex:${shorten(data)}`);
      }
      return { expected: expected.data.text, got: `hex:${shorten(data)}` };
    }
  }
}

const SHOWN_DIGITS = 64;

/** The first of some bytes, and how many there are. */
function shorten(bytes: Uint8Array | string): string {
  const digits = typeof bytes === "string" ? bytes : bytes.subarray(0, SHOWN_DIGITS / 2).toHex();
  const length = typeof bytes === "string" ? bytes.length / 2 : bytes.length;
  return length * 2 <= SHOWN_DIGITS ? digits : `${digits.slice(0, SHOWN_DIGITS)}… (${length} bytes)`;
}
