/**
 * The program's streams. Everything that is printed goes through here, so that a closed pipe ends the output and
 * not the program, and so that tests can look at it.
 */
import { escapeText, safeJson } from "../language/quote.ts";
import type { Style, Terminal } from "../language/terminal.ts";
import { HeldOutput, type Stream } from "./held.ts";
import { FileError } from "../language/usage_error.ts";

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
/** What is narrower than this is taken for as wide. Columns. */
const NARROWEST = 20;
const CLEAR_LINE = "\r\x1b[K";

/** The process's own streams. */
export class ProcessTerminal implements Terminal {
  style: Style = NO_STYLE;
  unicode = false;
  #columns: number | undefined = undefined;
  /** Styles of messages. */
  errStyle: Style = NO_STYLE;
  #outClosed = false;
  #errClosed = false;
  #progressShown = false;
  #held: HeldOutput | undefined = undefined;
  /** The one that was used last. */
  #spare: HeldOutput | undefined = undefined;
  #collected: (readonly [stream: Stream, bytes: Uint8Array])[] | undefined = undefined;

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

  /**
   * Takes what the environment says: COLUMNS, which wins over the terminal's own size and counts in a pipe, too, and the
   * locale, whose name tells whether it is UTF-8.
   */
  setSurroundings({ columns, locale }: {
    readonly columns: string | undefined;
    readonly locale: string | undefined;
  }): void {
    const wanted = /^[1-9][0-9]{0,5}$/.test(columns ?? "") ? Number(columns) : undefined;
    this.#columns = wanted === undefined ? undefined : Math.max(wanted, NARROWEST);
    this.unicode = Deno.build.os === "windows" || /utf-?8/i.test(locale ?? "");
  }

  get tableWidth(): number {
    return this.#columns ?? (this.outIsTerminal ? this.columns : Infinity);
  }

  get columns(): number {
    return this.#columns ?? this.screen.columns;
  }

  /** The terminal's own size; 24 lines of 80 columns if it is not known. */
  get screen(): { readonly columns: number; readonly rows: number } {
    try {
      // A terminal that nobody told its size says 0.
      const { columns, rows } = Deno.consoleSize();
      return { columns: columns || 80, rows: rows || 24 };
    } catch {
      return { columns: 80, rows: 24 };
    }
  }

  /** Chooses colours: `--color` wins, then NO_COLOR, then whether the stream is a terminal. */
  setColor(choice: "auto" | "always" | "never", noColor: boolean): void {
    const styleOf = (isTerminal: boolean) =>
      choice === "always" || (choice === "auto" && !noColor && isTerminal) ? FULL_STYLE : NO_STYLE;
    this.style = styleOf(this.outIsTerminal);
    this.errStyle = styleOf(this.errIsTerminal);
  }

  /** Styles as another terminal has them. */
  setStyles(out: boolean, err: boolean): void {
    this.style = out ? FULL_STYLE : NO_STYLE;
    this.errStyle = err ? FULL_STYLE : NO_STYLE;
  }

  out(text: string): void {
    const keepStyle = this.style !== NO_STYLE;
    this.outBytes(ENCODER.encode(escapeText(text, { keepNewline: true, keepStyle })));
  }

  /** One document of JSON on a line of its own. */
  outDocument(document: Readonly<Record<string, unknown>>): void {
    this.outBytes(ENCODER.encode(safeJson(document) + "\n"));
  }

  /** @throws {FileError} if standard output cannot take them; nothing more is written to it then */
  outBytes(bytes: Uint8Array): void {
    if (this.#held !== undefined) this.#held.add("out", bytes);
    else this.#writeOut(bytes);
  }

  #writeOut(bytes: Uint8Array): void {
    if (this.#collected !== undefined) return void this.#collected.push(["out", bytes.slice()]);
    if (this.#outClosed) return;
    // A result begins where the line of progress was.
    if (this.#progressShown && this.outIsTerminal) this.progress("");
    this.#outClosed = true;
    this.#outClosed = !writeAll(Deno.stdout, bytes);
  }

  /**
   * What the line editor draws, on stdout or stderr: its own control sequences, and text that it has made safe. It
   * belongs to no transaction.
   */
  draw(text: string, onOut: boolean): void {
    if (onOut) this.#writeOut(ENCODER.encode(text));
    else this.#writeErr(ENCODER.encode(text));
  }

  err(text: string): void {
    const clear = this.#progressShown ? CLEAR_LINE : "";
    this.#progressShown = false;
    const keepStyle = this.errStyle !== NO_STYLE;
    this.errBytes(ENCODER.encode(clear + escapeText(text, { keepNewline: true, keepStyle })));
  }

  /** Bytes for standard error. */
  errBytes(bytes: Uint8Array): void {
    if (this.#held !== undefined) this.#held.add("err", bytes);
    else this.#writeErr(bytes);
  }

  progress(text: string): void {
    if (!this.errIsTerminal || this.#errClosed || this.#collected !== undefined) return;
    this.#writeErr(ENCODER.encode(CLEAR_LINE + escapeText(text, { keepStyle: true })));
    this.#progressShown = text !== "";
  }

  #writeErr(bytes: Uint8Array): void {
    if (this.#collected !== undefined) return void this.#collected.push(["err", bytes.slice()]);
    if (this.#errClosed) return;
    try {
      this.#errClosed = !writeAll(Deno.stderr, bytes);
    } catch (error) {
      // There is no place left to say that messages cannot be written.
      if (!(error instanceof FileError)) throw error;
      this.#errClosed = true;
    }
  }

  /**
   * From here on what is printed belongs to a transaction, and is kept until {@linkcode release}: nothing is printed
   * before it is durable.
   */
  hold(): void {
    this.#held ??= this.#spare ?? new HeldOutput();
    this.#spare = undefined;
  }

  /** From here on what would be printed is collected for {@linkcode collected}. */
  collect(): void {
    this.#collected = [];
  }

  /** What was collected, in the order in which it came; from here on things are printed again. */
  collected(): readonly (readonly [stream: Stream, bytes: Uint8Array])[] {
    const pieces = this.#collected ?? [];
    this.#collected = undefined;
    return pieces;
  }

  /** The transaction is undone, and so is what it would have printed. */
  discard(): void {
    this.#held?.close();
    this.#spare = this.#held ?? this.#spare;
    this.#held = undefined;
  }

  /** The transaction is committed: prints what was kept. @throws {FileError} */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    try {
      for (const [stream, bytes] of held?.pieces() ?? []) {
        if (stream === "out") this.outBytes(bytes);
        else this.errBytes(bytes);
      }
    } finally {
      held?.close();
      this.#spare = held ?? this.#spare;
    }
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
