/** The file of `--trace-file`: the events of all lines, one after the other. */
import { MAX_TRACE_EVENTS } from "./limits.ts";
import { checkOutput, fileError } from "./files.ts";
import type { TraceCollector } from "./trace_view.ts";

/** Chrome Trace Event JSON under a name that can be written. */
export class TraceFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #events: Record<string, unknown>[] = [];
  /** Events behind those that are kept. */
  #dropped = 0;
  /** Time at which the next line begins. */
  #time = 0;

  /** Opens the file, so that a name that cannot be written shows before anything runs. @throws {FileError} */
  constructor(path: string, hostPath: string) {
    this.#path = path;
    checkOutput(path, hostPath);
    try {
      this.#file = Deno.openSync(path, { write: true, create: true });
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /** Adds what a line did. */
  add(trace: TraceCollector): void {
    const { traceEvents } = trace.chrome();
    const start = this.#time;
    for (const event of traceEvents) {
      if (this.#events.length === MAX_TRACE_EVENTS) {
        this.#dropped++;
        continue;
      }
      const ts = start + Number(event["ts"]);
      this.#time = Math.max(this.#time, ts + Number(event["dur"]));
      this.#events.push({ ...event, ts });
    }
  }

  /** Writes the events. @throws {FileError} */
  close(): void {
    try {
      const text = new TextEncoder().encode(JSON.stringify({
        traceEvents: this.#events,
        ...(this.#dropped === 0 ? {} : { otherData: { dropped: this.#dropped } }),
      }));
      this.#file.truncateSync(0);
      for (let at = 0; at < text.length;) at += this.#file.writeSync(text.subarray(at));
    } catch (error) {
      throw fileError(this.#path, error);
    } finally {
      this.#file.close();
    }
  }
}
