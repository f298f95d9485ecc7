/**
 * Runs random command lines and scripts in this process, each on a host of its own in memory, and prints what came of
 * them as JSON. Arguments: first number, count. Run in an empty directory, with the program's own permissions.
 */
import { main } from "../../cmd/main.ts";
import { ProcessTerminal } from "../../cmd/output/terminal.ts";
import { checkHost } from "../../lib/host/invariants.ts";
import type { Host } from "../../lib/host/host.ts";
import { stateFaults } from "../../lib/host/state/check.ts";
import { compareTransactions } from "../../lib/host/file/comparison.ts";
import { FileStore } from "../../lib/host/file/file_store.ts";
import { MemoryStore } from "../../lib/host/file/memory_store.ts";
import { HostStore, MEMORY_HOST } from "../../lib/host/file/store.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { randomCase } from "./random_lines.ts";

/** Exit codes that a line may end with: done, refused, usage, expectation, file. */
const DOCUMENTED = [0, 1, 2, 3, 4];
/** A case that takes longer counts as one that hangs. Milliseconds, on a busy machine. */
const SLOW_MS = 20_000;
// deno-lint-ignore no-control-regex -- what may not reach a terminal
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

/** Keeps what is printed. */
class Recorder extends ProcessTerminal {
  readonly #out: Uint8Array[] = [];
  errText = "";

  override outBytes(bytes: Uint8Array): void {
    this.#out.push(bytes.slice());
  }

  override err(text: string): void {
    this.errText += text;
  }

  override progress(_text: string): void {}

  get outText(): string {
    return new TextDecoder().decode(new Uint8Array(this.#out.flatMap((bytes) => [...bytes])));
  }
}

/** What is wrong with a run; undefined if nothing is. */
function fault(
  args: readonly string[],
  code: number,
  { outText, errText }: Recorder,
  script: string,
): string | undefined {
  if (!DOCUMENTED.includes(code)) return `exit code ${code}: ${errText}`;
  if (/^ {4}at |file:\/\//m.test(errText)) return `a stack: ${errText}`;
  if (UNSAFE.test(errText)) return `control characters on stderr: ${JSON.stringify(errText)}`;
  if (code !== 0 && errText === "") return `exit code ${code} without a word`;
  const words = `${args.join(" ")} ${script}`;
  const raw = /--raw|--format[= ]raw/.test(words);
  // Lines of CSV end as RFC 4180 has it.
  const shown = /--format[= ]csv/.test(words) ? outText.replaceAll("\r\n", "\n") : outText;
  if (args.includes("--json")) {
    try {
      for (const line of outText.split("\n").slice(0, -1)) JSON.parse(line);
    } catch (error) {
      return `no JSON: ${error}: ${outText.slice(0, 200)}`;
    }
  } else if (!raw && UNSAFE.test(shown)) {
    return `control characters on stdout: ${JSON.stringify(shown.slice(0, 500))}`;
  }
  return undefined;
}

/** Tokens of the first DMBs of a default host. */
function firstTokens(): string[] {
  using store = HostStore.create(MEMORY_HOST, defaultTopology());
  const host = store.begin("write");
  const { driver } = host.functions[0]!;
  return [1, 2, 3].map(() => `0x${driver.registerDmb({ size: 4096, rgid: 1n }).token.toString(16)}`);
}

/** A store that refuses to keep what `host check` would call damaged. */
for (const kind of [FileStore, MemoryStore]) {
  const { commit } = kind.prototype;
  kind.prototype.commit = function (host: Host) {
    checkState(host);
    commit.call(this as FileStore & MemoryStore, host);
  };
}

function checkState(host: Host): void {
  const wrong = stateFaults(host.topology, new Map(JSON.parse(JSON.stringify([...host.save()]))));
  if (wrong.length === 0) wrong.push(...checkHost(host));
  if (wrong.length > 0) throw new Error(`This state is called damaged: ${wrong.join("; ")}`);
}

// Every change must be told to the journal, and undone by a rollback.
compareTransactions(true);

const [first = 0, count = 100] = Deno.args.map(Number);
const tokens = firstTokens();
const data = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);
const guests = [{ name: "a", functions: [{ fid: 1, uid: 1 }, { fid: 2, uid: 2 }] }];
const codes: Record<string, number> = {};
for (let i = first; i < first + count; i++) {
  const { args, script } = randomCase(i, tokens);
  Deno.writeFileSync("data.bin", data);
  Deno.writeTextFileSync("topology.json", JSON.stringify({ guests }));
  if (script !== undefined) Deno.writeTextFileSync("script.ism", script);
  await Deno.stdout.write(new TextEncoder().encode(`at ${i}\n`));
  const terminal = new Recorder();
  const started = performance.now();
  const code = await main(["--host", MEMORY_HOST, ...args], terminal);
  const took = performance.now() - started;
  codes[code] = (codes[code] ?? 0) + 1;
  const wrong = took > SLOW_MS ? `it took ${took} ms` : fault(args, code, terminal, script ?? "");
  if (wrong !== undefined) console.log(JSON.stringify({ i, args, script, wrong }));
}
console.log(JSON.stringify({ codes }));
