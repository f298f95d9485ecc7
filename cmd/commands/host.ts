/** The host file: create, show, check, export, import, reset, delete. */
import { type ExportedHost, ExportError, exportHost } from "../../lib/host/file/export.ts";
import type { Host } from "../../lib/host/host.ts";
import { FORMAT } from "../../lib/host/state/migrations.ts";
import { HostStore } from "../../lib/host/file/store.ts";
import { RELEASES } from "../../lib/vfio/release.ts";
import { defaultTopology, parseTopology, type Topology } from "../../lib/host/topology.ts";
import { damagedHost, hostFaults } from "../run/host/damage.ts";
import { argument, type Context, defineCommand, flag, optional } from "../language/command.ts";
import { createParent, writeText } from "../run/files.ts";
import { checkOutput } from "../output/file_names.ts";
import { choice, FILE, number, OUTPUT } from "../language/kinds.ts";
import { escapeText, quoteText } from "../language/quote.ts";
import { FileError, UsageError } from "../language/usage_error.ts";
import { Progress } from "../output/progress.ts";
import type { Terminal } from "../language/terminal.ts";
import { plural } from "../output/units.ts";
import { readJson, readTopology } from "../run/topology_file.ts";

/** Two guests with as many functions as asked for, dealt out in turn, all on one channel. */
function spreadFunctions(count: number): Topology {
  const functions = Array.from({ length: count }, (_, i) => ({ fid: 0x10 + i, uid: i + 1, vfn: i + 1 }));
  const guests = ["guest0", "guest1"].map((name, guest) => ({
    name,
    functions: functions.filter((_, i) => i % 2 === guest),
  }));
  return parseTopology({ guests: guests.filter(({ functions }) => functions.length > 0) });
}

export const hostCreate = defineCommand({
  name: "host create",
  group: "host",
  summary: "Create a host file: two guests with one ISM function each, or what a topology says",
  args: {},
  options: {
    from: optional(FILE, "topology as JSON; see docs/topology.md"),
    functions: optional(number("N", { min: 1, max: 64 }), "so many functions, dealt out to two guests"),
    seed: optional(number("SEED"), "seed of GIDs and tokens"),
    release: optional(choice("RELEASE", RELEASES), "release of the guests' kernels"),
    force: flag("replace an existing host file"),
  },
  access: "file",
  examples: ["host create --force", "host create --force --release 7.1"],
  run({ hostPath, isDefaultHost, dryRun }, { from, functions, seed, release, force }) {
    if (from !== undefined && functions !== undefined) {
      throw new UsageError("--from and --functions exclude each other", { token: "--functions" });
    }
    const spread = functions === undefined ? defaultTopology() : spreadFunctions(functions);
    const base = from === undefined ? spread : readTopology(from);
    const topology = parseTopology({
      ...base,
      ...(seed === undefined ? {} : { seed }),
      ...(release === undefined ? {} : { kernel: { ...base.kernel, release } }),
    });
    create(topology, { hostPath, isDefaultHost, dryRun, force });
    return {
      host: hostPath,
      functions: topology.guests.flatMap(({ functions }) => functions).length,
      done: !dryRun,
    };
  },
  text: creationText,
});

/** Creates a host file; a dry run is refused where that would be. @throws {HostFileError} */
function create(
  source: Topology | Host,
  { hostPath, isDefaultHost, dryRun, force }:
    & Pick<Context, "hostPath" | "isDefaultHost" | "dryRun">
    & { readonly force: boolean },
): void {
  if (dryRun) return HostStore.checkCreate(hostPath, { force });
  if (isDefaultHost) createParent(hostPath);
  HostStore.create(hostPath, source, { force }).close();
}

