/**
 * What can stand at the end of a line: one engine for TAB in the shell and for the completions of bash, zsh and fish.
 * Everything comes from the command table.
 */
import { RULE_NAMES } from "../../lib/base/rule_names.ts";
import { type AnyCommand, isFlag, type Kind, optionName, type Parameter } from "../language/command.ts";
import { GLOBAL_OPTIONS, type GlobalName, LINE_OPTIONS, VALUE_OPTIONAL } from "../language/globals.ts";
import { isOption, type OptionSpecs } from "../language/options.ts";
import { TOPIC_NAMES } from "../language/topics.ts";
import { splitWords, type Word } from "../language/words.ts";

/** A word that can stand at the end of the line. */
export interface Candidate {
  /** The whole word, without quotes. */
  readonly word: string;
  /** What it is, in a few words; may be empty. */
  readonly help: string;
  /** False if the word goes on: a directory, `--size=`, `hex:`. */
  readonly whole: boolean;
}

/** What the engine asks for when it needs it. Each answers with nothing rather than with an error. */
export interface World {
  /** Names that have a value; none where `$` is not ours. */
  variables(): readonly string[];
  /** Words for functions of the host. @param host value of `--host` on the line */
  devices(host: string | undefined): readonly { readonly word: string; readonly help: string }[];
  /** Names in a directory, those of directories with `/` at the end. @param directory empty or with `/` at its end */
  files(directory: string): readonly string[];
}

/** What completes a line. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** The end of the line that a candidate replaces, as it was typed. */
  readonly replaced: string;
}

/** How a line is understood. */
interface Rules {
  readonly table: ReadonlyMap<string, AnyCommand>;
  /** The line stands in a script or shell, where only some global options make sense. */
  readonly inScript: boolean;
  /** Words at the beginning that are none of ours: the program's name. */
  readonly skip?: number;
  /** Words that can stand alone in place of a command. */
  readonly extra?: readonly (readonly [word: string, help: string])[];
}

const NOTHING: Completion = { candidates: [], replaced: "" };
/** Marks where the cursor is; nobody types it. */
const CURSOR = "\u{f0000}";

