/**
 * An I/O address space of an iommufd, and the page tables by which functions use it. All page tables of an IOAS hold
 * the same translations. Facts: vfio.iommufd.general; docs/reference/vfio/iommufd.md and vfio/open.md
 * (drivers/iommu/iommufd/device.c, hw_pagetable.c, ioas.c).
 */
import { type PutRow, refill } from "../../base/journal.ts";
import type { Kernel } from "../kernel.ts";
import type { Zdev } from "../s390/zdev.ts";
import { IoPagetable, type IoPagetableState } from "./io_pagetable.ts";
import { type DomainState, IommuDomain } from "./iommu_domain.ts";
import { type IovaRange, MAX_64 } from "./iova_space.ts";

/** Whoever gives objects their ids: the iommufd. */
export interface ObjectIds {
  newObjectId(): number;
  /** The kernel still has the iommufd. */
  readonly isThere: boolean;
  /** Key of its row in the saved state. */
  readonly key: string;
  readonly ioases: ReadonlyMap<number, Ioas>;
}

/** How a function is attached. */
export interface Attachment {
  /** Object id of the page table of HWPT_ALLOC that it uses; undefined for the one that the IOAS has by itself. */
  readonly hwpt: number | undefined;
  /** What lies above its end_dma is reserved: it came from another IOAS, and so was not blocked at ATTACH. */
  readonly bounded: boolean;
}

/** An IOAS in the host file. */
export interface IoasState extends IoPagetableState {
  readonly id: number;
  readonly domain: DomainState;
  /** Object id of the page table that ATTACH made; means nothing while no function uses it. */
  readonly pageTable: number | null;
  /** Object ids of the page tables of HWPT_ALLOC. */
  readonly hwpts: readonly number[];
}

const RESERVE = "iopt_table_enforce_dev_resv_regions";

/** An I/O address space. */
export class Ioas extends IoPagetable {
  readonly id: number;
  readonly #ids: ObjectIds;
  #pageTable: number | undefined = undefined;
  /** Object ids of the page tables of HWPT_ALLOC. */
  readonly hwpts = new Set<number>();
  /** The functions that are attached. */
  readonly attachments = new Map<Zdev, Attachment>();

