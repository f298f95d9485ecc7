/**
 * From words to a command line that is understood: which command, which options, which arguments. Everything without
 * `$name` in it is checked here, before anything runs.
 */
import type { TraceFilter } from "./trace_filter.ts";
import {
  type AnyCommand,
  canStandInLine,
  isFlag,
  type KnownCommands,
  optionName,
  type Parameter,
} from "./command.ts";
import { GLOBAL_OPTIONS, type GlobalName, LINE_OPTIONS, VALUE_OPTIONAL } from "./globals.ts";
import { MAX_PREFIXES } from "./limits.ts";
import { isDynamic, literalWord, type OptionSpecs, readOptions } from "./options.ts";
import { quoteText } from "./quote.ts";
import type { TableChoice } from "./table.ts";
import { nearest } from "./nearest.ts";
import { usage } from "./usage.ts";
import { UsageError } from "./usage_error.ts";
import { impliedValues, joinWatch, refuseWatch } from "./watching.ts";
import { expand, type Word } from "./words.ts";

/** A command line that was understood. */
export interface Invocation {
  /** Undefined if the line has only global options. */
  readonly command: AnyCommand | undefined;
  /** First word of a family of commands that help is wanted on: `dmb --help`. */
  readonly family?: string;
  /** Words of arguments and options by key. */
  readonly words: ReadonlyMap<string, readonly Word[]>;
  readonly globals: ReadonlyMap<string, readonly Word[]>;
  /** The command line behind `expect`, `let` or `repeat`. */
  readonly inner: Invocation | undefined;
}

/** Global options with their values. */
export interface Globals {
  readonly host: string | undefined;
  readonly device: string | undefined;
  readonly json: boolean;
  readonly raw: boolean;
  readonly trace: TraceFilter | undefined;
  readonly traceFile: string | undefined;
  readonly dryRun: boolean;
  /** Texts of `-c`. */
  readonly c: readonly string[];
  readonly keepGoing: boolean;
  readonly commitEach: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: "auto" | "always" | "never" | undefined;
  readonly help: boolean;
  readonly version: boolean;
  /** What the line wants of its table, where it has one. */
  readonly table?: TableChoice;
}

/** Finds a `$name`'s value. */
export type Lookup = (name: string) => string | undefined;

/** Before a line runs, nothing has a value. */
const NO_VALUES: Lookup = () => undefined;

/**
 * Understands a line.
 *
 * @param inScript the line stands in a script, where only some global options make sense
 * @param prefixes commands that stand before this one on its line
 * @throws {UsageError}
 */
export function parseLine(
  words: readonly Word[],
  table: KnownCommands,
  { inScript, prefixes = 0 }: { readonly inScript: boolean; readonly prefixes?: number },
): Invocation {
  const invocation = parseWords(words, table, inScript, prefixes);
  return inScript && invocation.globals.has("help") ? helpLine(invocation, table) : invocation;
}

/** `stb --help` in a script is the line `help stb`. */
function helpLine({ command, family }: Invocation, table: KnownCommands): Invocation {
  const names = (command?.name ?? family ?? "").split(" ").filter((name) => name !== "");
  const keys = ["command", "subcommand"];
  const words = new Map(names.map((name, i) => [keys[i]!, [literalWord(name)]]));
  return { command: table.get("help"), words, globals: new Map(), inner: undefined };
}

function parseWords(
  words: readonly Word[],
  table: KnownCommands,
  inScript: boolean,
  prefixes: number,
): Invocation {
  const globalSpecs = globalOptions(inScript);
  const head = readOptions(words, globalSpecs, { stopAfter: 1, implied: VALUE_OPTIONAL });
  const first = head.positionals[0];
  if (first === undefined) {
    const invocation = { command: undefined, words: new Map(), globals: head.options, inner: undefined };
    checkValues(invocation);
    return invocation;
  }
  const second = words[head.next];
  const wantsHelp = head.options.has("help") || words.slice(head.next).some(isHelp);
  if (wantsHelp && isFamily(first.text, table) && !table.has(`${first.text} ${second?.text}`)) {
    const globals = new Map([...head.options, ["help", []]]);
    return { command: undefined, family: first.text, words: new Map(), globals, inner: undefined };
  }
  const { command, used } = findCommand(first, second, table);
  try {
    return parseCommand(
      command,
      words.slice(head.next + used - 1),
      head.options,
      globalSpecs,
      table,
      prefixes,
    );
  } catch (error) {
    if (error instanceof UsageError) error.command ??= command.name;
    throw error;
  }
}

