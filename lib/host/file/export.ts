/**
 * A host as one readable JSON document: topology, state by key, memory by page. import.ts makes a host of it again.
 */
import type { Json } from "../../base/json.ts";
import { type MainStorage, PAGE_SIZE } from "../../zpci/storage.ts";
import type { Host } from "../host.ts";
import { FORMAT } from "../state/migrations.ts";

/** A memory page: which guest, where, what. */
interface ExportedPage {
  readonly guest: number;
  readonly address: string;
  readonly data: string;
}

/** The document. */
export interface ExportedHost {
  readonly ism: "host";
  /** Format of the state, as of a host file. */
  readonly schema: typeof FORMAT;
  readonly topology: Json;
  readonly state: Readonly<Record<string, Json>>;
  readonly pages: readonly ExportedPage[];
}

/** Addresses of pages that may hold something, rising. */
function* pagesOf(storage: MainStorage, stored: readonly number[] | undefined): Generator<number> {
  if (stored === undefined) {
    for (const { address, size } of storage.buffers) {
      for (let offset = 0; offset < size; offset += PAGE_SIZE) yield address + offset;
    }
    return;
  }
  const written = storage.buffers.flatMap((buffer) =>
    [...buffer.dirtyPages()].map((offset) => buffer.address + offset)
  );
  yield* [...new Set([...stored, ...written])].sort((a, b) => a - b);
}

/** Most memory that a document holds, in pages: more would be a longer text than can be read again. */
export const MAX_EXPORT_PAGES = 32_768;

/** A host that no document can hold. */
export class ExportError extends Error {
  override readonly name = "ExportError";
}

/**
 * Writes a host down. Pages of zeros are left out: memory is zero until it is written.
 *
 * @param stored where pages may be that are not zero, besides those written since the host was loaded; all memory if
 * it is left out
 * @param progress is told how many pages have been looked at
 * @throws {ExportError} over {@linkcode MAX_EXPORT_PAGES}
 */
export function exportHost(
  host: Host,
  stored?: readonly { readonly guest: number; readonly address: number }[],
  progress: (pages: number) => void = () => {},
): ExportedHost {
  let seen = 0;
  const pages: ExportedPage[] = [];
  for (const { index, partition: { storage } } of host.guests) {
    const places = stored?.filter(({ guest }) => guest === index).map(({ address }) => address);
    for (const address of pagesOf(storage, places)) {
      progress(++seen);
      const buffer = storage.find(address, PAGE_SIZE);
      if (buffer === undefined) continue;
      const offset = address - buffer.address;
      const data = buffer.touch(offset, PAGE_SIZE, false).subarray(offset, offset + PAGE_SIZE);
      if (data.every((byte) => byte === 0)) continue;
      if (pages.length === MAX_EXPORT_PAGES) {
        const mebibytes = MAX_EXPORT_PAGES * PAGE_SIZE / 2 ** 20;
        throw new ExportError(
          `more than ${mebibytes} MiB of its memory are not zero, too much for one document; copy the host file instead`,
        );
      }
      pages.push({ guest: index, address: `0x${address.toString(16)}`, data: data.toHex() });
    }
  }
  return {
    ism: "host",
    schema: FORMAT,
    topology: host.topology as unknown as Json,
    state: Object.fromEntries(host.save()),
    pages,
  };
}
