/** What a host file holds by docs/host-file.md, read without the program: its tables, and the commits on top of them. */
import type { DatabaseSync } from "node:sqlite";
import type { Json } from "../../lib/base/json.ts";

/** A row of state; a member of a list has a number. */
export interface StoredRow {
  readonly key: string;
  readonly id: number | null;
  readonly json: string;
}

/** Everything that a host file holds. */
export interface Stored {
  /** By rising name. */
  readonly rows: readonly StoredRow[];
  /** Contents in hexadecimal by guest and address. */
  readonly pages: readonly (readonly [place: string, data: string])[];
}

/** Reads it; a file of an older format has no lists and no commits. */
export function storedHost(db: DatabaseSync): Stored {
  const isCut = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'member'").get() !== undefined;
  const rows = new Map<string, StoredRow>();
  const put = (row: StoredRow) => rows.set(row.id === null ? row.key : `${row.key}/${row.id}`, row);
  for (const { key, json } of db.prepare("SELECT key, json FROM state").all()) {
    put({ key: String(key), id: null, json: String(json) });
  }
  for (const { list, id, json } of isCut ? db.prepare("SELECT list, id, json FROM member").all() : []) {
    put({ key: String(list), id: Number(id), json: String(json) });
  }
  const pages = new Map<string, Uint8Array>();
  for (const { guest, address, data } of db.prepare("SELECT guest, address, data FROM page").all()) {
    pages.set(`${guest}:${address}`, (data as Uint8Array).slice());
  }
  const { revision } = JSON.parse(rows.get("manifest")?.json ?? "{}") as { revision?: number };
  const commits = isCut
    ? db.prepare("SELECT json, data FROM redo WHERE revision > ? ORDER BY revision").all(revision ?? 0)
    : [];
  for (const { json, data } of commits) {
    const commit = JSON.parse(String(json)) as {
      rows: (readonly [key: string, id: number | null, value?: Json])[];
      ranges: (readonly [guest: number, address: number, length: number])[];
    };
    for (const [key, id, ...value] of commit.rows) {
      if (value.length > 0) put({ key, id, json: JSON.stringify(value[0]) });
      else rows.delete(id === null ? key : `${key}/${id}`);
    }
    let at = 0;
    for (const [guest, address, length] of commit.ranges) {
      const place = `${guest}:${address - address % 4096}`;
      const page = pages.get(place) ?? new Uint8Array(4096);
      page.set((data as Uint8Array).subarray(at, at += length), address % 4096);
      pages.set(place, page);
    }
  }
  const byName = <Of>(map: ReadonlyMap<string, Of>) => [...map].sort(([a], [b]) => a < b ? -1 : 1);
  return {
    rows: byName(rows).map(([, row]) => row),
    pages: byName(pages).map(([place, data]) => [place, data.toHex()] as const),
  };
}
