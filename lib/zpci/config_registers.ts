/**
 * The configuration space that a function's hardware holds: bytes, a write mask per byte, BAR sizing.
 * Little-endian, as PCI defines it. Facts: ism.config.ids, ism.config.msi.
 */

/** Offset of the COMMAND register and its bus-master bit. */
const COMMAND = 0x04;
const BUS_MASTER = 0x04;

/** State of the registers, for the host file. */
export interface ConfigRegistersState {
  readonly bytes: string;
}

/** Hardware registers of one function's configuration space. */
export class ConfigRegisters {
  readonly #initial: Uint8Array;
  readonly #writable: Uint8Array;
  readonly #bytes: Uint8Array;

  /** `initial` are the bytes after a reset, `writable` the bits that a write changes; both as long as the space. */
  constructor(initial: Uint8Array, writable: Uint8Array) {
    this.#initial = initial;
    this.#writable = writable;
    this.#bytes = initial.slice();
  }

  /** Size of the space in bytes: 256 or 4096. */
  get size(): number {
    return this.#bytes.length;
  }

  /** The function may start DMA (COMMAND bit 2). */
  get busMaster(): boolean {
    return (this.#bytes[COMMAND]! & BUS_MASTER) !== 0;
  }

  /** The byte at an offset inside the space. */
  read(offset: number): number {
    return this.#bytes[offset]!;
  }

  /** Writes a byte at an offset inside the space; bits outside the write mask keep their value. */
  write(offset: number, value: number): void {
    const mask = this.#writable[offset]!;
    this.#bytes[offset] = (this.#bytes[offset]! & ~mask) | (value & mask);
  }

  /** A copy of all bytes. */
  snapshot(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Back to the bytes of a {@linkcode snapshot}. */
  putBack(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
  }

  /** Back to the bytes after power-on. */
  reset(): void {
    this.#bytes.set(this.#initial);
  }

  save(): ConfigRegistersState {
    return { bytes: this.#bytes.toHex() };
  }

  restore(state: ConfigRegistersState): void {
    this.#bytes.set(Uint8Array.fromHex(state.bytes));
  }
}
