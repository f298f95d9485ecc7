/**
 * PCI instructions as the kernel executes them, on the handle that its caller has: busy answers are retried, condition
 * codes become errnos (arch/s390/pci/pci_insn.c). Facts: docs/reference/zpci/instructions.md and zpci/controls.md;
 * vfio.cc.errno.
 */
import { CC, ProgramException, STATUS } from "../../zpci/answer.ts";
import { FIB } from "../../zpci/fib.ts";
import type { Processor } from "../../zpci/instruction.ts";
import { mpcifc, rpcit } from "../../zpci/mpcifc.ts";
import { ErrnoError } from "../errno.ts";
import { type FailedInstruction, instructionError } from "./answers.ts";
import { WouldHangError } from "./would_hang.ts";

/** Width of the register that a load fills and a store reads. Bytes. */
export const REGISTER_BYTES = 8;

/** What MPCIFC is told. */
type FibFields = Parameters<typeof FIB.encode>[0];

/** The instructions of a guest's kernel for one of its functions. */
export class PciInstructions {
  readonly #processor: Processor;
  readonly #busyLimit: number;
  readonly #registerImage = new Uint8Array(REGISTER_BYTES);

  /** `busyLimit` bounds the kernel's endless retry, so that a host with a busy fault ends with an error. */
  constructor(processor: Processor, busyLimit: number) {
    this.#processor = processor;
    this.#busyLimit = busyLimit;
  }

  /**
   * zpci_load: `length` bytes (1, 2, 4 or 8) at `offset` of a BAR; the value's bytes are in address order at the end
   * of `register`, from index `8 - length`.
   *
   * @throws {ErrnoError} EIO on condition codes 1 and 3, ENXIO on a program exception
   */
  load(fh: number, space: number, offset: number, length: number): Uint8Array {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = this.#processor.pcilg(fh, space, offset, length);
        if (cc === CC.BUSY) this.#wait(++tries, "PCILG");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_load");
    }
    if (cc !== CC.OK) throw this.refused(fh, cc, "PCILG", "zpci_load", { space, offset });
    return this.#processor.register;
  }

  /**
   * zpci_store_block: exactly one PCISTB of the first `length` bytes of `source`.
   *
   * @throws {ErrnoError} EIO on condition codes 1 and 3, ENXIO on a program exception
   */
  storeBlock(fh: number, space: number, offset: number, length: number, source: Uint8Array): void {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = this.#processor.pcistb(fh, space, offset, length, source);
        if (cc === CC.BUSY) this.#wait(++tries, "PCISTB");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_store_block");
    }
    if (cc !== CC.OK) throw this.refused(fh, cc, "PCISTB", "zpci_store_block", { space, offset });
  }

  /** zpci_store: `length` low-order bytes of `value` in address order. */
  store(fh: number, space: number, offset: number, length: number, value: Uint8Array): void {
    let cc: number;
    let tries = 0;
    this.#registerImage.fill(0);
    this.#registerImage.set(value.subarray(0, length), REGISTER_BYTES - length);
    try {
      do {
        cc = this.#processor.pcistg(fh, space, offset, length, this.#registerImage);
        if (cc === CC.BUSY) this.#wait(++tries, "PCISTG");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_store");
    }
    if (cc !== CC.OK) throw this.refused(fh, cc, "PCISTG", "zpci_store");
  }

  /**
   * zpci_refresh_trans: tells the device that translations changed.
   *
   * @throws {ErrnoError} ENOMEM on status 4 and 16 (zpci.rpcit.map), EIO on anything else
   */
  refresh(fh: number, iova: number, length: number): void {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = rpcit(this.#processor, fh, iova, length);
        if (cc === CC.BUSY) this.#wait(++tries, "RPCIT");
      } while (cc === CC.BUSY);
    } catch (error) {
      if (error instanceof ProgramException) throw this.refused(fh, CC.ERROR, "RPCIT", "zpci_refresh_trans");
      throw error;
    }
    if (cc === CC.OK) return;
    const { status } = this.#processor;
    if (cc === CC.ERROR && (status === STATUS.NOT_ENABLED || status === STATUS.INSUFFICIENT_RESOURCES)) {
      throw new ErrnoError("ENOMEM", {
        layer: "instruction",
        ref: "zpci.rpcit.map",
        rule: `status ${status}`,
        source: "arch/s390/pci/pci_insn.c: zpci_refresh_trans",
        message: `RPCIT answered condition code 1, status ${status}: no resources for translations`,
      });
    }
    throw this.refused(fh, cc, "RPCIT", "zpci_refresh_trans");
  }

  /** MPCIFC that has to work. @throws {ErrnoError} EIO */
  modify(fh: number, operation: number, fib: FibFields): void {
    const cc = this.execute(fh, operation, fib);
    if (cc !== CC.OK) throw this.refused(fh, cc, "MPCIFC", "zpci_mod_fc");
  }

  /** MPCIFC, repeated while it is busy. @returns its condition code @throws {ErrnoError} EIO on a program exception */
  execute(fh: number, operation: number, fib: FibFields): number {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = mpcifc(this.#processor, fh, operation, FIB.encode(fib));
        if (cc === CC.BUSY) this.#wait(++tries, "MPCIFC");
      } while (cc === CC.BUSY);
    } catch (error) {
      if (error instanceof ProgramException) throw this.refused(fh, CC.ERROR, "MPCIFC", "zpci_mod_fc");
      throw error;
    }
    return cc;
  }

  #wait(tries: number, op: string): void {
    this.#processor.partition.clock.advance(1);
    if (tries >= this.#busyLimit) {
      throw new WouldHangError(
        `${op} answered busy ${tries} times; the kernel retries for ever, so the call would hang here`,
      );
    }
  }

  #exception(error: unknown, symbol: string): unknown {
    if (!(error instanceof ProgramException)) return error;
    return new ErrnoError("ENXIO", {
      layer: "instruction",
      ref: "vfio.cc.errno",
      rule: `${error.exception} exception`,
      source: `arch/s390/pci/pci_insn.c: ${symbol}`,
      message: `${error.message} is a program exception (${error.exception})`,
    });
  }

  /** What the answer of the last instruction means, that was executed with a handle. */
  refused(fh: number, cc: number, op: string, symbol: string, at?: FailedInstruction["at"]): ErrnoError {
    const { status, refusedByDevice } = this.#processor;
    return instructionError({ op, symbol, cc, status, fh, refusedByDevice, at });
  }
}
