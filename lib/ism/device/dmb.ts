/** Registered DMBs (direct memory buffers) and those of one function. Facts: ism.data.store and ism.dmb.limits. */
import { Changes, type Journal } from "../../base/journal.ts";
import { DMB } from "../protocol.ts";
import type { IsmAdapter } from "./adapter.ts";
import type { IsmFabric } from "./fabric.ts";

export interface Dmb {
  readonly owner: IsmAdapter;
  readonly token: number;
  /** DMA address in the owner's address space. */
  readonly iova: number;
  /** Length in bytes. */
  readonly length: number;
  readonly sbaIndex: number;
  /** VLAN that the writer must be in; undefined for an untagged DMB. */
  readonly vlanId: number | undefined;
  /** The one GID that may write. */
  readonly rgid: bigint;
}

/** A DMB in the host file. */
export interface DmbState {
  readonly token: number;
  readonly iova: number;
  readonly length: number;
  readonly sbaIndex: number;
  readonly vlanId: number | null;
  readonly rgid: string;
}

/** The DMB for the host file. */
export function saveDmb({ token, iova, length, sbaIndex, vlanId, rgid }: Dmb): DmbState {
  return { token, iova, length, sbaIndex, vlanId: vlanId ?? null, rgid: `0x${rgid.toString(16)}` };
}

/** The DMBs of one function, which its fabric knows by token. */
export class DmbTable {
  readonly #fabric: IsmFabric;
  readonly #byIndex = new Map<number, Dmb>();
  /** By number of the range of {@linkcode DMB.BOUNDARY} bytes that they lie in; no DMB crosses such a boundary. */
  readonly #byPlace = new Map<number, Set<Dmb>>();
  readonly #changes: Changes<Dmb>;
  /** Reads the DMBs of a saved state; undefined once that is done. */
  #load: (() => void) | undefined = undefined;

  /** `key` is that of the list of its rows. */
  constructor(fabric: IsmFabric, journal: Journal, key: string) {
    this.#fabric = fabric;
    this.#changes = new Changes<Dmb>(
      journal,
      (index, dmb) => {
        this.#takeOut(this.#byIndex.get(index));
        if (dmb !== undefined) this.#putIn(dmb);
      },
      (put, index) => {
        const dmb = this.#byIndex.get(index);
        put(key, dmb && saveDmb(dmb), index);
      },
    );
  }

  /** By SBA index. */
  get all(): ReadonlyMap<number, Dmb> {
    this.#load?.();
    return this.#byIndex;
  }

  add(dmb: Dmb): void {
    this.#changes.note(dmb.sbaIndex, this.all.get(dmb.sbaIndex));
    this.#putIn(dmb);
  }

  remove(dmb: Dmb): void {
    this.#changes.note(dmb.sbaIndex, this.all.get(dmb.sbaIndex));
    this.#takeOut(dmb);
  }

  /** A DMB lies in the range of DMA addresses, all or a part of it. Bytes. */
  uses(iova: number, length: number): boolean {
    const last = Math.floor((iova + length - 1) / DMB.BOUNDARY);
    const within = (dmb: Dmb) => dmb.iova < iova + length && iova < dmb.iova + dmb.length;
    if (last - Math.floor(iova / DMB.BOUNDARY) > this.all.size) return this.all.values().some(within);
    for (let place = Math.floor(iova / DMB.BOUNDARY); place <= last; place++) {
      for (const dmb of this.#byPlace.get(place) ?? []) if (within(dmb)) return true;
    }
    return false;
  }

  /** Has the DMBs of a saved state read when somebody looks at them first. */
  loadLater(read: () => Dmb[]): void {
    this.#load = () => {
      this.#load = undefined;
      for (const dmb of read()) this.#putIn(dmb);
    };
    this.#fabric.loadLater(this);
  }

  #putIn(dmb: Dmb): void {
    this.#byIndex.set(dmb.sbaIndex, dmb);
    const place = Math.floor(dmb.iova / DMB.BOUNDARY);
    const there = this.#byPlace.get(place);
    if (there === undefined) this.#byPlace.set(place, new Set([dmb]));
    else there.add(dmb);
    this.#fabric.addDmb(dmb);
  }

  #takeOut(dmb: Dmb | undefined): void {
    if (dmb === undefined) return;
    this.#byIndex.delete(dmb.sbaIndex);
    this.#byPlace.get(Math.floor(dmb.iova / DMB.BOUNDARY))?.delete(dmb);
    this.#fabric.removeDmb(dmb);
  }
}
