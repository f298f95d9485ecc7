/** A run of the program: lines, the transactions around them, variables, and what is printed. */
import { isOwned, OwnedError } from "../../lib/host/file/owner.ts";
import type { Commands, Result } from "../language/command.ts";
import type { DataIo } from "../language/data.ts";
import { bindGlobals, type Globals, type Invocation, type Lookup } from "../language/invocation.ts";
import { filesOf } from "../language/kinds.ts";
import { describeFailure, type Failure, isInterrupted, isKept } from "../output/failure.ts";
import { proposeIn } from "../output/proposal.ts";
import type { LinePlace } from "../output/report.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import type { TraceCollector } from "../output/trace/collector.ts";
import { blame } from "./host/damage.ts";
import { FILES_WITHOUT_STDIN, PROCESS_FILES } from "./files.ts";
import { HostPlace } from "./host/host_place.ts";
import { LineOutput } from "./lines/line_output.ts";
import { openFirst, opensFunction } from "./host/opening.ts";
import { asTable, exitCodeOf, type Outcome, outcomeOf } from "./lines/outcome.ts";
import { Prefixes } from "./lines/prefixes.ts";
import { lastly, type Soon, then } from "./soon.ts";
import { Surroundings } from "./host/surroundings.ts";
import { TraceFile } from "./traces/trace_file.ts";
import { Transactions } from "./host/transactions.ts";
import { WantedTraces } from "./traces/wanted_traces.ts";

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
  readonly commands: Commands;
  readonly #defaultDevice: string | undefined;
  /** Values of `$name`. */
  readonly variables = new Map<string, string>();
  readonly output: LineOutput;
  readonly #prefixes = new Prefixes(this);
  readonly #trace: TraceFile | undefined = undefined;
  readonly #traces: WantedTraces;
  /** Surroundings of the last line, good for the next one with the same options. */
  #surroundings: Surroundings | undefined = undefined;
  #surroundingsOf: Globals | undefined = undefined;
  /** Standard input holds the lines, so that no command may read it: set by the shell. */
  stdinIsLines = false;
  readonly #client: Client | undefined;
  /** What the last line came to; undefined if it failed. */
  lastResult: Result | undefined = undefined;
  /** Why the last line failed; undefined if it did not. */
  lastFailure: Failure | undefined = undefined;

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
    this.output = new LineOutput(terminal);
    this.#traces = new WantedTraces(terminal);
    this.#defaultDevice = globals.device ?? environment.device;
    this.commands = environment.commands;
    if (globals.traceFile !== undefined) {
      this.#trace = new TraceFile(globals.traceFile, globals.host ?? environment.hostPath ?? "", terminal);
    }
  }

  /** Finds the value of `$name`. */
  readonly lookup: Lookup = (name) => this.variables.get(name);

  /** Runs one line, prints its outcome. @returns the exit code, at once where nothing has to be waited for */
  runLine(invocation: Invocation, place?: LinePlace): Soon<number> {
    const globals = this.lineGlobals(invocation, this.globals);
    return then(
      this.#traces.of(invocation, globals, place),
      (trace) => this.#runLine(invocation, globals, trace, place),
    );
  }

  #runLine(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): Soon<number> {
    this.lastResult = this.lastFailure = undefined;
    this.output.markDryRun(invocation.innermost.command!, globals);
    const done = ({ result, innermost, table }: Outcome) => {
      this.lastResult = result;
      this.output.result(invocation.command!, result, asTable(globals, table), trace, place);
      if (trace !== undefined) this.#trace?.add(trace);
      return exitCodeOf(invocation, innermost);
    };
    const failed = (thrown: unknown) => this.#failed(thrown, invocation, globals, trace, place);
    try {
      const outcome = this.#inTransaction(invocation, globals, trace);
      return outcome instanceof Promise ? outcome.then(done).catch(failed) : done(outcome);
    } catch (thrown) {
      return failed(thrown);
    }
  }

  /** Tells why a line failed. @returns the exit code */
  async #failed(
    thrown: unknown,
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
    place: LinePlace | undefined,
  ): Promise<number> {
    try {
      const failure = proposeIn(describeFailure(await this.blame(thrown)), globals);
      this.lastFailure = failure;
      // What lines before this one printed is undone with them.
      const goesOn = globals.keepGoing && !isInterrupted(failure.exit);
      if (!isKept(failure.exit) && !goesOn) this.terminal.discard();
      this.output.failure(invocation, failure, globals, trace, place);
      return failure.exit;
    } finally {
      if (trace !== undefined) this.#trace?.add(trace);
    }
  }

  /** Global options of a line over those around it. */
  lineGlobals(invocation: Invocation, globals: Globals): Globals {
    if (invocation.globals.size === 0) return globals;
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

  /** The host file is still to be opened. */
  get #opensFirst(): boolean {
    return this.place.opened === undefined;
  }

  /** Ends what waits where another process is the one that would be interrupted. */
  get interrupted(): AbortSignal | undefined {
    return this.#client?.interrupted;
  }

  /** Runs a line of another process, which prints what comes of it. */
  carryOut(invocation: Invocation, trace: TraceCollector | undefined): Soon<Outcome> {
    return this.#inTransaction(invocation, this.lineGlobals(invocation, this.globals), trace);
  }

  async #ask(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Outcome> {
    const { askOwner } = await import("./owner/client.ts");
    return await askOwner(this, invocation, globals, this.#defaultDevice, trace);
  }

  #inTransaction(
    invocation: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Soon<Outcome> {
    const { name, access: own } = invocation.innermost.command!;
    // To explain a command is to look at the host, whatever the command itself would do.
    const access = invocation.command!.name === "explain" && own !== "none" ? "read" : own;
    // One that begins a transaction finds out by that.
    const mustLook = access !== "none" && (access === "file" || access === "wait" || this.#opensFirst);
    if (name !== "exec" && mustLook && this.isOwned) return this.#ask(invocation, globals, trace);
    const isOutside = access === "none" || access === "file" || access === "wait";
    if (isOutside || this.transactions.host !== undefined) return this.perform(invocation, globals, trace);
    try {
      this.transactions.begin(access === "read" ? "read" : "write");
    } catch (error) {
      // Somebody else has just taken the host for itself.
      if (!(error instanceof OwnedError)) throw error;
      return this.#ask(invocation, globals, trace);
    }
    const end = (keep: boolean) =>
      this.transactions.end({ commit: keep && access === "write" && !globals.dryRun });
    const done = (outcome: Outcome) => {
      end(true);
      return outcome;
    };
    const failed = (error: unknown): never => {
      end(isKept(describeFailure(error).exit));
      throw error;
    };
    let outcome: Soon<Outcome>;
    try {
      outcome = this.perform(invocation, globals, trace);
    } catch (error) {
      return failed(error);
    }
    return outcome instanceof Promise ? outcome.then(done, failed) : done(outcome);
  }

  /** The error, or what is wrong with the host file if that explains it. */
  async blame(error: unknown): Promise<unknown> {
    return await blame(error, this.place.opened);
  }

  /** Runs a command line, and what it prefixes. */
  perform(invocation: Invocation, globals: Globals, trace: TraceCollector | undefined): Soon<Outcome> {
    const { inner } = invocation;
    const command = invocation.command!;
    const values = invocation.bind(this.lookup);
    if (inner !== undefined) {
      return this.#prefixes.perform(command.name, values, inner, this.lineGlobals(inner, globals), trace);
    }
    if (this.#trace !== undefined) { for (const path of filesOf(command, values)) this.#trace.refuse(path); }
    const context = this.surroundings(globals, trace);
    const { host } = this.transactions;
    // A command that looks at no function still says when there is none of that name.
    if (host !== undefined && globals.device !== undefined) void context.target;
    const done = (result: Result) =>
      command.table === undefined ? { result, innermost: result } : outcomeOf(result, values);
    if (trace === undefined || host === undefined) return then(command.run(context, values), done);
    const { tracer } = host;
    const isRead = !globals.json && globals.traceFile === undefined;
    // The context knows a function only where the command has a transaction.
    if (isRead && opensFunction(command)) openFirst(context.target, host, trace);
    const before = tracer.sink;
    tracer.sink = trace.on(host);
    return lastly(() => then(command.run(context, values), done), () => {
      tracer.sink = before;
    });
  }

  /** What a command sees of this session. */
  surroundings(globals: Globals, trace: TraceCollector | undefined): Surroundings {
    if (trace !== undefined) return new Surroundings(this, globals, this.which(globals), trace);
    if (this.#surroundings === undefined || this.#surroundingsOf !== globals) {
      this.#surroundings = new Surroundings(this, globals, this.which(globals), undefined);
      this.#surroundingsOf = globals;
    }
    return this.#surroundings;
  }

  /** The function that acts. */
  which({ device }: Globals): string {
    return device ?? this.#defaultDevice ?? "0";
  }

  /** Files and standard input, for commands. */
  get files(): DataIo {
    const files = this.#client?.files ?? (this.stdinIsLines ? FILES_WITHOUT_STDIN : PROCESS_FILES);
    return this.#trace?.guard(files) ?? files;
  }

  /** Closes the host file and writes the trace file. @throws {FileError} */
  async close(): Promise<void> {
    this.place.close();
    await this.#trace?.close();
  }
}
