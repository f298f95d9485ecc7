/** `ism shell`: lines one after the other, each a transaction of its own. */
import { MEMORY_HOST } from "../../lib/host/file/store.ts";
import { type AnyCommand, canStandInLine } from "../language/command.ts";
import { completeLine } from "../completion/engine.ts";
import { deviceWords, filesIn } from "../completion/world.ts";
import { EXIT, isInterrupted } from "../output/failure.ts";
import type { Invocation } from "../language/invocation.ts";
import { report } from "../output/report.ts";
import { parseScript, understood } from "../run/lines/compile.ts";
import { LineCache } from "../run/lines/line_cache.ts";
import type { Session } from "../run/session.ts";
import { COMMANDS } from "../table.ts";
import { splitLines } from "../language/lines.ts";
import { splitWords } from "../language/words.ts";
import { PlacedError, UsageError } from "../language/usage_error.ts";
import { type LineEditor, openEditor } from "./editor.ts";
import { History } from "./history.ts";
import { type LineSource, PipedLines } from "./lines.ts";

/** Words that end the shell. */
const LEAVING: readonly string[] = ["exit", "quit"];
/** The name of the input where a place or a document tells one. */
const FILE = "stdin";

/**
 * Runs lines until they end.
 *
 * @param historyPath where lines are kept that were typed; undefined for nowhere
 * @returns 0 on a terminal that takes the output; else the exit code of the first failure
 * @throws {HostFileError} if a host file that was named cannot be used
 */
export async function runShell(session: Session, historyPath: string | undefined): Promise<number> {
  // A wrong name shows at once, and not at the first line.
  if (session.globals.host !== undefined) void session.place.store;
  const keep = session.place.path !== MEMORY_HOST;
  session.stdinIsLines = true;
  const { terminal } = session;
  const interactive = Deno.stdin.isTerminal() && (terminal.outIsTerminal || terminal.errIsTerminal);
  if (!interactive) return await new Shell(session, new PipedLines(Deno.stdin), undefined, new Map()).run();

  // TAB has no time to load what it finds.
  const table = new Map([...await COMMANDS.all()].filter(([, each]) => canStandInLine(each)));
  const history = new History(historyPath, { keep });
  const onOut = terminal.outIsTerminal;
  const editor: LineEditor = await openEditor({
    write: (text) => terminal.draw(text, onOut),
    columns: () => terminal.screen.columns,
    style: (text) => (onOut ? terminal.style : terminal.errStyle).bold(text),
    history,
    complete: (line) => shell.complete(line),
  });
  const shell: Shell = new Shell(session, editor, history, table);
  const leave = () => {
    editor.close();
    Deno.exit(EXIT.TERMINATED);
  };
  // While a line runs Ctrl-C is a signal: what waits listens for it, and nothing else ends by it.
  const stay = () => terminal.draw("\n", false);
  Deno.addSignalListener("SIGINT", stay);
  Deno.addSignalListener("SIGTERM", leave);
  try {
    return await shell.run();
  } finally {
    Deno.removeSignalListener("SIGINT", stay);
    Deno.removeSignalListener("SIGTERM", leave);
    editor.close();
  }
}

/** The loop. */
class Shell {
  readonly #session: Session;
  readonly #lines: LineSource;
  readonly #history: History | undefined;
  readonly #cache = new LineCache();
  /** What TAB knows. */
  readonly #table: ReadonlyMap<string, AnyCommand>;
  /** Lines that were read. */
  #read = 0;
  #firstFailure: number = EXIT.OK;
  /** Lines that the next one continues, joined. */
  #begun = "";
  /** What an empty line runs. */
  #again: Invocation | undefined = undefined;

  /**
   * @param history lines that were typed; undefined where nobody types
   * @param table what TAB knows
   */
  constructor(
    session: Session,
    lines: LineSource,
    history: History | undefined,
    table: ReadonlyMap<string, AnyCommand>,
  ) {
    this.#session = session;
    this.#lines = lines;
    this.#history = history;
    this.#table = table;
  }

