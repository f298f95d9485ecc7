/** Host files as somebody edits them who knows how rows and checksums are made. */
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Json } from "../../lib/base/json.ts";
import { joinRows, splitRows } from "../../lib/host/state/rows.ts";

/** State by key, as documents, and the manifest. */
export type EditedRows = Map<string, Json>;

/** Lets `edit` change the state in a host file, and makes rows, checksums and manifest anew. */
export function editRows(path: string, edit: (rows: EditedRows) => void): void {
  using db = new DatabaseSync(path);
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
  const putState = db.prepare("INSERT OR REPLACE INTO state VALUES (?, ?, ?)");
  const putMember = db.prepare("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)");
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
