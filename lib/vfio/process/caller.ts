/** Who makes system calls: its descriptors and its memory, and how its calls are carried out and recorded. */
import type { SyscallEvent, Tracer } from "../../base/trace.ts";
import type { Kernel } from "../kernel.ts";
import { type AddressSpace, GuestMemory } from "./address_space.ts";
import { DescriptorTable } from "./descriptors.ts";
import type { OpenFile } from "./file.ts";
import { CallRecorder } from "./recorder.ts";

/** What all calls of a process have in common; while one is carried out, the process is the kernel's `current`. */
export abstract class Caller {
  protected readonly kernel: Kernel;
  protected readonly tracer: Tracer;
  protected readonly recorder: CallRecorder;
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
    this.kernel = kernel;
    this.tracer = tracer;
    this.descriptors = descriptors;
    this.space = space;
    this.name = name;
    this.recorder = new CallRecorder(kernel, tracer, this);
  }

  /** Open descriptors with what they refer to. */
  files(): Generator<readonly [fd: number, file: OpenFile]> {
    return this.descriptors.entries();
  }

  /** The open file of a descriptor. @throws {ErrnoError} EBADF */
  file(fd: number): OpenFile {
    return this.descriptors.get(fd);
  }

  /** Gives a file the lowest free descriptor. @throws {ErrnoError} EMFILE */
  install(file: OpenFile): number {
    return this.descriptors.install(file);
  }

  /** The process's own loads and stores: `length` bytes of its memory at `address`, marked dirty if `write`. */
  memory(address: number, length: number, write: boolean): Uint8Array {
    return this.space.bytes(address, length, write);
  }

  /** Runs a call of this process, recorded if a trace is taken. */
  protected call(...[op, args, run, data]: Parameters<CallRecorder["call"]>): number {
    this.kernel.current = this;
    return this.recorder.call(op, args, run, data);
  }

  protected record(event: SyscallEvent, run: () => number): number {
    this.kernel.current = this;
    return this.recorder.record(event, run);
  }
}
