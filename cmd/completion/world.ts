/** Files and functions for completions, from the surroundings of the process. */
import type { Host } from "../../lib/host/host.ts";
import { hex } from "../../lib/base/hex.ts";

/** Most names of one directory that are looked at. */
const MOST_FILES = 2000;

/** Names in a directory, sorted, directories with `/` at the end; none if it cannot be read. */
export function filesIn(directory: string): string[] {
  const names: string[] = [];
  try {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(directory === "" ? "." : directory)) {
      const leadsToDirectory = isDirectory || (isSymlink && isDirectoryAt(`${directory}${name}`));
      names.push(leadsToDirectory ? `${name}/` : name);
      if (names.length === MOST_FILES) break;
    }
  } catch {
    return [];
  }
  return names.sort();
}

function isDirectoryAt(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Words that name a function each, and what each names. */
export function deviceWords({ functions }: Host): { readonly word: string; readonly help: string }[] {
  const words = functions.flatMap(({ index, zdev, guest }) =>
    [String(index), zdev.name, `fid:${hex(zdev.facts.fid)}`, `uid:${hex(zdev.facts.uid)}`]
      .map((word) => ({ word, help: `function ${index}, ${zdev.name} of ${guest.name}` }))
  );
  // Two guests may use one address or uid; such a word names nothing.
  return words.filter(({ word }) => words.filter((each) => each.word === word).length === 1);
}
