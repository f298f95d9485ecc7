/**
 * Options and positional words of a line, by std's parser. Words that cannot be options (quoted ones, `$name`, what
 * follows `--`) go through it as placeholders, so that a value is never taken for an option because of what it holds.
 */
import { parseArgs } from "@std/cli/parse-args";
import { type Flag, isFlag, optionName, type Parameter } from "./command.ts";
import { quoteText } from "./quote.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage_error.ts";
import type { Word } from "./words.ts";

/** Options by key. */
export type OptionSpecs = Readonly<Record<string, Parameter<unknown> | Flag>>;

/** What a line holds. */
export interface ReadOptions {
  /** Given options by key; a flag has an empty list. */
  readonly options: ReadonlyMap<string, readonly Word[]>;
  readonly positionals: readonly Word[];
  /** With `stopAfter`: index of the first word that was not read. */
  readonly next: number;
}

/** A word of plain text, such as the operating system hands over. */
export function literalWord(text: string, column = 1): Word {
  return { parts: [{ kind: "literal", text }], text, column, quoted: false };
}

/** True if the word waits for a variable. */
export function isDynamic({ parts }: Word): boolean {
  for (const { kind } of parts) if (kind !== "literal") return true;
  return false;
}

/** Not quoted, no variable, begins with a dash, and is not `-` itself. */
export function isOption({ quoted, text, parts }: Word): boolean {
  return text.startsWith("-") && text.length > 1 && !quoted && parts.every((part) => part.kind === "literal");
}

/** Options as std's parser takes them. */
interface Spelled {
  /** Keys by what stands behind the dashes. */
  readonly byName: ReadonlyMap<string, string>;
  /** Names of those without and with a value. */
  readonly flags: string[];
  readonly valued: string[];
  readonly alias: Record<string, string>;
}

const SPELLED = new WeakMap<OptionSpecs, Spelled>();

/** Options as std's parser takes them, worked out once. */
function spelled(specs: OptionSpecs): Spelled {
  const known = SPELLED.get(specs);
  if (known !== undefined) return known;
  const byName = new Map<string, string>();
  const alias: Record<string, string> = {};
  for (const [key, { short }] of Object.entries(specs)) {
    byName.set(optionName(key), key);
    if (short !== undefined) byName.set(short, key);
    if (short !== undefined && short !== key) alias[optionName(key)] = short;
  }
  const names = (flags: boolean) =>
    Object.keys(specs).filter((key) => isFlag(specs[key]!) === flags).map(optionName);
  const result = { byName, flags: names(true), valued: names(false), alias };
  SPELLED.set(specs, result);
  return result;
}

const NO_OPTIONS: ReadonlyMap<string, readonly Word[]> = new Map();

/** What most lines are: words among which no option stands. Undefined if one does. */
function withoutOptions(
  words: readonly Word[],
  stopAfter: number,
  optionsFirst: boolean,
): ReadOptions | undefined {
  const last = Math.min(words.length, stopAfter);
  const looked = optionsFirst ? Math.min(words.length, last + 1) : last;
  for (let at = 0; at < looked; at++) if (isOption(words[at]!)) return undefined;
  return { options: NO_OPTIONS, positionals: words.slice(0, last), next: last };
}

/** Marks a placeholder; no word from outside can hold a NUL. */
const MARK = "\0";

/**
 * Reads options anywhere among the words.
 *
 * @param stopAfter number of positional words after which reading stops; what follows is left alone
 * @param optionsFirst with `stopAfter` 0: options in front of the first word that is none are read
 * @param implied values of options whose value may be left out, by key
 * @throws {UsageError} for an unknown option, a missing value, a value where none belongs
 */
export function readOptions(
  words: readonly Word[],
  specs: OptionSpecs,
  { stopAfter = Infinity, optionsFirst = false, implied = {} }: {
    readonly stopAfter?: number;
    readonly optionsFirst?: boolean;
    readonly implied?: Readonly<Record<string, string>>;
  } = {},
): ReadOptions {
  const plain = withoutOptions(words, stopAfter, optionsFirst);
  if (plain !== undefined) return plain;
  const { byName, flags, valued, alias } = spelled(specs);
  const { args, next } = shield(words, specs, byName, { stopAfter, optionsFirst, implied });
  const parsed = parseArgs(args, {
    boolean: flags,
    string: [...valued, "_"],
    collect: valued,
    alias,
    unknown(arg, name) {
      if (name !== undefined) throw unknownOption(arg, [...byName.keys()]);
      return true;
    },
  });

  const wordOf = (value: string): Word =>
    value.startsWith(MARK) ? words[Number(value.slice(MARK.length))]! : literalWord(value);
  const options = new Map<string, readonly Word[]>();
  for (const [key, spec] of Object.entries(specs)) {
    const value = parsed[optionName(key)];
    if (isFlag(spec)) {
      if (value === true) options.set(key, []);
      continue;
    }
    const given = (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String);
    if (given.length === 0) continue;
    if (given.includes("")) {
      const token = words.find((word) => isOption(word) && byName.get(nameOf(word.text)) === key)?.text;
      throw new UsageError(`${display(key, spec)} needs a value: ${spec.kind.placeholder}`, { token });
    }
    options.set(key, given.map(wordOf));
  }
  return { options, positionals: parsed._.map((value) => wordOf(String(value))), next };
}

