/** One script from its file to its verdict. */
import type { Commands } from "../../language/command.ts";
import type { Globals } from "../../language/invocation.ts";
import { MAX_SCRIPT_BYTES } from "../../language/limits.ts";
import { PlacedError } from "../../language/usage_error.ts";
import { describeFailure } from "../../output/failure.ts";
import { report } from "../../output/report.ts";
import type { ProcessTerminal } from "../../output/terminal.ts";
import { type Suite, Verdicts } from "../../output/verdict/points.ts";
import { understood } from "../lines/compile.ts";
import type { ScriptLine } from "../lines/script_line.ts";
import { readText } from "../files.ts";
import type { HostPlace } from "../host/host_place.ts";
import { runScript } from "../script.ts";
import { Session } from "../session.ts";

/** Where scripts run. */
export interface Surroundings {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  readonly environment: {
    readonly hostPath: string | undefined;
    readonly device: string | undefined;
    readonly commands: Commands;
  };
  /** Looks at the lines before the first of them runs. @throws {FileError} */
  readonly check?: (lines: readonly ScriptLine[]) => void;
  /** Is told the lines of the only script before they run. */
  readonly onlyLines?: (lines: readonly ScriptLine[]) => void;
  /** Another host than the one that the command line means. */
  readonly place?: () => HostPlace;
}

/**
 * Runs a script; what went wrong is told, and is in the verdict.
 *
 * @param names every line is in the verdict, and not only those that did not hold
 */
export async function runFile(
  file: string,
  surroundings: Surroundings,
  { names }: { readonly names: boolean },
): Promise<Suite & { expects: boolean }> {
  const { terminal, globals, environment, place } = surroundings;
  const verdicts = new Verdicts({ names });
  const started = performance.now();
  let expects = false;
  let code: number;
  try {
    const name = file === "-" ? "stdin" : file;
    const lines = await understood(readText(file, MAX_SCRIPT_BYTES), name, environment.commands);
    surroundings.check?.(lines);
    surroundings.onlyLines?.(lines);
    expects = lines.some(({ command }) => command.name === "expect");
    const session = new Session(terminal, globals, environment, ...(place === undefined ? [] : [place()]));
    try {
      code = await runScript(session, lines, verdicts);
    } catch (error) {
      throw await session.blame(error);
    } finally {
      await session.close();
    }
  } catch (error) {
    code = report(terminal, error, { json: globals.json, name: "run", named: globals });
    const all = error instanceof PlacedError ? [error, ...error.others] : [error];
    for (const each of all) {
      const failure = describeFailure(each);
      if (!(each instanceof PlacedError)) verdicts.failed({ file, line: 0, title: file }, failure);
      else verdicts.failed({ ...each.place, title: each.source.trim() || file }, failure);
    }
  }
  const { points, counted } = verdicts;
  return { file, code, milliseconds: performance.now() - started, points, counted, expects };
}
