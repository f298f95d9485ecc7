/** Which scripts `run` runs, and in which order. */
import { SPLIT_MIX_STEP, splitMix64 } from "../../../lib/base/random.ts";
import { FileError, UsageError } from "../../language/usage_error.ts";
import { quoteText } from "../../language/quote.ts";
import { fileError } from "../../output/file_names.ts";

/** What a directory's scripts are called. */
const ENDING = ".ism";

/** The scripts of a command line: files as they are named, directories by what is in them. @throws {FileError} */
export function scriptsOf(paths: readonly string[]): string[] {
  const scripts = paths.flatMap((path) => {
    if (path === "-" || !isDirectory(path)) return [path];
    const found = [...scriptsIn(path.replace(/(?<=.)[/\\]+$/, ""))].toSorted();
    if (found.length > 0) return found;
    throw new FileError(path, `${quoteText(path, 200)} holds no script; their names end in ${ENDING}`);
  });
  const stdin = scripts.filter((path) => path === "-").length;
  if (stdin > 1) throw new UsageError("Standard input holds one script", { token: "-" });
  return scripts;
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // Whoever reads it says what is wrong with it.
    return false;
  }
}

/** Scripts in a directory and those below, hidden ones left out. @throws {FileError} */
function* scriptsIn(directory: string): Generator<string> {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(directory)];
  } catch (error) {
    throw fileError(directory, error);
  }
  for (const { name, isDirectory: isBelow, isFile, isSymlink } of entries) {
    if (name.startsWith(".")) continue;
    const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
    if (isBelow) yield* scriptsIn(path);
    else if ((isFile || isSymlink) && name.endsWith(ENDING)) yield path;
  }
}

/** Scripts whose path holds a text, or is what `/…/` describes. @throws {UsageError} if none is left */
export function filtered(scripts: readonly string[], filter: string | undefined): readonly string[] {
  if (filter === undefined) return scripts;
  const matches = matcherOf(filter);
  const left = scripts.filter(matches);
  if (left.length > 0) return left;
  throw new UsageError(`--filter: no script of ${scripts.length} has ${quoteText(filter)} in its path`, {
    token: filter,
  });
}

function matcherOf(filter: string): (path: string) => boolean {
  const [, pattern] = /^\/(.+)\/$/.exec(filter) ?? [];
  if (pattern === undefined) return (path) => path.includes(filter);
  try {
    const expression = new RegExp(pattern, "u");
    return (path) => expression.test(path);
  } catch {
    throw new UsageError(`--filter: ${quoteText(filter)} is not a regular expression`, { token: filter });
  }
}

/** Scripts in an order that follows from a seed (Fisher and Yates). */
export function shuffled(scripts: readonly string[], seed: bigint): string[] {
  const list = [...scripts];
  let state = seed;
  for (let left = list.length; left > 1; left--) {
    const at = Number(splitMix64(state) % BigInt(left));
    state += SPLIT_MIX_STEP;
    [list[at], list[left - 1]] = [list[left - 1]!, list[at]!];
  }
  return list;
}
