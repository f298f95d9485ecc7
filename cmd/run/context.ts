/** What a command works with, made of the parts of a run. */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import type { HostStore } from "../../lib/host/file/store.ts";
import type { Commands, Context } from "../language/command.ts";
import type { DataIo } from "../language/data.ts";
import type { Globals } from "../language/parse.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import type { TraceCollector } from "../output/trace/collector.ts";
import { findDevice } from "./device.ts";
import type { HostPlace } from "./host_place.ts";
import type { Transactions } from "./transactions.ts";

/** The parts. */
export interface ContextParts {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  readonly isDefaultHost: boolean;
  readonly commands: Commands;
  readonly place: HostPlace;
  readonly transactions: Transactions;
  readonly deviceWord: string;
  readonly files: DataIo;
  readonly stdinIsLines: boolean;
  readonly interrupted: AbortSignal | undefined;
  readonly trace: TraceCollector | undefined;
}

/** The context of a command. */
export function contextOf(
  { terminal, globals, isDefaultHost, place, transactions, deviceWord, files, trace, ...others }:
    ContextParts,
): Context {
  const current = () => {
    if (transactions.host === undefined) throw new Error("The command declares no access to the host");
    return transactions.host;
  };
  return {
    terminal,
    verbose: globals.verbose,
    dryRun: globals.dryRun,
    json: globals.json,
    get hostPath(): string {
      return place.path;
    },
    isDefaultHost,
    get host(): Host {
      return current();
    },
    get store(): HostStore {
      return place.store;
    },
    get target(): HostFunction {
      return findDevice(current(), deviceWord);
    },
    trace,
    globals,
    deviceWord,
    device: (word) => findDevice(current(), word),
    load: (data) => data.load(files),
    ...others,
    get shared(): boolean {
      return transactions.host === undefined && !place.isInMemory;
    },
    transact: (work, { keepRefused = false } = {}) =>
      transactions.run((host) => {
        const { sink } = host.tracer;
        host.tracer.sink = trace?.on(host);
        try {
          return work(findDevice(host, deviceWord), host);
        } finally {
          host.tracer.sink = sink;
        }
      }, keepRefused),
    transactLong: (work) =>
      transactions.runLong(async (host) => {
        const { sink } = host.tracer;
        host.tracer.sink = trace?.on(host);
        try {
          return await work(findDevice(host, deviceWord), host);
        } finally {
          host.tracer.sink = sink;
        }
      }),
  };
}
