/** From the text of a script to its lines. */
import { MAX_LINE_LENGTH } from "./limits.ts";
import { PlacedError, UsageError } from "./usage_error.ts";

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
  /** Where it begins in the text. */
  readonly at: number;
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

/** What the text before a character decides about it. */
export interface QuoteState {
  quote: "" | "'" | '"';
  atWordStart: boolean;
}

/** What makes a line more than words with blanks between them. */
const SPECIAL = /["'\\#$\0\r\n]/;

/** A physical line that is a logical one, as nearly all are. */
export class PlainLine implements LogicalLine {
  readonly open = false;

  constructor(
    readonly text: string,
    readonly line: number,
    readonly at = 0,
  ) {}

  /** Nothing in it has a meaning but blanks. */
  get isPlain(): boolean {
    return !SPECIAL.test(this.text);
  }

  get pieces(): readonly LinePiece[] {
    return [{ line: this.line, column: 1, source: this.text }];
  }
}

/** What becomes of a line that is none; the lines behind it follow if it returns. */
type Refusal = (error: PlacedError) => void;
const THROW: Refusal = (error) => {
  throw error;
};

/**
 * Splits a script into logical lines, blank ones included. A line that ends in an odd number of backslashes goes on
 * in the next one, in quotes too; a comment never does.
 *
 * @param firstLine number of the text's first physical line.
 * @param refused takes what is wrong with a NUL character or a line over {@linkcode MAX_LINE_LENGTH}; throws by default
 */
export function* eachLine(
  text: string,
  file = "-",
  firstLine = 1,
  refused: Refusal = THROW,
): Generator<LogicalLine> {
  let pieces: LinePiece[] = [];
  let joined = "";
  let state = startOfLine();
  let line = firstLine;
  let started = 0;
  // A line end at the end of the text does not begin another line.
  for (let begin = 0, end = 0; begin < text.length; begin = end + 1, line++) {
    end = text.indexOf("\n", begin);
    if (end < 0) end = text.length;
    const source = text.slice(begin, text.charCodeAt(end - 1) === RETURN && end > begin ? end - 1 : end);
    const error = lineError(source, joined.length, file, line);
    if (error !== undefined) refused(error);
    if (error === undefined && pieces.length === 0 && source.charCodeAt(source.length - 1) !== BACKSLASH) {
      yield new PlainLine(source, line, begin);
      continue;
    }
    if (pieces.length === 0) started = begin;
    pieces.push({ line, column: joined.length + 1, source });
    const wantsMore = endsInOddBackslashes(source);
    const share = wantsMore ? source.slice(0, -1) : source;
    const inComment = findComment(share, state) >= 0;
    const isLast = end >= text.length - 1;
    if (wantsMore && !inComment && !isLast) {
      joined += share;
      continue;
    }
    if (error === undefined) {
      const isOne = pieces.length === 1 && !wantsMore;
      yield isOne ? new PlainLine(source, line, begin) : {
        text: joined + source,
        line: pieces[0]!.line,
        at: started,
        open: wantsMore && !inComment,
        pieces,
      };
    }
    pieces = [];
    joined = "";
    state = startOfLine();
  }
}

const RETURN = 13;
const BACKSLASH = 92;

/** All lines of {@linkcode eachLine}. @throws {PlacedError} at the first that is none */
export function splitLines(text: string, file = "-", firstLine = 1): LogicalLine[] {
  return [...eachLine(text, file, firstLine)];
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

/** Blanks stand between words. */
export function isBlank(char: string): boolean {
  return char === " " || char === "\t";
}

function endsInOddBackslashes(text: string): boolean {
  let count = 0;
  while (text.charAt(text.length - 1 - count) === "\\") count++;
  return count % 2 === 1;
}

/** The state of {@linkcode findComment} where a line begins. */
export function startOfLine(): QuoteState {
  return { quote: "", atWordStart: true };
}

/** What makes a `#` behind a blank something else than a comment. */
const QUOTING = /["'\\]/;

/** {@linkcode findComment} where nothing is quoted. */
function findUnquoted(text: string, state: QuoteState): number {
  for (let at = text.indexOf("#"); at >= 0; at = text.indexOf("#", at + 1)) {
    if (at === 0 ? state.atWordStart : isBlank(text.charAt(at - 1))) return at;
  }
  if (text !== "") state.atWordStart = isBlank(text.charAt(text.length - 1));
  return -1;
}

/** The index of the `#` that begins a comment, or -1; `state` goes from the start of `text` to its end. */
export function findComment(text: string, state: QuoteState): number {
  if (state.quote === "" && !QUOTING.test(text)) return findUnquoted(text, state);
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

function lineError(
  source: string,
  joinedLength: number,
  file: string,
  line: number,
): PlacedError | undefined {
  const refusal = (message: string, index: number) =>
    new PlacedError({ file, line, column: index + 1 }, source, new UsageError(message));
  const nul = source.indexOf("\0");
  if (nul >= 0) return refusal("a NUL character; a script is plain text", nul);
  if (joinedLength + source.length <= MAX_LINE_LENGTH) return undefined;
  return refusal("the line is longer than 1 MiB; large data belongs in a file, as file:PATH", 0);
}
