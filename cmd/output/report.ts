/** How failures are told. */
import { describeFailure, EXIT, type Failure, failureJson, renderFailure } from "./failure.ts";
import { type Named, proposeIn } from "./proposal.ts";
import type { ProcessTerminal } from "./terminal.ts";
import { formatDiagnostic } from "./diagnostic.ts";
import { safeJson } from "../language/quote.ts";
import { type Place, PlacedError } from "../language/usage_error.ts";

const NOTHING: Named = { host: undefined, device: undefined };

/** Where a script line stands. */
export interface LinePlace {
  readonly file: string;
  readonly line: number;
  /** What the line is called where it is a test: its comment, or its text. */
  readonly title: string;
  /** Column of the command's first word, and the source line, for the diagnostic. */
  locate(token: string | undefined): { readonly place: Place; readonly source: string };
}

/** The failure as it goes to stderr: `ism: COMMAND: sentence (ERRNO)`, or with the place of a script line. */
export function failureText(
  terminal: ProcessTerminal,
  name: string | undefined,
  failure: Failure,
  verboseWanted: boolean,
  place: LinePlace | undefined,
): string {
  // What to do about a mistake in the line is worth its line even without -v.
  const verbose = verboseWanted || terminal.errIsTerminal || failure.exit === EXIT.USAGE;
  const columns = terminal.errIsTerminal ? terminal.columns : Infinity;
  const body = renderFailure(failure, { style: terminal.errStyle, verbose, columns });
  if (place === undefined) return `ism: ${name === undefined ? "" : `${name}: `}${body}`;
  const { place: at, source } = place.locate(failure.token);
  const [first = "", ...more] = body.split("\n");
  const [head = "", ...caret] = formatDiagnostic(at, source, "").split("\n");
  return [head + first, ...caret, ...more].join("\n");
}

/** How failures outside of any line are told. */
interface How {
  readonly json: boolean;
  readonly name: string | undefined;
  /** Host and function that the command line named, for what the message proposes. */
  readonly named?: Named;
  readonly showPlace?: boolean;
}

/**
 * Reports a failure outside of any line, a script's mistakes one after the other: bad usage, a line that is not understood, a file, a bug. All that there is to
 * say about these is said without -v.
 *
 * @param showPlace tell people where in the text; `--json` always tells
 * @returns the exit code
 */
export function report(terminal: ProcessTerminal, error: unknown, how: How): number {
  const code = reportOne(terminal, error, how);
  if (error instanceof PlacedError) { for (const other of error.others) reportOne(terminal, other, how); }
  return code;
}

function reportOne(
  terminal: ProcessTerminal,
  error: unknown,
  { json, name, named = NOTHING, showPlace = true }: How,
): number {
  const failure: Failure = proposeIn(describeFailure(error), named);
  const command = error instanceof PlacedError ? error.cause.command ?? name : name;
  const place: LinePlace | undefined = error instanceof PlacedError
    ? { file: error.place.file, line: error.place.line, title: error.source, locate: () => error }
    : undefined;
  if (json) {
    const where = place === undefined ? {} : { file: place.file, line: place.line };
    const document = {
      schema: 1,
      command: command ?? null,
      ok: false,
      error: failureJson(failure),
      ...where,
    };
    try {
      terminal.out(safeJson(document) + "\n");
    } catch (cause) {
      // Nothing more goes to standard output from here on, so that this ends.
      return reportOne(terminal, cause, { json, name, named, showPlace });
    }
  }
  terminal.err(failureText(terminal, name, failure, false, showPlace ? place : undefined));
  return failure.exit;
}
