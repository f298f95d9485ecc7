/** The memory of a process, as its kernel reaches it: storage of the guest, or memory of a real process. */
import type { DmaMemory, MainStorage, StorageBuffer } from "../../zpci/storage.ts";
import { vfsError } from "../refusal.ts";

/** What addresses of a process lead to. */
export interface AddressSpace {
  /**
   * `length` bytes at `address`. What is written to them with `write` set is in the process's memory when the call
   * that it belongs to has returned.
   *
   * @throws {ErrnoError} EFAULT if not all of it can be read, or written with `write` set
   */
  bytes(address: number, length: number, write: boolean): Uint8Array;
  /** Memory that holds all of `length` bytes at `address`, for DMA; undefined if it cannot be taken. */
  find(address: number, length: number, write: boolean): DmaMemory | undefined;
  /** Bytes from an address on, at most `length`, that can be taken for DMA. */
  there(address: number, length: number, write: boolean): number;
  /** Most bytes that the process may lock (RLIMIT_MEMLOCK); Infinity for one with CAP_IPC_LOCK. */
  readonly lockLimit: number;
}

/**
 * The memory of a process that lives in the simulation: what it mapped of its guest's storage. What the kernel has there,
 * such as translation tables, is nobody's.
 */
export class GuestMemory implements AddressSpace {
  readonly #storage: MainStorage;
  /** ism's own process is limited by nothing but the topology. */
  readonly lockLimit = Infinity;

  constructor(storage: MainStorage) {
    this.#storage = storage;
  }

  bytes(address: number, length: number, write: boolean): Uint8Array {
    const buffer = this.find(address, length);
    if (buffer === undefined) throw noMemory();
    const offset = address - buffer.address;
    return buffer.touch(offset, length, write).subarray(offset, offset + length);
  }

  find(address: number, length: number): StorageBuffer | undefined {
    const buffer = this.#storage.find(address, length);
    return buffer === undefined || this.#storage.reserved.has(buffer.address) ? undefined : buffer;
  }

  there(address: number, length: number): number {
    return this.find(address, 1) === undefined ? 0 : Math.min(length, this.#storage.bytesAt(address));
  }
}

/** The refusal of an address that leads nowhere. */
export function noMemory() {
  return vfsError(
    "EFAULT",
    "vfio.ioctl.memory",
    "user memory",
    "mm/memory.c: handle_mm_fault",
    "The address is not mapped",
  );
}
