/**
 * The events of `--trace`: one type per boundary, all declared here.
 *
 * Events are only built while a sink is present, so that tracing costs the hot path one `undefined` check.
 */

/** A system call of the guest's driver process. `result` or `error` is set when the call returns. */
export interface SyscallEvent {
  readonly layer: "syscall";
  /** The kernel's name of the call: `pread64`, `ioctl`, `openat`. */
  readonly op: string;
  /** Arguments by name, numbers as they are, addresses and positions under {@linkcode HEX_FIELDS}. */
  readonly args: Readonly<Record<string, TraceValue>>;
  /** Fields of a struct argument that the kernel reads, and those that it wrote. */
  readonly input?: Readonly<Record<string, TraceValue>>;
  output?: Readonly<Record<string, TraceValue>>;
  /** The first bytes that the call moved, at most {@linkcode SHOWN_BYTES}. */
  data?: Uint8Array;
  result?: number;
  /** The errno's name, when the call failed. */
  error?: string;
}

/** One zPCI instruction as the machine executed it. */
export interface InstructionEvent {
  readonly layer: "insn";
  readonly op:
    | "PCILG"
    | "PCISTG"
    | "PCISTB"
    | "PCILGI"
    | "PCISTGI"
    | "MPCIFC"
    | "STPCIFC"
    | "RPCIT"
    | "SIC"
    | "CLP"
    | "SCLP";
  readonly fh: number;
  /**
   * PCI address space: 0 to 5 a BAR, 15 config space; for MPCIFC the operation, for CLP and SCLP the command, for SIC
   * the mode.
   */
  readonly space: number;
  readonly length: number;
  /** Offset in the address space; for RPCIT a DMA address, for SIC the interruption subclass, for SCLP the fid. */
  readonly offset: number;
  cc?: number;
  /** Status code; it means something when the condition code is 1. */
  status?: number;
  /** Response code of CLP and SCLP. */
  response?: number;
  /** Program exception instead of a condition code. */
  exception?: string;
}

/** Something that an adapter did: a command, a store into a DMB, an SBA or IEQ update. */
export interface DeviceEvent {
  readonly layer: "device";
  readonly op: string;
  readonly fid: number;
  readonly args: Readonly<Record<string, TraceValue>>;
}

/** An MSI, an adapter interruption, an eventfd signal, an event of the machine, what the kernel makes of it and says. */
export interface InterruptEvent {
  readonly layer: "irq";
  readonly op:
    | "MSI"
    | "adapter-interruption"
    | "eventfd"
    | "error-event"
    | "availability-event"
    | "recovery"
    | "uevent"
    | "kernel-message";
  readonly fid: number;
  readonly args: Readonly<Record<string, TraceValue>>;
}

/** Bytes of a buffer that a system call's event keeps, as many as strace shows. */
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
