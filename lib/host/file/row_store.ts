/**
 * The rows of state in a host file: tables `state` and `member`, a checksum per row, and what all of them add up to.
 * docs/host-file.md describes both tables.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "../../base/crc32.ts";
import type { Json } from "../../base/json.ts";
import type { PutRow } from "../../base/journal.ts";
import type { RowChange } from "./redo.ts";

/** Key of the row that tells what all other rows add up to. */
export const MANIFEST = "manifest";

/** How many rows there are in the tables, and all their checksums, combined by exclusive or. */
export interface RowSum {
  readonly states: number;
  readonly members: number;
  readonly rowSum: number;
}

export const NO_ROWS: RowSum = { states: 0, members: 0, rowSum: 0 };

/** A row whose checksum is wrong. */
export class ChecksumError extends Error {
  override readonly name = "ChecksumError";
}

/** Reads and writes rows; knows those that it has seen, so that what is as it was is not written. */
export class RowStore {
  readonly #db: DatabaseSync;
  /** The rows that were read or written, by name. */
  readonly #known = new Map<string, RowChange>();
  /** Those that do not stand in the tables. */
  readonly #waiting = new Map<string, RowChange>();
  /** What the open transaction changes. */
  #changes: readonly RowChange[] = [];
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Reads the rows in `state`; forgets what it knew. @throws {ChecksumError} */
  load(): Map<string, Json> {
    this.#known.clear();
    this.#waiting.clear();
    this.#changes = [];
    const rows = new Map<string, Json>();
    for (const row of this.#prepared("SELECT key, json, sum FROM state").all()) {
      const [key, json] = [String(row["key"]), String(row["json"])];
      if (row["sum"] !== checksum(key, json)) throw new ChecksumError(`the checksum of ${key} is wrong`);
      this.#known.set(key, { key, id: undefined, json });
      rows.set(key, JSON.parse(json) as Json);
    }
    return rows;
  }

  /** Reads the row that tells what the tables add up to. @throws {ChecksumError} */
  manifest(): Json | undefined {
    const row = this.#prepared("SELECT json, sum FROM state WHERE key = ?").get(MANIFEST);
    if (row === undefined) return undefined;
    const json = String(row["json"]);
    if (row["sum"] !== checksum(MANIFEST, json)) {
      throw new ChecksumError(`the checksum of ${MANIFEST} is wrong`);
    }
    return JSON.parse(json) as Json;
  }

  /** Commits changed rows; that does not stand in the tables. */
  redo(changes: readonly RowChange[]): void {
    for (const change of changes) {
      const name = nameOf(change);
      this.#waiting.set(name, change);
      this.#know(name, change);
    }
  }

  /** Everything that commits changed stands in the tables. */
  forgetRedo(): void {
    this.#waiting.clear();
  }

