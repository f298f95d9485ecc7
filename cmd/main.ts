/** The program: from arguments to an exit code. */
import { type AnyCommand, type Result, takesLines } from "./language/command.ts";
import { COMPLETE_CALL } from "./completion/scripts.ts";
import { COMMANDS } from "./table.ts";
import { defaultHostPath, environment, historyPath, surroundings } from "./run/environment.ts";
import { EXIT } from "./output/failure.ts";
import { isSameFile, readText } from "./run/files.ts";
import { filesOf } from "./language/kinds.ts";
import { MAX_SCRIPT_BYTES } from "./language/limits.ts";
import { literalWord } from "./language/options.ts";
import {
  bindGlobals,
  bindValues,
  type Globals,
  innermost,
  type Invocation,
  parseLine,
} from "./language/parse.ts";
import { report } from "./output/report.ts";
import { Session } from "./run/session.ts";
import { parseScript, runScript, type ScriptLine } from "./run/script.ts";
import { ProcessTerminal } from "./output/terminal.ts";
import { isTraceFile } from "./run/trace_file.ts";
import { safeJson } from "./output/diagnostic.ts";
import { UsageError } from "./language/usage_error.ts";
import { helpText, VERSION } from "./help/help.ts";

/** Runs `ism` with arguments, on the process's own streams by default. @returns the exit code */
export async function main(args: readonly string[], terminal = new ProcessTerminal()): Promise<number> {
  if (args[0] === COMPLETE_CALL) return await answerCall(terminal, args);
  const json = args.includes("--json");
  let invocation: Invocation | undefined;
  let globals: Globals | undefined;
  try {
    invocation = parseLine(args.map((text, i) => literalWord(text, i + 1)), COMMANDS, { inScript: false });
    globals = bindGlobals(invocation, () => undefined);
    return await runInvocation(terminal, invocation, globals);
  } catch (error) {
    const name = invocation?.command?.name ?? (error instanceof UsageError ? error.command : undefined);
    return report(terminal, error, { json, name, ...(globals === undefined ? {} : { named: globals }) });
  }
}

async function runInvocation(
  terminal: ProcessTerminal,
  invocation: Invocation,
  globals: Globals,
): Promise<number> {
  terminal.setColor(globals.color ?? "auto", environment("NO_COLOR") !== undefined);
  terminal.setSurroundings(surroundings());
  const { command } = invocation;
  const inner = innermost(invocation).command;
  const hasLines = globals.c.length > 0 || (command !== undefined && takesLines(command));
  if (command?.name !== "man") giveBack("run");
  if (!hasLines && !runsPrograms(inner)) giveBack("ffi");
  if (globals.version) {
    return printText(terminal, globals, "version", { version: VERSION }, `ism ${VERSION}\n`);
  }
  if (globals.help || (command === undefined && globals.c.length === 0)) {
    const text = helpText(command?.name ?? invocation.family, terminal);
    return printText(terminal, globals, "help", { text }, text);
  }
  checkCombination(globals, invocation);
  checkTraceFile(globals, invocation);
  const lines = scriptOf(invocation, globals);
  if (lines?.some(({ invocation }) => runsPrograms(innermost(invocation).command)) === false) giveBack("ffi");
  await inner?.beforehand?.();
  const session = new Session(terminal, globals, {
    hostPath: defaultHostPath(),
    device: environment("ISM_DEVICE"),
  });
  let code: number;
  try {
    if (command?.name === "shell") {
      // A line editor takes as long to load as a whole command takes to run.
      const { runShell } = await import("./shell/shell.ts");
      return await runShell(session, historyPath());
    }
    if (lines !== undefined) return await runScript(session, lines);
    code = await session.runLine(invocation);
  } catch (error) {
    throw await session.blame(error);
  } finally {
    await session.close();
  }
  if (session.lastResult !== undefined) await command?.afterwards?.(session.lastResult);
  return code;
}

/** True for the one command that calls the C library. */
function runsPrograms(command: AnyCommand | undefined): boolean {
  return command?.name === "exec";
}

/** Gives back the permission to call the C library, which `exec` alone needs, or to start a pager, which only `man` does. */
function giveBack(name: "ffi" | "run"): void {
  Deno.permissions.revokeSync({ name });
}

/** Answers the completion script of a shell. */
async function answerCall(
  terminal: ProcessTerminal,
  [, shell = "", line = ""]: readonly string[],
): Promise<number> {
  giveBack("ffi");
  giveBack("run");
  const { externalCompletions } = await import("./completion/external.ts");
  const home = environment("HOME");
  terminal.out(externalCompletions(shell, line, { hostPath: defaultHostPath() ?? "", home }));
  return EXIT.OK;
}

/** Prints what needs no host. */
function printText(
  terminal: ProcessTerminal,
  { json }: Globals,
  command: string,
  result: Result,
  text: string,
): number {
  terminal.out(json ? safeJson({ schema: 1, command, ok: true, result }) + "\n" : text);
  return EXIT.OK;
}

/** The lines of `-c` or of `run`, all understood; undefined for any other command. */
function scriptOf(invocation: Invocation, globals: Globals): ScriptLine[] | undefined {
  const { command } = invocation;
  if (command === undefined) return parseScript(globals.c.join("\n"), "-c", COMMANDS);
  if (command.name !== "run") return undefined;
  const file = String(bindValues(invocation, () => undefined)["file"]);
  return parseScript(readText(file, MAX_SCRIPT_BYTES), file === "-" ? "stdin" : file, COMMANDS);
}

function checkCombination(
  { c, json, raw, keepGoing, commitEach, traceFile }: Globals,
  { command, words }: Invocation,
): void {
  if (c.length > 0 && command !== undefined) {
    throw new UsageError(`-c and the command "${command.name}" exclude each other`, { token: "-c" });
  }
  if (command?.name === "let") {
    throw new UsageError(
      '"let" keeps a value for the lines behind it; use it in a script, in the shell, or with -c',
      { token: "let" },
    );
  }
  if (json && traceFile === "-") {
    throw new UsageError("--json and --trace-file on standard output exclude each other", {
      token: "--trace-file",
    });
  }
  if (json && raw) throw new UsageError("--json and --raw exclude each other", { token: "--raw" });
  const asTable = command?.table === undefined
    ? undefined
    : ["--format", "--columns"].find((name) => words.has(name.slice(2)));
  if (asTable !== undefined && (json || raw)) {
    const other = json ? "--json" : "--raw";
    throw new UsageError(`${asTable} and ${other} exclude each other`, {
      token: asTable,
      ...(json ? { hint: "--format=json prints the rows of the table alone" } : {}),
    });
  }
  if (
    raw && command !== undefined && command.raw === undefined && !takesLines(command) &&
    command.prefix !== true
  ) {
    throw new UsageError(`"${command.name}" yields no bytes for --raw`, { token: "--raw" });
  }
  if ((keepGoing || commitEach) && c.length === 0 && command?.name !== "run") {
    throw new UsageError("--keep-going and --commit-each are for run and -c");
  }
}

/** Refuses a trace over the script that is run. @throws {FileError} */
function checkTraceFile({ traceFile }: Globals, invocation: Invocation): void {
  const { command } = invocation;
  if (traceFile === undefined || command?.name !== "run") return;
  for (const path of filesOf(command, bindValues(invocation, () => undefined))) {
    if (isSameFile(path, traceFile)) throw isTraceFile(path);
  }
}