function creationText(
  { host, functions, done }: { readonly host: string; readonly functions: number; readonly done: boolean },
): string {
  return done ? "" : `dry run: would create ${escapeText(host)} with ${plural(functions, "function")}`;
}

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
    // Opening it says what is wrong with it.
    if (dryRun) void store;
    else store.reset();
    return { host: hostPath, done: !dryRun };
  },
  text: ({ host, done }) => done ? "" : `dry run: would reset ${escapeText(host)}`,
});

export const hostExport = defineCommand({
  name: "host export",
  group: "host",
  summary: "Write the whole host down as one JSON document: topology, state, memory",
  args: { file: optional(OUTPUT, "where to; standard output by default") },
  options: {},
  access: "read",
  examples: ["host export"],
  run({ host, hostPath, store, dryRun, terminal }, { file }) {
    if (file !== undefined && file !== "-") checkOutput(file, hostPath);
    const places = store.pagePlaces();
    using progress = new Progress(terminal, "page", places.length);
    const document = readable(hostPath, () => exportHost(host, places, (done) => progress.tell(done)));
    if (file === undefined || file === "-") return { document };
    if (!dryRun) writeText(file, JSON.stringify(document, null, 1) + "\n");
    return { file, pages: document.pages.length, done: !dryRun };
  },
  text(result) {
    if ("document" in result) return JSON.stringify(result.document, null, 1);
    const { file, pages, done } = result;
    return done ? "" : `dry run: would write ${escapeText(file)} with ${plural(pages, "memory page")}`;
  },
});

/** Turns what cannot be written down into an error of the host file. @throws {FileError} */
function readable(path: string, work: () => ExportedHost): ExportedHost {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    throw new FileError(path, `${quoteText(path, 200)} cannot be exported: ${error.message}`);
  }
}

export const hostImport = defineCommand({
  name: "host import",
  group: "host",
  summary: "Create the host file from a document that export wrote",
  args: { file: argument(FILE, "the document; - for standard input") },
  options: { force: flag("replace an existing host file") },
  access: "file",
  examples: ["host import saved.json --force"],
  async run({ hostPath, isDefaultHost, dryRun, terminal }, { file, force }) {
    const host = await readHost(file, terminal);
    create(host, { hostPath, isDefaultHost, dryRun, force });
    return { host: hostPath, functions: host.functions.length, done: !dryRun };
  },
  text: creationText,
});

/** Reads an exported host, whose invariants must hold. @throws {FileError} */
async function readHost(path: string, terminal: Terminal): Promise<Host> {
  // Other commands start without the schema.
  const { ImportError, importHost } = await import("../../lib/host/file/import.ts");
  const name = quoteText(path, 200);
  try {
    const json = readJson(path);
    const pages = typeof json === "object" && json !== null && "pages" in json ? json.pages : undefined;
    using progress = new Progress(terminal, "page", Array.isArray(pages) ? pages.length : undefined);
    return importHost(json, (done) => progress.tell(done));
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    throw new FileError(path, `${name} is no exported host: ${error.message}`);
  }
}

export const hostCheck = defineCommand({
  name: "host check",
  group: "host",
  summary: "Verify the host file: the database, its checksums, and what must be true of any host",
  args: {},
  options: {},
  access: "read",
  examples: ["host check"],
  async run({ host, hostPath, store, terminal }) {
    using progress = new Progress(terminal, "page", store.pagePlaces().length);
    const wrong = [...store.damages((done) => progress.tell(done)), ...await hostFaults(host, store.rows())];
    if (wrong.length > 0) throw damagedHost(hostPath, wrong);
    const { now, created } = store.format;
    return { host: hostPath, ok: true, format: now, created_format: created };
  },
  text: ({ host, format }) =>
    `${escapeText(host)} is all right` +
    (format === FORMAT ? "" : `; it has format ${format}, the next change makes it format ${FORMAT}`),
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
    else HostStore.open(hostPath).close();
    return { host: hostPath, done: !dryRun };
  },
  text: ({ host, done }) => done ? "" : `dry run: would delete ${escapeText(host)}`,
});
