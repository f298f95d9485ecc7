/**
 * PCILG, PCISTG and PCISTB as the machine executes them, checks in the order of zpci.insn.order
 * (QEMU hw/s390x/s390-pci-inst.c). The other instructions are in their own files.
 */
import { type AccessEvent, KEPT_BYTES } from "../base/trace.ts";
import { CC, ProgramException, STATUS } from "./answer.ts";
import { LAST_BAR, loadStoreFault, SPACE_CONFIG, storeBlockFault } from "./access_rules.ts";
import type { FaultPlan } from "./faults.ts";
import { isEnabledHandle } from "./handle.ts";
import { MODEL, type ZpciFunction } from "./function.ts";
import type { Partition } from "./partition.ts";
import { PAGE_SIZE } from "./storage.ts";

/** Width of the general register that PCILG fills and PCISTG reads. Bytes. */
const REGISTER_BYTES = 8;
/** Simulated time that one instruction takes. Microseconds. */
const INSTRUCTION_MICROSECONDS = 1;

/** The processor of one partition. Not reentrant: the answer of the last instruction is in its fields. */
export class Processor {
  readonly partition: Partition;
  /** Status code of the last instruction; it means something when the condition code was 1. */
  status = 0;
  /** The device itself gave the last refusal, not the platform in front of it. */
  refusedByDevice = false;
  /** Result register of the last PCILG: big-endian, the value right-aligned, upper bytes zero (zpci.pcilg.register). */
  readonly register = new Uint8Array(REGISTER_BYTES);
  /** Function handle in the operand register after the last STPCIFC. */
  handle = 0;
  /** Faults to inject; undefined while there are none. */
  faults: FaultPlan | undefined = undefined;

  constructor(partition: Partition) {
    this.partition = partition;
  }

  /**
   * PCI LOAD of `length` bytes at `offset` of an address space.
   *
   * @returns the condition code; on 0 the value is in {@linkcode register}
   * @throws {ProgramException} operand: length, alignment, or target not accessible
   */
  pcilg(fh: number, space: number, offset: number, length: number): number {
    return this.partition.tracer.sink === undefined
      ? this.#load(fh, space, offset, length)
      : this.#traced("PCILG", fh, space, offset, length, undefined);
  }

  /**
   * PCI STORE of the low-order `length` bytes of a register image (8 bytes, big-endian).
   *
   * @throws {ProgramException} operand: length, alignment, or target not accessible
   */
  pcistg(fh: number, space: number, offset: number, length: number, value: Uint8Array): number {
    return this.partition.tracer.sink === undefined
      ? this.#store(fh, space, offset, length, value)
      : this.#traced("PCISTG", fh, space, offset, length, value);
  }

  /**
   * PCI STORE BLOCK of the first `length` bytes of `source`, one device operation.
   *
   * @param sourceOffset where the source begins in its page of storage
   * @throws {ProgramException} specification: length or alignment; operand: target not accessible
   */
  pcistb(
    fh: number,
    space: number,
    offset: number,
    length: number,
    source: Uint8Array,
    sourceOffset = 0,
  ): number {
    return this.partition.tracer.sink === undefined
      ? this.#storeBlock(fh, space, offset, length, source, sourceOffset)
      : this.#traced("PCISTB", fh, space, offset, length, source, sourceOffset);
  }

