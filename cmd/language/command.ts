/**
 * What a command is: one definition feeds the parser, help, and whatever else needs to know the commands.
 */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import type { HostStore } from "../../lib/host/file/store.ts";
import type { DataSource } from "./data.ts";
import type { Table } from "./table.ts";
import type { TraceCollector } from "../output/trace/collector.ts";
import type { Globals } from "./invocation.ts";
import type { Terminal } from "./terminal.ts";

/** What can stand in a place where a list of words would not do. */
export type Source = "file" | "command" | "subcommand" | "topic" | "device" | "variable";

/** How the text of an argument becomes a value. */
export interface Kind<Value> {
  /** Placeholder in usage lines: `OFFSET`. */
  readonly placeholder: string;
  /** @throws {UsageError} */
  parse(text: string, what: string): Value;
  /** What can stand here, for completions; a function of the arguments before it where it depends on them. */
  readonly choices?: readonly string[] | Source | ((before: readonly string[]) => readonly string[]);
  /** Several of the choices may stand in one word, with this between them. */
  readonly separator?: string;
}

/** A positional argument or an option with a value. */
export interface Parameter<Value> {
  readonly kind: Kind<Value>;
  readonly help: string;
  /** May be left out; `value` stands for it then. */
  readonly optional: boolean;
  readonly value: Value | undefined;
  /** One-letter form of an option. */
  readonly short?: string;
  /** The last argument takes all words that are left; its value is a list. */
  readonly rest?: boolean;
  /** The option's value may be left out, and this text stands for it then. */
  readonly implied?: string;
}

/** An option without a value. */
export interface Flag {
  readonly flag: true;
  /** Arguments may be left out beside it. */
  readonly alone?: boolean;
  readonly help: string;
  readonly short?: string;
}

// deno-lint-ignore ban-types -- `{}` is "no arguments" here, and any command's parameters extend it
export type Parameters = {} | Record<string, Parameter<unknown> | Flag>;
/** The values that a set of parameters yields. */
export type Values<Of> = {
  readonly [Name in keyof Of]: Of[Name] extends Flag ? boolean
    : Of[Name] extends Parameter<infer Value> ? Value
    : never;
};

/** A positional argument that must be there. */
export function argument<Value>(kind: Kind<Value>, help: string): Parameter<Value> {
  return { kind, help, optional: false, value: undefined };
}

/** An argument or option that may be left out. */
export function optional<Value>(
  kind: Kind<Value>,
  help: string,
  short?: string,
): Parameter<Value | undefined> {
  return { kind, help, optional: true, value: undefined, ...(short === undefined ? {} : { short }) };
}

/** An argument or option with a default. */
export function defaulted<Value>(kind: Kind<Value>, value: Value, help: string): Parameter<Value> {
  return { kind, help, optional: true, value };
}

/** All words that are left, at least one unless `optional`. */
export function rest<Value>(
  kind: Kind<Value>,
  help: string,
  { optional = false } = {},
): Parameter<readonly Value[]> {
  // A list stands where its elements are parsed one by one; parse.ts knows by `rest`.
  return { kind: kind as unknown as Kind<readonly Value[]>, help, optional, value: [], rest: true };
}

/** An option that must be given. */
export function required<Value>(kind: Kind<Value>, help: string): Parameter<Value> {
  return argument(kind, help);
}

export function flag(help: string, short?: string): Flag {
  return { flag: true, help, ...(short === undefined ? {} : { short }) };
}

/** Groups of the command list, in the order of help. */
export const GROUPS = ["look", "access", "ism", "exec", "host", "sys", "script", "help"] as const;
export type Group = (typeof GROUPS)[number];

/**
 * What a command needs of the host: nothing, to look at it, to act on it in one transaction, to act on it in
 * transactions of its own, or to handle the file by itself.
 */
export type Access = "none" | "read" | "write" | "wait" | "file";

