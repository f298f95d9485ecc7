/** Host files as somebody edits them who knows how rows and checksums are made. */
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Json } from "../../lib/base/json.ts";
import { joinRows, splitRows } from "../../lib/host/state/rows.ts";

/** State by key, as documents, and the manifest. */
export type EditedRows = Map<string, Json>;

/** Writes the rows that the last commits changed into the tables of rows, and takes them out of the commits. */
function fold(db: DatabaseSync): void {
  const stored = db.prepare("SELECT json FROM state WHERE key = 'manifest'").get();
  const manifest = JSON.parse(String(stored?.["json"] ?? "{}")) as { revision?: number; commits?: number };
  let sum = manifest.commits ?? 0;
  const commits = db.prepare("SELECT revision, json, data FROM redo WHERE revision > ? ORDER BY revision")
    .all(manifest.revision ?? 0);
  for (const { revision, json, data } of commits) {
    const { rows, ranges } = JSON.parse(String(json)) as {
      rows: [string, number | null, Json?][];
      ranges: Json;
    };
    for (const [key, id, ...value] of rows) {
      if (id === null) db.prepare("DELETE FROM state WHERE key = ?").run(key);
      else db.prepare("DELETE FROM member WHERE list = ? AND id = ?").run(key, id);
      if (value.length === 0) continue;
      const text = JSON.stringify(value[0]);
      if (id === null) db.prepare("INSERT INTO state (key, json, sum) VALUES (?, ?, 0)").run(key, text);
      else db.prepare("INSERT INTO member (list, id, json, sum) VALUES (?, ?, ?, 0)").run(key, id, text);
    }
    const text = JSON.stringify({ rows: [], ranges });
    const bytes = (data ?? new Uint8Array(0)) as Uint8Array;
    sum = crc32(bytes, crc32(`${revision}:${text}`, sum));
    db.prepare("UPDATE redo SET json = ?, sum = ? WHERE revision = ?").run(text, sum, Number(revision));
  }
}

/** Lets `edit` change the state in a host file, and makes rows, checksums and manifest anew. */
export function editRows(path: string, edit: (rows: EditedRows) => void): void {
  using db = new DatabaseSync(path);
  fold(db);
  const parse = (row: Record<string, unknown>) => JSON.parse(String(row["json"])) as Json;
  const stored = db.prepare("SELECT key, json FROM state").all();
  const list = db.prepare("SELECT json FROM member WHERE list = ? ORDER BY id");
  const states = new Map(stored.map((row) => [String(row["key"]), parse(row)]));
  const documents: EditedRows = joinRows(
    states,
    (name) => list.all(name).map(parse),
    (reason) => Error(reason),
  );
  // What is read later is read now, so that it can be edited.
  const rows: EditedRows = new Map([...documents].map(([key, value]) => [key, structuredClone(value)]));
  const manifest = JSON.stringify(rows.get("manifest"));
  edit(rows);
  db.exec("DELETE FROM state; DELETE FROM member");
  const putState = db.prepare("INSERT OR REPLACE INTO state (key, json, sum) VALUES (?, ?, ?)");
  const putMember = db.prepare("INSERT OR REPLACE INTO member (list, id, json, sum) VALUES (?, ?, ?, ?)");
  const put = (key: string, value: unknown, id?: number) => {
    const json = JSON.stringify(value);
    // What has no number of its own any more gets one that no other has.
    const number = id === undefined || Number.isSafeInteger(id) ? id : 1e12;
    const name = number === undefined ? key : `${key}/${number}`;
    const sum = crc32(json, crc32(name));
    if (number === undefined) putState.run(key, json, sum);
    else putMember.run(key, number, json, sum);
  };
  const isEdited = JSON.stringify(rows.get("manifest")) !== manifest;
  splitRows([...rows].filter(([key]) => key !== "manifest"), put);
  if (!rows.has("manifest")) return;
  put("manifest", isEdited ? rows.get("manifest") : { ...JSON.parse(manifest), ...added(db) });
}

/** What all rows add up to. */
function added(db: DatabaseSync): { states: number; members: number; rowSum: number } {
  const sums = (table: string) =>
    db.prepare(`SELECT sum FROM ${table}`).all().map((row) => Number(row["sum"]));
  const [states, members] = [sums("state"), sums("member")];
  const rowSum = [...states, ...members].reduce((all, sum) => all ^ sum, 0) >>> 0;
  return { states: states.length, members: members.length, rowSum };
}
