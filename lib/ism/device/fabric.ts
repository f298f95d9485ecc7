/**
 * The fabric that joins all ISM functions of one channel id: GIDs, DMB tokens, who may reach whom.
 * Facts: ism.token.format and ism.gid.channel.
 */
import { DATA_OFFSET } from "../protocol.ts";
import type { Dmb } from "./dmb.ts";
import type { IsmAdapter } from "./adapter.ts";
import { TOKEN_NUMBERS, TOKEN_ORDERS, type TokenOrder } from "./tokens.ts";

/** State of a fabric, for the host file. */
export interface FabricState {
  /** Position in the order of tokens. */
  readonly nextToken: number;
}

/** All functions with one channel id. */
export class IsmFabric {
  readonly chid: number;
  readonly adapters: IsmAdapter[] = [];
  readonly #dmbs = new Map<number, Dmb>();
  readonly #order: TokenOrder;
  #nextToken: number;

  /** `firstToken` (1 to 2^20 - 1), a position in `order`, comes from the host's seed. */
  constructor(chid: number, firstToken: number, order: TokenOrder = TOKEN_ORDERS.sequential(0)) {
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
    return this.#dmbs.get(Math.floor(offset / DATA_OFFSET.TOKEN_UNIT));
  }

  /** The DMB with exactly this token, or undefined. */
  dmbByToken(token: number): Dmb | undefined {
    return token % DATA_OFFSET.TOKEN_UNIT === 0 ? this.dmbAt(token) : undefined;
  }

  /** Takes the next free token: a multiple of 2^28, not used again before all others were. 0 if none is free. */
  takeToken(): number {
    for (let tries = 1; tries < TOKEN_NUMBERS; tries++) {
      const number = this.#order(this.#nextToken);
      this.#nextToken = this.#nextToken % (TOKEN_NUMBERS - 1) + 1;
      if (!this.#dmbs.has(number)) return number * DATA_OFFSET.TOKEN_UNIT;
    }
    return 0;
  }

  addDmb(dmb: Dmb): void {
    this.#dmbs.set(dmb.token / DATA_OFFSET.TOKEN_UNIT, dmb);
  }

  removeDmb(dmb: Dmb): void {
    this.#dmbs.delete(dmb.token / DATA_OFFSET.TOKEN_UNIT);
  }

  /** DMBs of the fabric that a GID may write. */
  writableBy(gid: bigint): Dmb[] {
    return [...this.#dmbs.values()].filter((dmb) => dmb.rgid === gid);
  }

  save(): FabricState {
    return { nextToken: this.#nextToken };
  }

  restore(state: FabricState): void {
    this.#nextToken = state.nextToken;
  }
}
