/**
 * Random command lines and scripts, understood and run on a host in memory: every one ends with an exit code of the
 * contract, in time, and prints nothing that a terminal would obey. A small run in the suite; `deno task soak` runs 20,000.
 */
import { assert, assertEquals } from "@std/assert";
import { killAfter, Program } from "../support/program.ts";

const SOAK = (Deno.env.get("ISM_SOAK") ?? "") !== "";
const CASES = SOAK ? 20_000 : 600;
/** Cases of one process; what hangs is found in the last one that began. */
const AT_ONCE = 600;
const WORKER = new URL("../support/fuzz_worker.ts", import.meta.url).pathname;
const TIME_LIMIT_MS = SOAK ? 300_000 : 60_000;

/** Runs cases in a process of its own; what it said. */
async function worker(first: number, count: number): Promise<string[]> {
  using program = new Program();
  const child = program.spawnFile(WORKER, [String(first), String(count)]);
  const timer = killAfter(child, TIME_LIMIT_MS);
  const { stdout, stderr, success } = await child.output();
  clearTimeout(timer);
  const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
  assert(success, `the worker ended at "${lines.at(-1)}": ${new TextDecoder().decode(stderr)}`);
  return lines.filter((line) => !line.startsWith("at "));
}

Deno.test(`${CASES} random command lines and scripts end with a documented exit code`, async () => {
  const codes: Record<string, number> = {};
  for (let first = 0; first < CASES; first += AT_ONCE) {
    const lines = await worker(first, Math.min(AT_ONCE, CASES - first));
    const totals = JSON.parse(lines.pop()!) as { codes: Record<string, number> };
    assertEquals(lines, []);
    for (const [code, count] of Object.entries(totals.codes)) codes[code] = (codes[code] ?? 0) + count;
  }
  console.log(`exit codes of ${CASES} random lines and scripts: ${JSON.stringify(codes)}`);
  assertEquals(Object.values(codes).reduce((sum, count) => sum + count, 0), CASES);
  const reached = (codes["0"] ?? 0) + (codes["1"] ?? 0) + (codes["3"] ?? 0);
  assert(reached > CASES / 2, "most of them reach the simulated machine");
});
