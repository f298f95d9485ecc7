/** Traces of the lines of a run: their numbers go on, and functions are introduced once. */
import { functionNamed } from "../driver/device.ts";
import type { Globals, Invocation } from "../../language/invocation.ts";
import { TRACE_ALL } from "../../language/trace_filter.ts";
import { TraceCollector, TraceNumbers } from "../../output/trace/collector.ts";
import type { LinePlace } from "../../output/report.ts";
import type { ProcessTerminal } from "../../output/terminal.ts";
import { TraceText } from "../../output/trace/text.ts";

/** Makes what takes the events of a line. */
export class LineTraces {
  readonly #terminal: ProcessTerminal;
  readonly #numbers = new TraceNumbers();
  readonly #layout: TraceText;

  constructor(terminal: ProcessTerminal) {
    this.#terminal = terminal;
    this.#layout = new TraceText(true, terminal.errStyle);
  }

  /** Takes the events of a line. */
  of(
    invocation: Invocation,
    { trace, traceFile, json }: Globals,
    place: LinePlace | undefined,
  ): TraceCollector {
    return new TraceCollector({
      filter: trace ?? TRACE_ALL,
      numbers: this.#numbers,
      place: place === undefined ? undefined : { file: place.file, line: place.line },
      heading: place?.locate(undefined).source.trim() ?? invocation.command!.name,
      find: functionNamed,
      layout: this.#layout,
      flush: json || traceFile !== undefined ? undefined : (text) => this.#terminal.err(text),
    });
  }
}
