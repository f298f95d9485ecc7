/**
 * What was printed is durable: the program is killed at random moments while it prints, and nothing that it printed
 * may be missing from the host file. A small run in the suite; `deno task soak` kills 300 times.
 */
import { assert, assertEquals } from "@std/assert";
import { splitMix64 } from "../../lib/base/random.ts";
import { exists, inParallel, killAfter, Program } from "../support/program.ts";
import { FURNISH, onHost, type Printed, PRINTING, type PrintingCase } from "../support/promises.ts";

const SOAK = (Deno.env.get("ISM_SOAK") ?? "") !== "";
const KILLS = SOAK ? 300 : 24;
const SEED = 9n;

/** Runs a case on a copy of the furnished host, killed after some time. @returns what was printed, and whether it was killed */
async function runCase(
  program: Program,
  { args, stdin }: PrintingCase,
  copy: string,
  killAfterMs: number,
): Promise<Printed & { readonly killed: boolean; readonly ms: number }> {
  Deno.copyFileSync(program.host, program.path(copy));
  const began = performance.now();
  const child = program.spawn(["--host", copy, ...args]);
  const writer = child.stdin.getWriter();
  const feed = writer.write(new TextEncoder().encode(stdin ?? "")).then(() => writer.close()).catch(() => {});
  const timer = killAfter(child, killAfterMs);
  const { stdout, stderr, signal } = await child.output();
  clearTimeout(timer);
  await feed;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    stdout: text(stdout),
    stderr: text(stderr),
    bytes: stdout,
    killed: signal === "SIGKILL",
    ms: performance.now() - began,
  };
}

async function furnished(): Promise<Program> {
  const program = new Program();
  program.write("file", new Uint8Array(100_000).fill(7));
  await program.result("host", "create", "--functions", "4");
  const { code, stderr } = await program.script(FURNISH);
  assertEquals([code, stderr], [0, ""]);
  return program;
}

function check(program: Program, copy: string, each: PrintingCase, printed: Printed): void {
  onHost(program.path(copy), (host) => each.check(printed, host));
}

Deno.test(`${KILLS} kills: nothing is printed that is not in the host file`, async () => {
  using program = await furnished();
  // How long each takes that is not killed, as the machine is more or less busy: kills fall around its end, where it prints.
  const wholeMs = new Map<string, number>();
  const cases = SOAK ? PRINTING : PRINTING.filter((_, i) => i % 7 === 0);
  const seen = { runs: 0, killed: 0, printed: 0, cut: 0 };
  await inParallel([0, 1, 2, 3], async () => {
    while (seen.killed < KILLS && seen.runs < 10 * KILLS) {
      const i = seen.runs++;
      const each = cases[i % cases.length]!;
      const share = Number(splitMix64(SEED + BigInt(i)) >> 11n) / 2 ** 53;
      const copy = `kill-${i}.db`;
      const whole = wholeMs.get(each.name);
      const outcome = await runCase(
        program,
        each,
        copy,
        whole === undefined ? 60_000 : whole * (0.6 + 0.5 * share),
      );
      try {
        check(program, copy, each, outcome);
      } catch (error) {
        throw new Error(`run ${i}, ${each.name}, after ${Math.round(outcome.ms)} ms`, { cause: error });
      }
      if (!outcome.killed) wholeMs.set(each.name, outcome.ms);
      seen.killed += outcome.killed ? 1 : 0;
      seen.printed += outcome.stdout !== "" ? 1 : 0;
      seen.cut += outcome.killed && outcome.stdout !== "" ? 1 : 0;
      for (const suffix of ["", "-wal", "-shm"]) {
        if (exists(program.path(copy + suffix))) Deno.removeSync(program.path(copy + suffix));
      }
    }
  });
  console.log(`${KILLS} kills: ${JSON.stringify(seen)}`);
  assert(seen.killed >= KILLS && seen.printed > 0, JSON.stringify(seen));
});

Deno.test("every printing command prints something that the check of kills sees", async () => {
  using program = await furnished();
  const cases = SOAK ? PRINTING : PRINTING.filter((_, i) => i % 4 === 0);
  await inParallel(cases.map((each, i) => ({ each, i })), async ({ each, i }) => {
    const outcome = await runCase(program, each, `whole-${i}.db`, 60_000);
    assert(outcome.stdout !== "" || outcome.stderr !== "", each.name);
    check(program, `whole-${i}.db`, each, outcome);
    // The check can fail: on a host where nothing of it has happened, something is missing.
    let missed = false;
    try {
      Deno.copyFileSync(program.host, program.path(`before-${i}.db`));
      check(program, `before-${i}.db`, each, outcome);
    } catch {
      missed = true;
    }
    assert(missed, `${each.name}: ${outcome.stdout.slice(0, 200)} ${outcome.stderr.slice(0, 200)}`);
  });
});
