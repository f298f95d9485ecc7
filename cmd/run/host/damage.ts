/**
 * What is wrong with a host file whose rows were edited by somebody who made their checksums anew. A command that loads
 * a host does not look for that, so that it starts fast; one that ends in a way that only a bug or such a file explains
 * looks afterwards.
 */
import type { Json } from "../../../lib/base/json.ts";
import { TopologyError } from "../../../lib/host/errors.ts";
import { DamagedFileError, UnreadableStateError } from "../../../lib/host/file/host_path.ts";
import type { Host } from "../../../lib/host/host.ts";
import type { HostStore } from "../../../lib/host/file/store.ts";
import { describeFailure, EXIT } from "../../output/failure.ts";
import { quoteText } from "../../language/quote.ts";
import { FileError } from "../../language/usage_error.ts";

/** Most sentences of one error. */
const MOST_SHOWN = 5;

/** One sentence of several. */
function inOne(wrong: readonly string[]): string {
  const more = wrong.length - MOST_SHOWN;
  return wrong.slice(0, MOST_SHOWN).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** What `host check` ends with. */
export function damagedHost(path: string, wrong: readonly string[]): FileError {
  return new FileError(path, `${quoteText(path, 200)} is damaged: ${inOne(wrong)}; restore a copy`);
}

/** What no program can have left behind: in the rows of a host, or in the host that was made of them. */
export async function hostFaults(host: Host, rows: ReadonlyMap<string, Json>): Promise<string[]> {
  const { checkHost } = await import("../../../lib/host/invariants.ts");
  const wrong = await rowFaults(rows);
  return wrong.length > 0 ? wrong : checkHost(host);
}

/** What no program can have left behind in the rows of a host, the topology among them. */
async function rowFaults(rows: ReadonlyMap<string, Json>): Promise<string[]> {
  const { stateFaults } = await import("../../../lib/host/state/check.ts");
  const { parseTopology } = await import("../../../lib/host/topology.ts");
  try {
    return stateFaults(parseTopology(rows.get("topology")), rows);
  } catch (error) {
    if (error instanceof TopologyError) return [`topology: ${error.message}`];
    throw error;
  }
}

/**
 * The error that a user can do something about: a failure that looks like a bug, on a host file that no program can have
 * left behind, is that file's fault. Any other error stays as it is.
 */
export async function blame(error: unknown, store: HostStore | undefined): Promise<unknown> {
  const isStrange = error instanceof UnreadableStateError || describeFailure(error).exit === EXIT.BUG;
  if (!isStrange || store === undefined) return error;
  try {
    const wrong = await rowFaults(store.rows());
    return wrong.length > 0 ? new DamagedFileError(`${store.path} is damaged: ${inOne(wrong)}`) : error;
  } catch {
    // What cannot be looked at explains nothing.
    return error;
  }
}
