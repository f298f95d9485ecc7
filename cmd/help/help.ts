/** Help texts, made from the command table. */
import {
  type AnyCommand,
  type CommandFacts,
  type Commands,
  type Flag,
  GROUPS,
  isFlag,
  type KnownCommands,
  optionName,
  type Parameter,
} from "../language/command.ts";
import { GLOBAL_OPTIONS, VALUE_OPTIONAL } from "../language/globals.ts";
import { usage } from "../language/usage.ts";
import type { Terminal } from "../language/terminal.ts";
import { definitions, paragraph, wrap } from "../output/wrap.ts";
import { introduction, overview } from "./overview.ts";
import { topicText, WORD_FORMS } from "./topics.ts";
import { quoteText } from "../language/quote.ts";
import { nearest } from "../language/nearest.ts";
import { UsageError } from "../language/usage_error.ts";

/** What groups of commands are called. */
export const GROUP_TITLES: Readonly<Record<(typeof GROUPS)[number], string>> = {
  look: "Look",
  access: "Access a region",
  ism: "ISM",
  exec: "Your own driver",
  host: "Host",
  sys: "System calls",
  script: "Scripts",
  help: "Help",
};

/** Help on a command, a family of commands (`dmb`), words of a kind (`numbers`), or the program. @throws {UsageError} */
export async function helpText(
  name: string | undefined,
  terminal: Terminal,
  commands: Commands,
): Promise<string> {
  if (name === undefined || name === "ism") return overview(terminal, commands.facts);
  if (name === "all") return allHelp(terminal, commands.facts);
  const topic = topicText(name, terminal);
  const family = [...commands.keys()].filter((each) => each.startsWith(`${name} `));
  if (commands.has(name)) {
    const members = commands.facts.filter((each) => family.includes(each.name));
    return commandHelp(await commands.loading(() => commands.get(name)!), terminal, members);
  }
  if (family.length > 0) {
    const members = await commands.loading(() => family.map((each) => commands.get(each)!));
    const own = topic === undefined ? [] : [topic];
    return [...own, ...members.map((each) => commandHelp(each, terminal))].join("\n");
  }
  if (topic !== undefined) return topic;
  throw unknownTopic(name, await commands.all());
}

/** Most commands that are named in place of one that is not there. */
const MOST_NAMED = 8;

/** Says what there is in place of what was asked for. */
function unknownTopic(name: string, commands: ReadonlyMap<string, AnyCommand>): UsageError {
  const [first = "", second] = name.split(" ");
  const family = [...commands.keys()].filter((each) => each.startsWith(`${first} `));
  if (second !== undefined && (family.length > 0 || commands.has(first))) {
    const has = family.map((each) => each.slice(first.length + 1)).join(", ");
    return new UsageError(
      `${first} has no subcommand ${quoteText(second)}${has === "" ? "" : `; it has ${has}`}`,
      { token: second, hint: `see "ism help ${first}"` },
    );
  }
  const near = [...commands.keys()].find((each) => each.split(" ").includes(name)) ??
    nearest(name, [...commands.keys()]);
  const about = [...commands.values()].filter(({ name: each, summary, details = "" }) =>
    `${each} ${summary} ${details}`.toLowerCase().includes(name.toLowerCase())
  ).slice(0, MOST_NAMED).map((each) => each.name);
  const hint = near !== undefined
    ? `did you mean "ism help ${near}"? `
    : about.length > 0
    ? `commands whose help has the word: ${about.join(", ")}. `
    : "";
  return new UsageError(`${quoteText(name)} is not a command`, {
    token: name,
    hint: `${hint}See "ism help all"`,
  });
}

/** True for a command, or the first word of some. */
export function isCommandWord(word: string, commands: KnownCommands): boolean {
  return commands.has(word) || [...commands.keys()].some((name) => name.startsWith(`${word} `));
}

/** Every command, every option. */
function allHelp({ style, columns }: Terminal, facts: readonly CommandFacts[]): string {
  let text = introduction(columns);
  for (const group of GROUPS) {
    const commands = facts.filter((each) => each.group === group);
    if (commands.length === 0) continue;
    text += `\n${style.bold(GROUP_TITLES[group])}\n`;
    text += definitions(commands.map(({ name, summary }) => [name, summary] as const), columns);
  }
  text += `\n${style.bold("Options")}\n${optionLines(GLOBAL_OPTIONS, columns)}`;
  text += `\n${style.bold("Words")}\n`;
  text += definitions(WORD_FORMS.map(([name, forms]) => [`${name}:`, forms] as const), columns);
  return `${text}\n${style.bold("Examples")}\n  ism info\n  ism send README.md -o /tmp/copy.md\n` +
    `\n"ism help COMMAND" tells more.\n"ism help reference" lists the rules.\n`;
}

/** @param family commands that are the next to look at */
function commandHelp(
  command: AnyCommand,
  { style, columns }: Terminal,
  family: readonly CommandFacts[] = [],
): string {
  const [first = "", ...more] = wrap(`ism ${usage(command)}`, columns - 4);
  let text = [style.bold(first), ...more.map((line) => `    ${line}`)].join("\n") + "\n";
  text += paragraph(`${command.summary}.`, columns);
  if (command.details !== undefined) {
    text += command.details.split("\n\n").map((part) => `\n${paragraph(part, columns)}`).join("");
  }
  const args = Object.values(command.args);
  if (args.length > 0) {
    const rows = args.map((each) => [each.kind.placeholder, withDefault(each)] as const);
    text += `\n${style.bold("Arguments")}\n${definitions(rows, columns)}`;
  }
  if (Object.keys(command.options).length > 0) {
    text += `\n${style.bold("Options")}\n${optionLines(command.options, columns)}`;
  }
  if (family.length > 0) {
    const rows = family.map(({ name, summary }) => [`ism help ${name}`, summary] as const);
    text += `\n${style.bold("See also")}\n${definitions(rows, columns)}`;
  }
  if (command.examples.length > 0) {
    text += `\n${style.bold("Examples")}\n${command.examples.map((line) => `  ism ${line}\n`).join("")}`;
  }
  return text;
}

/** What a parameter is for, and what stands for it where it is left out. */
export function withDefault({ help, value, rest }: Parameter<unknown>): string {
  const isPlain = typeof value === "number" || typeof value === "bigint" || typeof value === "string";
  return !isPlain || rest === true || /default/.test(help) ? help : `${help}; ${value} by default`;
}

function optionLines(
  options: Readonly<Record<string, Parameter<unknown> | Flag>>,
  columns: number,
): string {
  const rows = Object.entries(options).map(([key, option]) =>
    [optionTerm(key, option), isFlag(option) ? option.help : withDefault(option)] as const
  );
  return definitions(rows, columns);
}

/** An option as help shows it: `-d, --device WHICH`. */
export function optionTerm(key: string, option: Parameter<unknown> | Flag): string {
  const name = optionName(key);
  const long = name === option.short ? "" : `--${name}`;
  const names = [option.short === undefined ? "" : `-${option.short}`, long].filter((each) => each !== "")
    .join(", ");
  if (isFlag(option)) return names;
  if (option.implied !== undefined) return `${names} [${option.kind.placeholder}]`;
  return names + (key in VALUE_OPTIONAL ? `[=${option.kind.placeholder}]` : ` ${option.kind.placeholder}`);
}
