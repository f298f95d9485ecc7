/**
 * A host file in transactions: the host is loaded once and kept while no other process commits, a commit writes the
 * rows and pages that it changed. docs/host-file.md describes the format.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Json } from "../../base/json.ts";
import { Host, type StateSource } from "../host.ts";
import { FORMAT, migrate, MigrationError, OLDEST_FORMAT } from "../state/migrations.ts";
import { joinRows, splitRows } from "../state/rows.ts";
import type { Topology } from "../topology.ts";
import { compareStates, type Comparison } from "./comparison.ts";
import {
  APPLICATION_ID,
  applicationId,
  isEmpty,
  MEMBERS,
  notHost,
  openDatabase,
  SCHEMA,
} from "./database.ts";
import { DamagedFileError, errorCode, explain, HostFileError, UnreadableStateError } from "./host_path.ts";
import type { HostStore, PagePlace, StoreFormat } from "./host_store.ts";
import { isOwned, OwnedError, OwnerLock } from "./owner.ts";
import { markChanged, NO_PAGES, PageStore, type PageSum } from "./page_store.ts";
import { ChecksumError, MANIFEST, NO_ROWS, RowStore, type RowSum } from "./row_store.ts";

/** What all rows of a host file add up to, so that a lost row shows. */
interface Manifest extends RowSum, PageSum {
  /** Format that the file was created with; files of format 1 do not say. */
  readonly created?: number;
}

const EMPTY: Manifest = { created: FORMAT, ...NO_ROWS, ...NO_PAGES };
/** The first format whose rows are parts of documents. */
const FIRST_CUT = 4;

