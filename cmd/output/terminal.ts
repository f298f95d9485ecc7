/**
 * The program's streams. Everything that is printed goes through here, so that a closed pipe ends the output and
 * not the program, and so that tests can look at it.
 */
import { escapeText } from "./diagnostic.ts";
import { MAX_HELD_BYTES, mebibytes } from "../language/limits.ts";
import { FileError, UsageError } from "../language/usage_error.ts";

/** What a command may print with. */
export interface Terminal {
  /** Results as text; control characters in it become visible. */
  out(text: string): void;
  /** Results as bytes. */
  outBytes(bytes: Uint8Array): void;
  /** Messages; control characters in them become visible. */
  err(text: string): void;
  /** A line that the next one replaces; nothing unless stderr is a terminal. */
  progress(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Columns of the terminal, 80 if unknown. */
  readonly columns: number;
  /** Styles of results, plain text while colours are off. */
  readonly style: Style;
}

/** Styles for people; each returns its text unchanged while colours are off. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const PLAIN = (text: string) => text;
const NO_STYLE: Style = { bold: PLAIN, dim: PLAIN, red: PLAIN, green: PLAIN, yellow: PLAIN, cyan: PLAIN };
// Not std's colors: they stay off while NO_COLOR is set, and `--color=always` has to win over it.
const sgr = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;
const FULL_STYLE: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  red: sgr(31, 39),
  green: sgr(32, 39),
  yellow: sgr(33, 39),
  cyan: sgr(36, 39),
};

const ENCODER = new TextEncoder();
/** Bytes that are held back in one piece. */
const CHUNK_BYTES = 64 * 1024;
const CLEAR_LINE = "\r\x1b[K";

/** The process's own streams. */
export class ProcessTerminal implements Terminal {
  style: Style = NO_STYLE;
  /** Styles of messages. */
  errStyle: Style = NO_STYLE;
  #outClosed = false;
  #errClosed = false;
  #progressShown = false;
  #held: HeldBytes | undefined = undefined;

  get outIsTerminal(): boolean {
    return Deno.stdout.isTerminal();
  }

  get errIsTerminal(): boolean {
    return Deno.stderr.isTerminal();
  }

  /** Nobody reads standard output any more, or it cannot be written. */
  get outIsClosed(): boolean {
    return this.#outClosed;
  }

  get columns(): number {
    try {
      // A terminal that nobody told its size says 0.
      return Deno.consoleSize().columns || 80;
    } catch {
      return 80;
    }
  }

  /** Chooses colours: `--color` wins, then NO_COLOR, then whether the stream is a terminal. */
  setColor(choice: "auto" | "always" | "never", noColor: boolean): void {
    const styleOf = (isTerminal: boolean) =>
      choice === "always" || (choice === "auto" && !noColor && isTerminal) ? FULL_STYLE : NO_STYLE;
    this.style = styleOf(this.outIsTerminal);
    this.errStyle = styleOf(this.errIsTerminal);
  }

  out(text: string): void {
    const keepStyle = this.style !== NO_STYLE;
    this.outBytes(ENCODER.encode(escapeText(text, { keepNewline: true, keepStyle })));
  }

  /**
   * @throws {FileError} if standard output cannot take them; nothing more is written to it then
   * @throws {UsageError} if more is held back than there is room for
   */
  outBytes(bytes: Uint8Array): void {
    if (this.#held !== undefined) this.#held.add(bytes);
    else if (!this.#outClosed) {
      this.#outClosed = true;
      this.#outClosed = !writeAll(Deno.stdout, bytes);
    }
  }

  /** What the line editor draws, on stdout or stderr: its own control sequences, and text that it has made safe. */
  draw(text: string, onOut: boolean): void {
    if (onOut) this.outBytes(ENCODER.encode(text));
    else this.#writeErr(text);
  }

  err(text: string): void {
    const clear = this.#progressShown ? CLEAR_LINE : "";
    this.#progressShown = false;
    const keepStyle = this.errStyle !== NO_STYLE;
    this.#writeErr(clear + escapeText(text, { keepNewline: true, keepStyle }));
  }

  progress(text: string): void {
    if (!this.errIsTerminal || this.#errClosed) return;
    this.#writeErr(CLEAR_LINE + escapeText(text, { keepStyle: true }));
    this.#progressShown = text !== "";
  }

  #writeErr(text: string): void {
    if (this.#errClosed) return;
    try {
      this.#errClosed = !writeAll(Deno.stderr, ENCODER.encode(text));
    } catch (error) {
      // There is no place left to say that messages cannot be written.
      if (!(error instanceof FileError)) throw error;
      this.#errClosed = true;
    }
  }

  /** Keeps results back until {@linkcode release}: a script's results count once its transaction is committed. */
  hold(): void {
    this.#held ??= new HeldBytes();
  }

  /** Forgets what was held back: it tells of things that are undone. */
  discard(): void {
    if (this.#held !== undefined) this.#held = new HeldBytes();
  }

  /** Prints what was held back. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const bytes of held?.chunks() ?? []) this.outBytes(bytes);
  }
}

/** Bytes in the order in which they came; many small pieces take no more room than a few large ones. */
class HeldBytes {
  readonly #full: Uint8Array[] = [];
  #chunk = new Uint8Array(CHUNK_BYTES);
  #used = 0;
  #total = 0;

  /** @throws {UsageError} over {@linkcode MAX_HELD_BYTES} */
  add(bytes: Uint8Array): void {
    if (this.#total + bytes.length > MAX_HELD_BYTES) {
      throw new UsageError(
        `The results of a script are held back until it is committed, and these are over ${
          mebibytes(MAX_HELD_BYTES)
        }; use --commit-each or --quiet`,
      );
    }
    this.#total += bytes.length;
    if (bytes.length > this.#chunk.length - this.#used) this.#startChunk(bytes.length);
    this.#chunk.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #startChunk(least: number): void {
    this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, least));
    this.#used = 0;
  }

  *chunks(): Generator<Uint8Array> {
    yield* this.#full;
    yield this.#chunk.subarray(0, this.#used);
  }
}

/** Writes all bytes; false if nobody reads any more. @throws {FileError} */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    try {
      at += stream.writeSync(bytes.subarray(at));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      if (!(error instanceof Error)) throw error;
      if (!(error instanceof Deno.errors.WouldBlock)) {
        throw new FileError("-", `Output cannot be written: ${error.message}`);
      }
      // The other end of a non-blocking pipe is slow; a millisecond later it may have room.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return true;
}

/** A table for people: columns as wide as their cells, two spaces between them. */
export function renderTable(rows: readonly (readonly string[])[], style: Style): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row, i) => {
    const line = row.map((cell, column) => {
      const safe = escapeText(cell);
      return column === row.length - 1 ? safe : safe.padEnd(widths[column]!);
    }).join("  ").trimEnd();
    return (i === 0 ? style.bold(line) : line) + "\n";
  }).join("");
}
