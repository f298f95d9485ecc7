/** The row that tells what the tables of a host file add up to. */
import { FORMAT } from "../state/migrations.ts";
import { NO_PAGES, type PageSum } from "./page_store.ts";
import { NO_ROWS, type RowSum } from "./row_store.ts";

/** What the tables add up to, so that a lost row shows. */
export interface Manifest extends RowSum, PageSum {
  /** Number of the last commit that was written into them. */
  readonly revision: number;
  /** Format that the file was created with; files of format 1 do not say. */
  readonly created?: number;
  /** Checksum of the commits up to that one. */
  readonly commits: number;
}

export const EMPTY: Manifest = { created: FORMAT, revision: 0, commits: 0, ...NO_ROWS, ...NO_PAGES };

/** Pages by rising address as ranges: guest, address, length in bytes. */
export function rangesOf(
  pages: readonly { readonly guest: number; readonly address: number }[],
  size: number,
): (readonly [guest: number, address: number, length: number])[] {
  const ranges: [number, number, number][] = [];
  for (const { guest, address } of pages.toSorted((a, b) => a.guest - b.guest || a.address - b.address)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] === guest && last[1] + last[2] === address) last[2] += size;
    else ranges.push([guest, address, size]);
  }
  return ranges;
}

/** What is wrong with the number of pages and their checksums, as a sentence; no line if nothing is. */
export function missingPages({ pages, pageSum }: Manifest, found: PageSum): string[] {
  if (found.pages === pages && found.pageSum === pageSum) return [];
  return [`Memory pages are missing or surplus: ${found.pages} are there, ${pages} were stored`];
}

/** As {@linkcode missingPages}, of rows of state. */
export function missingRows({ states, members, rowSum }: Manifest, found: RowSum): string[] {
  if (found.states === states && found.members === members && found.rowSum === rowSum) return [];
  const there = found.states + found.members;
  return [`Rows of state are missing or surplus: ${there} are there, ${states + members} were stored`];
}
