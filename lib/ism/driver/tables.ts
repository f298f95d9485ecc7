/**
 * What a driver has registered and mapped, found without looking at all of it: DMBs by token and by SBA index, memory
 * by DMA address. Both are read from a saved state when somebody looks at them first.
 */
import { Changes, type Journal } from "../../base/journal.ts";
import { SBA } from "../protocol.ts";
import type { MappedMemory } from "./registration.ts";

/** A DMB of a driver: memory, its place in the SBA, and the token that the peer needs. */
export interface DriverDmb extends MappedMemory {
  readonly token: number;
  readonly index: number;
  /** The GID that may write, as `0x…`. */
  readonly rgid: string;
  /** Only members of this VLAN may write; null for any. */
  readonly vlan: number | null;
}

/** Members that have a row each, found by the address of their memory, which is never used again. */
abstract class MemoryTable<Member extends MappedMemory> {
  readonly #byAddress = new Map<number, Member>();
  readonly #changes: Changes<Member>;
  #load: (() => void) | undefined;

  /**
   * @param key of the list of its rows
   * @param saved members of a saved state
   * @param reverted called when a rollback changed something
   */
  constructor(journal: Journal, key: string, saved: () => readonly Member[], reverted: () => void) {
    this.#load = () => {
      this.#load = undefined;
      for (const member of saved()) this.#putIn(member);
    };
    this.#changes = new Changes<Member>(
      journal,
      (vaddr, member) => {
        this.#takeOut(vaddr);
        if (member !== undefined) this.#putIn(member);
        reverted();
      },
      (put, vaddr) => put(key, this.#byAddress.get(vaddr), vaddr),
    );
  }

  /** Reads the members of a saved state, if that was not done. */
  protected load(): void {
    this.#load?.();
  }

  get size(): number {
    this.load();
    return this.#byAddress.size;
  }

  /** All members in the order in which their memory was allocated. */
  get all(): Member[] {
    this.load();
    return [...this.#byAddress.values()].sort((a, b) => a.vaddr - b.vaddr);
  }

  add(member: Member): void {
    this.load();
    this.#changes.note(member.vaddr, this.#byAddress.get(member.vaddr));
    this.#takeOut(member.vaddr);
    this.#putIn(member);
  }

  delete({ vaddr }: Member): void {
    this.load();
    this.#changes.note(vaddr, this.#byAddress.get(vaddr));
    this.#takeOut(vaddr);
  }

  #putIn(member: Member): void {
    this.#byAddress.set(member.vaddr, member);
    this.added(member);
  }

  #takeOut(vaddr: number): void {
    const member = this.#byAddress.get(vaddr);
    if (member === undefined) return;
    this.#byAddress.delete(vaddr);
    this.deleted(member);
  }

  protected abstract added(member: Member): void;
  protected abstract deleted(member: Member): void;
}

/** DMBs. */
export class DmbList extends MemoryTable<DriverDmb> {
  readonly #byToken = new Map<number, DriverDmb>();
  readonly #byIndex = new Map<number, DriverDmb>();
  /** No index from 32 up to this one is free. */
  #taken: number = SBA.FIRST_INDEX;

  withToken(token: number): DriverDmb | undefined {
    this.load();
    return this.#byToken.get(token);
  }

  /** All by rising index. */
  get byIndex(): DriverDmb[] {
    return this.all.sort((a, b) => a.index - b.index);
  }

  at(index: number): DriverDmb | undefined {
    this.load();
    return this.#byIndex.get(index);
  }

  /** The lowest free SBA index from 32 on; undefined if all are taken (ism.sba.bits). */
  freeIndex(): number | undefined {
    this.load();
    while (this.#byIndex.has(this.#taken)) this.#taken++;
    return this.#taken < SBA.INDICES ? this.#taken : undefined;
  }

  protected override added(dmb: DriverDmb): void {
    this.#byToken.set(dmb.token, dmb);
    this.#byIndex.set(dmb.index, dmb);
  }

  protected override deleted(dmb: DriverDmb): void {
    if (this.#byToken.get(dmb.token) === dmb) this.#byToken.delete(dmb.token);
    if (this.#byIndex.get(dmb.index) === dmb) this.#byIndex.delete(dmb.index);
    if (dmb.index >= SBA.FIRST_INDEX) this.#taken = Math.min(this.#taken, dmb.index);
  }
}

/** Memory that was mapped by hand. */
export class MemoryList extends MemoryTable<MappedMemory> {
  /** By rising DMA address; several may have the same, if one was unmapped by other means. */
  readonly #byIova: MappedMemory[] = [];

  /** Memory all of which lies in a range of DMA addresses. Bytes. */
  within(iova: number, size: number): MappedMemory[] {
    this.load();
    const found: MappedMemory[] = [];
    for (let at = this.#indexOf(iova); at < this.#byIova.length; at++) {
      const memory = this.#byIova[at]!;
      if (memory.iova >= iova + size) break;
      if (memory.iova + memory.size <= iova + size) found.push(memory);
    }
    return found;
  }

  protected override added(memory: MappedMemory): void {
    this.#byIova.splice(this.#indexOf(memory.iova), 0, memory);
  }

  protected override deleted(memory: MappedMemory): void {
    let at = this.#indexOf(memory.iova);
    while (this.#byIova[at] !== memory) at++;
    this.#byIova.splice(at, 1);
  }

  /** Index of the first memory at or above an address. */
  #indexOf(iova: number): number {
    let low = 0;
    let high = this.#byIova.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#byIova[middle]!.iova < iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
