/** Config space of one open device as vfio-pci shows it: a shadow over the machine's own. */
import { BAR_COUNT, BASE_ADDRESS_0, isBarOffset, ROM_ADDRESS, settleBars } from "./bars.ts";
import { checkRange, checkUserBuffer, type Chunk, planChunks } from "./chunks.ts";
import {
  checkFacts,
  type ConfigFacts,
  type ConfigHardware,
  foldRefusals,
  type MsiGrant,
} from "./hardware.ts";
import { quietly } from "../errno.ts";
import { type Capability, type ConfigKind, PermissionMap } from "./permission_map.ts";
import { COMMAND_IO, COMMAND_MEMORY, MSI_FLAGS_ENABLE, MSI_FLAGS_QSIZE } from "./registers.ts";
import { buildShadow } from "./shadow.ts";
import { allOnes, mergeBits, readWord, writeWord } from "./word.ts";

export { type Chunk, type ConfigFacts, type ConfigHardware, type MsiGrant, planChunks };

/** All that a {@linkcode ConfigSpace} remembers, as JSON. */
export type ConfigSpaceState = {
  readonly shadow: string;
  readonly savedBars: string;
  readonly barsDirty: boolean;
  readonly capabilities: readonly { readonly id: number; readonly start: number; readonly length: number }[];
};

/** A chunk and how it will be handled. */
export interface PlannedChunk extends Chunk {
  readonly kind: ConfigKind;
}

const COMMAND = 0x04;
const MSI_FLAGS = 2;
const QSIZE_SHIFT = 4;

/** The vfio-pci shadow of one open device; lives from first open to last close. */
export class ConfigSpace {
  readonly #hardware: ConfigHardware;
  readonly #facts: ConfigFacts;
  readonly #msi: () => MsiGrant;
  readonly #map: PermissionMap;
  readonly #shadow: Uint8Array;
  readonly #savedBars: Uint8Array;
  #barsDirty: boolean;
  /** Called before the shadow changes; the device sets it. */
  touch: () => void = () => {};

  private constructor(
    hardware: ConfigHardware,
    facts: ConfigFacts,
    msi: () => MsiGrant,
    memory: { map: PermissionMap; shadow: Uint8Array; savedBars: Uint8Array; barsDirty: boolean },
  ) {
    this.#hardware = foldRefusals(hardware);
    this.#facts = facts;
    this.#msi = msi;
    this.#map = memory.map;
    this.#shadow = memory.shadow;
    this.#savedBars = memory.savedBars;
    this.#barsDirty = memory.barsDirty;
  }

  /**
   * Builds the shadow at first open.
   *
   * @throws {ErrnoError} ENODEV if the machine refuses a load.
   */
  static build(hardware: ConfigHardware, facts: ConfigFacts, msi: () => MsiGrant): ConfigSpace {
    checkFacts(facts);
    const { bytes: shadow, capabilities } = buildShadow(
      foldRefusals(hardware),
      facts.size,
      facts.virtualFunction,
    );
    const map = new PermissionMap(facts.size, capabilities);
    const savedBars = shadow.slice(BASE_ADDRESS_0, BASE_ADDRESS_0 + 4 * BAR_COUNT);
    return new ConfigSpace(hardware, facts, msi, { map, shadow, savedBars, barsDirty: true });
  }

  /** Continues from what {@linkcode save} returned, without any access to hardware. */
  static restore(
    state: ConfigSpaceState,
    hardware: ConfigHardware,
    facts: ConfigFacts,
    msi: () => MsiGrant,
  ): ConfigSpace {
    checkFacts(facts);
    const shadow = Uint8Array.fromHex(state.shadow);
    if (shadow.length !== facts.size) {
      throw new TypeError(`Saved config space has ${shadow.length} bytes, the function ${facts.size}`);
    }
    const map = new PermissionMap(facts.size, state.capabilities);
    const savedBars = Uint8Array.fromHex(state.savedBars);
    return new ConfigSpace(hardware, facts, msi, { map, shadow, savedBars, barsDirty: state.barsDirty });
  }

