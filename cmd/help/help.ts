/** Help texts, made from the command table. */
import {
  type AnyCommand,
  type Flag,
  GROUPS,
  isFlag,
  optionName,
  type Parameter,
} from "../language/command.ts";
import { COMMANDS } from "../table.ts";
import { GLOBAL_OPTIONS, VALUE_OPTIONAL } from "../language/globals.ts";
import { usage } from "../language/parse.ts";
import type { Terminal } from "../output/terminal.ts";
import { definitions, paragraph, WIDEST, wrap } from "../output/wrap.ts";
import { quoteText } from "../output/diagnostic.ts";
import { nearest } from "../language/nearest.ts";
import { UsageError } from "../language/usage_error.ts";

/** The program's version; deno.json has the same. */
export const VERSION = "0.2.0";

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

/** What the program is, and what it does. */
export const PROGRAM = {
  what: "a mainframe in a terminal for people who write user-space drivers",
  does: "It simulates an s390 host with Internal Shared Memory (ISM) functions behind VFIO (ism_vfio_pci).",
} as const;

/** How words are written that many commands take. */
export const WORD_FORMS: readonly (readonly [name: string, forms: string])[] = [
  ["Numbers", "4096, 0x1000, 0b101, 4k, 4KiB, 4M, 4G, 256T (powers of 1024), 1_000_000"],
  ["Times", "seconds: 10, 0.5; or 500us, 500ms, 2s, 3m, 1h"],
  ["DATA", "hex:00ff, text:hello, fill:0xa5*4096, seq:0*256, rand:1*4096, file:PATH[@OFFSET[+LENGTH]], -"],
  ["REGION", "bar0 to bar5, config, or an index"],
];

/** What the program is, and how its command lines begin. */
function introduction(columns: number): string {
  const about = wrap(`ism: ${PROGRAM.what}. ${PROGRAM.does}`, Math.min(columns, WIDEST));
  return `${about.join("\n")}\n\nUsage: ism [OPTIONS] COMMAND [ARGS]\n`;
}

/** Help on a command, a family of commands (`dmb`), words of a kind (`numbers`), or the program. @throws {UsageError} */
export function helpText(name: string | undefined, terminal: Terminal): string {
  if (name === undefined || name === "ism") return programHelp(terminal);
  const command = COMMANDS.get(name);
  const family = [...COMMANDS.values()].filter((each) => each.name.startsWith(`${name} `));
  if (command !== undefined) return commandHelp(command, terminal, family);
  if (family.length > 0) return family.map((each) => commandHelp(each, terminal)).join("\n");
  const forms = WORD_FORMS.find(([title]) => title.toLowerCase() === name.toLowerCase());
  if (forms !== undefined) return definitions([[`${forms[0]}:`, forms[1]]], terminal.columns);
  throw unknownTopic(name);
}

/** Most commands that are named in place of one that is not there. */
const MOST_NAMED = 8;

/** Says what there is in place of what was asked for. */
function unknownTopic(name: string): UsageError {
  const [first = "", second] = name.split(" ");
  const family = [...COMMANDS.keys()].filter((each) => each.startsWith(`${first} `));
  if (second !== undefined && (family.length > 0 || COMMANDS.has(first))) {
    const has = family.map((each) => each.slice(first.length + 1)).join(", ");
    return new UsageError(
      `${first} has no subcommand ${quoteText(second)}${has === "" ? "" : `; it has ${has}`}`,
      { token: second, hint: `see "ism help ${first}"` },
    );
  }
  const near = [...COMMANDS.keys()].find((each) => each.split(" ").includes(name)) ??
    nearest(name, [...COMMANDS.keys()]);
  const about = [...COMMANDS.values()].filter(({ name: each, summary, details = "" }) =>
    `${each} ${summary} ${details}`.toLowerCase().includes(name.toLowerCase())
  ).slice(0, MOST_NAMED).map((each) => each.name);
  const hint = near !== undefined
    ? `did you mean "ism help ${near}"? `
    : about.length > 0
    ? `commands whose help has the word: ${about.join(", ")}. `
    : "";
  return new UsageError(`${quoteText(name)} is not a command`, {
    token: name,
    hint: `${hint}See "ism help"`,
  });
}

/** First words of all commands: what help can be asked on, in the order of help. */
export function familyNames(): readonly string[] {
  return [...new Set([...COMMANDS.keys()].map((name) => name.split(" ")[0]!))];
}

/** True for a command, or the first word of some. */
export function isCommandWord(word: string): boolean {
  return COMMANDS.has(word) || [...COMMANDS.keys()].some((name) => name.startsWith(`${word} `));
}

function programHelp({ style, columns }: Terminal): string {
  let text = introduction(columns);
  for (const group of GROUPS) {
    const commands = [...COMMANDS.values()].filter((command) => command.group === group);
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
  family: readonly AnyCommand[] = [],
): string {
  const [first = "", ...more] = wrap(`ism ${usage(command)}`, columns - 4);
  let text = [style.bold(first), ...more.map((line) => `    ${line}`)].join("\n") + "\n";
  text += paragraph(`${command.summary}.`, columns);
  if (command.details !== undefined) {
    text += command.details.split("\n\n").map((part) => `\n${paragraph(part, columns)}`).join("");
  }
  const args = Object.values(command.args);
  if (args.length > 0) {
    const rows = args.map(({ kind, help }) => [kind.placeholder, help] as const);
    text += `\n${style.bold("Arguments")}\n${definitions(rows, columns)}`;
  }
  if (Object.keys(command.options).length > 0) {
    text += `\n${style.bold("Options")}\n${optionLines(command.options, columns)}`;
  }
  if (family.length > 0) {
    text += `\n${style.bold("See also")}\n${family.map(({ name }) => `  ism help ${name}\n`).join("")}`;
  }
  if (command.examples.length > 0) {
    text += `\n${style.bold("Examples")}\n${command.examples.map((line) => `  ism ${line}\n`).join("")}`;
  }
  return text;
}

function optionLines(
  options: Readonly<Record<string, Parameter<unknown> | { flag: true; help: string; short?: string }>>,
  columns: number,
): string {
  const rows = Object.entries(options).map(([key, option]) =>
    [optionTerm(key, option), option.help] as const
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
  return names + (key in VALUE_OPTIONAL ? `[=${option.kind.placeholder}]` : ` ${option.kind.placeholder}`);
}
