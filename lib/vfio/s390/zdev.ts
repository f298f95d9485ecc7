/**
 * The kernel's view of one zPCI function (arch/s390/pci): what CLP told at boot, the current handle, and what
 * is registered with the function. Facts: docs/reference/zpci/functions.md and zpci/controls.md.
 */
import { Kept, type Rows } from "../../base/journal.ts";
import { CC, MPCIFC_STATUS } from "../../zpci/answer.ts";
import { SPACE_CONFIG } from "../../zpci/access_rules.ts";
import { SET_FUNCTION } from "../../zpci/clp.ts";
import { IOTA_REGION_THIRD, IOTA_TRANSLATION_ON, packInterrupts } from "../../zpci/fib.ts";
import { isEnabledHandle } from "../../zpci/handle.ts";
import type { Processor } from "../../zpci/instruction.ts";
import { MPCIFC } from "../../zpci/mpcifc.ts";
import { SCLP, sclp } from "../../zpci/service_processor.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { usableEnd } from "./aperture.ts";
import { INVALID_HANDLE_RULE, refusalOf } from "./answers.ts";
import { type ErrnoError, quietly } from "../errno.ts";
import type { IommuDomain } from "../iommu/iommu_domain.ts";
import { PciDevice } from "../pci/pci_device.ts";
import { type InterruptBits, PCI_ISC } from "./interrupt_page.ts";
import { PciInstructions, REGISTER_BYTES } from "./instructions.ts";
import { listedHandle, listEntries, queryFacts, setFunction, type ZdevFacts } from "./pci_clp.ts";
import { factsOf, factsState, type ZdevAvailability, type ZdevState } from "./zdev_state.ts";

const PFT_ISM = 5;
/** Choices of the topology that a function is discovered with. */
export interface DiscoveryOptions {
  readonly busyRetryLimit: number;
  /** Bytes of DMA addresses for each byte of main memory; 0 for all that CLP tells. */
  readonly iommuAperture: number;
}

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
  readonly #instructions: PciInstructions;

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
    this.#instructions = new PciInstructions(processor, busyLimit);
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
    const zdev = new Zdev(processor, state.fh, factsOf(state.facts), bits, busyLimit);
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
   * {@linkcode PciInstructions.load} with the current handle.
   *
   * @throws {ErrnoError} EIO, ENXIO
   */
  load(space: number, offset: number, length: number): Uint8Array {
    return this.#instructions.load(this.#fh, space, offset, length);
  }

  /** {@linkcode PciInstructions.storeBlock} with the current handle. @throws {ErrnoError} EIO, ENXIO */
  storeBlock(space: number, offset: number, length: number, source: Uint8Array): void {
    this.#instructions.storeBlock(this.#fh, space, offset, length, source);
  }

  /** {@linkcode PciInstructions.store} with the current handle. @throws {ErrnoError} EIO, ENXIO */
  store(space: number, offset: number, length: number, value: Uint8Array): void {
    this.#instructions.store(this.#fh, space, offset, length, value);
  }

  /** {@linkcode PciInstructions.refresh} with the current handle. @throws {ErrnoError} ENOMEM, EIO */
  refresh(iova: number, length: number): void {
    this.#instructions.refresh(this.#fh, iova, length);
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
    const fh = listedHandle(this.#processor.partition, this.facts.fid);
    if (fh !== undefined) this.fh = fh;
    if (isEnabledHandle(this.fh)) this.disable();
    this.enable();
  }

  /** Lets go of a function whose driver is gone: disable, then SCLP deconfigure unless the machine took it already. */
  deconfigure(): void {
    const { partition } = this.#processor;
    this.attach(undefined);
    quietly(() => isEnabledHandle(this.fh) && this.disable());
    const entry = listEntries(partition).find(({ fid }) => fid === this.facts.fid);
    if (entry?.configured === true) sclp(partition, SCLP.DECONFIGURE, this.facts.fid);
    this.state = entry === undefined ? "reserved" : "standby";
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
    quietly(() => this.#instructions.modify(this.fh, MPCIFC.SET_MEASUREMENT_BLOCK, { fmba }));
  }

  /** zpci_reset_load_store_blocked: accesses work again, DMA and interrupts do not. @throws {ErrnoError} EIO */
  unblock(): void {
    this.#instructions.modify(this.fh, MPCIFC.RESET_BLOCK, {});
  }

  /** zpci_clear_error_state. @throws {ErrnoError} EIO */
  clearError(): void {
    this.#instructions.modify(this.fh, MPCIFC.RESET_ERROR, {});
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
    const cc = this.#instructions.execute(this.fh, MPCIFC.REGISTER_IOAT, this.#ioat(domain));
    const isLater = cc === CC.INVALID_HANDLE ||
      cc === CC.ERROR && this.#processor.status === MPCIFC_STATUS.RECOVERY_IN_PROGRESS;
    if (cc !== CC.OK && !isLater) throw this.#instructions.refused(this.fh, cc, "MPCIFC", "zpci_mod_fc");
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

  save(): ZdevState {
    return {
      state: this.state,
      fh: this.fh,
      vectors: this.vectors,
      measurementBlock: this.#measurementBlock ?? null,
      pci: this.pci.state(),
      facts: factsState(this.facts),
    };
  }

  #registerIoat(domain: IommuDomain): void {
    this.#instructions.modify(this.fh, MPCIFC.REGISTER_IOAT, this.#ioat(domain));
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
    this.#instructions.modify(this.fh, MPCIFC.REGISTER_INTERRUPTS, { aibv, aisb, interrupts });
  }

  /**
   * Takes a registration back. What the machine does not have any more need not be taken back (zpci.mpcifc.sequence).
   */
  #takeBack(operation: number): void {
    quietly(() => this.#instructions.modify(this.fh, operation, {}));
  }

  #setFunction(operation: number, dmaSpaces: number): void {
    const { fh, facts: { fid } } = this;
    this.fh = setFunction(this.#processor.partition, { fid, fh, operation, dmaSpaces });
  }
}
