/**
 * Imports mutated documents of a full host in this process and works with those that are accepted; then the same with
 * mutated rows of host files. Prints what came of them as JSON. Arguments: first number, count, "document" or "file".
 */
import { main } from "../../cmd/main.ts";
import { bindGlobals } from "../../cmd/language/invocation.ts";
import { parseLine } from "../../cmd/language/parse.ts";
import { literalWord } from "../../cmd/language/options.ts";
import { HostPlace } from "../../cmd/run/host/host_place.ts";
import { Session } from "../../cmd/run/session.ts";
import { COMMANDS as TABLE } from "../../cmd/table.ts";
import { ProcessTerminal } from "../../cmd/output/terminal.ts";
import type { Json } from "../../lib/base/json.ts";
import { exportHost } from "../../lib/host/file/export.ts";
import type { Host } from "../../lib/host/host.ts";
import { ImportError, importHost } from "../../lib/host/file/import.ts";
import { HostStore, MEMORY_HOST } from "../../lib/host/file/store.ts";
import { parseTopology } from "../../lib/host/topology.ts";
import { editRows } from "./edited_host.ts";
import { FULL_TOPOLOGY, furnish } from "./full_host.ts";
import { mutated } from "./mutations.ts";

const COMMANDS = await TABLE.all();

/** A line that takes longer counts as one that hangs. Milliseconds, on a busy machine. */
const SLOW_MS = 10_000;
const LOOKS = ["list", "host check"];
const LINES = ["status", "gid", "dmb list", "irq", "reset", "close"];

/** Keeps what is said of failures. */
class Quiet extends ProcessTerminal {
  said = "";

  override outBytes(): void {}

  override err(text: string): void {
    this.said += text;
  }

  override progress(): void {}
}

/** A place that holds a host that was made elsewhere. */
class MadePlace extends HostPlace {
  readonly #made: HostStore;

  constructor(host: Host) {
    super(MEMORY_HOST, undefined, false);
    this.#made = HostStore.create(MEMORY_HOST, host);
  }

  override get store(): HostStore {
    return this.#made;
  }

  override get opened(): HostStore {
    return this.#made;
  }
}

/** A session on such a host. */
class HostSession extends Session {
  readonly made: HostStore;

  constructor(terminal: ProcessTerminal, host: Host) {
    const words = ["--host", MEMORY_HOST, "list"].map((text, i) => literalWord(text, i + 1));
    const globals = bindGlobals(parseLine(words, COMMANDS, { inScript: false }), () => undefined);
    super(
      terminal,
      globals,
      { hostPath: MEMORY_HOST, device: undefined, commands: TABLE },
      new MadePlace(host),
    );
    this.made = this.place.store;
  }
}

/** Lines for every function of a host. */
function linesFor(host: Host): string[] {
  return [
    ...LOOKS,
    ...host.functions.flatMap(({ zdev }) => LINES.map((line) => `${line} -d fid:${zdev.facts.fid}`)),
  ];
}

/** What is wrong with how a line ended; undefined if nothing is. */
function fault(code: number, said: string, took: number): string | undefined {
  if (took > SLOW_MS) return `it took ${took} ms`;
  if (![0, 1, 2, 3, 4].includes(code)) return `exit code ${code}: ${said}`;
  if (/^ {4}at |file:\/\//m.test(said)) return `a stack: ${said}`;
  return code !== 0 && said === "" ? `exit code ${code} without a word` : undefined;
}

/** Works with an accepted host; what is wrong. */
async function work(host: Host): Promise<string | undefined> {
  const terminal = new Quiet();
  const first = new HostSession(terminal, host);
  using _store = first.made;
  const run = async (line: string, session = first) => {
    const words = line.split(" ").map((text, i) => literalWord(text, i + 1));
    terminal.said = "";
    const started = performance.now();
    const code = await session.runLine(parseLine(words, COMMANDS, { inScript: true }));
    const wrong = fault(code, terminal.said, performance.now() - started);
    return { code, wrong: wrong === undefined ? undefined : `${line}: ${wrong}` };
  };
  first.transactions.begin("write");
  for (const line of linesFor(host)) {
    const { code, wrong } = await run(line);
    if (wrong !== undefined) return wrong;
    if (line === "host check" && code !== 0) return `accepted, and then: ${terminal.said}`;
  }
  first.transactions.end({ commit: true });
  // A host made of what was saved.
  const again = new HostSession(terminal, host.fork());
  using _again = again.made;
  const { code, wrong } = await run("host check", again);
  return wrong ?? (code === 0 ? undefined : `after all lines: ${terminal.said}`);
}

/** Imports a mutated document. @returns what came of it, and what is wrong with that */
async function tryDocument(
  document: Json,
  seed: number,
): Promise<[outcome: string, wrong: string | undefined]> {
  const started = performance.now();
  let host: Host;
  try {
    host = importHost(mutated(document, seed));
  } catch (error) {
    if (!(error instanceof ImportError)) {
      return ["thrown", String(error instanceof Error ? error.stack : error)];
    }
    const isSentence = /^[^\n]{5,400}$/.test(error.message);
    return ["refused", isSentence ? undefined : `no sentence: ${error.message}`];
  }
  const took = performance.now() - started;
  return ["accepted", took > SLOW_MS ? `the import took ${took} ms` : await work(host)];
}

/** Mutates a row of a host file. */
async function tryFile(full: string, seed: number): Promise<[outcome: string, wrong: string | undefined]> {
  const path = "edited.db";
  for (const suffix of ["-wal", "-shm"]) if (exists(path + suffix)) Deno.removeSync(path + suffix);
  Deno.copyFileSync(full, path);
  editRows(path, (rows) => {
    const document = mutated(Object.fromEntries(rows), seed);
    rows.clear();
    for (const [key, value] of Object.entries(document as Record<string, Json>)) rows.set(key, value);
  });
  const fids = ["0x10", "0x11", "0x12", "0x13", "0x14", "0x15", "0x16", "0x17"];
  const script = fids.flatMap((fid) => LINES.map((line) => `${line} -d fid:${fid}`));
  const runs = [["list"], ["host", "check"], ["run", "script.ism", "--keep-going"]];
  Deno.writeTextFileSync("script.ism", script.join("\n"));
  let checked = 0;
  for (const args of runs) {
    const terminal = new Quiet();
    const started = performance.now();
    const code = await main(["--host", path, ...args], terminal);
    if (args[1] === "check") checked = code;
    const wrong = fault(code, terminal.said, performance.now() - started);
    if (wrong !== undefined) return ["failed", `${args.join(" ")}: ${wrong}`];
  }
  return [checked === 0 ? "accepted" : "refused", undefined];
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const [first = "0", count = "100", kind = "document"] = Deno.args;
const host = HostStore.create(MEMORY_HOST, parseTopology(FULL_TOPOLOGY)).begin("write");
furnish(host);
const document = JSON.parse(JSON.stringify(exportHost(host))) as Json;
HostStore.create("full.db", host, { force: true }).close();
const outcomes: Record<string, number> = {};
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  await Deno.stdout.write(new TextEncoder().encode(`at ${seed}\n`));
  const [outcome, wrong] = kind === "file"
    ? await tryFile("full.db", seed)
    : await tryDocument(document, seed);
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  if (wrong !== undefined) console.log(JSON.stringify({ seed, wrong: wrong.slice(0, 1500) }));
}
console.log(JSON.stringify({ outcomes }));
