/** The descriptor table of a real process: the numbers that mean simulated files, and eventfds of its own. */
import { badDescriptor, DescriptorTable } from "../vfio/process/descriptors.ts";
import { OpenFile } from "../vfio/process/file.ts";
import { vfsError } from "../vfio/refusal.ts";
import type { Eventfds } from "./eventfds.ts";
import type { DescriptorRange } from "./filter.ts";
import { readDirectoryNames, readLink } from "./libc.ts";
import type { Link, Links } from "./links.ts";

/** What a table needs of the call that is carried out: a way to put a descriptor into its process. */
export interface Caller {
  readonly thread: number;
  /** Tells people what a program cannot see. */
  remark(text: string): void;
  addDescriptor(fd: number, at: number | undefined, closeOnExec: boolean): number;
}

/** EBADF: the number is not below the program's limit of descriptors. */
const NOT_BELOW_LIMIT = -9;
const LIMIT_REMARK = ({ first, end }: DescriptorRange) =>
  `descriptors ${first} to ${
    end - 1
  } mean simulated files, and the program has lowered its limit (RLIMIT_NOFILE): ` +
  "lower it for ism, too, or use --any-descriptor";

/** A file of the real machine, which no simulated call can do anything with. */
class RealFile extends OpenFile {
  override readonly kind = "other";
  override readonly id = 0;
  override readonly path: string;

  constructor(path: string) {
    super();
    this.path = path;
  }
}

/** Numbers of one process. */
export class ForeignTable extends DescriptorTable {
  readonly #caller: Caller;
  readonly #links: Links;
  readonly #eventfds: Eventfds;
  readonly #range: DescriptorRange;
  readonly #byNumber = new Map<number, Link>();
  /** The next descriptor that is installed is closed by execve. */
  closeOnExec = false;
  /** Lowest number that the next descriptor may have (F_DUPFD). */
  lowest = 0;

  constructor(caller: Caller, links: Links, eventfds: Eventfds, range: DescriptorRange) {
    super(range.end);
    this.#caller = caller;
    this.#links = links;
    this.#eventfds = eventfds;
    this.#range = range;
  }

  /** Any descriptor of the process, those of the real machine too. @throws {ErrnoError} EBADF */
  override get(fd: number): OpenFile {
    const file = this.ours(fd);
    if (file !== undefined) return file;
    const path = fd < 0 ? undefined : readLink(`/proc/${this.#caller.thread}/fd/${fd}`);
    if (path === undefined) throw badDescriptor(fd);
    return this.#eventfds.find(this.#caller.thread, fd) ?? new RealFile(path);
  }

  /** The simulated file of a number, undefined if it is a real one or none. */
  ours(fd: number): OpenFile | undefined {
    return this.find(fd) ?? this.#adopt(fd);
  }

  /** A number that the process got in a way that nobody saw: by fork, from another table, in a message. */
  #adopt(fd: number): OpenFile | undefined {
    if (fd < this.#range.first || fd >= this.#range.end) return undefined;
    const name = readLink(`/proc/${this.#caller.thread}/fd/${fd}`);
    const link = name === undefined ? undefined : this.#links.named(name);
    if (link === undefined) return undefined;
    this.record(fd, link);
    return link.file;
  }

  /** A number means a link's file from now on. */
  record(fd: number, link: Link): void {
    this.#byNumber.set(fd, link);
    this.put(fd, link.file);
  }

  override install(file: OpenFile): number {
    const at = this.#range.first === 0 ? undefined : this.#freeNumber();
    const given = at === -1 ? -1 : this.#links.give(
      file,
      (fd) => this.#caller.addDescriptor(fd, at, this.closeOnExec),
    );
    if (typeof given === "number") {
      if (given === NOT_BELOW_LIMIT) this.#caller.remark(LIMIT_REMARK(this.#range));
      file.hold();
      file.drop();
      const message = "The program has no descriptor left that can mean a simulated file";
      throw vfsError("EMFILE", "vfio.ioctl.vfs", "descriptors", "fs/file.c: alloc_fd", message);
    }
    this.record(given.number, given.link);
    return given.number;
  }

  /** The lowest number of the range that nothing in the process has; -1 if there is none. */
  #freeNumber(): number {
    for (let fd = Math.max(this.#range.first, this.lowest); fd < this.#range.end; fd++) {
      if (this.find(fd) !== undefined) continue;
      // A number that is being closed, or that the program has for something else, is not free.
      if (readLink(`/proc/${this.#caller.thread}/fd/${fd}`) === undefined) return fd;
    }
    return -1;
  }

  /** The process has let go of a number; the file lives while a copy of its link does. */
  forget(fd: number): void {
    if (!this.#byNumber.delete(fd)) return;
    this.close(fd);
  }

  /** All copies of a link are closed. */
  forgetLink(link: Link): void {
    for (const [fd, other] of this.#byNumber) if (other === link) this.forget(fd);
  }

  /** Looks up what the process has: after fork and execve. */
  refresh(): void {
    for (const fd of [...this.#byNumber.keys()]) this.forget(fd);
    const root = `/proc/${this.#caller.thread}/fd`;
    for (const name of readDirectoryNames(root) ?? []) {
      const fd = Number(name);
      if (Number.isInteger(fd)) this.#adopt(fd);
    }
  }

  /** Numbers of a range that mean simulated files. */
  numbers(first: number, last: number): number[] {
    return [...this.#byNumber.keys()].filter((fd) => fd >= first && fd <= last);
  }
}
