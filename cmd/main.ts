/** The program: from arguments to an exit code. What a command line does not need is not loaded. */
import { VERSION } from "./build_info.ts";
import { COMPLETE_CALL } from "./completion/call.ts";
import { type Result, runsPrograms, runsScripts, takesLines } from "./language/command.ts";
import { literalWord } from "./language/options.ts";
import { bindGlobals, type Globals, type Invocation, NO_VALUES } from "./language/invocation.ts";
import { parseLine } from "./language/parse.ts";
import { safeJson } from "./language/quote.ts";
import { UsageError } from "./language/usage_error.ts";
import { ProcessTerminal } from "./output/terminal.ts";
import { defaultHostPath, environment, isWorker, surroundings } from "./run/environment.ts";
import { pause } from "./run/pause.ts";
import { giveBack } from "./run/permissions.ts";
import { COMMANDS } from "./table.ts";

/** Runs `ism` with arguments, on the process's own streams by default. @returns the exit code */
export async function main(args: readonly string[], terminal = new ProcessTerminal()): Promise<number> {
  if (isWorker()) {
    const { serve } = await import("./run/verdict/jobs.ts");
    return await serve(COMMANDS);
  }
  if (args[0] === COMPLETE_CALL) return await answerCall(terminal, args);
  const json = args.includes("--json");
  let invocation: Invocation | undefined;
  let globals: Globals | undefined;
  try {
    const words = args.map((text, i) => literalWord(text, i + 1));
    await COMMANDS.need(args);
    invocation = await COMMANDS.loading(() => parseLine(words, COMMANDS, { inScript: false }));
    globals = bindGlobals(invocation, NO_VALUES);
    return await runInvocation(terminal, invocation, globals);
  } catch (error) {
    const name = invocation?.command?.name ?? (error instanceof UsageError ? error.command : undefined);
    const { report } = await import("./output/report.ts");
    return report(terminal, error, { json, name, ...(globals === undefined ? {} : { named: globals }) });
  }
}

/** What the process waits for tasks that are still open, such as a terminal that is read. Milliseconds. */
const PATIENCE_MS = 10;

/** Ends the process with an exit code. */
export function end(code: number): void {
  // Behind the last task Deno keeps what it has compiled for the next start; Deno.exit() at once would lose it.
  Deno.exitCode = code;
  void pause(PATIENCE_MS).then(() => Deno.exit(code));
}

async function runInvocation(
  terminal: ProcessTerminal,
  invocation: Invocation,
  globals: Globals,
): Promise<number> {
  terminal.setColor(globals.color ?? "auto", environment("NO_COLOR") !== undefined);
  terminal.setSurroundings(surroundings());
  const { command } = invocation;
  const inner = invocation.innermost.command;
  const hasLines = globals.c.length > 0 || (command !== undefined && takesLines(command));
  if (command?.name !== "man") giveBack("run");
  if (!hasLines && !runsPrograms(inner)) giveBack("ffi");
  if (globals.version && !globals.json) {
    return printText(terminal, globals, "version", {}, `ism ${VERSION}\n`);
  }
  if (globals.version) return await printVersion(terminal, globals);
  if (globals.help || (command === undefined && globals.c.length === 0)) {
    const { helpText } = await import("./help/help.ts");
    const text = await helpText(command?.name ?? invocation.family, terminal, COMMANDS);
    return printText(terminal, globals, "help", { text }, text);
  }
  checkCombination(globals, invocation);
  if (isHostless(invocation, globals)) {
    const { runHostless } = await import("./run/hostless.ts");
    const { result, text } = await runHostless(command!, invocation, globals, {
      terminal,
      commands: COMMANDS,
    });
    return printText(terminal, globals, command!.name, result, globals.quiet ? "" : text);
  }
  const { perform } = await import("./perform.ts");
  return await perform(terminal, invocation, globals);
}

/** `--version --json` is the document of the command `version`. */
async function printVersion(terminal: ProcessTerminal, globals: Globals): Promise<number> {
  await COMMANDS.need(["version"]);
  const invocation = parseLine([literalWord("version")], COMMANDS, { inScript: false });
  const { runHostless } = await import("./run/hostless.ts");
  const context = { terminal, commands: COMMANDS };
  const { result } = await runHostless(invocation.command!, invocation, globals, context);
  return printText(terminal, globals, "version", result, "");
}

/** True for `help`, `version`, `man` and `completions`, which need no session. */
function isHostless({ command }: Invocation, { trace, traceFile, dryRun }: Globals): boolean {
  const isAsked = trace !== undefined || traceFile !== undefined || dryRun;
  return command?.group === "help" && command.prefix !== true && !isAsked;
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
  const world = { hostPath: defaultHostPath() ?? "", home };
  terminal.out(externalCompletions(shell, line, await COMMANDS.all(), world));
  return 0;
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
  return 0;
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
