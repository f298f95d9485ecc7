/** The program: from arguments to an exit code. */
import { type AnyCommand, type Result, runsScripts, takesLines } from "./language/command.ts";
import { COMPLETE_CALL } from "./completion/scripts.ts";
import { COMMANDS } from "./table.ts";
import { defaultHostPath, environment, historyPath, surroundings } from "./run/environment.ts";
import { EXIT } from "./output/failure.ts";
import { isSameFile } from "./run/files.ts";
import { filesOf } from "./language/kinds.ts";
import { literalWord } from "./language/options.ts";
import { bindGlobals, type Globals, type Invocation, NO_VALUES } from "./language/invocation.ts";
import { parseLine } from "./language/parse.ts";
import { report } from "./output/report.ts";
import { Session } from "./run/session.ts";
import { parseScript, type ScriptLine } from "./run/compile.ts";
import { runScript } from "./run/script.ts";
import { isWorker, serve } from "./run/verdict/jobs.ts";
import { ProcessTerminal } from "./output/terminal.ts";
import { isTraceFile } from "./output/trace/file.ts";
import { safeJson } from "./output/diagnostic.ts";
import { UsageError } from "./language/usage_error.ts";
import { helpText, VERSION } from "./help/help.ts";

/** Runs `ism` with arguments, on the process's own streams by default. @returns the exit code */
export async function main(args: readonly string[], terminal = new ProcessTerminal()): Promise<number> {
  if (isWorker()) return await serve(COMMANDS);
  if (args[0] === COMPLETE_CALL) return await answerCall(terminal, args);
  const json = args.includes("--json");
  let invocation: Invocation | undefined;
  let globals: Globals | undefined;
  try {
    invocation = parseLine(args.map((text, i) => literalWord(text, i + 1)), COMMANDS, { inScript: false });
    globals = bindGlobals(invocation, NO_VALUES);
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
  const place = { hostPath: defaultHostPath(), device: environment("ISM_DEVICE") };
  const inner = invocation.innermost.command;
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
  if (command !== undefined && runsScripts(command)) {
    checkTraceFile(globals, invocation);
    const { runSuite } = await import("./run/verdict/suite.ts");
    return await runSuite(invocation.known, {
      terminal,
      globals,
      environment: place,
      table: COMMANDS,
      check: (lines) => checkSources(globals, lines),
      onlyLines: giveBackFor,
    });
  }
  const lines = command === undefined ? parseScript(globals.c.join("\n"), "-c", COMMANDS) : undefined;
  if (lines !== undefined) checkSources(globals, lines);
  if (lines !== undefined) giveBackFor(lines);
  await inner?.beforehand?.();
  const session = new Session(terminal, globals, place);
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

/** True for the one command that calls the C library. */
function runsPrograms(command: AnyCommand | undefined): boolean {
  return command?.name === "exec";
}

/** Gives back what lines do not need. */
function giveBackFor(lines: readonly ScriptLine[]): void {
  if (!lines.some(({ invocation }) => runsPrograms(invocation.innermost.command))) giveBack("ffi");
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

function checkCombination(
  { c, json, raw, keepGoing, commitEach, traceFile }: Globals,
  { command, known }: Invocation,
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
    : ["--format", "--columns"].find((name) => known[name.slice(2)] !== undefined);
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
  if ((keepGoing || commitEach) && c.length === 0 && (command === undefined || !runsScripts(command))) {
    throw new UsageError("--keep-going and --commit-each are for run and -c");
  }
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
  for (const path of filesOf(command, invocation.known)) {
    if (isSameFile(path, traceFile)) throw isTraceFile(path);
  }
}
