/** Host files as somebody edits them who knows how rows and checksums are made. */
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Json } from "../../lib/base/json.ts";
import { joinRows, splitRows } from "../../lib/host/state/rows.ts";
import { storedHost, type StoredRow } from "./stored_host.ts";

/** State by key, as documents, and the manifest. */
export type EditedRows = Map<string, Json>;

/** Takes the rows that the last commits changed out of them; what they changed of memory stays. */
function forgetRows(db: DatabaseSync): void {
  const stored = db.prepare("SELECT json FROM state WHERE key = 'manifest'").get();
  const manifest = JSON.parse(String(stored?.["json"] ?? "{}")) as { revision?: number; commits?: number };
  let sum = manifest.commits ?? 0;
  const commits = db.prepare("SELECT revision, json, data FROM redo WHERE revision > ? ORDER BY revision")
    .all(manifest.revision ?? 0);
  for (const { revision, json, data } of commits) {
    const { ranges } = JSON.parse(String(json)) as { ranges: Json };
    const text = JSON.stringify({ rows: [], ranges });
    sum = crc32((data ?? new Uint8Array(0)) as Uint8Array, crc32(`${revision}:${text}`, sum));
    db.prepare("UPDATE redo SET json = ?, sum = ? WHERE revision = ?").run(text, sum, Number(revision));
  }
}

/** Lets `edit` change the state in a host file, and makes rows, checksums and manifest anew. */
export function editRows(path: string, edit: (rows: EditedRows) => void): void {
  using db = new DatabaseSync(path);
  const stored = storedHost(db).rows;
  forgetRows(db);
  const parse = ({ json }: StoredRow) => JSON.parse(json) as Json;
  const states = new Map(stored.filter(({ id }) => id === null).map((row) => [row.key, parse(row)]));
  const list = (name: string) =>
    stored.filter(({ key, id }) => key === name && id !== null).sort((a, b) => a.id! - b.id!).map(parse);
  const documents: EditedRows = joinRows(
    states,
    list,
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
