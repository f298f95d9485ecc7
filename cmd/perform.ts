/** A command line that needs more than to be understood: a session, in which its command or its script runs. */
import { COMMANDS } from "./table.ts";
import { defaultHostPath, environment, historyPath } from "./run/environment.ts";
import { isSameFile, readText } from "./run/files.ts";
import { filesOf } from "./language/kinds.ts";
import { MAX_SCRIPT_BYTES } from "./language/limits.ts";
import { takesLines } from "./language/command.ts";
import { bindValues, type Globals, type Invocation } from "./language/parse.ts";
import { Session } from "./run/session.ts";
import { parseScript, runScript, type ScriptLine } from "./run/script.ts";
import type { ProcessTerminal } from "./output/terminal.ts";
import { isTraceFile } from "./output/trace/file.ts";
import { UsageError } from "./language/usage_error.ts";

/** Does what a command line asks for. @returns the exit code */
export async function perform(
  terminal: ProcessTerminal,
  invocation: Invocation,
  globals: Globals,
): Promise<number> {
  const { command } = invocation;
  checkCombination(globals, invocation);
  checkTraceFile(globals, invocation);
  const lines = await scriptOf(invocation, globals);
  await command?.beforehand?.();
  const session = new Session(terminal, globals, {
    hostPath: defaultHostPath(),
    device: environment("ISM_DEVICE"),
    commands: COMMANDS,
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
    session.close();
  }
  if (session.lastResult !== undefined) await command?.afterwards?.(session.lastResult);
  return code;
}

/** The lines of `-c` or of `run`, all understood; undefined for any other command. */
async function scriptOf(invocation: Invocation, globals: Globals): Promise<ScriptLine[] | undefined> {
  const { command } = invocation;
  if (command === undefined) {
    return await COMMANDS.loading(() => parseScript(globals.c.join("\n"), "-c", COMMANDS));
  }
  if (command.name !== "run") return undefined;
  const file = String(bindValues(invocation, () => undefined)["file"]);
  const text = readText(file, MAX_SCRIPT_BYTES);
  return await COMMANDS.loading(() => parseScript(text, file === "-" ? "stdin" : file, COMMANDS));
}

function checkCombination(
  { c, json, raw, keepGoing, commitEach, traceFile }: Globals,
  { command }: Invocation,
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
