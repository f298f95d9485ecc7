/** Files that the user names: reading data, writing results, and what to say when that fails. */
import { inputName } from "../language/streams.ts";
import { MAX_DATA_BYTES, mebibytes } from "../language/limits.ts";
import type { DataIo } from "../language/data.ts";
import { quoteText } from "../language/quote.ts";
import { FileError } from "../language/usage_error.ts";

const CHUNK_BYTES = 64 * 1024;

/** Errors of the operating system that have no class of their own in Deno. */
const CODE_TEXT: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  ELOOP: "its symbolic links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EFBIG: "it would be larger than a file may be",
  ENXIO: "it is a device or pipe that nobody is at",
};

/** A file as messages name it. */
function nameOf(path: string): string {
  return path === "-" ? "Standard input" : quoteText(path, 200);
}

/** Says in words why a file could not be used. */
export function fileError(path: string, error: unknown): FileError {
  const name = nameOf(path);
  if (error instanceof Deno.errors.NotFound) return new FileError(path, `${name} does not exist`);
  if (error instanceof Deno.errors.NotCapable) {
    return new FileError(
      path,
      `${name} may not be opened: Deno, which runs ism, keeps it to programs with every permission; use a pipe`,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new FileError(path, `${name} may not be opened: permission denied`);
  }
  if (error instanceof Deno.errors.IsADirectory) return new FileError(path, `${name} is a directory`);
  if (error instanceof Deno.errors.NotADirectory) {
    return new FileError(path, `${name} does not exist: a part of its path is not a directory`);
  }
  if (error instanceof Error) {
    const code = "code" in error ? String(error.code) : "";
    return new FileError(path, `${name} cannot be used: ${CODE_TEXT[code] ?? error.message}`);
  }
  throw error;
}

/** Says in words why a file could not be written: where it does not exist, it is its directory that is missing. */
export function outputError(path: string, error: unknown): FileError {
  const directory = split(path).directory;
  if (!(error instanceof Deno.errors.NotFound) || identityOf(directory) !== undefined) {
    return fileError(path, error);
  }
  return new FileError(
    path,
    `${nameOf(path)} cannot be written: the directory ${quoteText(directory, 200)} does not exist`,
  );
}

/** Creates the directory of a file, for this user only. @throws {FileError} */
export function createParent(path: string): void {
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (directory === "") return;
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(directory, error);
  }
}

const SEPARATORS = Deno.build.os === "windows" ? /[\\/]/ : /\//;

/** The directory of a path, "." for a name alone, and the name in it. */
function split(path: string): { readonly directory: string; readonly name: string } {
  const parts = path.split(SEPARATORS);
  const name = parts.at(-1)!;
  const directory = path.slice(0, path.length - name.length);
  if (directory === "") return { directory: ".", name };
  return { directory: directory.length === 1 ? directory : directory.slice(0, -1), name };
}

/** Where a file would be: its directory without links and dots, and its name. */
function placeOf(path: string): string {
  const { directory, name } = split(path);
  try {
    return `${Deno.realPathSync(directory)}/${name}`;
  } catch {
    return path;
  }
}

/** True if both names lead to one file, or would if it existed. */
export function isSameFile(one: string, other: string): boolean {
  try {
    const [a, b] = [Deno.statSync(one), Deno.statSync(other)];
    return a.ino !== null && a.ino === b.ino && a.dev === b.dev;
  } catch {
    return placeOf(one) === placeOf(other);
  }
}

/** Device and inode of a file; undefined if there is none that can be looked at. */
export function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    // Whoever opens the file says what is wrong with it.
    return undefined;
  }
}

/** Refuses to write results over the host file or what SQLite keeps beside it. @throws {FileError} */
export function checkOutput(path: string, hostPath: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    if (!isSameFile(path, hostPath + suffix)) continue;
    const what = suffix === "" ? "is the host file" : "belongs to the host file";
    throw new FileError(path, `${quoteText(path, 200)} ${what}; name another file`);
  }
}

