/** System calls as events of a trace. */
import type { SyscallEvent, Tracer, TraceValue } from "../../base/trace.ts";
import { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import type { Caller } from "./caller.ts";
import { functionOfFile, functionOfPath } from "./whose.ts";

/** Records the calls of a process while a trace is taken. */
export class CallRecorder {
  readonly #kernel: Kernel;
  readonly #tracer: Tracer;
  readonly #caller: Caller;

  constructor(kernel: Kernel, tracer: Tracer, caller: Caller) {
    this.#kernel = kernel;
    this.#tracer = tracer;
    this.#caller = caller;
  }

  /** The event of a call: whose it is follows from its descriptor or path. */
  event(
    op: SyscallEvent["op"],
    args: Readonly<Record<string, TraceValue>>,
    more: Partial<SyscallEvent> = {},
  ): SyscallEvent {
    const { fd, path } = args;
    const file = typeof fd === "number" ? this.#caller.descriptors.find(fd) : undefined;
    const fid = file !== undefined
      ? functionOfFile(this.#kernel, file)
      : typeof path === "string"
      ? functionOfPath(this.#kernel, path)
      : undefined;
    const { name: guest } = this.#kernel.partition;
    return { layer: "syscall", op, guest, process: this.#caller.name, fid, args, ...more };
  }

  /** Runs a call, recorded if a trace is taken; `args` and `data`, the bytes that it writes, are called only then. */
  call(
    op: SyscallEvent["op"],
    args: () => Record<string, TraceValue>,
    run: () => number,
    data?: () => Uint8Array,
  ): number {
    if (this.#tracer.sink === undefined) return run();
    return this.record(this.event(op, args(), data === undefined ? {} : { data: data() }), run);
  }

  /** Runs a call whose event is there already; it gets the result, or the errno and who refused. */
  record(event: SyscallEvent, run: () => number): number {
    const { sink } = this.#tracer;
    if (sink === undefined) return run();
    sink.enter(event);
    try {
      return event.result = run();
    } catch (error) {
      if (error instanceof ErrnoError) {
        const { code, layer, ref, rule, source, message, hint } = error;
        event.error = code;
        event.refusal = { layer, ref, rule, source, message, hint };
      }
      throw error;
    } finally {
      sink.leave(event);
    }
  }
}
