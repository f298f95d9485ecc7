/**
 * The kernel's view of one zPCI function (arch/s390/pci): what CLP told at boot, the current handle, and the only
 * code of the kernel that executes PCI instructions. Busy answers are retried, condition codes become errnos here.
 * Facts: docs/reference/zpci/functions.md, zpci/instructions.md and zpci/controls.md; vfio.cc.errno.
 */
import { Kept, type Rows } from "../../base/journal.ts";
import { CC, MPCIFC_STATUS, ProgramException, STATUS } from "../../zpci/answer.ts";
import { SPACE_CONFIG } from "../../zpci/access_rules.ts";
import {
  CLP,
  clp,
  CLP_HEADER,
  CLP_RESPONSE,
  SET_FUNCTION,
  SET_FUNCTION_REQUEST,
  SET_FUNCTION_RESPONSE,
} from "../../zpci/clp.ts";
import { FIB, IOTA_REGION_THIRD, IOTA_TRANSLATION_ON, packInterrupts } from "../../zpci/fib.ts";
import { isEnabledHandle } from "../../zpci/handle.ts";
import type { Processor } from "../../zpci/instruction.ts";
import { MPCIFC, mpcifc, rpcit } from "../../zpci/mpcifc.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { hex } from "../../base/hex.ts";
import { usableEnd } from "./aperture.ts";
import { type FailedInstruction, instructionError, INVALID_HANDLE_RULE } from "./answers.ts";
import { ErrnoError } from "../errno.ts";
import type { IommuDomain } from "../iommu/iommu_domain.ts";
import { PciDevice, type PciDeviceState, quietly } from "../pci/pci_device.ts";
import { clpBlock, listEntries, queryFacts, type ZdevFacts } from "./pci_clp.ts";
import { WouldHangError } from "./would_hang.ts";

const PFT_ISM = 5;
/** Interruption subclass of PCI adapter interruptions (arch/s390/include/asm/isc.h). */
export const PCI_ISC = 2;
const REGISTER_BYTES = 8;

/** The errno of a refused step, undefined if it was done. */
function refusalOf(step: () => void): ErrnoError | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
}

/** Choices of the topology that a function is discovered with. */
export interface DiscoveryOptions {
  readonly busyRetryLimit: number;
  /** Bytes of DMA addresses for each byte of main memory; 0 for all that CLP tells. */
  readonly iommuAperture: number;
}

/** Where a function's interrupt bits lie in storage. */
export interface InterruptBits {
  readonly aibv: number;
  readonly aisb: number;
  readonly aisbo: number;
}

/** What the kernel takes the function for (arch/s390/include/asm/pci.h: enum zpci_state). */
export type ZdevAvailability = "standby" | "configured" | "reserved";

/** State for the host file: what the kernel remembers, whatever the machine says by now. */
export interface ZdevState {
  readonly state: ZdevAvailability;
  readonly fh: number;
  readonly vectors: number;
  /** Storage address of the measurement block; null before the function was opened for the first time. */
  readonly measurementBlock: number | null;
  readonly pci: PciDeviceState;
  readonly facts: ZdevFactsState;
}

/** {@linkcode ZdevFacts} as JSON. */
type ZdevFactsState =
  & Omit<ZdevFacts, "pfip" | "utilityString" | "dasm" | "msia">
  & {
    readonly pfip: string;
    readonly utilityString: string | null;
    readonly dasm: string;
    readonly msia: string;
  };

/** One function of a guest's kernel. */
export class Zdev extends Kept {
  readonly facts: ZdevFacts;
  /** PCI address: domain = uid, bus 0, device and function 0 (zpci.function.address). */
  readonly name: string;
  #fh: number;
  #state: ZdevAvailability = "configured";
  #vectors = 0;
  #domain: IommuDomain | undefined = undefined;
  /** The PCI core's view; stands for no device while the function is not configured. */
  readonly pci = new PciDevice(this);
  #measurementBlock: number | undefined = undefined;
  /** The kernel's rows of the function. */
  rowsOfFunction: Rows | undefined = undefined;
  readonly #processor: Processor;
  readonly #bits: InterruptBits;
  readonly #busyLimit: number;
  readonly #registerImage = new Uint8Array(REGISTER_BYTES);