function isHelp({ text, quoted }: Word): boolean {
  return !quoted && (text === "--help" || text === "-h");
}

/** True for the first word of commands with two words that is no command by itself. */
function isFamily(word: string, table: KnownCommands): boolean {
  return !table.has(word) && [...table.keys()].some((name) => name.startsWith(`${word} `));
}

/** The line behind the command's name. */
function parseCommand(
  command: AnyCommand,
  rest: readonly Word[],
  before: ReadonlyMap<string, readonly Word[]>,
  globalSpecs: OptionSpecs,
  table: KnownCommands,
  prefixes: number,
): Invocation {
  const specs = { ...globalSpecs, ...command.options };
  const args = Object.entries(command.args);
  rest = joinWatch(rest, command.options);
  const tail = readOptions(rest, specs, {
    implied: { ...VALUE_OPTIONAL, ...impliedValues(command.options) },
    ...(command.prefix === true
      ? { stopAfter: args.length }
      : command.verbatim === true
      ? { stopAfter: 0, optionsFirst: true }
      : {}),
  });
  const given = new Map<string, readonly Word[]>();
  const globals = new Map(before);
  for (const [key, value] of tail.options) (key in command.options ? given : globals).set(key, value);
  refuseWatch(given, prefixes === 0 && globalSpecs === GLOBAL_OPTIONS);
  // Where the command should stand that is prefixed, help is on the prefix.
  if (command.prefix === true && rest.slice(tail.next, tail.next + 1).some(isHelp)) globals.set("help", []);
  const helpOnly = globals.has("help");
  const positionals = command.verbatim === true ? rest.slice(tail.next) : tail.positionals;
  const isAlone = [...given.keys()].some((key) => {
    const spec = command.options[key];
    return spec !== undefined && isFlag(spec) && spec.alone === true;
  });
  if (!helpOnly) fillArguments(command, args, positionals, given, isAlone);
  const inner = command.prefix === true && !helpOnly
    ? parseInner(command, rest.slice(tail.next), table, globalSpecs === GLOBAL_OPTIONS, prefixes + 1)
    : undefined;
  // Options of the whole run may stand at the end of the line, behind the command that is prefixed.
  for (const [key, value] of inner?.globals ?? []) {
    if (!LINE_OPTIONS.includes(key as GlobalName)) globals.set(key, value);
  }
  const invocation = { command, words: given, globals, inner };
  if (!helpOnly) checkValues(invocation);
  return invocation;
}

function globalOptions(inScript: boolean): OptionSpecs {
  if (!inScript) return GLOBAL_OPTIONS;
  const allowed = Object.entries(GLOBAL_OPTIONS).filter(([key]) => LINE_OPTIONS.includes(key as GlobalName));
  return Object.fromEntries(allowed);
}

function parseInner(
  command: AnyCommand,
  words: readonly Word[],
  table: KnownCommands,
  onCommandLine: boolean,
  prefixes: number,
): Invocation {
  if (prefixes > MAX_PREFIXES) {
    throw new UsageError(`More than ${MAX_PREFIXES} commands stand before another one`, {
      token: command.name,
    });
  }
  const line = parseLine(words, table, { inScript: !onCommandLine, prefixes });
  const inner = line.globals.has("help") ? helpLine(line, table) : line;
  if (inner.command === undefined) throw new UsageError(`${command.name} needs a command behind it`);
  if (command.name === "explain" && contains(inner, "explain")) {
    throw new UsageError('"explain" cannot stand behind itself', { token: "explain" });
  }
  if (!canStandInLine(inner.command)) {
    throw new UsageError(`"${inner.command.name}" cannot stand behind "${command.name}"`, {
      token: inner.command.name,
    });
  }
  if (command.name === "let" && !hasValue(inner)) {
    throw new UsageError(`"${inner.command.name}" has no value that "let" could keep`, {
      token: inner.command.name,
    });
  }
  return inner;
}

/** True if the command behind all prefixes yields a value, and is done and not only explained. */
function hasValue({ command, inner }: Invocation): boolean {
  if (inner === undefined) return command!.value !== undefined;
  return command!.name !== "explain" && hasValue(inner);
}

