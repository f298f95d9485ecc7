/**
 * What stands in the tables of a host file: a host is loaded from it, brought up to what others have committed, and
 * stored by what it changed. docs/host-file.md describes the format. All of it inside of transactions of file_store.ts.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Json } from "../../base/json.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { Host, type StateSource } from "../host.ts";
import { FORMAT, migrate, MigrationError, OLDEST_FORMAT } from "../state/migrations.ts";
import { joinRows, splitRows } from "../state/rows.ts";
import type { Topology } from "../topology.ts";
import { APPLICATION_ID, applicationId, FORMAT_4, isEmpty, notHost, SCHEMA } from "./database.ts";
import { DamagedFileError, errorCode, explain, HostFileError, UnreadableStateError } from "./host_path.ts";
import type { PagePlace } from "./host_store.ts";
import { type Commit, commitsSince, EMPTY, type Manifest, rangesOf, withCommit } from "./manifest.ts";
import { PageStore, type PageSum } from "./page_store.ts";
import { ChecksumError, MANIFEST, NO_ROWS, RowStore, type RowSum } from "./row_store.ts";

/** The first format whose rows are parts of documents. */
const FIRST_CUT = 4;

/** The tables of an open host file. */
export class HostTables {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #rows: RowStore;
  readonly #pages: PageStore;
  /** What the rows add up to as of the last transaction. */
  #manifest: Manifest = EMPTY;
  /** Format of the rows as they stand in the file. */
  #format = FORMAT;
  #askFormat: StatementSync | undefined = undefined;

  constructor(path: string, db: DatabaseSync) {
    this.#path = path;
    this.#db = db;
    this.#rows = new RowStore(db);
    this.#pages = new PageStore(db);
  }

  /** Format of the file as of the last transaction. */
  get format(): number {
    return this.#format;
  }

  /** The file is of an older format. */
  get isOlder(): boolean {
    return this.#format !== FORMAT;
  }

  /** Format that the file was created with. */
  get created(): number {
    return this.#manifest.created ?? OLDEST_FORMAT;
  }