  /** `busyLimit` bounds the kernel's endless retry, so that a host with a busy fault ends with an error. */
  private constructor(
    processor: Processor,
    fh: number,
    facts: ZdevFacts,
    bits: InterruptBits,
    busyLimit: number,
  ) {
    super(processor.partition.journal);
    this.#processor = processor;
    this.#bits = bits;
    this.#busyLimit = busyLimit;
    this.#fh = fh;
    this.facts = facts;
    this.name = `${this.facts.uid.toString(16).padStart(4, "0")}:00:00.0`;
  }

  /** A function found at boot; CLP tells about it. */
  static discover(processor: Processor, fh: number, bits: InterruptBits, options: DiscoveryOptions): Zdev {
    const facts = queryFacts(processor, fh);
    const memory = processor.partition.storage.limit;
    const endDma = usableEnd(facts.startDma, facts.endDma, memory, options.iommuAperture);
    return new Zdev(processor, fh, { ...facts, endDma }, bits, options.busyRetryLimit);
  }

  /** A function of a saved kernel. */
  static restore(processor: Processor, state: ZdevState, bits: InterruptBits, busyLimit: number): Zdev {
    const { pfip, utilityString, dasm, msia, ...rest } = state.facts;
    const facts = {
      ...rest,
      pfip: Uint8Array.fromHex(pfip),
      utilityString: utilityString === null ? undefined : Uint8Array.fromHex(utilityString),
      dasm: BigInt(dasm),
      msia: BigInt(msia),
    };
    const zdev = new Zdev(processor, state.fh, facts, bits, busyLimit);
    zdev.vectors = state.vectors;
    zdev.state = state.state;
    zdev.#measurementBlock = state.measurementBlock ?? undefined;
    if (state.measurementBlock !== null) {
      processor.partition.storage.reserved.set(state.measurementBlock, true);
    }
    zdev.pci.restoreState(state.pci);
    return zdev;
  }

  /** The current handle; every access reads it anew, because hotplug can change it at any time. */
  get fh(): number {
    return this.#fh;
  }

  set fh(fh: number) {
    this.touch();
    this.#fh = fh;
  }

  /** Standby and reserved functions have no PCI device. */
  get state(): ZdevAvailability {
    return this.#state;
  }

  set state(state: ZdevAvailability) {
    this.touch();
    this.#state = state;
  }

  /** Vectors registered for interrupts, 0 for none. */
  get vectors(): number {
    return this.#vectors;
  }

  set vectors(vectors: number) {
    this.touch();
    this.#vectors = vectors;
  }

  get domain(): IommuDomain | undefined {
    return this.#domain;
  }

  set domain(domain: IommuDomain | undefined) {
    this.touch();
    this.#domain = domain;
  }

  get rows(): Rows | undefined {
    return this.rowsOfFunction;
  }

  protected override remember(): () => void {
    const [fh, state, vectors, domain] = [this.#fh, this.#state, this.#vectors, this.#domain];
    const [block, pci] = [this.#measurementBlock, this.pci.remember()];
    return () => {
      this.#fh = fh;
      this.#state = state;
      this.#vectors = vectors;
      this.#domain = domain;
      this.#measurementBlock = block;
      pci();
    };
  }

  /**
   * zpci_load: `length` bytes (1, 2, 4 or 8) at `offset` of a BAR; the value's bytes are in address order at the end
   * of `register`, from index `8 - length`.
   *
   * @throws {ErrnoError} EIO on condition codes 1 and 3, ENXIO on a program exception
   */
  load(space: number, offset: number, length: number): Uint8Array {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = this.#processor.pcilg(this.fh, space, offset, length);
        if (cc === CC.BUSY) this.#wait(++tries, "PCILG");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_load");
    }
    if (cc !== CC.OK) throw this.#refused(cc, "PCILG", "zpci_load", { space, offset });
    return this.#processor.register;
  }

  /**
   * zpci_store_block: exactly one PCISTB of the first `length` bytes of `source`.
   *
   * @throws {ErrnoError} EIO on condition codes 1 and 3, ENXIO on a program exception
   */
  storeBlock(space: number, offset: number, length: number, source: Uint8Array): void {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = this.#processor.pcistb(this.fh, space, offset, length, source);
        if (cc === CC.BUSY) this.#wait(++tries, "PCISTB");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_store_block");
    }
    if (cc !== CC.OK) throw this.#refused(cc, "PCISTB", "zpci_store_block", { space, offset });
  }

