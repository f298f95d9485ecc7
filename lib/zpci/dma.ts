/**
 * A function's access to its partition's storage: translation, protection, and what happens when they fail.
 * Facts: zpci.dma.* and zpci.mpcifc.ioat.
 */
import { PEC } from "./error_events.ts";
import type { MachineOptions } from "./options.ts";
import type { DmaMemory } from "./storage.ts";
import { type Translation, type TranslationTables, usableLimit } from "./translation.ts";
import type { ZpciFunction } from "./function.ts";

/** Outcome of a DMA access. */
export const DMA = {
  OK: 0,
  /** Bus master is off: nothing moved, no error event. */
  BLOCKED: 1,
  /** Translation failed: nothing moved, the function is in the error state. */
  FAULT: 2,
  /** Translation failed: the write is lost, and the function does not notice. */
  DISCARDED: 3,
} as const;

/** What becomes of a device write that no translation leads to storage (zpci.dma.fault). */
const ON_FAULT: Readonly<
  Record<MachineOptions["unmappedDma"], (fn: ZpciFunction, pec: number, iova: number) => number>
> = {
  "error-state": (fn, pec, iova) => {
    fn.fail(pec, iova, true);
    return DMA.FAULT;
  },
  discard: () => DMA.DISCARDED,
};

/** Function type of ISM, whose registered limit is off by one page. */
const PFT_ISM = 5;

/** The DMA engine of one function. An access never crosses a page, as no ISM access does. */
export class DmaPort {
  readonly #fn: ZpciFunction;
  #last: Translation | undefined = undefined;
  #tables: TranslationTables | undefined = undefined;
  #generation = 0;
  /** The memory that the last successful {@linkcode resolve} found. */
  memory: DmaMemory | undefined = undefined;
  /** Offset in {@linkcode memory} of the resolved address. Bytes. */
  offset = 0;
  /** Bus mastering is enforced (an assumption that the topology can switch off). */
  enforceBusMaster = true;

  constructor(fn: ZpciFunction) {
    this.#fn = fn;
  }

  /** True if a device write of `length` bytes at `iova` would reach storage. Never faults the function. */
  reaches(iova: number, length: number): boolean {
    return this.#check(iova, length) === 0;
  }

  /**
   * Translates `length` bytes at `iova` for a device write; on {@linkcode DMA}.OK the place is in `memory` and `offset`.
   * A translation failure ends as {@linkcode fault} says.
   */
  resolve(iova: number, length: number): number {
    if (this.enforceBusMaster && !this.#fn.model.config.busMaster) return DMA.BLOCKED;
    const pec = this.#check(iova, length);
    if (pec !== 0) return this.fault(pec, iova);
    const entry = this.#last!;
    this.memory = entry.buffer;
    this.offset = iova - entry.iova + entry.bufferOffset;
    return DMA.OK;
  }

  /** A device write at `iova` has no translation: an error event and the error state, or nothing by choice. */
  fault(pec: number, iova: number): number {
    return ON_FAULT[this.#fn.partition.options.unmappedDma](this.#fn, pec, iova);
  }

  /** Writes all of `source` at `iova`. */
  write(iova: number, source: Uint8Array): number {
    return this.store(iova, source, source.length);
  }

  /** Writes the first `length` bytes of `source` at `iova`. */
  store(iova: number, source: Uint8Array, length: number): number {
    const outcome = this.resolve(iova, length);
    if (outcome === DMA.OK) this.memory!.store(this.offset, source, length);
    return outcome;
  }

  /** Finds the translation; 0, or the event code of the failure. */
  #check(iova: number, length: number): number {
    const ioat = this.#fn.ioat;
    if (ioat === undefined || this.#fn.state !== "enabled") return PEC.INVALID_DMA_SPACE;
    const limit = usableLimit(ioat.pal, this.#fn.identity.pft === PFT_ISM && ioat.pal > ioat.pba);
    if (iova < ioat.pba || iova + length - 1 > limit) return PEC.OUT_OF_RANGE;
    if (ioat.tables !== this.#tables || ioat.tables.generation !== this.#generation) {
      this.#tables = ioat.tables;
      this.#generation = ioat.tables.generation;
      this.#last = undefined;
    }
    let entry = this.#last;
    if (entry === undefined || iova < entry.iova || iova + length > entry.iova + entry.size) {
      entry = ioat.tables.find(iova);
      if (entry === undefined || iova + length > entry.iova + entry.size) return PEC.TRANSLATION_PROTECTION;
      this.#last = entry;
    }
    return entry.write ? 0 : PEC.TRANSLATION_PROTECTION;
  }
}
