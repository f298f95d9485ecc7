/** The manual page, in the man macros of roff, from the command table. */
import { type AnyCommand, type Group, GROUPS, isFlag } from "../language/command.ts";
import { VERSION } from "../build_info.ts";
import { GLOBAL_OPTIONS } from "../language/globals.ts";
import { GROUP_TITLES, optionTerm, withDefault } from "./help.ts";
import { PROGRAM } from "./overview.ts";
import { ENVIRONMENT, EXIT_CODES, FILES, WORD_FORMS } from "./topics.ts";
import { usage } from "../language/usage.ts";

/** The page. @param commands all, in the order of help */
export function manualPage(commands: Iterable<AnyCommand>): string {
  const all = [...commands];
  return [
    `.TH ISM 1 "" "ism ${VERSION}" "User Commands"`,
    ".SH NAME",
    `ism \\- ${text(PROGRAM.what)}`,
    ".SH SYNOPSIS",
    ".B ism",
    `[${text("OPTIONS")}] ${text("COMMAND")} [${text("ARGS")}]`,
    ".SH DESCRIPTION",
    line(PROGRAM.does),
    ".SH OPTIONS",
    ...Object.entries(GLOBAL_OPTIONS).flatMap(([key, option]) => term(optionTerm(key, option), option.help)),
    ".SH COMMANDS",
    ...GROUPS.flatMap((group) => commandGroup(group, all.filter((each) => each.group === group))),
    ".SH WORDS",
    ...WORD_FORMS.flatMap(([name, forms]) => term(name, forms)),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, meaning]) => term(code, meaning)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, meaning]) => term(name, meaning)),
    ".SH FILES",
    ...FILES.flatMap(([path, meaning]) => term(path, meaning)),
  ].join("\n") + "\n";
}

function commandGroup(group: Group, commands: readonly AnyCommand[]): string[] {
  return [`.SS ${text(GROUP_TITLES[group])}`, ...commands.flatMap(commandEntry)];
}

function commandEntry(command: AnyCommand): string[] {
  const { summary, details, args, options, examples } = command;
  const rows = [
    ...Object.values(args).map((each) => [each.kind.placeholder, withDefault(each)] as const),
    ...Object.entries(options).map(([key, option]) =>
      [optionTerm(key, option), isFlag(option) ? option.help : withDefault(option)] as const
    ),
  ];
  return [
    ...term(usage(command), `${summary}.`),
    ".RS",
    ...(details ?? "").split("\n\n").filter((part) => part !== "").flatMap((part) => [".PP", line(part)]),
    ...rows.flatMap(([name, help]) => term(name, help)),
    ".PP",
    examples.length === 1 ? "Example:" : "Examples:",
    ".PP",
    ".nf",
    ".RS",
    ...examples.map((example) => line(`ism ${example}`)),
    ".RE",
    ".fi",
    ".RE",
  ];
}

/** A tagged paragraph. */
function term(name: string, meaning: string): string[] {
  return [".TP", `.B ${text(name)}`, line(meaning)];
}

/** Text in a line of its own: nothing at its beginning is a request. */
function line(plain: string): string {
  const one = text(plain.replaceAll(/\s+/g, " "));
  return /^[.']/.test(one) ? `\\&${one}` : one;
}

/** Text in which every character stands for itself. */
function text(plain: string): string {
  return plain.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq").replaceAll("…", "...")
    .replaceAll("~", "\\(ti").replaceAll("^", "\\(ha");
}