  #know(name: string, change: RowChange): void {
    if (change.json === undefined) this.#known.delete(name);
    else this.#known.set(name, change);
  }

  /** The commit changes rows of `state` that were there before, and nothing else of the rows. */
  isInPlace(changes: readonly RowChange[]): boolean {
    return changes.every(({ key, id, json }) =>
      id === undefined && json !== undefined && this.#known.has(key)
    );
  }

  /** Takes rows as another process has changed them. */
  follow(changes: readonly RowChange[]): void {
    for (const change of changes) this.#know(nameOf(change), change);
  }

  /** Reads the members of a list by rising number. @throws {ChecksumError} */
  members(list: string): Json[] {
    const rows = this.#prepared("SELECT id, json, sum FROM member WHERE list = ?").all(list);
    const found = new Map(rows.map((row) => [Number(row["id"]), row]));
    const members = new Map<number, string>();
    for (const [id, row] of found) {
      const [name, json] = [memberName(list, id), String(row["json"])];
      if (row["sum"] !== checksum(name, json)) throw new ChecksumError(`the checksum of ${name} is wrong`);
      members.set(id, json);
    }
    for (const { key, id, json } of this.#waiting.values()) {
      if (key !== list || id === undefined) continue;
      if (json === undefined) members.delete(id);
      else members.set(id, json);
    }
    return [...members].sort(([a], [b]) => a - b).map(([id, json]) => {
      this.#known.set(memberName(list, id), { key: list, id, json });
      return JSON.parse(json) as Json;
    });
  }

  /** Every row that is no member, read from the file whatever its checksum says. */
  states(): Map<string, Json> {
    const rows = this.#prepared("SELECT key, json FROM state").all();
    const states = new Map(rows.map((row) => [String(row["key"]), JSON.parse(String(row["json"])) as Json]));
    changeStates(states, this.#waiting.values());
    return states;
  }

  /** What all rows in the tables add up to, read from the file. @throws {ChecksumError} */
  count(): RowSum {
    let { states, members, rowSum } = NO_ROWS;
    for (const row of this.#prepared("SELECT key, json FROM state").all()) {
      if (row["key"] === MANIFEST) continue;
      states++;
      rowSum ^= checksum(String(row["key"]), String(row["json"]));
    }
    for (const row of this.#prepared("SELECT list, id, json, sum FROM member").all()) {
      const name = memberName(String(row["list"]), Number(row["id"]));
      const sum = checksum(name, String(row["json"]));
      if (row["sum"] !== sum) throw new ChecksumError(`the checksum of ${name} is wrong`);
      members++;
      rowSum ^= sum;
    }
    return { states, members, rowSum: rowSum >>> 0 };
  }

  /** Removes every row. */
  clear(): void {
    this.#known.clear();
    this.#waiting.clear();
    this.#db.exec("DELETE FROM state; DELETE FROM member");
  }

  /**
   * What the open transaction changes: what `tell` tells, as far as it is not so already.
   *
   * @param isAll rows that it does not tell of are gone
   */
  changes(tell: (put: PutRow) => void, isAll = false): readonly RowChange[] {
    const told = new Map<string, RowChange>();
    tell((key, value, id) => {
      const change = { key, id, json: value === undefined ? undefined : JSON.stringify(value) };
      told.set(nameOf(change), change);
    });
    if (isAll) {
      for (const [name, { key, id }] of this.#known) {
        if (!told.has(name) && name !== MANIFEST) told.set(name, { key, id, json: undefined });
      }
    }
    const changes: RowChange[] = [];
    for (const [name, change] of told) if (this.#known.get(name)?.json !== change.json) changes.push(change);
    return this.#changes = changes;
  }

  /**
   * Writes into the tables what the open transaction changes, and what waits.
   *
   * @param before what the tables added up to
   * @param revision number of the commit
   * @returns what they add up to now
   */
  write(before: RowSum, revision: number): RowSum {
    let { states, members, rowSum } = before;
    const all = new Map(this.#waiting);
    for (const change of this.#changes) all.set(nameOf(change), change);
    for (const [name, change] of all) {
      const { id, json } = change;
      const old = this.#storedSum(change);
      const more = (json === undefined ? 0 : 1) - (old === undefined ? 0 : 1);
      if (id === undefined) states += more;
      else members += more;
      rowSum ^= old ?? 0;
      if (json === undefined) this.#remove(change);
      else rowSum ^= this.#put(change, name, json, revision);
    }
    return { states, members, rowSum: rowSum >>> 0 };
  }

  /** Writes the row that tells what all others add up to. */
  writeManifest(manifest: { readonly revision: number }): void {
    const row = { key: MANIFEST, id: undefined };
    this.#put({ ...row, json: undefined }, MANIFEST, JSON.stringify(manifest), manifest.revision);
  }

  #storedSum({ key, id }: RowChange): number | undefined {
    const row = id === undefined
      ? this.#prepared("SELECT sum FROM state WHERE key = ?").get(key)
      : this.#prepared("SELECT sum FROM member WHERE list = ? AND id = ?").get(key, id);
    return row === undefined ? undefined : Number(row["sum"]);
  }

  #put({ key, id }: RowChange, name: string, json: string, revision: number): number {
    const sum = checksum(name, json);
    if (id === undefined) {
      this.#prepared("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)").run(key, json, sum, revision);
    } else {
      this.#prepared("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?)").run(
        key,
        id,
        json,
        sum,
        revision,
      );
    }
    return sum;
  }

  #remove({ key, id }: RowChange): void {
    if (id === undefined) this.#prepared("DELETE FROM state WHERE key = ?").run(key);
    else this.#prepared("DELETE FROM member WHERE list = ? AND id = ?").run(key, id);
  }

  /** The transaction is committed. */
  settle(): void {
    this.redo(this.#changes);
    this.#changes = [];
  }

  /** The transaction has failed. */
  forget(): void {
    this.#changes = [];
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
}

/** Changes rows of `state` as commits did. */
export function changeStates(states: Map<string, Json>, changes: Iterable<RowChange>): void {
  for (const { key, id, json } of changes) {
    if (id !== undefined) continue;
    if (json === undefined) states.delete(key);
    else states.set(key, JSON.parse(json) as Json);
  }
}

function nameOf({ key, id }: RowChange): string {
  return id === undefined ? key : memberName(key, id);
}

function memberName(list: string, id: number): string {
  return `${list}/${id}`;
}

/** Checksum of a row, its name included. */
function checksum(name: string, json: string): number {
  return crc32(json, crc32(name));
}
