/**
 * The rows of state in a host file: tables `state` and `member`, a checksum per row, and what all of them add up to.
 * docs/host-file.md describes both tables.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "../../base/crc32.ts";
import type { Json } from "../../base/json.ts";
import type { PutRow } from "../../base/journal.ts";

/** Key of the row that tells what all other rows add up to. */
export const MANIFEST = "manifest";

/** How many rows there are, and all their checksums, combined by exclusive or. */
export interface RowSum {
  readonly states: number;
  readonly members: number;
  readonly rowSum: number;
  /** Number of the last commit that removed a row. */
  readonly removed: number;
}

export const NO_ROWS: RowSum = { states: 0, members: 0, rowSum: 0, removed: 0 };

/** A row whose checksum is wrong. */
export class ChecksumError extends Error {
  override readonly name = "ChecksumError";
}

/** A row as it stands in the file. */
interface Known {
  readonly key: string;
  readonly id: number | undefined;
  readonly json: string;
}

/** Rows of a transaction that are to be written: JSON text, or undefined for one that goes. */
type Pending = Map<
  string,
  { readonly key: string; readonly id: number | undefined; readonly json: string | undefined }
>;

/** Reads and writes rows; knows those that it has seen, so that what is as it was is not written. */
export class RowStore {
  readonly #db: DatabaseSync;
  /** JSON text of the rows that were read or written, by name. */
  readonly #known = new Map<string, Known>();
  /** What the open transaction has written; undefined for a row that is gone. */
  readonly #written = new Map<string, Known | undefined>();
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Reads the rows that are loaded with the host; forgets what it knew. @throws {ChecksumError} */
  load(): Map<string, Json> {
    this.#known.clear();
    this.#written.clear();
    const rows = new Map<string, Json>();
    for (const row of this.#prepared("SELECT key, json, sum FROM state").all()) {
      const [key, json] = [String(row["key"]), String(row["json"])];
      if (row["sum"] !== checksum(key, json)) throw new ChecksumError(`the checksum of ${key} is wrong`);
      this.#known.set(key, { key, id: undefined, json });
      rows.set(key, JSON.parse(json) as Json);
    }
    return rows;
  }

  /**
   * Reads a row of state again that was read with the host.
   *
   * @returns its value, and what it changes of the sum of all rows; undefined if it is gone, or new
   * @throws {ChecksumError}
   */
  read(key: string): { readonly value: Json; readonly changed: number } | undefined {
    const row = this.#prepared("SELECT json, sum FROM state WHERE key = ?").get(key);
    const known = this.#known.get(key);
    if (row === undefined || known === undefined) return undefined;
    const [json, sum] = [String(row["json"]), Number(row["sum"])];
    if (sum !== checksum(key, json)) throw new ChecksumError(`the checksum of ${key} is wrong`);
    this.#known.set(key, { key, id: undefined, json });
    return { value: JSON.parse(json) as Json, changed: sum ^ checksum(key, known.json) };
  }

  /** Keys of the rows that the open transaction wrote; undefined if it did more than change rows of state. */
  statesWritten(): string[] | undefined {
    const keys: string[] = [];
    for (const [name, row] of this.#written) {
      if (row === undefined || row.id !== undefined || !this.#known.has(name)) return undefined;
      keys.push(name);
    }
    return keys;
  }

  /** Reads the members of a list by rising number. @throws {ChecksumError} */
  members(list: string): Json[] {
    const rows = this.#prepared("SELECT id, json, sum FROM member WHERE list = ? ORDER BY id").all(list);
    return rows.map((row) => {
      const [id, json] = [Number(row["id"]), String(row["json"])];
      const name = memberName(list, id);
      if (row["sum"] !== checksum(name, json)) throw new ChecksumError(`the checksum of ${name} is wrong`);
      this.#known.set(name, { key: list, id, json });
      return JSON.parse(json) as Json;
    });
  }

  /** Every row that is no member, read from the file whatever its checksum says. */
  states(): Map<string, Json> {
    const rows = this.#prepared("SELECT key, json FROM state").all();
    return new Map(rows.map((row) => [String(row["key"]), JSON.parse(String(row["json"])) as Json]));
  }

  /** What all rows add up to, read from the file. @throws {ChecksumError} */
  count(): Omit<RowSum, "removed"> {
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
    this.#db.exec("DELETE FROM state; DELETE FROM member");
  }

  /**
   * Writes what `tell` tells, as far as it is not so already.
   *
   * @param before what the rows added up to
   * @param revision number of the commit
   * @param isAll rows that it does not tell of are gone
   * @returns what they add up to now; the same object if nothing was written
   */
  write(before: RowSum, tell: (put: PutRow) => void, revision: number, isAll = false): RowSum {
    const pending: Pending = new Map();
    tell((key, value, id) => {
      const name = id === undefined ? key : memberName(key, id);
      pending.set(name, { key, id, json: value === undefined ? undefined : JSON.stringify(value) });
    });
    if (isAll) {
      for (const [name, { key, id }] of this.#known) {
        if (!pending.has(name) && name !== MANIFEST) pending.set(name, { key, id, json: undefined });
      }
    }
    let { states, members, rowSum, removed } = before;
    let isChanged = false;
    for (const [name, { key, id, json }] of pending) {
      const known = this.#known.get(name)?.json;
      if (known === json) continue;
      isChanged = true;
      const more = (json === undefined ? 0 : 1) - (known === undefined ? 0 : 1);
      if (id === undefined) states += more;
      else members += more;
      if (known !== undefined) rowSum ^= checksum(name, known);
      if (json === undefined) {
        this.#remove(name, key, id);
        removed = revision;
      } else rowSum ^= this.#put({ key, id, json }, name, revision);
    }
    return isChanged ? { states, members, rowSum: rowSum >>> 0, removed } : before;
  }

  /** Writes the row that tells what all others add up to. */
  writeManifest(manifest: { readonly revision: number }): void {
    this.#put({ key: MANIFEST, id: undefined, json: JSON.stringify(manifest) }, MANIFEST, manifest.revision);
  }

  #put({ key, id, json }: Known, name: string, revision: number): number {
    const sum = checksum(name, json);
    if (id === undefined) {
      this.#prepared("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)").run(key, json, sum, revision);
    } else {this.#prepared("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?)").run(
        key,
        id,
        json,
        sum,
        revision,
      );}
    this.#written.set(name, { key, id, json });
    return sum;
  }

  #remove(name: string, key: string, id: number | undefined): void {
    if (id === undefined) this.#prepared("DELETE FROM state WHERE key = ?").run(key);
    else this.#prepared("DELETE FROM member WHERE list = ? AND id = ?").run(key, id);
    this.#written.set(name, undefined);
  }

  /** The transaction is committed. */
  settle(): void {
    for (const [name, row] of this.#written) {
      if (row === undefined) this.#known.delete(name);
      else this.#known.set(name, row);
    }
    this.#written.clear();
  }

  /** The transaction has failed. */
  forget(): void {
    this.#written.clear();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
}

function memberName(list: string, id: number): string {
  return `${list}/${id}`;
}

/** Checksum of a row, its name included. */
function checksum(name: string, json: string): number {
  return crc32(json, crc32(name));
}
