/**
 * A guest's process: its life, and the system calls that open, shape and map. Those that move bytes are in
 * transfer_calls.ts. Facts: vfio.rw.* and vfio.mmap.* (fs/open.c, fs/ioctl.c, mm/mmap.c).
 */
import { ErrnoError } from "../errno.ts";
import { vfsError } from "../refusal.ts";
import { readDirectory, readLink } from "../sysfs/tree.ts";
import type { AddressSpace } from "./address_space.ts";
import { direntBytes, modeName } from "./buffers.ts";
import { FIRST_FD, MAX_FDS, type PollFd } from "./descriptors.ts";
import { EventFdFile } from "./eventfd.ts";
import { type IoctlArg, OPEN_FLAGS, type OpenFile } from "./file.ts";
import { openNode } from "./nodes.ts";
import { ioctlInput, ioctlName, ioctlOutput } from "./strace.ts";
import { TransferCalls } from "./transfer_calls.ts";
import {
  checkLength,
  checkMapOffset,
  mapFile,
  mmapError,
  type Offset,
  syncFile,
  truncateFile,
} from "./vfs_checks.ts";
import { vfsIoctl } from "./vfs_ioctl.ts";

/** What a user-space driver needs of its operating system; the simulated process is one implementation. */
export type SystemCalls = Pick<
  Process,
  | "open"
  | "close"
  | "ioctl"
  | "pread"
  | "pwrite"
  | "read"
  | "eventfd"
  | "readlink"
  | "readdir"
  | "mmapAnonymous"
  | "munmap"
  | "memory"
>;

/** One process that a guest's kernel runs. */
export class Process extends TransferCalls {
  /** openat(2) of a device node, with {@linkcode OPEN_FLAGS}. @returns the descriptor */
  open(path: string, mode: number = OPEN_FLAGS.RDWR): number {
    const args = () => mode === OPEN_FLAGS.RDWR ? { path } : { path, flags: `${modeName(mode)}|O_CLOEXEC` };
    return this.call("openat", args, () => {
      const file = openNode(this.kernel, path);
      file.flags = OPEN_FLAGS.LARGEFILE | mode;
      return this.install(file);
    });
  }

  /** readlink(2), for the links of sysfs. @returns the link's target; ENOENT */
  readlink(path: string): string {
    let target = "";
    const event = this.recorder.event("readlink", { path });
    this.record(event, () => {
      target = readLink(this.kernel, path);
      event.output = { target };
      return target.length;
    });
    return target;
  }

  /** Names in a directory of sysfs, by the calls of opendir(3), readdir(3) and closedir(3). @throws {ErrnoError} ENOENT */
  readdir(path: string): readonly string[] {
    let names: readonly string[] = [];
    const flags = "O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY";
    const fd = this.call("openat", () => ({ path, flags }), () => {
      names = readDirectory(this.kernel, path);
      return this.descriptors.free();
    });
    const bytes = names.reduce((sum, name) => sum + direntBytes(name), direntBytes(".") + direntBytes(".."));
    for (const result of [bytes, 0]) {
      const output = { entries: result === 0 ? 0 : names.length + 2 };
      this.record(this.recorder.event("getdents64", { fd }, { output }), () => result);
    }
    this.call("close", () => ({ fd }), () => 0);
    return names;
  }

  /** eventfd2(2), non-blocking. @returns the descriptor */
  eventfd(): number {
    return this.call(
      "eventfd2",
      () => ({ count: 0 }),
      () => this.install(new EventFdFile(this.kernel.eventfds.create(this.kernel.newId()))),
    );
  }

  /** close(2). @throws {ErrnoError} EBADF */
  close(fd: number): number {
    this.kernel.tick();
    return this.call("close", () => ({ fd }), () => {
      this.descriptors.close(fd);
      return 0;
    });
  }

  /** dup(2): another descriptor of the same open file, with the same position. @throws {ErrnoError} EBADF, EMFILE */
  dup(fd: number): number {
    return this.call("dup", () => ({ fd }), () => this.install(this.file(fd)));
  }

  /** dup2(2): what `to` referred to before is closed. @throws {ErrnoError} EBADF */
  dup2(fd: number, to: number): number {
    return this.call("dup2", () => ({ fd, to }), () => {
      const file = this.file(fd);
      if (fd !== to) this.descriptors.put(to, file);
      return to;
    });
  }

  /** fork(2): a process with the same open files, and with `space` for its copy of the memory. */
  fork(space: AddressSpace = this.space): Process {
    const child = new Process(this.kernel, this.tracer, this.descriptors.copy(), space);
    this.kernel.processes.add(child);
    return child;
  }

  /** exit(2): closes what is open. */
  exit(): void {
    this.kernel.current = this;
    this.descriptors.closeAll();
    this.kernel.processes.delete(this);
    this.kernel.current = this.kernel.process;
  }

