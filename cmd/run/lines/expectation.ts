/** What `expect` compares with: an errno and its rule, any failure, a value, or bytes. */
import { ERRNO } from "../../../lib/vfio/errno.ts";
import type { AnyCommand, Kind, Result } from "../../language/command.ts";
import { describeFailure, EXIT, ExpectError, NotStartedError, returnCodeRule } from "../../output/failure.ts";
import { DATA_FORM_NAMES, type DataIo, type DataSource, parseData } from "../../language/data.ts";
import { quoteText } from "../../language/quote.ts";
import { parseNumber } from "../../language/number.ts";
import { UsageError } from "../../language/usage_error.ts";

/** An expected outcome. */
export type Expectation =
  | { readonly kind: "fail" }
  | { readonly kind: "ok" }
  | { readonly kind: "code"; readonly code: string; readonly rule?: string }
  /** How a program ended; a signal is a number above 128, as in a shell. */
  | { readonly kind: "exit"; readonly exit: number; readonly text: string }
  | { readonly kind: "data"; readonly data: DataSource }
  | { readonly kind: "value"; readonly value: string };

/** Failures that have a word of their own instead of an errno. */
const OWN_CODES = ["RET", "DRIVER", "MACHINE", "HANG"];

/** Signals by name, the same on x86-64 and arm64 (include/uapi/asm-generic/signal.h). */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};
/** What a shell adds to a signal. */
const SIGNALLED = 128;

/** `exit=3`, `exit=SIGKILL`. @throws {UsageError} */
function parseExit(text: string): Expectation {
  const wanted = text.slice("exit=".length);
  const signal = SIGNALS[wanted];
  if (signal !== undefined) return { kind: "exit", exit: SIGNALLED + signal, text };
  if (/^SIG/.test(wanted)) {
    throw new UsageError(
      `${quoteText(wanted)} is no signal; name one such as SIGKILL, or 128 plus its number`,
      { token: text },
    );
  }
  return { kind: "exit", exit: parseNumber(wanted, "exit=CODE", { max: 255 }), text };
}

/** `EINVAL`, `EINVAL:RULE`, `MACHINE:RULE`, `RET:CODE`, `fail`, `ok`, `exit=CODE`, `=VALUE`, or DATA. */
export const EXPECTATION: Kind<Expectation> = {
  placeholder: "WHAT",
  choices: [
    "ok",
    "fail",
    ...OWN_CODES,
    "exit=",
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
    if (text.startsWith("exit=")) return parseExit(text);
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
  if (command.exitCode !== undefined) return checkExit(expected, command, outcome);
  if (expected.kind === "exit") {
    throw new UsageError(`"${command.name}" runs no program that could end with ${expected.text}`, {
      token: expected.text,
    });
  }
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

/** How a program ended: `ok` is exit code 0, `fail` any other; one that could not be run has the code of a shell. */
function checkExit(
  expected: Expectation,
  { name, exitCode }: AnyCommand,
  outcome: { readonly result: Result | undefined } | { readonly error: unknown },
): Result {
  if ("error" in outcome && !(outcome.error instanceof NotStartedError)) throw outcome.error;
  const exit = "error" in outcome ? (outcome.error as NotStartedError).exit : exitCode!(outcome.result!);
  const holds = expected.kind === "ok"
    ? exit === 0
    : expected.kind === "fail"
    ? exit !== 0
    : expected.kind === "exit"
    ? exit === expected.exit
    : undefined;
  if (holds === undefined) {
    throw new UsageError(`"${name}" ends with an exit code; expect ok, fail, exit=CODE or exit=SIGNAL of it`);
  }
  const wanted = expected.kind === "exit" ? expected.text : expected.kind;
  const why = "error" in outcome ? `: ${(outcome.error as NotStartedError).message}` : "";
  if (!holds) {
    throw new ExpectError(
      `Expected ${wanted} from "${name}", got exit=${exit}${why}`,
      wanted,
      `exit=${exit}`,
    );
  }
  return { expected: wanted, got: `exit=${exit}` };
}