/** How a transaction of a command with `access: "wait"` goes. */
export interface TransactOptions {
  /** What the simulated world refuses does not undo what came before it, as in commands that do not wait. */
  readonly keepRefused?: boolean;
  /** `"read"` for a look that changes nothing and lets others write meanwhile; `"write"` by default. */
  readonly mode?: "read" | "write";
  /** False if nothing is printed or written elsewhere of it before a later one is on the disk; true by default. */
  readonly forced?: boolean;
}

/** Surroundings of a running command. */
export interface Context {
  readonly terminal: Terminal;
  readonly verbose: boolean;
  /** `--dry-run`: nothing outside the host may be changed; the host itself is rolled back. */
  readonly dryRun: boolean;
  /** Standard input holds the lines that are run. */
  readonly stdinIsLines: boolean;
  /** `--json`: nothing but the document may be written to stdout. */
  readonly json: boolean;
  /** For help on them. */
  readonly commands: Commands;
  /** The loaded host. Not for `access: "none"` and `"file"`. */
  readonly host: Host;
  /** The function that `--device` names. */
  readonly target: HostFunction;
  /** Path of the host file. */
  readonly hostPath: string;
  /** The host file is the one that is used where none is named; its directory may be created. */
  readonly isDefaultHost: boolean;
  /** The open host file, for commands that wait. */
  readonly store: HostStore;
  /** What is traced of the command; undefined for nothing. */
  readonly trace: TraceCollector | undefined;
  /** Global options. */
  readonly globals: Globals;
  /** The word that names the function. */
  readonly deviceWord: string;
  /** Ends what waits, where another process is the one that would be interrupted. */
  readonly interrupted: AbortSignal | undefined;
  /** Others can act on the host between two transactions of this command. */
  readonly shared: boolean;
  /** One transaction of a command with `access: "wait"`. */
  transact<Of>(work: (target: HostFunction, host: Host) => Of, options?: TransactOptions): Of;
  /** One transaction of work that takes its time and lets Ctrl-C in. */
  transactLong<Of>(work: (target: HostFunction, host: Host) => Promise<Of>): Promise<Of>;
  /** The function that a word names. @throws {UsageError} */
  device(which: string): HostFunction;
  /** Bytes of a data argument. @throws {FileError} */
  load(data: DataSource): Uint8Array;
  /** The same for those who only read them: not to be changed, nor kept. @throws {FileError} */
  look(data: DataSource): Uint8Array;
}

/** What a result becomes text with. */
export interface TextContext extends Pick<Context, "terminal" | "verbose"> {
  /** Tables have all their columns, whether they fit or not. */
  readonly wide: boolean;
  /** A sentence whose commands (`"ism close"`) are to be typed as they stand in it. */
  propose(sentence: string): string;
}

/** A result is what `--json` prints under `result`. */
export type Result = Readonly<Record<string, unknown>>;

/** A command's definition. */
export interface Command<Args, Options, Of extends Result> {
  /** One word, or two: `dmb register`. */
  readonly name: string;
  readonly group: Group;
  readonly summary: string;
  /** More help, as paragraphs. */
  readonly details?: string;
  readonly args: Args;
  readonly options: Options;
  readonly access: Access;
  /** Lines that work as they are on a fresh host, without `ism`. */
  readonly examples: readonly string[];
  run(context: Context, values: Values<Args & Options>): Of | Promise<Of>;
  /** The result for people; nothing is printed without it. */
  text?(result: Of, context: TextContext): string;
  /** The result as a table: what is printed where there is no `text`, and what the options of tables are about. */
  readonly table?: Table<NoInfer<Of>>;
  /** The result as bytes, for `--raw`. */
  raw?(result: Of): Uint8Array;
  /** The value that `let` keeps. */
  value?(result: Of): string;
  /** The exit code where it is not 0 although the command did what it was asked for. */
  exitCode?(result: Of): number;
  /** What can be begun before the host file is opened, because it takes its time. */
  beforehand?(): void | Promise<void>;
  /** What is left to do when the host file is closed. */
  afterwards?(result: Of): void | Promise<void>;
  /** With `--watch`: true where a result is worth keeping in view, because the next one will not have it again. */
  watchKeeps?(result: Of): boolean;
  /** Options end at the first word that is none: the words from there on are somebody else's. */
  readonly verbatim?: boolean;
}

