/** Files as messages name them: why one cannot be used, and which two are the same. */
import { quoteText } from "../language/quote.ts";
import { FileError } from "../language/usage_error.ts";

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
export function nameOf(path: string): string {
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
