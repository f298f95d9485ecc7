/**
 * The fabric that joins all ISM functions of one channel id: GIDs, DMB tokens, who may reach whom.
 * Facts: ism.token.format and ism.gid.channel.
 */
import { Journal, Kept, type PutRow } from "../../base/journal.ts";
import { DATA_OFFSET } from "../protocol.ts";
import type { Dmb, DmbTable } from "./dmb.ts";
import type { IsmAdapter } from "./adapter.ts";
import { TOKEN_NUMBERS, TOKEN_ORDERS, type TokenOrder } from "./tokens.ts";

/** State of a fabric, for the host file. */
export interface FabricState {
  /** Position in the order of tokens. */
  readonly nextToken: number;
}

/** All functions with one channel id. */
export class IsmFabric extends Kept {
  readonly chid: number;
  readonly adapters: IsmAdapter[] = [];
  readonly #dmbs = new Map<number, Dmb>();
  /** DMBs of a saved state that were not read yet. */
  readonly #unread: DmbTable[] = [];
  readonly #order: TokenOrder;
  #nextToken: number;

  /** `firstToken` (1 to 2^20 - 1), a position in `order`, comes from the host's seed. */
  constructor(
    chid: number,
    firstToken: number,
    order: TokenOrder = TOKEN_ORDERS.sequential(0),
    journal: Journal = new Journal(),
  ) {
    super(journal);
    this.chid = chid;
    this.#order = order;
    this.#nextToken = firstToken;
  }

  /** The function with a GID, or undefined. */
  byGid(gid: bigint): IsmAdapter | undefined {
    return this.adapters.find((adapter) => adapter.gid === gid);
  }

  /** The DMB that a BAR 0 offset names, or undefined. */
  dmbAt(offset: number): Dmb | undefined {
    return this.#all.get(Math.floor(offset / DATA_OFFSET.TOKEN_UNIT));
  }

  /** The DMB with exactly this token, or undefined. */
  dmbByToken(token: number): Dmb | undefined {
    return token % DATA_OFFSET.TOKEN_UNIT === 0 ? this.dmbAt(token) : undefined;
  }

  /** Takes the next free token: a multiple of 2^28, not used again before all others were. 0 if none is free. */
  takeToken(): number {
    this.touch();
    for (let tries = 1; tries < TOKEN_NUMBERS; tries++) {
      const number = this.#order(this.#nextToken);
      this.#nextToken = this.#nextToken % (TOKEN_NUMBERS - 1) + 1;
      if (!this.#all.has(number)) return number * DATA_OFFSET.TOKEN_UNIT;
    }
    return 0;
  }

  /** Knows of DMBs that are read when somebody looks at them. */
  loadLater(table: DmbTable): void {
    this.#unread.push(table);
  }

  get #all(): ReadonlyMap<number, Dmb> {
    if (this.#unread.length > 0) { for (const table of this.#unread.splice(0)) void table.all; }
    return this.#dmbs;
  }

  addDmb(dmb: Dmb): void {
    this.#dmbs.set(dmb.token / DATA_OFFSET.TOKEN_UNIT, dmb);
  }

  removeDmb(dmb: Dmb): void {
    this.#dmbs.delete(dmb.token / DATA_OFFSET.TOKEN_UNIT);
  }

  /** DMBs of the fabric that a GID may write, function by function and by rising SBA index. */
  writableBy(gid: bigint): Dmb[] {
    return this.adapters.flatMap((adapter) => adapter.sortedDmbs).filter((dmb) => dmb.rgid === gid);
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put(`fabric/${this.chid}`, this.save());
  }

  protected override remember(): () => void {
    const nextToken = this.#nextToken;
    return () => this.#nextToken = nextToken;
  }

  save(): FabricState {
    return { nextToken: this.#nextToken };
  }

  restore(state: FabricState): void {
    this.#nextToken = state.nextToken;
  }
}
