/** Calls that name a file: open, stat, access, readlink and their kin, for what is in the guest's tree. */
import type { OpenFile } from "../vfio/process/file.ts";
import { type Call, ERROR, type Handler, PROCEED } from "./call.ts";
import { O, readLink } from "./libc.ts";
import { mayBeOurs, type Place, resolve } from "./resolve.ts";
import { ANONYMOUS, encodeStat, encodeStatx, type Status, statusOf } from "./stat.ts";
import { buildTree } from "./tree.ts";
import { AttributeFile, DirectoryFile, TreeFile } from "./tree_files.ts";
import { copyFrom, copyTo, type Scratch } from "./user_copy.ts";

const PATH_MAX = 4096;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const O_ACCMODE = 3;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_PATH = 0o10000000;
/** Flags that say how to open, and that nobody sees afterwards: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_CLOEXEC. */
const OPENING = O_CREAT | O_EXCL | 0o400 | 0o1000 | O.CLOEXEC;
const X_OK = 1;

/** A path argument; undefined where the kernel had better answer itself: it cannot be read, or is too long. */
function pathAt(call: Call, index: number): string | undefined {
  const address = call.listener.long(index);
  if (address === 0) return "";
  const { bytes } = call.scratch;
  const length = copyFrom(call.thread, address, call.scratch, 0, PATH_MAX);
  const end = bytes.subarray(0, length).indexOf(0);
  return end < 0 ? undefined : new TextDecoder().decode(bytes.subarray(0, end));
}

/** The absolute form of a path; undefined if it starts at nothing that has a name. */
function absolute(call: Call, directory: number, path: string): string | undefined {
  if (path.startsWith("/")) return path;
  const ours = directory === AT_FDCWD ? undefined : call.process.table.ours(directory);
  const base = ours !== undefined
    ? ours.path
    : readLink(`/proc/${call.thread}/${directory === AT_FDCWD ? "cwd" : `fd/${directory}`}`);
  return base?.startsWith("/") ? `${base}/${path}` : undefined;
}

/** The place that a call names: undefined for the real machine's, a negative error number for none. */
function place(call: Call, directory: number, at: number, follow: boolean): Place | number | undefined {
  const path = pathAt(call, at);
  if (path === undefined || path === "") return undefined;
  const full = absolute(call, directory, path);
  if (full === undefined || !mayBeOurs(full)) return undefined;
  return resolve(buildTree(call.kernel), full, follow);
}

function open(call: Call, directory: number, at: number, flags: number): number {
  const { architecture, process: { process, table } } = call;
  const follow = (flags & architecture.noFollowFlag) === 0;
  const found = place(call, directory, at, follow);
  if (found === undefined) return PROCEED;
  if (typeof found === "number") return (flags & O_CREAT) !== 0 ? ERROR.EACCES : found;
  const { path, node } = found;
  if (node.kind === "link") return ERROR.ELOOP;
  if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return ERROR.EEXIST;
  if ((flags & architecture.directoryFlag) !== 0 && node.kind !== "directory") return ERROR.ENOTDIR;
  table.closeOnExec = (flags & O.CLOEXEC) !== 0;
  table.lowest = 0;
  const kept = flags & ~OPENING | architecture.largeFileFlag;
  const install = (file: OpenFile) => {
    file.flags = kept;
    return table.install(file);
  };
  switch (node.kind) {
    case "device": {
      // A path alone opens nothing.
      if ((flags & O_PATH) !== 0) return install(new NamedFile(path, node));
      return process.open(path, kept);
    }
    case "directory":
      if ((flags & O_ACCMODE) !== 0 || (flags & O_CREAT) !== 0) return ERROR.EISDIR;
      return install(new DirectoryFile(path, node));
    case "attribute": {
      const mode = flags & O_ACCMODE;
      // fs/kernfs/file.c: kernfs_fop_open refuses even root what the mode has for nobody.
      if (mode !== 1 && node.read === undefined || mode !== 0 && node.write === undefined) {
        return ERROR.EACCES;
      }
      return install(new AttributeFile(path, node));
    }
  }
}

/** What O_PATH gives: a name, with which nothing can be read or written. */
class NamedFile extends TreeFile {
  override readonly node;
  protected override readonly end = 0;

  constructor(path: string, node: Place["node"]) {
    super(path);
    this.node = node;
  }
}

export const open2: Handler = (call) => open(call, AT_FDCWD, 0, call.listener.uint(1));
export const creat: Handler = (call) => open(call, AT_FDCWD, 0, O_CREAT | 0o1001);
export const openat: Handler = (call) => open(call, call.listener.int(0), 1, call.listener.uint(2));

/** openat2(2): struct open_how begins with the flags; whatever it wants of the way there the tree has. */
export const openat2: Handler = (call) => {
  const { listener, scratch, thread } = call;
  const HOW_BYTES = 24;
  if (listener.long(3) < HOW_BYTES) return PROCEED;
  if (copyFrom(thread, listener.long(2), scratch, 0, HOW_BYTES) < HOW_BYTES) return PROCEED;
  const flags = new DataView(scratch.bytes.buffer).getUint32(0, true);
  return open(call, listener.int(0), 1, flags);
};

/** Copies bytes to the caller. */
function give(call: Call, address: number, bytes: Uint8Array, scratch: Scratch = call.scratch): number {
  scratch.bytes.set(bytes);
  return copyTo(call.thread, address, scratch, 0, bytes.length) === bytes.length ? 0 : ERROR.EFAULT;
}

