/** A command line that needs more than to be understood: a session, in which its command or its script runs. */
import { COMMANDS } from "./table.ts";
import { defaultHostPath, environment, historyPath } from "./run/environment.ts";
import { isSameFile } from "./output/file_names.ts";
import { filesOf } from "./language/kinds.ts";
import { runsPrograms, runsScripts } from "./language/command.ts";
import { type Globals, type Invocation, NO_VALUES } from "./language/invocation.ts";
import { giveBack } from "./run/permissions.ts";
import { Session } from "./run/session.ts";
import { understood } from "./run/lines/compile.ts";
import type { ScriptLine } from "./run/lines/script_line.ts";
import { runScript } from "./run/script.ts";
import type { ProcessTerminal } from "./output/terminal.ts";
import { isTraceFile } from "./run/traces/trace_file.ts";

/** Does what a command line asks for. @returns the exit code */
export async function perform(
  terminal: ProcessTerminal,
  invocation: Invocation,
  globals: Globals,
): Promise<number> {
  const { command } = invocation;
  const place = { hostPath: defaultHostPath(), device: environment("ISM_DEVICE"), commands: COMMANDS };
  if (command !== undefined && runsScripts(command)) {
    checkTraceFile(globals, invocation);
    const { runSuite } = await import("./run/verdict/suite.ts");
    return await runSuite(invocation.known, {
      terminal,
      globals,
      environment: place,
      check: (lines) => checkSources(globals, lines),
      onlyLines: giveBackFor,
    });
  }
  const lines = command === undefined ? await understood(globals.c.join("\n"), "-c", COMMANDS) : undefined;
  if (lines !== undefined) checkSources(globals, lines);
  if (lines !== undefined) giveBackFor(lines);
  await invocation.innermost.command?.beforehand?.();
  const session = new Session(terminal, globals, place);
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
  if (invocation.known["watch"] === undefined) return await session.runLine(invocation);
  const { watch, format } = invocation.bind(NO_VALUES);
  const { watchLine } = await import("./run/watch.ts");
  const words = invocation.command!.name;
  return await watchLine(session, invocation, { seconds: Number(watch), format, words });
}

/** Gives back what lines do not need. */
function giveBackFor(lines: readonly ScriptLine[]): void {
  if (!lines.some(({ innermost }) => runsPrograms(innermost))) giveBack("ffi");
}

/** Refuses a trace over a script that another one takes in. @throws {FileError} */
function checkSources({ traceFile }: Globals, lines: readonly ScriptLine[]): void {
  if (traceFile === undefined) return;
  for (const path of new Set(lines.map(({ place }) => place.file))) {
    if (isSameFile(path, traceFile)) throw isTraceFile(path);
  }
}

/** Refuses a trace over the script that is run. @throws {FileError} */
function checkTraceFile({ traceFile }: Globals, invocation: Invocation): void {
  const { command } = invocation;
  if (traceFile === undefined || command === undefined || !runsScripts(command)) return;
  for (const path of filesOf(command, invocation.bind(NO_VALUES))) {
    if (isSameFile(path, traceFile)) throw isTraceFile(path);
  }
}
