/** The file of `--trace-file`: the events of all lines, one after the other. */
import { STDERR } from "../../language/streams.ts";
import { MAX_TRACE_EVENTS } from "../../language/limits.ts";
import { checkOutput, fileError, isSameFile, outputError } from "../file_names.ts";
import type { Terminal } from "../../language/terminal.ts";
import type { DataIo } from "../../language/data.ts";
import { quoteText } from "../../language/quote.ts";
import { FileError } from "../../language/usage_error.ts";
import type { TraceCollector } from "./view.ts";

/** Chrome Trace Event JSON under a name that can be written. */
export class TraceFile {
  readonly #path: string;
  /** Undefined for a stream. */
  readonly #file: Deno.FsFile | undefined;
  readonly #terminal: Terminal;
  readonly #events: Record<string, unknown>[] = [];
  /** Events behind those that are kept. */
  #dropped = 0;
  /** There was no such file before. */
  readonly #isNew: boolean;
  /** A line wanted the file for something else, so that what is in it stays. */
  #refused = false;
  /** Time at which the next line begins. */
  #time = 0;

  /** Opens the file, so that a name that cannot be written shows before anything runs. @throws {FileError} */
  constructor(path: string, hostPath: string, terminal: Terminal) {
    this.#path = path;
    this.#terminal = terminal;
    this.#isNew = !exists(path);
    if (path === "-" || path === STDERR) return;
    checkOutput(path, hostPath);
    try {
      this.#file = Deno.openSync(path, { write: true, create: true });
    } catch (error) {
      throw outputError(path, error);
    }
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
      if (this.#refused) {
        if (this.#isNew) Deno.removeSync(this.#path);
        return;
      }
      const text = new TextEncoder().encode(JSON.stringify({
        traceEvents: this.#events,
        ...(this.#dropped === 0 ? {} : { otherData: { dropped: this.#dropped } }),
      }));
      if (this.#file === undefined) return this.#toStream(text);
      this.#file.truncateSync(0);
      for (let at = 0; at < text.length;) at += this.#file.writeSync(text.subarray(at));
    } catch (error) {
      throw error instanceof FileError ? error : fileError(this.#path, error);
    } finally {
      this.#file?.close();
    }
  }

  #toStream(text: Uint8Array): void {
    for (const bytes of [text, new TextEncoder().encode("\n")]) {
      if (this.#path === "-") this.#terminal.outBytes(bytes);
      else this.#terminal.errBytes(bytes);
    }
  }
}

/** Says that a file cannot be both. */
export function isTraceFile(path: string): FileError {
  return new FileError(
    path,
    `${quoteText(path, 200)} is the file of --trace-file; name another file for the trace`,
  );
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
