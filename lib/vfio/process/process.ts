/**
 * The system calls of a guest's driver process, and what the kernel checks before any driver is asked.
 * Facts: vfio.rw.* (fs/read_write.c, fs/open.c).
 */
import { KEPT_BYTES, type SyscallEvent, type Tracer, type TraceValue } from "../../base/trace.ts";
import { ErrnoError } from "../errno.ts";
import { CallRecorder } from "./recorder.ts";
import { type AddressSpace, GuestMemory } from "./address_space.ts";
import { DescriptorTable, FIRST_FD, MAX_FDS, type PollFd } from "./descriptors.ts";
import { EventFdFile } from "./eventfd.ts";
import { type FileState, type IoctlArg, OPEN_FLAGS, type OpenFile } from "./file.ts";
import { vfsError } from "../refusal.ts";
import type { Kernel } from "../kernel.ts";
import { openNode } from "./nodes.ts";
import { readDirectory, readLink } from "../sysfs/tree.ts";
import { ioctlInput, ioctlName, ioctlOutput } from "./strace.ts";
import {
  checkDirection,
  checkLength,
  checkMapOffset,
  checkPosition,
  checkRange,
  mapFile,
  mmapError,
  notPositioned,
  type Offset,
  syncFile,
  truncateFile,
} from "./vfs_checks.ts";
import { direntBytes, eachSegment, joined, lengths, modeName, plus, readAtOnce, shown } from "./buffers.ts";
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

/** One process that a guest's kernel runs; while a call of it is carried out it is the kernel's `current`. */
export class Process {
  readonly #kernel: Kernel;
  readonly #tracer: Tracer;
  readonly #recorder: CallRecorder;
  readonly descriptors: DescriptorTable;
  /** What traces call it: the number of a real process. */
  readonly name: string;
  /** Its memory; execve gives a process another one. */
  space: AddressSpace;

  constructor(
    kernel: Kernel,
    tracer: Tracer,
    descriptors: DescriptorTable = new DescriptorTable(),
    space: AddressSpace = new GuestMemory(kernel.partition.storage),
    name = "ism",
  ) {
    this.#kernel = kernel;
    this.#tracer = tracer;
    this.descriptors = descriptors;
    this.space = space;
    this.name = name;
    this.#recorder = new CallRecorder(kernel, tracer, this);
  }

  /** Open descriptors with what they refer to. */
  files(): Generator<readonly [fd: number, file: OpenFile]> {
    return this.descriptors.entries();
  }

