/**
 * A guard for tests: after every commit what was told to be stored is compared with all state of the host, and after
 * every rollback the host with what it was. A change that nobody told of, or that nobody undoes, ends in an error.
 */
import type { PutRow } from "../../base/journal.ts";
import type { Host } from "../host.ts";
import { splitRows } from "../state/rows.ts";

let isOn = false;

/** Switches the comparison on or off for stores that are opened from now on. Each transaction costs the whole host. */
export function compareTransactions(on: boolean): void {
  isOn = on;
}

/** A comparison for a store, if it is switched on. */
export function compareStates(): Comparison | undefined {
  return isOn ? new Comparison() : undefined;
}

/** Reads a stored page of a guest's memory. */
type StoredPageReader = (guest: number, address: number) => Uint8Array | undefined;

/** What a host must be after each transaction. */
export class Comparison {
  #rows = new Map<string, string>();
  /** Pages that were written since the start. */
  #pages = new Map<string, string>();
  #original: StoredPageReader = () => undefined;

  /** Takes everything as it is; `original` reads pages that are stored. */
  start(host: Host, original: StoredPageReader = () => undefined): void {
    this.#rows = allRows(host);
    this.#pages = writtenPages(host);
    this.#original = original;
  }

  /** Before a transaction is settled. @throws {Error} if it tells of less than it changed */
  commit(host: Host): void {
    host.writeRows(putInto(this.#rows));
    assertSame("commit", this.#rows, allRows(host));
    for (const { index, partition: { storage } } of host.guests) {
      for (const { address, size } of storage.freed()) {
        for (const name of this.#pages.keys()) {
          const [guest, at] = name.split(":").map(Number);
          if (guest === index && at! >= address && at! < address + size) this.#pages.delete(name);
        }
      }
      for (const buffer of storage.changed) {
        for (const offset of storage.has(buffer) ? buffer.changedPages() : []) {
          this.#pages.set(`${index}:${buffer.address + offset}`, pageText(buffer, offset));
        }
      }
    }
    assertSame("commit", this.#pages, writtenPages(host));
  }

  /** After a loaded host was brought up to what others have committed. @throws {Error} if a fresh one is another */
  refreshed(host: Host, fresh: Host): void {
    assertSame("refresh", allRows(host), allRows(fresh));
    assertSame("refresh", allPages(host), allPages(fresh));
  }

  /** After a transaction was undone. @throws {Error} if something is not as it was */
  rollback(host: Host): void {
    assertSame("rollback", this.#rows, allRows(host));
    const pages = writtenPages(host);
    for (const name of pages.keys()) {
      if (this.#pages.has(name)) continue;
      const [guest, address] = name.split(":").map(Number);
      this.#pages.set(name, this.#original(guest!, address!)?.toHex() ?? ZEROS);
    }
    assertSame("rollback", this.#pages, pages);
  }
}

const ZEROS = "00".repeat(4096);

type Buffer = Host["guests"][number]["partition"]["storage"]["buffers"][number];

function pageText(buffer: Buffer, offset: number): string {
  return buffer.touch(offset, 4096, false).subarray(offset, offset + 4096).toHex();
}

/** Pages that were written since the host is in memory. */
function writtenPages(host: Host): Map<string, string> {
  const pages = new Map<string, string>();
  for (const { index, partition } of host.guests) {
    for (const buffer of partition.storage.buffers) {
      for (const offset of buffer.writtenPages()) {
        pages.set(`${index}:${buffer.address + offset}`, pageText(buffer, offset));
      }
    }
  }
  return pages;
}

function allPages(host: Host): Map<string, string> {
  const pages = new Map<string, string>();
  for (const { index, partition: { storage } } of host.guests) {
    for (const buffer of storage.buffers) {
      for (let offset = 0; offset < buffer.size; offset += 4096) {
        pages.set(`${index}:${buffer.address + offset}`, pageText(buffer, offset));
      }
    }
  }
  return pages;
}

function putInto(rows: Map<string, string>): PutRow {
  return (key, value, id) => {
    const name = id === undefined ? key : `${key}/${id}`;
    if (value === undefined) rows.delete(name);
    else rows.set(name, JSON.stringify(value));
  };
}

function allRows(host: Host): Map<string, string> {
  const rows = new Map<string, string>();
  splitRows(host.save(), putInto(rows));
  return rows;
}

function assertSame(
  when: string,
  told: ReadonlyMap<string, string>,
  there: ReadonlyMap<string, string>,
): void {
  const wrong = [...new Set([...told.keys(), ...there.keys()])].filter((key) =>
    canonical(told.get(key)) !== canonical(there.get(key))
  );
  if (wrong.length === 0) return;
  const shown = wrong.slice(0, 5).map((key) =>
    `${key}: ${short(told.get(key))} but is ${short(there.get(key))}`
  );
  throw new Error(`After a ${when} ${wrong.length} rows are not as they should be: ${shown.join("; ")}`);
}

/** The same text for values that differ in the order of their fields only. */
function canonical(json: string | undefined): string | undefined {
  if (json === undefined || !json.startsWith("{")) return json;
  return JSON.stringify(Object.entries(JSON.parse(json) as object).sort(([a], [b]) => a < b ? -1 : 1));
}

function short(json: string | undefined): string {
  return json === undefined ? "is not there" : json.slice(0, 300);
}
