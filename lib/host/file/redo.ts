/**
 * What the last commits changed: table `redo`, a row a commit. A small commit writes that and nothing else; one that
 * finds no room there is written into the tables themselves, with everything that waited. docs/host-file.md describes it.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "../../base/crc32.ts";
import type { Json } from "../../base/json.ts";
import { ChecksumError } from "./row_store.ts";

/** A row of state that a commit changed. */
export interface RowChange {
  /** Key in `state`; the list of a member. */
  readonly key: string;
  /** Number of a member of a list. */
  readonly id: number | undefined;
  /** Undefined for a row that is gone. */
  readonly json: string | undefined;
}

/** Memory that a commit changed, inside of one page: bytes at an address. */
export interface Patch {
  readonly guest: number;
  readonly address: number;
  readonly data: Uint8Array;
}

/** Memory without its bytes. */
export type Range = readonly [guest: number, address: number, length: number];

/** What a commit changed. */
export interface Redo {
  readonly revision: number;
  readonly rows: readonly RowChange[];
  readonly ranges: readonly Range[];
  /** Bytes of the ranges, one behind the other; undefined if they stand in the table of pages. */
  readonly data: Uint8Array | undefined;
  /** Rows and ranges as they are written. */
  readonly text: string;
  /** Checksum of this commit and of those before it. */
  readonly sum: number;
}

/** What others have committed. */
export interface News {
  /** All of it. */
  readonly missed: readonly Redo[];
  /** More stands in the tables than did. */
  readonly isFolded: boolean;
  /** What does not stand there: everything if more does than did, else the end of it. */
  readonly waiting: readonly Redo[];
}

/** Where the commits stand. */
export interface Head {
  /** Number of the last commit. */
  readonly revision: number;
  /** The last one that stands in the tables themselves, as all before it do. */
  readonly folded: number;
}

/** The number of the row that tells how far the commits go. */
const HEAD = 0;
/** All rows lie on one page of the database, which is all that a small commit writes. Bytes. */
const ROOM = 3600;
/** A row's number, its checksum and what SQLite puts around them. Bytes. */
const AROUND = 24;
/** What may stay for other processes when all was written into the tables: commits, and their bytes. */
const MOST_TOLD = 8;
const ROOM_TOLD = 1200;
/** A commit that was written into the tables is told if it takes no more than this. Bytes. */
const LONGEST_TOLD = 640;

const NO_DATA = new Uint8Array(0);

/** Reads and writes the last commits. */
export class RedoLog {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #head: Head = { revision: 0, folded: 0 };
  #sum = 0;
  /** Bytes of each commit in the table, oldest first. */
  #sizes: number[] = [];
  /** What becomes true when the open transaction is committed. */
  #pending: { readonly head: Head; readonly sum: number; readonly sizes: number[] } | undefined = undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** As of the last transaction. */
  get head(): Head {
    return this.#head;
  }

  /**
   * Reads the commits that do not stand in the tables.
   *
   * @param sum checksum of the last one that does @throws {ChecksumError}
   */
  load(sum: number): Redo[] {
    const head = this.#readHead();
    const commits = this.#read(HEAD);
    const waiting = commits.filter(({ revision }) => revision > head.folded);
    check(waiting, head.folded, head.revision, sum);
    this.#follow(head, waiting.at(-1)?.sum ?? sum, commits);
    return waiting;
  }

  /**
   * Reads what others have committed since, and what does not stand in the tables by now.
   *
   * @returns undefined if not all of the former is told
   * @throws {ChecksumError}
   */
  news(): News | undefined {
    const { revision, folded } = this.#head;
    const head = this.#readHead();
    const isFolded = head.folded !== folded;
    const commits = this.#read(isFolded ? HEAD : revision);
    const missed = commits.filter((each) => each.revision > revision);
    // What changed nothing that is told, or another host that has come in the place of this one.
    if (missed.length === 0 || faultOf(missed, revision, head.revision, this.#sum) !== undefined) {
      return undefined;
    }
    this.#follow(head, missed.at(-1)!.sum, commits, isFolded ? [] : this.#sizes);
    return { missed, isFolded, waiting: commits.filter((each) => each.revision > head.folded) };
  }

  #follow(head: Head, sum: number, commits: readonly Redo[], known: readonly number[] = []): void {
    this.#head = head;
    this.#sum = sum;
    this.#pending = undefined;
    this.#sizes = [...known, ...commits.map(({ text, data }) => text.length + lengthOf(data))];
  }