  /** openat(2) of a device node, with {@linkcode OPEN_FLAGS}. @returns the descriptor */
  open(path: string, mode: number = OPEN_FLAGS.RDWR): number {
    const args = () => mode === OPEN_FLAGS.RDWR ? { path } : { path, flags: `${modeName(mode)}|O_CLOEXEC` };
    return this.#call("openat", args, () => {
      const file = openNode(this.#kernel, path);
      file.flags = OPEN_FLAGS.LARGEFILE | mode;
      return this.install(file);
    });
  }

  /** readlink(2), for the links of sysfs. @returns the link's target; ENOENT */
  readlink(path: string): string {
    let target = "";
    const event = this.#recorder.event("readlink", { path });
    this.#record(event, () => {
      target = readLink(this.#kernel, path);
      event.output = { target };
      return target.length;
    });
    return target;
  }

  /** Names in a directory of sysfs, by the calls of opendir(3), readdir(3) and closedir(3). @throws {ErrnoError} ENOENT */
  readdir(path: string): readonly string[] {
    let names: readonly string[] = [];
    const flags = "O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY";
    const fd = this.#call("openat", () => ({ path, flags }), () => {
      names = readDirectory(this.#kernel, path);
      return this.descriptors.free();
    });
    const bytes = names.reduce((sum, name) => sum + direntBytes(name), direntBytes(".") + direntBytes(".."));
    for (const result of [bytes, 0]) {
      const output = { entries: result === 0 ? 0 : names.length + 2 };
      this.#record(this.#recorder.event("getdents64", { fd }, { output }), () => result);
    }
    this.#call("close", () => ({ fd }), () => 0);
    return names;
  }

  /** eventfd2(2), non-blocking. @returns the descriptor */
  eventfd(): number {
    return this.#call(
      "eventfd2",
      () => ({ count: 0 }),
      () => this.install(new EventFdFile(this.#kernel.newEventFd())),
    );
  }

  /** close(2). @throws {ErrnoError} EBADF */
  close(fd: number): number {
    this.#kernel.tick();
    return this.#call("close", () => ({ fd }), () => {
      this.descriptors.close(fd);
      return 0;
    });
  }

  /** dup(2): another descriptor of the same open file, with the same position. @throws {ErrnoError} EBADF, EMFILE */
  dup(fd: number): number {
    return this.#call("dup", () => ({ fd }), () => this.install(this.file(fd)));
  }

  /** dup2(2): what `to` referred to before is closed. @throws {ErrnoError} EBADF */
  dup2(fd: number, to: number): number {
    return this.#call("dup2", () => ({ fd, to }), () => {
      const file = this.file(fd);
      if (fd !== to) this.descriptors.put(to, file);
      return to;
    });
  }

  /** fork(2): a process with the same open files, and with `space` for its copy of the memory. */
  fork(space: AddressSpace = this.space): Process {
    const child = new Process(this.#kernel, this.#tracer, this.descriptors.copy(), space);
    this.#kernel.processes.add(child);
    return child;
  }

  /** exit(2): closes what is open. */
  exit(): void {
    this.#kernel.current = this;
    this.descriptors.closeAll();
    this.#kernel.processes.delete(this);
    this.#kernel.current = this.#kernel.process;
  }

  /** ioctl(2). @throws {ErrnoError} EBADF, ENOTTY, and what the ioctl refuses with */
  ioctl(fd: number, request: number, arg: IoctlArg = 0): number {
    this.#kernel.tick();
    this.#kernel.current = this;
    const { sink } = this.#tracer;
    if (sink === undefined) return this.#ioctl(fd, request, arg);
    const kind = this.descriptors.find(fd)?.kind;
    const args = { fd, request: ioctlName(kind, request) };
    const event = this.#recorder.event("ioctl", args, { input: ioctlInput(kind, request, arg) });
    const takeOutput = (error?: string) => {
      const output = ioctlOutput(kind, request, arg, error);
      if (output !== undefined) event.output = output;
    };
    return this.#record(event, () => {
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

  /** pread64(2): `count` bytes at `position` into `buffer` from index `start`. @returns bytes read */
  pread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start = 0): number {
    return this.#tracer.sink === undefined
      ? this.#pread(fd, buffer, count, position, start)
      : this.#tracedPread(fd, buffer, count, position, start);
  }

  /** pwrite64(2): `count` bytes of `buffer` from index `start` at `position`. @returns bytes written */
  pwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start = 0): number {
    return this.#tracer.sink === undefined
      ? this.#pwrite(fd, buffer, count, position, start)
      : this.#tracedPwrite(fd, buffer, count, position, start);
  }

  /** read(2) at the descriptor's own position, which advances by the result. */
  read(fd: number, buffer: Uint8Array, count: Offset): number {
    this.#kernel.tick();
    return this.#tracer.sink === undefined
      ? this.#read(fd, buffer, count)
      : this.#tracedRead(fd, buffer, count);
  }

  #tracedRead(fd: number, buffer: Uint8Array, count: Offset): number {
    const event = this.#recorder.event("read", { fd, count });
    return this.#record(event, () => {
      const result = this.#read(fd, buffer, count);
      event.data = shown(buffer, 0, result);
      return result;
    });
  }

  #read(fd: number, buffer: Uint8Array, count: Offset): number {
    const file = this.#directed(fd, "read");
    const clamped = checkRange(file.position, count);
    const result = file.read(buffer, clamped, file.position, 0);
    file.position += result;
    return result;
  }

  /** write(2) at the descriptor's own position, which advances by the result. */
  write(fd: number, buffer: Uint8Array, count: Offset): number {
    return this.#call("write", () => ({ fd, count }), () => {
      const file = this.#directed(fd, "write");
      const clamped = checkRange(file.position, count);
      const result = file.write(buffer, clamped, file.position, 0);
      file.position += result;
      return result;
    }, () => shown(buffer, 0, count));
  }

  /** poll(2) that does not wait. @returns the bits that are there, one number a descriptor */
  poll(fds: readonly PollFd[]): number[] {
    const found = this.descriptors.poll(fds);
    const args = () => ({
      fds: fds.map(({ fd }) => fd),
      events: fds.map(({ events }) => events),
      timeout: 0,
    });
    this.#call("poll", args, () => found.filter((revents) => revents !== 0).length);
    return found;
  }

  /** lseek(2): no vfio descriptor can seek. @throws {ErrnoError} EBADF, ESPIPE */
  lseek(fd: number, offset: Offset, whence: "SEEK_SET" | "SEEK_CUR" | "SEEK_END"): number {
    return this.#call("lseek", () => ({ fd, offset, whence }), () => this.file(fd).lseek());
  }

  /**
   * mmap(2) of a descriptor, for reading and writing and shared unless told otherwise; no descriptor here can be mapped.
   *
   * @throws {ErrnoError} EBADF, EINVAL, ENOMEM, EOVERFLOW, EACCES, ENODEV, ENXIO
   */
  mmap(fd: number, length: Offset, offset: Offset, { write = true, shared = true } = {}): number {
    const how = { ...(write ? {} : { prot: "PROT_READ" }), ...(shared ? {} : { flags: "MAP_PRIVATE" }) };
    return this.#call("mmap", () => ({ fd, length, offset, ...how }), () => {
      const request = { length, offset, write, shared };
      checkMapOffset(request);
      return mapFile(this.file(fd), request);
    });
  }

  /** fsync(2). @throws {ErrnoError} EBADF, EINVAL */
  fsync(fd: number): number {
    return this.#call("fsync", () => ({ fd }), () => syncFile(this.file(fd)));
  }

  /** ftruncate(2). @throws {ErrnoError} EINVAL, EBADF */
  ftruncate(fd: number, length: Offset): number {
    return this.#call("ftruncate", () => ({ fd, length }), () => {
      checkLength(length);
      return truncateFile(this.file(fd));
    });
  }

  /** fcntl(2) with F_GETFL: access mode and status flags. @throws {ErrnoError} EBADF */
  getfl(fd: number): number {
    return this.#call("fcntl", () => ({ fd, command: "F_GETFL" }), () => this.file(fd).flags);
  }

  /** preadv(2): one driver call per segment. @returns bytes read */
  preadv(fd: number, segments: readonly Uint8Array[], position: Offset): number {
    return this.#vectorCall("preadv", { fd, iov: lengths(segments), position }, segments, () => {
      checkDirection(this.#positioned(fd, position, "preadv"), "read");
      return eachSegment(
        segments,
        (buffer, done) => this.#pread(fd, buffer, buffer.length, plus(position, done), 0),
      );
    });
  }

  /** pwritev(2): one driver call, and so one store block on a BAR, per segment. @returns bytes written */
  pwritev(fd: number, segments: readonly Uint8Array[], position: Offset): number {
    return this.#vectorCall("pwritev", { fd, iov: lengths(segments), position }, segments, () => {
      checkDirection(this.#positioned(fd, position, "pwritev"), "write");
      return eachSegment(
        segments,
        (buffer, done) => this.#pwrite(fd, buffer, buffer.length, plus(position, done), 0),
      );
    });
  }

  /** readv(2) at the descriptor's own position. @returns bytes read */
  readv(fd: number, segments: readonly Uint8Array[]): number {
    this.#kernel.tick();
    return this.#vectorCall("readv", { fd, iov: lengths(segments) }, segments, () => {
      const file = this.#directed(fd, "read");
      if (file.readsAtOnce) return readAtOnce(file, segments);
      const total = eachSegment(segments, (buffer, done) => {
        const at = file.position + done;
        return file.read(buffer, checkRange(at, buffer.length), at, 0);
      });
      file.position += total;
      return total;
    });
  }

  /** writev(2) at the descriptor's own position. @returns bytes written */
  writev(fd: number, segments: readonly Uint8Array[]): number {
    return this.#vectorCall("writev", { fd, iov: lengths(segments) }, segments, () => {
      const file = this.#directed(fd, "write");
      const total = eachSegment(segments, (buffer, done) => {
        const at = file.position + done;
        return file.write(buffer, checkRange(at, buffer.length), at, 0);
      });
      file.position += total;
      return total;
    });
  }

  /** Records a vector call with the bytes that it wrote or read, as far as they are shown. */
  #vectorCall(
    op: SyscallEvent["op"],
    args: Record<string, TraceValue>,
    segments: readonly Uint8Array[],
    run: () => number,
  ): number {
    if (this.#tracer.sink === undefined) return this.#call(op, () => args, run);
    const event = this.#recorder.event(op, args);
    const isWrite = op.endsWith("writev");
    if (isWrite) event.data = joined(segments, KEPT_BYTES);
    return this.#record(event, () => {
      const result = run();
      if (!isWrite) event.data = joined(segments, Math.min(result, KEPT_BYTES));
      return result;
    });
  }

  /** mmap(2) of anonymous memory, populated: whole pages of zeros. @returns the address; EINVAL, ENOMEM */
  mmapAnonymous(length: number): number {
    return this.#call("mmap", () => ({ length }), () => {
      if (length === 0) throw mmapError("EINVAL", "A length of 0 cannot be mapped");
      const buffer = this.#kernel.partition.storage.allocate(length);
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
    const length = () => this.#kernel.partition.storage.find(address, 1)?.size ?? 0;
    return this.#call("munmap", () => ({ address, length: length() }), () => {
      const { storage } = this.#kernel.partition;
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

  /** The process's own loads and stores: `length` bytes of its memory at `address`, marked dirty if `write`. */
  memory(address: number, length: number, write: boolean): Uint8Array {
    return this.space.bytes(address, length, write);
  }

  /** The open file of a descriptor. @throws {ErrnoError} EBADF */
  file(fd: number): OpenFile {
    return this.descriptors.get(fd);
  }

  /** Puts a file of a saved state back at its descriptor. */
  restoreFile(fd: number, file: OpenFile, position: number): void {
    if (fd < FIRST_FD || fd >= MAX_FDS) throw new Error(`Descriptor ${fd} is outside of the process's table`);
    file.position = position;
    this.descriptors.put(fd, file);
  }

  /** Gives a file the lowest free descriptor. @throws {ErrnoError} EMFILE */
  install(file: OpenFile): number {
    return this.descriptors.install(file);
  }

  // Apart from the calls themselves: a closure over their parameters would cost an allocation with every call.
  #tracedPread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    const event = this.#recorder.event("pread64", { fd, count, position });
    return this.#record(event, () => {
      const result = this.#pread(fd, buffer, count, position, start);
      event.data = shown(buffer, start, result);
      return result;
    });
  }

  #tracedPwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    const data = shown(buffer, start, count);
    const event = this.#recorder.event("pwrite64", { fd, count, position }, { data });
    return this.#record(event, () => this.#pwrite(fd, buffer, count, position, start));
  }

  /** What the VFS does not answer itself is the file's. */
  #ioctl(fd: number, request: number, arg: IoctlArg): number {
    const file = this.file(fd);
    return vfsIoctl(file, request, arg, this, this.#kernel.options.seed) ?? file.ioctl(request, arg);
  }

  /** The file of a descriptor that is open for that direction. @throws {ErrnoError} EBADF, EINVAL */
  #directed(fd: number, direction: "read" | "write"): OpenFile {
    const file = this.file(fd);
    checkDirection(file, direction);
    return file;
  }

  /** Checks 1 and 2 of vfio.rw.vfs: the position comes before the descriptor. */
  #positioned(fd: number, position: Offset, op: string): OpenFile {
    checkPosition(position);
    const file = this.file(fd);
    if (!file.positioned) throw notPositioned(op);
    return file;
  }

  #pread(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    this.#kernel.current = this;
    const file = this.#positioned(fd, position, "pread");
    checkDirection(file, "read");
    const clamped = checkRange(position, count);
    return file.read(buffer, clamped, typeof position === "number" ? position : Number(position), start);
  }

  #pwrite(fd: number, buffer: Uint8Array, count: Offset, position: Offset, start: number): number {
    this.#kernel.current = this;
    const file = this.#positioned(fd, position, "pwrite");
    checkDirection(file, "write");
    const clamped = checkRange(position, count);
    return file.write(buffer, clamped, typeof position === "number" ? position : Number(position), start);
  }

  /** Runs a call of this process, recorded if a trace is taken. */
  #call(...[op, args, run, data]: Parameters<CallRecorder["call"]>): number {
    this.#kernel.current = this;
    return this.#recorder.call(op, args, run, data);
  }

  #record(event: SyscallEvent, run: () => number): number {
    this.#kernel.current = this;
    return this.#recorder.record(event, run);
  }
}

/**
 * A descriptor for the host file. Which descriptors share an open file is not part of it: no command of ism makes two
 * that do.
 */
export function saveFile(fd: number, file: OpenFile): FileState {
  const { kind, position, flags, id, shared } = file;
  if (shared || kind === "other") throw new Error(`Descriptor ${fd} is of a kind that is not saved`);
  return { fd, kind, position, flags, id, ...file.save() };
}