  /** zpci_store: `length` low-order bytes of `value` in address order. */
  store(space: number, offset: number, length: number, value: Uint8Array): void {
    let cc: number;
    let tries = 0;
    this.#registerImage.fill(0);
    this.#registerImage.set(value.subarray(0, length), REGISTER_BYTES - length);
    try {
      do {
        cc = this.#processor.pcistg(this.fh, space, offset, length, this.#registerImage);
        if (cc === CC.BUSY) this.#wait(++tries, "PCISTG");
      } while (cc === CC.BUSY);
    } catch (error) {
      throw this.#exception(error, "zpci_store");
    }
    if (cc !== CC.OK) throw this.#refused(cc, "PCISTG", "zpci_store");
  }

  /** Reads config space of the hardware: a little-endian value, as Linux sees it after its byte swap. */
  configLoad(offset: number, width: 1 | 2 | 4): number {
    const register = this.load(SPACE_CONFIG, offset, width);
    let value = 0;
    for (let i = 0; i < width; i++) value += register[REGISTER_BYTES - width + i]! * 2 ** (8 * i);
    return value;
  }

  /** Writes config space of the hardware, little-endian. */
  configStore(offset: number, width: 1 | 2 | 4, value: number): void {
    const bytes = new Uint8Array(width);
    for (let i = 0; i < width; i++) bytes[i] = Math.floor(value / 2 ** (8 * i)) % 256;
    this.store(SPACE_CONFIG, offset, width, bytes);
  }

  /** Set PCI Function, then interrupts and translation as they were registered before. @throws {ErrnoError} EIO */
  enable(): void {
    const refused = this.#reenable();
    if (refused !== undefined) throw refused;
  }

  /**
   * zpci_reenable_device: enables, registers interrupts, then translation.
   *
   * @returns the refusal of translation, if there was one: the function is disabled again then
   * @throws {ErrnoError} EIO if it cannot be enabled, or interrupts are refused: it stays enabled then
   */
  #reenable(): ErrnoError | undefined {
    this.#setFunction(SET_FUNCTION.ENABLE, 1);
    if (this.vectors > 0) this.registerInterrupts();
    const { domain } = this;
    if (domain === undefined) return undefined;
    const refused = refusalOf(() => this.#registerIoat(domain));
    if (refused !== undefined) this.disable();
    return refused;
  }

  /** zpci_disable_device: one that is disabled already, of which the kernel only did not know, counts. */
  disable(): void {
    this.#setFunction(SET_FUNCTION.DISABLE, 0);
  }

  /**
   * zpci_hot_reset_device: disable, enable; everything that the device held is gone, the handle is a new one.
   *
   * @returns 0, or the condition code with which translation was refused @throws {ErrnoError} EIO
   */
  hotReset(): number {
    if (isEnabledHandle(this.fh)) this.disable();
    const refused = this.#reenable();
    if (refused === undefined) return CC.OK;
    return refused.rule === INVALID_HANDLE_RULE ? CC.INVALID_HANDLE : CC.ERROR;
  }

  /** sysfs `recover`: takes the current handle from List PCI, disables if that is still to do, enables. */
  recover(): void {
    const fh = this.#listedHandle();
    if (fh !== undefined) this.fh = fh;
    if (isEnabledHandle(this.fh)) this.disable();
    this.enable();
  }

