/** The descriptor table of a process. Open files are shared: by dup, by fork, by tables of several threads. */
import { Changes, type Journal, type PutRow } from "../../base/journal.ts";
import { vfsError } from "../refusal.ts";
import { type OpenFile, POLL } from "./file.ts";

/** Descriptors below this are stdin, stdout and stderr, which the simulation has nothing to do with. */
export const FIRST_FD = 3;
/** Descriptors of a process: the soft limit of RLIMIT_NOFILE that systems start with. */
export const MAX_FDS = 1024;

/** A descriptor that is polled, and the bits that are asked for (struct pollfd). */
export interface PollFd {
  readonly fd: number;
  readonly events: number;
}

/** How the descriptors of a process are written to the host file. */
export interface SavedDescriptors {
  readonly journal: Journal;
  write(put: PutRow, fd: number, file: OpenFile | undefined): void;
}

/** Descriptors by number. A file is released with the last descriptor that refers to it, in whatever table. */
export class DescriptorTable {
  readonly #files: (OpenFile | undefined)[] = [];
  readonly #limit: number;
  readonly #saved: SavedDescriptors | undefined;
  readonly #changes: Changes<OpenFile> | undefined;
  /** No descriptor from {@linkcode FIRST_FD} up to this one is free. */
  #taken = FIRST_FD;

  /**
   * @param limit the first number that no descriptor can have
   * @param saved how its descriptors are written, if it is one that a host file holds
   */
  constructor(limit: number = MAX_FDS, saved?: SavedDescriptors) {
    this.#limit = limit;
    this.#saved = saved;
    this.#changes = saved && new Changes<OpenFile>(
      saved.journal,
      (fd, file) => this.#enter(fd, file),
      (put, fd) => saved.write(put, fd, this.#files[fd]),
    );
  }

  /** Open descriptors with what they refer to, by rising number. */
  *entries(): Generator<readonly [fd: number, file: OpenFile]> {
    for (let fd = 0; fd < this.#files.length; fd++) {
      const file = this.#files[fd];
      if (file !== undefined) yield [fd, file];
    }
  }

  /** The open file of a descriptor, undefined if there is none. */
  find(fd: number): OpenFile | undefined {
    return this.#files[fd];
  }

  /** The open file of a descriptor. @throws {ErrnoError} EBADF */
  get(fd: number): OpenFile {
    const file = this.#files[fd];
    if (file === undefined) throw badDescriptor(fd);
    return file;
  }

  /** What poll(2) finds without waiting: one number a descriptor; NVAL for one that is not open. */
  poll(fds: readonly PollFd[]): number[] {
    return fds.map(({ fd, events }) =>
      this.#files[fd] === undefined ? POLL.NVAL : this.#files[fd].poll() & (events | POLL.ERR | POLL.HUP)
    );
  }

  /** The lowest number that is free. */
  free(): number {
    while (this.#files[this.#taken] !== undefined) this.#taken++;
    return this.#taken;
  }

  /** Gives a file the lowest free descriptor. @throws {ErrnoError} EMFILE, and the file is released if it is new */
  install(file: OpenFile): number {
    const fd = this.free();
    if (fd >= this.#limit) {
      file.hold();
      file.drop();
      throw vfsError(
        "EMFILE",
        "vfio.rw.descriptors",
        "descriptors",
        "fs/file.c: alloc_fd",
        `All ${this.#limit} descriptors are in use`,
      );
    }
    this.put(fd, file);
    return fd;
  }

  /** Lets a descriptor refer to a file; what it referred to before is closed. @throws {ErrnoError} EBADF */
  put(fd: number, file: OpenFile): void {
    if (fd < 0 || fd >= this.#limit) throw badDescriptor(fd);
    const before = this.#files[fd];
    this.#changes?.note(fd, before);
    file.hold();
    this.#enter(fd, file);
    before?.drop();
  }

  /** Takes a descriptor away. @throws {ErrnoError} EBADF */
  close(fd: number): void {
    const file = this.get(fd);
    this.#changes?.note(fd, file);
    this.#enter(fd, undefined);
    file.drop();
  }

  #enter(fd: number, file: OpenFile | undefined): void {
    const saved = this.#saved;
    this.#files[fd] = file;
    if (file === undefined) this.#taken = Math.min(this.#taken, Math.max(fd, FIRST_FD));
    else if (saved !== undefined) {
      file.savedAt((put) => {
        if (this.#files[fd] === file) saved.write(put, fd, file);
      });
    }
  }

  /** Another table with the same descriptors, as fork makes it. */
  copy(): DescriptorTable {
    const table = new DescriptorTable();
    for (const [fd, file] of this.entries()) table.put(fd, file);
    return table;
  }

  /** Closes everything, as the kernel does when the last thread of a process has gone. */
  closeAll(): void {
    for (const [fd] of [...this.entries()]) this.close(fd);
  }
}

/** The refusal of a descriptor that is not open. */
export function badDescriptor(fd: number) {
  return vfsError(
    "EBADF",
    "vfio.rw.descriptors",
    "descriptor",
    "fs/file.c: fdget",
    `Descriptor ${fd} is not open`,
  );
}
