/**
 * Hand-edited hosts: a document that `host import` takes, or a host file whose checksums were made anew. Either it is
 * refused with a sentence and exit code 4, or everything that can be done with it ends as the contract says. A run of a
 * few seconds here; `deno task soak` runs 5,000 documents and 1,000 files.
 */
import { assert, assertEquals } from "@std/assert";
import { killAfter, Program } from "./support/program.ts";

const SOAK = (Deno.env.get("ISM_SOAK") ?? "") !== "";
const WORKER = new URL("./support/document_worker.ts", import.meta.url).pathname;
const TIME_LIMIT_MS = 120_000;

/** Runs mutations in a process of its own, in parts, so that one that hangs is told. */
async function outcomes(
  kind: "document" | "file",
  count: number,
  part: number,
): Promise<Record<string, number>> {
  const totals: Record<string, number> = {};
  for (let first = 0; first < count; first += part) {
    using program = new Program();
    const child = program.spawnFile(WORKER, [String(first), String(Math.min(part, count - first)), kind]);
    const timer = killAfter(child, TIME_LIMIT_MS);
    const { stdout, stderr, success } = await child.output();
    clearTimeout(timer);
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
    assert(success, `the worker ended at "${lines.at(-1)}": ${new TextDecoder().decode(stderr)}`);
    const told = lines.filter((line) => !line.startsWith("at "));
    const { outcomes } = JSON.parse(told.pop()!) as { outcomes: Record<string, number> };
    assertEquals(told, []);
    for (const [name, times] of Object.entries(outcomes)) totals[name] = (totals[name] ?? 0) + times;
  }
  return totals;
}

const DOCUMENTS = SOAK ? 5000 : 300;
Deno.test(`${DOCUMENTS} mutated documents are refused with a sentence, or are hosts that work`, async () => {
  const { refused = 0, accepted = 0, ...others } = await outcomes("document", DOCUMENTS, 1000);
  assertEquals(others, {});
  assert(refused > DOCUMENTS / 2 && accepted > DOCUMENTS / 20, `${refused} refused, ${accepted} accepted`);
});

const FILES = SOAK ? 1000 : 40;
Deno.test(`${FILES} host files with mutated rows and right checksums end no command as a bug`, async () => {
  const { refused = 0, accepted = 0, ...others } = await outcomes("file", FILES, 200);
  assertEquals([refused + accepted, others], [FILES, {}]);
  assert(refused > FILES / 2);
});
