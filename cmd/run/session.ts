/**
 * A run of the program: the host file, transactions around commands, variables, and what is printed.
 */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { HostStore, MEMORY_HOST } from "../../lib/host/file/store.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { TRACE_LAYERS } from "../../lib/base/trace.ts";
import type { AnyCommand, Context, Result } from "../language/command.ts";
import { blame } from "./damage.ts";
import { findDevice } from "./device.ts";
import { describeFailure, EXIT, type Failure, failureJson, isKept } from "../output/failure.ts";
import { createParent, FILES_WITHOUT_STDIN, identityOf, PROCESS_FILES } from "./files.ts";
import { Yielding } from "./interrupt.ts";
import { MAX_REPEATS } from "../language/limits.ts";
import { filesOf } from "../language/kinds.ts";
import { bindGlobals, bindValues, type Globals, type Invocation, type Lookup } from "../language/parse.ts";
import { checkExpectation } from "./expectation.ts";
import { failureText, type LinePlace } from "../output/report.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import type { DataIo } from "../language/data.ts";
import { safeJson } from "../output/diagnostic.ts";
import { UsageError } from "../language/usage_error.ts";
import { TraceFile } from "../output/trace/file.ts";
import { TraceCollector } from "../output/trace/view.ts";

/** What a command line came to. */
interface Outcome {
  readonly result: Result;
  /** Result of the command behind all prefixes; undefined if it failed and that was expected. */
  readonly innermost: Result | undefined;
}

/** The program's run. */
export class Session {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  readonly hostPath: string;
  readonly #defaultDevice: string | undefined;
  readonly #variables = new Map<string, string>();
  readonly #trace: TraceFile | undefined = undefined;
  #store: HostStore | undefined = undefined;
  /** Device and inode of the host file when it was opened. */
  #opened: string | undefined = undefined;
  /** Product of the counts of all `repeat` around what is running. */
  #repeats = 1;
  /** The host of the transaction that is open. */
  #host: Host | undefined = undefined;
  /** Standard input holds the lines, so that no command may read it: set by the shell. */
  stdinIsLines = false;
  /** Ctrl-C ends a `repeat`, and not the process: set by the shell on a terminal. */
  survivesInterrupts = false;
  /** What the last line came to; undefined if it failed. */
  lastResult: Result | undefined = undefined;

  constructor(
    terminal: ProcessTerminal,
    globals: Globals,
    environment: { readonly hostPath: string; readonly device: string | undefined },
  ) {
    this.terminal = terminal;
    this.globals = globals;
    this.hostPath = globals.host ?? environment.hostPath;
    this.#defaultDevice = globals.device ?? environment.device;
    if (globals.traceFile !== undefined) this.#trace = new TraceFile(globals.traceFile, this.hostPath);
  }

  /** Values of `$name`. */
  readonly lookup: Lookup = (name) => this.#variables.get(name);

  /** Names that have a value. */
  get names(): string[] {
    return [...this.#variables.keys()];
  }

  /** Runs one line, prints its outcome. @returns the exit code */
  async runLine(invocation: Invocation, place?: LinePlace): Promise<number> {
    const name = invocation.command!.name;
    const globals = this.#lineGlobals(invocation, this.globals);
    const flush = globals.json || globals.traceFile !== undefined
      ? undefined
      : (text: string) => this.terminal.err(text);
    const layers = globals.trace ??
      (globals.dryRun || globals.traceFile !== undefined ? TRACE_LAYERS : undefined);
    const trace = layers === undefined ? undefined : new TraceCollector(layers, flush);
    this.lastResult = undefined;
    try {
      const { result } = await this.#inTransaction(invocation, globals, trace);
      this.lastResult = result;
      this.#printResult(invocation.command!, result, globals, trace, place);
      return EXIT.OK;
    } catch (thrown) {
      const failure = describeFailure(await this.blame(thrown));
      // What lines before this one printed is undone with them.
      if (!isKept(failure.exit) && !globals.keepGoing) this.terminal.discard();
      this.#printFailure(name, failure, globals, trace, place);
      return failure.exit;
    } finally {
      if (trace !== undefined) this.#trace?.add(trace);
    }
  }

  /** Global options of a line over those around it. */
  #lineGlobals(invocation: Invocation, globals: Globals): Globals {
    const line = bindGlobals(invocation, this.lookup);
    return {
      ...globals,
      device: line.device ?? globals.device,
      trace: line.trace ?? globals.trace,
      raw: line.raw || globals.raw,
      quiet: line.quiet || globals.quiet,
      verbose: line.verbose || globals.verbose,
    };
  }