function statusOfFile(file: OpenFile, call: Call): Status {
  if (file instanceof TreeFile) return statusOf(file.path, file.node);
  const found = resolve(buildTree(call.kernel), file.path, true);
  return typeof found === "object" ? statusOf(found.path, found.node) : ANONYMOUS;
}

/** Finds what a stat call means, by path or by descriptor. */
function statusFor(
  call: Call,
  directory: number,
  at: number,
  flags: number,
): Status | number | undefined {
  const path = pathAt(call, at);
  if (path === undefined) return undefined;
  if (path === "") {
    const file = (flags & AT_EMPTY_PATH) === 0 ? undefined : call.process.table.ours(directory);
    return file === undefined ? undefined : statusOfFile(file, call);
  }
  const found = place(call, directory, at, (flags & AT_SYMLINK_NOFOLLOW) === 0);
  return typeof found === "object" ? statusOf(found.path, found.node) : found;
}

function stat(call: Call, directory: number, at: number, flags: number): number {
  const status = statusFor(call, directory, at, flags);
  if (status === undefined) return PROCEED;
  if (typeof status === "number") return status;
  return give(call, call.listener.long(at + 1), encodeStat(call.architecture.stat, status));
}

export const stat1: Handler = (call) => stat(call, AT_FDCWD, 0, 0);
export const lstat: Handler = (call) => stat(call, AT_FDCWD, 0, AT_SYMLINK_NOFOLLOW);
export const newfstatat: Handler = (call) => stat(call, call.listener.int(0), 1, call.listener.uint(3));

export const statx: Handler = (call) => {
  const { listener } = call;
  const status = statusFor(call, listener.int(0), 1, listener.uint(2));
  if (status === undefined) return PROCEED;
  return typeof status === "number" ? status : give(call, listener.long(4), encodeStatx(status));
};

export const fstat: Handler = (call) => {
  const file = call.process.table.ours(call.listener.int(0));
  if (file === undefined) return PROCEED;
  return give(call, call.listener.long(1), encodeStat(call.architecture.stat, statusOfFile(file, call)));
};

/** The program may do what root may; only running a file that is none is refused. */
function access(call: Call, directory: number, at: number, mode: number): number {
  const found = place(call, directory, at, true);
  if (found === undefined) return PROCEED;
  if (typeof found === "number") return found;
  if ((mode & ~7) !== 0) return ERROR.EINVAL;
  return (mode & X_OK) !== 0 && found.node.kind !== "directory" ? ERROR.EACCES : 0;
}

export const access1: Handler = (call) => access(call, AT_FDCWD, 0, call.listener.int(1));
export const faccessat: Handler = (call) => access(call, call.listener.int(0), 1, call.listener.int(2));

/** /proc/self/fd/N, by whichever name the process has for itself. */
const DESCRIPTOR_LINK = /^\/proc\/(self|thread-self|\d+)\/fd\/(\d+)$/;

function readlink(call: Call, directory: number, at: number): number {
  const path = pathAt(call, at);
  if (path === undefined) return PROCEED;
  const target = targetOf(call, directory, at, path);
  if (target === undefined || typeof target === "number") return target ?? PROCEED;
  const size = call.listener.int(at + 2);
  if (size <= 0) return ERROR.EINVAL;
  const bytes = new TextEncoder().encode(target).subarray(0, size);
  const given = give(call, call.listener.long(at + 1), bytes);
  return given < 0 ? given : bytes.length;
}

function targetOf(call: Call, directory: number, at: number, path: string): string | number | undefined {
  const [, who, fd] = DESCRIPTOR_LINK.exec(path) ?? [];
  if (fd !== undefined) {
    const own = !/^\d/.test(who!) || Number(who) === call.process.id || Number(who) === call.thread;
    return own ? call.process.table.ours(Number(fd))?.path : undefined;
  }
  const found = place(call, directory, at, false);
  if (typeof found !== "object") return found;
  return found.node.kind === "link" ? found.node.target : ERROR.EINVAL;
}

export const readlink1: Handler = (call) => readlink(call, AT_FDCWD, 0);
export const readlinkat: Handler = (call) => readlink(call, call.listener.int(0), 1);

/** Nothing in the tree has extended attributes. */
export const xattr = (follow: boolean, answer: number): Handler => (call) => {
  const found = place(call, AT_FDCWD, 0, follow);
  return found === undefined ? PROCEED : typeof found === "number" ? found : answer;
};

export const getdents64: Handler = (call) => {
  const { listener, process: { table } } = call;
  const file = table.ours(listener.int(0));
  if (file === undefined) return PROCEED;
  if (!(file instanceof DirectoryFile)) return ERROR.ENOTDIR;
  const bytes = file.entries(Math.min(listener.uint(2), call.scratch.bytes.length));
  const given = give(call, listener.long(1), bytes);
  return given < 0 ? given : bytes.length;
};

const SYSFS_MAGIC = 0x6265_6572n;
const DEVTMPFS_MAGIC = 0x0102_1994n;
const NAME_MAX = 255n;

/** struct statfs: which file system it is, and how long a name may be. */
export const fstatfs: Handler = (call) => {
  const file = call.process.table.ours(call.listener.int(0));
  if (file === undefined) return PROCEED;
  const words = new BigUint64Array(15);
  words[0] = file.path.startsWith("/sys/") ? SYSFS_MAGIC : DEVTMPFS_MAGIC;
  words[1] = words[9] = 4096n;
  words[8] = NAME_MAX;
  return give(call, call.listener.long(1), new Uint8Array(words.buffer));
};
