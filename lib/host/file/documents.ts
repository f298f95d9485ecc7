/** The state of a host as documents, from rows of whatever format a host file has. */
import type { Json } from "../../base/json.ts";
import type { Host } from "../host.ts";
import { FORMAT, migrate, MigrationError } from "../state/migrations.ts";
import { joinRows } from "../state/rows.ts";

/** The first format whose rows are parts of documents. */
export const FIRST_CUT = 4;

/**
 * The documents that rows of a format hold, in this format.
 *
 * @param membersOf reads a list, when somebody looks at it @param fail makes the error of what is wrong in them
 */
export function documentsIn(
  rows: ReadonlyMap<string, Json>,
  format: number,
  membersOf: (list: string) => readonly Json[],
  fail: (reason: string) => Error,
): Map<string, Json> {
  if (format >= FIRST_CUT) return joinRows(rows, membersOf, fail);
  try {
    return migrate(rows, format);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    throw fail(`it has format ${format}, and cannot be brought to ${FORMAT}: ${error.message}`);
  }
}

/** All state of a host, the topology among it. */
export function documentsOf(host: Host): Map<string, Json> {
  return new Map([["topology", host.topology as unknown as Json], ...host.save()]);
}
