/** Source lines of places in programs, by `addr2line` where the machine has it. */
import { outputOf } from "../libc.ts";
import { parseLines, type SourceLine } from "./addr2line.ts";
import type { Frame, Site } from "./event.ts";

/** Addresses that one `addr2line` is asked for. */
const AT_ONCE = 256;
/** Where the environment does not say where programs are, they are where systems have them. */
const WITH_PATH = "export PATH=$PATH:/usr/local/bin:/usr/bin:/bin;";

const keyOf = ({ module, address }: Frame) => `${module}\0${address}`;

/** Lines by place; a place about which nothing is known is not in it. */
export class SourceLines {
  readonly #lines = new Map<string, SourceLine>();

  /** Looks up everything that sites name. */
  constructor(sites: readonly Site[]) {
    const byModule = new Map<string, Set<number>>();
    for (const { module, address } of sites.flatMap(({ frames }) => frames)) {
      byModule.set(module, (byModule.get(module) ?? new Set()).add(address));
    }
    for (const [module, addresses] of byModule) this.#lookUp(module, [...addresses]);
  }

  /** The innermost line of the program's own source. */
  of({ frames }: Site): SourceLine | undefined {
    for (const frame of frames) {
      const line = this.#lines.get(keyOf(frame));
      if (line !== undefined) return line;
    }
    return undefined;
  }

  #lookUp(module: string, addresses: readonly number[]): void {
    for (let i = 0; i < addresses.length; i += AT_ONCE) {
      const words = addresses.slice(i, i + AT_ONCE).map((address) => `0x${address.toString(16)}`).join(" ");
      const text = outputOf(`${WITH_PATH} addr2line -a -f -i -C -e ${quoted(module)} ${words} 2>/dev/null`) ??
        "";
      for (const [address, line] of parseLines(text)) this.#lines.set(keyOf({ module, address }), line);
    }
  }
}

/** A word for the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
