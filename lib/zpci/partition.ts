/**
 * One logical partition (a guest): its storage, its functions, and the ways in which the machine calls its kernel.
 */
import { type Journal, KeptMap } from "../base/journal.ts";
import type { Tracer } from "../base/trace.ts";
import { ProgramException } from "./answer.ts";
import type { Clock } from "./clock.ts";
import { handleIndex } from "./handle.ts";
import { type FunctionGroup, type FunctionIdentity, ZpciFunction } from "./function.ts";
import { DEFAULT_MACHINE_OPTIONS, type MachineOptions } from "./options.ts";
import { AVAILABILITY } from "./service_processor.ts";
import type { MainStorage } from "./storage.ts";
import type { TranslationTables } from "./translation.ts";

/** An error event block (recovery.event.block, CCDF error). */
export interface ErrorEvent {
  readonly fh: number;
  readonly fid: number;
  readonly pec: number;
  /** Failing address. */
  readonly address: number;
  readonly write: boolean;
}

/** An availability event block (recovery.avail.codes). */
export interface AvailabilityEvent {
  readonly fh: number;
  readonly fid: number;
  readonly pec: number;
}

/** What a partition's kernel does when the machine calls it. */
export interface PartitionKernel {
  /** An adapter interruption on an interruption subclass. */
  adapterInterruption(isc: number): void;
  /** An error event for one of the partition's functions. */
  errorEvent(event: ErrorEvent): void;
  /** A function came, went, or is wanted back. */
  availabilityEvent(event: AvailabilityEvent): void;
}

const DOUBLEWORD_BYTES = 8;

/** Modes of SIC for floating interrupts: all of them, or one and then none until SIC comes again. */
export const SIC = { ALL: 0, SINGLE: 1 } as const;
const SIC_NAMES: Readonly<Record<number, string>> = { [SIC.ALL]: "ALL", [SIC.SINGLE]: "SINGLE" };

/** Storage and functions of one guest. */
export class Partition {
  readonly name: string;
  /** What the keys of its rows in the saved state begin with. */
  readonly key: string;
  readonly storage: MainStorage;
  readonly tracer: Tracer;
  readonly clock: Clock;
  readonly options: MachineOptions;
  readonly groups = new Map<number, FunctionGroup>();
  /** Translation tables by the storage address of their origin, as an iota designates them. */
  readonly translationTables: KeptMap<TranslationTables>;
  /** Functions by table index; slot 0 stays empty so that no handle is 0. */
  readonly #functions: (ZpciFunction | undefined)[] = [undefined];
  kernel: PartitionKernel | undefined = undefined;
  /** Interruption subclasses in single mode; true while the next interruption is still to come. */
  readonly #single = new Map<number, boolean>();

  constructor(
    name: string,
    storage: MainStorage,
    tracer: Tracer,
    clock: Clock,
    options: MachineOptions = DEFAULT_MACHINE_OPTIONS,
    key = "guest",
  ) {
    this.key = key;
    this.name = name;
    this.storage = storage;
    this.translationTables = new KeptMap(storage.journal);
    this.tracer = tracer;
    this.clock = clock;
    this.options = options;
  }

  /** What the transaction that is open has changed. */
  get journal(): Journal {
    return this.storage.journal;
  }

  /** All functions, in table order. */
  get functions(): readonly ZpciFunction[] {
    return this.#functions.filter((fn) => fn !== undefined);
  }

