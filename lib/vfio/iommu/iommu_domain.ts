/**
 * An IOMMU domain: translation tables in the guest's storage, and the functions that use them.
 * Facts: VFIO sheet 9.1 (drivers/iommu/s390-iommu.c), zPCI sheet 11 (RPCIT).
 */
import type { Partition } from "../../zpci/partition.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { type Translation, TranslationTables } from "../../zpci/translation.ts";
import { ErrnoError } from "../errno.ts";
import type { AddressSpace } from "../process/address_space.ts";
import type { Zdev } from "../s390/zdev.ts";

/** A mapping in the host file: DMA address, size, storage address, what the device may do. */
export interface MappingState {
  readonly iova: number;
  readonly size: number;
  readonly vaddr: number;
  readonly read: boolean;
  readonly write: boolean;
}

/** A domain in the host file. */
export interface DomainState {
  readonly origin: number;
  readonly mappings: readonly MappingState[];
}

/** One DMA address space of a guest. */
export class IommuDomain {
  readonly #partition: Partition;
  readonly tables = new TranslationTables();
  readonly zdevs = new Set<Zdev>();
  /** Storage address of the tables' origin. */
  readonly origin: number;

  private constructor(partition: Partition, origin: number) {
    this.#partition = partition;
    this.origin = origin;
    partition.translationTables.set(origin, this.tables);
  }

  /** A new, empty domain; undefined if the guest has no storage left for its tables. */
  static create(partition: Partition): IommuDomain | undefined {
    const root = partition.storage.allocate(PAGE_SIZE);
    return root === undefined ? undefined : new IommuDomain(partition, root.address);
  }

  static restore(partition: Partition, state: DomainState): IommuDomain {
    const domain = new IommuDomain(partition, state.origin);
    for (const { vaddr, ...mapping } of state.mappings) {
      const buffer = partition.storage.find(vaddr, mapping.size);
      if (buffer === undefined) throw new Error(`Mapping at ${mapping.iova} has lost its memory`);
      domain.tables.insert({ ...mapping, buffer, bufferOffset: vaddr - buffer.address });
    }
    return domain;
  }

  save(): DomainState {
    return { origin: this.origin, mappings: this.mappings() };
  }

  /** All mappings by rising IOVA. */
  mappings(): MappingState[] {
    return this.tables.entries.map(({ iova, size, read, write, buffer, bufferOffset }) => ({
      iova,
      size,
      vaddr: buffer.address + bufferOffset,
      read,
      write,
    }));
  }

  /**
   * Maps `size` bytes of memory at `vaddr` of a process; false if that is not all its memory. The range is free.
   *
   * @throws {ErrnoError} EIO, ENOMEM if a function refuses the new translations; nothing is mapped then
   */
  map(
    iova: number,
    vaddr: number,
    size: number,
    read: boolean,
    write: boolean,
    space: Pick<AddressSpace, "find">,
  ): boolean {
    const buffer = space.find(vaddr, size, write);
    if (buffer === undefined) return false;
    this.tables.insert({ iova, size, read, write, buffer, bufferOffset: vaddr - buffer.address });
    try {
      for (const zdev of this.zdevs) zdev.refresh(iova, size);
    } catch (error) {
      this.tables.remove(iova);
      throw error;
    }
    return true;
  }

  /** Unmaps a whole mapping. */
  unmap(mapping: Translation): void {
    this.tables.remove(mapping.iova);
    for (const zdev of this.zdevs) {
      try {
        zdev.refresh(mapping.iova, mapping.size);
      } catch (error) {
        // An unmap cannot fail: a device that does not answer does not use the mapping either.
        if (!(error instanceof ErrnoError)) throw error;
      }
    }
  }

  /** Takes a function of a saved kernel back; the machine has its translations already. */
  adopt(zdev: Zdev): void {
    zdev.domain = this;
    this.zdevs.add(zdev);
  }

  /** Cuts a mapping into two at an address inside it; the function's translations stay as they are. */
  split(mapping: Translation, at: number): void {
    const size = at - mapping.iova;
    this.tables.remove(mapping.iova);
    this.tables.insert({ ...mapping, size });
    this.tables.insert({
      ...mapping,
      iova: at,
      size: mapping.size - size,
      bufferOffset: mapping.bufferOffset + size,
    });
  }

  /** Gives the tables back: the container or IOAS is gone. */
  dispose(): void {
    for (const mapping of [...this.tables.entries]) this.unmap(mapping);
    this.#partition.translationTables.delete(this.origin);
    this.#partition.storage.free(this.origin);
  }
}