/** The command that one or two words name. */
function findCommand(
  first: Word,
  second: Word | undefined,
  table: KnownCommands,
): { command: AnyCommand; used: 1 | 2 } {
  const one = isDynamic(first) ? first.text : expand(first, NO_VALUES);
  const two = second === undefined || isDynamic(second) ? undefined : `${one} ${expand(second, NO_VALUES)}`;
  const pair = two === undefined ? undefined : table.get(two);
  if (pair !== undefined) return { command: pair, used: 2 };
  const single = table.get(one);
  if (single !== undefined) return { command: single, used: 1 };
  const family = [...table.keys()].filter((name) => name.startsWith(`${one} `));
  if (family.length > 0) {
    const subcommands = family.map((name) => name.slice(one.length + 1)).join(", ");
    throw new UsageError(
      two === undefined || second!.text.startsWith("-")
        ? `${one} needs a subcommand: ${subcommands}`
        : `${one} has no subcommand ${quoteText(second!.text)}; it has ${subcommands}`,
      { token: second?.text ?? first.text },
    );
  }
  if (one === "ism") {
    throw new UsageError("A line here begins with the command, without ism", { token: first.text });
  }
  const near = nearest(one, [...table.keys()]);
  throw new UsageError(`${quoteText(one)} is not a command`, {
    token: first.text,
    hint: near === undefined ? 'see "ism help"' : `did you mean "${near}"? See "ism help"`,
  });
}

/** True if a command stands anywhere in a line and what it prefixes. */
function contains(invocation: Invocation, name: string): boolean {
  return invocation.command?.name === name ||
    (invocation.inner !== undefined && contains(invocation.inner, name));
}

/** Puts positional words under the names of their arguments. */
function fillArguments(
  command: AnyCommand,
  args: readonly (readonly [string, Parameter<unknown>])[],
  positionals: readonly Word[],
  into: Map<string, readonly Word[]>,
  isAlone: boolean,
): void {
  const takesRest = args.at(-1)?.[1].rest === true;
  const surplus = takesRest ? undefined : positionals[args.length];
  if (surplus !== undefined) {
    throw new UsageError(
      `There is no place for ${quoteText(surplus.text)}; usage: ${usage(command)}`,
      {
        token: surplus.text,
      },
    );
  }
  args.forEach(([key, parameter], i) => {
    const word = positionals[i];
    if (parameter.rest === true && word !== undefined) into.set(key, positionals.slice(i));
    else if (word !== undefined) into.set(key, [word]);
    else if (!parameter.optional && !isAlone) {
      throw new UsageError(`${parameter.kind.placeholder} is missing; usage: ${usage(command)}`);
    }
  });
  for (const [key, option] of Object.entries(command.options)) {
    if (!isFlag(option) && !option.optional && !into.has(key)) {
      throw new UsageError(`--${optionName(key)} is missing; usage: ${usage(command)}`);
    }
  }
}

/** Parses every word that waits for no variable, so that mistakes show before anything runs. */
function checkValues({ command, words, globals }: Invocation): void {
  const check = (specs: OptionSpecs, given: ReadonlyMap<string, readonly Word[]>) => {
    for (const [key, list] of given) {
      const spec = specs[key];
      if (spec === undefined || isFlag(spec)) continue;
      for (const word of list) if (!isDynamic(word)) parseWord(key, spec, word, NO_VALUES);
    }
  };
  check(GLOBAL_OPTIONS, globals);
  if (command !== undefined) check({ ...command.args, ...command.options }, words);
}

function parseWord(key: string, { kind }: Parameter<unknown>, word: Word, lookup: Lookup): unknown {
  return kind.parse(expand(word, lookup), kind.placeholder === key.toUpperCase() ? key : optionName(key));
}

/** The values of a command's parameters, variables replaced. @throws {UsageError} */
export function bindValues(
  { command, words }: Invocation,
  lookup: Lookup,
): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries({ ...command?.args, ...command?.options })) {
    const word = words.get(key)?.at(-1);
    if (isFlag(spec)) values[key] = words.has(key);
    else if (spec.rest === true) {
      values[key] = (words.get(key) ?? []).map((each) => parseWord(key, spec, each, lookup));
    } else values[key] = word === undefined ? spec.value : parseWord(key, spec, word, lookup);
  }
  return values;
}

/** The values of global options. @throws {UsageError} */
export function bindGlobals({ globals }: Invocation, lookup: Lookup): Globals {
  const values: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries<Parameter<unknown> | { flag: true }>(GLOBAL_OPTIONS)) {
    const list = globals.get(key);
    if ("flag" in spec) values[key] = list !== undefined;
    else if (key === "c") values[key] = (list ?? []).map((word) => expand(word, lookup));
    else {
      const word = list?.at(-1);
      values[key] = word === undefined ? undefined : parseWord(key, spec, word, lookup);
    }
  }
  return values as unknown as Globals;
}

/** The command line behind all prefixes. */
export function innermost(invocation: Invocation): Invocation {
  return invocation.inner === undefined ? invocation : innermost(invocation.inner);
}
