/**
 * A host file in transactions: the host is loaded once and kept, what other processes commit is taken over, a commit
 * writes the rows and pages that it changed. docs/host-file.md describes the format.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Json } from "../../base/json.ts";
import { Host } from "../host.ts";
import { FORMAT } from "../state/migrations.ts";
import { compareStates, type Comparison } from "./comparison.ts";
import { isBusy, isEmpty, openDatabase } from "./database.ts";
import { errorCode, LOCK_TIMEOUT_MS } from "./host_path.ts";
import { HostTables } from "./host_tables.ts";
import type { HostStore, PagePlace, StoreFormat } from "./host_store.ts";
import { isOwned, OwnedError, OwnerLock } from "./owner.ts";
import { markChanged } from "./page_store.ts";

/** Tries of beginning a transaction that writes before SQLite waits for others by itself, and what lies between them. */
const QUICK_TRIES = 100;
const QUICK_PAUSE_MS = 0.1;
const NOTHING = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/**
 * After so many commits SQLite's log is copied into the database, and written anew from its beginning: a log that grows
 * costs half as much again for each commit. SQLite by itself does so after 1000 pages, which are as many small commits.
 */
const COMMITS_OF_A_LOG = 100;

/** An open host file. */
export class FileStore implements HostStore {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #tables: HostTables;
  /** The host as of the last transaction. */
  #host: Host | undefined = undefined;
  #hostVersion = 0;
  /** Asked often by those who wait, so it is prepared once. */
  #askVersion: StatementSync | undefined = undefined;
  readonly #statements = new Map<string, StatementSync>();
  #comparison: Comparison | undefined = undefined;
  /** Held while this process has the host for itself. */
  #lock: OwnerLock | undefined = undefined;
  #ownVersion = 0;
  #commits = 0;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
    this.#tables = new HostTables(path, db);
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
      store.#tables.guard(() => prepare(store));
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  begin(mode: "read" | "write"): Host {
    if (this.#lock !== undefined) return this.#host!;
    this.#tables.guard(() => mode === "read" ? this.#run("BEGIN") : this.#beginWriting());
    try {
      const version = this.version;
      const isSame = this.#host !== undefined && version === this.#hostVersion;
      // Whoever takes the host for itself commits that.
      if ((!isSame || this.#tables.isOlder) && isOwned(this.path)) throw new OwnedError(this.path);
      const host = isSame ? this.#host! : this.#load();
      this.#host = host;
      this.#hostVersion = version;
      host.begin();
      return host;
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  /** Two processes at work on one host meet here all the time, and each is done soon: SQLite's own pauses are longer. */
  #beginWriting(): void {
    this.#run("PRAGMA busy_timeout = 0");
    try {
      for (let tries = 1; tries < QUICK_TRIES; tries++) {
        try {
          return this.#run("BEGIN IMMEDIATE");
        } catch (error) {
          if (!isBusy(error)) throw error;
        }
        Atomics.wait(NOTHING, 0, 0, QUICK_PAUSE_MS);
      }
    } finally {
      this.#run(`PRAGMA busy_timeout = ${LOCK_TIMEOUT_MS}`);
    }
    this.#run("BEGIN IMMEDIATE");
  }

  /** The host as others have left it. */
  #load(): Host {
    const before = this.#host;
    this.#host = undefined;
    const isGood = before !== undefined && this.#tables.refresh(before);
    const host = isGood ? before : this.#tables.load();
    if (isGood) this.#comparison?.refreshed(host, this.#tables.load());
    this.#comparison = compareStates();
    this.#comparison?.start(host, (guest, address) => this.#tables.page(guest, address));
    return host;
  }

  commit(host: Host): void {
    if (this.#lock !== undefined) return this.#commitOwned(host);
    try {
      this.#tables.guard(() => {
        this.#tables.save(host);
        this.#comparison?.commit(host);
        this.#run("COMMIT");
      });
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.#tables.settle();
    host.settle();
    if (++this.#commits % COMMITS_OF_A_LOG === 0) this.#shortenLog();
  }

  /** What was committed stays where it is if that fails; the next one may have more luck. */
  #shortenLog(): void {
    try {
      this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
    }
  }

  /**
   * Takes the host for this process: until {@linkcode disown} it lives in memory, each transaction begins with it as it
   * is, and what is undone stays.
   */
  own(note: string): string | undefined {
    let isBegun = false;
    try {
      this.begin("write");
      isBegun = true;
      this.#lock = OwnerLock.take(this.path, note);
      this.#tables.guard(() => {
        this.#tables.announce();
        this.#run("COMMIT");
      });
      return this.#lock.folder;
    } catch (error) {
      this.#lock?.[Symbol.dispose]();
      this.#lock = undefined;
      if (isBegun) this.rollback();
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
    const [before, saved] = [this.#tables.manifest, host.withoutPrograms()];
    try {
      this.#tables.guard(() => {
        this.#run("BEGIN IMMEDIATE");
        if (this.#tables.saveOwned(host, saved)) this.touched();
        this.#run("COMMIT");
      });
    } catch (error) {
      this.#tables.forget(before);
      this.#endTransaction();
      throw error;
    }
    this.#tables.settle();
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
    this.#tables.forget();
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
    return this.#tables.guard(() => {
      this.#askVersion ??= this.#db.prepare("PRAGMA data_version");
      return Number(this.#askVersion.get()?.["data_version"]);
    });
  }

  reset(): void {
    const { topology } = this.begin("write");
    this.replace(Host.create(topology), this.#tables.created);
  }

  /** Replaces everything by a host that was never stored. Inside a write transaction, which it ends. */
  replace(host: Host, created = FORMAT): void {
    try {
      this.#tables.guard(() => {
        this.#tables.replace(host, created);
        this.#db.exec("COMMIT");
      });
    } finally {
      this.#abandon();
    }
  }

  /** As {@linkcode replace}, outside of a transaction. */
  overwrite(host: Host): void {
    this.#db.exec("BEGIN IMMEDIATE");
    this.#tables.continueNumbers();
    this.replace(host);
  }

  get format(): StoreFormat {
    return { now: this.#tables.format, created: this.#tables.created };
  }

  pagePlaces(): readonly PagePlace[] {
    return this.#tables.pagePlaces();
  }

  damages(progress?: (pages: number) => void): string[] {
    return this.#tables.damages(progress);
  }

  rows(): ReadonlyMap<string, Json> {
    return this.#tables.rows();
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Makes an empty database a host file. @returns false if somebody else has done so meanwhile */
  initialize(host: Host): boolean {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const empty = this.#tables.initialize(host);
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
    this.#tables.checkFormat();
  }

  /** Runs a statement that is run again and again. */
  #run(sql: string): void {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    statement.run();
  }
}
