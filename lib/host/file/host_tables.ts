/**
 * What stands in the tables of a host file: a host is loaded from it, brought up to what others have committed, and
 * stored by what it changed. docs/host-file.md describes the format. All of it inside of transactions of file_store.ts.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Json } from "../../base/json.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { Host, type StateSource } from "../host.ts";
import { FORMAT, OLDEST_FORMAT } from "../state/migrations.ts";
import { splitRows } from "../state/rows.ts";
import type { Topology } from "../topology.ts";
import {
  APPLICATION_ID,
  applicationId,
  FORMAT_4,
  integrityFaults,
  isEmpty,
  notHost,
  SCHEMA,
} from "./database.ts";
import { documentsIn, documentsOf, FIRST_CUT } from "./documents.ts";
import { DamagedFileError, errorCode, explain, HostFileError, UnreadableStateError } from "./host_path.ts";
import type { PagePlace } from "./host_store.ts";
import { EMPTY, type Manifest, missingPages, missingRows, rangesOf } from "./manifest.ts";
import { isWritten, PageStore, type PageSum } from "./page_store.ts";
import { type Patch, type Redo, RedoLog, type RowChange } from "./redo.ts";
import { changeStates, ChecksumError, MANIFEST, NO_ROWS, RowStore, type RowSum } from "./row_store.ts";

/** More changes of memory are written into the table of pages at once. Bytes. */
const MOST_PATCHED = 2048;

/** The tables of an open host file. */
export class HostTables {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #rows: RowStore;
  readonly #pages: PageStore;
  readonly #redo: RedoLog;
  /** Memory that the open transaction changes, as the last commits tell it. */
  #patches: readonly Patch[] = [];
  /** What the tables add up to as of the last transaction. */
  #manifest: Manifest = EMPTY;
  /** Format of the rows as they stand in the file. */
  #format = FORMAT;
  #askFormat: StatementSync | undefined = undefined;

