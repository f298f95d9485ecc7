/** Signals: those that ism gets and that are meant for its programs, and the one by which it ends as a program did. */
import { libc, pinned, seldom } from "./libc.ts";
import { takeAway } from "./orphans.ts";

/** Signals of the terminal reach the program without us; ism waits for what it makes of them. */
const LEFT_TO_PROGRAM = ["SIGINT", "SIGQUIT"] as const;
/** Signals that are sent to ism and meant for the program, with their numbers. */
const PASSED_ON = [["SIGTERM", 15], ["SIGHUP", 1], ["SIGUSR1", 10], ["SIGUSR2", 12]] as const;

/** Handles ism's own signals until the end of a `using` block. */
export class SignalWatch implements Disposable {
  readonly #listeners: (readonly [Deno.Signal, () => void])[] = LEFT_TO_PROGRAM.map((
    name,
  ) => [name, () => {}]);

  readonly #pids = new Set<number>();
  /** Signals that came before any program's number was known. */
  readonly #early: number[] = [];

  constructor() {
    this.#listeners.push(["SIGCHLD", takeAway]);
    for (const [name, number] of PASSED_ON) this.#listeners.push([name, () => this.#passOn(number)]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  #passOn(signal: number): void {
    if (this.#pids.size === 0) this.#early.push(signal);
    for (const pid of this.#pids) libc.kill(pid, signal);
  }

  /** The program has ended, and its number may become another's. */
  over(pid: number): void {
    this.#pids.delete(pid);
  }

  /** The program has a number now. */
  running(pid: number): void {
    this.#pids.add(pid);
    for (const signal of this.#early) libc.kill(pid, signal);
  }

  /** ism's own signals mean what they mean elsewhere: those that it started have ended. */
  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners.splice(0)) Deno.removeSignalListener(name, listener);
  }
}

const RLIMIT_CORE = 4;

/** Ends this process by a signal, as the program was ended, without a core of its own; comes back if it cannot be. */
export function dieBy(signal: number): void {
  seldom().setrlimit(RLIMIT_CORE, pinned(16));
  seldom().signal(signal, null);
  libc.kill(libc.getpid(), signal);
}
