/** The memory in a host file: table `page`, a checksum per page, and what all of them add up to. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "../../base/crc32.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Host } from "../host.ts";
import type { PagePlace } from "./host_store.ts";
import { type Patch, patchesOf, type Redo } from "./redo.ts";
import { ChecksumError } from "./row_store.ts";

/** How many pages there are, and all their checksums, combined by exclusive or. */
export interface PageSum {
  readonly pages: number;
  readonly pageSum: number;
}

export const NO_PAGES: PageSum = { pages: 0, pageSum: 0 };

/** A page of a guest's memory as it is stored. */
export interface StoredPage {
  readonly guest: number;
  readonly address: number;
  readonly data: Uint8Array;
}

/** Reads and writes pages. */
export class PageStore {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** What the last {@linkcode write} wrote of memory that the open transaction changed. */
  readonly written: PagePlace[] = [];
  /** Checksums in the table of pages that were read or written, by guest and address: needed when they are written again. */
  readonly #sums = new Map<number, Map<number, number>>();
  /** Changes by page that do not stand in the table. */
  readonly #waiting = new Map<
    string,
    { readonly guest: number; readonly address: number; readonly patches: Patch[] }
  >();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** A page, undefined if it was never written. @throws {ChecksumError} */
  load(guest: number, address: number): Uint8Array | undefined {
    const waiting = this.#waiting.get(`${guest}:${address}`);
    const stored = this.#stored(guest, address);
    if (waiting === undefined) return stored;
    const page = stored ?? new Uint8Array(PAGE_SIZE);
    for (const patch of waiting.patches) page.set(patch.data, patch.address - address);
    return page;
  }

