/**
 * The host file: one SQLite database with a host's topology, its state as JSON by key, and its memory by page.
 * This and database.ts are the only places that know SQLite. docs/host-file.md describes the format.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Json } from "../../base/json.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { Host, type StateSource } from "../host.ts";
import {
  checksum,
  EMPTY,
  MANIFEST,
  type Manifest,
  markChanged,
  pageChecksum,
  pageDamages,
  type StoredPage,
} from "./checksums.ts";
import {
  APPLICATION_ID,
  applicationId,
  changesOf,
  existsAlready,
  identify,
  isEmpty,
  isHost,
  MEMORY_HOST,
  notAFile,
  notHost,
  openDatabase,
  SCHEMA,
} from "./database.ts";
import {
  createFile,
  DamagedFileError,
  errorCode,
  explain,
  findFile,
  HostFileError,
  removeFile,
  UnreadableStateError,
} from "./host_path.ts";
import { isOwned, OwnedError, OwnerLock } from "./owner.ts";
import { FORMAT, migrate, MigrationError, OLDEST_FORMAT } from "../state/migrations.ts";
import { parseTopology, type Topology } from "../topology.ts";

export { MEMORY_HOST } from "./database.ts";
export { HostFileError } from "./host_path.ts";

/** An open host file. */
export class HostStore implements Disposable {
  readonly path: string;
  readonly #db: DatabaseSync;
  /** JSON text by key as it stands in the file, so that only changes are written. */
  readonly #stored = new Map<string, string>();
  #manifest: Manifest = EMPTY;
  /** Format of the rows as they stand in the file. */
  #format = FORMAT;
  /** The host as of the last transaction, good while no other connection commits. */
  #host: Host | undefined = undefined;
  #hostVersion = 0;
  /** Held while this process has the host for itself. */
  #lock: OwnerLock | undefined = undefined;
  #ownVersion = 0;
  /** Asked often by those who wait, so it is prepared once. */
  #askVersion: StatementSync | undefined = undefined;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  /** Opens a host file that exists. @throws {HostFileError} */
  static open(path: string): HostStore {
    if (path === MEMORY_HOST) throw notAFile(path);
    const file = findFile(path);
    if (file === undefined) {
      throw new HostFileError(`There is no host file ${path}; create one with "ism host create"`);
    }
    return HostStore.#using(path, file.path, (store) => store.#checkFormat(), { empty: false });
  }

  /**
   * Opens a host file, and creates it with a freshly booted host if it is missing or empty. Of several processes
   * that do so at once one creates it; the others wait and find it.
   *
   * @throws {HostFileError}
   */
  static openOrCreate(path: string, topology: Topology): HostStore {
    const file = findFile(path);
    if (file === undefined) createFile(path, "a");
    return HostStore.#using(path, file?.path ?? path, (store) => {
      if (isEmpty(store.#db)) store.#initialize(Host.create(topology));
      store.#checkFormat();
    });
  }

