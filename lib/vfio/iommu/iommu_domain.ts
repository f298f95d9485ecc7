/**
 * An IOMMU domain: translation tables in the guest's storage, and the functions that use them.
 * Facts: vfio.dma.window (drivers/iommu/s390-iommu.c), zpci.rpcit.inuse.
 */
import { Kept, KeptMap, type PutRow, refill } from "../../base/journal.ts";
import type { Partition } from "../../zpci/partition.ts";
import { PAGE_SIZE, StorageBuffer } from "../../zpci/storage.ts";
import { type Translation, TranslationTables } from "../../zpci/translation.ts";
import { ErrnoError } from "../errno.ts";
import { type AddressSpace, GuestMemory } from "../process/address_space.ts";
import { coreError } from "../refusal.ts";
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

/** Where a mapping's memory is found: in a process, or in what another mapping holds already. */
export type MemorySource = Pick<AddressSpace, "find">;

/** One DMA address space of a guest. */
export class IommuDomain extends Kept {
  readonly #partition: Partition;
  readonly tables: TranslationTables;
  readonly zdevs = new Set<Zdev>();
  /** Storage address of the tables' origin. */
  readonly origin: number;
  /** Where the memory of each mapping is found, by IOVA: pages are taken anew with every first page table. */
  readonly #sources: KeptMap<MemorySource>;
  /** Key of its row in the saved state, whose mappings have rows of their own; undefined if it has none. */
  readonly #key: string | undefined;
  #isGone = false;

  private constructor(partition: Partition, origin: number, key: string | undefined) {
    super(partition.journal);
    this.#partition = partition;
    this.origin = origin;
    this.#key = key;
    this.#sources = new KeptMap(partition.journal);
    this.tables = new TranslationTables(
      partition.journal,
      key === undefined ? undefined : (put, iova) => {
        const entry = this.tables.find(iova);
        put(`${key}/mappings`, entry?.iova === iova ? savedMapping(entry) : undefined, iova);
      },
    );
    partition.translationTables.set(origin, this.tables);
    partition.storage.reserved.set(origin, true);
  }

  /** A new, empty domain; undefined if the guest has no storage left for its tables. */
  static create(partition: Partition, key?: string): IommuDomain | undefined {
    const root = partition.storage.allocate(PAGE_SIZE);
    if (root === undefined) return undefined;
    const domain = new IommuDomain(partition, root.address, key);
    domain.touch();
    return domain;
  }

  /** As {@linkcode create}, for who cannot do without. @throws {ErrnoError} ENOMEM */
  static allocate(partition: Partition, key: string): IommuDomain {
    const domain = IommuDomain.create(partition, key);
    if (domain !== undefined) return domain;
    const source = "drivers/iommu/s390-iommu.c: s390_domain_alloc_paging";
    throw coreError("ENOMEM", "vfio.container.setiommu", "memory", source, "No memory");
  }

  static restore(partition: Partition, state: DomainState, key?: string): IommuDomain {
    const domain = new IommuDomain(partition, state.origin, key);
    const space = new GuestMemory(partition.storage);
    domain.tables.loadLater(() => {
      for (const mapping of state.mappings) domain.#enter(mapping, space);
    });
    return domain;
  }

  get rows(): this | undefined {
    return this.#key === undefined ? undefined : this;
  }

