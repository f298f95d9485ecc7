import { MAX_LINE_LENGTH } from "./limits.ts";
import { quoteText } from "./quote.ts";
import { PlacedError, UsageError } from "./usage_error.ts";

/** Text that stands for itself. */
export interface LiteralPart {
  readonly kind: "literal";
  readonly text: string;
}

/** `$name` or `${name}`, outside single quotes. */
export interface VariablePart {
  readonly kind: "variable";
  readonly name: string;
}

/** A word of a script line. */
export interface Word {
  /** What the word is made of, without quotes and escapes; empty for `''`. */
  readonly parts: readonly (LiteralPart | VariablePart)[];
  /** The word with its variables as they were typed: `$tok`. */
  readonly text: string;
  /** Where the word begins in its logical line, from 1; see {@linkcode locate}. */
  readonly column: number;
  /** Whether any of it was quoted or escaped, so that it is never an option or a keyword by accident. */
  readonly quoted: boolean;
}

/** A physical line's share of a logical line. */
export interface LinePiece {
  /** Number of the physical line, from 1. */
  readonly line: number;
  /** Where the share begins in the logical line, from 1. */
  readonly column: number;
  /** The whole physical line, without its line end. */
  readonly source: string;
}

/** One command's line: a physical line, with those that continue it. */
export interface LogicalLine {
  /** The joined text, without the backslashes that join it. */
  readonly text: string;
  /** Number of the first physical line, from 1. */
  readonly line: number;
  /** Whether the text ended where a continuation was due: a shell asks for more, a script is wrong. */
  readonly open: boolean;
  /** Where each part of the text comes from, at least one. */
  readonly pieces: readonly LinePiece[];
}

/** Where a column of a logical line is in the file. */
export interface Location {
  readonly line: number;
  readonly column: number;
  /** The whole physical line. */
  readonly source: string;
}

/** A variable at `lastIndex`. */
const VARIABLE = /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/y;

/** What the text before a character decides about it. */
interface QuoteState {
  quote: "" | "'" | '"';
  atWordStart: boolean;
}

/**
 * Splits a script into logical lines, blank ones included. A line that ends in an odd number of backslashes goes on
 * in the next one, in quotes too; a comment never does.
 *
 * @param firstLine number of the text's first physical line.
 * @throws {PlacedError} for a NUL character or a line over {@linkcode MAX_LINE_LENGTH}.
 */
export function splitLines(text: string, file = "-", firstLine = 1): LogicalLine[] {
  const physical = text.split("\n");
  // A line end at the end of the text does not begin another line.
  if (physical.at(-1) === "") physical.pop();

  const lines: LogicalLine[] = [];
  let pieces: LinePiece[] = [];
  let joined = "";
  let state = startOfLine();
  let inComment = false;
  for (const [index, raw] of physical.entries()) {
    const source = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    const line = index + firstLine;
    const piece: LinePiece = { line, column: joined.length + 1, source };
    checkLine(source, joined.length, { file, line });
    pieces.push(piece);

    const wantsMore = endsInOddBackslashes(source);
    const share = wantsMore ? source.slice(0, -1) : source;
    inComment = findComment(share, state) >= 0;
    if (wantsMore && !inComment && index + 1 < physical.length) {
      joined += share;
      continue;
    }
    lines.push({
      text: joined + source,
      line: pieces[0]?.line ?? line,
      open: wantsMore && !inComment,
      pieces,
    });
    pieces = [];
    joined = "";
    state = startOfLine();
  }
  return lines;
}

/** Finds the physical line and column of a column in the joined text. */
export function locate(logical: LogicalLine, column: number): Location {
  const piece = logical.pieces.findLast((candidate) => candidate.column <= column) ?? logical.pieces[0];
  if (piece === undefined) return { line: logical.line, column, source: logical.text };
  return { line: piece.line, column: column - piece.column + 1, source: piece.source };
}

/** Gives an error in a logical line its place in the file. */
export function placeError(
  cause: UsageError,
  file: string,
  logical: LogicalLine,
  column: number,
): PlacedError {
  const { source, ...position } = locate(logical, column);
  return new PlacedError({ file, ...position }, source, cause);
}

/**
 * Splits one logical line into words, with quotes as in a shell: `'…'` is literal, `"…"` knows `\"`, `\\`, `\$` and
 * variables, a backslash elsewhere takes the next character literally, `#` at the start of a word begins a comment.
 *
 * @param line a line of {@linkcode splitLines}, or one line's text.
 * @param place where the text comes from; a logical line knows its own numbers.
 * @throws {PlacedError} for a quote without its end, a `$` without a name, a line break outside quotes.
 */