  get #interactive(): boolean {
    return this.#history !== undefined;
  }

  async run(): Promise<number> {
    for (;;) {
      const text = await this.#nextText();
      if (text === "end") break;
      if (text === "dropped") {
        this.#again = undefined;
        this.#lines.forget();
        continue;
      }
      if (this.#leaves(text)) break;
      const code = await this.#runText(text);
      if (this.#firstFailure === EXIT.OK) this.#firstFailure = code;
      // Ctrl-C is meant for all that was handed over: what was pasted, or every line of a pipe.
      if (isInterrupted(code)) {
        if (!this.#interactive) return code;
        this.#lines.forget();
      }
      // Nobody reads the answers any more.
      if (this.#session.terminal.outIsClosed) break;
    }
    const lost = this.#session.terminal.outIsClosed;
    return this.#interactive && !lost ? EXIT.OK : this.#firstFailure;
  }

  /** What TAB finds. */
  complete(line: string): readonly [candidates: readonly string[], replaced: string] {
    const { candidates, replaced } = completeLine(this.#begun + line, {
      table: this.#table,
      inScript: true,
      extra: LEAVING.map((word) => [word, "End the shell"] as const),
    }, {
      variables: () => [...this.#session.variables.keys()],
      devices: () => this.#devices(),
      files: filesIn,
    });
    const words = candidates.map(({ word, whole }) =>
      (word.startsWith("$") ? word : typed(word)) + (whole ? " " : "")
    );
    return [words, replaced];
  }

  #devices() {
    try {
      return this.#session.place.look(deviceWords) ?? [];
    } catch {
      // The next line will tell what is wrong with the host file.
      return [];
    }
  }

  /** One command's text with the lines that continue it. */
  async #nextText(): Promise<{ readonly text: string; readonly line: number } | "end" | "dropped"> {
    let text: string | undefined;
    const line = this.#read + 1;
    for (;;) {
      let next: Awaited<ReturnType<LineSource["next"]>>;
      try {
        this.#begun = text === undefined ? "" : joined(text).slice(0, -1);
        next = await this.#lines.next(text !== undefined);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        this.#fail(new PlacedError({ file: FILE, line: ++this.#read, column: 1 }, "", error));
        return "dropped";
      }
      if (next === "dropped") return next;
      // A backslash before the end continues nothing; the line is run as it stands.
      if (next === "end") return text === undefined ? next : { text, line };
      this.#read++;
      text = text === undefined ? next.text : `${text}\n${next.text}`;
      if (!isOpen(text)) return { text, line };
    }
  }

  /** Runs a line that was read. @returns the exit code */
  async #runText({ text, line }: { readonly text: string; readonly line: number }): Promise<number> {
    const again = this.#again;
    this.#again = undefined;
    // Pasted continuations become one line, which can be brought back.
    this.#history?.add(joined(text));
    let code: number = EXIT.OK;
    try {
      this.#session.place.refresh();
      if (this.#interactive && text.trim() === "" && again !== undefined) {
        code = await this.#session.runLine(again);
        this.#again = nextBlock(again, this.#session);
        return code;
      }
      const names = this.#session.variables;
      const before = { names, firstLine: line, cache: this.#cache };
      const lines = this.#cache.get(text) === undefined
        ? await understood(text, FILE, COMMANDS, before)
        : parseScript(text, FILE, COMMANDS, before);
      for (const { invocation, place } of lines) {
        const isTyped = this.#interactive && place.file === FILE;
        const shown = isTyped && !this.#session.globals.json ? undefined : place;
        code = await this.#session.runLine(invocation, shown);
        this.#again = nextBlock(invocation, this.#session);
        // Only a script that was taken in has more than one line, and it ends like any other.
        if (code !== EXIT.OK && !this.#session.globals.keepGoing) break;
      }
      return code;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Tells what kept a line from running. @returns the exit code */
  #fail(error: unknown): number {
    const { terminal, globals } = this.#session;
    const name = error instanceof PlacedError ? error.cause.command : undefined;
    const code = report(terminal, error, {
      json: globals.json,
      name,
      named: globals,
      showPlace: !this.#interactive,
    });
    if (this.#firstFailure === EXIT.OK) this.#firstFailure = code;
    return code;
  }

  #leaves({ text, line }: { readonly text: string; readonly line: number }): boolean {
    if (!LEAVING.some((word) => text.trimStart().startsWith(word))) return false;
    try {
      const [only, ...more] = splitWords(text, { file: FILE, line });
      if (only === undefined || more.length > 0 || only.quoted || !LEAVING.includes(only.text)) return false;
    } catch {
      return false;
    }
    this.#history?.add(text);
    return true;
  }
}

/** Continued lines as one. */
function joined(text: string): string {
  return text.replaceAll(/\\\r?\n/g, "");
}

/** A word as it is typed: what would mean something else to the parser behind a backslash. */
function typed(word: string): string {
  return word.replaceAll(/[\s'"\\$#]/g, "\\$&");
}

/** True if a text ends where its next line should follow. */
function isOpen(text: string): boolean {
  if (!/\\\r?$/.test(text)) return false;
  try {
    return splitLines(text).at(-1)?.open === true;
  } catch {
    return false;
  }
}

/** The same `peek` of what follows the block that was read; undefined for anything else, and at the end of the region. */
function nextBlock(
  invocation: Invocation,
  { lastResult: result, lookup }: Session,
): Invocation | undefined {
  if (invocation.command?.name !== "peek" || result === undefined) return undefined;
  const ret = Number(result["ret"]);
  if (ret === 0) return undefined;
  return invocation.with({ offset: BigInt(String(result["offset"])) + BigInt(ret) }, lookup);
}
