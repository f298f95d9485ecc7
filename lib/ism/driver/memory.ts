/** Memory of a driver's process that is mapped for its function: where it lies in DMA addresses. */
import { pageRound } from "../../zpci/storage.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import { unlessClosed, type VfioDescriptor } from "./descriptor.ts";
import { DriverError } from "./errors.ts";
import { IovaSpace } from "./iova.ts";
import type { MappedMemory } from "./registration.ts";

/** Allocates, maps, unmaps and frees. */
export class DriverMemory {
  readonly #sys: SystemCalls;
  readonly #descriptor: () => VfioDescriptor;
  readonly #used: () => Iterable<MappedMemory>;
  /** Addresses that are mapped; made when it is needed. */
  #space: IovaSpace | undefined = undefined;

  /** `used` is what a saved driver has mapped. */
  constructor(sys: SystemCalls, descriptor: () => VfioDescriptor, used: () => Iterable<MappedMemory>) {
    this.#sys = sys;
    this.#descriptor = descriptor;
    this.#used = used;
  }

  /** Another way in may have other addresses. */
  forgetAddresses(): void {
    this.#space = undefined;
  }

  /** Whole pages, mapped where the caller or the driver chooses. Bytes. @throws {ErrnoError} @throws {DriverError} */
  allocate(size: number, iova?: number): MappedMemory {
    const rounded = pageRound(size);
    const space = this.#space ??= new IovaSpace(...this.#descriptor().dmaRange, this.#used());
    const vaddr = this.#sys.mmapAnonymous(rounded);
    const at = iova ?? space.find(rounded);
    if (at === undefined) {
      this.#sys.munmap(vaddr);
      throw new DriverError("No DMA addresses are left");
    }
    const memory = { iova: at, vaddr, size: rounded };
    try {
      this.#descriptor().mapDma(vaddr, at, rounded);
    } catch (error) {
      this.#sys.munmap(vaddr);
      throw error;
    }
    space.add(memory);
    return memory;
  }

  /** Unmaps and frees. */
  release({ iova, size, vaddr }: MappedMemory): void {
    this.#space?.remove({ iova, size });
    // Memory that the descriptor's end may have left mapped stays with the process: the device can still reach it.
    if (unlessClosed(() => this.#descriptor().unmapDma(iova, size))) this.#sys.munmap(vaddr);
  }

  /** Frees what somebody has unmapped. */
  free({ vaddr, ...range }: MappedMemory): void {
    this.#space?.remove(range);
    this.#sys.munmap(vaddr);
  }
}
