/** How a failure is told that no command reports by itself. */
import { describeFailure, type Failure, failureJson } from "./failure.ts";
import { failureText, type LinePlace } from "./session.ts";
import type { ProcessTerminal } from "./terminal.ts";
import { PlacedError } from "./text/diagnostic.ts";
import { jsonLine } from "./text/json.ts";

/**
 * Reports a failure outside of any line: bad usage, a line that is not understood, a bug.
 *
 * @param showPlace tell people where in the text; `--json` always tells
 * @returns the exit code
 */
export function report(
  terminal: ProcessTerminal,
  error: unknown,
  { json, verbose, name, showPlace = true }: {
    readonly json: boolean;
    readonly verbose: boolean;
    readonly name: string | undefined;
    readonly showPlace?: boolean;
  },
): number {
  const failure: Failure = describeFailure(error);
  const command = error instanceof PlacedError ? error.cause.command ?? name : name;
  const place: LinePlace | undefined = error instanceof PlacedError
    ? { file: error.place.file, line: error.place.line, locate: () => error }
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
      terminal.out(jsonLine(document));
    } catch (cause) {
      // Nothing more goes to standard output from here on, so that this ends.
      return report(terminal, cause, { json, verbose, name, showPlace });
    }
  }
  terminal.err(failureText(terminal, name, failure, verbose, showPlace ? place : undefined));
  return failure.exit;
}
