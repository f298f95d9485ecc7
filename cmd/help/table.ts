/** The command table as data, for programs. */
import {
  type AnyCommand,
  type Flag,
  isFlag,
  type Kind,
  optionName,
  type Parameter,
} from "../language/command.ts";
import { GLOBAL_OPTIONS, LINE_OPTIONS, VALUE_OPTIONAL } from "../language/globals.ts";
import { usage } from "../language/usage.ts";

/** What can stand in a place: words, the name of a source of words, or null for anything. */
function choicesOf({ choices }: Kind<unknown>): readonly string[] | string | null {
  return typeof choices === "function" ? "depends" : choices ?? null;
}

/** A default as text; null for none. */
function defaultOf({ value, rest }: Parameter<unknown>): string | null {
  return value === undefined || rest === true ? null : String(value);
}

function describeArgument(key: string, parameter: Parameter<unknown>) {
  return {
    name: key,
    placeholder: parameter.kind.placeholder,
    help: parameter.help,
    required: !parameter.optional,
    many: parameter.rest === true,
    default: defaultOf(parameter),
    choices: choicesOf(parameter.kind),
  };
}

function describeOption(key: string, option: Parameter<unknown> | Flag) {
  const name = optionName(key);
  const isShort = name === option.short;
  const base = {
    long: isShort ? null : `--${name}`,
    short: option.short === undefined ? null : `-${option.short}`,
    help: option.help,
  };
  if (isFlag(option)) {
    return { ...base, placeholder: null, required: false, default: null, implied: null, choices: null };
  }
  const implied = (VALUE_OPTIONAL as Readonly<Record<string, string>>)[key] ?? option.implied ?? null;
  return {
    ...base,
    placeholder: option.kind.placeholder,
    required: !option.optional,
    default: defaultOf(option),
    implied,
    choices: choicesOf(option.kind),
  };
}

/** A command as data. */
export function describeCommand(command: AnyCommand) {
  const { name, group, summary, details, args, options, access, examples } = command;
  return {
    name,
    group,
    summary,
    details: details?.replaceAll(/\s+/g, " ").trim() ?? null,
    usage: usage(command),
    access,
    arguments: Object.entries(args).map(([key, each]) => describeArgument(key, each)),
    options: Object.entries(options).map(([key, each]) => describeOption(key, each)),
    examples,
    /** `let` can keep a value of it, `--raw` prints bytes of it, another command line follows it. */
    has_value: command.value !== undefined,
    has_bytes: command.raw !== undefined,
    prefix: command.prefix === true,
    columns: command.table?.columns.map((column) => column.name) ?? null,
  };
}

/** Options that go with any command. */
export function describeGlobals() {
  return Object.entries(GLOBAL_OPTIONS).map(([key, option]) => ({
    ...describeOption(key, option),
    in_lines: (LINE_OPTIONS as readonly string[]).includes(key),
  }));
}
