/**
 * The host file: one SQLite database with a host's topology, its state as JSON by key, and its memory by page.
 * This is the only place that knows SQLite.
 */
import { DatabaseSync } from "node:sqlite";
import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import type { Json } from "../base/json.ts";
import { PAGE_SIZE } from "../zpci/storage.ts";
import { Host, type StateSource } from "./host.ts";
import { parseTopology, type Topology } from "./topology.ts";

/** "ISMh" in the database header: this is a host file. */
const APPLICATION_ID = 0x49534d68;
/** Version of the schema below. */
const FORMAT = 1;
/** How long a command waits for another one that holds the file. Milliseconds. */
export const LOCK_TIMEOUT_MS = 5000;
/** A host that lives as long as the process. */
export const MEMORY_HOST = ":memory:";

const SCHEMA = `
CREATE TABLE state (key TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE page (
  guest INTEGER NOT NULL, address INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (guest, address)
) STRICT, WITHOUT ROWID;
`;

/** The host file could not be used: missing, damaged, newer, locked, not writable. */
export class HostFileError extends Error {
  override readonly name = "HostFileError";
}

/** An open host file. */
export class HostStore implements Disposable {
  readonly path: string;
  readonly #db: DatabaseSync;
  /** JSON text by key as it stands in the file, so that only changes are written. */
  readonly #stored = new Map<string, string>();
  /** The host as of the last transaction, good while no other connection commits. */
  #host: Host | undefined = undefined;
  #hostVersion = 0;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  /** Opens a host file that exists. @throws {HostFileError} */
  static open(path: string): HostStore {
    if (path !== MEMORY_HOST && !existsSync(path)) {
      throw new HostFileError(`There is no host file ${path}; create one with "ism host create"`);
    }
    const store = new HostStore(path, openDatabase(path));
    try {
      store.#guard(() => store.#checkFormat());
    } catch (error) {
      store.close();
      throw error;
    }
    return store;
  }

