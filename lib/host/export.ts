/**
 * A host as one readable JSON document: topology, state by key, memory by page. Import of an export gives the same
 * host, and its export the same bytes.
 */
import * as v from "valibot";
import type { Json } from "../base/json.ts";
import { type MainStorage, PAGE_SIZE } from "../zpci/storage.ts";
import { Host } from "./host.ts";
import { issueText } from "./issue.ts";
import { FORMAT, migrate, OLDEST_FORMAT } from "./migrations.ts";
import { parseTopology, TopologyError } from "./topology.ts";

/** A document that is no host. */
export class ImportError extends Error {
  override readonly name = "ImportError";
}

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

const DOCUMENT = v.strictObject({
  ism: v.literal("host"),
  schema: v.pipe(v.number(), v.integer(), v.minValue(OLDEST_FORMAT), v.maxValue(FORMAT)),
  topology: v.unknown(),
  state: v.record(v.string(), v.unknown()),
  pages: v.array(v.strictObject({
    guest: v.pipe(v.number(), v.integer(), v.minValue(0)),
    address: v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,12}$/)),
    data: v.pipe(v.string(), v.regex(/^([0-9a-f]{2})*$/), v.length(PAGE_SIZE * 2)),
  })),
});

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
 * @throws {ExportError} over {@linkcode MAX_EXPORT_PAGES}
 */
export function exportHost(
  host: Host,
  stored?: readonly { readonly guest: number; readonly address: number }[],
): ExportedHost {
  const pages: ExportedPage[] = [];
  for (const { index, partition: { storage } } of host.guests) {
    const places = stored?.filter(({ guest }) => guest === index).map(({ address }) => address);
    for (const address of pagesOf(storage, places)) {
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

/** Numbers of saved state are whole, and never below -1, which is the slot before the first. @throws {ImportError} */
function checkNumbers(value: Json, where: string): void {
  if (typeof value === "number" && (!Number.isSafeInteger(value) || value < -1)) {
    throw new ImportError(`state: ${value} at ${where} is no number that a host can have`);
  }
  if (value === null || typeof value !== "object") return;
  for (const [name, each] of Object.entries(value)) checkNumbers(each, `${where}.${name}`);
}

/** Builds the host that a document of this or an older format describes. @throws {ImportError} */
export function importHost(json: unknown): Host {
  const format = v.safeParse(v.object({ ism: v.literal("host"), schema: v.number() }), json);
  if (format.success && format.output.schema > FORMAT) {
    throw new ImportError(
      `it has format ${format.output.schema}, this ism knows formats up to ${FORMAT}; use a newer ism`,
    );
  }
  const parsed = v.safeParse(DOCUMENT, json, { abortEarly: true });
  if (!parsed.success) {
    throw new ImportError(issueText(parsed.issues[0], "the document"));
  }
  const { schema, topology, state, pages } = parsed.output;
  const byPlace = new Map(pages.map(({ guest, address, data }) => [`${guest}:${Number(address)}`, data]));
  try {
    const rows = new Map(Object.entries({ ...state, topology })) as Map<string, Json>;
    for (const [key, value] of rows) checkNumbers(value, key);
    const migrated = migrate(rows, schema);
    const host = Host.restore(parseTopology(migrated.get("topology")), {
      get: (key) => structuredClone(migrated.get(key)),
      page: (guest, address) => {
        const data = byPlace.get(`${guest}:${address}`);
        return data === undefined ? undefined : Uint8Array.fromHex(data);
      },
    });
    const known = new Set(host.save().keys()).add("topology");
    const stranger = [...migrated.keys()].find((key) => !known.has(key));
    if (stranger !== undefined) throw new ImportError(`state: there is nothing called ${stranger}`);
    // Every page becomes a dirty one, so that the new host file gets it.
    for (const { guest, address } of pages) {
      const buffer = host.guests[guest]?.partition.storage.find(Number(address), PAGE_SIZE);
      if (buffer === undefined) throw new ImportError(`pages: ${address} of guest ${guest} is no memory`);
      buffer.touch(Number(address) - buffer.address, PAGE_SIZE, true);
    }
    return host;
  } catch (error) {
    if (error instanceof ImportError) throw error;
    if (error instanceof TopologyError) throw new ImportError(`topology: ${error.message}`);
    throw new ImportError(`state: ${error instanceof Error ? error.message : String(error)}`);
  }
}