  /** A stored page of a guest's memory. @throws {HostFileError} */
  page(guest: number, address: number): Uint8Array | undefined {
    return this.guard(() => this.#pages.load(guest, address));
  }

  /** Rebuilds the host. Lists and memory pages are read when they are touched. @throws {HostFileError} */
  load(): Host {
    this.guard(() => this.checkFormat());
    return this.guard(() => this.#load());
  }

  #load(): Host {
    this.#pages.forgetAll();
    const rows = this.#rows.load();
    const manifest = rows.get(MANIFEST) as unknown as Manifest | undefined;
    if (manifest === undefined || !rows.has("topology")) throw this.#damaged("rows are missing");
    rows.delete(MANIFEST);
    if (manifest.states !== rows.size) throw this.#damaged("rows are missing or surplus");
    this.#manifest = { ...EMPTY, ...manifest, created: manifest.created ?? OLDEST_FORMAT };
    try {
      const documents = this.#format < FIRST_CUT ? this.#migrated(rows) : this.#joined(rows);
      const source: StateSource = {
        get: (key) => documents.get(key),
        page: (guest, address) => this.page(guest, address),
      };
      return Host.restore(documents.get("topology") as unknown as Topology, source);
    } catch (error) {
      if (error instanceof HostFileError || error instanceof ChecksumError) throw error;
      // State is only ever written by this program: whatever is wrong with it, the file was damaged.
      throw new UnreadableStateError(this.#path, error);
    }
  }

  /**
   * Brings a loaded host up to what others have committed since: their commits tell which rows and pages those are.
   *
   * @returns false if that cannot be told, or not be done in place: then the host is of no use any more
   * @throws {HostFileError}
   */
  refresh(host: Host): boolean {
    return this.guard(() => this.#refresh(host));
  }

  #refresh(host: Host): boolean {
    this.#askFormat ??= this.#db.prepare("PRAGMA user_version");
    const format = Number(this.#askFormat.get()?.["user_version"]);
    if (format !== FORMAT || this.#format !== FORMAT) return false;
    const before = this.#manifest;
    const now = this.#rows.read(MANIFEST)?.value as unknown as Manifest | undefined;
    if (now === undefined) return false;
    const commits = commitsSince(before, now);
    if (commits === undefined) return false;
    let { rowSum } = before;
    for (const key of new Set(commits.flatMap(({ state }) => state))) {
      const row = this.#rows.read(key);
      if (row === undefined || !host.refresh(key, row.value)) return false;
      rowSum ^= row.changed;
    }
    // Another host may have come in the place of this one.
    if (rowSum >>> 0 !== now.rowSum || before.states !== now.states || before.members !== now.members) {
      return false;
    }
    for (const { pages } of commits) {
      for (const [guest, address, length] of pages) {
        host.forgetPages(guest, address, length);
        this.#pages.forget(guest, address, length);
      }
    }
    this.#manifest = now;
    return true;
  }

  /** The documents of rows of this format; their lists are read when somebody looks at them. */
  #joined(rows: ReadonlyMap<string, Json>): Map<string, Json> {
    const members = (list: string) => this.guard(() => this.#rows.members(list));
    return joinRows(rows, members, (reason) => this.#damaged(reason));
  }

  /** Documents of an older format in this one. @throws {HostFileError} if something in them is wrong */
  #migrated(documents: ReadonlyMap<string, Json>): Map<string, Json> {
    try {
      return migrate(documents, this.#format);
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      throw this.#damaged(
        `it has format ${this.#format}, and cannot be brought to ${FORMAT}: ${error.message}`,
      );
    }
  }

  /** Writes what changed since the transaction began. */
  save(host: Host): void {
    host.tidy();
    const before = this.#manifest;
    const revision = before.revision + 1;
    const pages = this.#pages.write(before, host, "changed", revision);
    if (this.#format !== FORMAT) return this.#bringUp(host, pages);
    const rows = this.#rows.write(before, (put) => host.writeRows(put), revision);
    if (rows === before && pages === before) return;
    const state = this.#rows.statesWritten();
    const ranges = rangesOf(this.#pages.written, PAGE_SIZE);
    this.#setManifest(rows, pages, state && { revision, state, pages: ranges });
  }

  /** Tells all others that something has changed: a commit that leaves everything as it is. */
  announce(): void {
    this.#db.exec(`PRAGMA user_version = ${this.#format}`);
  }

  /**
   * Writes what changed of a host that real programs use. `saved` is that host, or a copy in which they have ended.
   *
   * @returns false if nothing was to be written
   */
  saveOwned(host: Host, saved: Host): boolean {
    const before = this.#manifest;
    const revision = before.revision + 1;
    const own = this.#pages.write(before, host, "written", revision);
    const pages = saved === host ? own : this.#pages.write(own, saved, "written", revision);
    const rows = this.#rows.write(before, (put) => splitRows(documentsOf(saved), put), revision, true);
    if (rows === before && pages === before) return false;
    this.#setManifest(rows, pages, undefined);
    return true;
  }

  #setManifest(rows: RowSum, pages: PageSum, commit: Commit | undefined): void {
    this.#manifest = {
      created: this.#manifest.created ?? OLDEST_FORMAT,
      revision: this.#manifest.revision + 1,
      states: rows.states,
      members: rows.members,
      rowSum: rows.rowSum,
      removed: rows.removed,
      pages: pages.pages,
      pageSum: pages.pageSum,
      recent: withCommit(this.#manifest.recent ?? [], commit),
    };
    this.#rows.writeManifest(this.#manifest);
  }

  /** Makes the file one of this format, if the transaction changed anything. */
  #bringUp(host: Host, pages: PageSum): void {
    let isChanged = pages !== this.#manifest;
    host.writeRows(() => isChanged = true);
    if (!isChanged) return;
    this.#saveAll(host, { ...this.#manifest, ...NO_ROWS, pages: pages.pages, pageSum: pages.pageSum });
  }

  /** The transaction is committed. */
  settle(): void {
    this.#rows.settle();
  }

  /** The transaction has failed: what it wrote was not. `manifest` is that of the last one. */
  forget(manifest?: Manifest): void {
    this.#rows.forget();
    this.#pages.forgetAll();
    if (manifest !== undefined) this.#manifest = manifest;
  }

  /** What all rows add up to. */
  get manifest(): Manifest {
    return this.#manifest;
  }

  /** Replaces everything by a host that was never stored. */
  replace(host: Host, created: number): void {
    const { revision } = this.#manifest;
    this.guard(() => {
      this.#pages.clear();
      this.#saveAll(host, { ...EMPTY, created, revision });
    });
  }

  /** Goes on with the numbers of the commits in the file, whatever is wrong with it otherwise. */
  continueNumbers(): void {
    this.guard(() => {
      const row = this.#db.prepare("SELECT json FROM state WHERE key = ?").get(MANIFEST);
      const [, revision] = /"revision":(\d+)/.exec(String(row?.["json"])) ?? [];
      if (revision !== undefined) this.#manifest = { ...this.#manifest, revision: Number(revision) };
    });
  }

  /** Makes an empty database a host file. @returns false if somebody else has done so meanwhile */
  initialize(host: Host): boolean {
    if (!isEmpty(this.#db)) return false;
    this.#db.exec(SCHEMA);
    this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
    this.#saveAll(host, EMPTY);
    return true;
  }

  /** Writes all rows anew, and the pages of a host that was never stored. */
  #saveAll(host: Host, before: Manifest): void {
    if (this.#format < FIRST_CUT) this.#db.exec(FORMAT_4);
    if (this.#format !== FORMAT) this.#db.exec(`PRAGMA user_version = ${FORMAT}`);
    this.#rows.clear();
    const rows = this.#rows.write(NO_ROWS, (put) => splitRows(documentsOf(host), put), before.revision + 1);
    const { pages, pageSum } = host.isOpen
      ? before
      : this.#pages.write(before, host, "all", before.revision + 1);
    const created = before.created ?? OLDEST_FORMAT;
    this.#manifest = { created, revision: before.revision + 1, ...rows, pages, pageSum };
    this.#rows.writeManifest(this.#manifest);
    this.#format = FORMAT;
  }

  #damaged(reason: string): HostFileError {
    return new DamagedFileError(`${this.#path} is damaged: ${reason}`);
  }

  /** Where pages are that are stored. */
  pagePlaces(): readonly PagePlace[] {
    return this.guard(() => this.#pages.places());
  }

  /** What the checksums say of everything that is stored; no line if all is well. */
  damages(progress: (pages: number) => void = () => {}): string[] {
    const damages = this.#db.prepare("PRAGMA integrity_check").all()
      .map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
    try {
      this.guard(() => {
        const { states, members, rowSum, pages, pageSum } = this.#manifest;
        const found = this.#pages.count(progress);
        if (found.pages !== pages || found.pageSum !== pageSum) {
          damages.push(`Memory pages are missing or surplus: ${found.pages} are there, ${pages} were stored`);
        }
        if (this.#format < FIRST_CUT) return;
        const rows = this.#rows.count();
        if (rows.states === states && rows.members === members && rows.rowSum === rowSum) return;
        const there = rows.states + rows.members;
        damages.push(
          `Rows of state are missing or surplus: ${there} are there, ${states + members} were stored`,
        );
      });
    } catch (error) {
      if (!(error instanceof HostFileError)) throw error;
      damages.push(error.message);
    }
    return damages;
  }

  /** All state as documents by key, in this format. @throws {HostFileError} */
  rows(): ReadonlyMap<string, Json> {
    return this.guard(() => {
      const rows = this.#rows.states();
      rows.delete(MANIFEST);
      if (this.#format < FIRST_CUT) return this.#migrated(rows);
      return this.#joined(rows);
    });
  }

  /** @throws {HostFileError} if it is no host file, or one of a format that this program does not read */
  checkFormat(): void {
    if (applicationId(this.#db) !== APPLICATION_ID) throw notHost(this.#path);
    const format = Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (format > FORMAT) {
      throw new HostFileError(
        `${this.#path} has format ${format}, this ism knows formats up to ${FORMAT}; use a newer ism`,
      );
    }
    if (format < OLDEST_FORMAT) throw this.#damaged(`it has format ${format}`);
    this.#format = format;
  }

  /** Turns what SQLite and the checksums say into sentences. */
  guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (error instanceof ChecksumError) throw this.#damaged(error.message);
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
      throw explain(this.#path, (error as Error).message);
    }
  }
}

/** All state of a host, the topology among it. */
function documentsOf(host: Host): Map<string, Json> {
  return new Map([["topology", host.topology as unknown as Json], ...host.save()]);
}
