/** Host files as somebody edits them who knows how checksums are made. */
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Json } from "../../lib/base/json.ts";

/** Rows of state by key. */
export type EditedRows = Map<string, Json>;

/** Lets `edit` change the rows of a host file, and makes checksums and manifest anew. */
export function editRows(path: string, edit: (rows: EditedRows) => void): void {
  const db = new DatabaseSync(path);
  try {
    const stored = db.prepare("SELECT key, json FROM state").all();
    const rows: EditedRows = new Map(
      stored.map((row) => [String(row["key"]), JSON.parse(String(row["json"])) as Json]),
    );
    const before = new Map([...rows].map(([key, value]) => [key, JSON.stringify(value)]));
    edit(rows);
    const manifest = rows.get("manifest");
    if (typeof manifest === "object" && manifest !== null && !Array.isArray(manifest)) {
      if (JSON.stringify(manifest) === before.get("manifest")) {
        rows.set("manifest", { ...manifest, states: rows.size - 1 } as Json);
      }
    }
    const put = db.prepare(
      "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json, sum = excluded.sum",
    );
    for (const key of before.keys()) {
      if (!rows.has(key)) db.prepare("DELETE FROM state WHERE key = ?").run(key);
    }
    for (const [key, value] of rows) {
      const json = JSON.stringify(value);
      if (json !== before.get(key)) put.run(key, json, crc32(json, crc32(key)));
    }
  } finally {
    db.close();
  }
}