  #load(fh: number, space: number, offset: number, length: number): number {
    const fn = this.partition.byHandle(fh);
    const cc = this.#admit(fn, fh, space, SPACE_CONFIG);
    if (cc !== CC.OK || fn === undefined) return cc;
    const why = loadStoreFault(space, offset, length);
    if (why !== undefined) throw new ProgramException("operand", `PCILG with ${why}`);
    this.#checkRange(fn, space, offset, length);
    const injected = this.faults?.before("PCILG", fn, space, offset, length);
    if (injected !== undefined) return this.answerInjected(injected);
    const at = REGISTER_BYTES - length;
    for (let i = 0; i < at; i++) this.register[i] = 0;
    if (space === SPACE_CONFIG) {
      for (let i = 0; i < length; i++) this.register[at + i] = fn.model.config.read(offset + i);
      this.faults?.corrupt(this.register, at, length);
      return CC.OK;
    }
    const answer = fn.model.load(space, offset, length, this.register, at);
    this.faults?.corrupt(this.register, at, length);
    return this.#answer("PCILG", answer);
  }

  #store(fh: number, space: number, offset: number, length: number, value: Uint8Array): number {
    const fn = this.partition.byHandle(fh);
    const cc = this.#admit(fn, fh, space, SPACE_CONFIG);
    if (cc !== CC.OK || fn === undefined) return cc;
    const why = loadStoreFault(space, offset, length);
    if (why !== undefined) throw new ProgramException("operand", `PCISTG with ${why}`);
    this.#checkRange(fn, space, offset, length);
    const injected = this.faults?.before("PCISTG", fn, space, offset, length);
    if (injected !== undefined) return this.answerInjected(injected);
    const at = REGISTER_BYTES - length;
    this.faults?.corrupt(value, at, length);
    if (space === SPACE_CONFIG) {
      fn.touch();
      for (let i = 0; i < length; i++) fn.model.config.write(offset + i, value[at + i]!);
      return CC.OK;
    }
    return this.#answer("PCISTG", fn.model.store(space, offset, length, value, at));
  }

  #storeBlock(
    fh: number,
    space: number,
    offset: number,
    length: number,
    source: Uint8Array,
    sourceOffset: number,
  ): number {
    const fn = this.partition.byHandle(fh);
    const cc = this.#admit(fn, fh, space, LAST_BAR);
    if (cc !== CC.OK || fn === undefined) return cc;
    const why = storeBlockFault(fn.group, offset, length);
    if (why !== undefined) throw new ProgramException("specification", `PCISTB with ${why}`);
    if (sourceOffset + length > PAGE_SIZE && this.partition.options.sourceCrossing === "specification") {
      throw new ProgramException(
        "specification",
        "PCISTB with a source that crosses a 4 KiB line of storage",
      );
    }
    this.#checkRange(fn, space, offset, length);
    const injected = this.faults?.before("PCISTB", fn, space, offset, length);
    if (injected !== undefined) return this.answerInjected(injected);
    this.faults?.corrupt(source, 0, length);
    return this.#answer("PCISTB", fn.model.storeBlock(space, offset, source, length));
  }

  /** Checks 3 to 6: handle, state, address space. A handle or state problem wins over everything that follows. */
  #admit(fn: ZpciFunction | undefined, fh: number, space: number, lastSpace: number): number {
    this.status = 0;
    this.refusedByDevice = false;
    this.partition.clock.advance(INSTRUCTION_MICROSECONDS);
    if (fn === undefined || !isEnabledHandle(fh)) return CC.INVALID_HANDLE;
    if (fn.state === "error" || fn.state === "permanent-error") return this.#error(STATUS.BLOCKED);
    if (space > LAST_BAR && space !== lastSpace) return this.#error(STATUS.INVALID_SPACE);
    return CC.OK;
  }

  /** Check 8: the target lies inside its address space. */
  #checkRange(fn: ZpciFunction, space: number, offset: number, length: number): void {
    const size = space === SPACE_CONFIG ? fn.model.config.size : fn.barSize(space);
    if (offset + length > size) {
      throw new ProgramException("operand", `Access beyond the end of address space ${space}`);
    }
  }

  #answer(op: string, answer: number): number {
    if (answer === MODEL.OK) return CC.OK;
    if (answer === MODEL.BUSY) return CC.BUSY;
    if (answer === MODEL.NOT_ACCESSIBLE) {
      throw new ProgramException("operand", `${op} to a target that refuses it`);
    }
    this.refusedByDevice = true;
    return this.#error(answer);
  }

  /** Takes over what a fault answers: `cc | status << 8`. @returns the condition code */
  answerInjected(packed: number): number {
    this.status = packed >> 8;
    return packed & 0xff;
  }

  #error(status: number): number {
    this.status = status;
    return CC.ERROR;
  }

  #traced(
    op: "PCILG" | "PCISTG" | "PCISTB",
    fh: number,
    space: number,
    offset: number,
    length: number,
    operand: Uint8Array | undefined,
    sourceOffset = 0,
  ): number {
    const { name: guest, tracer } = this.partition;
    const sink = tracer.sink!;
    const fid = this.partition.fidOf(fh);
    const event: AccessEvent = { layer: "insn", op, guest, fid, fh, space, length, offset };
    const at = op === "PCISTB" ? 0 : Math.max(0, REGISTER_BYTES - length);
    if (operand !== undefined) event.data = operand.slice(at, at + Math.min(length, KEPT_BYTES));
    sink.enter(event);
    try {
      const cc = op === "PCILG"
        ? this.#load(fh, space, offset, length)
        : op === "PCISTG"
        ? this.#store(fh, space, offset, length, operand!)
        : this.#storeBlock(fh, space, offset, length, operand!, sourceOffset);
      event.cc = cc;
      event.status = this.status;
      if (op === "PCILG" && cc === CC.OK) event.data = this.register.slice(at);
      return cc;
    } catch (error) {
      if (error instanceof ProgramException) event.exception = error.exception;
      throw error;
    } finally {
      sink.leave(event);
    }
  }
}
