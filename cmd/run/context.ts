/** What a running command sees of its session: the host, its function, transactions, files. */
import type { Host, HostFunction } from "../../lib/host/host.ts";
import { type HostStore, MEMORY_HOST } from "../../lib/host/file/store.ts";
import type { Commands, Context } from "../language/command.ts";
import type { DataIo } from "../language/data.ts";
import type { Globals } from "../language/parse.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import type { TraceCollector } from "../output/trace/view.ts";
import { findDevice } from "./device.ts";
import type { HostPlace } from "./host_place.ts";
import type { Transactions } from "./transactions.ts";

/** What is the same for all commands of a session. */
interface Surroundings {
  readonly terminal: ProcessTerminal;
  readonly globals: Globals;
  readonly place: HostPlace;
  readonly transactions: Transactions;
  readonly stdinIsLines: boolean;
}

/** What belongs to one line. */
interface LineSurroundings {
  readonly globals: Globals;
  /** The function that acts. */
  readonly which: string;
  readonly commands: Commands;
  readonly files: DataIo;
  readonly trace: TraceCollector | undefined;
}

/** The context of one command. */
export function contextOf(
  session: Surroundings,
  { globals, which, commands, files, trace }: LineSurroundings,
): Context {
  const current = () => {
    if (session.transactions.host === undefined) {
      throw new Error("The command declares no access to the host");
    }
    return session.transactions.host;
  };
  const store = () => session.place.store;
  const path = () => session.place.path;
  const shared = () => session.transactions.host === undefined && session.place.path !== MEMORY_HOST;
  return {
    terminal: session.terminal,
    verbose: globals.verbose,
    dryRun: globals.dryRun,
    json: globals.json,
    commands: commands,
    get hostPath(): string {
      return path();
    },
    isDefaultHost: session.globals.host === undefined,
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
    load: (data) => data.load(files),
    stdinIsLines: session.stdinIsLines,
    get shared(): boolean {
      return shared();
    },
    transact: (work, { keepRefused = false } = {}) =>
      session.transactions.run(
        (host) => {
          host.tracer.sink = trace;
          try {
            return work(findDevice(host, which), host);
          } finally {
            host.tracer.sink = undefined;
          }
        },
        keepRefused,
      ),
    transactLong: (work) =>
      session.transactions.runLong(async (host) => {
        host.tracer.sink = trace;
        try {
          return await work(findDevice(host, which), host);
        } finally {
          host.tracer.sink = undefined;
        }
      }),
  };
}
