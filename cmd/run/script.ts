/** Scripts: lines understood all at once, then run one after the other. */
import { canStandInLine, type KnownCommands } from "../language/command.ts";
import { EXIT, isInterrupted, isKept } from "../output/failure.ts";
import { Progress } from "../output/progress.ts";
import { Yielding } from "./interrupt.ts";
import { MAX_SCRIPT_LINES, MAX_SCRIPT_WORDS, MAX_TEXT_LINES } from "../language/limits.ts";
import type { LinePlace } from "../output/report.ts";
import type { Session } from "./session.ts";
import { innermost, type Invocation, parseLine } from "../language/parse.ts";
import { PlacedError, UsageError } from "../language/usage_error.ts";
import {
  expand,
  locate,
  type LogicalLine,
  placeError,
  splitLines,
  splitWords,
  type Word,
} from "../language/words.ts";

const NOTHING_KEPT = "nothing of the script is kept";

/** A line that is ready to run. */
export interface ScriptLine {
  readonly invocation: Invocation;
  readonly place: LinePlace;
}

/** What is known before the first line of a text. */
interface Before {
  /** Names that have a value. */
  readonly names?: Iterable<string>;
  /** Number of the first line. */
  readonly firstLine?: number;
}

/** Understands a whole script. @throws {PlacedError} at the first mistake, and nothing has run */
export function parseScript(
  text: string,
  file: string,
  table: KnownCommands,
  before: Before = {},
): ScriptLine[] {
  checkTextLines(text, file);
  let count = 0;
  const lines: ScriptLine[] = [];
  const names = new Set<string>(before.names);
  for (const logical of splitLines(text, file, before.firstLine)) {
    const words = splitWords(logical, { file, line: logical.line });
    if (words.length === 0) continue;
    count += words.length;
    checkLength(lines.length, count, file, logical);
    const line = parseScriptLine(words, logical, file, table);
    checkVariables(words, names, file, logical);
    lines.push(line);
    for (const name of namesSetBy(line.invocation)) names.add(name);
  }
  return lines;
}

/** Counts lines before a list of them is made. @throws {PlacedError} */
function checkTextLines(text: string, file: string): void {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  if (lines <= MAX_TEXT_LINES + 1) return;
  const error = new UsageError(`the script has more than ${MAX_TEXT_LINES} lines; split it`);
  throw new PlacedError({ file, line: MAX_TEXT_LINES + 1, column: 1 }, "", error);
}

/** A script that is too long to be understood as a whole. @throws {PlacedError} */
function checkLength(lines: number, words: number, file: string, logical: LogicalLine): void {
  const limit = lines >= MAX_SCRIPT_LINES
    ? `${MAX_SCRIPT_LINES} commands`
    : words > MAX_SCRIPT_WORDS
    ? `${MAX_SCRIPT_WORDS} words`
    : undefined;
  if (limit === undefined) return;
  throw placeError(new UsageError(`the script has more than ${limit}; split it`), file, logical, 1);
}

/** A variable that no line above sets is a mistake that shows before anything runs. @throws {PlacedError} */
function checkVariables(
  words: readonly Word[],
  names: ReadonlySet<string>,
  file: string,
  logical: LogicalLine,
): void {
  for (const word of words) {
    try {
      expand(word, (name) => names.has(name) ? "" : undefined);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw placeError(error, file, logical, word.column);
    }
  }
}

/** The names that a line's `let` sets. */
function* namesSetBy({ command, words, inner }: Invocation): Generator<string> {
  if (command?.name === "let") yield words.get("name")?.[0]?.text ?? "";
  if (inner !== undefined) yield* namesSetBy(inner);
}

function parseScriptLine(
  words: readonly Word[],
  logical: LogicalLine,
  file: string,
  table: KnownCommands,
): ScriptLine {
  const columnOf = (token: string | undefined) =>
    (words.find(({ text }) => text === token) ??
      words.find(({ text }) => token !== undefined && text.endsWith(`=${token}`)) ?? words[0]!).column;
  try {
    const invocation = parseLine(words, table, { inScript: true });
    const { command } = innermost(invocation);
    if (command === undefined) throw new UsageError("The line has no command", { token: words[0]!.text });
    if (!canStandInLine(command)) {
      throw new UsageError(`"${command.name}" cannot stand in a script`, {
        token: command.name.split(" ", 1)[0],
      });
    }
    return {
      invocation,
      place: {
        file,
        line: logical.line,
        locate(token) {
          const { line, column, source } = locate(logical, columnOf(token));
          return { place: { file, line, column }, source };
        },
      },
    };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw placeError(error, file, logical, columnOf(error.token));
  }
}

/**
 * Runs a script: one transaction as a whole, or one per line with `--commit-each`. What is printed is held back until
 * it is committed. A script that ends because the simulated world refused something keeps what was done before; one
 * that `ism` itself could not finish leaves the host as it was.
 *
 * @returns the exit code: that of the first failure
 */
export async function runScript(session: Session, lines: readonly ScriptLine[]): Promise<number> {
  const { keepGoing, commitEach, dryRun } = session.globals;
  const whole = !commitEach && !session.isOwned &&
    lines.some(({ invocation }) => innermost(invocation).command!.access !== "none");
  let first: number = EXIT.OK;
  if (whole) session.transactions.begin("write");
  let keep = false;
  using yielding = new Yielding();
  try {
    using progress = new Progress(session.terminal, "line", lines.length);
    let code: number = EXIT.OK;
    let wasDone = true;
    let done = 0;
    for (const { invocation, place } of lines) {
      progress.tell(done++);
      await yielding.now(() =>
        ` at ${place.file}:${place.line}; ${whole ? NOTHING_KEPT : "lines before it are kept"}`
      );
      code = await session.runLine(invocation, place);
      if (code === EXIT.OK) continue;
      // What a program ended with is no exit code of ism: the line did what it was asked for.
      if (first === EXIT.OK) first = code;
      wasDone = session.lastResult !== undefined;
      if (!keepGoing || (isInterrupted(code) && !wasDone)) break;
    }
    keep = wasDone || isKept(code) || (keepGoing && !isInterrupted(code));
  } finally {
    if (whole) session.transactions.end({ commit: keep && !dryRun });
  }
  return first;
}