  /**
   * Writes a small commit.
   *
   * @returns false if there is no room, nothing written
   */
  append(rows: readonly RowChange[], patches: readonly Patch[]): boolean {
    const ranges = patches.map(({ guest, address, data }): Range => [guest, address, data.length]);
    const text = textOf(rows, ranges);
    const data = patches.length === 0 ? NO_DATA : joined(patches);
    const size = text.length + lengthOf(data);
    if (this.#sizes.reduce((all, each) => all + each, size) > ROOM) return false;
    const { revision, folded } = this.#head;
    this.#put({ revision: revision + 1, folded }, text, data, [...this.#sizes, size]);
    return true;
  }

  /**
   * Everything stands in the tables now. What that changed is told to others, as the last commits are, if it is little.
   *
   * @returns checksum of the commits up to this one
   */
  fold(rows: readonly RowChange[], ranges: readonly Range[]): number {
    const revision = this.#head.revision + 1;
    const text = textOf(rows, ranges);
    const size = text.length + lengthOf(undefined);
    if (text.length > LONGEST_TOLD) return this.reset(revision, this.#sum);
    const sizes = [size];
    for (const each of this.#sizes.toReversed()) {
      if (sizes.length === MOST_TOLD || sizes.reduce((all, one) => all + one, each) > ROOM_TOLD) break;
      sizes.unshift(each);
    }
    this.#prepared("DELETE FROM redo WHERE revision > 0 AND revision <= ?").run(revision - sizes.length);
    return this.#put({ revision, folded: revision }, text, undefined, sizes);
  }

  /** Everything stands in the tables, and nothing is told of it. @returns checksum from which the commits go on */
  reset(revision: number, seed: number): number {
    this.#prepared("DELETE FROM redo WHERE revision > 0").run();
    const sum = crc32(`${revision}`, seed);
    this.#writeHead({ revision, folded: revision }, sum);
    return sum;
  }

  /** Goes on with the numbers in the file, whatever else is wrong there. */
  continueNumbers(): void {
    const last = Number(this.#prepared("SELECT max(revision) AS last FROM redo").get()?.["last"] ?? 0);
    const text = String(this.#prepared("SELECT json FROM redo WHERE revision = 0").get()?.["json"]);
    const revision = Math.max(last, Number(/"revision":(\d+)/.exec(text)?.[1] ?? 0));
    this.#head = { revision, folded: revision };
  }

  /** The transaction is committed. @returns true if everything stands in the tables */
  settle(): boolean {
    if (this.#pending === undefined) return false;
    const { head, sum, sizes } = this.#pending;
    this.#pending = undefined;
    [this.#head, this.#sum, this.#sizes] = [head, sum, sizes];
    return head.folded === head.revision;
  }

  /** The transaction has failed. */
  forget(): void {
    this.#pending = undefined;
  }

  /** What is wrong with the rows themselves, told or not. @throws {ChecksumError} */
  check(): void {
    const head = this.#readHead();
    const commits = this.#read(HEAD);
    const [first] = commits;
    if (first !== undefined) check(commits.slice(1), first.revision, head.revision, first.sum);
    else if (head.folded !== head.revision) throw lost();
  }

  #put(head: Head, text: string, data: Uint8Array | undefined, sizes: number[]): number {
    const sum = sumOf(head.revision, text, data, this.#sum);
    const headText = this.#follows(head, sum, sizes);
    this.#prepared("INSERT OR REPLACE INTO redo VALUES (0, ?, NULL, ?), (?, ?, ?, ?)")
      .run(headText, crc32(headText), head.revision, text, data ?? null, sum);
    return sum;
  }

  #writeHead(head: Head, sum: number): void {
    const text = this.#follows(head, sum, []);
    this.#prepared("INSERT OR REPLACE INTO redo VALUES (0, ?, NULL, ?)").run(text, crc32(text));
  }

  /** Notes what becomes true with the transaction. @returns the head as it is written */
  #follows(head: Head, sum: number, sizes: number[]): string {
    this.#pending = { head, sum, sizes };
    return `{"revision":${head.revision},"folded":${head.folded}}`;
  }

  #readHead(): Head {
    const row = this.#prepared("SELECT json, sum FROM redo WHERE revision = 0").get();
    if (row === undefined) throw lost();
    const text = String(row["json"]);
    if (row["sum"] !== crc32(text)) throw new ChecksumError("the checksum of the last commits is wrong");
    return JSON.parse(text) as Head;
  }

  /** Commits after one, oldest first, as they stand there. */
  #read(after: number): Redo[] {
    const rows = this.#prepared(
      "SELECT revision, json, data, sum FROM redo WHERE revision > ? ORDER BY revision",
    )
      .all(after);
    return rows.map((row) => {
      const [revision, text] = [Number(row["revision"]), String(row["json"])];
      const data = (row["data"] ?? undefined) as Uint8Array | undefined;
      return { revision, text, ...parsed(revision, text), data, sum: Number(row["sum"]) };
    });
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }
}

/** The memory that a commit changed, with its bytes; nothing if they stand in the table of pages. */
export function patchesOf({ ranges, data }: Redo): Patch[] {
  if (data === undefined) return [];
  let at = 0;
  return ranges.map(([guest, address, length]) => ({
    guest,
    address,
    data: data.subarray(at, at += length),
  }));
}

function joined(patches: readonly Patch[]): Uint8Array {
  if (patches.length === 1) return patches[0]!.data;
  const all = new Uint8Array(patches.reduce((length, { data }) => length + data.length, 0));
  let at = 0;
  for (const { data } of patches) {
    all.set(data, at);
    at += data.length;
  }
  return all;
}

function lengthOf(data: Uint8Array | undefined): number {
  return AROUND + (data?.length ?? 0);
}

/** A commit as JSON: rows as `[key, id or null, value]`, without a value where one is gone; ranges of memory. */
function textOf(rows: readonly RowChange[], ranges: readonly Range[]): string {
  let text = '{"rows":[';
  for (const [i, { key, id, json }] of rows.entries()) {
    text += `${i === 0 ? "" : ","}[${JSON.stringify(key)},${id ?? "null"}${
      json === undefined ? "" : `,${json}`
    }]`;
  }
  text += '],"ranges":[';
  for (const [i, [guest, address, length]] of ranges.entries()) {
    text += `${i === 0 ? "" : ","}[${guest},${address},${length}]`;
  }
  return text + "]}";
}

function parsed(revision: number, text: string): Pick<Redo, "rows" | "ranges"> {
  try {
    const { rows, ranges } = JSON.parse(text) as {
      rows: readonly (readonly [key: string, id: number | null, value?: Json])[];
      ranges: readonly Range[];
    };
    return {
      ranges,
      rows: rows.map((row) => ({
        key: row[0],
        id: row[1] ?? undefined,
        json: row.length < 3 ? undefined : JSON.stringify(row[2]),
      })),
    };
  } catch {
    throw wrong(revision);
  }
}

/** Checksum of a commit that follows one with the checksum `before`. */
function sumOf(revision: number, text: string, data: Uint8Array | undefined, before: number): number {
  return crc32(data ?? NO_DATA, crc32(`${revision}:${text}`, before));
}

/** What is wrong with commits that follow one with a number and a checksum, up to `last`; undefined if nothing is. */
function faultOf(
  commits: readonly Redo[],
  number: number,
  last: number,
  sum: number,
): ChecksumError | undefined {
  for (const each of commits) {
    if (each.revision !== ++number) return lost();
    if (each.sum !== sumOf(number, each.text, each.data, sum)) return wrong(number);
    sum = each.sum;
  }
  return number === last ? undefined : lost();
}

/** @throws {ChecksumError} if something is wrong with them */
function check(...commits: Parameters<typeof faultOf>): void {
  const fault = faultOf(...commits);
  if (fault !== undefined) throw fault;
}

function wrong(revision: number): ChecksumError {
  return new ChecksumError(`the checksum of commit ${revision} is wrong`);
}

function lost(): ChecksumError {
  return new ChecksumError("rows of the last commits are missing or surplus");
}
