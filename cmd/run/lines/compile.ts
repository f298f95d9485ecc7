/** From the text of a script to lines that are ready to run. Equal lines are compiled once. */
import type { Assigned } from "../../language/assign.ts";
import { canStandInLine, type Commands, type KnownCommands } from "../../language/command.ts";
import { Invocation } from "../../language/invocation.ts";
import {
  MAX_MISTAKES,
  MAX_SCRIPT_BYTES,
  MAX_SCRIPT_LINES,
  MAX_SCRIPT_WORDS,
  MAX_SOURCES,
  MAX_TEXT_LINES,
} from "../../language/limits.ts";
import { eachLine, type LogicalLine, placeError } from "../../language/lines.ts";
import { parseLine } from "../../language/parse.ts";
import { quoteText } from "../../language/quote.ts";
import { FileError, PlacedError, UsageError } from "../../language/usage_error.ts";
import { expand, splitWords, variablesOf, type Word } from "../../language/words.ts";
import { readText } from "../files.ts";
import { type Compiled, LineCache } from "./line_cache.ts";
import { type Again, PlacedLine, type ScriptLine } from "./script_line.ts";
import { columnOf, ScriptPlace, type ScriptText } from "./script_place.ts";

/**
 * Lines of a script that stay understood until they run. Further ones are understood again then: to keep a hundred
 * thousand costs hundreds of megabytes, and collecting garbage around them more time than to understand them twice.
 */
const KEPT_LINES = 500;

/** Names of variables. */
interface Names {
  has(name: string): boolean;
}

/** What is known before the first line of a text. */
interface Before {
  /** Names that have a value. */
  readonly names?: Names;
  /** Number of the first line. */
  readonly firstLine?: number;
  readonly cache?: LineCache;
}

/**
 * Understands a whole script.
 *
 * @throws {PlacedError} for the first mistake, and all others with it; nothing has run
 */
export function parseScript(
  text: string,
  file: string,
  table: KnownCommands,
  { names = new Set(), firstLine = 1, cache = new LineCache() }: Before = {},
): ScriptLine[] {
  const compiler = new Compiler(table, names, cache);
  compiler.begin(text, file, firstLine);
  return compiler.finish();
}

/** What is looked through for commands before a script is understood; what stands behind is loaded when it is met. */
const LOOKED_THROUGH = 64 * 1024;

/** As {@linkcode parseScript}, with the commands loaded that the script needs. */
export async function understood(
  text: string,
  file: string,
  commands: Commands,
  before: Before = {},
): Promise<ScriptLine[]> {
  await commands.need(text.slice(0, LOOKED_THROUGH).split(/[^a-z]+/));
  return await commands.loading(() => parseScript(text, file, commands, before));
}

class Compiler {
  readonly #table: KnownCommands;
  readonly #before: Names;
  /** Names that a line of the script sets. */
  readonly #set = new Set<string>();
  readonly #cache: LineCache;
  readonly #lines: ScriptLine[] = [];
  readonly #mistakes: PlacedError[] = [];
  /** Files whose lines are being taken in, from the outside in; a shell has no time to ask where "stdin" is. */
  readonly #reading: string[] = [];
  /** Size of the files that were taken in. */
  #bytes = 0;
  #words = 0;
  #kept = 0;

  constructor(table: KnownCommands, names: Names, cache: LineCache) {
    this.#table = table;
    this.#before = names;
    this.#cache = cache;
  }