  /** Creates a host file with a freshly booted host. @throws {HostFileError} if the file exists and not `force` */
  static create(path: string, topology: Topology, { force = false } = {}): HostStore {
    if (path !== MEMORY_HOST) {
      if (force) HostStore.delete(path, { missing: "ignore" });
      try {
        // The database inherits this mode; SQLite itself would create it readable by all.
        closeSync(openSync(path, "wx", 0o600));
      } catch (error) {
        throw new HostFileError(
          errorCode(error) === "EEXIST"
            ? `${path} exists already; use --force to replace it`
            : `${path} cannot be created: ${errorCode(error)}`,
        );
      }
    }
    const store = new HostStore(path, openDatabase(path));
    store.#guard(() => {
      store.#db.exec("BEGIN IMMEDIATE");
      store.#db.exec(SCHEMA);
      store.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
      store.#save(Host.create(topology));
      store.#db.exec("COMMIT");
    });
    return store;
  }

  /** Removes a host file and what SQLite keeps beside it. @throws {HostFileError} */
  static delete(path: string, { missing = "refuse" }: { missing?: "refuse" | "ignore" } = {}): void {
    if (!existsSync(path)) {
      if (missing === "ignore") return;
      throw new HostFileError(`There is no host file ${path}`);
    }
    // Nothing but a host file is ever deleted.
    HostStore.open(path).close();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  }

  /**
   * Begins a transaction and gives the host in the file; {@linkcode commit} or {@linkcode rollback} ends it.
   * A `"read"` transaction never waits for writers and is always rolled back.
   *
   * @throws {HostFileError} if the file stays locked or cannot be read
   */
  begin(mode: "read" | "write"): Host {
    this.#guard(() => this.#db.exec(mode === "read" ? "BEGIN" : "BEGIN IMMEDIATE"));
    try {
      const version = this.version;
      if (this.#host === undefined || version !== this.#hostVersion) {
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
        this.#save(host);
        this.#db.exec("COMMIT");
      });
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /** Ends a transaction without a trace; `unchanged` says that nothing touched the host. */
  rollback({ unchanged = false } = {}): void {
    if (!unchanged) this.#host = undefined;
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself.
    }
  }

  /** Changes when another connection commits. */
  get version(): number {
    return this.#guard(() => Number(this.#db.prepare("PRAGMA data_version").get()?.["data_version"]));
  }

  /** The topology in the file. */
  topology(): Topology {
    const json = this.#guard(() => this.#row("topology"));
    if (json === undefined) throw new HostFileError(`${this.path} is damaged: it has no topology`);
    return parseTopology(JSON.parse(json));
  }

  /** Rebuilds the host. Memory pages are read when they are touched. */
  #load(): Host {
    this.#stored.clear();
    for (const row of this.#db.prepare("SELECT key, json FROM state").all()) {
      this.#stored.set(String(row["key"]), String(row["json"]));
    }
    const topology = this.#stored.get("topology");
    if (topology === undefined) throw new HostFileError(`${this.path} is damaged: it has no topology`);
    const page = this.#db.prepare("SELECT data FROM page WHERE guest = ? AND address = ?");
    const source: StateSource = {
      get: (key) => {
        const json = this.#stored.get(key);
        return json === undefined ? undefined : JSON.parse(json) as Json;
      },
      page: (guest, address) => page.get(guest, address)?.["data"] as Uint8Array | undefined,
    };
    try {
      return Host.restore(parseTopology(JSON.parse(topology)), source);
    } catch (error) {
      if (error instanceof HostFileError) throw error;
      // State is only ever written by this program: whatever is wrong with it, the file was damaged.
      const reason = error instanceof Error ? error.message : String(error);
      throw new HostFileError(`${this.path} is damaged: ${reason}`, { cause: error });
    }
  }

  /** Writes what changed since the host was loaded or saved. Inside a transaction. */
  #save(host: Host): void {
    const put = this.#db.prepare(
      "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json",
    );
    const state = new Map<string, unknown>([["topology", host.topology], ...host.save()]);
    for (const [key, value] of state) {
      const json = JSON.stringify(value);
      if (this.#stored.get(key) === json) continue;
      put.run(key, json);
      this.#stored.set(key, json);
    }
    this.#savePages(host);
  }

  #savePages(host: Host): void {
    const put = this.#db.prepare(
      "INSERT INTO page VALUES (?, ?, ?) ON CONFLICT (guest, address) DO UPDATE SET data = excluded.data",
    );
    const remove = this.#db.prepare("DELETE FROM page WHERE guest = ? AND address >= ? AND address < ?");
    for (const { index, partition: { storage } } of host.guests) {
      for (const { address, size } of storage.takeFreed()) remove.run(index, address, address + size);
      for (const buffer of storage.buffers) {
        for (const offset of buffer.dirtyPages()) {
          const bytes = buffer.touch(offset, PAGE_SIZE, false);
          put.run(index, buffer.address + offset, bytes.subarray(offset, offset + PAGE_SIZE));
        }
        buffer.clean();
      }
    }
  }

  /** Replaces all state by that of the same topology, freshly booted. @throws {HostFileError} */
  reset(): void {
    this.#guard(() => this.#db.exec("BEGIN IMMEDIATE"));
    try {
      const topology = this.topology();
      this.#guard(() => {
        this.#db.exec("DELETE FROM state; DELETE FROM page");
        this.#stored.clear();
        this.#save(Host.create(topology));
        this.#db.exec("COMMIT");
      });
      this.#host = undefined;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  close(): void {
    this.#db.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #row(key: string): string | undefined {
    return this.#db.prepare("SELECT json FROM state WHERE key = ?").get(key)?.["json"] as string | undefined;
  }

  #checkFormat(): void {
    const id = this.#db.prepare("PRAGMA application_id").get()?.["application_id"];
    if (id !== APPLICATION_ID) throw new HostFileError(`${this.path} is not a host file of ism`);
    const format = Number(this.#db.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (format > FORMAT) {
      throw new HostFileError(
        `${this.path} has format ${format}, this ism knows formats up to ${FORMAT}; use a newer ism`,
      );
    }
  }

  /** Turns SQLite's errors into sentences. */
  #guard<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
      throw new HostFileError(explain(this.path, (error as Error).message));
    }
  }
}

function openDatabase(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
    // WAL lets readers go on while a command commits; FULL makes a commit survive a power failure.
    if (path !== MEMORY_HOST) db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    return db;
  } catch (error) {
    if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
    throw new HostFileError(explain(path, (error as Error).message));
  }
}

function explain(path: string, message: string): string {
  if (/locked|busy/.test(message)) {
    return `${path} is in use by another ism for more than ${LOCK_TIMEOUT_MS / 1000} seconds`;
  }
  if (/not a database/.test(message)) return `${path} is not a host file of ism`;
  if (/malformed|corrupt|no such (table|column)/.test(message)) return `${path} is damaged: ${message}`;
  return `${path} cannot be used: ${message}`;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