  #stored(guest: number, address: number): Uint8Array | undefined {
    const row = this.#prepared("SELECT data, sum FROM page WHERE guest = ? AND address = ?").get(
      guest,
      address,
    );
    if (row === undefined) return undefined;
    const data = checked(guest, address, row["data"] as Uint8Array, row["sum"]);
    this.#sumsOf(guest).set(address, Number(row["sum"]));
    return data;
  }

  /** The transaction has failed: what it wrote was not. */
  forget(): void {
    this.#sums.clear();
  }

  #sumsOf(guest: number): Map<number, number> {
    let sums = this.#sums.get(guest);
    if (sums === undefined) this.#sums.set(guest, sums = new Map());
    return sums;
  }

  /** The checksum of a page as it is stored; undefined if it is not. */
  #sumOf(guest: number, address: number): number | undefined {
    const known = this.#sumsOf(guest).get(address);
    if (known !== undefined) return known;
    const row = this.#prepared("SELECT sum FROM page WHERE guest = ? AND address = ?").get(guest, address);
    return row === undefined ? undefined : Number(row["sum"]);
  }

  /** Where pages are. */
  places(): PagePlace[] {
    const rows = this.#prepared("SELECT guest, address FROM page").all();
    const places = rows.map((row) => ({ guest: Number(row["guest"]), address: Number(row["address"]) }));
    const known = new Set(places.map(({ guest, address }) => `${guest}:${address}`));
    for (const [name, { guest, address }] of this.#waiting) {
      if (!known.has(name)) places.push({ guest, address });
    }
    return places;
  }

  /** A commit changed memory; that does not stand in the table. */
  redo(commit: Redo): void {
    for (const patch of patchesOf(commit)) this.#wait(patch);
  }

  #wait(patch: Patch): void {
    const { guest } = patch;
    const address = patch.address - patch.address % PAGE_SIZE;
    const name = `${guest}:${address}`;
    let page = this.#waiting.get(name);
    if (page === undefined) this.#waiting.set(name, page = { guest, address, patches: [] });
    page.patches.push(patch);
  }

  /** Everything stands in the table; `isOwn` if this process has written it there. */
  forgetRedo(isOwn: boolean): void {
    this.#waiting.clear();
    if (!isOwn) this.#sums.clear();
  }

  /** All pages in the table, by guest and address. @throws {ChecksumError} if one is damaged */
  *all(): Generator<StoredPage> {
    const rows = this.#prepared("SELECT guest, address, data, sum FROM page ORDER BY guest, address").all();
    for (const row of rows) {
      const [guest, address] = [Number(row["guest"]), Number(row["address"])];
      yield { guest, address, data: checked(guest, address, row["data"] as Uint8Array, row["sum"]) };
    }
  }

  /** What all pages in the table add up to, read from the file. @throws {ChecksumError} */
  count(progress: (pages: number) => void = () => {}): PageSum {
    let { pages, pageSum } = NO_PAGES;
    for (const { guest, address, data } of this.all()) {
      progress(++pages);
      pageSum ^= checksum(guest, address, data);
    }
    return { pages, pageSum: pageSum >>> 0 };
  }

  /** Removes every page. */
  clear(): void {
    this.#sums.clear();
    this.#waiting.clear();
    this.#db.exec("DELETE FROM page");
  }

  /** The memory that the open transaction changed; undefined if it freed some, or changed more than `most` bytes. */
  changes(host: Host, most: number): Patch[] | undefined {
    const patches: Patch[] = [];
    let length = 0;
    for (const { index: guest, partition: { storage } } of host.guests) {
      if (storage.freed().next().done === false) return undefined;
      for (const buffer of storage.changed) {
        for (const offset of buffer.changedPages()) {
          for (const [from, to] of buffer.differences(offset)) {
            length += to - from;
            if (length > most) return undefined;
            const data = buffer.touch(from, to - from, false).slice(from, to);
            patches.push({ guest, address: buffer.address + from, data });
          }
        }
      }
    }
    return patches;
  }

  /**
   * Writes pages and removes those of freed memory, and writes what waits.
   *
   * @param revision number of the commit
   * @param which those that the open transaction changed, those that it wrote whether it changed them or not, or all that
   * were ever written
   * @returns what all pages add up to now
   */
  write(before: PageSum, host: Host, which: "changed" | "written" | "all", revision: number): PageSum {
    let { pages, pageSum } = before;
    const put = (guest: number, address: number, data: Uint8Array) => {
      const sum = checksum(guest, address, data);
      const old = this.#sumOf(guest, address);
      if (old === undefined) pages++;
      pageSum ^= (old ?? 0) ^ sum;
      this.#sumsOf(guest).set(address, sum);
      this.#prepared("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)")
        .run(guest, address, data, sum, revision);
    };
    this.written.length = 0;
    for (const { guest, address } of this.#waiting.values()) put(guest, address, this.load(guest, address)!);
    for (const { index, partition: { storage } } of host.guests) {
      for (const { address, size } of storage.freed()) {
        const removed = this.#prepared(
          "DELETE FROM page WHERE guest = ? AND address >= ? AND address < ? RETURNING sum",
        ).all(index, address, address + size);
        for (let at = address; at < address + size; at += PAGE_SIZE) this.#sumsOf(index).delete(at);
        pages -= removed.length;
        for (const row of removed) pageSum ^= Number(row["sum"]);
      }
      for (const buffer of which === "all" ? storage.buffers : storage.changed) {
        if (!storage.has(buffer)) continue;
        for (const offset of which === "all" ? buffer.dirtyPages() : buffer.changedPages()) {
          if (which === "changed" && buffer.differences(offset).length === 0) continue;
          const address = buffer.address + offset;
          put(index, address, buffer.touch(offset, PAGE_SIZE, false).subarray(offset, offset + PAGE_SIZE));
          this.written.push({ guest: index, address });
        }
      }
    }
    return { pages, pageSum: pageSum >>> 0 };
  }

  /** The transaction is committed: these changes do not stand in the table. */
  settle(patches: readonly Patch[]): void {
    for (const patch of patches) this.#wait(patch);
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
}

/** The open transaction has written to memory of a host. */
export function isWritten({ guests }: Host): boolean {
  return guests.some(({ partition: { storage } }) => storage.changed.size > 0);
}

/** Pages that a copy has changed were stored from it, and are once more from the host itself by its next commit. */
export function markChanged(host: Host, copy: Host): void {
  for (const { index, partition: { storage } } of copy.guests) {
    for (const buffer of storage.changed) {
      for (const offset of buffer.changedPages()) {
        const own = host.guests[index]!.partition.storage.find(buffer.address + offset, PAGE_SIZE);
        own?.touch(buffer.address + offset - own.address, PAGE_SIZE, true);
      }
    }
  }
}

function checked(guest: number, address: number, data: Uint8Array, sum: unknown): Uint8Array {
  if (data.length === PAGE_SIZE && sum === checksum(guest, address, data)) return data;
  throw new ChecksumError(`the checksum of memory page 0x${address.toString(16)} of guest ${guest} is wrong`);
}

/** Checksum of a page, its place included. */
function checksum(guest: number, address: number, data: Uint8Array): number {
  return crc32(data, crc32(`${guest}:${address}`));
}