  /** The handle that List PCI tells of a configured function. */
  #listedHandle(): number | undefined {
    const fn = listEntries(this.#processor.partition).find(({ fid }) => fid === this.facts.fid);
    return fn?.configured === true ? fn.fh : undefined;
  }

  /** zpci_fmb_enable_device: a measurement block, if there is memory for one. Nobody looks at the answer. */
  startMeasurement(): void {
    this.touch();
    this.#measurementBlock ??= this.#processor.partition.storage.allocate(PAGE_SIZE)?.address;
    if (this.#measurementBlock === undefined) return;
    this.#processor.partition.storage.reserved.set(this.#measurementBlock, true);
    this.#setMeasurementBlock(this.#measurementBlock);
  }

  /** zpci_fmb_disable_device. */
  stopMeasurement(): void {
    this.#setMeasurementBlock(0);
  }

  #setMeasurementBlock(fmba: number): void {
    quietly(() => this.#modify(MPCIFC.SET_MEASUREMENT_BLOCK, { fmba }));
  }

  /** zpci_reset_load_store_blocked: accesses work again, DMA and interrupts do not. @throws {ErrnoError} EIO */
  unblock(): void {
    this.#modify(MPCIFC.RESET_BLOCK, {});
  }

  /** zpci_clear_error_state. @throws {ErrnoError} EIO */
  clearError(): void {
    this.#modify(MPCIFC.RESET_ERROR, {});
  }

  /**
   * Attaches to an IOMMU domain, or to none. A function that is disabled or in the error state counts as attached: its
   * translation is registered at the next enable (drivers/iommu/s390-iommu.c: s390_iommu_attach_device).
   *
   * @throws {ErrnoError} EIO on any other refusal, and it is attached to none
   */
  attach(domain: IommuDomain | undefined): void {
    if (this.domain !== undefined) {
      this.domain.touch();
      this.domain.zdevs.delete(this);
      this.#takeBack(MPCIFC.DEREGISTER_IOAT);
    }
    this.domain = undefined;
    if (domain === undefined) return;
    const cc = this.#execute(MPCIFC.REGISTER_IOAT, this.#ioat(domain));
    const isLater = cc === CC.INVALID_HANDLE ||
      cc === CC.ERROR && this.#processor.status === MPCIFC_STATUS.RECOVERY_IN_PROGRESS;
    if (cc !== CC.OK && !isLater) throw this.#refused(cc, "MPCIFC", "zpci_mod_fc");
    this.domain = domain;
    domain.touch();
    domain.zdevs.add(this);
  }

  /** arch_setup_msi_irqs: registers vectors for floating interrupts. @throws {ErrnoError} EIO */
  setupInterrupts(vectors: number): void {
    this.pci.writeMessage();
    this.registerInterrupts(vectors);
    this.vectors = vectors;
    this.pci.setMsiEnable(true);
  }

  /** arch_teardown_msi_irqs. */
  teardownInterrupts(): void {
    if (this.vectors === 0) return;
    this.pci.setMsiEnable(false);
    this.vectors = 0;
    this.#takeBack(MPCIFC.DEREGISTER_INTERRUPTS);
  }

  /**
   * zpci_refresh_trans: tells the device that translations changed.
   *
   * @throws {ErrnoError} ENOMEM on status 4 and 16 (zpci.rpcit.map), EIO on anything else
   */
  refresh(iova: number, length: number): void {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = rpcit(this.#processor, this.fh, iova, length);
        if (cc === CC.BUSY) this.#wait(++tries, "RPCIT");
      } while (cc === CC.BUSY);
    } catch (error) {
      if (error instanceof ProgramException) throw this.#refused(CC.ERROR, "RPCIT", "zpci_refresh_trans");
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
    throw this.#refused(cc, "RPCIT", "zpci_refresh_trans");
  }

  save(): ZdevState {
    const { pfip, utilityString, dasm, msia, ...rest } = this.facts;
    return {
      state: this.state,
      fh: this.fh,
      vectors: this.vectors,
      measurementBlock: this.#measurementBlock ?? null,
      pci: this.pci.state(),
      facts: {
        ...rest,
        pfip: pfip.toHex(),
        utilityString: utilityString?.toHex() ?? null,
        dasm: hex(dasm),
        msia: hex(msia),
      },
    };
  }

  #registerIoat(domain: IommuDomain): void {
    this.#modify(MPCIFC.REGISTER_IOAT, this.#ioat(domain));
  }

