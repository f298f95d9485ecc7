/** The lines that were typed, kept in a file from one shell to the next. */
import { createParent } from "../run/files.ts";
import { escapeText } from "../language/quote.ts";

/** Most lines that are kept. */
export const HISTORY_LINES = 1000;
/** A file over this many bytes is cut to the newest {@linkcode HISTORY_LINES}. */
const FILE_BYTES = 256 * 1024;
/** What is read of a file, from its end: nothing that a shell wrote is longer. */
const READ_BYTES = 4 * FILE_BYTES;
/** A longer line is data rather than a command, and is not kept. UTF-16 units. */
const LONGEST_LINE = 4096;

/** Lines, newest first, each once. A file that cannot be used is no reason to refuse the shell: nothing is kept then. */
export class History {
  readonly #path: string | undefined;
  #entries: string[] = [];

  /**
   * @param path the file; undefined for none
   * @param keep whether lines are written to it
   */
  constructor(path: string | undefined, { keep }: { readonly keep: boolean }) {
    const { lines, surplus } = path === undefined ? { lines: [], surplus: false } : load(path);
    for (const line of lines) this.#remember(line);
    this.#path = keep ? path : undefined;
    if (surplus && this.#path !== undefined) replace(this.#path, this.#entries);
  }

  /** Newest first. */
  get entries(): readonly string[] {
    return this.#entries;
  }

  /** Adds a line, unless it begins with a space as one does that is not to be kept. */
  add(line: string): void {
    if (line.startsWith(" ") || !isKeepable(line)) return;
    const repeated = this.#entries[0] === line;
    this.#remember(line);
    if (this.#path === undefined || repeated) return;
    // One write at the end of the file, so that shells that run at the same time do not lose each other's lines.
    ignoreFailure(() => {
      createParent(this.#path!);
      if (!isUsable(this.#path!)) return;
      using file = Deno.openSync(this.#path!, { append: true, create: true, mode: 0o600 });
      writeAll(file, `${line}\n`);
    });
  }

  #remember(line: string): void {
    const rest = this.#entries.filter((each) => each !== line);
    this.#entries = [line, ...rest].slice(0, HISTORY_LINES);
  }
}

/** No blank line, nothing overlong, nothing that would act on a terminal when it is shown again. */
function isKeepable(line: string): boolean {
  return line.trim() !== "" && line.length <= LONGEST_LINE && escapeText(line) === line;
}

/** The lines of a file, oldest first, and whether it holds more than it should. */
function load(path: string): { lines: string[]; surplus: boolean } {
  let text = "";
  let size = 0;
  ignoreFailure(() => {
    if (!isUsable(path)) return;
    using file = Deno.openSync(path, { read: true });
    size = file.statSync().size;
    file.seekSync(Math.max(0, size - READ_BYTES), Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(size, READ_BYTES));
    let at = 0;
    for (let read: number | null = 1; at < bytes.length && read !== null && read > 0; at += read ?? 0) {
      read = file.readSync(bytes.subarray(at));
    }
    text = new TextDecoder().decode(bytes.subarray(0, at));
  });
  // What stands before the first line end may be the rest of a longer line.
  const lines = text.split("\n").slice(size > READ_BYTES ? 1 : 0);
  return { lines: lines.filter(isKeepable), surplus: size > FILE_BYTES };
}

/** Only a file of its own is read and written; a history that leads to /dev/null is how one turns it off. */
function isUsable(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Writes the newest lines under another name first, so that a crash leaves the old file. */
function replace(path: string, newestFirst: readonly string[]): void {
  const temporary = `${path}.${Deno.pid}`;
  ignoreFailure(() => {
    Deno.writeTextFileSync(temporary, newestFirst.toReversed().map((line) => `${line}\n`).join(""), {
      mode: 0o600,
    });
    Deno.renameSync(temporary, Deno.realPathSync(path));
  });
}

function writeAll(file: Deno.FsFile, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

function ignoreFailure(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
