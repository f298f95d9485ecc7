/** A run of the program: the host file, transactions around commands, variables, and what is printed. */
import { isOwned, OwnedError } from "../../lib/host/file/owner.ts";
import type { Commands, Context, Result } from "../language/command.ts";
import { contextOf } from "./context.ts";
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
import { asTable, exitCodeOf, type Outcome, outcomeOf } from "./outcome.ts";
import { LineOutput } from "./line_output.ts";
import { Progress } from "../output/progress.ts";
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
import { WantedTraces } from "./wanted_traces.ts";
import type { TraceCollector } from "../output/trace/collector.ts";
import { TraceFile } from "./trace_file.ts";

/** Another process whose lines this one runs. */
export interface Client {
  readonly interrupted: AbortSignal;
  readonly files: DataIo;
}

/** The program's run. */
export class Session {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  /** The host file. */
  readonly place: HostPlace;
  readonly transactions: Transactions;
  readonly #defaultDevice: string | undefined;
  readonly #commands: Commands;
  readonly #variables = new Map<string, string>();
  readonly #output: LineOutput;
  readonly #trace: TraceFile | undefined = undefined;
  readonly #traces: WantedTraces;
  /** Product of the counts of all `repeat` around what is running. */
  #repeats = 1;
  /** Standard input holds the lines, so that no command may read it: set by the shell. */
  stdinIsLines = false;
  readonly #client: Client | undefined;
  /** What the last line came to; undefined if it failed. */
  lastResult: Result | undefined = undefined;

  constructor(
    terminal: ProcessTerminal,
    globals: Globals,
    environment: {
      readonly hostPath: string | undefined;
      readonly device: string | undefined;
      readonly commands: Commands;
    },
    place = new HostPlace(globals.host, environment.hostPath, globals.dryRun),
    client?: Client,
  ) {
    this.#client = client;
    this.terminal = terminal;
    this.globals = globals;
    this.place = place;
    this.transactions = new Transactions(this.place, terminal, globals.dryRun);
    this.#output = new LineOutput(terminal);
    this.#traces = new WantedTraces(terminal);
    this.#defaultDevice = globals.device ?? environment.device;
    this.#commands = environment.commands;
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

  /** Values by name. */
  get variables(): Map<string, string> {
    return this.#variables;
  }

  /** Runs one line, prints its outcome. @returns the exit code */
  async runLine(invocation: Invocation, place?: LinePlace): Promise<number> {
    const globals = this.#lineGlobals(invocation, this.globals);
    const trace = await this.#traces.of(invocation, globals, place);
    this.lastResult = undefined;
    this.#output.markDryRun(innermost(invocation).command!, globals);
    try {
      const { result, innermost, table } = await this.#inTransaction(invocation, globals, trace);
      this.lastResult = result;
      this.#output.result(invocation.command!, result, asTable(globals, table), trace, place);
      return exitCodeOf(invocation, innermost);
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

  /** Another process has the host for itself, and is asked. */
  get isOwned(): boolean {
    if (this.transactions.host !== undefined || this.place.isOwner) return false;
    return this.place.isInMemory ? false : isOwned(this.place.path);
  }

  /** Runs a line of another process, which prints what comes of it. */
  carryOut(invocation: Invocation, trace: TraceCollector | undefined): Promise<Outcome> {
    return this.#inTransaction(invocation, this.#lineGlobals(invocation, this.globals), trace);
  }

  async #inTransaction(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const { name, access: own } = innermost(invocation).command!;
    const ask = async () => {
      const { askOwner } = await import("./owner/client.ts");
      return await askOwner(this, invocation, globals, this.#defaultDevice, trace);
    };
    if (name !== "exec" && own !== "none" && this.isOwned) return await ask();
    // To explain a command is to look at the host, whatever the command itself would do.
    const access = invocation.command!.name === "explain" && own !== "none" ? "read" : own;
    if (access === "none" || access === "file" || access === "wait") {
      return await this.#perform(invocation, globals, trace);
    }
    if (this.transactions.host !== undefined) return await this.#perform(invocation, globals, trace);
    try {
      this.transactions.begin(access === "read" ? "read" : "write");
    } catch (error) {
      // Somebody else has just taken the host for itself.
      if (!(error instanceof OwnedError)) throw error;
      return await ask();
    }
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
    const before = host?.tracer.sink;
    if (host !== undefined) host.tracer.sink = trace?.on(host);
    try {
      const result = await command!.run(context, values);
      return outcomeOf(result, values);
    } finally {
      if (host !== undefined) host.tracer.sink = before;
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
    const kept = this.transactions.host === undefined ? "they are kept" : "nothing of them is kept";
    const what = () => ` after ${done} of ${count} runs; ${kept}`;
    using yielding = new Yielding(this.#client?.interrupted);
    try {
      using progress = new Progress(this.terminal, "run", count);
      this.#repeats *= count;
      for (; done < count; done++) {
        progress.tell(done);
        await yielding.now(what);
        last = await this.#perform(inner, globals, trace);
        if (!globals.json) this.#output.text(inner.command!, last.result, asTable(globals, last.table));
        if (exitCodeOf(inner, last.innermost) === EXIT.OK) continue;
        done++;
        break;
      }
    } finally {
      this.#repeats = around;
    }
    return { result: { count: done, last: last?.result ?? null }, innermost: last?.innermost };
  }

  /** Runs a command on a copy of the host and tells what came of it. */
  async #explain(inner: Invocation, globals: Globals): Promise<Outcome> {
    const real = this.transactions.host;
    const { TraceCollector } = await import("../output/trace/collector.ts");
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
    const files = this.#client?.files ?? (this.stdinIsLines ? FILES_WITHOUT_STDIN : PROCESS_FILES);
    return this.#trace?.guard(files) ?? files;
  }

  /** Closes the host file and writes the trace file. @throws {FileError} */
  async close(): Promise<void> {
    this.place.close();
    await this.#trace?.close();
  }

  #context(globals: Globals, trace: TraceCollector | undefined): Context {
    return contextOf({
      terminal: this.terminal,
      globals,
      isDefaultHost: this.globals.host === undefined,
      commands: this.#commands,
      place: this.place,
      transactions: this.transactions,
      deviceWord: globals.device ?? this.#defaultDevice ?? "0",
      files: this.#files,
      stdinIsLines: this.stdinIsLines,
      interrupted: this.#client?.interrupted,
      trace,
    });
  }
}