  constructor(path: string, db: DatabaseSync) {
    this.#path = path;
    this.#db = db;
    this.#rows = new RowStore(db);
    this.#pages = new PageStore(db);
    this.#redo = new RedoLog(db);
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
    const rows = this.#rows.load();
    const manifest = rows.get(MANIFEST) as unknown as Manifest | undefined;
    if (manifest === undefined || !rows.has("topology")) throw this.#damaged("rows are missing");
    rows.delete(MANIFEST);
    if (manifest.states !== rows.size) throw this.#damaged("rows are missing or surplus");
    this.#manifest = { ...EMPTY, ...manifest, created: manifest.created ?? OLDEST_FORMAT };
    this.#forgetRedo();
    if (this.#format >= FIRST_CUT) {
      const waiting = this.#redo.load(manifest.commits);
      this.#redone(waiting);
      for (const commit of waiting) changeStates(rows, commit.rows);
    }
    try {
      const documents = this.#documents(rows);
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
    const news = this.#redo.news();
    if (news === undefined) return false;
    for (const { rows } of news.missed) {
      if (!this.#rows.isInPlace(rows)) return false;
      for (const { key, json } of rows) if (!host.refresh(key, JSON.parse(json!) as Json)) return false;
      this.#rows.follow(rows);
    }
    if (news.isFolded) {
      const now = this.#rows.manifest() as unknown as Manifest | undefined;
      if (now === undefined || now.created !== this.#manifest.created) return false;
      this.#manifest = now;
      this.#forgetRedo();
    }
    this.#redone(news.waiting);
    for (const { ranges } of news.missed) {
      for (const [guest, address, length] of ranges) host.forgetPages(guest, address, length);
    }
    return true;
  }

  /** Commits that do not stand in the tables. */
  #redone(commits: readonly Redo[]): void {
    for (const commit of commits) {
      this.#rows.redo(commit.rows);
      this.#pages.redo(commit);
    }
  }

  /** Everything stands in the tables; `isOwn` if this process has written it there. */
  #forgetRedo(isOwn = false): void {
    this.#rows.forgetRedo();
    this.#pages.forgetRedo(isOwn);
  }

  /** The documents that rows hold; lists in them are read when somebody looks at them. @throws {HostFileError} */
  #documents(rows: ReadonlyMap<string, Json>): Map<string, Json> {
    const members = (list: string) => this.guard(() => this.#rows.members(list));
    return documentsIn(rows, this.#format, members, (reason) => this.#damaged(reason));
  }

  /** Writes what changed since the transaction began: as a small commit, or into the tables. */
  save(host: Host): void {
    host.tidy();
    if (this.#format !== FORMAT) return this.#bringUp(host);
    const rows = this.#rows.changes((put) => host.writeRows(put));
    const patches = this.#pages.changes(host, MOST_PATCHED);
    if (rows.length === 0 && patches?.length === 0) return;
    if (patches !== undefined && this.#redo.append(rows, patches)) this.#patches = patches;
    else this.#fold(rows, (revision) => this.#pages.write(this.#manifest, host, "changed", revision));
  }

  /** Writes everything into the tables that does not stand there; others learn of `told`, or read the host anew. */
  #fold(told: readonly RowChange[] | undefined, writePages: (revision: number) => PageSum): void {
    const revision = this.#redo.head.revision + 1;
    const pages = writePages(revision);
    const rows = this.#rows.write(this.#manifest, revision);
    const commits = told === undefined
      ? this.#redo.reset(revision, rows.rowSum ^ pages.pageSum)
      : this.#redo.fold(told, rangesOf(this.#pages.written, PAGE_SIZE));
    this.#setManifest(revision, rows, pages, commits);
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
    const changes = this.#rows.changes((put) => splitRows(documentsOf(saved), put), true);
    if (changes.length === 0 && !isWritten(host) && !isWritten(saved)) return false;
    this.#fold(undefined, (revision) => {
      const own = this.#pages.write(this.#manifest, host, "written", revision);
      return saved === host ? own : this.#pages.write(own, saved, "written", revision);
    });
    return true;
  }

  #setManifest(revision: number, rows: RowSum, { pages, pageSum }: PageSum, commits: number): void {
    this.#manifest = {
      created: this.#manifest.created ?? OLDEST_FORMAT,
      revision,
      commits,
      ...rows,
      pages,
      pageSum,
    };
    this.#rows.writeManifest(this.#manifest);
  }

  /** Makes the file one of this format, if the transaction changed anything. */
  #bringUp(host: Host): void {
    let isChanged = this.#pages.changes(host, 0)?.length !== 0;
    host.writeRows(() => isChanged = true);
    if (!isChanged) return;
    this.#addTables();
    const revision = this.#manifest.revision + 1;
    const { pages, pageSum } = this.#pages.write(this.#manifest, host, "changed", revision);
    this.#saveAll(host, { ...this.#manifest, ...NO_ROWS, pages, pageSum });
  }

  /** The transaction is committed. */
  settle(): void {
    this.#rows.settle();
    this.#pages.settle(this.#patches);
    this.#patches = [];
    if (this.#redo.settle()) this.#forgetRedo(true);
  }

  /** The transaction has failed: what it wrote was not. `manifest` is that of the last one. */
  forget(manifest?: Manifest): void {
    for (const each of [this.#rows, this.#pages, this.#redo]) each.forget();
    this.#patches = [];
    if (manifest !== undefined) this.#manifest = manifest;
  }

  /** What all rows add up to. */
  get manifest(): Manifest {
    return this.#manifest;
  }

  /** Replaces everything by a host that was never stored. */
  replace(host: Host, created: number): void {
    const { revision } = this.#redo.head;
    this.guard(() => {
      this.#addTables();
      this.#pages.clear();
      this.#saveAll(host, { ...EMPTY, created, revision });
    });
  }

  /** Goes on with the numbers of the commits in the file, whatever is wrong with it otherwise. */
  continueNumbers(): void {
    if (this.#format >= FIRST_CUT) this.guard(() => this.#redo.continueNumbers());
  }

  /** Makes an empty database a host file. @returns false if somebody else has done so meanwhile */
  initialize(host: Host): boolean {
    if (!isEmpty(this.#db)) return false;
    this.#db.exec(SCHEMA);
    this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
    this.#saveAll(host, EMPTY);
    return true;
  }

  /** Tables that came after the format of the file. */
  #addTables(): void {
    if (this.#format < FIRST_CUT) this.#db.exec(FORMAT_4);
  }

  /** Writes all rows anew, and the pages of a host that was never stored. */
  #saveAll(host: Host, before: Manifest): void {
    if (this.#format !== FORMAT) this.#db.exec(`PRAGMA user_version = ${FORMAT}`);
    const revision = before.revision + 1;
    this.#rows.clear();
    this.#rows.changes((put) => splitRows(documentsOf(host), put));
    const rows = this.#rows.write(NO_ROWS, revision);
    const pages = host.isOpen ? before : this.#pages.write(before, host, "all", revision);
    this.#manifest = before;
    this.#setManifest(revision, rows, pages, this.#redo.reset(revision, rows.rowSum ^ pages.pageSum));
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
    const damages = integrityFaults(this.#db);
    try {
      this.guard(() => {
        damages.push(...missingPages(this.#manifest, this.#pages.count(progress)));
        if (this.#format < FIRST_CUT) return;
        this.#redo.check();
        damages.push(...missingRows(this.#manifest, this.#rows.count()));
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
      return this.#documents(rows);
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
