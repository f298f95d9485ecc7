/**
 * The host file as a name in a file system: what may be one, and what to say when it cannot be used. Nothing but
 * a regular file is ever opened, and nothing is overwritten that SQLite has not put beside it.
 */

/** How long a command waits for another one that holds the file. Milliseconds. */
export const LOCK_TIMEOUT_MS = 5000;

/** What SQLite keeps beside a database, and the first bytes by which it knows them (sqlite.org/fileformat2.html). */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  "-wal": ["377f0682", "377f0683"],
  "-shm": ["18e22d00", "002de218"],
  "-journal": ["d9d505f9"],
};
const MAGIC_BYTES = 4;

/** The host file could not be used: missing, damaged, newer, locked, not writable. */
export class HostFileError extends Error {
  override readonly name = "HostFileError";
}

/** The host file holds what this program cannot have written. */
export class DamagedFileError extends HostFileError {
  constructor(message: string) {
    super(`${message}; restore a copy, or replace it with "ism host create --force"`);
  }
}

/** Rows of state that were stored whole and are no host: somebody edited them. */
export class UnreadableStateError extends DamagedFileError {
  /** @param cause what making a host of them ended with */
  constructor(path: string, cause: unknown) {
    const isSentence = cause instanceof Error && !NO_SENTENCES.has(cause.constructor);
    const what = isSentence ? cause.message : "no host can be made of its state";
    super(`${path} is damaged: ${what}`);
  }
}

/** Errors of the engine, which say nothing to a user. */
const NO_SENTENCES: ReadonlySet<unknown> = new Set([TypeError, RangeError, SyntaxError, ReferenceError]);

const CODE_TEXT: Readonly<Record<string, string>> = {
  ENOENT: "its directory does not exist",
  ENOTDIR: "a part of its path is not a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  EISDIR: "it is a directory",
  EBUSY: "the system uses it, perhaps as a mount point",
  ELOOP: "its symbolic links lead in a circle",
  ENAMETOOLONG: "its name is too long",
};

/** Longer names are cut in messages. */
const SHOWN_NAME = 200;

function shorten(path: string): string {
  return path.length > SHOWN_NAME ? `${path.slice(0, SHOWN_NAME)}…` : path;
}

/** The code of an error of the operating system or of SQLite. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  return "code" in error ? String(error.code) : error.message;
}

function codeText(error: unknown): string {
  // Deno keeps programs away from some devices and from /proc.
  if (error instanceof Error && error.name === "NotCapable") return "permission denied";
  const code = errorCode(error);
  return CODE_TEXT[code] ?? code;
}

/**
 * Where a host file is, symbolic links followed, and how long it is. Undefined if there is none.
 *
 * @throws {HostFileError} if something is there that cannot be a host file
 */
export function findFile(path: string): { readonly path: string; readonly size: number } | undefined {
  try {
    const link = Deno.lstatSync(path).isSymlink;
    const target = link ? realTarget(path) : path;
    const found = Deno.statSync(target);
    if (!found.isFile) {
      const what = found.isDirectory ? "a directory" : "a device, pipe or socket";
      throw new HostFileError(`${path} is ${what} and cannot be a host file; name a file`);
    }
    for (const suffix of Object.keys(BESIDE)) checkBeside(target + suffix);
    return { path: target, size: found.size };
  } catch (error) {
    if (error instanceof HostFileError) throw error;
    if (errorCode(error) === "ENOENT") return undefined;
    throw new HostFileError(`${shorten(path)} cannot be used: ${codeText(error)}`);
  }
}

function realTarget(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw new HostFileError(`${path} is a symbolic link that leads nowhere; remove it or name another file`);
  }
}

/** What lies under a name, symbolic links not followed; undefined if nothing does. */
function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Removes a file; one that is not there is no failure. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Refuses a name beside the host file that leads to somewhere else, where SQLite would write. @throws {HostFileError} */
function checkBeside(path: string): void {
  const found = lookAt(path);
  if (found === undefined || (found.isFile && found.nlink === 1)) return;
  throw new HostFileError(
    `${path} is in the way: it is ${
      found.isSymlink ? "a symbolic link" : found.isFile ? "a hard link" : "no regular file"
    }, and SQLite would write there; remove it`,
  );
}

/**
 * Refuses to create a host file beside files of those names that SQLite did not write, as it would overwrite them.
 *
 * @throws {HostFileError}
 */
function checkLeftovers(path: string): void {
  for (const [suffix, magics] of Object.entries(BESIDE)) {
    checkBeside(path + suffix);
    const found = lookAt(path + suffix);
    if (found === undefined || found.size === 0) continue;
    const first = firstBytes(path + suffix);
    if (magics.includes(first) || /^0*$/.test(first)) continue;
    throw new HostFileError(
      `${path}${suffix} is in the way: SQLite would overwrite it; move it or name another host file`,
    );
  }
}

function firstBytes(path: string): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(MAGIC_BYTES);
  return bytes.subarray(0, file.readSync(bytes) ?? 0).toHex();
}

/**
 * Creates the file before SQLite would, which would make it readable by all.
 *
 * @param flags `ax` if it may not exist, `a` if it does not matter
 * @throws {HostFileError}
 */
export function createFile(path: string, flags: "a" | "ax"): void {
  try {
    checkLeftovers(path);
    const opening = { write: true, create: true, createNew: flags === "ax", mode: 0o600 };
    Deno.openSync(path, opening).close();
  } catch (error) {
    if (error instanceof HostFileError) throw error;
    throw new HostFileError(
      errorCode(error) === "EEXIST"
        ? `${path} exists already; use --force to replace it`
        : `${shorten(path)} cannot be created: ${codeText(error)}`,
    );
  }
}

/** Removes a host file, what SQLite keeps beside it, and the symbolic link that led to it. @throws {HostFileError} */
export function removeFile(path: string, target: string): void {
  try {
    Deno.removeSync(target);
    for (const suffix of Object.keys(BESIDE)) removeIfThere(target + suffix);
    if (path !== target) removeIfThere(path);
  } catch (error) {
    throw new HostFileError(`${path} cannot be deleted: ${codeText(error)}`);
  }
}

/** Turns a message of SQLite into an error that says what to do. */
export function explain(path: string, message: string): HostFileError {
  if (/malformed|corrupt|no such (table|column)/.test(message)) {
    return new DamagedFileError(`${path} is damaged: ${message}`);
  }
  return new HostFileError(explainOther(path, message));
}

function explainOther(path: string, message: string): string {
  if (/locked|busy/.test(message)) {
    return `${path} is in use by another ism for more than ${
      LOCK_TIMEOUT_MS / 1000
    } seconds; wait for it to end and try again`;
  }
  if (/not a database/.test(message)) return `${path} is not a host file of ism; name another file`;
  if (/readonly/.test(message)) {
    return `${path} may not be written: the file or its directory is read-only; copy it to where you may write`;
  }
  if (/unable to open/.test(message)) return explainUnopened(path);
  if (/disk I\/O/.test(message)) {
    return `${path} cannot be used: the disk is full or does not work (${message})`;
  }
  if (/full/.test(message)) return `${path} cannot be written: the disk is full; make room and try again`;
  return `${path} cannot be used: ${message}`;
}

function explainUnopened(path: string): string {
  try {
    Deno.openSync(path).close();
  } catch (error) {
    return `${path} cannot be opened: ${codeText(error)}`;
  }
  return `${path} cannot be opened: SQLite writes ${path}-wal and ${path}-shm beside it, so the directory must be ` +
    "writable and have room; copy the file to such a directory";
}
