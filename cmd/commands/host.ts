/** The host file: create, show, reset, delete. */
import { HostStore } from "../../lib/host/store.ts";
import { defaultTopology, parseTopology, type Topology, TopologyError } from "../../lib/host/topology.ts";
import { defineCommand, flag, optional } from "../command.ts";
import { createParent, PROCESS_FILES } from "../files.ts";
import { FILE, number } from "../kinds.ts";
import { quoteText } from "../text/diagnostic.ts";
import { FileError } from "../text/usage_error.ts";

/** Reads a topology. @throws {FileError} */
function readTopology(path: string): Topology {
  const bytes = path === "-" ? PROCESS_FILES.readStdin() : PROCESS_FILES.readFile(path, 0, undefined);
  const name = quoteText(path, 200);
  try {
    return parseTopology(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    if (error instanceof TopologyError) throw new FileError(path, `${name} is no topology: ${error.message}`);
    if (error instanceof SyntaxError || error instanceof TypeError) {
      throw new FileError(path, `${name} is not JSON: ${error.message}`);
    }
    throw error;
  }
}

export const hostCreate = defineCommand({
  name: "host create",
  group: "host",
  summary: "Create a host file: two guests with one ISM function each, or what a topology says",
  args: {},
  options: {
    from: optional(FILE, "topology as JSON; see docs/topology.md"),
    seed: optional(number("SEED"), "seed of GIDs and tokens"),
    force: flag("replace an existing host file"),
  },
  access: "file",
  examples: ["host create --force"],
  run({ hostPath, isDefaultHost, dryRun }, { from, seed, force }) {
    const base = from === undefined ? defaultTopology() : readTopology(from);
    const topology = seed === undefined ? base : { ...base, seed };
    if (!dryRun && isDefaultHost) createParent(hostPath);
    if (!dryRun) HostStore.create(hostPath, topology, { force }).close();
    return { host: hostPath, functions: topology.guests.flatMap(({ functions }) => functions).length };
  },
});

export const hostShow = defineCommand({
  name: "host show",
  group: "host",
  summary: "Print the host's topology as JSON, with every default filled in",
  args: {},
  options: {},
  access: "read",
  examples: ["host show"],
  run: ({ host, hostPath }) => ({ host: hostPath, topology: host.topology }),
  text: ({ topology }) => JSON.stringify(topology, null, 2),
});

export const hostReset = defineCommand({
  name: "host reset",
  group: "host",
  summary: "Power the host off and on: the topology stays, all state is gone",
  args: {},
  options: {},
  access: "file",
  examples: ["host reset"],
  run({ hostPath, dryRun, store }) {
    if (!dryRun) store.reset();
    return { host: hostPath };
  },
});

export const hostDelete = defineCommand({
  name: "host delete",
  group: "host",
  summary: "Delete the host file",
  args: {},
  options: {},
  access: "file",
  examples: ["host delete"],
  run({ hostPath, dryRun }) {
    if (!dryRun) HostStore.delete(hostPath);
    return { host: hostPath };
  },
});
