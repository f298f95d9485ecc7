/**
 * Transactions of a run, and the one rule of its output: what a transaction prints is kept until the commit that covers
 * it has succeeded, and forgotten if it is undone. Results, documents, bytes, traces and messages take the same way.
 */
import type { Host } from "../../../lib/host/host.ts";
import type { TransactOptions } from "../../language/command.ts";
import { describeFailure, isKept } from "../../output/failure.ts";
import type { ProcessTerminal } from "../../output/terminal.ts";
import type { HostPlace } from "./host_place.ts";

/** How a transaction ends. */
interface End {
  readonly commit: boolean;
}

/** At most one transaction at a time; what begins inside of one is part of it. */
export class Transactions {
  readonly #place: HostPlace;
  readonly #terminal: ProcessTerminal;
  readonly #dryRun: boolean;
  /** The host of the transaction that is open, or the one that stands in for it. */
  host: Host | undefined = undefined;

  constructor(place: HostPlace, terminal: ProcessTerminal, dryRun: boolean) {
    this.#place = place;
    this.#terminal = terminal;
    this.#dryRun = dryRun;
  }

  /** Begins a transaction that covers everything until {@linkcode end}. @throws {HostFileError} */
  begin(mode: "read" | "write"): void {
    this.host = this.#begin(mode);
  }

  /** Ends it. @throws {HostFileError} if it cannot be committed; nothing of it is printed then */
  end(end: End): void {
    const { host } = this;
    this.host = undefined;
    if (host !== undefined) this.#finish(host, end);
  }

  /**
   * Work in a transaction of its own, or as part of the one that is open; undone if it fails.
   *
   * @throws {HostFileError} if it cannot be committed
   */
  run<Of>(
    work: (host: Host) => Of,
    { keepRefused = false, mode = "write", forced = true }: TransactOptions,
  ): Of {
    const host = this.host ?? this.#begin(mode, forced);
    let done = false;
    try {
      const result = work(host);
      done = true;
      return result;
    } catch (error) {
      done = keepRefused && isKept(describeFailure(error).exit);
      throw error;
    } finally {
      this.#leave(host, done && mode === "write");
    }
  }

  /** As {@linkcode run}, for work that lets Ctrl-C in. */
  async runLong<Of>(work: (host: Host) => Promise<Of>): Promise<Of> {
    const host = this.host ?? this.#begin("write");
    let done = false;
    try {
      const result = await work(host);
      done = true;
      return result;
    } finally {
      this.#leave(host, done);
    }
  }

  #leave(host: Host, done: boolean): void {
    if (this.host === undefined) this.#finish(host, { commit: done && !this.#dryRun });
  }

  /** What only looks, or is undone anyway, may be printed at once. */
  #begin(mode: "read" | "write", forced = true): Host {
    const host = this.#place.store.begin(mode, { forced });
    if (mode === "write" && !this.#dryRun) this.#terminal.hold();
    // What is undone afterwards must not be done to a host that others use.
    if (this.#dryRun && this.#place.isOwner) return host.fork();
    return host;
  }

  #finish(host: Host, { commit }: End): void {
    try {
      if (commit) this.#place.store.commit(host);
      else this.#place.store.rollback();
    } catch (error) {
      this.#terminal.discard();
      throw error;
    }
    if (commit) this.#terminal.release();
    else this.#terminal.discard();
  }
}
