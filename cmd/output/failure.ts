/** What a failure looks like: its exit code, its line for people, its JSON. One place for all commands. */
import type { RuleName } from "../../lib/base/rule_names.ts";
import { HostFileError } from "../../lib/host/file/host_path.ts";
import { MissingStateError, TopologyError } from "../../lib/host/errors.ts";
import { CommandError, DriverError } from "../../lib/ism/driver/errors.ts";
import { ErrnoError } from "../../lib/vfio/errno.ts";
import { WouldHangError } from "../../lib/vfio/s390/would_hang.ts";
import { CC, type MachineAnswer, MachineError } from "../../lib/zpci/answer.ts";
import { hex } from "../../lib/base/hex.ts";
import type { Style } from "../language/terminal.ts";
import { displayWidth } from "./diagnostic.ts";
import { wrap } from "./wrap.ts";
import { escapeText } from "../language/quote.ts";
import { FileError, UsageError } from "../language/usage_error.ts";
import { WrittenBackError } from "./written_back.ts";

const RETURN_CODE_RULE: RuleName = "ism.cmd.codes";

/** Exit codes of the contract. */
export const EXIT = {
  OK: 0,
  REFUSED: 1,
  USAGE: 2,
  EXPECT: 3,
  FILE: 4,
  BUG: 5,
  INTERRUPTED: 130,
  TERMINATED: 143,
} as const;

/** What the simulated world refused has happened and is kept; what ism itself could not do has not. */
export function isKept(exit: number): boolean {
  return exit === EXIT.OK || exit === EXIT.REFUSED || exit === EXIT.EXPECT;
}

/** The user has ended it. */
export function isInterrupted(exit: number): boolean {
  return exit === EXIT.INTERRUPTED || exit === EXIT.TERMINATED;
}

/** Signals that end what waits or takes long in an orderly way. */
export type EndingSignal = "SIGINT" | "SIGTERM";

/**
 * Ctrl-C, or a request to end, while a command waited or worked for long; elsewhere the signal ends the process at
 * once, which shells report in the same way.
 */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";

  /** @param what what was interrupted and what is left of it: `: a sender did not come`, `; nothing is kept` */
  constructor(readonly signal: EndingSignal, readonly what: string) {
    super((signal === "SIGINT" ? "Interrupted" : "Terminated") + what);
  }

  /** The same, with more to say of it. */
  and(more: string): InterruptedError {
    return new InterruptedError(this.signal, `${this.what}; ${more}`);
  }
}

/** Exit code of a shell for a program that is there and cannot be run. */
export const CANNOT_RUN = 126;

/** A program that could not be run; the exit code is that of a shell. */
export class NotStartedError extends Error {
  override readonly name = "NotStartedError";

  constructor(message: string, readonly exit: number) {
    super(message);
  }
}

/** An `expect` that did not hold. */
export class ExpectError extends Error {
  override readonly name = "ExpectError";

  constructor(message: string, readonly expected: string, readonly got: string) {
    super(message);
  }
}

