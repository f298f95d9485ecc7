/** From a line to its words. */
import { type Arithmetic, endOfArithmetic, parseArithmetic } from "./arithmetic.ts";
import { findComment, isBlank, type LogicalLine, placeError, PlainLine, startOfLine } from "./lines.ts";
import { quoteText } from "./quote.ts";
import { UsageError } from "./usage_error.ts";

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

/** `$((…))` with variables in it, outside single quotes; without, it is the text of its value. */
export interface ArithmeticPart {
  readonly kind: "arithmetic";
  readonly value: Arithmetic;
}

/** What a word is made of. */
export type WordPart = LiteralPart | VariablePart | ArithmeticPart;

/** A word of a script line. */
export interface Word {
  /** What the word is made of, without quotes and escapes; empty for `''`. */
  readonly parts: readonly WordPart[];
  /** The word with its variables as they were typed: `$tok`. */
  readonly text: string;
  /** Where the word begins in its logical line, from 1; see {@linkcode locate}. */
  readonly column: number;
  /** Whether any of it was quoted or escaped, so that it is never an option or a keyword by accident. */
  readonly quoted: boolean;
}

/** A variable at `lastIndex`. */
const VARIABLE = /\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/y;

/**
 * Splits one logical line into words, with quotes as in a shell: `'…'` is literal, `"…"` knows `\"`, `\\`, `\$` and
 * variables, a backslash elsewhere takes the next character literally, `#` at the start of a word begins a comment.
 *
 * @param line a line of {@linkcode splitLines}, or one line's text.
 * @param place where the text comes from; a logical line knows its own numbers.
 * @throws {PlacedError} for a quote without its end, a `$` without a name, a line break outside quotes.
 */
export function splitWords(line: string | LogicalLine, place: { file: string; line: number }): Word[] {
  const logical = typeof line === "string" ? new PlainLine(line, place.line) : line;
  if (logical instanceof PlainLine && logical.isPlain) return plainWords(logical.text);
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
    } else if (text.startsWith("$((", i)) {
      const end = endOfArithmetic(text, i);
      if (end < 0) return refuse("$(( has no end; )) ends it", i, "$((");
      try {
        word.addArithmetic(parseArithmetic(text.slice(i + 3, end - 2)), text.slice(i, end));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        refuse(error.message, i, text.slice(i, end), error.hint);
      }
      i = end;
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

/** The words of a line in which nothing has a meaning but blanks. */
function plainWords(text: string): Word[] {
  const words: Word[] = [];
  for (let i = 0; i < text.length; i++) {
    if (isBlank(text.charAt(i))) continue;
    const begin = i;
    while (i < text.length && !isBlank(text.charAt(i))) i++;
    const word = text.slice(begin, i);
    words.push({ parts: [{ kind: "literal", text: word }], text: word, column: begin + 1, quoted: false });
  }
  return words;
}

/**
 * Puts the values of variables into a word; a value stays one word, whatever is in it.
 *
 * @throws {UsageError} naming the variable that `lookup` does not know.
 */
export function expand(word: Word, lookup: (name: string) => string | undefined): string {
  const { parts } = word;
  const known = (name: string): string => {
    const value = lookup(name);
    if (value !== undefined) return value;
    throw new UsageError(`there is no variable ${quoteText("$" + name)}`, {
      token: word.text,
      hint: `let ${name} COMMAND… sets it; \\$ is a dollar sign`,
    });
  };
  let text = "";
  for (const part of parts) {
    if (part.kind === "literal") text += part.text;
    else if (part.kind === "variable") text += known(part.name);
    else text += valueOf(part.value, known, word.text);
  }
  return text;
}

function valueOf({ evaluate }: Arithmetic, known: (name: string) => string, token: string): string {
  try {
    return evaluate(known).toString();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(error.message, { token, hint: error.hint });
  }
}

const NO_NAMES: readonly string[] = [];

/** The variables of a word, in the order in which they stand. */
export function variablesOf({ parts }: Word): readonly string[] {
  if (parts.every(({ kind }) => kind === "literal")) return NO_NAMES;
  return parts.flatMap((part) =>
    part.kind === "literal" ? [] : part.kind === "variable" ? [part.name] : part.value.names
  );
}

/** Collects one word. */
class WordBuilder {
  quoted = false;
  readonly #column: number;
  readonly #parts: WordPart[] = [];
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

  /** @throws {UsageError} if it has no variables and no value */
  addArithmetic(value: Arithmetic, source: string): void {
    if (value.names.length === 0) this.#literal += value.evaluate(() => "").toString();
    else {
      this.#endLiteral();
      this.#parts.push({ kind: "arithmetic", value });
    }
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
