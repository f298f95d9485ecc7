/**
 * Options and positional words of a line. Words that cannot be options (quoted ones, `$name`, what follows `--`) are
 * known as such, so that a value is never taken for an option because of what it holds.
 */
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

/** Stands for a value that is missing. */
const MISSING = literalWord("");

const KEYS = new WeakMap<OptionSpecs, ReadonlyMap<string, string>>();

/** Keys by what stands behind the dashes, worked out once. */
function keysOf(specs: OptionSpecs): ReadonlyMap<string, string> {
  const known = KEYS.get(specs);
  if (known !== undefined) return known;
  const keys = new Map<string, string>();
  for (const [key, { short }] of Object.entries(specs)) {
    keys.set(optionName(key), key);
    if (short !== undefined) keys.set(short, key);
  }
  KEYS.set(specs, keys);
  return keys;
}

/** Options of a line while it is read: values by key, in the order in which they came. */
class GivenOptions {
  readonly specs: OptionSpecs;
  /** Keys by what stands behind the dashes. */
  readonly keys: ReadonlyMap<string, string>;
  readonly values = new Map<string, Word[]>();
  /** The option that waits for the next word. */
  due: string | undefined = undefined;
  /** The first word that is no option here. */
  unknown: string | undefined = undefined;

  constructor(specs: OptionSpecs) {
    this.specs = specs;
    this.keys = keysOf(specs);
  }

  give(key: string, value: Word | undefined): void {
    const values = this.values.get(key) ?? [];
    if (value !== undefined) values.push(value);
    this.values.set(key, values);
    if (this.due === key) this.due = undefined;
  }

  /** No value comes any more. */
  endDue(): void {
    if (this.due !== undefined) this.give(this.due, MISSING);
  }

  /** `--host`, `--host=FILE`. @throws {UsageError} */
  long(text: string, implied: Readonly<Record<string, string>>): void {
    const name = nameOf(text);
    const key = this.keys.get(name);
    const spec = key === undefined ? undefined : this.specs[key];
    const hasValue = text !== `--${name}`;
    if (key === undefined || spec === undefined) this.unknown ??= text;
    else if (hasValue && isFlag(spec)) throw noValue(key, text);
    else if (hasValue) this.give(key, inlineValue(text.slice(`--${name}=`.length)));
    else if (isFlag(spec)) this.give(key, undefined);
    else if (implied[key] !== undefined) this.give(key, literalWord(implied[key]));
    else this.due = key;
  }

  /** A cluster of one-letter options: `-vd1` is `--verbose --device=1`. @throws {UsageError} */
  cluster(text: string): void {
    for (let at = 1; at < text.length; at++) {
      const key = this.keys.get(text[at]!);
      const spec = key === undefined ? undefined : this.specs[key];
      if (key === undefined || spec === undefined) throw unknownOption(text, this.keys);
      const hasValue = text[at + 1] === "=";
      if (isFlag(spec)) {
        if (hasValue) throw noValue(key, text);
        this.give(key, undefined);
        continue;
      }
      // POSIX lets the value follow its letter at once.
      const value = text.slice(at + (hasValue ? 2 : 1));
      if (value === "" && !hasValue) this.due = key;
      else this.give(key, inlineValue(value));
      return;
    }
  }
}

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
  const given = new GivenOptions(specs);
  const positionals: Word[] = [];
  let next = 0;
  let ended = false;
  for (; next < words.length; next++) {
    const word = words[next]!;
    if (ended || !isOption(word)) {
      if (given.due !== undefined) given.give(given.due, word);
      else if (positionals.length === stopAfter) break;
      else positionals.push(word);
      continue;
    }
    if (positionals.length === stopAfter && !optionsFirst) break;
    if (word.text === "--") {
      if (given.due !== undefined) {
        const option = words[next - 1]!.text;
        throw new UsageError(`${quoteText(option)} needs a value before "--"`, { token: option });
      }
      ended = true;
      continue;
    }
    given.endDue();
    if (word.text.startsWith("--")) given.long(word.text, implied);
    else given.cluster(word.text);
  }
  given.endDue();
  if (given.unknown !== undefined) throw unknownOption(given.unknown, given.keys);
  return { options: checked(given, words), positionals, next };
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

/** The options in the order of their definitions. @throws {UsageError} for a missing value */
function checked(
  { specs, keys, values }: GivenOptions,
  words: readonly Word[],
): Map<string, readonly Word[]> {
  const options = new Map<string, readonly Word[]>();
  if (values.size === 0) return options;
  for (const [key, spec] of Object.entries(specs)) {
    const list = values.get(key);
    if (list === undefined) continue;
    if (!isFlag(spec) && list.includes(MISSING)) {
      const token = words.find((word) => isOption(word) && keys.get(nameOf(word.text)) === key)?.text;
      throw new UsageError(`${display(key, spec)} needs a value: ${spec.kind.placeholder}`, { token });
    }
    options.set(key, list);
  }
  return options;
}

/** A value in the option's own word; nothing behind the equals sign is none. */
function inlineValue(text: string): Word {
  return text === "" ? MISSING : literalWord(text);
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

function unknownOption(arg: string, keys: ReadonlyMap<string, string>): UsageError {
  if (/^-[0-9]/.test(arg)) {
    return new UsageError(`${quoteText(arg)} is not an option here`, {
      token: arg,
      hint: "a number has no sign here",
    });
  }
  const name = arg.replace(/^-+/, "").split("=", 1)[0]!;
  const near = nearest(name, [...keys.keys()].filter((each) => each.length > 1));
  return new UsageError(`${quoteText(arg)} is not an option here`, {
    token: arg,
    hint: near === undefined ? "see --help" : `did you mean --${near}? See --help`,
  });
}
