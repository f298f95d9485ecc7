/**
 * The database that a host file is: opening it without touching anything else's, and its tables.
 * docs/host-file.md describes the format.
 */
import { DatabaseSync } from "node:sqlite";
import { errorCode, explain, HostFileError, LOCK_TIMEOUT_MS } from "./host_path.ts";

/** "ISMh" in the database header: this is a host file. */
export const APPLICATION_ID = 0x49534d68;
/** What came with format 4: lists, what the last commits changed, and which commit wrote a row. */
export const FORMAT_4 = `
CREATE TABLE redo (revision INTEGER PRIMARY KEY, json TEXT NOT NULL, data BLOB, sum INTEGER NOT NULL) STRICT;
CREATE TABLE member (
  list TEXT NOT NULL, id INTEGER NOT NULL, json TEXT NOT NULL, sum INTEGER NOT NULL,
  revision INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (list, id)
) STRICT, WITHOUT ROWID;
ALTER TABLE state ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE page ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
`;
/** The tables of a host file. */
export const SCHEMA = `
CREATE TABLE state (key TEXT PRIMARY KEY, json TEXT NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE page (
  guest INTEGER NOT NULL, address INTEGER NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL,
  PRIMARY KEY (guest, address)
) STRICT, WITHOUT ROWID;
${FORMAT_4}
`;

/** Opens a database. */
function open(target: string): DatabaseSync {
  return new DatabaseSync(target, { timeout: LOCK_TIMEOUT_MS });
}

/** Another connection has what an operation needs. */
export function isBusy(error: unknown): boolean {
  return errorCode(error) === "ERR_SQLITE_ERROR" && /locked|busy/.test((error as Error).message);
}

/** The error for something that is no host file. */
export function notHost(path: string): HostFileError {
  return new HostFileError(`${path} is not a host file of ism; name another file`);
}

/** The identity in the header of a database. */
export function applicationId(db: DatabaseSync): unknown {
  return db.prepare("PRAGMA application_id").get()?.["application_id"];
}

/** No table, no identity: nobody has made it a host file yet. */
export function isEmpty(db: DatabaseSync): boolean {
  return db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0 && applicationId(db) === 0;
}

/** Tells a host file from an empty one. @throws {HostFileError} for anything else */
function kindOf(path: string, db: DatabaseSync): "host" | "empty" {
  if (applicationId(db) === APPLICATION_ID) return "host";
  if (isEmpty(db)) return "empty";
  // Another process may have made it one between the two looks.
  if (applicationId(db) === APPLICATION_ID) return "host";
  throw notHost(path);
}

/** Tells a host file from an empty one without changing it. @throws {HostFileError} for anything else */
export function identify(path: string, target: string): "host" | "empty" {
  let db: DatabaseSync | undefined;
  try {
    db = open(target);
    return kindOf(path, db);
  } catch (error) {
    if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
    throw explain(path, (error as Error).message);
  } finally {
    db?.close();
  }
}

/** The error for an empty file where a host file is needed. */
export function emptyFile(path: string): HostFileError {
  return new HostFileError(
    `${path} is empty and not a host file of ism; "ism host create" makes it one, or name another file`,
  );
}

/** Tries of switching to WAL, which SQLite does not wait for by itself. */
const WAL_TRIES = 250;
const WAL_PAUSE_MS = LOCK_TIMEOUT_MS / WAL_TRIES;

/**
 * Opens the database at `target`, which the user knows as `path`.
 *
 * @param empty whether it may be one that nobody has made a host file yet
 * @throws {HostFileError} for anything else, before any setting of somebody else's database is changed
 */
export function openDatabase(
  path: string,
  target: string,
  { empty }: { readonly empty: boolean },
): DatabaseSync {
  let db: DatabaseSync | undefined;
  for (let tries = 1;; tries++) {
    try {
      db ??= open(target);
      if (kindOf(path, db) === "empty" && !empty) throw emptyFile(path);
      // WAL lets readers go on while a command commits; FULL makes a commit survive a power failure.
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      return db;
    } catch (error) {
      if (isBusy(error) && tries < WAL_TRIES) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAL_PAUSE_MS);
        continue;
      }
      db?.close();
      if (errorCode(error) !== "ERR_SQLITE_ERROR") throw error;
      throw explain(path, (error as Error).message);
    }
  }
}

/** True if it is a host file by now, made by another process. */
export function isHost(path: string, target: string): boolean {
  try {
    return identify(path, target) === "host";
  } catch (error) {
    // On a full disk SQLite cannot even look.
    if (error instanceof HostFileError) return false;
    throw error;
  }
}

/** The error for a host in memory where a file is needed. */
export function notAFile(path: string): HostFileError {
  return new HostFileError(`${path} is no file; it is gone when the process ends`);
}

/** The error for a file that is there already. */
export function existsAlready(path: string): HostFileError {
  return new HostFileError(`${path} exists already; use --force to replace it`);
}

/** What SQLite finds wrong with a database; no line if all is well. */
export function integrityFaults(db: DatabaseSync): string[] {
  return db.prepare("PRAGMA integrity_check").all()
    .map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
}