  /** ioctl(2). @throws {ErrnoError} EBADF, ENOTTY, and what the ioctl refuses with */
  ioctl(fd: number, request: number, arg: IoctlArg = 0): number {
    this.kernel.tick();
    this.kernel.current = this;
    const { sink } = this.tracer;
    if (sink === undefined) return this.#ioctl(fd, request, arg);
    const kind = this.descriptors.find(fd)?.kind;
    const args = { fd, request: ioctlName(kind, request) };
    const event = this.recorder.event("ioctl", args, { input: ioctlInput(kind, request, arg) });
    const takeOutput = (error?: string) => {
      const output = ioctlOutput(kind, request, arg, error);
      if (output !== undefined) event.output = output;
    };
    return this.record(event, () => {
      try {
        const result = this.#ioctl(fd, request, arg);
        takeOutput();
        return result;
      } catch (error) {
        if (error instanceof ErrnoError) takeOutput(error.code);
        throw error;
      }
    });
  }

  /** poll(2) that does not wait. @returns the bits that are there, one number a descriptor */
  poll(fds: readonly PollFd[]): number[] {
    const found = this.descriptors.poll(fds);
    const args = () => ({
      fds: fds.map(({ fd }) => fd),
      events: fds.map(({ events }) => events),
      timeout: 0,
    });
    this.call("poll", args, () => found.filter((revents) => revents !== 0).length);
    return found;
  }

  /** lseek(2): no vfio descriptor can seek. @throws {ErrnoError} EBADF, ESPIPE */
  lseek(fd: number, offset: Offset, whence: "SEEK_SET" | "SEEK_CUR" | "SEEK_END"): number {
    return this.call("lseek", () => ({ fd, offset, whence }), () => this.file(fd).lseek());
  }

  /**
   * mmap(2) of a descriptor, for reading and writing and shared unless told otherwise; no descriptor here can be mapped.
   *
   * @throws {ErrnoError} EBADF, EINVAL, ENOMEM, EOVERFLOW, EACCES, ENODEV, ENXIO
   */
  mmap(fd: number, length: Offset, offset: Offset, { write = true, shared = true } = {}): number {
    const how = { ...(write ? {} : { prot: "PROT_READ" }), ...(shared ? {} : { flags: "MAP_PRIVATE" }) };
    return this.call("mmap", () => ({ fd, length, offset, ...how }), () => {
      const request = { length, offset, write, shared };
      checkMapOffset(request);
      return mapFile(this.file(fd), request);
    });
  }

  /** fsync(2). @throws {ErrnoError} EBADF, EINVAL */
  fsync(fd: number): number {
    return this.call("fsync", () => ({ fd }), () => syncFile(this.file(fd)));
  }

  /** ftruncate(2). @throws {ErrnoError} EINVAL, EBADF */
  ftruncate(fd: number, length: Offset): number {
    return this.call("ftruncate", () => ({ fd, length }), () => {
      checkLength(length);
      return truncateFile(this.file(fd));
    });
  }

  /** fcntl(2) with F_GETFL: access mode and status flags. @throws {ErrnoError} EBADF */
  getfl(fd: number): number {
    return this.call("fcntl", () => ({ fd, command: "F_GETFL" }), () => this.file(fd).flags);
  }

  /** mmap(2) of anonymous memory, populated: whole pages of zeros. @returns the address; EINVAL, ENOMEM */
  mmapAnonymous(length: number): number {
    return this.call("mmap", () => ({ length }), () => {
      if (length === 0) throw mmapError("EINVAL", "A length of 0 cannot be mapped");
      const buffer = this.kernel.partition.storage.allocate(length);
      if (buffer === undefined) {
        throw vfsError(
          "ENOMEM",
          "vfio.mmap.memory",
          "guest memory",
          "mm/mmap.c: do_mmap",
          "The guest has no memory left",
        );
      }
      return buffer.address;
    });
  }

  /** munmap(2) of memory that {@linkcode mmapAnonymous} gave. @throws {ErrnoError} EINVAL */
  munmap(address: number): number {
    const length = () => this.kernel.partition.storage.find(address, 1)?.size ?? 0;
    return this.call("munmap", () => ({ address, length: length() }), () => {
      const { storage } = this.kernel.partition;
      if (storage.reserved.has(address) || !storage.free(address)) {
        throw vfsError(
          "EINVAL",
          "vfio.mmap.memory",
          "no such mapping",
          "mm/mmap.c: vm_munmap",
          "No memory begins at the address",
        );
      }
      return 0;
    });
  }

  /** Puts a file of a saved state back at its descriptor. */
  restoreFile(fd: number, file: OpenFile, position: number): void {
    if (fd < FIRST_FD || fd >= MAX_FDS) throw new Error(`Descriptor ${fd} is outside of the process's table`);
    file.position = position;
    this.descriptors.put(fd, file);
  }

  /** What the VFS does not answer itself is the file's. */
  #ioctl(fd: number, request: number, arg: IoctlArg): number {
    const file = this.file(fd);
    return vfsIoctl(file, request, arg, this, this.kernel.options.seed) ?? file.ioctl(request, arg);
  }
}
