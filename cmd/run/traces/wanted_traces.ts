/** Traces, loaded with the first line whose events somebody wants. */
import type { Globals, Invocation } from "../../language/invocation.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";
import type { LinePlace } from "../../output/report.ts";
import type { ProcessTerminal } from "../../output/terminal.ts";
import type { LineTraces } from "./line_traces.ts";
import type { Soon } from "../soon.ts";

/** Makes what takes the events of a line, where they are wanted. */
export class WantedTraces {
  readonly #terminal: ProcessTerminal;
  #traces: LineTraces | undefined = undefined;

  constructor(terminal: ProcessTerminal) {
    this.#terminal = terminal;
  }

  /** Takes the events of a line; undefined if nobody wants them. */
  of(
    invocation: Invocation,
    globals: Globals,
    place: LinePlace | undefined,
  ): Soon<TraceCollector | undefined> {
    const { trace, dryRun, traceFile } = globals;
    if (trace === undefined && !dryRun && traceFile === undefined) return undefined;
    return this.#load().then((traces) => traces.of(invocation, globals, place));
  }

  async #load(): Promise<LineTraces> {
    return this.#traces ??= new (await import("./line_traces.ts")).LineTraces(this.#terminal);
  }
}
