/**
 * A zPCI function as the platform knows it: identity, state, handle, and what is registered for it.
 * Facts: docs/reference/zpci/functions.md, zpci/clp.md and zpci/controls.md (states as in QEMU
 * hw/s390x/s390-pci-bus.h: ZpciState).
 */
import { Kept, type PutRow } from "../base/journal.ts";
import { ConfigRegisters, type ConfigRegistersState } from "./config_registers.ts";
import { DmaPort } from "./dma.ts";
import { reportError } from "./error_events.ts";
import { disabledHandle, ENABLED_HANDLE, initialHandle } from "./handle.ts";
import type { Partition } from "./partition.ts";
import type { IoatRegistration } from "./translation.ts";

/** States of zpci.state.table. */
export const FUNCTION_STATES = [
  "reserved",
  "standby",
  "disabled",
  "enabled",
  "blocked",
  "error",
  "permanent-error",
] as const;
export type FunctionState = (typeof FUNCTION_STATES)[number];

/** A function group: what Query PCI Function Group tells (zpci.group.layout). Lengths in bytes. */
export interface FunctionGroup {
  readonly pfgid: number;
  /** Most MSIs of a function. */
  readonly noi: number;
  readonly version: number;
  /** Store blocks of any length and alignment; without it QEMU's strict rules hold (zpci.pcistb.strict). */
  readonly relaxed: boolean;
  /** Programs must issue RPCIT after they change translation tables. */
  readonly refresh: boolean;
  /** Longest store block, 13 bits. */
  readonly maxstbl: number;
  /** Measurement block update interval, milliseconds. */
  readonly mui: number;
  /** DMA address space mask. */
  readonly dasm: bigint;
  /** MSI address. */
  readonly msia: bigint;
  /** Supported translation designation types. */
  readonly dtsm: number;
}

/**
 * What never changes about a function: its entry in the machine's I/O configuration (zpci.function.ids and
 * zpci.query.layout).
 */
export interface FunctionIdentity {
  readonly fid: number;
  readonly uid: number;
  readonly pchid: number;
  readonly vfn: number;
  /** Function type; 5 is ISM. */
  readonly pft: number;
  readonly port: number;
  /** First and last usable DMA address. */
  readonly sdma: number;
  readonly edma: number;
  /** BAR sizes as exponents of two, 0 for an absent BAR; six entries. */
  readonly barExponents: readonly number[];
  /** BAR type bits as in config space: 4 is 64-bit, 8 prefetchable; six entries. */
  readonly barFlags: readonly number[];
  /** Length of the measurement block in bytes. */
  readonly fmbLength: number;
  /** Internal path, four bytes. */
  readonly pfip: Uint8Array;
  /** Utility string, 64 bytes of EBCDIC; all zero when there is none. */
  readonly utilityString: Uint8Array;
}

/** Answer of a model to an access: 0 done, 1 to 255 a status code (condition code 1), or one of these. */
export const MODEL = {
  OK: 0,
  /** Condition code 2: try again. */
  BUSY: 0x100,
  /** The target is not accessible: operand exception. */
  NOT_ACCESSIBLE: 0x101,
} as const;

/** What a PCI function is made of, behind the platform: the device boundary. */
export interface PciFunctionModel {
  /** Configuration space of the hardware. */
  readonly config: ConfigRegisters;
  /** Loads `length` bytes (1 to 8) into `into` at `at`, in address order. */
  load(space: number, offset: number, length: number, into: Uint8Array, at: number): number;
  /** Stores `length` bytes (1 to 8) of `from` at `at`, in address order. */
  store(space: number, offset: number, length: number, from: Uint8Array, at: number): number;
  /** One store block: the first `length` bytes of `source`, as one operation. */
  storeBlock(space: number, offset: number, source: Uint8Array, length: number): number;
  /** The function was disabled, reset, or went into an error state: all registrations are gone. */
  reset(cause: "disable" | "error"): void;
  /** True if the device holds a DMA address in the range. Bytes. */
  usesDma(iova: number, length: number): boolean;
}

/** Interrupt registration by MPCIFC operation 2: addresses are in the partition's storage. */
export interface InterruptRegistration {
  readonly isc: number;
  readonly noi: number;
  /** Address of the interrupt bit vector, and bit number of vector 0 in it. */
  readonly aibv: number;
  readonly aibvo: number;
  /** Address of the doubleword with the summary bit, and the bit's number in it. */
  readonly aisb: number;
  readonly aisbo: number;
}