/** Turns words into arguments for std's parser, in which only true options begin with a dash. */
function shield(
  words: readonly Word[],
  specs: OptionSpecs,
  byName: ReadonlyMap<string, string>,
  { stopAfter, optionsFirst, implied }: {
    readonly stopAfter: number;
    readonly optionsFirst: boolean;
    readonly implied: Readonly<Record<string, string>>;
  },
): { args: string[]; next: number } {
  const args: string[] = [];
  let positionals = 0;
  let at = 0;
  let ended = false;
  let valueDue = false;
  while (at < words.length) {
    const word = words[at]!;
    if (ended || !isOption(word)) {
      if (!valueDue && positionals === stopAfter) break;
      if (!valueDue) positionals++;
      valueDue = false;
      args.push(`${MARK}${at++}`);
      continue;
    }
    if (positionals === stopAfter && !optionsFirst) break;
    if (word.text === "--" && valueDue) {
      const option = words[at - 1]!.text;
      throw new UsageError(`${quoteText(option)} needs a value before "--"`, { token: option });
    }
    at++;
    valueDue = false;
    if (word.text === "--") {
      ended = true;
      continue;
    }
    if (!word.text.startsWith("--")) {
      valueDue = spellOut(word.text, specs, byName, args);
      continue;
    }
    const name = nameOf(word.text);
    const key = byName.get(name);
    const spec = key === undefined ? undefined : specs[key];
    // std's own name for what is no option.
    if (name === "_") throw unknownOption(word.text, [...byName.keys()]);
    if (key !== undefined && spec !== undefined && word.text === `--${name}`) {
      if (implied[key] !== undefined) args.push(`--${name}=${implied[key]}`);
      else args.push(word.text);
      valueDue = !isFlag(spec) && implied[key] === undefined;
    } else if (key !== undefined && spec !== undefined && isFlag(spec)) throw noValue(key, word.text);
    else args.push(word.text);
  }
  return { args, next: at };
}

/**
 * Writes a cluster of one-letter options out in long form: `-vd1` is `--verbose --device=1`.
 *
 * @returns true if the last letter waits for its value: `-vd 1`
 */
function spellOut(
  text: string,
  specs: OptionSpecs,
  byName: ReadonlyMap<string, string>,
  args: string[],
): boolean {
  for (let at = 1; at < text.length; at++) {
    const key = byName.get(text[at]!);
    const spec = key === undefined ? undefined : specs[key];
    if (key === undefined || spec === undefined) throw unknownOption(text, [...byName.keys()]);
    const hasValue = text[at + 1] === "=";
    if (isFlag(spec)) {
      if (hasValue) throw noValue(key, text);
      args.push(`--${optionName(key)}`);
      continue;
    }
    // POSIX lets the value follow its letter at once.
    const value = text.slice(at + (hasValue ? 2 : 1));
    args.push(`--${optionName(key)}` + (value === "" && !hasValue ? "" : `=${value}`));
    return value === "" && !hasValue;
  }
  return false;
}

/** `host` of `--host=FILE`, `d` of `-d0`. */
function nameOf(text: string): string {
  return text.startsWith("--") ? text.slice(2).split("=", 1)[0]! : text[1]!;
}

function display(key: string, { short }: Parameter<unknown> | Flag): string {
  const name = optionName(key);
  return name === short ? `-${name}` : `--${name}`;
}

function noValue(key: string, token: string): UsageError {
  return new UsageError(`--${optionName(key)} takes no value`, { token });
}

function unknownOption(arg: string, names: readonly string[]): UsageError {
  if (/^-[0-9]/.test(arg)) {
    return new UsageError(`${quoteText(arg)} is not an option here`, {
      token: arg,
      hint: "a number has no sign here",
    });
  }
  const name = arg.replace(/^-+/, "").split("=", 1)[0]!;
  const near = nearest(name, names.filter((each) => each.length > 1));
  return new UsageError(`${quoteText(arg)} is not an option here`, {
    token: arg,
    hint: near === undefined ? "see --help" : `did you mean --${near}? See --help`,
  });
}
