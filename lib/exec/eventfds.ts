/**
 * eventfds of a program: the supervisor keeps one descriptor of each that an interrupt may signal. They are known by
 * the id that /proc/PID/fdinfo shows.
 */
import type { Partition } from "../zpci/partition.ts";
import { EventFd, EventFdFile } from "../vfio/process/eventfd.ts";
import type { Architecture } from "./calls.ts";
import { libc, O, pinned, readFile } from "./libc.ts";
import { parseEventfdCount, parseEventfdId, parseProcessId } from "./proc_text.ts";

const COUNTER_BYTES = 8;
/** eventfds that are kept although no device has them. */
const KEPT = 64;

const one = pinned(COUNTER_BYTES);
one[0] = 1;

/** An eventfd of the real machine: its counter is there. */
class RealEventFd extends EventFd {
  readonly fd: number;

  constructor(id: number, fd: number) {
    super(id);
    this.fd = fd;
  }

  /** Adds 1: whoever sleeps on it wakes up. */
  override signal(partition: Partition, fid: number): void {
    libc.write(this.fd, one, BigInt(COUNTER_BYTES));
    super.signal(partition, fid);
  }
}

/** The program has not taken a signal of this eventfd yet; undefined where nobody can know. */
export function isPending(eventfd: EventFd | undefined): boolean | undefined {
  if (!(eventfd instanceof RealEventFd)) return undefined;
  const text = readFile(`/proc/self/fdinfo/${eventfd.fd}`);
  return text === undefined ? undefined : parseEventfdCount(new TextDecoder().decode(text)) > 0;
}

function idOf(process: number | "self", fd: number): number | undefined {
  const text = readFile(`/proc/${process}/fdinfo/${fd}`);
  return text === undefined ? undefined : parseEventfdId(new TextDecoder().decode(text));
}

/** The eventfds that were seen, the last one last. */
export class Eventfds {
  readonly #architecture: Architecture;
  readonly #isWired: (eventfd: EventFd) => boolean;
  readonly #byId = new Map<number, RealEventFd>();

  /** `isWired` tells whether a device signals an eventfd. */
  constructor(architecture: Architecture, isWired: (eventfd: EventFd) => boolean) {
    this.#architecture = architecture;
    this.#isWired = isWired;
  }

  /** A new eventfd with EFD_CLOEXEC and `flags`. @returns our descriptor, -1 if there is none left */
  create(count: number, flags: number): number {
    return libc.eventfd(count, flags | O.CLOEXEC);
  }

  /** Takes a descriptor of ours of an eventfd that a program is given. */
  keep(fd: number): void {
    const id = idOf("self", fd);
    if (id === undefined) libc.close(fd);
    else this.#add(new RealEventFd(id, fd));
  }

  /** The eventfd behind a descriptor of a program; undefined if it is none, or cannot be reached. */
  find(thread: number, fd: number): EventFdFile | undefined {
    const id = idOf(thread, fd);
    if (id === undefined) return undefined;
    const known = this.#byId.get(id);
    if (known !== undefined) return new EventFdFile(known);
    const own = this.#fetch(thread, fd);
    if (own < 0) return undefined;
    const eventfd = new RealEventFd(id, own);
    this.#add(eventfd);
    return new EventFdFile(eventfd);
  }

  /** A descriptor of ours for one of the program's (pidfd_getfd(2)); below 0 if that is not allowed. */
  #fetch(thread: number, fd: number): number {
    const { pidfdOpen, pidfdGetfd } = this.#architecture;
    const status = readFile(`/proc/${thread}/status`);
    if (status === undefined) return -1;
    const process = parseProcessId(new TextDecoder().decode(status));
    if (process === undefined) return -1;
    const pidfd = libc.syscall3(BigInt(pidfdOpen), BigInt(process), 0n, 0n);
    if (pidfd < 0) return -1;
    const own = libc.syscall3(BigInt(pidfdGetfd), BigInt(pidfd), BigInt(fd), 0n);
    libc.close(pidfd);
    return own;
  }

  #add(eventfd: RealEventFd): void {
    this.#byId.set(eventfd.id, eventfd);
    if (this.#byId.size <= KEPT) return;
    for (const [id, old] of this.#byId) {
      if (this.#byId.size <= KEPT) return;
      if (this.#isWired(old)) continue;
      libc.close(old.fd);
      this.#byId.delete(id);
    }
  }

  /** Closes everything. */
  close(): void {
    for (const { fd } of this.#byId.values()) libc.close(fd);
    this.#byId.clear();
  }
}
