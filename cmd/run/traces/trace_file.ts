/** The file of `--trace-file`: the events of all lines, one after the other. */
import { STDERR } from "../../language/streams.ts";
import { MAX_TRACE_EVENTS } from "../../language/limits.ts";
import { isSameFile } from "../../output/file_names.ts";
import { Sink } from "../transfer/sink.ts";
import type { Terminal } from "../../language/terminal.ts";
import type { DataIo } from "../../language/data.ts";
import { quoteText } from "../../language/quote.ts";
import { FileError } from "../../language/usage_error.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";
import { formatOf, rendererOf } from "../../output/trace/formats.ts";
import type { TraceRecord } from "../../output/trace/record.ts";

const ENCODER = new TextEncoder();

/** A trace under a name that can be written, in the form that its ending names. */
export class TraceFile {
  readonly #path: string;
  readonly #sink: Sink;
  readonly #records: TraceRecord[] = [];
  /** Events behind those that are kept. */
  #dropped = 0;
  /** A line wanted the file for something else, so that what is in it stays. */
  #refused = false;

  /** Makes sure that the file can be written, so that a name of another kind shows before anything runs. @throws {FileError} */
  constructor(path: string, hostPath: string, terminal: Terminal) {
    this.#path = path;
    this.#sink = new Sink({ terminal, hostPath, dryRun: false }, path);
    this.#sink.open();
  }

  /** Refuses a file that a line reads or writes if it is this one; no trace is written then. @throws {FileError} */
  refuse(path: string): void {
    if (!isSameFile(path, this.#path)) return;
    this.#refused = true;
    throw isTraceFile(path);
  }

  /** The same files, but for this one. */
  guard(files: DataIo): DataIo {
    return {
      ...files,
      readFile: (path, offset, length) => {
        this.refuse(path);
        return files.readFile(path, offset, length);
      },
    };
  }

  /** Adds what a line did. */
  add(trace: TraceCollector): void {
    const room = MAX_TRACE_EVENTS - this.#records.length;
    const records = trace.records();
    this.#dropped += trace.dropped + Math.max(0, records.length - room);
    for (const record of records.slice(0, Math.max(0, room))) this.#records.push(record);
  }

  /** Writes the events; what was there before stays as it is until they are all written. @throws {FileError} */
  async close(): Promise<void> {
    using sink = this.#sink;
    if (this.#refused) return;
    const render = await rendererOf(formatOf(this.#path));
    const seq = (this.#records.findLast(({ layer }) => layer !== "trace")?.seq ?? 0) + 1;
    const end: TraceRecord[] = this.#dropped === 0 ? [] : [{ seq, layer: "trace", dropped: this.#dropped }];
    for (const piece of render([...this.#records, ...end])) sink.take(ENCODER.encode(piece));
    if (this.#path === "-" || this.#path === STDERR) sink.take(ENCODER.encode("\n"));
    sink.finish();
  }
}

/** Says that a file cannot be both. */
export function isTraceFile(path: string): FileError {
  return new FileError(
    path,
    `${quoteText(path, 200)} is the file of --trace-file; name another file for the trace`,
  );
}