  /** What puts it back as it is now: the device remembers it with its own fields. */
  remember(): () => void {
    const [shadow, barsDirty] = [this.#shadow.slice(), this.#barsDirty];
    return () => {
      this.#shadow.set(shadow);
      this.#barsDirty = barsDirty;
    };
  }

  /** The state as JSON. */
  save(): ConfigSpaceState {
    return {
      shadow: this.#shadow.toHex(),
      savedBars: this.#savedBars.toHex(),
      barsDirty: this.#barsDirty,
      capabilities: this.#map.capabilities.map(({ id, start, length }) => ({ id, start, length })),
    };
  }

  /** Length of config space in bytes. */
  get size(): number {
    return this.#map.size;
  }

  /** The capabilities that the user sees, in chain order. */
  get capabilities(): readonly Capability[] {
    return this.#map.capabilities;
  }

  /** The chunks that a request is split into, without doing any. */
  plan(offset: number, count: number): PlannedChunk[] {
    checkRange(offset, count, this.size);
    return [...this.#chunks(offset, count)].map((chunk) => ({
      ...chunk,
      kind: this.#map.kindOf(chunk.offset),
    }));
  }

  /**
   * Reads `count` bytes at `offset` into `buffer` from `start` and returns `count`.
   *
   * @throws {ErrnoError} EFAULT if the range or the buffer is too short, ENODEV if the machine refuses;
   * chunks before the failing one stay in the buffer.
   */
  read(offset: number, buffer: Uint8Array, count: number, start = 0): number {
    checkRange(offset, count, this.size);
    for (const chunk of this.#chunks(offset, count)) {
      const at = start + chunk.offset - offset;
      const value = this.#readChunk(chunk);
      checkUserBuffer(chunk, at, buffer.length); // After the load: a bad pointer does not spare the machine.
      writeWord(buffer, at, chunk.width, value);
    }
    return count;
  }

  /**
   * Writes `count` bytes of `buffer` from `start` at `offset` and returns `count`, dropped bits included.
   * Where no write handler exists the buffer is not even looked at.
   *
   * @throws {ErrnoError} EFAULT if the range or the buffer is too short, ENODEV if the machine refuses;
   * chunks before the failing one stay applied.
   */
  write(offset: number, buffer: Uint8Array, count: number, start = 0): number {
    checkRange(offset, count, this.size);
    for (const chunk of this.#chunks(offset, count)) {
      if (this.#map.kindOf(chunk.offset) === "read-only") continue; // Without a handler.
      const at = start + chunk.offset - offset;
      checkUserBuffer(chunk, at, buffer.length);
      this.#writeChunk(chunk, readWord(buffer, at, chunk.width));
    }
    return count;
  }

  #chunks(offset: number, count: number): Generator<Chunk> {
    return planChunks(offset, count, (at) => this.#map.extentEnd(at));
  }

  #readChunk({ offset, width }: Chunk): number {
    if (isBarOffset(offset) && this.#barsDirty) {
      this.touch();
      settleBars(this.#shadow, this.#facts);
      this.#barsDirty = false;
    }
    const shadow = readWord(this.#shadow, offset, width);
    const virtual = this.#map.virtualBits(offset, width);
    if (virtual === allOnes(width)) return shadow; // Answered without hardware, so it cannot fail.
    const value = mergeBits(this.#hardware.load(offset, width), shadow, virtual);
    const isMemoryShown = offset === COMMAND && this.#facts.virtualFunction;
    return isMemoryShown ? (value | (shadow & COMMAND_MEMORY)) >>> 0 : value;
  }

  #writeChunk(chunk: Chunk, value: number): void {
    this.touch();
    switch (this.#map.kindOf(chunk.offset)) {
      case "header":
        return this.#writeHeader(chunk, value);
      case "msi":
        return this.#writeMsi(chunk, value);
      case "masked":
        return this.#writeMasked(chunk, value);
      case "raw":
        return this.#hardware.store(chunk.offset, chunk.width, value);
      case "read-only":
        return;
    }
  }

  /** Writable virtual bits go to the shadow, other writable bits to hardware by read-modify-write. */
  #writeMasked({ offset, width }: Chunk, value: number): void {
    const writable = this.#map.writableBits(offset, width);
    const virtual = this.#map.virtualBits(offset, width);
    const shadow = readWord(this.#shadow, offset, width);
    writeWord(this.#shadow, offset, width, mergeBits(shadow, value, writable & virtual));
    const through = writable & ~virtual;
    if (through === 0) return;
    this.#hardware.store(offset, width, mergeBits(this.#hardware.load(offset, width), value, through));
  }

  /** vfio_basic_config_write: before COMMAND changes, BARs that a reset behind vfio's back took are put back. */
  #writeHeader(chunk: Chunk, value: number): void {
    const isCommand = chunk.offset === COMMAND;
    if (isCommand && this.#needsBars(value)) this.#restoreBars();
    this.#writeMasked(chunk, value);
    if (isCommand) {
      this.#shadow[COMMAND] = mergeBits(this.#shadow[COMMAND]!, value, COMMAND_IO | COMMAND_MEMORY);
    }
    if (isBarOffset(chunk.offset)) this.#barsDirty = true;
  }

  /**
   * A decoder that the user has on and the machine does not show, or a BAR that is not what it was at open. BARs that
   * were 0 then are not looked at; one that cannot be loaded counts as changed (vfio_need_bar_restore).
   *
   * @throws {ErrnoError} ENODEV if COMMAND cannot be loaded
   */
  #needsBars(command: number): boolean {
    const lost = command & this.#shadow[COMMAND]! & ~this.#hardware.load(COMMAND, 2);
    if ((lost & (this.#facts.virtualFunction ? COMMAND_IO : COMMAND_IO | COMMAND_MEMORY)) !== 0) return true;
    for (let bar = 0; bar < BAR_COUNT; bar++) {
      const saved = readWord(this.#savedBars, 4 * bar, 4);
      if (saved !== 0 && quietly(() => this.#hardware.load(BASE_ADDRESS_0 + 4 * bar, 4)) !== saved) {
        return true;
      }
    }
    return false;
  }

  /** Nobody looks at what becomes of these stores (vfio_bar_restore). */
  #restoreBars(): void {
    for (let bar = 0; bar < BAR_COUNT; bar++) {
      const saved = readWord(this.#savedBars, 4 * bar, 4);
      quietly(() => this.#hardware.store(BASE_ADDRESS_0 + 4 * bar, 4, saved));
    }
    // ISM has no ROM: its BAR was 0 at open.
    quietly(() => this.#hardware.store(ROM_ADDRESS, 4, 0));
  }

  /** SET_IRQS alone turns MSI on: a write that reaches the control word is cut back to what it granted. */
  #writeMsi(chunk: Chunk, value: number): void {
    this.#writeMasked(chunk, value);
    const start = this.#map.capabilityAt(chunk.offset)!.start;
    const flagsAt = start + MSI_FLAGS;
    if (chunk.offset > flagsAt || chunk.offset + chunk.width < flagsAt) return;
    const grant = this.#msi();
    let flags = readWord(this.#shadow, flagsAt, 2);
    if (!grant.enabled) flags &= ~MSI_FLAGS_ENABLE;
    const vectorsLog2 = Math.min((flags & MSI_FLAGS_QSIZE) >> QSIZE_SHIFT, grant.vectorsLog2);
    flags = mergeBits(flags, vectorsLog2 << QSIZE_SHIFT, MSI_FLAGS_QSIZE);
    writeWord(this.#shadow, flagsAt, 2, flags);
    this.#hardware.store(flagsAt, 2, flags);
  }
}
