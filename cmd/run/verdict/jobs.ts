/** Several scripts at once: each in a worker that has a host in memory of its own, their output in order. */
import { type HostStore, MEMORY_HOST } from "../../../lib/host/file/store.ts";
import type { Topology } from "../../../lib/host/topology.ts";
import type { Commands } from "../../language/command.ts";
import type { Globals } from "../../language/invocation.ts";
import { PlacedError, UsageError } from "../../language/usage_error.ts";
import { isInterrupted } from "../../output/failure.ts";
import { HeldOutput, type Stream } from "../../output/held.ts";
import { ProcessTerminal } from "../../output/terminal.ts";
import type { Suite } from "../../output/verdict/points.ts";
import type { ScriptLine } from "../lines/script_line.ts";
import { surroundings, WORKER } from "../environment.ts";
import { HostPlace } from "../host/host_place.ts";
import { runFile } from "./one.ts";

/** What all scripts of a run have in common. */
export interface Common {
  readonly globals: Globals;
  readonly device: string | undefined;
  readonly topology: Topology;
  /** Styles of results and of messages are on. */
  readonly colors: readonly [boolean, boolean];
  /** Every line is in the verdict. */
  readonly names: boolean;
}

/** A script to run, and what came of it. */
interface Request extends Common {
  readonly file: string;
}
interface Answer {
  readonly suite: Suite;
  readonly pieces: readonly (readonly [Stream, Uint8Array])[];
}

/** Runs the scripts that the worker is asked to, as long as it lives. */
export async function serve(commands: Commands): Promise<never> {
  const scope = globalThis as unknown as Worker;
  scope.onmessage = async ({ data }: MessageEvent<Request>) => {
    const { file, globals, device, topology, colors, names } = data;
    const terminal = new ProcessTerminal();
    terminal.setStyles(...colors);
    terminal.collect();
    terminal.setSurroundings(surroundings());
    const environment = { hostPath: MEMORY_HOST, device, commands };
    const place = () => new HostPlace(MEMORY_HOST, undefined, globals.dryRun, topology);
    const here = { terminal, globals, environment, place, check: refusePrograms };
    const { expects: _, ...suite } = await runFile(file, here, { names });
    scope.postMessage({ suite, pieces: terminal.collected() } satisfies Answer);
  };
  return await new Promise<never>(() => {});
}

/** A program is run by a whole process, of which its worker is a part. @throws {UsageError} */
function refusePrograms(lines: readonly ScriptLine[]): void {
  const found = lines.find(({ innermost }) => innermost.name === "exec");
  if (found === undefined) return;
  const { place, source } = found.place.locate("exec");
  const error = new UsageError("exec cannot stand in a script of --jobs; run it without", { token: "exec" });
  throw new PlacedError(place, source, error);
}

/**
 * Runs scripts, a few at a time.
 *
 * @param jobs how many at a time
 * @param done takes what came of each, in the order of the scripts, when everything before it has been taken
 * @throws {Error} for a bug in a worker
 */
export async function runJobs(
  files: readonly string[],
  jobs: number,
  common: Common,
  terminal: ProcessTerminal,
  done: (suite: Suite) => void,
): Promise<void> {
  const waiting = new Map<number, { readonly suite: Suite; readonly output: HeldOutput }>();
  let next = 0;
  let taken = 0;
  let ended = false;
  const take = (at: number, { suite, pieces }: Answer) => {
    const output = new HeldOutput();
    for (const [stream, bytes] of pieces) output.add(stream, bytes);
    waiting.set(at, { suite, output });
    for (let first = waiting.get(taken); first !== undefined; first = waiting.get(++taken)) {
      waiting.delete(taken);
      for (const [stream, bytes] of first.output.pieces()) {
        if (stream === "out") terminal.outBytes(bytes);
        else terminal.errBytes(bytes);
      }
      first.output.close();
      done(first.suite);
    }
    // Ctrl-C is meant for all of them.
    if (isInterrupted(suite.code)) ended = true;
  };
  const work = async () => {
    const worker = new Worker(Deno.mainModule, { type: "module", name: WORKER });
    try {
      while (next < files.length && !ended) {
        const at = next++;
        take(at, await ask(worker, { ...common, file: files[at]! }));
      }
    } finally {
      worker.terminate();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, files.length) }, work));
  } finally {
    for (const { output } of waiting.values()) output.close();
  }
}

function ask(worker: Worker, request: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(event.error ?? new Error(event.message));
    };
    worker.postMessage(request);
  });
}

/** The topology of a host file, for hosts that begin anew. @throws {HostFileError} */
export function topologyOf(store: HostStore): Topology {
  const { topology } = store.begin("read");
  store.rollback();
  return topology;
}
