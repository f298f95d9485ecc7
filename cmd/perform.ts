/** A command line that needs more than to be understood: a session, in which its command or its script runs. */
import { COMMANDS } from "./table.ts";
import { defaultHostPath, environment, historyPath } from "./run/environment.ts";
import { readText } from "./run/files.ts";
import { isSameFile } from "./output/file_names.ts";
import { filesOf } from "./language/kinds.ts";
import { MAX_SCRIPT_BYTES } from "./language/limits.ts";
import { bindValues, type Globals, innermost, type Invocation } from "./language/parse.ts";
import { giveBack, runsPrograms } from "./run/permissions.ts";
import { Session } from "./run/session.ts";
import { parseScript, runScript, type ScriptLine } from "./run/script.ts";
import type { ProcessTerminal } from "./output/terminal.ts";
import { isTraceFile } from "./run/trace_file.ts";

/** Does what a command line asks for. @returns the exit code */
export async function perform(
  terminal: ProcessTerminal,
  invocation: Invocation,
  globals: Globals,
): Promise<number> {
  const { command } = invocation;
  checkTraceFile(globals, invocation);
  const lines = await scriptOf(invocation, globals);
  if (lines?.some(({ invocation }) => runsPrograms(innermost(invocation).command)) === false) giveBack("ffi");
  await innermost(invocation).command?.beforehand?.();
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
    code = await runOrWatch(session, invocation);
  } catch (error) {
    throw await session.blame(error);
  } finally {
    await session.close();
  }
  if (session.lastResult !== undefined) await command?.afterwards?.(session.lastResult);
  return code;
}

/** Runs a command once, or again and again with `--watch`. */
async function runOrWatch(session: Session, invocation: Invocation): Promise<number> {
  if (!invocation.words.has("watch")) return await session.runLine(invocation);
  const { watch, format } = bindValues(invocation, () => undefined);
  const { watchLine } = await import("./run/watch.ts");
  const words = invocation.command!.name;
  return await watchLine(session, invocation, { seconds: Number(watch), format, words });
}

/** The lines of `-c` or of `run`, all understood; undefined for any other command. */
async function scriptOf(invocation: Invocation, globals: Globals): Promise<ScriptLine[] | undefined> {
  const { command } = invocation;
  if (command === undefined) return await understood(globals.c.join("\n"), "-c");
  if (command.name !== "run") return undefined;
  const file = String(bindValues(invocation, () => undefined)["file"]);
  const text = readText(file, MAX_SCRIPT_BYTES);
  return await understood(text, file === "-" ? "stdin" : file);
}

/** What is looked through for commands before a script is understood; what stands behind is loaded when it is met. */
const LOOKED_THROUGH = 64 * 1024;

async function understood(text: string, file: string): Promise<ScriptLine[]> {
  await COMMANDS.need(text.slice(0, LOOKED_THROUGH).split(/[^a-z]+/));
  return await COMMANDS.loading(() => parseScript(text, file, COMMANDS));
}

/** Refuses a trace over the script that is run. @throws {FileError} */
function checkTraceFile({ traceFile }: Globals, invocation: Invocation): void {
  const { command } = invocation;
  if (traceFile === undefined || command?.name !== "run") return;
  for (const path of filesOf(command, bindValues(invocation, () => undefined))) {
    if (isSameFile(path, traceFile)) throw isTraceFile(path);
  }
}
