/**
 * The page in which the machine sets a guest's PCI interrupt bits: one summary bit a function, a doubleword of vector
 * bits each behind them. Facts: zpci.irq.deliver (arch/s390/pci/pci_irq.c).
 */
import { type MainStorage, PAGE_SIZE } from "../../zpci/storage.ts";
import type { Zdev } from "./zdev.ts";

/** Where a function's interrupt bits lie in storage. */
export interface InterruptBits {
  readonly aibv: number;
  readonly aisb: number;
  readonly aisbo: number;
}

/** Interruption subclass of PCI adapter interruptions (arch/s390/include/asm/isc.h). */
export const PCI_ISC = 2;

const DOUBLEWORD = 8;
/** Summary doubleword at the start of the page, one vector doubleword per function behind it. */
const VECTORS_AT = DOUBLEWORD;

/** Interrupt bits of all functions. */
export class InterruptPage {
  readonly #storage: MainStorage;
  /** In storage. */
  readonly address: number;

  constructor(storage: MainStorage, address: number) {
    this.#storage = storage;
    this.address = address;
    storage.reserved.set(address, true);
  }

  /** The bits of a function, by its place in the order of discovery. */
  bitsOf(position: number): InterruptBits {
    const page = this.address;
    return { aibv: page + VECTORS_AT + position * DOUBLEWORD, aisb: page, aisbo: position };
  }

  /** Takes the summary bits, then the vector bits of each function; vectors are handed on. */
  take(zdevs: readonly Zdev[], handOn: (zdev: Zdev, vector: number) => void): void {
    const storage = this.#storage.find(this.address, PAGE_SIZE)!;
    const bytes = storage.touch(0, PAGE_SIZE, true);
    zdevs.forEach((zdev, i) => {
      const summary = 0x80 >> (i & 7);
      if ((bytes[i >> 3]! & summary) === 0) return;
      bytes[i >> 3] = bytes[i >> 3]! & ~summary;
      const vectorsAt = VECTORS_AT + i * DOUBLEWORD;
      for (let vector = 0; vector < zdev.vectors; vector++) {
        const mask = 0x80 >> (vector & 7);
        const at = vectorsAt + (vector >> 3);
        if ((bytes[at]! & mask) === 0) continue;
        bytes[at] = bytes[at]! & ~mask;
        handOn(zdev, vector);
      }
    });
  }
}
