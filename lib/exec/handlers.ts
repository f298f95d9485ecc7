/** Which handler answers which call. */
import { ERROR, type Handler, PROCEED } from "./call.ts";
import type { Architecture, CallName } from "./calls.ts";
import { ioctl } from "./ioctls.ts";
import * as numbers from "./numbers.ts";
import * as paths from "./paths.ts";
import * as transfer from "./transfer.ts";

const HANDLERS: Readonly<Record<CallName, Handler>> = {
  ...transfer,
  ioctl,
  lseek: numbers.lseek,
  close: numbers.close,
  close_range: numbers.closeRange,
  dup: numbers.dup,
  dup2: numbers.dup2,
  dup3: numbers.dup3,
  fcntl: numbers.fcntl,
  mmap: numbers.mmap,
  epoll_ctl: numbers.epollCtl,
  sendfile: numbers.sendfile,
  splice: numbers.splice,
  copy_file_range: numbers.copyFileRange,
  ftruncate: numbers.ftruncate,
  fchdir: numbers.notADirectory,
  sendto: numbers.notASocket,
  recvfrom: numbers.notASocket,
  sendmsg: numbers.notASocket,
  recvmsg: numbers.notASocket,
  shutdown: numbers.notASocket,
  getsockname: numbers.notASocket,
  getpeername: numbers.notASocket,
  setsockopt: numbers.notASocket,
  getsockopt: numbers.notASocket,
  eventfd: numbers.eventfd1,
  eventfd2: numbers.eventfd2,
  open: paths.open2,
  creat: paths.creat,
  openat: paths.openat,
  openat2: paths.openat2,
  stat: paths.stat1,
  lstat: paths.lstat,
  newfstatat: paths.newfstatat,
  statx: paths.statx,
  fstat: paths.fstat,
  fstatfs: paths.fstatfs,
  access: paths.access1,
  faccessat: paths.faccessat,
  faccessat2: paths.faccessat,
  readlink: paths.readlink1,
  readlinkat: paths.readlinkat,
  getxattr: paths.xattr(true, ERROR.ENODATA),
  lgetxattr: paths.xattr(false, ERROR.ENODATA),
  listxattr: paths.xattr(true, 0),
  llistxattr: paths.xattr(false, 0),
  getdents64: paths.getdents64,
  getdents: numbers.notADirectory,
  // The processes find out what a new program has when they call again.
  execve: () => PROCEED,
  execveat: () => PROCEED,
  // A ring would carry calls out that no filter sees.
  io_uring_setup: () => ERROR.ENOSYS,
};

/** Calls that only move bytes: what has ended elsewhere need not be known before them. */
const HOT: ReadonlySet<CallName> = new Set<CallName>(["pread64", "pwrite64", "read", "write"]);

/** Calls after which a descriptor may be closed, in other processes too that share the table. */
const CLOSING: ReadonlySet<CallName> = new Set<CallName>(["close", "close_range", "dup2", "dup3"]);

/** A row of the table that the loop looks calls up in. */
export interface CallRow {
  readonly name: CallName;
  readonly handler: Handler;
  readonly isHot: boolean;
  readonly closes: boolean;
}

/** Handlers by call number. */
export function handlerTable({ calls }: Architecture): readonly (CallRow | undefined)[] {
  const table: (CallRow | undefined)[] = [];
  for (const { name, number } of calls) {
    table[number] = { name, handler: HANDLERS[name], isHot: HOT.has(name), closes: CLOSING.has(name) };
  }
  return table;
}
