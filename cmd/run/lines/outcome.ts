/** What lines come to. */
import type { Result } from "../../language/command.ts";
import type { Globals, Invocation } from "../../language/invocation.ts";
import { tableChoice } from "../../language/listing.ts";
import type { TableChoice } from "../../language/table.ts";
import { EXIT } from "../../output/failure.ts";

/** What a command line came to. */
export interface Outcome {
  readonly result: Result;
  /** Result of the command behind all prefixes; undefined if it failed and that was expected. */
  readonly innermost: Result | undefined;
  /** How the result is wanted where it is a table. */
  readonly table?: TableChoice;
}

/** The exit code of a line that did what it was asked for: that of a program which `repeat` alone stands before. */
export function exitCodeOf({ command, inner }: Invocation, result: Result | undefined): number {
  if (command!.name === "repeat") return exitCodeOf(inner!, result);
  return result === undefined ? EXIT.OK : command!.exitCode?.(result) ?? EXIT.OK;
}

/** Global options with those of a table. */
export function asTable(globals: Globals, table: TableChoice | undefined): Globals {
  return table === undefined ? globals : { ...globals, table };
}

/** What a command came to that nothing stands before. */
export function outcomeOf(result: Result, values: Readonly<Record<string, unknown>>): Outcome {
  return { result, innermost: result, table: tableChoice(values) };
}
