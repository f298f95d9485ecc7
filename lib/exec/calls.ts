/**
 * The system calls that `exec` looks at, by architecture: their numbers, and when a call comes to the supervisor.
 * Source of the numbers: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl.
 */

/** When a call is trapped: always, or when one of these arguments is a descriptor of the supervisor's range. */
export type Trigger = "always" | readonly number[];

/** Name, number on x86-64, number on arm64 (-1 where there is none), trigger. */
type Row = readonly [name: string, x86: number, arm: number, trigger: Trigger];

const FIRST = [0] as const;

const ROWS = [
  ["pread64", 17, 67, FIRST],
  ["pwrite64", 18, 68, FIRST],
  ["ioctl", 16, 29, FIRST],
  ["read", 0, 63, FIRST],
  ["write", 1, 64, FIRST],
  ["readv", 19, 65, FIRST],
  ["writev", 20, 66, FIRST],
  ["preadv", 295, 69, FIRST],
  ["pwritev", 296, 70, FIRST],
  ["preadv2", 327, 286, FIRST],
  ["pwritev2", 328, 287, FIRST],
  ["lseek", 8, 62, FIRST],
  ["close", 3, 57, FIRST],
  ["dup", 32, 23, FIRST],
  ["dup2", 33, -1, [0, 1]],
  ["dup3", 292, 24, [0, 1]],
  ["fcntl", 72, 25, FIRST],
  ["fstat", 5, 80, FIRST],
  ["mmap", 9, 222, [4]],
  ["getdents64", 217, 61, FIRST],
  ["getdents", 78, -1, FIRST],
  ["fstatfs", 138, 44, FIRST],
  ["fchdir", 81, 50, FIRST],
  ["ftruncate", 77, 46, FIRST],
  ["sendfile", 40, 71, [0, 1]],
  ["splice", 275, 76, [0, 2]],
  ["copy_file_range", 326, 285, [0, 2]],
  ["epoll_ctl", 233, 21, [2]],
  ["sendto", 44, 206, FIRST],
  ["recvfrom", 45, 207, FIRST],
  ["sendmsg", 46, 211, FIRST],
  ["recvmsg", 47, 212, FIRST],
  ["shutdown", 48, 210, FIRST],
  ["getsockname", 51, 204, FIRST],
  ["getpeername", 52, 205, FIRST],
  ["setsockopt", 54, 208, FIRST],
  ["getsockopt", 55, 209, FIRST],
  ["open", 2, -1, "always"],
  ["openat", 257, 56, "always"],
  ["openat2", 437, 437, "always"],
  ["creat", 85, -1, "always"],
  ["stat", 4, -1, "always"],
  ["lstat", 6, -1, "always"],
  ["newfstatat", 262, 79, "always"],
  ["statx", 332, 291, "always"],
  ["access", 21, -1, "always"],
  ["faccessat", 269, 48, "always"],
  ["faccessat2", 439, 439, "always"],
  ["readlink", 89, -1, "always"],
  ["readlinkat", 267, 78, "always"],
  ["getxattr", 191, 8, "always"],
  ["lgetxattr", 192, 9, "always"],
  ["listxattr", 194, 11, "always"],
  ["llistxattr", 195, 12, "always"],
  ["eventfd", 284, -1, "always"],
  ["eventfd2", 290, 19, "always"],
  ["execve", 59, 221, "always"],
  ["execveat", 322, 281, "always"],
  ["close_range", 436, 436, "always"],
  ["io_uring_setup", 425, 425, "always"],
] as const satisfies readonly Row[];

/** Name of a call that the supervisor knows. */
export type CallName = (typeof ROWS)[number][0];

/** What differs from one processor to the other. */
export interface Architecture {
  /** AUDIT_ARCH_* of include/uapi/linux/audit.h. */
  readonly audit: number;
  readonly seccomp: number;
  readonly pidfdOpen: number;
  readonly pidfdGetfd: number;
  /** Numbers of the calls, in the order of the filter. */
  readonly calls: readonly { readonly name: CallName; readonly number: number; readonly trigger: Trigger }[];
  /** Bits of open(2) that are not the same everywhere (include/uapi/asm-generic/fcntl.h, arch/arm64). */
  readonly directoryFlag: number;
  readonly noFollowFlag: number;
  readonly largeFileFlag: number;
  /** Which of the two layouts struct stat has. */
  readonly stat: "x86_64" | "generic";
}

function calls(column: 1 | 2) {
  return ROWS.filter((row) => row[column] >= 0)
    .map((row) => ({ name: row[0], number: row[column], trigger: row[3] as Trigger }));
}

/** The architectures that `exec` runs on, by the name that Deno has for them. */
export const ARCHITECTURES: Readonly<Record<"x86_64" | "aarch64", Architecture>> = {
  x86_64: {
    audit: 0xc000_003e,
    seccomp: 317,
    pidfdOpen: 434,
    pidfdGetfd: 438,
    calls: calls(1),
    directoryFlag: 0o200000,
    noFollowFlag: 0o400000,
    largeFileFlag: 0o100000,
    stat: "x86_64",
  },
  aarch64: {
    audit: 0xc000_00b7,
    seccomp: 277,
    pidfdOpen: 434,
    pidfdGetfd: 438,
    calls: calls(2),
    directoryFlag: 0o40000,
    noFollowFlag: 0o100000,
    largeFileFlag: 0o400000,
    stat: "generic",
  },
};
