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

/**
 * Tries of beginning a transaction that writes: the first follow each other at once, for a look of another process takes
 * less than the shortest sleep; then come some after short pauses, and the others.
 */
const EAGER_TRIES = 30;
const QUICK_TRIES = 130;
const QUICK_PAUSE_MS = 0.1;
const SLOW_PAUSE_MS = 5;
const MOST_TRIES = QUICK_TRIES + LOCK_TIMEOUT_MS / SLOW_PAUSE_MS;
const NOTHING = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
/**
 * Commits that nothing was printed of yet: in the order in which they were made and each whole, but on the disk only when
 * a later one is forced there. A log that is emptied seldom needs to be forced seldom. Pages.
 */
const UNFORCED = "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4096";
const FORCED = "PRAGMA synchronous = FULL";

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
  /** What is committed now is forced to the disk. */
  #isForced = true;
  /** Something was committed that was not. */
  #isBehind = false;
  #commits = 0;
  /** As the database was opened. */
  #isPatient = true;

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

  begin(mode: "read" | "write", { forced = true } = {}): Host {
    if (this.#lock !== undefined) return this.#host!;
    this.#tables.guard(() => {
      this.#bePatient(mode === "read");
      if (mode === "read") this.#run("BEGIN");
      else this.#beginWriting(forced);
    });
    try {
      const version = this.#askedVersion();
      const isSame = this.#host !== undefined && version === this.#hostVersion;
      if (isSame && this.#tables.isOlder && isOwned(this.path)) throw new OwnedError(this.path);
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
  #beginWriting(isForced: boolean): void {
    if (isForced !== this.#isForced) this.#db.exec(isForced ? FORCED : UNFORCED);
    this.#isForced = isForced;
    for (let tries = 1;; tries++) {
      try {
        return this.#run("BEGIN IMMEDIATE");
      } catch (error) {
        if (!isBusy(error) || tries === MOST_TRIES) throw error;
      }
      if (tries > EAGER_TRIES) {
        Atomics.wait(NOTHING, 0, 0, tries < QUICK_TRIES ? QUICK_PAUSE_MS : SLOW_PAUSE_MS);
      }
    }
  }

  /** Whether SQLite waits by itself while others have what a statement needs. */
  #bePatient(patient: boolean): void {
    if (this.#isPatient === patient) return;
    // Not as a prepared statement: this counts when it is compiled, and not when it is run.
    this.#db.exec(`PRAGMA busy_timeout = ${patient ? LOCK_TIMEOUT_MS : 0}`);
    this.#isPatient = patient;
  }

  /** The host as others have left it. */
  #load(): Host {
    const before = this.#host;
    this.#host = undefined;
    const isGood = before !== undefined && this.#tables.refresh(before);
    // Whoever takes the host for itself commits that, and tells nothing of what it commits.
    if (!isGood && isOwned(this.path)) throw new OwnedError(this.path);
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
        // A commit that changes nothing forces nothing.
        if (this.#isForced && this.#isBehind) this.#tables.announce();
        this.#run("COMMIT");
      });
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.#isBehind = !this.#isForced;
    this.#tables.settle();
    host.settle();
    if (this.#isForced && ++this.#commits % COMMITS_OF_A_LOG === 0) this.#shortenLog();
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
        this.#bePatient(true);
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
    this.#tables.guard(() => this.#bePatient(true));
    return this.#askedVersion();
  }

  #askedVersion(): number {
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
