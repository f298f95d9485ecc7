/** System calls as events of a trace. */
import type { SyscallEvent, Tracer, TraceValue } from "../../base/trace.ts";
import { ErrnoError } from "../errno.ts";

/** Records the calls of a process while a trace is taken. */
export class CallRecorder {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Runs a call, recorded if a trace is taken; `args` is called only then. */
  call(op: string, args: () => Record<string, TraceValue>, run: () => number): number {
    if (this.#tracer.sink === undefined) return run();
    return this.record({ layer: "syscall", op, args: args() }, run);
  }

  /** Runs a call whose event is there already; it gets the result, or the errno. */
  record(event: SyscallEvent, run: () => number): number {
    const { sink } = this.#tracer;
    if (sink === undefined) return run();
    sink.enter(event);
    try {
      return event.result = run();
    } catch (error) {
      if (error instanceof ErrnoError) event.error = error.code;
      throw error;
    } finally {
      sink.leave(event);
    }
  }
}
