/** Files that the user names: reading data, writing results, and what to say when that fails. */
import { inputName } from "../language/streams.ts";
import { MAX_DATA_BYTES, mebibytes } from "../language/limits.ts";
import type { DataIo } from "../language/data.ts";
import { quoteText } from "../language/quote.ts";
import { FileError } from "../language/usage_error.ts";
import { fileError, nameOf, outputError } from "../output/file_names.ts";

const CHUNK_BYTES = 64 * 1024;

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
