/** A run of the program: the host file, transactions around commands, variables, and what is printed. */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { type HostStore, MEMORY_HOST } from "../../lib/host/file/store.ts";
import type { Context, Result } from "../language/command.ts";
import { blame } from "./damage.ts";
import { findDevice } from "./device.ts";
import { describeFailure, EXIT, type Failure, isInterrupted, isKept } from "../output/failure.ts";
import { FILES_WITHOUT_STDIN, PROCESS_FILES } from "./files.ts";
import { openFirst, opensFunction } from "./opening.ts";
import { driverNote, explanation } from "./explanation.ts";
import { HostPlace } from "./host_place.ts";
import { Yielding } from "./interrupt.ts";
import { MAX_REPEATS } from "../language/limits.ts";
import { filesOf } from "../language/kinds.ts";
import { LineOutput } from "./line_output.ts";
import { proposeIn } from "../output/proposal.ts";
import {
  bindGlobals,
  bindValues,
  type Globals,
  innermost,
  type Invocation,
  type Lookup,
} from "../language/parse.ts";
import { Transactions } from "./transactions.ts";
import { checkExpectation } from "./expectation.ts";
import type { LinePlace } from "../output/report.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import type { DataIo } from "../language/data.ts";
import { UsageError } from "../language/usage_error.ts";
import { LineTraces } from "./line_traces.ts";
import { TraceCollector } from "../output/trace/collector.ts";
import { TraceFile } from "./trace_file.ts";

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
  /** The host file. */
  readonly place: HostPlace;
  readonly transactions: Transactions;
  readonly #defaultDevice: string | undefined;
  readonly #variables = new Map<string, string>();
  readonly #output: LineOutput;
  readonly #trace: TraceFile | undefined = undefined;
  readonly #traces: LineTraces;
  /** Product of the counts of all `repeat` around what is running. */
  #repeats = 1;
  /** Standard input holds the lines, so that no command may read it: set by the shell. */
  stdinIsLines = false;
  /** What the last line came to; undefined if it failed. */
  lastResult: Result | undefined = undefined;

  constructor(
    terminal: ProcessTerminal,
    globals: Globals,
    environment: { readonly hostPath: string | undefined; readonly device: string | undefined },
    place = new HostPlace(globals.host, environment.hostPath, globals.dryRun),
  ) {
    this.terminal = terminal;
    this.globals = globals;
    this.place = place;
    this.transactions = new Transactions(this.place, terminal, globals.dryRun);
    this.#output = new LineOutput(terminal);
    this.#traces = new LineTraces(terminal);
    this.#defaultDevice = globals.device ?? environment.device;
    if (globals.traceFile !== undefined) {
      this.#trace = new TraceFile(globals.traceFile, globals.host ?? environment.hostPath ?? "", terminal);
    }
  }

  /** Values of `$name`. */
  readonly lookup: Lookup = (name) => this.#variables.get(name);

  /** Names that have a value. */
  get names(): string[] {
    return [...this.#variables.keys()];
  }

  /** Runs one line, prints its outcome. @returns the exit code */
  async runLine(invocation: Invocation, place?: LinePlace): Promise<number> {
    const globals = this.#lineGlobals(invocation, this.globals);
    const trace = this.#traces.of(invocation, globals, place);
    this.lastResult = undefined;
    this.#output.markDryRun(innermost(invocation).command!, globals);
    try {
      const { result } = await this.#inTransaction(invocation, globals, trace);
      this.lastResult = result;
      this.#output.result(invocation.command!, result, globals, trace, place);
      return invocation.command!.exitCode?.(result) ?? EXIT.OK;
    } catch (thrown) {
      const failure = proposeIn(describeFailure(await this.blame(thrown)), globals);
      // What lines before this one printed is undone with them.
      const goesOn = globals.keepGoing && !isInterrupted(failure.exit);
      if (!isKept(failure.exit) && !goesOn) this.terminal.discard();
      this.#output.failure(invocation.command!.name, failure, globals, trace, place);
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
    if (this.transactions.host !== undefined) return await this.#perform(invocation, globals, trace);
    this.transactions.begin(access === "read" ? "read" : "write");
    let keep = false;
    try {
      const result = await this.#perform(invocation, globals, trace);
      keep = true;
      return result;
    } catch (error) {
      keep = isKept(describeFailure(error).exit);
      throw error;
    } finally {
      this.transactions.end({
        commit: keep && access === "write" && !globals.dryRun,
        unchanged: access === "read",
      });
    }
  }

  /** The error, or what is wrong with the host file if that explains it. */
  async blame(error: unknown): Promise<unknown> {
    return await blame(error, this.place.opened);
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
    if (this.transactions.host !== undefined && globals.device !== undefined) void context.target;
    const { host } = this.transactions;
    const isRead = trace !== undefined && !globals.json && globals.traceFile === undefined;
    // The context knows a function only where the command has a transaction.
    if (isRead && host !== undefined && opensFunction(command!)) openFirst(context.target, host, trace);
    if (host !== undefined) host.tracer.sink = trace?.on(host);
    try {
      const result = await command!.run(context, values);
      return { result, innermost: result };
    } finally {
      if (host !== undefined) host.tracer.sink = undefined;
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
    let done = 0;
    const what = () =>
      ` after ${done} of ${count} runs; ${
        this.transactions.host === undefined ? "they are kept" : "nothing of them is kept"
      }`;
    using yielding = new Yielding();
    try {
      this.#repeats *= count;
      for (; done < count; done++) {
        await yielding.now(what);
        last = await this.#perform(inner, globals, trace);
        if (!globals.json) this.#output.text(inner.command!, last.result, globals);
      }
    } finally {
      this.#repeats = around;
    }
    return { result: { count, last: last?.result ?? null }, innermost: last?.innermost };
  }

  /** Runs a command on a copy of the host and tells what came of it. */
  async #explain(inner: Invocation, globals: Globals): Promise<Outcome> {
    const real = this.transactions.host;
    const trace = new TraceCollector();
    const explained = innermost(inner).command!.name;
    let failure: Failure | undefined;
    try {
      this.transactions.host = real?.fork();
      // Opening is a matter of its own; what the command does with an open function is what is asked.
      if (opensFunction(innermost(inner).command!)) {
        void this.#context(globals, undefined).target.driver.descriptor;
      }
      await this.#perform(inner, { ...globals, dryRun: true, quiet: true, json: false }, trace);
    } catch (error) {
      failure = proposeIn(describeFailure(error), globals);
      if (failure.exit !== EXIT.REFUSED && failure.exit !== EXIT.EXPECT) throw error;
    } finally {
      this.transactions.host = real;
    }
    const which = globals.device ?? this.#defaultDevice ?? "0";
    const note = () => real === undefined ? undefined : driverNote(findDevice(real, which), globals);
    return { result: await explanation(explained, failure, trace, note), innermost: undefined };
  }

  get #files(): DataIo {
    const files = this.stdinIsLines ? FILES_WITHOUT_STDIN : PROCESS_FILES;
    return this.#trace?.guard(files) ?? files;
  }

  /** Closes the host file and writes the trace file. @throws {FileError} */
  async close(): Promise<void> {
    this.place.close();
    await this.#trace?.close();
  }

  #context(globals: Globals, trace: TraceCollector | undefined): Context {
    const which = globals.device ?? this.#defaultDevice ?? "0";
    const current = () => {
      if (this.transactions.host === undefined) throw new Error("The command declares no access to the host");
      return this.transactions.host;
    };
    const store = () => this.place.store;
    const path = () => this.place.path;
    const shared = () => this.transactions.host === undefined && this.place.path !== MEMORY_HOST;
    return {
      terminal: this.terminal,
      verbose: globals.verbose,
      dryRun: globals.dryRun,
      json: globals.json,
      get hostPath(): string {
        return path();
      },
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
      get shared(): boolean {
        return shared();
      },
      transact: (work, { keepRefused = false } = {}) =>
        this.transactions.run(
          (host) => {
            host.tracer.sink = trace?.on(host);
            try {
              return work(findDevice(host, which), host);
            } finally {
              host.tracer.sink = undefined;
            }
          },
          keepRefused,
        ),
      transactLong: (work) =>
        this.transactions.runLong(async (host) => {
          host.tracer.sink = trace?.on(host);
          try {
            return await work(findDevice(host, which), host);
          } finally {
            host.tracer.sink = undefined;
          }
        }),
    };
  }
}
