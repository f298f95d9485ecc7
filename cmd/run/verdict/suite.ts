/** `run`: scripts one after the other or several at once, and what is told of them. */
import { HostStore, MEMORY_HOST } from "../../../lib/host/file/store.ts";
import { defaultTopology } from "../../../lib/host/topology.ts";
import type { BoundValues } from "../../language/invocation.ts";
import { FileError, UsageError } from "../../language/usage_error.ts";
import { checkOutput, isSameFile } from "../../output/file_names.ts";
import { quoteText } from "../../language/quote.ts";
import { EXIT, isInterrupted } from "../../output/failure.ts";
import { junit } from "../../output/verdict/junit.ts";
import { type Suite, summary } from "../../output/verdict/points.ts";
import { TAP_VERSION, tapPlan, tapPoint } from "../../output/verdict/tap.ts";
import { writeText } from "../files.ts";
import { filtered, scriptsOf, shuffled } from "./files.ts";
import { runJobs, topologyOf } from "./jobs.ts";
import { runFile, type Surroundings } from "./one.ts";

/** Options of `run`. */
interface Options {
  readonly tap: boolean;
  readonly junit: string | undefined;
  readonly jobs: number | undefined;
  readonly filter: string | undefined;
  readonly shuffle: boolean;
  readonly seed: bigint | undefined;
}

/** Runs the scripts of a command line. @returns the exit code of the first that failed */
export async function runSuite(values: BoundValues, surroundings: Surroundings): Promise<number> {
  const options = values as unknown as Options;
  const found = scriptsOf([values["file"]].flat() as readonly string[]);
  checkOptions(options, found, surroundings);
  const seed = options.shuffle ? options.seed ?? randomSeed() : undefined;
  const chosen = filtered(found, options.filter);
  const files = seed === undefined ? chosen : shuffled(chosen, seed);
  const started = performance.now();
  const { suites, expects } = await runAll(files, options, surroundings);
  const took = performance.now() - started;
  if (options.junit !== undefined) writeJunit(options.junit, junit(suites, took), surroundings);
  const { terminal, globals } = surroundings;
  const isAsked = options.tap || options.junit !== undefined || options.jobs !== undefined ||
    found.length > 1 ||
    (expects && terminal.errIsTerminal);
  if (isAsked && !globals.quiet) terminal.err(summary(suites, took, seed));
  return suites.find(({ code }) => code !== EXIT.OK)?.code ?? EXIT.OK;
}

async function runAll(
  files: readonly string[],
  { tap, junit, jobs }: Options,
  surroundings: Surroundings,
): Promise<{ suites: readonly Suite[]; expects: boolean }> {
  const { terminal, environment } = surroundings;
  // Verdicts on standard output stand there alone.
  const quiet = surroundings.globals.quiet || tap || junit === "-";
  const globals = { ...surroundings.globals, quiet };
  const names = tap || junit !== undefined;
  const suites: Suite[] = [];
  let count = 0;
  let expects = false;
  const take = (suite: Suite) => {
    suites.push(suite);
    if (tap) terminal.out(suite.points.map((point) => tapPoint(++count, point)).join(""));
  };
  if (tap) terminal.out(TAP_VERSION);
  if (jobs === undefined) {
    const { onlyLines, ...several } = surroundings;
    const only = files.length === 1 && onlyLines !== undefined ? { onlyLines } : {};
    for (const file of files) {
      const { expects: any, ...suite } = await runFile(file, { ...several, ...only, globals }, { names });
      expects ||= any;
      take(suite);
      if (isInterrupted(suite.code)) break;
    }
  } else {
    const topology = topologyFor(globals.host);
    const colors = [terminal.style, terminal.errStyle].map((style) => style.bold("") !== "");
    const common = {
      globals,
      device: environment.device,
      topology,
      colors: [colors[0]!, colors[1]!] as const,
      names,
    };
    await runJobs(files, jobs, common, terminal, take);
  }
  if (tap) terminal.out(tapPlan(count));
  return { suites, expects };
}

/** What hosts of their own are made from: the host that is named, as it was when it was created. */
function topologyFor(named: string | undefined) {
  if (named === undefined || named === MEMORY_HOST) return defaultTopology();
  using store = HostStore.open(named);
  return topologyOf(store);
}

/** Options that do not go together. @throws {UsageError} @throws {FileError} */
function checkOptions(
  { tap, junit, jobs, shuffle, seed }: Options,
  scripts: readonly string[],
  { globals, environment }: Surroundings,
): void {
  const exclude = (one: string, other: string) => new UsageError(`${one} and ${other} exclude each other`);
  const { json, raw, traceFile, host } = globals;
  const verdict = tap ? "--tap" : junit === "-" ? "--junit on standard output" : undefined;
  if (verdict !== undefined && json) throw exclude(verdict, "--json");
  if (verdict !== undefined && raw) throw exclude(verdict, "--raw");
  if (tap && junit === "-") throw exclude("--tap", "--junit on standard output");
  if (seed !== undefined && !shuffle) throw new UsageError("--seed is for --shuffle", { token: "--seed" });
  if (traceFile !== undefined && scripts.length > 1) {
    throw new UsageError("--trace-file is for one script", { token: "--trace-file" });
  }
  if (traceFile !== undefined && jobs !== undefined) throw exclude("--trace-file", "--jobs");
  if (jobs !== undefined && scripts.includes("-")) throw exclude("--jobs", "a script from standard input");
  if (junit === undefined || junit === "-") return;
  const hostPath = host ?? environment.hostPath;
  if (hostPath !== undefined) checkOutput(junit, hostPath);
  if (scripts.some((path) => path !== "-" && isSameFile(path, junit))) {
    throw new FileError(junit, `${quoteText(junit, 200)} is a script that is run; name another file`);
  }
}

function writeJunit(path: string, text: string, { terminal }: Surroundings): void {
  if (path === "-") terminal.out(text);
  else writeText(path, text);
}

function randomSeed(): bigint {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0]!);
}