/** An open host file. */
export class FileStore implements HostStore {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #rows: RowStore;
  readonly #pages: PageStore;
  #manifest: Manifest = EMPTY;
  /** Format of the rows as they stand in the file. */
  #format = FORMAT;
  /** The host as of the last transaction, good while no other connection commits. */
  #host: Host | undefined = undefined;
  #hostVersion = 0;
  /** Asked often by those who wait, so it is prepared once. */
  #askVersion: StatementSync | undefined = undefined;
  #comparison: Comparison | undefined = undefined;
  /** Held while this process has the host for itself. */
  #lock: OwnerLock | undefined = undefined;
  #ownVersion = 0;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
    this.#rows = new RowStore(db);
    this.#pages = new PageStore(db);
  }

  /**
   * Opens the database at `target`, which the user knows as `path`, and prepares it; closes it again if that fails.
   *
   * @param empty whether it may be one that nobody has made a host file yet @throws {HostFileError}
   */
  static using(
    path: string,
    target: string,
    prepare: (store: FileStore) => void,
    { empty } = { empty: true },
  ): FileStore {
    const store = new FileStore(path, openDatabase(path, target, { empty }));
    try {
      store.#guard(() => prepare(store));
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  begin(mode: "read" | "write"): Host {
    if (this.#lock !== undefined) return this.#host!;
    this.#guard(() => this.#db.exec(mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE"));
    try {
      if (isOwned(this.path)) throw new OwnedError(this.path);
      const version = this.version;
      if (this.#host === undefined || version !== this.#hostVersion) {
        this.#host = undefined;
        this.#guard(() => this.checkFormat());
        this.#host = this.#guard(() => this.#load());
        this.#comparison = compareStates();
        this.#comparison?.start(this.#host, (guest, address) => this.#pages.load(guest, address));
      }
      this.#hostVersion = version;
      this.#host.begin();
      return this.#host;
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  commit(host: Host): void {
    if (this.#lock !== undefined) return this.#commitOwned(host);
    try {
      this.#guard(() => {
        this.#save(host);
        this.#comparison?.commit(host);
        this.#db.exec("COMMIT");
      });
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.#rows.settle();
    host.settle();
  }

  /**
   * Takes the host for this process: until {@linkcode disown} it lives in memory, each transaction begins with it as it
   * is, and what is undone stays.
   */
  own(note: string): string | undefined {
    try {
      this.begin("write");
      this.#lock = OwnerLock.take(this.path, note);
      this.#endTransaction();
      return this.#lock.folder;
    } catch (error) {
      if (error instanceof OwnedError) return undefined;
      throw error;
    }
  }

  get isOwner(): boolean {
    return this.#lock !== undefined;
  }

  disown(): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
    this.#host = undefined;
  }

  touched = (): void => void this.#ownVersion++;

  /** What real programs have open lives on nowhere: in the file they were killed, so that all of it is compared. */
  #commitOwned(host: Host): void {
    const [before, saved] = [this.#manifest, host.withoutPrograms()];
    try {
      this.#guard(() => {
        this.#db.exec("BEGIN IMMEDIATE");
        const own = this.#pages.write(before, host, "changed");
        const pages = saved === host ? own : this.#pages.write(own, saved, "changed");
        const rows = this.#rows.write(before, (put) => splitRows(documentsOf(saved), put), true);
        if (rows !== before || pages !== before) {
          this.#setManifest(rows, pages);
          this.touched();
        }
        this.#db.exec("COMMIT");
      });
    } catch (error) {
      this.#manifest = before;
      this.#rows.forget();
      this.#endTransaction();
      throw error;
    }
    this.#rows.settle();
    host.settle();
    host.begin();
    if (saved !== host) markChanged(host, saved);
  }

  rollback(): void {
    // What is undone of a host that programs use stays.
    if (this.#lock !== undefined) return;
    this.#endTransaction();
    this.#host?.revert();
    if (this.#host !== undefined) this.#comparison?.rollback(this.#host);
  }

  /** Ends a transaction after an error: the host is loaded anew by the next one. */
  #abandon(): void {
    this.#host = undefined;
    this.#rows.forget();
    this.#endTransaction();
  }

  #endTransaction(): void {
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself.
    }
  }

  get version(): number {
    if (this.#lock !== undefined) return this.#ownVersion;
    return this.#guard(() => {
      this.#askVersion ??= this.#db.prepare("PRAGMA data_version");
      return Number(this.#askVersion.get()?.["data_version"]);
    });
  }

  reset(): void {
    const { topology } = this.begin("write");
    this.replace(Host.create(topology), this.format.created);
  }

  /** Replaces everything by a host that was never stored. Inside a write transaction, which it ends. */
  replace(host: Host, created = FORMAT): void {
    try {
      this.#guard(() => {
        this.#pages.clear();
        this.#saveAll(host, { ...EMPTY, created });
        this.#db.exec("COMMIT");
      });
    } finally {
      this.#abandon();
    }
  }

  /** As {@linkcode replace}, outside of a transaction. */
  overwrite(host: Host): void {
    this.#db.exec("BEGIN IMMEDIATE");
    this.replace(host);
  }

  get format(): StoreFormat {
    return { now: this.#format, created: this.#manifest.created ?? OLDEST_FORMAT };
  }

  pagePlaces(): readonly PagePlace[] {
    return this.#guard(() => this.#pages.places());
  }

  damages(progress: (pages: number) => void = () => {}): string[] {
    const damages = this.#db.prepare("PRAGMA integrity_check").all()
      .map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
    try {
      this.#guard(() => {
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

  rows(): ReadonlyMap<string, Json> {
    return this.#guard(() => {
      const rows = this.#rows.states();
      rows.delete(MANIFEST);
      if (this.#format < FIRST_CUT) return this.#migrated(rows);
      return this.#joined(rows);
    });
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Rebuilds the host. Lists and memory pages are read when they are touched. */
  #load(): Host {
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
        page: (guest, address) => this.#guard(() => this.#pages.load(guest, address)),
      };
      return Host.restore(documents.get("topology") as unknown as Topology, source);
    } catch (error) {
      if (error instanceof HostFileError || error instanceof ChecksumError) throw error;
      // State is only ever written by this program: whatever is wrong with it, the file was damaged.
      throw new UnreadableStateError(this.path, error);
    }
  }

  /** The documents of rows of this format; their lists are read when somebody looks at them. */
  #joined(rows: ReadonlyMap<string, Json>): Map<string, Json> {
    const members = (list: string) => this.#guard(() => this.#rows.members(list));
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

  /** Writes what changed since the transaction began. Inside of it. */
  #save(host: Host): void {
    host.tidy();
    const before = this.#manifest;
    const pages = this.#pages.write(before, host, "changed");
    if (this.#format !== FORMAT) return this.#bringUp(host, pages);
    const rows = this.#rows.write(before, (put) => host.writeRows(put));
    if (rows !== before || pages !== before) this.#setManifest(rows, pages);
  }

  #setManifest(rows: RowSum, pages: PageSum): void {
    this.#manifest = {
      created: this.#manifest.created ?? OLDEST_FORMAT,
      states: rows.states,
      members: rows.members,
      rowSum: rows.rowSum,
      pages: pages.pages,
      pageSum: pages.pageSum,
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

  /** Writes all rows anew, and the pages of a host that was never stored. */
  #saveAll(host: Host, before: Manifest): void {
    if (this.#format < FIRST_CUT) this.#db.exec(MEMBERS);
    if (this.#format !== FORMAT) this.#db.exec(`PRAGMA user_version = ${FORMAT}`);
    this.#rows.clear();
    const rows = this.#rows.write(NO_ROWS, (put) => splitRows(documentsOf(host), put));
    const { pages, pageSum } = host.isOpen ? before : this.#pages.write(before, host, "all");
    this.#manifest = { ...rows, pages, pageSum, created: before.created ?? OLDEST_FORMAT };
    this.#rows.writeManifest(this.#manifest);
    this.#format = FORMAT;
  }

  #damaged(reason: string): HostFileError {
    return new DamagedFileError(`${this.path} is damaged: ${reason}`);
  }

  /** Makes an empty database a host file. @returns false if somebody else has done so meanwhile */
  initialize(host: Host): boolean {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const empty = isEmpty(this.#db);
      if (empty) {
        this.#db.exec(SCHEMA);
        this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
        this.#saveAll(host, EMPTY);
      }
      this.#db.exec("COMMIT");
      return empty;
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  /** Nobody has made the database a host file yet. */
  get isEmpty(): boolean {
    return isEmpty(this.#db);
  }

  /** @throws {HostFileError} if it is no host file, or one of a format that this program does not read */
  checkFormat(): void {
    if (applicationId(this.#db) !== APPLICATION_ID) throw notHost(this.path);
    const format = Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (format > FORMAT) {
      throw new HostFileError(
        `${this.path} has format ${format}, this ism knows formats up to ${FORMAT}; use a newer ism`,
      );
    }
    if (format < OLDEST_FORMAT) throw this.#damaged(`it has format ${format}`);
    this.#format = format;
  }

  /** Turns what SQLite and the checksums say into sentences. */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (error instanceof ChecksumError) throw this.#damaged(error.message);
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
      throw explain(this.path, (error as Error).message);
    }
  }
}

/** All state of a host, the topology among it. */
function documentsOf(host: Host): Map<string, Json> {
  return new Map([["topology", host.topology as unknown as Json], ...host.save()]);
}
