/** Lines that were understood, so that equal ones are understood once. */
import type { Invocation } from "../../language/invocation.ts";

/** A line's text, understood. */
export interface Compiled {
  readonly invocation: Invocation;
  /** How many words it has. */
  readonly words: number;
  /** Variables that have to have a value before it runs. */
  readonly needs: readonly string[];
  /** Names that have a value after it. */
  readonly sets: readonly string[];
  /** It stays understood until the script ends. */
  isKept: boolean;
}

interface Entry {
  readonly text: string;
  readonly compiled: Compiled;
}

/** Lines that are remembered; a power of two. */
const ENTRIES = 256;
/** Longer lines are not looked for. Characters. */
const MAX_LENGTH = 1000;

/**
 * The last lines by their text, each in one place that the next one with the same hash takes over. A map that is emptied
 * again and again would do the same, but its tables point to each other: what it forgot would stay in memory until
 * everything is looked through for garbage.
 */
export class LineCache {
  readonly #entries = new Array<Entry | undefined>(ENTRIES).fill(undefined);

  get(text: string): Compiled | undefined {
    if (text.length > MAX_LENGTH) return undefined;
    const entry = this.#entries[placeOf(text)];
    return entry?.text === text ? entry.compiled : undefined;
  }

  add(text: string, compiled: Compiled): void {
    if (text.length <= MAX_LENGTH) this.#entries[placeOf(text)] = { text, compiled };
  }
}

/** The 32-bit hash FNV-1a over UTF-16 units, folded. */
function placeOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (ENTRIES - 1);
}