  #ioat(domain: IommuDomain) {
    const { startDma, endDma, pft } = this.facts;
    // The ISM virtual device takes the limit for one page less than it is (arch/s390/pci/pci.c: zpci_register_ioat).
    const pal = pft === PFT_ISM && endDma > startDma ? endDma + PAGE_SIZE : endDma;
    return { pba: startDma, pal, iota: domain.origin + IOTA_TRANSLATION_ON + IOTA_REGION_THIRD };
  }

  /** zpci_set_irq: floating interrupts of some vectors, of those that there are by default. @throws {ErrnoError} EIO */
  registerInterrupts(vectors = this.vectors): void {
    const { aibv, aisb, aisbo } = this.#bits;
    const interrupts = packInterrupts({ isc: PCI_ISC, noi: vectors, aibvo: 0, sum: 1, aisbo });
    this.#modify(MPCIFC.REGISTER_INTERRUPTS, { aibv, aisb, interrupts });
  }

  /** MPCIFC that has to work. @throws {ErrnoError} EIO */
  #modify(operation: number, fib: Parameters<typeof FIB.encode>[0]): void {
    const cc = this.#execute(operation, fib);
    if (cc !== CC.OK) throw this.#refused(cc, "MPCIFC", "zpci_mod_fc");
  }

  /** MPCIFC, repeated while it is busy. @returns its condition code @throws {ErrnoError} EIO on a program exception */
  #execute(operation: number, fib: Parameters<typeof FIB.encode>[0]): number {
    let cc: number;
    let tries = 0;
    try {
      do {
        cc = mpcifc(this.#processor, this.fh, operation, FIB.encode(fib));
        if (cc === CC.BUSY) this.#wait(++tries, "MPCIFC");
      } while (cc === CC.BUSY);
    } catch (error) {
      if (error instanceof ProgramException) throw this.#refused(CC.ERROR, "MPCIFC", "zpci_mod_fc");
      throw error;
    }
    return cc;
  }

  /**
   * Takes a registration back. What the machine does not have any more need not be taken back (zpci.mpcifc.sequence).
   */
  #takeBack(operation: number): void {
    quietly(() => this.#modify(operation, {}));
  }

  #setFunction(operation: number, dmaSpaces: number): void {
    const block = clpBlock(CLP.SET_FUNCTION, SET_FUNCTION_RESPONSE.size);
    SET_FUNCTION_REQUEST.encode({ fh: this.fh, operation, dmaSpaces }, block);
    clp(this.#processor.partition, block);
    const response = CLP_HEADER.decode(block, SET_FUNCTION_REQUEST.size).code;
    if (response === CLP_RESPONSE.ALREADY_IN_STATE && operation === SET_FUNCTION.DISABLE) {
      this.fh = this.#listedHandle() ?? this.fh;
      return;
    }
    if (response !== CLP_RESPONSE.OK) {
      throw new ErrnoError("EIO", {
        layer: "instruction",
        ref: "zpci.clp.responses",
        rule: "set PCI function",
        source: "arch/s390/pci/pci_clp.c: clp_set_pci_fn",
        message: `Set PCI Function answered response code ${hex(response, 4)}`,
      });
    }
    const { fh } = SET_FUNCTION_RESPONSE.decode(block, SET_FUNCTION_REQUEST.size);
    if (fh !== 0) this.fh = fh;
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

  #refused(cc: number, op: string, symbol: string, at?: FailedInstruction["at"]): ErrnoError {
    const { status, refusedByDevice } = this.#processor;
    return instructionError({ op, symbol, cc, status, fh: this.fh, refusedByDevice, at });
  }
}
