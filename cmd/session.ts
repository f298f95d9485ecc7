/**
 * A run of the program: the host file, transactions around commands, variables, and what is printed.
 */
import type { Host, HostFunction } from "../lib/host/host.ts";
import { HostStore, MEMORY_HOST } from "../lib/host/store.ts";
import { defaultTopology } from "../lib/host/topology.ts";
import { TRACE_LAYERS } from "../lib/base/trace.ts";
import type { AnyCommand, Context, Result } from "./command.ts";
import { findDevice } from "./device.ts";
import { describeFailure, EXIT, type Failure, failureJson, renderFailure } from "./failure.ts";
import { fileError, PROCESS_FILES } from "./files.ts";
import { bindGlobals, bindValues, type Globals, type Invocation, type Lookup } from "./parse.ts";
import { checkExpectation } from "./expectation.ts";
import type { ProcessTerminal } from "./terminal.ts";
import { formatDiagnostic, type Place } from "./text/diagnostic.ts";
import { TraceCollector } from "./trace_view.ts";

/** Where a script line stands. */
export interface LinePlace {
  readonly file: string;
  readonly line: number;
  /** Column of the command's first word, and the source line, for the diagnostic. */
  locate(token: string | undefined): { readonly place: Place; readonly source: string };
}

/** The program's run. */
export class Session {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  readonly hostPath: string;
  readonly #defaultDevice: string | undefined;
  readonly #variables = new Map<string, string>();
  #store: HostStore | undefined = undefined;
  /** The host of the transaction that is open. */
  #host: Host | undefined = undefined;

  constructor(
    terminal: ProcessTerminal,
    globals: Globals,
    environment: { readonly hostPath: string; readonly device: string | undefined },
  ) {
    this.terminal = terminal;
    this.globals = globals;
    this.hostPath = globals.host ?? environment.hostPath;
    this.#defaultDevice = globals.device ?? environment.device;
  }

  /** Values of `$name`. */
  readonly lookup: Lookup = (name) => this.#variables.get(name);

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
    try {
      const result = await this.#inTransaction(invocation, globals, trace);
      this.#writeTraceFile(globals, trace);
      this.#printResult(invocation.command!, result, globals, trace, place);
      return EXIT.OK;
    } catch (error) {
      const failure = describeFailure(error);
      this.#writeTraceFile(globals, trace);
      this.#printFailure(name, failure, globals, trace, place);
      return failure.exit;
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
  ): Promise<Result> {
    const { access } = innermost(invocation).command!;
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
      // What the simulated world refused has happened; what ism itself could not do has not.
      const { exit } = describeFailure(error);
      keep = exit === EXIT.REFUSED || exit === EXIT.EXPECT;
      throw error;
    } finally {
      this.end({ commit: keep && access === "write" && !globals.dryRun, unchanged: access === "read" });
    }
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
  ): Promise<Result> {
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
    const context = this.#context(globals, trace);
    const tracer = this.#host?.tracer;
    if (tracer !== undefined) tracer.sink = trace;
    try {
      return await command!.run(context, values);
    } finally {
      if (tracer !== undefined) tracer.sink = undefined;
    }
  }

  /** `expect`, `let` and `repeat`. */
  async #performPrefix(
    name: string,
    values: Readonly<Record<string, unknown>>,
    inner: Invocation,
    globals: Globals,
    trace: TraceCollector | undefined,
  ): Promise<Result> {
    if (name === "expect") {
      const expected = values["what"] as Parameters<typeof checkExpectation>[0];
      try {
        const result = await this.#perform(inner, globals, trace);
        return checkExpectation(expected, innermost(inner).command!, { result }, PROCESS_FILES);
      } catch (error) {
        return checkExpectation(expected, innermost(inner).command!, { error }, PROCESS_FILES);
      }
    }
    if (name === "let") {
      const result = await this.#perform(inner, globals, trace);
      const value = innermost(inner).command!.value!(result);
      this.#variables.set(String(values["name"]), value);
      return { name: values["name"], value };
    }
    const count = Number(values["count"]);
    let last: Result | null = null;
    for (let i = 0; i < count; i++) {
      last = await this.#perform(inner, globals, trace);
      const { command } = innermost(inner);
      if (!globals.json && inner.inner === undefined) this.#printText(command!, last, globals);
    }
    return { count, last };
  }

  /** The open host file; created with the default topology if it is the default one and missing. */
  get store(): HostStore {
    if (this.#store !== undefined) return this.#store;
    const { hostPath } = this;
    if (hostPath === MEMORY_HOST) return this.#store = HostStore.create(hostPath, defaultTopology());
    if (this.globals.host === undefined && !exists(hostPath)) {
      createParent(hostPath);
      return this.#store = HostStore.create(hostPath, defaultTopology());
    }
    return this.#store = HostStore.open(hostPath);
  }

  /** Closes the host file. */
  close(): void {
    this.#store?.close();
    this.#store = undefined;
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
      load: (data) => data.load(PROCESS_FILES),
      shared: this.#host === undefined && this.hostPath !== MEMORY_HOST,
      transact: (work) => this.#transact(work, which, trace),
    };
  }

  /** One transaction of a command that waits; part of the script's if one is open. */
  #transact<Of>(work: (target: HostFunction) => Of, which: string, trace: TraceCollector | undefined): Of {
    const host = this.#host ?? this.store.begin("write");
    host.tracer.sink = trace;
    let done = false;
    try {
      const result = work(findDevice(host, which));
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

  #writeTraceFile({ traceFile }: Globals, trace: TraceCollector | undefined): void {
    if (traceFile === undefined || trace === undefined) return;
    try {
      Deno.writeTextFileSync(traceFile, JSON.stringify(trace.chrome()));
    } catch (error) {
      throw fileError(traceFile, error);
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
    this.terminal.out(JSON.stringify({ ...document, ...where }) + "\n");
  }
}

/** The failure as it goes to stderr: `ism: COMMAND: sentence (ERRNO)`, or with the place of a script line. */
export function failureText(
  terminal: ProcessTerminal,
  name: string | undefined,
  failure: Failure,
  verboseWanted: boolean,
  place: LinePlace | undefined,
): string {
  const verbose = verboseWanted || terminal.errIsTerminal;
  const body = renderFailure(failure, { style: terminal.style, verbose });
  if (place === undefined) return `ism: ${name === undefined ? "" : `${name}: `}${body}`;
  const { place: at, source } = place.locate(failure.token);
  const [first = "", ...more] = body.split("\n");
  const [head = "", ...caret] = formatDiagnostic(at, source, "").split("\n");
  return [head + first, ...caret, ...more].join("\n");
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

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(path, error);
  }
}

function createParent(path: string): void {
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (directory === "") return;
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(directory, error);
  }
}
