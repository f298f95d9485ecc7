/**
 * Who has a host file for itself: a process that runs programs on it holds the host in memory, and others ask it. It
 * holds a lock in a folder beside the file, in which others leave their questions; the system lets go of the lock when the process
 * ends, in whatever way.
 */
import { HostFileError } from "./host_path.ts";

/** What stands behind the name of the host file. */
const SUFFIX = ".exec";
const LOCK = "lock";
/** Somebody who looks whether the lock is held holds it for a moment. */
const TRIES = 200;
const PAUSE_MS = 2;

/** The folder of the owner of a host file. */
export function ownerFolder(path: string): string {
  return `${realPath(path)}${SUFFIX}`;
}

/** The host file belongs to a process that runs programs on it; ask that one. */
export class OwnedError extends HostFileError {
  constructor(readonly path: string) {
    super(`${path} is in use by an ism exec that was started meanwhile; try again`);
  }
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** True while a process has the host file for itself. What one that was killed has left is removed. */
export function isOwned(path: string): boolean {
  const folder = ownerFolder(path);
  if (!isThere(folder)) return false;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(`${folder}/${LOCK}`, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new HostFileError(`${path} is in use by an ism exec of another user, who alone may ask it`);
  }
  try {
    if (!file.tryLockSync(false)) return true;
    removeFolder(folder);
    return false;
  } finally {
    file.close();
  }
}

/** Removes a folder that nobody holds, unless somebody is about to. */
function removeFolder(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** The lock, held. */
export class OwnerLock implements Disposable {
  readonly folder: string;
  readonly #file: Deno.FsFile;

  private constructor(folder: string, file: Deno.FsFile) {
    this.folder = folder;
    this.#file = file;
  }

  /**
   * Takes the lock of a host file, inside of a transaction that writes, so that nobody else does at the same time.
   *
   * @param note what the lock file tells of its holder
   * @throws {HostFileError}
   */
  static take(path: string, note: string): OwnerLock {
    const folder = ownerFolder(path);
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
        const file = Deno.openSync(`${folder}/${LOCK}`, {
          read: true,
          write: true,
          create: true,
          mode: 0o600,
        });
        if (file.tryLockSync(true) && isSame(file, `${folder}/${LOCK}`)) {
          file.truncateSync();
          file.writeSync(new TextEncoder().encode(note));
          return new OwnerLock(folder, file);
        }
        file.close();
      } catch (error) {
        // Somebody has just removed what a process that was killed had left.
        if (error instanceof Deno.errors.NotFound) continue;
        if (!(error instanceof Error)) throw error;
        throw new HostFileError(
          `${folder} cannot be made, in which others would ask this exec: ${error.message}`,
        );
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
    throw new OwnedError(path);
  }

  [Symbol.dispose](): void {
    removeFolder(this.folder);
    this.#file.close();
  }
}

/** What the lock file of an owner tells of it; undefined if there is none. */
export function ownerNote(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(`${ownerFolder(path)}/${LOCK}`);
  } catch {
    return undefined;
  }
}

function isSame(file: Deno.FsFile, path: string): boolean {
  const { ino } = file.statSync();
  try {
    return Deno.statSync(path).ino === ino;
  } catch {
    return false;
  }
}
