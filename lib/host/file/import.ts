/**
 * A host from the document that export.ts writes, or that somebody edited: its shape, its references and its invariants
 * are checked before it counts as a host. Import of an export gives the same host, and its export the same bytes.
 */
import * as v from "valibot";
import type { Json } from "../../base/json.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { checkHost } from "../invariants.ts";
import { Host } from "../host.ts";
import { issueText } from "../issue.ts";
import { FORMAT, migrate, OLDEST_FORMAT } from "../state/migrations.ts";
import { stateFaults } from "../state/check.ts";
import { parseTopology } from "../topology.ts";
import { TopologyError } from "../errors.ts";

/** A document that is no host. */
export class ImportError extends Error {
  override readonly name = "ImportError";
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

/**
 * Builds the host that a document of this or an older format describes.
 *
 * @param progress is told how many memory pages are in place
 * @throws {ImportError} with the path of what is wrong, if no program can have left such a state behind
 */
export function importHost(
  json: unknown,
  progress: (pages: number) => void = () => {},
): Host {
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
    const migrated = migrate(rows, schema);
    const described = parseTopology(migrated.get("topology"));
    const [wrong] = stateFaults(described, migrated);
    if (wrong !== undefined) throw new ImportError(`state: ${wrong}`);
    const host = Host.restore(described, {
      get: (key) => structuredClone(migrated.get(key)),
      page: (guest, address) => {
        const data = byPlace.get(`${guest}:${address}`);
        return data === undefined ? undefined : Uint8Array.fromHex(data);
      },
    });
    // Every page becomes a dirty one, so that the new host file gets it.
    for (const [i, { guest, address }] of pages.entries()) {
      progress(i);
      const buffer = host.guests[guest]?.partition.storage.find(Number(address), PAGE_SIZE);
      if (buffer === undefined) throw new ImportError(`pages: ${address} of guest ${guest} is no memory`);
      buffer.touch(Number(address) - buffer.address, PAGE_SIZE, true);
    }
    const [broken] = checkHost(host);
    if (broken !== undefined) throw new ImportError(broken);
    return host;
  } catch (error) {
    if (error instanceof ImportError) throw error;
    if (error instanceof TopologyError) throw new ImportError(`topology: ${error.message}`);
    throw new ImportError(`state: ${error instanceof Error ? error.message : String(error)}`);
  }
}
