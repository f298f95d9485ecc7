/**
 * Linux errno values that the simulated kernel returns (include/uapi/asm-generic/errno.h; s390 and x86 agree).
 */
import type { RuleName } from "../base/rule_names.ts";

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  ENOMSG: 42,
  EOVERFLOW: 75,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
} as const;

/** The name of an errno, such as `"EINVAL"`. */
export type ErrnoName = keyof typeof ERRNO;

/** What strerror(3) says, as strace prints it behind the name (glibc, C locale). */
export const ERRNO_TEXT: Readonly<Record<ErrnoName, string>> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  EIO: "Input/output error",
  ENXIO: "No such device or address",
  E2BIG: "Argument list too long",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EFAULT: "Bad address",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  EXDEV: "Invalid cross-device link",
  ENODEV: "No such device",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  EINVAL: "Invalid argument",
  EMFILE: "Too many open files",
  ENOTTY: "Inappropriate ioctl for device",
  EFBIG: "File too large",
  ENOSPC: "No space left on device",
  ESPIPE: "Illegal seek",
  ERANGE: "Numerical result out of range",
  ENOMSG: "No message of desired type",
  EOVERFLOW: "Value too large for defined data type",
  EBADFD: "File descriptor in bad state",
  EMSGSIZE: "Message too long",
  EOPNOTSUPP: "Operation not supported",
  EADDRINUSE: "Address already in use",
};

/** Who refused, from the top down: the layers of CONTRIBUTING.md. */
export type RefusalLayer = "vfs" | "vfio-core" | "variant" | "instruction" | "device";

/** Why a system call was refused. */
export interface Refusal {
  readonly layer: RefusalLayer;
  /** The rule of docs/reference, or a broader one that it belongs to: `"vfio.write.boundary"`. */
  readonly ref: RuleName;
  /** The rule in a few words, stable enough to match on: `"4 KiB boundary"`. */
  readonly rule: string;
  /** The kernel or QEMU symbol that the rule models: `path: symbol`. */
  readonly source: string;
  /** One sentence for people, without a full stop. */
  readonly message: string;
  /** What to do instead, where that is known. */
  readonly hint?: string | undefined;
}

/** A refusal by the simulated kernel: expected, reported, never a bug. */
export class ErrnoError extends Error {
  override readonly name = "ErrnoError";
  readonly code: ErrnoName;
  readonly layer: RefusalLayer;
  readonly ref: RuleName;
  readonly rule: string;
  readonly source: string;
  readonly hint: string | undefined;

  constructor(code: ErrnoName, refusal: Refusal) {
    super(refusal.message);
    this.code = code;
    this.layer = refusal.layer;
    this.ref = refusal.ref;
    this.rule = refusal.rule;
    this.source = refusal.source;
    this.hint = refusal.hint;
  }

  /** The same refusal with another hint. */
  withHint(hint: string): ErrnoError {
    const { code, layer, ref, rule, source, message } = this;
    return new ErrnoError(code, { layer, ref, rule, source, message, hint });
  }

  /** The positive errno number. */
  get errno(): number {
    return ERRNO[this.code];
  }
}

/** Runs a step whose refusal does not matter; undefined if it was refused. */
export function quietly<Of>(step: () => Of): Of | undefined {
  try {
    return step();
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
