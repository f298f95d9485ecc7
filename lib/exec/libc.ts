/**
 * The C library, and nothing else of `ism` calls foreign code. Results that fit are `i32`, which costs no bigint:
 * a count of bytes here is far below 2^31, and -1 stays -1.
 */
const SYMBOLS = {
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  ioctlValue: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" },
  syscall3: { name: "syscall", parameters: ["i64", "i64", "i64", "i64"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  pollAside: { name: "poll", parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  processVmReadv: {
    name: "process_vm_readv",
    parameters: ["i32", "buffer", "u64", "buffer", "u64", "u64"],
    result: "i32",
  },
  processVmWritev: {
    name: "process_vm_writev",
    parameters: ["i32", "buffer", "u64", "buffer", "u64", "u64"],
    result: "i32",
  },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u64"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u64"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  timerfdCreate: { name: "timerfd_create", parameters: ["i32", "i32"], result: "i32" },
  timerfdSettime: {
    name: "timerfd_settime",
    parameters: ["i32", "i32", "buffer", "pointer"],
    result: "i32",
  },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getpid: { parameters: [], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  waitid: { parameters: ["i32", "u32", "buffer", "i32"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  waitpidAside: { name: "waitpid", parameters: ["i32", "buffer", "i32"], result: "i32", nonblocking: true },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;
/** What most programs never need: each function costs the start some tenths of a millisecond. */
const SELDOM = {
  memfdCreate: { name: "memfd_create", parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  mmap: { parameters: ["pointer", "u64", "i32", "i32", "i32", "i64"], result: "pointer" },
  readlink: { parameters: ["buffer", "buffer", "u64"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  popen: { parameters: ["buffer", "buffer"], result: "pointer" },
  pclose: { parameters: ["pointer"], result: "i32" },
  fread: { parameters: ["buffer", "u64", "u64", "pointer"], result: "i32" },
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the C library; the empty name is the one that this process has, glibc's or musl's. */
export const libc = Deno.dlopen("", SYMBOLS).symbols;

let seldomLibrary: Deno.DynamicLibrary<typeof SELDOM> | undefined;

/** Functions of the C library that are looked up when the first of them is needed. */
export function seldom(): Deno.DynamicLibrary<typeof SELDOM>["symbols"] {
  return (seldomLibrary ??= Deno.dlopen("", SELDOM)).symbols;
}

const errnoView = new Deno.UnsafePointerView(libc.__errno_location()!);

/** The error number that the last failed call of this thread left. */
export function errno(): number {
  return errnoView.getInt32();
}

/** A buffer whose address stays: a small typed array without a buffer of its own may move. */
export function pinned(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** Where a buffer lies. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** A C string in a buffer of its own. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const terminated = pinned(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** open(2) flags and others that are the same on both architectures. */
export const O = { RDONLY: 0, RDWR: 2, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;
const READ_BYTES = 65536;

/** Contents of a file that need not have a size, as those of /proc; undefined if it cannot be read. */
export function readFile(path: string): Uint8Array | undefined {
  const fd = libc.open(cString(path), O.RDONLY | O.CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    const parts: Uint8Array[] = [];
    const part = pinned(READ_BYTES);
    for (;;) {
      const count = libc.read(fd, part, BigInt(READ_BYTES));
      if (count < 0) return undefined;
      if (count === 0) break;
      parts.push(part.slice(0, count));
    }
    if (parts.length === 1) return parts[0]!;
    const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    parts.reduce((at, bytes) => (all.set(bytes, at), at + bytes.length), 0);
    return all;
  } finally {
    libc.close(fd);
  }
}

/** What a line of the shell writes to its standard output; undefined if there is no shell. */
export function outputOf(line: string): string | undefined {
  const stream = seldom().popen(cString(line), cString("re"));
  if (stream === null) return undefined;
  const decoder = new TextDecoder();
  const part = pinned(READ_BYTES);
  let text = "";
  for (;;) {
    const count = seldom().fread(part, 1n, BigInt(READ_BYTES), stream);
    if (count <= 0) break;
    text += decoder.decode(part.subarray(0, count), { stream: true });
  }
  seldom().pclose(stream);
  return text;
}

const linkTarget = pinned(4096);

/** Target of a symbolic link; undefined if there is no such link. */
export function readLink(path: string): string | undefined {
  const count = seldom().readlink(cString(path), linkTarget, BigInt(linkTarget.length));
  return count < 0 ? undefined : new TextDecoder().decode(linkTarget.subarray(0, count));
}

/** Offset of the name in struct dirent. */
const NAME_AT = 19;

/** Names in a directory of the real machine; undefined if it cannot be read. */
export function readDirectoryNames(path: string): string[] | undefined {
  const directory = seldom().opendir(cString(path));
  if (directory === null) return undefined;
  const names: string[] = [];
  for (let entry = seldom().readdir(directory); entry !== null; entry = seldom().readdir(directory)) {
    names.push(new Deno.UnsafePointerView(entry).getCString(NAME_AT));
  }
  seldom().closedir(directory);
  return names;
}
