/** The simulated kernel behind the filter: takes calls that stopped, one after the other, and answers them. */
import type { Tracer, TraceSink } from "../base/trace.ts";
import { ErrnoError } from "../vfio/errno.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { WouldHangError } from "../vfio/s390/would_hang.ts";
import { type Call, ERROR, PROCEED } from "./call.ts";
import type { Architecture } from "./calls.ts";
import { Eventfds } from "./eventfds.ts";
import type { DescriptorRange } from "./filter.ts";
import { ForeignTable } from "./foreign_table.ts";
import { type CallRow, handlerTable } from "./handlers.ts";
import { Links, Watches } from "./links.ts";
import type { Listener } from "./listener.ts";
import { type ForeignProcess, Processes } from "./processes.ts";
import { Scratch } from "./user_copy.ts";

/** As much as one call moves without another buffer. Bytes. */
const SCRATCH_BYTES = 2 ** 20;
/** For so many calls after a close its hang-up is looked for even before calls that only move bytes. */
const SETTLING = 16;
/** After so many calls threads are looked up anew. */
const THREADS_AFTER = 4096;

/** What a supervisor is for. */
export interface SupervisorParts {
  readonly listener: Listener;
  readonly kernel: Kernel;
  readonly tracer: Tracer;
  /** What is traced of the program; undefined for nothing. */
  readonly sink: TraceSink | undefined;
  readonly architecture: Architecture;
  readonly range: DescriptorRange;
  /** What is mapped for DMA counts against a process's RLIMIT_MEMLOCK. */
  readonly countsLocked: boolean;
  /** Tells people what a program cannot see. */
  readonly remark: (text: string) => void;
}

/** Answers the calls of everything that is bound by one filter. */
export class Supervisor implements Call {
  readonly listener: Listener;
  readonly kernel: Kernel;
  readonly architecture: Architecture;
  readonly range: DescriptorRange;
  readonly links: Links;
  readonly eventfds: Eventfds;
  readonly scratch = new Scratch(SCRATCH_BYTES);
  readonly remark: (text: string) => void;
  readonly #tracer: Tracer;
  readonly #sink: TraceSink | undefined;
  readonly #watches = new Watches();
  readonly #processes: Processes;
  readonly #table: readonly (CallRow | undefined)[];
  #process: ForeignProcess | undefined = undefined;
  #unsettled = 0;
  thread = 0;
  /** Calls that were answered. */
  calls = 0;

  constructor(
    { listener, kernel, tracer, sink, architecture, range, countsLocked, remark }: SupervisorParts,
  ) {
    this.#tracer = tracer;
    this.#sink = sink;
    this.listener = listener;
    this.kernel = kernel;
    this.architecture = architecture;
    this.range = range;
    this.remark = remark;
    this.links = new Links(this.#watches, kernel.foreign, (link) => this.#processes.forgetLink(link));
    this.eventfds = new Eventfds(
      architecture,
      (eventfd) =>
        kernel.bindings.some(({ device }) =>
          device !== undefined && (device.req === eventfd || device.msi?.includes(eventfd) === true)
        ),
    );
    const newTable = () => new ForeignTable(this, this.links, this.eventfds, range);
    this.#processes = new Processes(kernel, tracer, architecture, this.#watches, newTable, countsLocked);
    this.#table = handlerTable(architecture);
  }

  get process(): ForeignProcess {
    return this.#process!;
  }

  addDescriptor(fd: number, at: number | undefined, closeOnExec: boolean): number {
    return this.listener.addDescriptor(fd, at, closeOnExec);
  }

  /** Answers the call that the listener has taken. */
  answer(): void {
    const { listener } = this;
    this.#tracer.sink = this.#sink;
    if (++this.calls % THREADS_AFTER === 0) this.#processes.forgetThreads();
    const row = this.#table[listener.call];
    if (row === undefined) return listener.proceed();
    if (!row.isHot) this.#watches.look();
    else if (this.#unsettled > 0) {
      this.#unsettled--;
      this.#watches.look();
    }
    if (row.closes) this.#unsettled = SETTLING;
    this.thread = listener.thread;
    const process = this.#processes.of(this.thread);
    if (process === undefined) return listener.proceed();
    this.#process = process;
    if (row.name === "execve" || row.name === "execveat") this.#processes.execve(process);
    const value = this.#carryOut(row);
    if (value === PROCEED) listener.proceed();
    else listener.answer(value);
  }

  #carryOut({ name, handler }: CallRow): number {
    try {
      return handler(this);
    } catch (error) {
      if (error instanceof ErrnoError) return -error.errno;
      if (error instanceof WouldHangError) {
        this.remark(`${name}: ${error.message}`);
        return ERROR.EIO;
      }
      throw error;
    }
  }

  /** Does what is due of what has ended. */
  look(): void {
    this.#tracer.sink = this.#sink;
    this.#watches.look();
  }

  /** Everybody has ended: what was left open is closed. */
  end(): void {
    this.#tracer.sink = this.#sink;
    this.#watches.look();
    this.#processes.endAll();
    this.links.endAll();
    this.eventfds.close();
    this.listener.close();
  }
}
