/** The memory of a real process, as the simulated kernel and the devices reach it. */
import { type AddressSpace, noMemory } from "../vfio/process/address_space.ts";
import type { DmaMemory } from "../zpci/storage.ts";
import { readFile } from "./libc.ts";
import { accessibleBytes, type MemoryArea, parseMaps } from "./maps.ts";
import { mayLock, parseLockLimit } from "./proc_text.ts";
import { copyFrom, copyTo, gather, place, scatter, Scratch } from "./user_copy.ts";

/** More than one access of a device moves: a store block, an entry of the IEQ. */
const STORE_BYTES = 65536;

/** Bytes of the process that a call writes to: they go back when it ends. */
interface Pending {
  readonly address: number;
  readonly scratch: Scratch;
}

/** A process's memory. */
export class ForeignMemory implements AddressSpace {
  /** A thread of the process that was there a moment ago. */
  thread: number;
  /** The process has another program since, or has ended: what was here is gone. */
  gone = false;
  #pending: Pending[] = [];

  readonly #countsLocked: boolean;

  /** @param countsLocked what is mapped for DMA counts against the process's RLIMIT_MEMLOCK */
  constructor(thread: number, countsLocked: boolean) {
    this.thread = thread;
    this.#countsLocked = countsLocked;
  }

  bytes(address: number, length: number, write: boolean): Uint8Array {
    const scratch = new Scratch(length);
    if (copyFrom(this.thread, address, scratch, 0, length) < length) throw noMemory();
    if (write) {
      if (accessibleBytes(this.#areas(), address, length, true) < length) throw noMemory();
      this.#pending.push({ address, scratch });
    }
    return scratch.bytes;
  }

  find(address: number, length: number, write: boolean): DmaMemory | undefined {
    const areas = this.#areas();
    const reachable = accessibleBytes(areas, address, length, write) === length;
    return reachable ? new ForeignBuffer(this, address, length) : undefined;
  }

  there(address: number, length: number, write: boolean): number {
    return accessibleBytes(this.#areas(), address, length, write);
  }

  get lockLimit(): number {
    return this.#countsLocked ? lockLimitOf(this.thread) : Infinity;
  }

  /** Bytes from an address on, at most `length`, that the process can read. */
  readable(address: number, length: number): number {
    return accessibleBytes(this.#areas(), address, length, false);
  }

  #areas(): MemoryArea[] {
    const text = readFile(`/proc/${this.thread}/maps`);
    return text === undefined ? [] : parseMaps(new TextDecoder().decode(text));
  }

  /** Brings what a call wrote through {@linkcode bytes} to the process. */
  flush(): void {
    if (this.#pending.length === 0) return;
    for (const { address, scratch } of this.#pending) {
      copyTo(this.thread, address, scratch, 0, scratch.bytes.length);
    }
    this.#pending = [];
  }
}

/** Bytes that a process may lock: its RLIMIT_MEMLOCK, unless it has CAP_IPC_LOCK. */
function lockLimitOf(thread: number): number {
  const decoder = new TextDecoder();
  const status = readFile(`/proc/${thread}/status`);
  const limits = readFile(`/proc/${thread}/limits`);
  if (status === undefined || limits === undefined || mayLock(decoder.decode(status))) return Infinity;
  return parseLockLimit(decoder.decode(limits));
}

/** What a device reads; or a store, and the three bytes that tell of it behind it. */
const staging = new Scratch(STORE_BYTES + 3);

function stage(source: Uint8Array, length: number): void {
  const { bytes } = staging;
  if (length === source.length) bytes.set(source);
  else if (length <= 32) { for (let i = 0; i < length; i++) bytes[i] = source[i]!; }
  else bytes.set(source.subarray(0, length));
}

/**
 * Memory that a program mapped for DMA. Memory that it has unmapped meanwhile takes nothing: on the real machine the
 * pages stay, but nobody can look at them any more.
 */
class ForeignBuffer implements DmaMemory {
  readonly address: number;
  readonly size: number;
  readonly atomic = false;
  readonly #memory: ForeignMemory;

  constructor(memory: ForeignMemory, address: number, size: number) {
    this.#memory = memory;
    this.address = address;
    this.size = size;
  }

  store(offset: number, source: Uint8Array, length: number): void {
    if (this.#memory.gone) return;
    stage(source, length);
    copyTo(this.#memory.thread, this.address + offset, staging, 0, length);
  }

  byteAt(offset: number): number {
    if (this.#memory.gone) return 0;
    return copyFrom(this.#memory.thread, this.address + offset, staging, 0, 1) === 1 ? staging.bytes[0]! : 0;
  }

  load(offset: number, into: Uint8Array, length: number): void {
    const count = this.#memory.gone
      ? 0
      : copyFrom(this.#memory.thread, this.address + offset, staging, 0, length);
    into.set(staging.bytes.subarray(0, count));
    into.fill(0, count, length);
  }

  setBits(offset: number, mask: number): number {
    const before = this.byteAt(offset);
    // What is set is left alone: the program may clear it just now, and would find it set again.
    if (this.#memory.gone || (before & mask) === mask) return before;
    staging.bytes[0] = before | mask;
    copyTo(this.#memory.thread, this.address + offset, staging, 0, 1);
    return before;
  }

  tell(
    first: number,
    firstBit: number,
    second: number,
    secondBit: number,
    last: number,
    lastBit: number,
    data: DmaMemory | undefined,
    at: number,
    source: Uint8Array,
    length: number,
  ): number {
    if (data instanceof ForeignBuffer && data.#memory === this.#memory && !this.#memory.gone) {
      const { thread } = this.#memory;
      place(0, this.address + first, 1);
      place(1, this.address + second, 1);
      place(2, this.address + last, 1);
      if (gather(thread, staging, 3n, 3) === 3) {
        const firstByte = staging.bytes[0]!;
        const secondByte = staging.bytes[1]!;
        const lastByte = staging.bytes[2]!;
        stage(source, length);
        staging.bytes[length] = firstByte | firstBit;
        staging.bytes[length + 1] = secondByte | secondBit;
        staging.bytes[length + 2] = lastByte | lastBit;
        place(0, data.address + at, length);
        place(1, this.address + first, 1);
        place(2, this.address + second, 1);
        place(3, this.address + last, 1);
        // What the program has cleared since may be set again. Bits that are set are written, too: they may have been
        // cleared before the store was there. But the last one, if it is set, is looked at again behind the others.
        const isSet = (lastByte & lastBit) !== 0;
        const written = isSet ? length + 2 : length + 3;
        if (scatter(thread, staging, isSet ? 3n : 4n, written) === written) {
          return isSet ? this.setBits(last, lastBit) : lastByte;
        }
      }
    }
    // One after the other: a place that is gone keeps nothing from the others.
    data?.store(at, source, length);
    this.setBits(first, firstBit);
    this.setBits(second, secondBit);
    return this.setBits(last, lastBit);
  }
}
