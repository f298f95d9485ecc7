/** The memory in a host file: table `page`, a checksum per page, and what all of them add up to. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "../../base/crc32.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { Host } from "../host.ts";
import type { PagePlace } from "./host_store.ts";
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
  /** The pages that the last {@linkcode write} wrote. */
  readonly written: PagePlace[] = [];
  /** Checksums of pages that were read or written, by guest and address: asked for when they are written again. */
  readonly #sums = new Map<number, Map<number, number>>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** A page, undefined if it was never written. @throws {ChecksumError} */
  load(guest: number, address: number): Uint8Array | undefined {
    const row = this.#prepared("SELECT data, sum FROM page WHERE guest = ? AND address = ?").get(
      guest,
      address,
    );
    if (row === undefined) return undefined;
    const data = checked(guest, address, row["data"] as Uint8Array, row["sum"]);
    this.#sumsOf(guest).set(address, Number(row["sum"]));
    return data;
  }

  /** Another process has written pages. Bytes. */
  forget(guest: number, address: number, length: number): void {
    const sums = this.#sumsOf(guest);
    for (let at = address; at < address + length; at += PAGE_SIZE) sums.delete(at);
  }

  /** Nothing is known of what is stored. */
  forgetAll(): void {
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
    return rows.map((row) => ({ guest: Number(row["guest"]), address: Number(row["address"]) }));
  }

  /** All pages by guest and address. @throws {ChecksumError} if one is damaged */
  *all(): Generator<StoredPage> {
    const rows = this.#prepared("SELECT guest, address, data, sum FROM page ORDER BY guest, address").all();
    for (const row of rows) {
      const [guest, address] = [Number(row["guest"]), Number(row["address"])];
      yield { guest, address, data: checked(guest, address, row["data"] as Uint8Array, row["sum"]) };
    }
  }

  /** What all pages add up to, read from the file. @throws {ChecksumError} */
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
    this.forgetAll();
    this.#db.exec("DELETE FROM page");
  }

  /**
   * Writes pages and removes those of freed memory.
   *
   * @param revision number of the commit
   * @param which those that the open transaction changed, those that it wrote whether it changed them or not, or all that
   * were ever written
   * @returns what all pages add up to now; the same object if nothing was written
   */
  write(before: PageSum, host: Host, which: "changed" | "written" | "all", revision: number): PageSum {
    let { pages, pageSum } = before;
    let isChanged = false;
    this.written.length = 0;
    for (const { index, partition: { storage } } of host.guests) {
      for (const { address, size } of storage.freed()) {
        const removed = this.#prepared(
          "DELETE FROM page WHERE guest = ? AND address >= ? AND address < ? RETURNING sum",
        ).all(index, address, address + size);
        this.forget(index, address, size);
        isChanged ||= removed.length > 0;
        pages -= removed.length;
        for (const row of removed) pageSum ^= Number(row["sum"]);
      }
      for (const buffer of which === "all" ? storage.buffers : storage.changed) {
        if (!storage.has(buffer)) continue;
        for (const offset of which === "all" ? buffer.dirtyPages() : buffer.changedPages()) {
          if (which === "changed" && buffer.isAsBefore(offset)) continue;
          const address = buffer.address + offset;
          const data = buffer.touch(offset, PAGE_SIZE, false).subarray(offset, offset + PAGE_SIZE);
          const sum = checksum(index, address, data);
          const old = this.#sumOf(index, address);
          if (old === undefined) pages++;
          pageSum ^= (old ?? 0) ^ sum;
          this.#sumsOf(index).set(address, sum);
          isChanged = true;
          this.#prepared("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?, ?)").run(
            index,
            address,
            data,
            sum,
            revision,
          );
          this.written.push({ guest: index, address });
        }
      }
    }
    return isChanged ? { pages, pageSum: pageSum >>> 0 } : before;
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
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
