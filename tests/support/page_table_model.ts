/**
 * Objects of an iommufd with one device, and the IOVA ranges of its IOASes, from docs/reference/vfio/config.md,
 * vfio/iommufd.md and recovery.md alone. Imports nothing from lib.
 */

/** A call; ids and addresses are as a driver would pass them. */
export type TableCall =
  | { readonly op: "alloc" }
  | { readonly op: "hwpt"; readonly id: number }
  | { readonly op: "attach"; readonly id: number }
  | { readonly op: "detach" }
  | { readonly op: "destroy"; readonly id: number }
  | { readonly op: "map"; readonly id: number; readonly iova: bigint; readonly isThere: boolean }
  | { readonly op: "unmap"; readonly id: number };

/** Ids that were given, bytes unmapped, 0 for what is just done, or the name of an errno. */
export type TableAnswer = number | string;

interface Ioas {
  /** First address of mappings of one page, and whether their memory is there. */
  readonly mappings: Map<bigint, boolean>;
}

/** A page table, and whether HWPT_ALLOC made it. */
interface Table {
  readonly ioas: number;
  readonly own: boolean;
}

const PAGE = 4096n;
const MAX = 2n ** 64n - 1n;

/** The model. Object 1 is the device. */
export class TableModel {
  readonly ioases = new Map<number, Ioas>();
  readonly #tables = new Map<number, Table>();
  /** Page table that the device is attached to. */
  #attached: number | undefined = undefined;
  /** The end of the window is reserved. */
  #bounded = false;

  constructor(readonly window: { readonly start: bigint; readonly end: bigint; readonly reach: bigint }) {}

  perform(call: TableCall): TableAnswer {
    switch (call.op) {
      case "alloc": {
        const id = this.#free();
        this.ioases.set(id, { mappings: new Map() });
        return id;
      }
      case "hwpt":
        return this.#hwpt(call.id);
      case "attach":
        return this.#attach(call.id);
      case "detach":
        this.#leave();
        return 0;
      case "destroy":
        return this.#destroy(call.id);
      case "map":
        return this.#map(call.id, call.iova, call.isThere);
      case "unmap": {
        const ioas = this.ioases.get(call.id);
        if (ioas === undefined) return "ENOENT";
        const bytes = ioas.mappings.size * Number(PAGE);
        ioas.mappings.clear();
        return bytes;
      }
    }
  }

  /** First and last address of an IOAS that is not reserved. */
  range(id: number): readonly [bigint, bigint] {
    const { start, end, reach } = this.window;
    const table = this.#attached === undefined ? undefined : this.#tables.get(this.#attached)!;
    const last = this.#tablesOf(id).length > 0 ? reach : MAX;
    if (table?.ioas !== id) return [0n, last];
    return [start, this.#bounded ? end : last];
  }

  #free(): number {
    for (let id = 2;; id++) if (!this.ioases.has(id) && !this.#tables.has(id)) return id;
  }

  #tablesOf(ioas: number): number[] {
    return [...this.#tables].filter(([, table]) => table.ioas === ioas).map(([id]) => id);
  }

  /** Why the first page table of an IOAS cannot be made, if it cannot. */
  #fill(ioas: number): string | undefined {
    if (this.#tablesOf(ioas).length > 0) return undefined;
    const { mappings } = this.ioases.get(ioas)!;
    if ([...mappings.keys()].some((iova) => iova + PAGE - 1n > this.window.reach)) return "EADDRINUSE";
    return [...mappings.values()].includes(false) ? "EFAULT" : undefined;
  }

  #outside(ioas: number, start: bigint, end: bigint): boolean {
    const { mappings } = this.ioases.get(ioas)!;
    return [...mappings.keys()].some((iova) => iova < start || iova + PAGE - 1n > end);
  }

  #hwpt(id: number): TableAnswer {
    if (this.#tables.has(id)) return "EOPNOTSUPP";
    if (!this.ioases.has(id)) return "EINVAL";
    const error = this.#fill(id);
    if (error !== undefined) return error;
    const table = this.#free();
    this.#tables.set(table, { ioas: id, own: true });
    return table;
  }

  #attach(id: number): TableAnswer {
    if (id === 1) return "EINVAL";
    const named = this.#tables.get(id);
    if (named === undefined && !this.ioases.has(id)) return "ENOENT";
    const ioas = named?.ioas ?? id;
    const auto = this.#tablesOf(ioas).find((each) => !this.#tables.get(each)!.own);
    const wanted = named?.own === true ? id : auto;
    const { start, end } = this.window;
    const before = this.#attached === undefined ? undefined : this.#tables.get(this.#attached)!;
    if (before === undefined) {
      if (this.#outside(ioas, start, MAX)) return "EADDRINUSE";
      const error = this.#fill(ioas);
      if (error !== undefined) return error;
    } else {
      if (wanted !== undefined && wanted === this.#attached) return wanted;
      const error = this.#fill(ioas);
      if (error !== undefined) return error;
      if (before.ioas !== ioas && this.#outside(ioas, start, end)) return "EADDRINUSE";
    }
    const table = wanted ?? this.#free();
    this.#tables.set(table, this.#tables.get(table) ?? { ioas, own: false });
    const bounded = before !== undefined && (before.ioas !== ioas || this.#bounded);
    this.#leave(table);
    this.#attached = table;
    this.#bounded = bounded;
    return table;
  }

  /** A page table that ATTACH made goes with its device. */
  #leave(to?: number): void {
    const from = this.#attached;
    if (from !== undefined && from !== to && !this.#tables.get(from)!.own) this.#tables.delete(from);
    this.#attached = undefined;
    this.#bounded = false;
  }

  #destroy(id: number): TableAnswer {
    if (id === 1 || id === this.#attached || this.#tablesOf(id).length > 0) return "EBUSY";
    return this.#tables.delete(id) || this.ioases.delete(id) ? 0 : "ENOENT";
  }

  #map(id: number, iova: bigint, isThere: boolean): TableAnswer {
    const ioas = this.ioases.get(id);
    if (ioas === undefined) return "ENOENT";
    const [first, last] = this.range(id);
    if (iova < first || iova + PAGE - 1n > last) return "EINVAL";
    if (ioas.mappings.has(iova)) return "EEXIST";
    if (!isThere && this.#tablesOf(id).length > 0) return "EFAULT";
    ioas.mappings.set(iova, isThere);
    return 0;
  }
}
