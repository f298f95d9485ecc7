/**
 * Descriptors of simulated files in real programs: each is one end of a socket pair, whose other end stays here and
 * hangs up when the last copy has been closed, by whatever process and in whatever way.
 */
import type { ForeignFiles } from "../vfio/process/foreign_files.ts";
import { type OpenFile, POLL } from "../vfio/process/file.ts";
import { libc, O, pinned, readLink, seldom } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const POLLFD_BYTES = 8;
const POLLIN = 1;
const POLLHUP = 0x10;

/** What tells that something has ended: a descriptor of ours and what to do then. */
interface Watch {
  readonly fd: number;
  readonly events: number;
  readonly ended: () => void;
}

/** The ends of things: hang-ups of links, ends of processes. One poll looks at them all. */
export class Watches {
  #watches: Watch[] = [];
  #poll = pinned(0);
  #shorts = new Int16Array(0);

  /** Watches a descriptor, which is closed when it has told. */
  add(fd: number, kind: "hang-up" | "readable", ended: () => void): void {
    this.#watches.push({ fd, events: kind === "readable" ? POLLIN : 0, ended });
    this.#poll = pinned(0);
  }

  /** Does what is due of what has ended. */
  look(): void {
    while (this.#watches.length > 0) {
      if (this.#poll.length === 0) this.#build();
      if (libc.poll(this.#poll, BigInt(this.#watches.length), 0) <= 0) return;
      const told = this.#watches.filter((_, i) => (this.#shorts[i * 4 + 3]! & (POLLIN | POLLHUP)) !== 0);
      if (told.length === 0) return;
      this.#watches = this.#watches.filter((watch) => !told.includes(watch));
      this.#poll = pinned(0);
      for (const { fd, ended } of told) {
        libc.close(fd);
        ended();
      }
    }
  }

  /** Stops watching; nothing is told any more. */
  close(): void {
    for (const { fd } of this.#watches) libc.close(fd);
    this.#watches = [];
  }

  #build(): void {
    this.#poll = pinned(this.#watches.length * POLLFD_BYTES);
    this.#shorts = new Int16Array(this.#poll.buffer);
    const words = new Int32Array(this.#poll.buffer);
    this.#watches.forEach(({ fd, events }, i) => {
      words[i * 2] = fd;
      this.#shorts[i * 4 + 2] = events;
    });
  }
}

/** A descriptor that a program was given, with all copies that the kernel made of it. */
export interface Link {
  readonly file: OpenFile;
  /** What the descriptor's link in /proc/PID/fd says: `socket:[INODE]`. */
  readonly name: string;
}

/** All links. */
export class Links {
  readonly #byName = new Map<string, Link>();
  readonly #watches: Watches;
  /** Where the simulated kernel keeps what programs have open. */
  readonly #open: ForeignFiles;
  /** Told of a link whose last copy was closed, before the file is. */
  readonly #closed: (link: Link) => void;

  constructor(watches: Watches, open: ForeignFiles, closed: (link: Link) => void) {
    this.#watches = watches;
    this.#open = open;
    this.#closed = closed;
  }

  /** The link that a descriptor belongs to, by the name that /proc has for it. */
  named(name: string): Link | undefined {
    return this.#byName.get(name);
  }

  /** Nobody has a descriptor any more, whatever the kernel says: every file is let go. */
  endAll(): void {
    this.#watches.close();
    for (const [name, link] of this.#byName) {
      this.#byName.delete(name);
      this.#open.delete(link);
      link.file.drop();
    }
  }

  /**
   * Gives a program a descriptor of a file.
   *
   * @param send puts our descriptor into the program; its number there, or a negative error number
   * @returns the link and the number, or a negative error number
   */
  give(
    file: OpenFile,
    send: (fd: number) => number,
  ): { readonly link: Link; readonly number: number } | number {
    const pair = pinned(8);
    if (seldom().socketpair(AF_UNIX, SOCK_STREAM | O.CLOEXEC, 0, pair) !== 0) return -24;
    const [ours, theirs] = new Int32Array(pair.buffer);
    // A device is always readable to poll(2); so is a socket with a byte in it that nobody takes.
    if ((file.poll() & POLL.IN) !== 0) libc.write(ours!, pinned(1), 1n);
    const name = readLink(`/proc/self/fd/${theirs}`)!;
    const number = send(theirs!);
    libc.close(theirs!);
    if (number < 0) {
      libc.close(ours!);
      return number;
    }
    const link = { file, name };
    file.hold();
    this.#byName.set(name, link);
    this.#open.add(link);
    this.#watches.add(ours!, "hang-up", () => {
      this.#byName.delete(name);
      this.#open.delete(link);
      this.#closed(link);
      file.drop();
    });
    return { link, number };
  }
}