  /** Adds a function to the partition's table, configured and disabled. */
  addFunction(identity: FunctionIdentity, group: FunctionGroup): ZpciFunction {
    this.groups.set(group.pfgid, group);
    const fn = new ZpciFunction(this, identity, group, this.#functions.length);
    this.#functions.push(fn);
    return fn;
  }

  /** The function with exactly this handle (zpci.handle.stale: index and full equality), or undefined. */
  byHandle(fh: number): ZpciFunction | undefined {
    const fn = this.#functions[handleIndex(fh)];
    return fn !== undefined && fn.fh === fh ? fn : undefined;
  }

  /** Function id of the function whose handle this is or was, whether it is good now or not; undefined for none. */
  fidOf(fh: number): number | undefined {
    return this.#functions[handleIndex(fh)]?.identity.fid;
  }

  /** The function with a function id, or undefined. */
  byFid(fid: number): ZpciFunction | undefined {
    return this.#functions.find((fn) => fn?.identity.fid === fid);
  }

  /**
   * MSI delivery in floating mode (QEMU hw/s390x/s390-pci-bus.c: s390_msi_ctrl_write): vector bit, summary bit, and
   * an adapter interruption only if the summary bit was 0. Dropped unless the function is enabled and registered.
   */
  deliverMsi(fn: ZpciFunction, vector: number): void {
    const registration = fn.interrupts;
    const accepted = fn.state === "enabled" && registration !== undefined && vector < registration.noi;
    if (this.tracer.sink !== undefined) {
      this.tracer.point({
        layer: "irq",
        op: "MSI",
        guest: this.name,
        fid: fn.identity.fid,
        args: { vector, delivered: accepted },
      });
    }
    if (!accepted) return;
    this.#setBit(registration.aibv, registration.aibvo + vector);
    const summaryWasSet = this.#setBit(registration.aisb, registration.aisbo);
    if (summaryWasSet) return;
    if (this.#single.get(registration.isc) === false) return;
    if (this.#single.has(registration.isc)) this.#single.set(registration.isc, false);
    if (this.tracer.sink !== undefined) {
      this.tracer.point({
        layer: "irq",
        op: "adapter-interruption",
        guest: this.name,
        fid: fn.identity.fid,
        args: { isc: registration.isc },
      });
    }
    this.kernel?.adapterInterruption(registration.isc);
  }

  /**
   * SIC (set interruption controls): which adapter interruptions of a subclass come (zpci.irq.sic).
   *
   * @throws {ProgramException} operand: a mode of CPU-directed delivery, which the machine does not have
   */
  setInterruptionControls(mode: number, isc: number): void {
    const isKnown = mode === SIC.ALL || mode === SIC.SINGLE;
    if (this.tracer.sink !== undefined) {
      const name = isKnown ? SIC_NAMES[mode] : undefined;
      const args = { mode: name === undefined ? mode : { value: mode, name }, isc };
      const event = { layer: "insn", op: "SIC", guest: this.name, args } as const;
      this.tracer.point({ ...event, ...(isKnown ? { cc: 0, status: 0 } : { exception: "operand" }) });
    }
    if (!isKnown) throw new ProgramException("operand", `SIC with mode ${mode}`);
    if (mode === SIC.ALL) this.#single.delete(isc);
    else this.#single.set(isc, true);
  }

  /** Tells the kernel of an error event. */
  errorEvent(fn: ZpciFunction, pec: number, address: number, write: boolean): void {
    if (this.tracer.sink !== undefined) {
      this.tracer.point({
        layer: "irq",
        op: "error-event",
        guest: this.name,
        fid: fn.identity.fid,
        args: { pec, address, write },
      });
    }
    this.kernel?.errorEvent({ fh: fn.fh, fid: fn.identity.fid, pec, address, write });
  }

  /** Tells the kernel of an availability event. */
  availabilityEvent(fn: ZpciFunction, pec: number): void {
    if (this.tracer.sink !== undefined) {
      const { name: guest } = this;
      this.tracer.point({
        layer: "irq",
        op: "availability-event",
        guest,
        fid: fn.identity.fid,
        args: { pec },
      });
    }
    // An event about several functions names none (recovery.avail.codes).
    const named = pec !== AVAILABILITY.RESCAN;
    this.kernel?.availabilityEvent({ fh: named ? fn.fh : 0, fid: named ? fn.identity.fid : 0, pec });
  }

  /** Sets bit `bit` (counted from the most significant of the byte at `address`) and says whether it was set. */
  #setBit(address: number, bit: number): boolean {
    const buffer = this.storage.find(address, DOUBLEWORD_BYTES);
    if (buffer === undefined) return false;
    const at = address - buffer.address + (bit >> 3);
    const bytes = buffer.touch(at, 1, true);
    const mask = 0x80 >> (bit & 7);
    const was = (bytes[at]! & mask) !== 0;
    bytes[at] = bytes[at]! | mask;
    return was;
  }
}
