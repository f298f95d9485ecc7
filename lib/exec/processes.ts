/** The real processes that run behind the filter, each of which is a process of the simulated kernel. */
import type { Tracer } from "../base/trace.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { Process } from "../vfio/process/process.ts";
import type { Architecture } from "./calls.ts";
import { ForeignMemory } from "./foreign_memory.ts";
import type { ForeignTable } from "./foreign_table.ts";
import { libc, readFile } from "./libc.ts";
import type { Link, Watches } from "./links.ts";
import { parseImage, parseProcessId } from "./proc_text.ts";

/** A real process. */
export interface ForeignProcess {
  readonly id: number;
  readonly process: Process;
  readonly table: ForeignTable;
  memory: ForeignMemory;
  /** It has asked for another program: before so many calls what it has is looked up anew. */
  stale: number;
}

/** An execve may fail, and calls of other threads may come before it is done: for so many calls it is waited for. */
const EXECVE_WITHIN = 16;

function textOf(path: string): string | undefined {
  const bytes = readFile(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** Processes by thread. */
export class Processes {
  readonly #kernel: Kernel;
  readonly #tracer: Tracer;
  readonly #architecture: Architecture;
  readonly #watches: Watches;
  readonly #newTable: () => ForeignTable;
  readonly #countsLocked: boolean;
  readonly #byThread = new Map<number, ForeignProcess>();
  readonly #byId = new Map<number, ForeignProcess>();
  /** The signal that ends everybody. */
  #sentence: number | undefined = undefined;
  readonly #images = new WeakMap<ForeignMemory, string | undefined>();

  constructor(
    kernel: Kernel,
    tracer: Tracer,
    architecture: Architecture,
    watches: Watches,
    newTable: () => ForeignTable,
    countsLocked: boolean,
  ) {
    this.#countsLocked = countsLocked;
    this.#kernel = kernel;
    this.#tracer = tracer;
    this.#architecture = architecture;
    this.#watches = watches;
    this.#newTable = newTable;
  }

  /** The process of a thread that waits for its call; undefined if it was killed meanwhile. */
  of(thread: number): ForeignProcess | undefined {
    const known = this.#byThread.get(thread) ?? this.#meet(thread);
    if (known === undefined) return undefined;
    known.memory.thread = thread;
    if (known.stale > 0) this.#lookAgain(known);
    return known;
  }

  #meet(thread: number): ForeignProcess | undefined {
    this.#watches.look();
    const status = textOf(`/proc/${thread}/status`);
    const id = status === undefined ? undefined : parseProcessId(status);
    if (id === undefined) return undefined;
    let found = this.#byId.get(id);
    if (found === undefined) {
      const pidfd = libc.syscall3(BigInt(this.#architecture.pidfdOpen), BigInt(id), 0n, 0n);
      if (pidfd < 0) return undefined;
      const table = this.#newTable();
      const memory = new ForeignMemory(thread, this.#countsLocked);
      const process = new Process(this.#kernel, this.#tracer, table, memory, String(id));
      this.#kernel.processes.add(process);
      found = { id, process, table, memory, stale: 0 };
      this.#byId.set(id, found);
      const ended = found;
      this.#watches.add(pidfd, "readable", () => this.#ended(ended));
      table.refresh();
      if (this.#sentence !== undefined) libc.kill(id, this.#sentence);
    }
    this.#byThread.set(thread, found);
    return found;
  }

  #ended(process: ForeignProcess): void {
    process.memory.gone = true;
    process.process.exit();
    this.#byId.delete(process.id);
    for (const [thread, other] of this.#byThread) if (other === process) this.#byThread.delete(thread);
  }

  /** A process is about to get another program; whether it will is not known yet. */
  execve(process: ForeignProcess): void {
    process.stale = EXECVE_WITHIN;
    const { memory } = process;
    if (!this.#images.has(memory)) this.#images.set(memory, this.#imageOf(process.id));
  }

  #imageOf(id: number): string | undefined {
    const stat = textOf(`/proc/${id}/stat`);
    return stat === undefined ? undefined : parseImage(stat);
  }

  #lookAgain(process: ForeignProcess): void {
    process.stale--;
    if (this.#images.get(process.memory) !== this.#imageOf(process.id)) {
      process.stale = 0;
      process.memory.gone = true;
      process.memory = new ForeignMemory(process.memory.thread, this.#countsLocked);
      process.process.space = process.memory;
    }
    process.table.refresh();
  }

  /** Numbers of threads come again: which process they belong to is asked anew from time to time. */
  forgetThreads(): void {
    this.#byThread.clear();
  }

  /** All copies of a link are closed. */
  forgetLink(link: Link): void {
    for (const { table } of this.#byId.values()) table.forgetLink(link);
  }

  /** Sends every process a signal, and those that are met later as well. */
  kill(signal: number): void {
    this.#sentence = signal;
    for (const id of this.#byId.keys()) libc.kill(id, signal);
  }

  /** Everybody has ended. */
  endAll(): void {
    for (const process of [...this.#byId.values()]) this.#ended(process);
  }
}