/** A command with its types forgotten, as the table holds it. */
export interface AnyCommand {
  readonly name: string;
  readonly group: Group;
  readonly summary: string;
  readonly details?: string;
  readonly args: Readonly<Record<string, Parameter<unknown>>>;
  readonly options: Readonly<Record<string, Parameter<unknown> | Flag>>;
  readonly access: Access;
  readonly examples: readonly string[];
  run(context: Context, values: Readonly<Record<string, unknown>>): Result | Promise<Result>;
  text?(result: Result, context: TextContext): string;
  readonly table?: Table<Result>;
  raw?(result: Result): Uint8Array;
  value?(result: Result): string;
  exitCode?(result: Result): number;
  beforehand?(): void | Promise<void>;
  afterwards?(result: Result): void | Promise<void>;
  watchKeeps?(result: Result): boolean;
  readonly verbatim?: boolean;
  /** What follows the command's own arguments is another command line: `expect`, `let`, `repeat`. */
  readonly prefix?: boolean;
}

/** What is known of a command that is not loaded. */
export type CommandFacts = Pick<AnyCommand, "name" | "group" | "summary">;

/** Commands by name, as a line is understood with them. */
export interface KnownCommands {
  has(name: string): boolean;
  keys(): Iterable<string>;
  /** Undefined if there is none of that name. */
  get(name: string): AnyCommand | undefined;
}

/** All commands, each loaded when it is needed: `get` throws for one that is not, unless {@linkcode loading} calls. */
export interface Commands extends KnownCommands {
  /** In the order of help. */
  readonly facts: readonly CommandFacts[];
  /** Loads the commands whose names stand among some words. */
  need(words: readonly string[]): Promise<void>;
  /** Does work that looks commands up; begins it anew when those that it asks for are loaded, so it must change nothing. */
  loading<Of>(work: () => Of): Promise<Of>;
  /** Loads all of them, in the order of help. */
  all(): Promise<ReadonlyMap<string, AnyCommand>>;
}

/** Defines a command; the types of its values follow from its parameters. */
export function defineCommand<
  const Args extends Parameters,
  const Options extends Parameters,
  Of extends Result,
>(
  command: Command<Args, Options, Of>,
): AnyCommand {
  return command as unknown as AnyCommand;
}

/** True for a command that runs programs of the real machine: it alone may call the C library. */
export function runsPrograms(command: Pick<AnyCommand, "name"> | undefined): boolean {
  return command?.name === "exec" || command?.name === "conform";
}

/** True for a command that can stand in a script or shell. */
export function canStandInLine({ name, access }: Pick<AnyCommand, "name" | "access">): boolean {
  return access !== "file" && name !== "run" && name !== "shell" && name !== "conform";
}

/** True for a command that can stand behind `expect`, `let` and `repeat`. */
export function canStandBehind(command: Pick<AnyCommand, "name" | "access">): boolean {
  return canStandInLine(command) && command.name !== "source";
}

/** True for a command that runs lines itself. */
export function takesLines({ name }: Pick<AnyCommand, "name">): boolean {
  return name === "shell" || runsScripts({ name });
}

/** True for a command that runs scripts, where it stands in none itself. */
export function runsScripts({ name }: Pick<AnyCommand, "name">): boolean {
  return name === "run" || name === "source";
}

/** Option names are kebab-case on the line: `commitEach` is `--commit-each`. */
export function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** True for an option without a value. */
export function isFlag(parameter: Parameter<unknown> | Flag): parameter is Flag {
  return "flag" in parameter;
}
