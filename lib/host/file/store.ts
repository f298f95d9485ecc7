/** Where hosts are kept: opening, creating, replacing and deleting host files, and hosts in memory. */
import { Host } from "../host.ts";
import type { Topology } from "../topology.ts";
import { existsAlready, identify, isHost, notAFile } from "./database.ts";
import { FileStore } from "./file_store.ts";
import { createFile, DamagedFileError, findFile, HostFileError, removeFile } from "./host_path.ts";
import { type HostStore as Store, MEMORY_HOST } from "./host_store.ts";
import { MemoryStore } from "./memory_store.ts";

export { HostFileError } from "./host_path.ts";
export { MEMORY_HOST } from "./host_store.ts";

/** An open host. */
export type HostStore = Store;

/** Opens a host file that exists. @throws {HostFileError} */
function open(path: string): HostStore {
  if (path === MEMORY_HOST) throw notAFile(path);
  const file = findFile(path);
  if (file === undefined) {
    throw new HostFileError(`There is no host file ${path}; create one with "ism host create"`);
  }
  return FileStore.using(path, file.path, (store) => store.checkFormat(), { empty: false });
}

/**
 * Opens a host file, and creates it with a freshly booted host if it is missing or empty. Of several processes
 * that do so at once one creates it; the others wait and find it.
 *
 * @throws {HostFileError}
 */
function openOrCreate(path: string, topology: Topology): HostStore {
  const file = findFile(path);
  if (file === undefined) createFile(path, "a");
  return FileStore.using(path, file?.path ?? path, (store) => {
    if (store.isEmpty) store.initialize(Host.create(topology));
    store.checkFormat();
  });
}

/**
 * Creates a host file with a freshly booted host, or with one that was made elsewhere. With `force` it replaces what
 * an existing one holds, in one transaction, so that a failure leaves the old one.
 *
 * @throws {HostFileError} if the file exists and not `force`
 */
function create(path: string, source: Topology | Host, { force = false } = {}): HostStore {
  const host = source instanceof Host ? source : Host.create(source);
  if (path === MEMORY_HOST) return new MemoryStore(host);
  const target = findFile(path)?.path ?? path;
  const isThere = findFile(target) !== undefined;
  if (isThere && identify(path, target) === "host") {
    if (!force) throw existsAlready(path);
    return overwrite(path, target, host);
  }
  // An empty file is what a creation leaves that was killed.
  if (!isThere) createFile(target, "ax");
  try {
    return FileStore.using(path, target, (store) => {
      if (!store.initialize(host)) throw existsAlready(path);
    });
  } catch (error) {
    if (!isThere && !isHost(path, target)) removeFile(path, target);
    throw error;
  }
}

/** Refuses what {@linkcode create} would refuse because of what is there, and does nothing. @throws {HostFileError} */
function checkCreate(path: string, { force = false } = {}): void {
  const file = path === MEMORY_HOST ? undefined : findFile(path);
  if (file !== undefined && identify(path, file.path) === "host" && !force) throw existsAlready(path);
}

/** Replaces what a host file holds; a damaged one is removed first. @throws {HostFileError} */
function overwrite(path: string, target: string, host: Host): HostStore {
  try {
    return FileStore.using(path, target, (store) => {
      store.checkFormat();
      store.overwrite(host);
    });
  } catch (error) {
    if (!(error instanceof DamagedFileError)) throw error;
    removeFile(target, target);
    return create(path, host);
  }
}

/** Removes a host file and what SQLite keeps beside it. @throws {HostFileError} */
function remove(path: string): void {
  if (path === MEMORY_HOST) throw notAFile(path);
  const file = findFile(path);
  if (file === undefined) throw new HostFileError(`There is no host file ${path}`);
  // Nothing but a host file is ever deleted, and none that a newer program wrote.
  open(path).close();
  removeFile(path, file.path);
}

/** What can be done with the place of a host. */
export const HostStore = { open, openOrCreate, create, checkCreate, delete: remove } as const;
