/** Everything that can be said of a saved host before it is made: its shape, then what its rows say of each other. */
import type { Json } from "../../base/json.ts";
import { referenceFaults } from "./references.ts";
import { shapeFaults } from "./schema.ts";
import type { Topology } from "../topology.ts";

/**
 * What no program can have saved, as `row: path: what`; no line if all is well.
 *
 * @param rows every row of state in this format, the topology among them or not
 */
export function stateFaults(topology: Topology, rows: ReadonlyMap<string, Json>): string[] {
  const wrong = shapeFaults(topology, rows);
  return wrong.length > 0 ? wrong : referenceFaults(topology, rows);
}
