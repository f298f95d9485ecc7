/** Runs a real program on every kind of simulated machine. What it takes is loaded by this command alone. */
import type { Point } from "../output/verdict/points.ts";
import type { Verdict } from "../run/exec/conform.ts";
import { argument, defaulted, defineCommand, flag, optional, rest } from "../language/command.ts";
import { DURATION, FILE, OUTPUT, text } from "../language/kinds.ts";
import { UsageError } from "../language/usage_error.ts";
import { CANNOT_RUN, NotStartedError } from "../output/failure.ts";
import { renderTable } from "../output/table/text.ts";
import { NOT_FOUND, requireSystem } from "./exec.ts";

/** Exit code where the program did not end well on some machine. */
const FAILED = 1;
const SIGINT = 2;

const COLUMNS = [
  { name: "machine" },
  { name: "ended" },
  { name: "how" },
  { name: "said", head: "LAST LINE OF OUTPUT", drop: 1 },
  { name: "difference", head: "FIRST CALL THAT WENT DIFFERENTLY" },
];

const describe = (call: { readonly text: string; readonly result: string } | null) =>
  call === null ? "no more calls" : `${call.text} = ${call.result}`;

/** The first difference as people read it. */
function differenceText({ difference }: Verdict): string {
  if (difference === null) return "";
  const { expected, got } = difference;
  const number = got?.number ?? expected?.number;
  return `${number}: ${describe(got)}, and not ${describe(expected)}`;
}

function lastLine({ output }: Verdict): string {
  return output.trimEnd().split("\n").at(-1) ?? "";
}

/** A verdict as a test point. */
function pointOf(file: string, verdict: Verdict): Point {
  const { machine, ended, how, milliseconds } = verdict;
  const point = { file, line: 0, name: machine, milliseconds };
  if (ended === "cannot") {
    return { ...point, skipped: lastLine(verdict) || "the program says that it cannot work here" };
  }
  if (ended === "well") return point;
  const message = `${how}: ${lastLine(verdict)}`;
  const difference = differenceText(verdict);
  return {
    ...point,
    miss: {
      code: "EXIT",
      message,
      exit: verdict.exit ?? FAILED,
      expected: "exit 0",
      got: how,
      ...(difference === "" ? {} : { hint: `first call that went differently: ${difference}` }),
    },
  };
}

export const conform = defineCommand({
  name: "conform",
  group: "exec",
  summary: "Run a program on every kind of machine, and tell where it ended well and where not",
  details:
    `Region layouts, revisions of the driver, releases of the kernel, store blocks and their limit, DMA windows, delays of
responses: the program runs once on the reference machine, then on machines that differ from it in one of these, with
--all in any number of them. Each has a host of its own, which is gone afterwards. Exit code 0 is well; 77 says that the
program cannot work on a machine, and does not count as a failure. The table names the first call that went differently
from the reference run. Exit code 1 if the program failed anywhere.`,
  args: {
    program: argument(text("PROGRAM"), "the program, searched for in PATH as a shell does"),
    args: rest(text("ARGS"), "its arguments; nothing behind the program is an option of ism", {
      optional: true,
    }),
  },
  options: {
    from: optional(FILE, 'topology of the reference machine as JSON; that of "host create" by default'),
    all: flag("all combinations, and not one difference at a time: some hundred runs"),
    timeout: defaulted(DURATION, 60, "kill the program after this time on one machine"),
    anyDescriptor: flag("let every descriptor mean a simulated file, as for exec"),
    tap: flag("print TAP version 14, and no table"),
    junit: optional(OUTPUT, "write JUnit XML to a file"),
  },
  access: "none",
  verbatim: true,
  examples: ["conform -- /bin/ls /dev/vfio"],
  async run({ dryRun, terminal, deviceWord, json }, values) {
    const { program, args, from, all, timeout, anyDescriptor, tap, junit } = values;
    if (dryRun) throw new UsageError("A program cannot be run dry: what it does outside of the host stays");
    if (tap && json) throw new UsageError("--tap and --json exclude each other", { token: "--tap" });
    requireSystem();
    const [{ machines }, { conform }, { ExecError }, { defaultTopology }] = await Promise.all([
      import("../run/exec/machines.ts"),
      import("../run/exec/conform.ts"),
      import("../../lib/exec/run.ts"),
      import("../../lib/host/topology.ts"),
    ]);
    const base = from === undefined
      ? defaultTopology()
      : (await import("../run/topology_file.ts")).readTopology(from);
    const verdicts: Verdict[] = [];
    const points: Point[] = [];
    const writer = tap ? await import("../output/verdict/tap.ts") : undefined;
    if (writer !== undefined) terminal.out(writer.TAP_VERSION);
    const options = {
      argv: [program, ...args],
      which: deviceWord,
      anyDescriptor,
      timeout: timeout * 1000,
      remark: (text: string) => terminal.err(`ism: conform: ${text}\n`),
    };
    try {
      for await (const verdict of conform(machines(base, all), options)) {
        if (verdicts.length === 0 && (verdict.exit === CANNOT_RUN || verdict.exit === NOT_FOUND)) {
          throw new NotStartedError(`${program}: ${lastLine(verdict)}`, verdict.exit);
        }
        verdicts.push(verdict);
        points.push(pointOf(program, verdict));
        if (writer !== undefined) terminal.out(writer.tapPoint(verdicts.length, points.at(-1)!));
        if (verdict.signal === SIGINT) break;
      }
    } catch (error) {
      if (error instanceof ExecError) throw new NotStartedError(error.message, CANNOT_RUN);
      throw error;
    }
    if (writer !== undefined) terminal.out(writer.tapPlan(points.length));
    const isFailed = verdicts.some(({ ended }) => ended === "badly");
    if (junit !== undefined) await writeJunit(junit, program, points, isFailed);
    return { program, runs: verdicts, failed: isFailed, tap };
  },
  text({ runs, tap }, { terminal }) {
    if (tap) return "";
    const rows = runs.map((run) => {
      const said = run.ended === "well" ? "" : lastLine(run);
      return [run.machine, run.ended, run.how, said, differenceText(run) || null];
    });
    const count = (ended: Verdict["ended"]) => runs.filter((run) => run.ended === ended).length;
    const cannot = count("cannot");
    return renderTable(COLUMNS, rows, terminal) +
      `${count("well")} of ${runs.length} well` + (cannot === 0 ? "" : `, ${cannot} cannot work`) +
      (count("badly") === 0 ? "" : `, ${count("badly")} badly`);
  },
  exitCode: ({ failed }) => failed ? FAILED : 0,
});

async function writeJunit(
  path: string,
  file: string,
  points: readonly Point[],
  isFailed: boolean,
): Promise<void> {
  const [{ junit }, { writeText }] = await Promise.all([
    import("../output/verdict/junit.ts"),
    import("../run/files.ts"),
  ]);
  const milliseconds = points.reduce((sum, point) => sum + point.milliseconds, 0);
  writeText(path, junit([{ file, code: isFailed ? FAILED : 0, milliseconds, points }], milliseconds));
}
