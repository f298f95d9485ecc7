/**
 * The events of `--trace`: one type per boundary, all declared here.
 *
 * Events are only built while a sink is present, so that tracing costs the hot path one `undefined` check.
 */

/** Whose an event is. */
export interface Origin {
  /** Name of the guest whose driver, kernel or function it is. */
  readonly guest: string;
  /** Function id, where the event is about one function. */
  readonly fid?: number | undefined;
}

/** Who refused a system call, and why (`Refusal` of lib/vfio/errno.ts). */
export interface RefusalFacts {
  readonly layer: string;
  /** Rule of docs/reference. */
  readonly ref: string;
  /** The rule in a few words. */
  readonly rule: string;
  /** Symbol of the kernel or QEMU. */
  readonly source: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** System calls that a process can make. */
export const SYSCALLS = [
  ...["openat", "close", "dup", "dup2", "read", "write", "pread64", "pwrite64"] as const,
  ...["readv", "writev", "preadv", "pwritev", "ioctl", "mmap", "munmap", "poll", "lseek"] as const,
  ...["fsync", "ftruncate", "fcntl", "eventfd2", "readlink", "getdents64"] as const,
] as const;

/** A system call of a guest's process. `result` or `error` is set when the call returns. */
export interface SyscallEvent extends Origin {
  readonly layer: "syscall";
  /** The kernel's name of the call: `pread64`, `ioctl`, `openat`. */
  readonly op: (typeof SYSCALLS)[number];
  /** The process: `ism` for that of the program's own commands, else its number. */
  readonly process: string;
  /** Arguments by name, numbers as they are, addresses and positions under {@linkcode HEX_FIELDS}. */
  readonly args: Readonly<Record<string, TraceValue>>;
  /** Fields of a struct argument that the kernel reads, and those that it wrote. */
  readonly input?: Readonly<Record<string, TraceValue>>;
  output?: Readonly<Record<string, TraceValue>>;
  /** The first bytes that the call moved, at most {@linkcode KEPT_BYTES}. */
  data?: Uint8Array;
  result?: number;
  /** The errno's name, when the call failed. */
  error?: string;
  refusal?: RefusalFacts;
}

/** What an instruction answered. */
interface InstructionAnswer {
  cc?: number;
  /** Status code; it means something when the condition code is 1. */
  status?: number;
  /** Response code of CLP and SCLP. */
  response?: number;
  /** Program exception instead of a condition code. */
  exception?: string;
}

/** Instructions that load from and store into address spaces of a function. */
export const ACCESS_INSTRUCTIONS = ["PCILG", "PCISTG", "PCISTB", "PCILGI", "PCISTGI"] as const;

/** One load or store as the machine executed it. */
export interface AccessEvent extends Origin, InstructionAnswer {
  readonly layer: "insn";
  readonly op: (typeof ACCESS_INSTRUCTIONS)[number];
  readonly fh: number;
  /** PCI address space: 0 to 5 a BAR, 15 config space. */
  readonly space: number;
  readonly length: number;
  /** Offset in the address space. */
  readonly offset: number;
  /** The first bytes of what was loaded or stored, at most {@linkcode KEPT_BYTES}, in the order of the device. */
  data?: Uint8Array;
}

/** Instructions that control functions and interrupts, or call the service processor. */
export const CONTROL_INSTRUCTIONS = ["MPCIFC", "STPCIFC", "RPCIT", "SIC", "CLP", "SCLP"] as const;

/** One instruction that is no access. */
export interface ControlEvent extends Origin, InstructionAnswer {
  readonly layer: "insn";
  readonly op: (typeof CONTROL_INSTRUCTIONS)[number];
  /** Handle of the function in the instruction's operand. */
  readonly fh?: number;
  /**
   * Operands by name: `operation` and `length` of the FIB for MPCIFC, `iova` and `length` of the range for RPCIT, `mode`
   * and `isc` for SIC, `command` for CLP and SCLP.
   */
  readonly args: Readonly<Record<string, TraceValue>>;
}

/** One zPCI instruction as the machine executed it. */
export type InstructionEvent = AccessEvent | ControlEvent;

/** Whether an instruction loads or stores. */
export function isAccess(event: InstructionEvent): event is AccessEvent {
  return "space" in event;
}

/** What adapters do. */
export const DEVICE_OPS = [
  ...["command", "dmb-store", "sba", "ieq", "ieq-full", "ieq-overflow", "concurrency", "reset"] as const,
] as const;

/** Something that an adapter did: a command, a store into a DMB, an SBA or IEQ update. */
export interface DeviceEvent extends Origin {
  readonly layer: "device";
  readonly op: (typeof DEVICE_OPS)[number];
  readonly fid: number;
  readonly args: Readonly<Record<string, TraceValue>>;
}

/** What comes from the machine to a kernel, and from the kernel to a driver, unasked. */
export const INTERRUPT_OPS = [
  ...["MSI", "adapter-interruption", "eventfd", "error-event", "availability-event"] as const,
  ...["recovery", "uevent", "kernel-message"] as const,
] as const;

/** An MSI, an adapter interruption, an eventfd signal, an event of the machine, what the kernel makes of it and says. */
export interface InterruptEvent extends Origin {
  readonly layer: "irq";
  readonly op: (typeof INTERRUPT_OPS)[number];
  readonly fid: number;
  readonly args: Readonly<Record<string, TraceValue>>;
}

/** Bytes of a buffer that an event keeps: a whole command of the adapter. */
export const KEPT_BYTES = 64;
/** Bytes of a buffer, and entries of a list, that text shows: as many as strace does. */
export const SHOWN_BYTES = 32;

/** A number that the headers have a name for. */
export interface NamedNumber {
  readonly value: number;
  readonly name: string;
}

/** Values of event fields; `bigint` for what must keep 64 bits. */
export type TraceValue = number | bigint | string | boolean | NamedNumber | Uint8Array | readonly number[];

/** Any traced event. */
export type TraceEvent = SyscallEvent | InstructionEvent | DeviceEvent | InterruptEvent;

/** The layers that `--trace=LEVELS` selects from. */
export const TRACE_LAYERS = ["syscall", "insn", "device", "irq"] as const;
export type TraceLayer = (typeof TRACE_LAYERS)[number];

/** What each layer's events are about. */
export const TRACE_OPS: Readonly<Record<TraceLayer, readonly string[]>> = {
  syscall: SYSCALLS,
  insn: [...ACCESS_INSTRUCTIONS, ...CONTROL_INSTRUCTIONS],
  device: DEVICE_OPS,
  irq: INTERRUPT_OPS,
};

/** Field names whose numbers are addresses, positions or handles and so are shown in hexadecimal. */
export const HEX_FIELDS: ReadonlySet<string> = new Set([
  "fh",
  "offset",
  "position",
  "iova",
  "vaddr",
  "address",
  "token",
  "gid",
  "rgid",
  "info",
  "fid",
  "code",
  "pec",
  "user_va",
  "iova_pgsizes",
  "allowed_iovas",
  "dst_iova",
  "src_iova",
  "pt_id",
]);

/** Receives events in the order in which they begin; what happens inside an event lies between enter and leave. */
export interface TraceSink {
  enter(event: TraceEvent): void;
  leave(event: TraceEvent): void;
}

/** The place that all layers look at; the host owns one and hands it down. */
export class Tracer {
  sink: TraceSink | undefined = undefined;

  /** Records an event that has nothing inside it. */
  point(event: TraceEvent): void {
    this.sink?.enter(event);
    this.sink?.leave(event);
  }
}
