/** What a running command sees of the session: its host and function, files, transactions. */
import type { Host, HostFunction } from "../../../lib/host/host.ts";
import type { HostStore } from "../../../lib/host/file/store.ts";
import type { Commands, Context, TransactOptions } from "../../language/command.ts";
import type { DataIo, DataSource } from "../../language/data.ts";
import type { Globals } from "../../language/invocation.ts";
import type { Terminal } from "../../language/terminal.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";
import { findDevice } from "../driver/device.ts";
import type { HostPlace } from "./host_place.ts";
import type { Transactions } from "./transactions.ts";

/** What a session lends its commands. */
export interface Lender {
  readonly terminal: Terminal;
  /** Options before the script or the shell. */
  readonly globals: Globals;
  readonly place: HostPlace;
  readonly transactions: Transactions;
  readonly stdinIsLines: boolean;
  readonly files: DataIo;
  readonly commands: Commands;
  readonly interrupted: AbortSignal | undefined;
}

/** The surroundings of commands with the same options; one object serves a whole script. */
export class Surroundings implements Context {
  readonly terminal: Terminal;
  readonly verbose: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly isDefaultHost: boolean;
  readonly globals: Globals;
  readonly deviceWord: string;
  readonly trace: TraceCollector | undefined;
  readonly #session: Lender;
  /** The function of the host that was asked last. */
  #host: Host | undefined = undefined;
  #target: HostFunction | undefined = undefined;

  /** @param which the function that acts */
  constructor(session: Lender, globals: Globals, which: string, trace: TraceCollector | undefined) {
    this.#session = session;
    this.globals = globals;
    this.deviceWord = which;
    this.trace = trace;
    this.terminal = session.terminal;
    this.verbose = globals.verbose;
    this.dryRun = globals.dryRun;
    this.json = globals.json;
    this.isDefaultHost = session.globals.host === undefined;
  }

  get stdinIsLines(): boolean {
    return this.#session.stdinIsLines;
  }

  get commands(): Commands {
    return this.#session.commands;
  }

  get interrupted(): AbortSignal | undefined {
    return this.#session.interrupted;
  }

  get hostPath(): string {
    return this.#session.place.path;
  }

  get host(): Host {
    const { host } = this.#session.transactions;
    if (host === undefined) throw new Error("The command declares no access to the host");
    return host;
  }

  get target(): HostFunction {
    const { host } = this;
    // An index names the same function as long as the host is the same; an address or a UID may not.
    if (this.#host !== host || !isIndex(this.deviceWord)) {
      this.#target = findDevice(host, this.deviceWord);
      this.#host = host;
    }
    return this.#target!;
  }

  get store(): HostStore {
    return this.#session.place.store;
  }

  get shared(): boolean {
    return this.#session.transactions.host === undefined && !this.#session.place.isInMemory;
  }

  // Commands take these out of their context.
  readonly device = (word: string): HostFunction => findDevice(this.host, word);

  readonly load = (data: DataSource): Uint8Array => data.load(this.#session.files);

  readonly look = (data: DataSource): Uint8Array => data.look(this.#session.files);

  readonly transact = <Of>(
    work: (target: HostFunction, host: Host) => Of,
    options: TransactOptions = {},
  ): Of =>
    this.#session.transactions.run(
      (host) => {
        const { sink } = host.tracer;
        host.tracer.sink = this.trace?.on(host);
        try {
          return work(findDevice(host, this.deviceWord), host);
        } finally {
          host.tracer.sink = sink;
        }
      },
      options,
    );

  readonly transactLong = <Of>(
    work: (target: HostFunction, host: Host) => Promise<Of>,
  ): Promise<Of> =>
    this.#session.transactions.runLong(async (host) => {
      const { sink } = host.tracer;
      host.tracer.sink = this.trace?.on(host);
      try {
        return await work(findDevice(host, this.deviceWord), host);
      } finally {
        host.tracer.sink = sink;
      }
    });
}

function isIndex(which: string): boolean {
  const first = which.charCodeAt(0);
  return which.length <= 3 && first >= 0x30 && first <= 0x39 && !which.includes(":");
}
