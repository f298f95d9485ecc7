/** The memory of a process, as its kernel reaches it: storage of the guest, or memory of a real process. */
import type { DmaMemory, MainStorage } from "../../zpci/storage.ts";
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
}

/** The memory of a process that lives in the simulation: what it mapped of its guest's storage. */
export class GuestMemory implements AddressSpace {
  readonly #storage: MainStorage;

  constructor(storage: MainStorage) {
    this.#storage = storage;
  }

  bytes(address: number, length: number, write: boolean): Uint8Array {
    const buffer = this.#storage.find(address, length);
    if (buffer === undefined) throw noMemory();
    const offset = address - buffer.address;
    return buffer.touch(offset, length, write).subarray(offset, offset + length);
  }

  find(address: number, length: number): DmaMemory | undefined {
    return this.#storage.find(address, length);
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