  writeRows(put: PutRow): void {
    const { origin, tables } = this;
    put(this.#key!, this.#isGone ? undefined : { origin, mappings: tables.entries.length });
  }

  protected override remember(): () => void {
    const [zdevs, isGone] = [[...this.zdevs], this.#isGone];
    return () => {
      refill(this.zdevs, zdevs);
      this.#isGone = isGone;
    };
  }

  save(): DomainState {
    return { origin: this.origin, mappings: this.mappings() };
  }

  /** All mappings by rising IOVA. */
  mappings(): MappingState[] {
    return this.tables.entries.map(savedMapping);
  }

  /**
   * Maps memory of a process; false if that is not all its memory. The range is free.
   *
   * @throws {ErrnoError} EIO, ENOMEM if a function refuses the new translations; nothing is mapped then
   */
  map({ vaddr, ...mapping }: MappingState, space: MemorySource): boolean {
    const { iova, size, write } = mapping;
    const buffer = space.find(vaddr, size, write);
    if (buffer === undefined) return false;
    this.touch();
    this.tables.insert({ ...mapping, buffer, bufferOffset: vaddr - buffer.address });
    this.#sources.set(iova, space);
    try {
      this.refresh(iova, size);
    } catch (error) {
      // The kernel takes it back as it takes back any mapping (drivers/iommu/iommu.c: iommu_map).
      this.unmap(this.tables.find(iova)!);
      throw error;
    }
    return true;
  }

  /**
   * Enters a mapping that no function uses yet. Its memory need not be there: nobody looks before a function is
   * attached. The range is free.
   */
  enter(mapping: MappingState, space: MemorySource): void {
    this.touch();
    this.#enter(mapping, space);
  }

  #enter({ vaddr, ...mapping }: MappingState, space: MemorySource): void {
    const buffer = space.find(vaddr, mapping.size, mapping.write) ?? new StorageBuffer(vaddr, mapping.size);
    this.#sources.set(mapping.iova, space);
    this.tables.insert({ ...mapping, buffer, bufferOffset: vaddr - buffer.address });
  }

  /** Where the memory of a mapping is found, for one that shows the same. */
  sourceOf({ iova }: Translation): MemorySource {
    void this.tables.entries;
    return this.#sources.get(iova)!;
  }

  /** Takes the pages of a mapping, for whom nobody took them before. @returns false if they are not there */
  takePages(mapping: Translation): boolean {
    const { buffer, bufferOffset, iova, size, write } = mapping;
    const vaddr = buffer.address + bufferOffset;
    const found = this.sourceOf(mapping).find(vaddr, size, write);
    if (found === undefined) return false;
    if (found === buffer) return true;
    this.tables.remove(iova);
    this.tables.insert({ ...mapping, buffer: found, bufferOffset: vaddr - found.address });
    return true;
  }

  /**
   * Tells the functions of new translations. One that has no resources left for them is asked to look at all of its
   * translations anew, which frees what it does not need (drivers/iommu/s390-iommu.c: s390_iommu_iotlb_sync_map).
   *
   * @throws {ErrnoError} ENOMEM if a function refuses that with status 4 or 16 too, EIO on anything else
   */
  refresh(iova: number, size: number): void {
    for (const zdev of this.zdevs) {
      try {
        zdev.refresh(iova, size);
      } catch (error) {
        if (!(error instanceof ErrnoError) || error.code !== "ENOMEM") throw error;
        const { startDma, endDma } = zdev.facts;
        zdev.refresh(startDma, endDma - startDma + 1);
      }
    }
  }

  /** Unmaps a whole mapping. */
  unmap(mapping: Translation): void {
    this.touch();
    this.tables.remove(mapping.iova);
    this.#sources.delete(mapping.iova);
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
    this.touch();
    zdev.domain = this;
    this.zdevs.add(zdev);
  }

  /** Cuts a mapping into two at an address inside it; the function's translations stay as they are. */
  split(mapping: Translation, at: number): void {
    this.touch();
    const size = at - mapping.iova;
    const space = this.#sources.get(mapping.iova);
    if (space !== undefined) this.#sources.set(at, space);
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
    this.touch();
    this.#isGone = true;
    for (const mapping of [...this.tables.entries]) this.unmap(mapping);
    this.#partition.translationTables.delete(this.origin);
    this.#partition.storage.free(this.origin);
  }
}

function savedMapping({ iova, size, read, write, buffer, bufferOffset }: Translation): MappingState {
  return { iova, size, vaddr: buffer.address + bufferOffset, read, write };
}
