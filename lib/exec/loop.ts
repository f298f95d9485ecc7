/** Takes the calls of all programs of a host, one after the other, and lets the rest of the process have its turns. */
import { errno, libc, pinned } from "./libc.ts";
import type { Listener } from "./listener.ts";

/**
 * Nanoseconds after which the loop looks whether anybody still calls; if nobody has it lets other things go on. A timeout
 * of the poll would set a timer of the processor for each call, twice.
 */
const PATIENCE = 1_000_000n;
/**
 * Polls that do not sleep before one that does. Two programs that answer each other call again before a processor that
 * went idle would have come back.
 */
const AWAKE = 10;
const CLOCK_MONOTONIC = 1;
/** Calls after which other things have a turn. */
const TURN = 256;
const POLLFD_BYTES = 8;
const POLLIN = 1;
/** Of eventfd(2) and timerfd_create(2): CLOEXEC, NONBLOCK. */
const FLAGS = 0o2004000;

/** Who answers the calls of a program. */
export interface Answering {
  readonly listener: Listener;
  /** Answers the call that the listener has taken. */
  answer(): void;
  /** Does what is due of what has ended. */
  look(): void;
  /** Nobody is left who could call. */
  end(): void;
}

/** One program, with everything that it has started. */
interface Entry {
  readonly supervisor: Answering;
  /** Answers the call that was taken. */
  readonly answer: () => void;
  readonly ended: () => void;
}

/** Gives the event loop a turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Tells regularly that time has passed, while it is on. */
class Beat {
  readonly fd = libc.timerfdCreate(CLOCK_MONOTONIC, FLAGS);
  // struct itimerspec: interval and first time, each in seconds and nanoseconds.
  readonly #every = pinned(32);
  readonly #never = pinned(32);
  readonly #count = pinned(8);

  constructor() {
    if (this.fd < 0) throw new Error(`timerfd_create failed with error number ${errno()}`);
    const words = new BigUint64Array(this.#every.buffer);
    words[1] = words[3] = PATIENCE;
  }

  start(): void {
    libc.timerfdSettime(this.fd, 0, this.#every, null);
  }

  /** Takes what it has told. */
  take(): void {
    libc.read(this.fd, this.#count, 8n);
  }

  stop(): void {
    libc.timerfdSettime(this.fd, 0, this.#never, null);
  }
}

/** The loop. */
export class Loop {
  #entries: Entry[] = [];
  #poll = pinned(POLLFD_BYTES);
  #shorts = new Int16Array(this.#poll.buffer);
  /** The descriptors changed since the poll was built. */
  #stale = true;
  /** Ends a wait for calls when a program is added. */
  readonly #bell = libc.eventfd(0, FLAGS);
  readonly #beat = new Beat();
  readonly #ring = pinned(8);
  /** Told when nothing has called for a while, after calls were answered. */
  readonly #quiet: () => void;

  constructor(quiet: () => void = () => {}) {
    this.#ring[0] = 1;
    this.#quiet = quiet;
  }

  /** Programs that still have processes. */
  get size(): number {
    return this.#entries.length;
  }

  /** Answers a program's calls from now on. @returns when nobody is left who could make one */
  add(supervisor: Answering, answer: () => void = () => supervisor.answer()): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#entries.push({ supervisor, answer, ended: resolve });
    this.#stale = true;
    libc.write(this.#bell, this.#ring, 8n);
    return promise;
  }

  /** Runs until the last program has ended. */
  async run(): Promise<void> {
    const bell = pinned(8);
    while (this.#entries.length > 0) {
      if (this.#stale) this.#build();
      const poll = this.#poll;
      await libc.pollAside(poll, BigInt(poll.length / POLLFD_BYTES), -1);
      libc.read(this.#bell, bell, 8n);
      const calls = await this.#stay();
      for (const { supervisor } of this.#entries) supervisor.look();
      if (calls > 0) this.#quiet();
    }
  }

  /** Answers calls without letting others have turns, but for a short one now and then. @returns how many there were */
  async #stay(): Promise<number> {
    let calls = 0;
    let before = 0;
    this.#beat.start();
    for (let count = 1; this.#entries.length > 0; count++) {
      if (this.#stale) this.#build();
      const { length } = this.#entries;
      // The bell, which is the last, is not for the loop that does not sleep.
      if (this.#wait(BigInt(length + 1)) < 0) break;
      calls += this.#take();
      if (this.#shorts[length * 4 + 3] !== 0) {
        if (calls === before) break;
        before = calls;
        this.#beat.take();
      }
      if (count % TURN === 0) await turn();
    }
    this.#beat.stop();
    return calls;
  }

  /** Waits until something is there to be read. @returns below 0 if a signal came */
  #wait(descriptors: bigint): number {
    for (let i = 0; i < AWAKE; i++) {
      const ready = libc.poll(this.#poll, descriptors, 0);
      if (ready !== 0) return ready;
    }
    return libc.poll(this.#poll, descriptors, -1);
  }

  /** Answers what waits, one call of each program. @returns how many there were */
  #take(): number {
    const entries = this.#entries;
    const shorts = this.#shorts;
    let calls = 0;
    for (let i = 0; i < entries.length; i++) {
      const revents = shorts[i * 4 + 3]!;
      if (revents === 0) continue;
      const entry = entries[i]!;
      if ((revents & POLLIN) === 0) this.#end(entry);
      else if (entry.supervisor.listener.receive()) {
        entry.answer();
        calls++;
      }
    }
    return calls;
  }

  #end(entry: Entry): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#stale = true;
    entry.supervisor.end();
    entry.ended();
  }

  #build(): void {
    this.#stale = false;
    const listeners = this.#entries.map(({ supervisor }) => supervisor.listener.fd);
    const descriptors = [...listeners, this.#beat.fd, this.#bell];
    this.#poll = pinned(descriptors.length * POLLFD_BYTES);
    this.#shorts = new Int16Array(this.#poll.buffer);
    const words = new Int32Array(this.#poll.buffer);
    descriptors.forEach((fd, i) => {
      words[i * 2] = fd;
      this.#shorts[i * 4 + 2] = POLLIN;
    });
  }

  /** Lets go of what the loop needs. */
  close(): void {
    libc.close(this.#bell);
    libc.close(this.#beat.fd);
  }
}