/** What another process has made of a failure. */
export class DescribedError extends Error {
  override readonly name = "DescribedError";

  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

/** A failure, ready to be shown. */
export interface Failure {
  readonly exit: number;
  /** Errno name, or a word of our own where no errno was returned. */
  readonly code: string;
  readonly message: string;
  /** What `expect CODE:RULE` compares with; undefined where the code says it all. */
  readonly expectable: string | undefined;
  /** Everything of the JSON `error` object but code and message. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly refusedBy: string | undefined;
  /** The rule of docs/reference. */
  readonly ref: RuleName | undefined;
  readonly hint: string | undefined;
  /** The word to blame, for the caret. */
  readonly token: string | undefined;
  /** Stack of a bug. */
  readonly stack: string | undefined;
}

const LAYER_NAMES: Readonly<Record<string, string>> = {
  vfs: "file system layer",
  "vfio-core": "vfio core",
  variant: "variant driver",
  instruction: "machine",
  device: "adapter",
};

/** Says what an error means to the user. */
export function describeFailure(error: unknown): Failure {
  const base = {
    expectable: undefined,
    fields: {},
    refusedBy: undefined,
    ref: undefined,
    hint: undefined,
    token: undefined,
    stack: undefined,
  };
  if (error instanceof DescribedError) return error.failure;
  if (error instanceof ErrnoError) {
    const { code, errno, layer, ref, rule, source, message, hint } = error;
    return {
      ...base,
      exit: EXIT.REFUSED,
      code,
      message,
      ref,
      hint,
      expectable: rule,
      fields: {
        errno,
        layer,
        rule,
        ref,
        source,
        ...(error instanceof WrittenBackError ? error.written : {}),
      },
      refusedBy: `${LAYER_NAMES[layer]} (${source})`,
    };
  }
  if (error instanceof CommandError) {
    return {
      ...base,
      exit: EXIT.REFUSED,
      code: "RET",
      message: error.message,
      ref: RETURN_CODE_RULE,
      expectable: returnCodeRule(error.ret),
      fields: {
        ret: error.ret,
        layer: "device",
        rule: "return code",
        ref: RETURN_CODE_RULE,
        source: "drivers/s390/net/ism.h: ism_resp_hdr",
      },
      refusedBy: "adapter (return code of the command)",
    };
  }
  if (error instanceof MachineError) {
    const { response, ...answer } = error.answer;
    return {
      ...base,
      exit: EXIT.REFUSED,
      code: "MACHINE",
      message: error.message,
      ref: error.ref,
      expectable: machineRule(error.answer),
      fields: {
        ...answer,
        ...(response === undefined ? {} : { response: hex(response, 4) }),
        layer: "instruction",
        ref: error.ref,
      },
      refusedBy: LAYER_NAMES["instruction"],
    };
  }
  if (error instanceof DriverError) {
    return { ...base, exit: EXIT.REFUSED, code: "DRIVER", message: error.message };
  }
  if (error instanceof WouldHangError) {
    const ref = "vfio.cc.busy";
    return { ...base, exit: EXIT.REFUSED, code: "HANG", message: error.message, ref, fields: { ref } };
  }
  if (error instanceof ExpectError) {
    const { message, expected, got } = error;
    return { ...base, exit: EXIT.EXPECT, code: "EXPECT", message, fields: { expected, got } };
  }
  if (error instanceof NotStartedError) {
    return { ...base, exit: error.exit, code: "EXEC", message: error.message };
  }
  if (error instanceof InterruptedError) {
    const { message, signal } = error;
    return signal === "SIGINT"
      ? { ...base, exit: EXIT.INTERRUPTED, code: "INTERRUPTED", message }
      : { ...base, exit: EXIT.TERMINATED, code: "TERMINATED", message };
  }
  if (error instanceof UsageError) {
    return {
      ...base,
      exit: EXIT.USAGE,
      code: "USAGE",
      message: error.message,
      hint: error.hint,
      token: error.token,
    };
  }
  if (
    error instanceof FileError || error instanceof HostFileError || error instanceof MissingStateError ||
    error instanceof TopologyError
  ) {
    return { ...base, exit: EXIT.FILE, code: "FILE", message: error.message };
  }
  if (isOutOfMemory(error)) {
    const message = "This takes more memory than ism can get; ask for less at a time";
    return { ...base, exit: EXIT.USAGE, code: "USAGE", message };
  }
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  return { ...base, exit: EXIT.BUG, code: "BUG", message: "This is a bug in ism", stack };
}

/** How `expect RET:CODE` names a return code. */
export function returnCodeRule(ret: number): string {
  return hex(ret, 4);
}

/** What the machine answered, in the words that the errno rules of the kernel have for it. */
function machineRule({ cc, status, response, exception }: MachineAnswer): string | undefined {
  if (exception !== undefined) return `${exception} exception`;
  if (response !== undefined) return `response ${hex(response, 4)}`;
  if (cc === CC.ERROR) return `status ${status}`;
  return cc === CC.INVALID_HANDLE ? "function handle" : cc === CC.BUSY ? "busy" : undefined;
}

/** True where the engine could not make a buffer or a text; what it says otherwise is a bug of ours. */
function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error &&
    ["Array buffer allocation failed", "Invalid string length"].includes(error.message);
}

/** Codes of our own that say nothing which the sentence does not say. */
const SILENT_CODES: ReadonlySet<string> = new Set(
  ["USAGE", "FILE", "EXPECT", "DRIVER", "MACHINE", "RET", "BUG", "EXEC", "INTERRUPTED", "TERMINATED"],
);

/** The failure for people, without the place. */
export function renderFailure(failure: Failure, how: Rendering): string {
  const shown = SILENT_CODES.has(failure.code) ? "" : how.style.bold(` (${failure.code})`);
  return escapeText(failure.message) + shown + "\n" + renderReasons(failure, how);
}

/** How a failure is told. */
interface Rendering {
  readonly style: Style;
  readonly verbose: boolean;
  /** Columns that reasons may take. */
  readonly columns?: number;
}

/** The rule, and what to do; with --verbose or on a terminal also who refused; a bug always shows its stack. */
function renderReasons(failure: Failure, { style, verbose, columns = Infinity }: Rendering): string {
  const reason = (text: string) => {
    // The lines that go on stand two columns further in.
    const lines = displayWidth(text) <= columns - 2 ? [text] : wrap(text, columns - 4);
    return lines.map((line, i) => `${style.dim(`${i === 0 ? "  " : "    "}${line}`)}\n`).join("");
  };
  let text = "";
  if (verbose && failure.refusedBy !== undefined) text += reason(`refused by: ${failure.refusedBy}`);
  if (failure.ref !== undefined) text += reason(`rule: ${failure.ref}  (ism help ${failure.ref})`);
  if (failure.hint !== undefined) text += reason(`hint: ${escapeText(failure.hint)}`);
  if (failure.stack !== undefined) {
    text += escapeText(failure.stack, { keepNewline: true }) +
      "\nPlease report it with the command line and the host file (CONTRIBUTING.md says what to add).\n";
  }
  return text;
}

/** The JSON `error` object. */
export function failureJson({ code, message, fields, hint, stack }: Failure): Record<string, unknown> {
  return {
    code,
    ...fields,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(stack === undefined ? {} : { stack }),
  };
}
