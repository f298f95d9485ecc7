/** What `addr2line` writes about places in programs. */

/** A line of a program's source. */
export interface SourceLine {
  readonly function: string;
  readonly file: string;
  readonly line: number;
}

/** Sources that come with a language or the system: a program's own lines are those that called them. */
const OF_THE_SYSTEM =
  /^(\/rustc\/|\/usr\/|\.\.?\/|\/build\/)|\/go\/src\/|\/rust\/library\/|\/library\/(std|core|alloc)\//;

/** What addr2line wrote with -a, -f and -i: by address, the innermost function that is the program's own. */
export function parseLines(text: string): Map<number, SourceLine> {
  const found = new Map<number, SourceLine>();
  let address = 0;
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    if (/^0x[0-9a-f]{8,}$/.test(lines[i]!)) {
      address = Number(lines[i]);
      continue;
    }
    const [, file, line] = /^([^?].*):([1-9]\d*)( \(discriminator \d+\))?$/.exec(lines[i + 1] ?? "") ?? [];
    if (file !== undefined && !found.has(address) && !OF_THE_SYSTEM.test(file)) {
      found.set(address, { function: lines[i]!, file, line: Number(line) });
    }
    i++;
  }
  return found;
}
