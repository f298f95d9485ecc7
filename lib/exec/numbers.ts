/** Calls that are about descriptors and not about what is behind them: dup, fcntl, close, and what a device refuses. */
import type { OpenFile } from "../vfio/process/file.ts";
import { type Call, ERROR, type Handler, PROCEED } from "./call.ts";
import { O } from "./libc.ts";
import { TreeFile } from "./tree_files.ts";

const F_DUPFD = 0;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
/** What F_SETFL changes: O_APPEND, O_NONBLOCK, O_NOATIME; without fasync and direct access no file here has more. */
const CHANGEABLE = 0o2000 | O.NONBLOCK | 0o1000000;
const EPOLL_CTL_DEL = 2;

/** Gives the caller another descriptor of a file. */
function duplicate(
  { process: { table } }: Call,
  file: OpenFile,
  lowest: number,
  closeOnExec: boolean,
): number {
  table.closeOnExec = closeOnExec;
  table.lowest = lowest;
  return table.install(file);
}

/** dup(2): the new number is one of the supervisor's range, and so not always the lowest that is free. */
export const dup: Handler = (call) => {
  const file = call.process.table.ours(call.listener.int(0));
  return file === undefined ? PROCEED : duplicate(call, file, 0, false);
};

/** dup2(2) and dup3(2). The new number has to be one that comes to the supervisor. */
function duplicateTo(call: Call, flags: number, same: number): number {
  const { listener, process: { table }, range, links, remark } = call;
  const from = listener.int(0);
  const to = listener.int(1);
  const file = table.ours(from);
  if (file === undefined) {
    table.forget(to);
    return PROCEED;
  }
  if ((flags & ~O.CLOEXEC) !== 0) return ERROR.EINVAL;
  if (from === to) return same < 0 ? same : to;
  if (to < range.first || to >= range.end) {
    remark(
      `descriptor ${to} cannot mean a simulated file: run the program with --any-descriptor to let all numbers do`,
    );
    return ERROR.EMFILE;
  }
  const closeOnExec = (flags & O.CLOEXEC) !== 0;
  const given = links.give(file, (fd) => listener.addDescriptor(fd, to, closeOnExec));
  if (typeof given === "number") return given;
  table.forget(to);
  table.record(given.number, given.link);
  return to;
}

export const dup2: Handler = (call) => duplicateTo(call, 0, 0);
export const dup3: Handler = (call) => duplicateTo(call, call.listener.int(2), ERROR.EINVAL);

export const fcntl: Handler = (call) => {
  const { listener, process: { table } } = call;
  const file = table.ours(listener.int(0));
  if (file === undefined) return PROCEED;
  const argument = listener.int(2);
  switch (listener.int(1)) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (argument < 0) return ERROR.EINVAL;
      return duplicate(call, file, argument, listener.int(1) === F_DUPFD_CLOEXEC);
    case F_GETFL:
      return file.flags;
    case F_SETFL:
      file.flags = file.flags & ~CHANGEABLE | argument & CHANGEABLE;
      return 0;
  }
  // The flags of the descriptor, locks and owners are those of the real one.
  return PROCEED;
};

/** close(2): the kernel closes the descriptor; the file follows when its last copy has hung up. */
export const close: Handler = ({ listener, process: { table } }) => {
  table.forget(listener.int(0));
  return PROCEED;
};

const CLOSE_RANGE_CLOEXEC = 4;

export const closeRange: Handler = ({ listener, process: { table } }) => {
  if ((listener.uint(2) & CLOSE_RANGE_CLOEXEC) !== 0) return PROCEED;
  for (const fd of table.numbers(listener.uint(0), listener.uint(1))) table.forget(fd);
  return PROCEED;
};

export const lseek: Handler = ({ listener, process: { process, table } }) => {
  const fd = listener.int(0);
  const file = table.ours(fd);
  if (file === undefined) return PROCEED;
  const whence = listener.int(2);
  if (whence < 0 || whence > 4) return ERROR.EINVAL;
  const offset = BigInt.asIntN(64, BigInt(listener.offset(1)));
  return file instanceof TreeFile ? file.seek(Number(offset), whence) : process.lseek(fd, offset, "SEEK_SET");
};

const MAP_ANONYMOUS = 0x20;
const MAP_PRIVATE = 2;
const MAP_TYPE = 0xf;
const PROT_WRITE = 2;

export const mmap: Handler = ({ listener, process: { process, table } }) => {
  const fd = listener.int(4);
  const flags = listener.uint(3);
  if ((flags & MAP_ANONYMOUS) !== 0 || table.ours(fd) === undefined) return PROCEED;
  const how = { write: (listener.uint(2) & PROT_WRITE) !== 0, shared: (flags & MAP_TYPE) !== MAP_PRIVATE };
  return process.mmap(fd, listener.offset(1), listener.offset(5), how);
};

export const ftruncate: Handler = ({ listener, process: { process, table } }) => {
  const fd = listener.int(0);
  return table.ours(fd) === undefined ? PROCEED : process.ftruncate(fd, listener.offset(1));
};

/** A device has no poll operation, and so no place in an epoll set (fs/eventpoll.c: do_epoll_ctl). */
export const epollCtl: Handler = ({ listener, process: { table } }) => {
  const file = table.ours(listener.int(2));
  if (file === undefined || file.kind === "fault-queue") return PROCEED;
  return listener.int(1) === EPOLL_CTL_DEL ? ERROR.ENOENT : ERROR.EPERM;
};

/** Whatever one of these arguments says: EINVAL for a file without the operation. */
function refuse(error: number, ...indices: readonly number[]): Handler {
  return ({ listener, process: { table } }) =>
    indices.some((index) => table.ours(listener.int(index)) !== undefined) ? error : PROCEED;
}

export const notASocket = refuse(ERROR.ENOTSOCK, 0);
export const notADirectory = refuse(ERROR.ENOTDIR, 0);
export const sendfile = refuse(ERROR.EINVAL, 0, 1);
export const splice = refuse(ERROR.EINVAL, 0, 2);
export const copyFileRange = refuse(ERROR.EINVAL, 0, 2);

/** eventfd(2) and eventfd2(2): one that the supervisor keeps a descriptor of, to signal it. */
function eventfd(call: Call, flags: number): number {
  const { listener, eventfds } = call;
  const NONBLOCK_AND_SEMAPHORE = O.NONBLOCK | 1;
  if ((flags & ~(O.CLOEXEC | NONBLOCK_AND_SEMAPHORE)) !== 0) return PROCEED;
  const own = eventfds.create(listener.uint(0), flags & NONBLOCK_AND_SEMAPHORE);
  if (own < 0) return PROCEED;
  const number = listener.addDescriptor(own, undefined, (flags & O.CLOEXEC) !== 0);
  eventfds.keep(own);
  return number;
}

export const eventfd1: Handler = (call) => eventfd(call, 0);
export const eventfd2: Handler = (call) => eventfd(call, call.listener.int(1));