/** Opens a file for reading. @throws {FileError} */
export function openInput(path: string): Deno.FsFile {
  try {
    const file = Deno.openSync(path, { read: true });
    if (!file.statSync().isDirectory) return file;
    file.close();
  } catch (error) {
    throw fileError(path, error);
  }
  throw new FileError(path, `${quoteText(path, 200)} is a directory`);
}

/** Reads up to `length` bytes, or all, from where the file stands. @throws {FileError} over `limit` bytes */
function readAll(
  path: string,
  file: { readSync(into: Uint8Array): number | null },
  limit: number,
  length = Infinity,
): Uint8Array {
  const chunks: Uint8Array[] = [];
  let total = 0;
  while (total < length) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length - total));
    const read = file.readSync(chunk);
    if (read === null || read === 0) break;
    chunks.push(chunk.subarray(0, read));
    total += read;
    if (total > limit) throw new FileError(path, `${nameOf(path)} has more than ${mebibytes(limit)}`);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Reads from a file, its length known before anything of it is in memory where it has one. @throws {FileError} */
function readFile(path: string, limit: number, offset: number, length: number | undefined): Uint8Array {
  const file = openInput(path);
  try {
    const { isFile, size } = file.statSync();
    if (isFile && Math.min(size - offset, length ?? Infinity) > limit) {
      throw new FileError(path, `${nameOf(path)} has more than ${mebibytes(limit)}`);
    }
    if (offset > 0) file.seekSync(offset, Deno.SeekMode.Start);
    return readAll(path, file, limit, length);
  } catch (error) {
    throw error instanceof FileError ? error : fileError(path, error);
  } finally {
    file.close();
  }
}

/** Reads standard input to its end. @throws {FileError} */
function readStdin(limit: number): Uint8Array {
  try {
    return readAll("-", Deno.stdin, limit);
  } catch (error) {
    throw error instanceof FileError ? error : fileError("-", error);
  }
}

/** The files and the standard input of this process. */
export const PROCESS_FILES: DataIo = filesWith(() => readStdin(MAX_DATA_BYTES));

function filesWith(stdin: () => Uint8Array): DataIo {
  return {
    readFile(path, offset, length) {
      if (inputName(path) !== "-") return readFile(path, MAX_DATA_BYTES, offset, length);
      return stdin().subarray(offset, length === undefined ? undefined : offset + length);
    },
    readStdin: stdin,
  };
}

/** Refuses standard input where the lines of the shell come from it. @throws {FileError} */
export function refuseStdin(): never {
  throw new FileError("-", "Standard input holds the lines of the shell; name a file, as file:PATH or PATH");
}

/** The files of this process, where standard input holds the lines that are run. */
export const FILES_WITHOUT_STDIN: DataIo = filesWith(refuseStdin);

/** A text of at most `limit` bytes. @throws {FileError} if it is longer, cannot be read or is not UTF-8 */
export function readText(path: string, limit: number): string {
  const bytes = path === "-" ? readStdin(limit) : readFile(path, limit, 0, undefined);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FileError(path, `${nameOf(path)} is not text in UTF-8`);
  }
}

/**
 * Writes a text file. What is there is replaced when everything is written, so that a full disk leaves the old file.
 *
 * @throws {FileError}
 */
export function writeText(path: string, text: string): void {
  const aside = `${path}.part`;
  try {
    if (!isReplaceable(path)) return Deno.writeTextFileSync(path, text);
    try {
      Deno.writeTextFileSync(aside, text, { createNew: true });
      Deno.renameSync(aside, path);
    } catch (error) {
      // Whatever else has that name is not ours to remove.
      if (!(error instanceof Deno.errors.AlreadyExists)) remove(aside);
      throw error;
    }
  } catch (error) {
    throw outputError(path, error);
  }
}

/** True for a name that is free or a regular file's own, so that another file can take its place. */
function isReplaceable(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
