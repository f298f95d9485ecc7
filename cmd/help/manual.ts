/** The manual page, in the man macros of roff, from the command table. */
import { type AnyCommand, GROUPS } from "../language/command.ts";
import { GLOBAL_OPTIONS } from "../language/globals.ts";
import { GROUP_TITLES, optionTerm, PROGRAM, VERSION, WORD_FORMS } from "./help.ts";
import { usage } from "../language/usage.ts";
import { COMMANDS } from "../table.ts";

const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "done as asked"],
  ["1", "the simulated kernel, machine or device refused"],
  ["2", "usage: unknown command or option, bad number, bad data"],
  ["3", "an expect did not hold"],
  ["4", "a file could not be used: script, input, output, host file"],
  ["5", "a bug in ism"],
  ["130", "interrupted"],
];

const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ["ISM_HOST", "the host file where --host names none"],
  ["ISM_DEVICE", "the function that acts where --device names none"],
  [
    "XDG_STATE_HOME",
    "where the default host file and the history are, in the directory ism; ~/.local/state if unset",
  ],
  ["NO_COLOR", "no colours, unless --color says otherwise"],
];

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["~/.local/state/ism/host.db", "the default host file, created at first use"],
  ["~/.local/state/ism/history", "lines that were typed in the shell"],
];

/** The page. */
export function manualPage(): string {
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
    ...GROUPS.flatMap(commandGroup),
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

function commandGroup(group: (typeof GROUPS)[number]): string[] {
  const commands = [...COMMANDS.values()].filter((each) => each.group === group);
  return [`.SS ${text(GROUP_TITLES[group])}`, ...commands.flatMap(commandEntry)];
}

function commandEntry(command: AnyCommand): string[] {
  const { summary, details, args, options, examples } = command;
  const rows = [
    ...Object.values(args).map(({ kind, help }) => [kind.placeholder, help] as const),
    ...Object.entries(options).map(([key, option]) => [optionTerm(key, option), option.help] as const),
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