  #has(name: string): boolean {
    return this.#set.has(name) || this.#before.has(name);
  }

  /** @throws {PlacedError} for all mistakes */
  finish(): ScriptLine[] {
    const [first, ...others] = this.#mistakes;
    if (first !== undefined) throw first.and(others);
    return this.#lines;
  }

  /** The text that all begins with. @throws {PlacedError} where to go on would make no sense */
  begin(text: string, file: string, firstLine: number): void {
    this.#reading.push(file);
    this.#bytes = text.length;
    this.#add(text, file, firstLine);
  }

  #add(text: string, file: string, firstLine: number): void {
    checkTextLines(text, file);
    const script: ScriptText = { text, file };
    for (const logical of eachLine(text, file, firstLine, (error) => this.#mistaken(error))) {
      const compiled = this.#known(logical.text) ?? this.#try(logical, file);
      if (compiled === undefined) continue;
      if (compiled.invocation.command?.name === "source") {
        this.#source(compiled.invocation, `${file}:${logical.line}`);
        continue;
      }
      this.#words += compiled.words;
      this.#checkLength(logical, file);
      const place = new ScriptPlace(script, logical.line, logical.at);
      this.#lines.push(
        new PlacedLine(place, compiled.invocation, this.#keeps(compiled) ? undefined : this.#again),
      );
      for (const name of compiled.sets) this.#set.add(name);
    }
  }

  #keeps(compiled: Compiled): boolean {
    if (!compiled.isKept && this.#kept < KEPT_LINES) {
      compiled.isKept = true;
      this.#kept++;
    }
    return compiled.isKept;
  }

  /** Its variables have values by now, or had them when it was understood first. */
  readonly #again: Again = (place) => {
    const { logical } = place;
    const known = this.#cache.get(logical.text);
    if (known !== undefined) return known.invocation;
    const words = splitWords(logical, place);
    const compiled = compiledOf(words, understand(words, this.#table));
    this.#cache.add(logical.text, compiled);
    return compiled.invocation;
  };

  /** A line that was compiled before, if all its variables have values here, too. */
  #known(text: string): Compiled | undefined {
    const compiled = this.#cache.get(text);
    return compiled?.needs.every((name) => this.#has(name)) === true ? compiled : undefined;
  }

  /** @returns undefined for a line without words, or with a mistake, which is kept */
  #try(logical: LogicalLine, file: string): Compiled | undefined {
    try {
      const compiled = this.#compile(logical, file);
      if (compiled !== undefined && compiled.invocation.command?.name !== "source") {
        this.#cache.add(logical.text, compiled);
      }
      return compiled;
    } catch (error) {
      if (!(error instanceof PlacedError)) throw error;
      for (const name of namesMeant(logical.text)) this.#set.add(name);
      this.#mistaken(error);
      return undefined;
    }
  }

  /** Takes the lines of another file in. @throws {FileError} if it cannot be read, or is being read */
  #source({ known }: Invocation, place: string): void {
    const path = String(known["file"]);
    const refused = (why: string) => new FileError(path, `${place}: ${why}`);
    const file = realPath(path);
    if (this.#reading.some((each) => realPath(each) === file)) {
      throw refused(`${quoteText(path, 200)} is being read already`);
    }
    if (this.#reading.length >= MAX_SOURCES) {
      throw refused(`more than ${MAX_SOURCES} files within each other`);
    }
    let text: string;
    try {
      text = readText(path, MAX_SCRIPT_BYTES - this.#bytes);
    } catch (error) {
      throw error instanceof FileError ? refused(error.message) : error;
    }
    this.#bytes += text.length;
    this.#reading.push(file);
    this.#add(text, path, 1);
    this.#reading.pop();
  }

  #mistaken(error: PlacedError): void {
    this.#mistakes.push(error);
    if (this.#mistakes.length >= MAX_MISTAKES) this.finish();
  }

  /** A script that is too long to be understood as a whole. @throws {PlacedError} */
  #checkLength(logical: LogicalLine, file: string): void {
    const limit = this.#lines.length >= MAX_SCRIPT_LINES
      ? `${MAX_SCRIPT_LINES} commands`
      : this.#words > MAX_SCRIPT_WORDS
      ? `${MAX_SCRIPT_WORDS} words`
      : undefined;
    if (limit === undefined) return;
    throw placeError(new UsageError(`the script has more than ${limit}; split it`), file, logical, 1);
  }

  /** @returns undefined for a line without words @throws {PlacedError} */
  #compile(logical: LogicalLine, file: string): Compiled | undefined {
    const words = splitWords(logical, { file, line: logical.line });
    if (words.length === 0) return undefined;
    const placed = <Of>(column: (error: UsageError) => number, work: () => Of): Of => {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        throw placeError(error, file, logical, column(error));
      }
    };
    const invocation = placed(
      ({ token }) => columnOf(words, token),
      () => understand(words, this.#table),
    );
    const compiled = compiledOf(words, invocation);
    // A variable that no line above sets is a mistake that shows before anything runs.
    const missing = compiled.needs.find((name) => !this.#has(name));
    if (missing === undefined) return compiled;
    const word = words.find((each) => variablesOf(each).includes(missing))!;
    return placed(
      () => word.column,
      () => {
        expand({ ...word, parts: [{ kind: "variable", name: missing }] }, none);
        return compiled;
      },
    );
  }
}

/** What is known of a line that was understood. */
function compiledOf(words: readonly Word[], invocation: Invocation): Compiled {
  const inRepeat = words.findIndex(({ text }) => text === "repeat") + 1 || words.length;
  const isSet = (name: string, at: number) => at > inRepeat && (name === "i" || name === "n");
  return {
    invocation,
    words: words.length,
    needs: words.flatMap((word, at) => variablesOf(word).filter((name) => !isSet(name, at))),
    sets: [...namesSetBy(invocation)],
    isKept: false,
  };
}

const none = () => undefined;

/** @throws {UsageError} */
function understand(words: readonly Word[], table: KnownCommands): Invocation {
  const invocation = parseLine(words, table, { inScript: true });
  const { command } = invocation.innermost;
  if (command === undefined) throw new UsageError("The line has no command", { token: words[0]!.text });
  if (!canStandInLine(command)) {
    throw new UsageError(`"${command.name}" cannot stand in a script`, {
      token: command.name.split(" ", 1)[0],
    });
  }
  const file = invocation.known["file"];
  if (command.name === "source" && (file === undefined || file === "-")) {
    throw new UsageError(
      "source takes the name of a file, known before anything runs: no $NAME, and not standard input",
      { token: words.at(-1)!.text },
    );
  }
  return invocation;
}

/** One name for a file, however it is named. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // Whoever reads the file says what is wrong with it.
    return path;
  }
}

/** Counts lines before a list of them is made. @throws {PlacedError} */
function checkTextLines(text: string, file: string): void {
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  if (lines <= MAX_TEXT_LINES + 1) return;
  const error = new UsageError(`the script has more than ${MAX_TEXT_LINES} lines; split it`);
  throw new PlacedError({ file, line: MAX_TEXT_LINES + 1, column: 1 }, "", error);
}

/** The names that a line's `let` sets. */
function* namesSetBy({ command, known, inner }: Invocation): Generator<string> {
  if (command?.name === "let") {
    for (const { name } of known["name"] as readonly Assigned[] | undefined ?? []) yield name;
  }
  if (inner !== undefined) yield* namesSetBy(inner);
}

/** Names that a line would set if it were understood: to miss them further down is no mistake of its own. */
function namesMeant(line: string): string[] {
  const words = [...line.matchAll(/\blet\s+(\S+)/g)].map(([, word]) => word!);
  return words.flatMap((word) => word.split(",")).map((each) => each.split("=", 1)[0]!);
}