  constructor(
    kernel: Kernel,
    ids: ObjectIds,
    id: number,
    domain = IommuDomain.allocate(kernel.partition, `${keyOf(ids, id)}/domain`),
  ) {
    super(kernel, domain);
    this.#ids = ids;
    this.id = id;
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    const isThere = this.#ids.isThere && this.#ids.ioases.get(this.id) === this;
    put(keyOf(this.#ids, this.id), isThere ? this.#head() : undefined);
  }

  protected override remember(): () => void {
    const [pageTable, hwpts, pages] = [this.#pageTable, [...this.hwpts], super.remember()];
    const attachments = [...this.attachments];
    return () => {
      this.#pageTable = pageTable;
      refill(this.hwpts, hwpts);
      this.attachments.clear();
      for (const [zdev, attachment] of attachments) this.attachments.set(zdev, attachment);
      pages();
    };
  }

  override get hasTable(): boolean {
    return this.hwpts.size > 0 || this.attachments.size > 0;
  }

  /** First and last address that is not reserved, by a page table or a function that is attached. */
  override get range(): IovaRange {
    let first = 0n;
    let last = this.hasTable ? this.kernel.tableEnd : MAX_64;
    for (const [{ facts }, { bounded }] of this.attachments) {
      if (BigInt(facts.startDma) > first) first = BigInt(facts.startDma);
      if (bounded && BigInt(facts.endDma) < last) last = BigInt(facts.endDma);
    }
    return [first, last];
  }

  /** Object id of the page table that ATTACH made; it goes when the last function that uses it is detached. */
  get pageTable(): number | undefined {
    const isUsed = [...this.attachments.values()].some(({ hwpt }) => hwpt === undefined);
    return isUsed ? this.#pageTable : undefined;
  }

  /** Object ids of all its page tables. */
  get pageTables(): number[] {
    const { pageTable } = this;
    return pageTable === undefined ? [...this.hwpts] : [pageTable, ...this.hwpts];
  }

  /**
   * ATTACH of a function that was attached to nothing: what lies below its start_dma is reserved, it gets its
   * translation, then a page table that is new is filled (hw_pagetable.c: iommufd_hwpt_paging_alloc).
   *
   * @param hwpt page table of HWPT_ALLOC; undefined for the one of the IOAS, which is made if there is none
   * @returns the page table's object id
   * @throws {ErrnoError} EADDRINUSE, EIO, EFAULT, ENOMEM
   */
  attach(zdev: Zdev, hwpt: number | undefined): number {
    this.touch();
    this.checkReservable([BigInt(zdev.facts.startDma), MAX_64], RESERVE);
    const id = hwpt ?? this.pageTable ?? this.#ids.newObjectId();
    zdev.attach(this.domain);
    try {
      if (!this.hasTable) this.fill();
    } catch (error) {
      zdev.attach(undefined);
      throw error;
    }
    if (hwpt === undefined) this.#pageTable = id;
    this.attachments.set(zdev, { hwpt, bounded: false });
    return id;
  }

  /**
   * ATTACH of a function that is attached to another page table: a new one is made and filled before the old one goes,
   * and if the IOAS is another one, what lies above end_dma is reserved too (device.c: iommufd_device_do_replace).
   *
   * @returns the page table's object id
   * @throws {ErrnoError} EADDRINUSE, EFAULT, ENOMEM, and nothing has changed; EIO, and it is attached to nothing
   */
  replace(from: Ioas, zdev: Zdev, hwpt: number | undefined): number {
    const before = from.attachments.get(zdev)!;
    const id = hwpt ?? this.pageTable ?? this.#ids.newObjectId();
    if (from === this && before.hwpt === hwpt) return id;
    if (!this.hasTable) this.fill();
    const { startDma, endDma } = zdev.facts;
    if (from !== this) this.checkReservable([BigInt(startDma), BigInt(endDma)], RESERVE);
    from.touch();
    this.touch();
    from.attachments.delete(zdev);
    zdev.attach(this.domain);
    if (hwpt === undefined) this.#pageTable = id;
    this.attachments.set(zdev, { hwpt, bounded: from !== this || before.bounded });
    return id;
  }

  /** DETACH. */
  detach(zdev: Zdev): void {
    this.touch();
    this.attachments.delete(zdev);
    zdev.attach(undefined);
  }

  /** Takes a function of a saved kernel back. */
  adopt(zdev: Zdev, attachment: Attachment): void {
    this.attachments.set(zdev, attachment);
    this.domain.adopt(zdev);
  }

  /** HWPT_ALLOC: a page table that stays until DESTROY. @throws {ErrnoError} EADDRINUSE, EFAULT, ENOMEM */
  allocateTable(): number {
    if (!this.hasTable) this.fill();
    const id = this.#ids.newObjectId();
    this.touch();
    this.hwpts.add(id);
    return id;
  }

  protected override sharedPages(): number {
    return Math.max(...[...this.#ids.ioases.values()].map(({ lastShared }) => lastShared));
  }

  /** The address space has gone. */
  dispose(): void {
    this.touch();
    for (const zdev of [...this.domain.zdevs]) zdev.attach(undefined);
    this.domain.dispose();
  }

  save(): IoasState {
    return { ...this.#head(), domain: this.domain.save() };
  }

  /** All but the domain, which has a row of its own. */
  #head(): Omit<IoasState, "domain"> {
    return {
      id: this.id,
      ...this.savePagetable(),
      pageTable: this.pageTable ?? null,
      hwpts: [...this.hwpts],
    };
  }

  /** An IOAS of a saved iommufd. */
  static restore(kernel: Kernel, ids: ObjectIds, state: IoasState): Ioas {
    const key = `${keyOf(ids, state.id)}/domain`;
    const ioas = new Ioas(kernel, ids, state.id, IommuDomain.restore(kernel.partition, state.domain, key));
    ioas.restorePagetable(state);
    ioas.#pageTable = state.pageTable ?? undefined;
    for (const id of state.hwpts) ioas.hwpts.add(id);
    return ioas;
  }
}

/** Key of the row of an IOAS. */
function keyOf(ids: ObjectIds, id: number): string {
  return `${ids.key}/ioases/${id}`;
}