  async #inTransaction(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const own = innermost(invocation).command!.access;
    // To explain a command is to look at the host, whatever the command itself would do.
    const access = invocation.command!.name === "explain" && own !== "none" ? "read" : own;
    if (access === "none" || access === "file" || access === "wait") {
      return await this.#perform(invocation, globals, trace);
    }
    if (this.#host !== undefined) return await this.#perform(invocation, globals, trace);
    this.begin(access === "read" ? "read" : "write");
    let keep = false;
    try {
      const result = await this.#perform(invocation, globals, trace);
      keep = true;
      return result;
    } catch (error) {
      keep = isKept(describeFailure(error).exit);
      throw error;
    } finally {
      this.end({ commit: keep && access === "write" && !globals.dryRun, unchanged: access === "read" });
    }
  }

  /** The error, or what is wrong with the host file if that explains it. */
  async blame(error: unknown): Promise<unknown> {
    return await blame(error, this.#store);
  }

  /** Begins a transaction that covers the lines until {@linkcode end}. @throws {HostFileError} */
  begin(mode: "read" | "write"): void {
    this.#host = this.store.begin(mode);
  }

  /** Ends the transaction. @throws {HostFileError} if it cannot be committed */
  end({ commit, unchanged = false }: { readonly commit: boolean; readonly unchanged?: boolean }): void {
    const host = this.#host;
    this.#host = undefined;
    if (host === undefined) return;
    if (commit) this.store.commit(host);
    else this.store.rollback({ unchanged });
  }

  async #perform(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const { command, inner } = invocation;
    const values = bindValues(invocation, this.lookup);
    if (inner !== undefined) {
      return await this.#performPrefix(
        command!.name,
        values,
        inner,
        this.#lineGlobals(inner, globals),
        trace,
      );
    }
    if (this.#trace !== undefined) { for (const path of filesOf(command!, values)) this.#trace.refuse(path); }
    const context = this.#context(globals, trace);
    // A command that looks at no function still says when there is none of that name.
    if (this.#host !== undefined && globals.device !== undefined) void context.target;
    const tracer = this.#host?.tracer;
    if (trace !== undefined && !globals.json && globals.traceFile === undefined) {
      this.#openFirst(command!, context, trace);
    }
    if (tracer !== undefined) tracer.sink = trace;
    try {
      const result = await command!.run(context, values);
      return { result, innermost: result };
    } finally {
      if (tracer !== undefined) tracer.sink = undefined;
    }
  }

  /**
   * Opens the function before a command whose trace people read: what opening it takes is one line then, and not a
   * hundred. `open --trace` shows it all.
   */
  #openFirst(command: AnyCommand, context: Context, trace: TraceCollector): void {
    // The context knows a function only where the command has a transaction.
    if (this.#host === undefined || !opensFunction(command)) return;
    const { target } = context;
    if (target.driver.isOpen) return;
    const opening = new TraceCollector(TRACE_LAYERS);
    this.#host.tracer.sink = opening;
    try {
      void target.driver.descriptor;
      trace.note(
        `opens the function: ${opening.count("syscall")} system calls, ${opening.count("insn")} instructions`,
      );
    } finally {
      this.#host.tracer.sink = undefined;
    }
  }

  /** `expect`, `let` and `repeat`. */
  async #performPrefix(
    name: string,
    values: Readonly<Record<string, unknown>>,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const command = innermost(inner).command!;
    if (name === "expect") {
      const expected = values["what"] as Parameters<typeof checkExpectation>[0];
      let outcome: Outcome | undefined;
      try {
        outcome = await this.#perform(inner, globals, trace);
      } catch (error) {
        return {
          result: checkExpectation(expected, command, { error }, this.#files),
          innermost: undefined,
        };
      }
      const result = outcome.innermost;
      return { result: checkExpectation(expected, command, { result }, this.#files), innermost: result };
    }
    if (name === "let") {
      const { innermost } = await this.#perform(inner, globals, trace);
      if (innermost === undefined) {
        throw new UsageError(`"${command.name}" failed as expected; there is no value that "let" could keep`);
      }
      const value = command.value!(innermost);
      this.#variables.set(String(values["name"]), value);
      return { result: { name: values["name"], value }, innermost };
    }
    if (name === "explain") return await this.#explain(inner, globals);
    return await this.#repeat(Number(values["count"]), inner, globals, trace);
  }

  async #repeat(
    count: number,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const around = this.#repeats;
    if (around * count > MAX_REPEATS) {
      throw new UsageError(`${around} times ${count} runs are too many; the most is ${MAX_REPEATS}`);
    }
    let last: Outcome | undefined;
    using yielding = this.survivesInterrupts ? new Yielding() : undefined;
    try {
      this.#repeats *= count;
      for (let i = 0; i < count; i++) {
        await yielding?.now();
        last = await this.#perform(inner, globals, trace);
        if (!globals.json) this.#printText(inner.command!, last.result, globals);
      }
    } finally {
      this.#repeats = around;
    }
    return { result: { count, last: last?.result ?? null }, innermost: last?.innermost };
  }

  /** Runs a command on a copy of the host and tells what came of it. */
  async #explain(inner: Invocation, globals: Globals): Promise<Outcome> {
    const real = this.#host;
    const trace = new TraceCollector(TRACE_LAYERS);
    const explained = innermost(inner).command!.name;
    let failure: Failure | undefined;
    try {
      this.#host = real?.fork();
      // Opening is a matter of its own; what the command does with an open function is what is asked.
      if (opensFunction(innermost(inner).command!)) {
        void this.#context(globals, undefined).target.driver.descriptor;
      }
      await this.#perform(inner, { ...globals, dryRun: true, quiet: true, json: false }, trace);
    } catch (error) {
      failure = describeFailure(error);
      if (failure.exit !== EXIT.REFUSED && failure.exit !== EXIT.EXPECT) throw error;
    } finally {
      this.#host = real;
    }
    const result = {
      explained,
      outcome: failure === undefined ? "done" : "refused",
      error: failure === undefined ? null : failureJson(failure),
      refused_by: failure?.refusedBy ?? null,
      hint: failure?.hint ?? this.#driverNote(globals, real) ?? null,
      instructions: trace.count("insn"),
      lines: trace.text().split("\n").filter((line) => line !== ""),
    };
    return { result, innermost: undefined };
  }

  /** Why a function in the hands of the generic driver behaves as it does. */
  #driverNote({ device }: Globals, host: Host | undefined): string | undefined {
    if (host === undefined) return undefined;
    const { guest, zdev } = findDevice(host, device ?? this.#defaultDevice ?? "0");
    if (guest.kernel.binding(zdev).driver !== "vfio-pci") return undefined;
    return "vfio-pci holds the function: regions are 2^40 apart, BAR 0 cannot be mapped, and other BARs go through " +
      'MIO instructions, which ISM does not have (loads give all ones, stores are lost); "ism bind" gives the ' +
      "function to ism_vfio_pci";
  }

  /** The open host file; created with the default topology if it is the default one and missing. */
  get store(): HostStore {
    if (this.#store !== undefined) return this.#store;
    this.#store = this.#open();
    this.#opened = identityOf(this.hostPath);
    return this.#store;
  }

  #open(): HostStore {
    const { hostPath } = this;
    if (hostPath === MEMORY_HOST) return HostStore.create(hostPath, defaultTopology());
    if (this.globals.host !== undefined) return HostStore.open(hostPath);
    if (identityOf(hostPath) === undefined) createParent(hostPath);
    return HostStore.openOrCreate(hostPath, defaultTopology());
  }

  get #files(): DataIo {
    const files = this.stdinIsLines ? FILES_WITHOUT_STDIN : PROCESS_FILES;
    return this.#trace?.guard(files) ?? files;
  }

