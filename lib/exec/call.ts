/** What a handler of a stopped call works with. */
import type { Kernel } from "../vfio/kernel.ts";
import type { Architecture } from "./calls.ts";
import type { Eventfds } from "./eventfds.ts";
import type { DescriptorRange } from "./filter.ts";
import type { Links } from "./links.ts";
import type { Listener } from "./listener.ts";
import type { ForeignProcess } from "./processes.ts";
import type { Scratch } from "./user_copy.ts";

/** The answer of a handler that leaves the call to the real kernel. No error number is that large. */
export const PROCEED = -4096;

/** A stopped call and its surroundings. */
export interface Call {
  readonly listener: Listener;
  readonly kernel: Kernel;
  readonly architecture: Architecture;
  readonly links: Links;
  readonly eventfds: Eventfds;
  readonly range: DescriptorRange;
  /** The process that called. */
  readonly process: ForeignProcess;
  /** The thread that called. */
  readonly thread: number;
  /** For the bytes that a call moves. */
  readonly scratch: Scratch;
  /** Tells people what a program cannot see. */
  remark(text: string): void;
}

/** Carries a call out. @returns its value, a negative error number, or {@linkcode PROCEED} */
export type Handler = (call: Call) => number;

/** Error numbers that the supervisor itself answers with (include/uapi/asm-generic/errno.h). */
export const ERROR = {
  ENOENT: -2,
  EIO: -5,
  EBADF: -9,
  EFAULT: -14,
  EEXIST: -17,
  ENOTDIR: -20,
  EISDIR: -21,
  EINVAL: -22,
  EMFILE: -24,
  ENAMETOOLONG: -36,
  ENOSYS: -38,
  ELOOP: -40,
  ENODATA: -61,
  ENOTSOCK: -88,
  EOPNOTSUPP: -95,
  EPERM: -1,
  EACCES: -13,
} as const;