export function splitWords(line: string | LogicalLine, place: { file: string; line: number }): Word[] {
  const logical = typeof line === "string" ? onePiece(line, place.line) : line;
  const refuse = (message: string, index: number, token?: string, hint?: string): never => {
    throw placeError(new UsageError(message, { token, hint }), place.file, logical, index + 1);
  };
  const comment = findComment(logical.text, startOfLine());
  const text = comment < 0 ? logical.text : logical.text.slice(0, comment);

  const words: Word[] = [];
  let word: WordBuilder | undefined;
  let openQuote = -1;
  for (let i = 0; i < text.length;) {
    const char = text.charAt(i);
    const quote = openQuote < 0 ? "" : text.charAt(openQuote);

    if (quote === "" && isBlank(char)) {
      if (word !== undefined) words.push(word.finish());
      word = undefined;
      i++;
      continue;
    }
    if (quote === "" && (char === "\n" || char === "\r")) {
      refuse("a line break within a line; put one command on a line", i);
    }

    word ??= new WordBuilder(i + 1);
    if (quote === "" ? char === "'" || char === '"' : char === quote) {
      openQuote = quote === "" ? i : -1;
      word.quoted = true;
      i++;
    } else if (quote === "'") {
      word.add(char);
      i++;
    } else if (char === "\\") {
      const next = text.charAt(i + 1);
      if (quote === "" && next === "") {
        refuse("nothing follows the backslash", i, "\\", "write \\\\ for a backslash");
      }
      const isEscape = quote === "" || next === '"' || next === "\\" || next === "$";
      if (isEscape) word.quoted = true;
      word.add(isEscape ? next : char);
      i += isEscape ? 2 : 1;
    } else if (char === "$") {
      VARIABLE.lastIndex = i;
      const variable = VARIABLE.exec(text);
      const name = variable?.[1] ?? variable?.[2];
      if (variable === null || name === undefined) {
        return refuse("no variable name after $; write \\$ for a dollar sign", i, "$");
      }
      word.addVariable(name, variable[0]);
      i += variable[0].length;
    } else {
      word.add(char);
      i++;
    }
  }
  if (openQuote >= 0) {
    const quote = text.charAt(openQuote);
    refuse(`the ${quote} quote has no end`, openQuote, quote);
  }
  if (word !== undefined) words.push(word.finish());
  return words;
}

/**
 * Puts the values of variables into a word; a value stays one word, whatever is in it.
 *
 * @throws {UsageError} naming the variable that `lookup` does not know.
 */
export function expand(word: Word, lookup: (name: string) => string | undefined): string {
  return word.parts.map((part) => {
    if (part.kind === "literal") return part.text;
    const value = lookup(part.name);
    if (value !== undefined) return value;
    throw new UsageError(`there is no variable ${quoteText("$" + part.name)}`, {
      token: word.text,
      hint: `let ${part.name} COMMAND… sets it; \\$ is a dollar sign`,
    });
  }).join("");
}

/** Collects one word. */
class WordBuilder {
  quoted = false;
  readonly #column: number;
  readonly #parts: (LiteralPart | VariablePart)[] = [];
  #literal = "";
  #text = "";

  constructor(column: number) {
    this.#column = column;
  }

  add(char: string): void {
    this.#literal += char;
    this.#text += char;
  }

  addVariable(name: string, source: string): void {
    this.#endLiteral();
    this.#parts.push({ kind: "variable", name });
    this.#text += source;
  }

  finish(): Word {
    this.#endLiteral();
    return { parts: this.#parts, text: this.#text, column: this.#column, quoted: this.quoted };
  }

  #endLiteral(): void {
    if (this.#literal !== "") this.#parts.push({ kind: "literal", text: this.#literal });
    this.#literal = "";
  }
}

function onePiece(text: string, line: number): LogicalLine {
  return { text, line, open: false, pieces: [{ line, column: 1, source: text }] };
}

function isBlank(char: string): boolean {
  return char === " " || char === "\t";
}

function endsInOddBackslashes(text: string): boolean {
  let count = 0;
  while (text.charAt(text.length - 1 - count) === "\\") count++;
  return count % 2 === 1;
}

function startOfLine(): QuoteState {
  return { quote: "", atWordStart: true };
}

/** The index of the `#` that begins a comment, or -1; `state` goes from the start of `text` to its end. */
function findComment(text: string, state: QuoteState): number {
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (state.quote === "" && state.atWordStart && char === "#") return i;
    if (char === "\\" && state.quote !== "'") i++;
    else if (state.quote !== "") state.quote = char === state.quote ? "" : state.quote;
    else if (char === "'" || char === '"') state.quote = char;
    state.atWordStart = state.quote === "" && isBlank(char);
  }
  return -1;
}

function checkLine(source: string, joinedLength: number, place: { file: string; line: number }): void {
  const refuse = (message: string, index: number): never => {
    throw new PlacedError({ ...place, column: index + 1 }, source, new UsageError(message));
  };
  const nul = source.indexOf("\0");
  if (nul >= 0) refuse("a NUL character; a script is plain text", nul);
  if (joinedLength + source.length > MAX_LINE_LENGTH) {
    refuse("the line is longer than 1 MiB; large data belongs in a file, as file:PATH", 0);
  }
}