  /** Looks at the host as it is now, without creating one; undefined if there is none. @throws {HostFileError} */
  look<Of>(work: (host: Host) => Of): Of | undefined {
    this.refresh();
    if (this.hostPath !== MEMORY_HOST && identityOf(this.hostPath) === undefined) return undefined;
    const host = this.store.begin("read");
    try {
      return work(host);
    } finally {
      this.store.rollback({ unchanged: true });
    }
  }

  /** Lets go of the host file if another process has put another one in its place, or deleted it. */
  refresh(): void {
    if (this.#store === undefined || this.hostPath === MEMORY_HOST) return;
    if (identityOf(this.hostPath) === this.#opened) return;
    this.#store.close();
    this.#store = undefined;
  }

  /** Closes the host file and writes the trace file. @throws {FileError} */
  close(): void {
    this.#store?.close();
    this.#store = undefined;
    this.#trace?.close();
  }

  #context(globals: Globals, trace: TraceCollector | undefined): Context {
    const which = globals.device ?? this.#defaultDevice ?? "0";
    const current = () => {
      if (this.#host === undefined) throw new Error("The command declares no access to the host");
      return this.#host;
    };
    const store = () => this.store;
    return {
      terminal: this.terminal,
      verbose: globals.verbose,
      dryRun: globals.dryRun,
      json: globals.json,
      hostPath: this.hostPath,
      isDefaultHost: this.globals.host === undefined,
      get host(): Host {
        return current();
      },
      get store(): HostStore {
        return store();
      },
      get target(): HostFunction {
        return findDevice(current(), which);
      },
      device: (word) => findDevice(current(), word),
      load: (data) => data.load(this.#files),
      stdinIsLines: this.stdinIsLines,
      shared: this.#host === undefined && this.hostPath !== MEMORY_HOST,
      transact: (work) => this.#transact(work, which, trace),
    };
  }

  /** One transaction of a command that waits; part of the script's if one is open. */
  #transact<Of>(
    work: (target: HostFunction, host: Host) => Of,
    which: string,
    trace: TraceCollector | undefined,
  ): Of {
    const host = this.#host ?? this.store.begin("write");
    host.tracer.sink = trace;
    let done = false;
    try {
      const result = work(findDevice(host, which), host);
      done = true;
      return result;
    } finally {
      host.tracer.sink = undefined;
      if (this.#host === undefined) {
        if (done && !this.globals.dryRun) this.store.commit(host);
        else this.store.rollback();
      }
    }
  }

  #printResult(
    command: AnyCommand,
    result: Result,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): void {
    if (!globals.json) return this.#printText(command, result, globals);
    const document = {
      schema: 1,
      command: command.name,
      ok: true,
      result,
      ...traced(trace, globals),
    };
    this.#printDocument(document, place);
  }

  #printText(command: AnyCommand, result: Result, { quiet, raw, verbose }: Globals): void {
    if (quiet) return;
    if (raw && command.raw !== undefined) return this.terminal.outBytes(command.raw(result));
    const text = command.text?.(result, { terminal: this.terminal, verbose }) ?? "";
    if (text !== "") this.terminal.out(text.endsWith("\n") ? text : `${text}\n`);
  }

  #printFailure(
    name: string,
    failure: Failure,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): void {
    if (globals.json) {
      const document = {
        schema: 1,
        command: name,
        ok: false,
        error: failureJson(failure),
        ...traced(trace, globals),
      };
      this.#printDocument(document, place);
    }
    this.terminal.err(failureText(this.terminal, name, failure, globals.verbose, place));
  }

  #printDocument(document: Record<string, unknown>, place: LinePlace | undefined): void {
    const where = place === undefined ? {} : { file: place.file, line: place.line };
    this.terminal.out(safeJson({ ...document, ...where }) + "\n");
  }
}

/** The command acts on an open function, which is opened for it. */
function opensFunction({ access, group }: AnyCommand): boolean {
  return access === "write" && (group === "access" || group === "ism");
}

/** The command line behind all prefixes. */
export function innermost(invocation: Invocation): Invocation {
  return invocation.inner === undefined ? invocation : innermost(invocation.inner);
}

function traced(
  trace: TraceCollector | undefined,
  { trace: wanted, dryRun }: Globals,
): Record<string, unknown> {
  return {
    ...(dryRun ? { dryRun: true } : {}),
    ...(trace === undefined || (wanted === undefined && !dryRun) ? {} : { trace: trace.json() }),
  };
}
