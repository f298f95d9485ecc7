/** Running scripts: their lines one after the other, in one transaction or in one each. */
import { EXIT, isInterrupted, isKept } from "../output/failure.ts";
import type { ScriptLine } from "./lines/script_line.ts";
import { Progress } from "../output/progress.ts";
import type { Verdicts } from "../output/verdict/points.ts";
import { Yielding } from "./waiting/interrupt.ts";
import type { Session } from "./session.ts";

const NOTHING_KEPT = "nothing of the script is kept";

/**
 * Runs a script: one transaction as a whole, or one per line with `--commit-each`. What is printed is held back until
 * it is committed. A script that ends because the simulated world refused something keeps what was done before; one
 * that `ism` itself could not finish leaves the host as it was.
 *
 * @param verdicts takes down what becomes of each line
 * @returns the exit code: that of the first failure
 */
export async function runScript(
  session: Session,
  lines: readonly ScriptLine[],
  verdicts?: Verdicts,
): Promise<number> {
  const { keepGoing, commitEach, dryRun } = session.globals;
  const whole = !commitEach && !session.isOwned &&
    lines.some(({ innermost }) => innermost.access !== "none");
  let first: number = EXIT.OK;
  if (whole) session.transactions.begin("write");
  let keep = false;
  using yielding = new Yielding();
  try {
    using progress = new Progress(session.terminal, "line", lines.length);
    let code: number = EXIT.OK;
    let ended = false;
    let wasDone = true;
    let done = 0;
    const isTimed = verdicts?.names === true;
    for (const scriptLine of lines) {
      const { place } = scriptLine;
      if (ended) {
        verdicts?.skip(place);
        continue;
      }
      progress.tell(done++);
      if (yielding.isDue()) {
        const kept = whole ? NOTHING_KEPT : "lines before it are kept";
        await yielding.now(() => ` at ${place.file}:${place.line}; ${kept}`);
      }
      const started = isTimed ? performance.now() : 0;
      const soon = session.runLine(scriptLine.invocation, place);
      code = soon instanceof Promise ? await soon : soon;
      const milliseconds = isTimed ? performance.now() - started : 0;
      verdicts?.ran(place, milliseconds, code, session.lastFailure);
      if (code === EXIT.OK) continue;
      // What a program ended with is no exit code of ism: the line did what it was asked for.
      if (first === EXIT.OK) first = code;
      wasDone = session.lastResult !== undefined;
      if (!keepGoing || (isInterrupted(code) && !wasDone)) {
        if (verdicts === undefined) break;
        ended = true;
      }
    }
    keep = wasDone || isKept(code) || (keepGoing && !isInterrupted(code));
  } finally {
    if (whole) session.transactions.end({ commit: keep && !dryRun });
  }
  return first;
}