/** Completes a line that ends where the cursor is. */
export function completeLine(line: string, rules: Rules, world: World): Completion {
  const variable = /(?<![\\$])(\$\{?)([A-Za-z_][A-Za-z0-9_]*)?$/.exec(line);
  if (variable !== null) {
    const [replaced, dollar = "", begin = ""] = variable;
    const names = world.variables().filter((name) => name.startsWith(begin));
    const end = dollar === "$" ? "" : "}";
    return { candidates: names.map((name) => whole(`${dollar}${name}${end}`)), replaced };
  }
  const words = wordsOf(line);
  const last = words?.pop();
  // What is typed is the program's name itself.
  if ((words?.splice(0, rules.skip ?? 0).length ?? 0) < (rules.skip ?? 0)) return NOTHING;
  if (words === undefined || last === undefined || !last.text.endsWith(CURSOR)) return NOTHING;
  const word: Word = { ...last, text: last.text.slice(0, -CURSOR.length) };
  const candidates = candidatesAt(words, word, rules, world)
    // A name that would act on the terminal is not shown, and so cannot be chosen.
    .filter((each) => each.word.startsWith(word.text) && !/\p{C}/u.test(each.word));
  return { candidates, replaced: line.slice(last.column - 1) };
}

/** The words of a line, the last with the cursor at its end; undefined if it cannot be split. */
function wordsOf(line: string): Word[] | undefined {
  for (const end of ["", '"', "'"]) {
    try {
      return splitWords(`${line}${CURSOR}${end}`, { file: "", line: 1 });
    } catch {
      // A quote may still be open.
    }
  }
  return undefined;
}

function whole(word: string, help = ""): Candidate {
  return { word, help, whole: !/[:=/]$/.test(word) };
}

/** Where the walk along the words has come to. */
interface Walk {
  command: AnyCommand | undefined;
  /** The first word of a command with two words. */
  family: string | undefined;
  readonly positionals: Word[];
  readonly given: Set<string>;
  /** The option that waits for its value. */
  due: Parameter<unknown> | undefined;
  /** `--` was seen. */
  ended: boolean;
  host: string | undefined;
}

function candidatesAt(words: readonly Word[], last: Word, rules: Rules, world: World): Candidate[] {
  const { table, inScript } = rules;
  const globals: OptionSpecs = Object.fromEntries(
    Object.entries(GLOBAL_OPTIONS).filter(([key]) => !inScript || LINE_OPTIONS.includes(key as GlobalName)),
  );
  const walk: Walk = {
    command: undefined,
    family: undefined,
    positionals: [],
    given: new Set(),
    due: undefined,
    ended: false,
    host: undefined,
  };
  const specs = () => ({ ...walk.command?.options, ...globals });
  for (const [i, word] of words.entries()) {
    if (walk.due !== undefined) {
      if (walk.due === GLOBAL_OPTIONS.host) walk.host = word.text;
      walk.due = undefined;
    } else if (!walk.ended && isOption(word)) {
      if (word.text === "--") walk.ended = true;
      else readOption(word.text, specs(), walk);
    } else if (isPrefixed(walk)) return candidatesAt(words.slice(i), last, rules, world);
    else if (walk.family !== undefined && table.has(`${walk.family} ${word.text}`)) {
      walk.command = table.get(`${walk.family} ${word.text}`);
      walk.family = undefined;
    } else if (walk.command === undefined && walk.family === undefined) {
      walk.command = table.get(word.text);
      walk.family = [...table.keys()].some((name) => name.startsWith(`${word.text} `))
        ? word.text
        : undefined;
      if (walk.command === undefined && walk.family === undefined) return [];
    } else {
      walk.family = undefined;
      walk.positionals.push(word);
    }
  }
  if (isPrefixed(walk) && !isOption(last)) return candidatesAt([], last, { ...rules, extra: [] }, world);
  const values = (kind: Kind<unknown>, begin: string) => valuesOf(kind, begin, walk, table, world);
  if (walk.due !== undefined) return values(walk.due.kind, last.text);
  if (!walk.ended && isOption(last) && last.text.includes("=")) {
    const at = last.text.indexOf("=") + 1;
    const [name, begin] = [last.text.slice(0, at), last.text.slice(at)];
    const spec = specOf(name.slice(0, -1), specs());
    if (spec === undefined || isFlag(spec)) return [];
    return values(spec.kind, begin).map((each) => ({ ...each, word: name + each.word }));
  }
  const options = optionsOf(specs(), walk.given);
  if (!walk.ended && !last.quoted && last.text.startsWith("-")) return options;
  const found: Candidate[] = [];
  if (walk.family !== undefined) found.push(...subcommands(walk.family, table));
  if (walk.command === undefined) {
    if (walk.family === undefined) found.push(...firstWords(table, rules.extra));
    return found;
  }
  const args = Object.values(walk.command.args);
  const next = args[walk.positionals.length] ?? args.findLast(({ rest }) => rest === true);
  if (next !== undefined) found.push(...values(next.kind, last.text));
  // Where no argument is due, the options of the command are what is left.
  if (next === undefined && last.text === "" && !walk.ended) {
    found.push(...optionsOf(walk.command.options as OptionSpecs, walk.given));
  }
  return found;
}

/** True if the next word begins the command behind `expect`, `let` or `repeat`. */
function isPrefixed({ command, positionals }: Walk): boolean {
  return command?.prefix === true && positionals.length === Object.keys(command.args).length;
}

/** Takes note of an option, and of the value that it waits for. */
function readOption(text: string, specs: OptionSpecs, walk: Walk): void {
  const [name = "", value] = text.split("=", 2);
  // Of a cluster such as -vd the last letter may wait for a value.
  const spec = specOf(name.startsWith("--") ? name : `-${name.at(-1)}`, specs);
  if (spec === undefined) return;
  const key = Object.keys(specs).find((each) => specs[each] === spec)!;
  walk.given.add(key);
  if (isFlag(spec) || key in VALUE_OPTIONAL || spec.implied !== undefined) return;
  if (value === undefined) walk.due = spec;
  else if (spec === GLOBAL_OPTIONS.host) walk.host = value;
}

function specOf(name: string, specs: OptionSpecs): OptionSpecs[string] | undefined {
  const found = Object.entries(specs).find(([key, { short }]) =>
    name === `--${optionName(key)}` || name === `-${short}`
  );
  return found?.[1];
}

function optionsOf(specs: OptionSpecs, given: ReadonlySet<string>): Candidate[] {
  return Object.entries(specs).filter(([key]) => !given.has(key)).map(([key, { help, short }]) => {
    const name = optionName(key);
    return whole(name === short ? `-${name}` : `--${name}`, help);
  });
}

/** Words that a command can begin with. */
function firstWords(table: Rules["table"], extra: Rules["extra"] = []): Candidate[] {
  const seen = new Map<string, string>();
  for (const { name, summary } of table.values()) {
    const [first = "", second] = name.split(" ");
    if (!seen.has(first)) seen.set(first, second === undefined ? summary : "");
  }
  const families = [...seen].map(([word, help]) => {
    if (help !== "") return whole(word, help);
    return whole(word, subcommands(word, table).map((each) => each.word).join(", "));
  });
  return [...families, ...extra.map(([word, help]) => whole(word, help))];
}

function subcommands(family: string, table: Rules["table"]): Candidate[] {
  return [...table.values()].filter(({ name }) => name.startsWith(`${family} `))
    .map(({ name, summary }) => whole(name.slice(family.length + 1), summary));
}

/** Words that a place of this kind can take. */
function valuesOf(
  { choices, separator }: Kind<unknown>,
  begin: string,
  { positionals, host }: Walk,
  table: Rules["table"],
  world: World,
): Candidate[] {
  if (typeof choices === "function") {
    return choices(positionals.map(({ text }) => text)).map((word) => whole(word));
  }
  switch (choices) {
    case undefined:
      return [];
    case "file":
      return filesAt("", begin, world);
    case "command":
      return firstWords(table);
    case "topic":
      return [...firstWords(table), ...[...TOPIC_NAMES, ...RULE_NAMES].map((name) => whole(name))];
    case "subcommand":
      return subcommands(positionals.at(-1)?.text ?? "", table);
    case "device":
      return world.devices(host).map(({ word, help }) => ({ word, help, whole: true }));
    case "variable":
      return world.variables().map((name) => whole(name));
  }
  if (begin.startsWith("file:") && choices.includes("file:")) {
    return filesAt("file:", begin.slice("file:".length), world);
  }
  // Of a list only the last element is open.
  const list = separator === undefined ? "" : begin.slice(0, begin.lastIndexOf(separator) + 1);
  return choices.map((word) => whole(list + word));
}

function filesAt(prefix: string, begin: string, world: World): Candidate[] {
  const directory = begin.slice(0, begin.lastIndexOf("/") + 1);
  const hidden = begin.slice(directory.length).startsWith(".");
  return world.files(directory).filter((name) => hidden || !name.startsWith("."))
    .map((name) => whole(`${prefix}${directory}${name}`));
}