  /**
   * Creates a host file with a freshly booted host, or with one that was made elsewhere. With `force` it replaces what
   * an existing one holds, in one transaction, so that a failure leaves the old one.
   *
   * @throws {HostFileError} if the file exists and not `force`
   */
  static create(path: string, source: Topology | Host, { force = false } = {}): HostStore {
    const host = source instanceof Host ? source : Host.create(source);
    const target = path === MEMORY_HOST ? path : findFile(path)?.path ?? path;
    const isThere = path !== MEMORY_HOST && findFile(target) !== undefined;
    if (isThere && identify(path, target) === "host") {
      if (!force) throw existsAlready(path);
      return HostStore.#overwrite(path, target, host);
    }
    // An empty file is what a creation leaves that was killed.
    if (!isThere && path !== MEMORY_HOST) createFile(target, "ax");
    try {
      return HostStore.#using(path, target, (store) => {
        if (!store.#initialize(host)) throw existsAlready(path);
      });
    } catch (error) {
      if (!isThere && path !== MEMORY_HOST && !isHost(path, target)) removeFile(path, target);
      throw error;
    }
  }

  /** Refuses what {@linkcode create} would refuse because of what is there, and does nothing. @throws {HostFileError} */
  static checkCreate(path: string, { force = false } = {}): void {
    const file = path === MEMORY_HOST ? undefined : findFile(path);
    if (file !== undefined && identify(path, file.path) === "host" && !force) throw existsAlready(path);
  }

  /** Replaces what a host file holds; a damaged one is removed first. @throws {HostFileError} */
  static #overwrite(path: string, target: string, host: Host): HostStore {
    try {
      return HostStore.#using(path, target, (store) => {
        store.#checkFormat();
        store.#db.exec("BEGIN IMMEDIATE");
        store.#replace(host);
      });
    } catch (error) {
      if (!(error instanceof DamagedFileError)) throw error;
      removeFile(target, target);
      return HostStore.create(path, host);
    }
  }

  /** Removes a host file and what SQLite keeps beside it. @throws {HostFileError} */
  static delete(path: string): void {
    if (path === MEMORY_HOST) throw notAFile(path);
    const file = findFile(path);
    if (file === undefined) throw new HostFileError(`There is no host file ${path}`);
    // Nothing but a host file is ever deleted, and none that a newer program wrote.
    HostStore.open(path).close();
    removeFile(path, file.path);
  }

  /** Opens the database, prepares it, and closes it again if that fails. */
  static #using(
    path: string,
    target: string,
    prepare: (store: HostStore) => void,
    { empty } = { empty: true },
  ): HostStore {
    const store = new HostStore(path, openDatabase(path, target, { empty }));
    try {
      store.#guard(() => prepare(store));
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /**
   * Begins a transaction and gives the host in the file; {@linkcode commit} or {@linkcode rollback} ends it.
   * A `"read"` transaction never waits for writers and is always rolled back. A host of an older format is brought
   * to this one in memory, and with the commit in the file.
   *
   * @throws {HostFileError} if the file stays locked or cannot be read
   */
  begin(mode: "read" | "write"): Host {
    if (this.#lock !== undefined) return this.#host!;
    this.#guard(() => this.#db.exec(mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE"));
    try {
      if (this.path !== MEMORY_HOST && isOwned(this.path)) throw new OwnedError(this.path);
      const version = this.version;
      if (this.#host === undefined || version !== this.#hostVersion) {
        this.#guard(() => this.#checkFormat());
        this.#host = this.#guard(() => this.#load());
      }
      this.#hostVersion = version;
      return this.#host;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Writes what changed and commits. @throws {HostFileError}, nothing written */
  commit(host: Host): void {
    try {
      this.#guard(() => {
        if (this.#lock !== undefined) this.#db.exec("BEGIN IMMEDIATE");
        const before = changesOf(this.#db);
        this.#save(host);
        // One row, what all of them add up to, is written in any case.
        if (changesOf(this.#db) > before + 1) this.#ownVersion++;
        this.#db.exec("COMMIT");
      });
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Takes the host for this process: until {@linkcode disown} it lives in memory, each transaction begins with it as it
   * is, and what is undone stays.
   *
   * @param note what others find of the owner
   * @returns the folder in which others ask; undefined if another process has it
   * @throws {HostFileError}
   */
  own(note: string): string | undefined {
    try {
      const host = this.begin("write");
      this.#lock = OwnerLock.take(this.path, note);
      this.#db.exec("ROLLBACK");
      this.#host = host;
      return this.#lock.folder;
    } catch (error) {
      if (error instanceof OwnedError) return undefined;
      throw error;
    }
  }

  /** This process has the host for itself. */
  get isOwner(): boolean {
    return this.#lock !== undefined;
  }

  /** Others may have the host again, as the last commit left it. */
  disown(): void {
    this.#lock?.[Symbol.dispose]();
    this.#lock = undefined;
    this.#host = undefined;
  }

  /** Programs did something, which those who wait should look at. */
  touched = (): void => void this.#ownVersion++;

  /** Ends a transaction without a trace; `unchanged` says that nothing touched the host. */
  rollback({ unchanged = false } = {}): void {
    if (this.#lock !== undefined && !this.#db.isTransaction) return;
    if (!unchanged && this.#lock === undefined) this.#host = undefined;
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself.
    }
  }

  /** Changes when another connection commits. */
  get version(): number {
    if (this.#lock !== undefined) return this.#ownVersion;
    return this.#guard(() => {
      this.#askVersion ??= this.#db.prepare("PRAGMA data_version");
      return Number(this.#askVersion.get()?.["data_version"]);
    });
  }

  /** Replaces everything by a freshly booted host of the same topology. @throws {HostFileError} */
  reset(): void {
    const { topology } = this.begin("write");
    this.#replace(Host.create(topology), this.format.created);
  }

  /** Inside a transaction, which it ends. */
  #replace(host: Host, created = FORMAT): void {
    try {
      this.#guard(() => {
        this.#db.exec("DELETE FROM state; DELETE FROM page");
        this.#stored.clear();
        this.#manifest = { ...EMPTY, created };
        this.#save(host);
        this.#db.exec("COMMIT");
      });
      this.#host = undefined;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** The format of the file, and the one that it was created with, as of the last {@linkcode begin}. */
  get format(): { readonly now: number; readonly created: number } {
    return { now: this.#format, created: this.#manifest.created ?? OLDEST_FORMAT };
  }

  /** Where pages are stored, inside a transaction; pages that were written in it may be missing. */
  pagePlaces(): readonly { readonly guest: number; readonly address: number }[] {
    const rows = this.#guard(() => this.#db.prepare("SELECT guest, address FROM page").all());
    return rows.map((row) => ({ guest: Number(row["guest"]), address: Number(row["address"]) }));
  }

  /** All pages by guest and address, inside a transaction. @throws {HostFileError} if one is damaged */
  *pages(): Generator<StoredPage> {
    const rows = this.#db.prepare("SELECT guest, address, data, sum FROM page ORDER BY guest, address").all();
    for (const row of rows) {
      const [guest, address] = [Number(row["guest"]), Number(row["address"])];
      const data = row["data"] as Uint8Array;
      this.#checkPage(guest, address, data, row["sum"]);
      yield { guest, address, data };
    }
  }

  /**
   * What SQLite and the checksums say of the whole file; no line if all is well. Inside a transaction.
   *
   * @param progress is told how many memory pages have been looked at
   */
  damages(progress: (pages: number) => void = () => {}): string[] {
    const damages = this.#db.prepare("PRAGMA integrity_check").all()
      .map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
    return [...damages, ...pageDamages(this.pages(), this.#manifest, progress)];
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Rebuilds the host. Memory pages are read when they are touched. */
  #load(): Host {
    this.#stored.clear();
    for (const row of this.#db.prepare("SELECT key, json, sum FROM state").all()) {
      const [key, json] = [String(row["key"]), String(row["json"])];
      if (row["sum"] !== checksum(key, json)) throw this.#damaged(`the checksum of ${key} is wrong`);
      this.#stored.set(key, json);
    }
    const manifest = this.#stored.get(MANIFEST);
    if (manifest === undefined || !this.#stored.has("topology")) throw this.#damaged("rows are missing");
    this.#stored.delete(MANIFEST);
    const page = this.#db.prepare("SELECT data, sum FROM page WHERE guest = ? AND address = ?");
    const source: StateSource = {
      get: (key) => migrated === undefined ? parse(this.#stored.get(key)) : migrated.get(key),
      page: (guest, address) => {
        const row = this.#guard(() => page.get(guest, address));
        if (row === undefined) return undefined;
        const data = row["data"] as Uint8Array;
        this.#checkPage(guest, address, data, row["sum"]);
        return data;
      },
    };
    let migrated: ReadonlyMap<string, Json> | undefined;
    try {
      this.#manifest = JSON.parse(manifest) as Manifest;
      if (this.#manifest.states !== this.#stored.size) throw this.#damaged("rows are missing or surplus");
      if (this.#format !== FORMAT) migrated = this.rows();
      return Host.restore(parseTopology(source.get("topology")), source);
    } catch (error) {
      if (error instanceof HostFileError) throw error;
      // State is only ever written by this program: whatever is wrong with it, the file was damaged.
      throw new UnreadableStateError(this.path, error);
    }
  }

  /** Every row of state as it was loaded, in this format. @throws {HostFileError} if it has an older one that is wrong */
  rows(): ReadonlyMap<string, Json> {
    const rows = new Map([...this.#stored].map(([key, json]) => [key, parse(json)!]));
    try {
      return migrate(rows, this.#format);
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      throw this.#damaged(
        `it has format ${this.#format}, and cannot be brought to ${FORMAT}: ${error.message}`,
      );
    }
  }

  /** Writes what changed since the host was loaded or saved. Inside a transaction. */
  #save(host: Host): void {
    // What real programs have open lives on nowhere: in the file they were killed.
    const saved = host.withoutPrograms();
    let pages = this.#savePages(host, this.#manifest);
    if (saved !== host) {
      markChanged(host, saved);
      pages = this.#savePages(saved, pages);
    }
    const put = this.#db.prepare(
      "INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json, sum = excluded.sum",
    );
    const write = (key: string, json: string) => put.run(key, json, checksum(key, json));
    const state = new Map<string, unknown>([["topology", saved.topology], ...saved.save()]);
    for (const [key, value] of state) {
      const json = JSON.stringify(value);
      if (this.#stored.get(key) === json) continue;
      write(key, json);
      this.#stored.set(key, json);
    }
    for (const key of this.#stored.keys()) {
      if (state.has(key)) continue;
      this.#db.prepare("DELETE FROM state WHERE key = ?").run(key);
      this.#stored.delete(key);
    }
    const created = this.#manifest.created ?? OLDEST_FORMAT;
    this.#manifest = { created, states: this.#stored.size, ...pages };
    write(MANIFEST, JSON.stringify(this.#manifest));
    if (this.#format !== FORMAT) this.#db.exec(`PRAGMA user_version = ${FORMAT}`);
    this.#format = FORMAT;
  }

  /** Writes dirty pages and removes those of freed memory; what all pages add up to then. */
  #savePages(
    host: Host,
    before: { readonly pages: number; readonly pageSum: number },
  ): { pages: number; pageSum: number } {
    let { pages, pageSum } = before;
    const old = this.#db.prepare("SELECT sum FROM page WHERE guest = ? AND address = ?");
    const range = this.#db.prepare("SELECT sum FROM page WHERE guest = ? AND address >= ? AND address < ?");
    const remove = this.#db.prepare("DELETE FROM page WHERE guest = ? AND address >= ? AND address < ?");
    const put = this.#db.prepare(
      "INSERT INTO page VALUES (?, ?, ?, ?) ON CONFLICT (guest, address) DO UPDATE SET data = excluded.data, sum = excluded.sum",
    );
    for (const { index, partition: { storage } } of host.guests) {
      for (const { address, size } of storage.takeFreed()) {
        for (const row of range.all(index, address, address + size)) {
          pages--;
          pageSum ^= Number(row["sum"]);
        }
        remove.run(index, address, address + size);
      }
      for (const buffer of storage.buffers) {
        for (const offset of buffer.dirtyPages()) {
          const address = buffer.address + offset;
          const data = buffer.touch(offset, PAGE_SIZE, false).subarray(offset, offset + PAGE_SIZE);
          const sum = pageChecksum(index, address, data);
          const stored = old.get(index, address);
          if (stored === undefined) pages++;
          pageSum ^= Number(stored?.["sum"] ?? 0) ^ sum;
          put.run(index, address, data, sum);
        }
        buffer.clean();
      }
    }
    return { pages, pageSum: pageSum >>> 0 };
  }

  #checkPage(guest: number, address: number, data: Uint8Array, sum: unknown): void {
    if (data.length === PAGE_SIZE && sum === pageChecksum(guest, address, data)) return;
    throw this.#damaged(`the checksum of memory page 0x${address.toString(16)} of guest ${guest} is wrong`);
  }

  #damaged(reason: string): HostFileError {
    return new DamagedFileError(`${this.path} is damaged: ${reason}`);
  }

  /** Makes an empty database a host file. @returns false if somebody else has done so meanwhile */
  #initialize(host: Host): boolean {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const empty = isEmpty(this.#db);
      if (empty) {
        this.#db.exec(SCHEMA);
        this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
        this.#save(host);
      }
      this.#db.exec("COMMIT");
      return empty;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  #checkFormat(): void {
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

  /** Turns SQLite's errors into sentences. */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
      throw explain(this.path, (error as Error).message);
    }
  }
}

function parse(json: string | undefined): Json | undefined {
  return json === undefined ? undefined : JSON.parse(json) as Json;
}
