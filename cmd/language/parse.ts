/**
 * From words to a command line that is understood: which command, which options, which arguments. Everything without
 * `$name` in it is checked here, before anything runs.
 */
import { type AnyCommand, canStandBehind, isFlag, type KnownCommands, optionName } from "./command.ts";
import { type Assigned, EQUALS, NAMES, WORD } from "./assign.ts";
import { GLOBAL_OPTIONS, type GlobalName, LINE_OPTIONS, VALUE_OPTIONAL } from "./globals.ts";
import { Invocation, NO_VALUES } from "./invocation.ts";
import { MAX_PREFIXES } from "./limits.ts";
import { isDynamic, literalWord, readOptions } from "./options.ts";
import { quoteText } from "./quote.ts";
import { nearest } from "./nearest.ts";
import { SCRIPT_OPTIONS, shapeOf } from "./shape.ts";
import { usage } from "./usage.ts";
import { UsageError } from "./usage_error.ts";
import { joinWatch, refuseWatch } from "./watching.ts";
import { expand, type Word } from "./words.ts";

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
  return Invocation.of(table.get("help"), words, new Map());
}

function parseWords(
  words: readonly Word[],
  table: KnownCommands,
  inScript: boolean,
  prefixes: number,
): Invocation {
  const globalSpecs = inScript ? SCRIPT_OPTIONS : GLOBAL_OPTIONS;
  const head = readOptions(words, globalSpecs, { stopAfter: 1, implied: VALUE_OPTIONAL });
  const first = head.positionals[0];
  if (first === undefined) return Invocation.of(undefined, new Map(), head.options);
  const second = words[head.next];
  const wantsHelp = head.options.has("help") || words.some((word, i) => i >= head.next && isHelp(word));
  if (wantsHelp && isFamily(first.text, table) && !table.has(`${first.text} ${second?.text}`)) {
    const globals = new Map([...head.options, ["help", []]]);
    return Invocation.of(undefined, new Map(), globals, { family: first.text });
  }
  const { command, used } = findCommand(first, second, table);
  try {
    const rest = words.slice(head.next + used - 1);
    return parseCommand(command, rest, head.options, table, { inScript, prefixes });
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
  table: KnownCommands,
  { inScript, prefixes }: { readonly inScript: boolean; readonly prefixes: number },
): Invocation {
  const shape = shapeOf(command);
  rest = joinWatch(rest, command.options);
  const tail = readOptions(rest, inScript ? shape.inScript : shape.onLine, {
    implied: shape.implied,
    ...(command.prefix === true
      ? { stopAfter: shape.args.length }
      : command.verbatim === true
      ? { stopAfter: 0, optionsFirst: true }
      : {}),
  });
  const given = new Map<string, readonly Word[]>();
  const globals = new Map(before);
  for (const [key, value] of tail.options) (key in command.options ? given : globals).set(key, value);
  refuseWatch(given, prefixes === 0 && !inScript);
  // Where the command should stand that is prefixed, help is on the prefix.
  if (command.prefix === true && rest.slice(tail.next, tail.next + 1).some(isHelp)) globals.set("help", []);
  const helpOnly = globals.has("help");
  const positionals = command.verbatim === true ? rest.slice(tail.next) : tail.positionals;
  const isAlone = [...given.keys()].some((key) => {
    const spec = command.options[key];
    return spec !== undefined && isFlag(spec) && spec.alone === true;
  });
  if (!helpOnly) fillArguments(command, positionals, given, isAlone);
  const inner = command.prefix === true && !helpOnly
    ? parseInner(command, positionals, rest.slice(tail.next), table, { inScript, prefixes: prefixes + 1 })
    : undefined;
  // Options of the whole run may stand at the end of the line, behind the command that is prefixed.
  for (const [key, value] of inner?.globals ?? []) {
    if (!LINE_OPTIONS.includes(key as GlobalName)) globals.set(key, value);
  }
  return Invocation.of(command, given, globals, { inner });
}

function parseInner(
  command: AnyCommand,
  before: readonly Word[],
  words: readonly Word[],
  table: KnownCommands,
  { inScript, prefixes }: { readonly inScript: boolean; readonly prefixes: number },
): Invocation {
  if (prefixes > MAX_PREFIXES) {
    throw new UsageError(`More than ${MAX_PREFIXES} commands stand before another one`, {
      token: command.name,
    });
  }
  if (command.name === "let" && words[0]?.text === EQUALS && !words[0].quoted) {
    return parseAssigned(before, words.slice(1));
  }
  const line = parseLine(words, table, { inScript, prefixes });
  const inner = line.globals.has("help") ? helpLine(line, table) : line;
  if (inner.command === undefined) throw new UsageError(`${command.name} needs a command behind it`);
  if (command.name === "explain" && contains(inner, "explain")) {
    throw new UsageError('"explain" cannot stand behind itself', { token: "explain" });
  }
  if (!canStandBehind(inner.command)) {
    throw new UsageError(`"${inner.command.name}" cannot stand behind "${command.name}"`, {
      token: inner.command.name,
    });
  }
  if (command.name === "let" && !hasValue(inner, { ofField: namesOf(before).every(({ field }) => field) })) {
    throw new UsageError(`"${inner.command.name}" has no value that "let" could keep`, {
      token: inner.command.name,
    });
  }
  return inner;
}

/** What `let` sets, as far as it is known; a name that waits for a variable is a name. */
function namesOf([word]: readonly Word[]): readonly Assigned[] {
  if (word === undefined || isDynamic(word)) return [{ name: "", field: undefined }];
  return NAMES.parse(expand(word, NO_VALUES), "name");
}

/** What stands behind `let NAME =`. */
function parseAssigned(before: readonly Word[], [word, surplus]: readonly Word[]): Invocation {
  if (namesOf(before).some(({ field }, i) => i > 0 || field !== undefined)) {
    throw new UsageError('"let NAME = WORD" sets one name', { token: before[0]!.text });
  }
  if (word === undefined) throw new UsageError("A word is missing behind \"=\"; an empty one is ''");
  if (surplus !== undefined) {
    throw new UsageError(`There is no place for ${quoteText(surplus.text)}; quote a value that has blanks`, {
      token: surplus.text,
    });
  }
  return Invocation.of(WORD, new Map([["word", [word]]]), new Map());
}

/**
 * True if the command behind all prefixes yields a value, and is done and not only explained.
 *
 * @param ofField a field of the result is asked for, which only the result itself can tell
 */
function hasValue({ command, inner }: Invocation, asked: { readonly ofField: boolean }): boolean {
  if (inner === undefined) return asked.ofField || command!.value !== undefined;
  return command!.name !== "explain" && hasValue(inner, asked);
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
  positionals: readonly Word[],
  into: Map<string, readonly Word[]>,
  isAlone: boolean,
): void {
  const { args } = shapeOf(command);
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
