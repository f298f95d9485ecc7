/** The row that tells what all rows of a host file add up to, and what the last commits wrote. */
import { FORMAT } from "../state/migrations.ts";
import { NO_PAGES, type PageSum } from "./page_store.ts";
import { NO_ROWS, type RowSum } from "./row_store.ts";

/** Pages that lie one behind the other: guest, address, length in bytes. */
export type PageRange = readonly [guest: number, address: number, length: number];

/** What a commit wrote, if it was little: others who have the host in memory read that, and not the host anew. */
export interface Commit {
  readonly revision: number;
  /** Keys of rows in `state`, all of which were there before. */
  readonly state: readonly string[];
  readonly pages: readonly PageRange[];
}

/** What all rows of a host file add up to, so that a lost row shows. */
export interface Manifest extends RowSum, PageSum {
  /** How often something was committed; each row has the number of the commit that wrote it. */
  readonly revision: number;
  /** Format that the file was created with; files of format 1 do not say. */
  readonly created?: number;
  /** The last commits up to this one, without a gap; fewer if one wrote more than is told here. */
  readonly recent?: readonly Commit[];
}

export const EMPTY: Manifest = { created: FORMAT, revision: 0, ...NO_ROWS, ...NO_PAGES };

const MOST_RECENT = 8;
/** So that the manifest is written as a part of one page. Characters. */
const MOST_TOLD = 640;

/** The last commits with one more; none if that one cannot be told, or is too long. */
export function withCommit(recent: readonly Commit[], commit: Commit | undefined): readonly Commit[] {
  if (commit === undefined) return [];
  const told: Commit[] = [];
  let length = 0;
  for (const each of [commit, ...recent.toReversed()]) {
    length += JSON.stringify(each).length;
    if (length > MOST_TOLD || told.length === MOST_RECENT) break;
    told.push(each);
  }
  return told.reverse();
}

/** The commits since a manifest was read; undefined if there were some that are not told. */
export function commitsSince(before: Manifest, now: Manifest): readonly Commit[] | undefined {
  const missed = now.recent?.filter(({ revision }) => revision > before.revision) ?? [];
  const count = now.revision - before.revision;
  return count > 0 && missed.length === count && now.created === before.created ? missed : undefined;
}

/** Pages by rising address as ranges. */
export function rangesOf(
  pages: readonly { readonly guest: number; readonly address: number }[],
  size: number,
): PageRange[] {
  const ranges: [number, number, number][] = [];
  for (const { guest, address } of pages.toSorted((a, b) => a.guest - b.guest || a.address - b.address)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] === guest && last[1] + last[2] === address) last[2] += size;
    else ranges.push([guest, address, size]);
  }
  return ranges;
}
