/**
 * The program's streams. Everything that is printed goes through here, so that a closed pipe ends the output and
 * not the program, and so that tests can look at it.
 */
import * as colors from "@std/fmt/colors";
import { escapeText } from "./text/diagnostic.ts";

/** What a command may print with. */
export interface Terminal {
  /** Results. */
  out(text: string): void;
  /** Results as bytes. */
  outBytes(bytes: Uint8Array): void;
  /** Messages. */
  err(text: string): void;
  /** A line that the next one replaces; nothing unless stderr is a terminal. */
  progress(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Columns of the terminal, 80 if unknown. */
  readonly columns: number;
  /** Styles, plain text while colours are off. */
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
const FULL_STYLE: Style = {
  bold: colors.bold,
  dim: colors.dim,
  red: colors.red,
  green: colors.green,
  yellow: colors.yellow,
  cyan: colors.cyan,
};

const ENCODER = new TextEncoder();
const CLEAR_LINE = "\r\x1b[K";

/** The process's own streams. */
export class ProcessTerminal implements Terminal {
  style: Style = NO_STYLE;
  #outClosed = false;
  #errClosed = false;
  #progressShown = false;
  #held: Uint8Array[] | undefined = undefined;

  get outIsTerminal(): boolean {
    return Deno.stdout.isTerminal();
  }

  get errIsTerminal(): boolean {
    return Deno.stderr.isTerminal();
  }

  get columns(): number {
    try {
      return Deno.consoleSize().columns;
    } catch {
      return 80;
    }
  }

  /** Chooses colours: `--color` wins, then NO_COLOR, then whether stdout is a terminal. */
  setColor(choice: "auto" | "always" | "never", noColor: boolean): void {
    const on = choice === "always" || (choice === "auto" && !noColor && this.outIsTerminal);
    if (on) colors.setColorEnabled(true);
    this.style = on ? FULL_STYLE : NO_STYLE;
  }

  out(text: string): void {
    this.outBytes(ENCODER.encode(text));
  }

  outBytes(bytes: Uint8Array): void {
    if (this.#held !== undefined) this.#held.push(bytes.slice());
    else if (!this.#outClosed) this.#outClosed = !writeAll(Deno.stdout, bytes);
  }

  err(text: string): void {
    const clear = this.#progressShown ? CLEAR_LINE : "";
    this.#progressShown = false;
    if (!this.#errClosed) this.#errClosed = !writeAll(Deno.stderr, ENCODER.encode(clear + text));
  }

  progress(text: string): void {
    if (!this.errIsTerminal || this.#errClosed) return;
    this.#errClosed = !writeAll(Deno.stderr, ENCODER.encode(CLEAR_LINE + text));
    this.#progressShown = text !== "";
  }

  /** Keeps results back until {@linkcode release}: a script's results count once its transaction is committed. */
  hold(): void {
    this.#held ??= [];
  }

  /** Prints what was held back. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const bytes of held) this.outBytes(bytes);
  }
}

/** Writes all bytes; false if nobody reads any more. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): boolean {
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    if (error instanceof Deno.errors.WouldBlock) return writeAll(stream, bytes);
    throw error;
  }
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