/** Changing part of a function, for the host file. */
export interface FunctionRecord {
  readonly fh: number;
  readonly state: FunctionState;
  readonly config: ConfigRegistersState;
  readonly interrupts: InterruptRegistration | null;
  readonly ioat: { readonly origin: number; readonly pba: number; readonly pal: number } | null;
  readonly measurementBlock: number | null;
}

/** One function of one partition. */
export class ZpciFunction extends Kept {
  readonly identity: FunctionIdentity;
  readonly group: FunctionGroup;
  readonly partition: Partition;
  /** The device's way into the partition's storage. */
  readonly dma: DmaPort;
  /** The handle that instructions must name. */
  fh: number;
  state: FunctionState = "disabled";
  interrupts: InterruptRegistration | undefined = undefined;
  ioat: IoatRegistration | undefined = undefined;
  /** Storage address of the measurement block; the machine writes nothing there yet. */
  measurementBlock: number | undefined = undefined;
  readonly #barSizes: readonly number[];
  #model: PciFunctionModel | undefined = undefined;

  constructor(partition: Partition, identity: FunctionIdentity, group: FunctionGroup, index: number) {
    super(partition.storage.journal);
    this.partition = partition;
    this.identity = identity;
    this.group = group;
    this.fh = initialHandle(index);
    this.dma = new DmaPort(this);
    this.#barSizes = identity.barExponents.map((exponent) => exponent === 0 ? 0 : 2 ** exponent);
  }

  /** The device behind the function; set once by the host that wires it. */
  get model(): PciFunctionModel {
    if (this.#model === undefined) throw new Error(`Function ${this.identity.fid} has no device`);
    return this.#model;
  }

  attach(model: PciFunctionModel): void {
    this.#model = model;
  }

  /** BAR size in bytes, 0 for an absent BAR. */
  barSize(space: number): number {
    return this.#barSizes[space] ?? 0;
  }

  /** Configured disabled -> enabled: another handle (zpci.handle.change). */
  enable(): void {
    this.touch();
    this.fh = ENABLED_HANDLE[this.partition.options.handleInstance](this.fh);
    this.state = "enabled";
  }

  /** Any enabled state -> disabled. Implies a reset: everything registered is dropped (zpci.state.disable). */
  disable(to: FunctionState = "disabled"): void {
    this.touch();
    this.fh = disabledHandle(this.fh);
    this.state = to;
    this.interrupts = undefined;
    this.ioat = undefined;
    this.measurementBlock = undefined;
    this.model.reset("disable");
    this.model.config.reset();
  }

  /**
   * The device ran into an error: loads and stores are refused, DMA and interrupts stop (recovery.event.state), and the
   * partition is told. Once: what is in an error state already does nothing that could fail.
   *
   * @param pec event code of recovery.event.codes
   * @param address failing DMA address
   */
  fail(pec: number, address: number, write: boolean): void {
    if (this.state !== "error") reportError(this, pec, address, write);
  }

  /** MSI from the device: bits in storage, then perhaps an adapter interruption (zpci.irq.deliver). */
  raiseMsi(vector: number): void {
    this.partition.deliverMsi(this, vector);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put(`function/${this.identity.fid}`, this.save());
  }

  protected override remember(): () => void {
    const { fh, state, interrupts, ioat, measurementBlock } = this;
    const { config } = this.model;
    const bytes = config.snapshot();
    return () => {
      Object.assign(this, { fh, state, interrupts, ioat, measurementBlock });
      config.putBack(bytes);
    };
  }

  save(): FunctionRecord {
    return {
      fh: this.fh,
      state: this.state,
      config: this.model.config.save(),
      interrupts: this.interrupts ?? null,
      ioat: this.ioat === undefined
        ? null
        : { origin: this.ioat.origin, pba: this.ioat.pba, pal: this.ioat.pal },
      measurementBlock: this.measurementBlock ?? null,
    };
  }

  /** Takes a record over, all but the address translation. */
  restore(record: FunctionRecord): void {
    this.fh = record.fh;
    this.state = record.state;
    this.model.config.restore(record.config);
    this.interrupts = record.interrupts ?? undefined;
    this.measurementBlock = record.measurementBlock ?? undefined;
  }

  /** The address translation of a record, once the kernel's tables are there. */
  restoreTranslation(record: FunctionRecord): void {
    const tables = record.ioat === null
      ? undefined
      : this.partition.translationTables.get(record.ioat.origin);
    this.ioat = tables === undefined ? undefined : { ...record.ioat!, tables };
  }
}
