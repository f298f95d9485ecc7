/** `exec --audit`: a driver that does one thing which only luck makes work, and the drivers that leave nothing to luck. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Log } from "sarif";
import { sarif } from "../../cmd/run/exec/sarif.ts";
import type { Finding } from "../../lib/exec/audit/findings_of.ts";
import { FINDINGS } from "../../lib/exec/audit/findings.ts";
import { CProgram } from "../support/c_program.ts";
import { DriverProgram, driverTest, LANGUAGE_NAMES } from "../support/driver_program.ts";
import { Program } from "../support/program.ts";

const SOURCE = "tests/exec/luck.c";
const LINES = Deno.readTextFileSync(new URL("luck.c", import.meta.url)).split("\n");

/** Calls whose return address stands in a register that /proc does not show. */
const UNPLACED = Deno.build.arch === "aarch64" ? ["ioctl", "mmap"] : [];

/** Runs the driver that does one thing wrong. @returns exit code and findings */
async function audit(
  program: Program,
  path: string,
  ...args: string[]
): Promise<{ readonly code: number; readonly findings: Finding[] }> {
  const file = program.path("found.json");
  const { code, stdout } = await program.run(["exec", `--audit=${file}`, "--strict", "--", path, ...args]);
  assertEquals(stdout, "", "a check of the driver failed");
  return { code, findings: JSON.parse(new TextDecoder().decode(program.read("found.json"))) };
}

Deno.test("each finding of the table, at the line that it is about, and nothing else", async () => {
  using program = new Program();
  using c = new CProgram(SOURCE, ["-O1", "-g"]);
  const topology = {
    guests: [{ name: "a", functions: [{ fid: 16, uid: 1, vfn: 1 }] }],
    kernel: { recoveryWindow: 3 },
  };
  const file = program.write("topology.json", JSON.stringify(topology));
  for (const name of Object.keys(FINDINGS)) {
    await program.run(["host", "create", "--force", "--from", file]);
    const isError = name === "reset-not-retried" || name === "errors-not-drained";
    if (isError) await program.run(["fault", "add", "event:0x2", "--op", "PCISTB", "--at", "12"]);
    const { code, findings } = await audit(program, c.path, name);
    const others = name === "result-not-checked" ? ["position-not-asked"] : [];
    assertEquals([name, code, [...new Set(findings.map(({ finding }) => finding))].sort()], [
      name,
      1,
      [name, ...others].sort(),
    ]);
    for (const { finding, call, file, line } of findings) {
      if (others.includes(finding) || UNPLACED.includes(call)) continue;
      assertMatch(file!, /\/tests\/exec\/luck\.c$/);
      // Commands that are not asked for their place fail in three lines one after the other.
      const about = finding === "position-not-asked"
        ? LINES.slice(line! - 3, line!).join()
        : LINES[line! - 1]!;
      assertEquals([finding, line, about.includes(finding)], [finding, line, true]);
    }
  }
});

Deno.test("nothing is found in a driver that does nothing of it; --strict keeps its exit code", async () => {
  using program = new Program();
  using c = new CProgram(SOURCE);
  assertEquals(await audit(program, c.path), { code: 0, findings: [] });
  const lax = await program.run(["exec", "--audit", "--", c.path, "bar-mapped"]);
  assertEquals(lax.code, 0);
  assertMatch(
    lax.stderr,
    /error: mmap of a device descriptor .*\[bar-mapped\]\n.*\n {2}rule: vfio\.mmap\.never\n/,
  );
  assertMatch(lax.stderr, /\nism: exec: audit: 1 finding\n$/);
  const failed = await program.run(["exec", "--audit", "--strict", "--", "/bin/sh", "-c", "exit 5"]);
  assertEquals([failed.code, failed.stderr], [5, "ism: exec: audit: 0 findings\n"]);
  const alone = await program.run(["exec", "--strict", "--", "/bin/true"]);
  assertEquals([alone.code, alone.stderr.split("\n")[0]], [2, "ism: exec: --strict needs --audit"]);
});

for (const language of LANGUAGE_NAMES) {
  driverTest(
    `${language}: the example driver leaves nothing to luck, with errors and without`,
    [language],
    async () => {
      using program = new Program();
      using driver = new DriverProgram(language);
      for (
        const [release, ...args] of [["7.3", "0001:00:00.0"], ["7.3", "--cdev", "0001:00:00.0"], ["7.1"]]
      ) {
        await program.run(["host", "create", "--force", "--release", release!]);
        const run = ["exec", "--audit", "--strict", "--", driver.path, ...args];
        const clean = await program.run(run);
        assertEquals([clean.code, clean.stderr], [0, "ism: exec: audit: 0 findings\n"]);
        if (release === "7.1") continue;
        await program.run(["fault", "add", "event:0x2", "--op", "PCISTB", "--at", "9"]);
        await program.run(["fault", "add", "lock:2", "--op", "reset", "--at", "2"]);
        const recovered = await program.run(run);
        assertEquals([recovered.code, recovered.stderr.split("\n").at(-2)], [
          0,
          "ism: exec: audit: 0 findings",
        ]);
      }
    },
  );
}

Deno.test("SARIF has what its schema requires, and names the place", async () => {
  using program = new Program();
  using c = new CProgram(SOURCE, ["-O1", "-g"]);
  const path = program.path("found.sarif");
  const { code, stderr } = await program.run(["exec", `--audit=${path}`, "--", c.path, "bar-mapped"]);
  assertEquals([code, stderr], [0, ""]);
  // What the schema requires is required by the type.
  const shape: (...args: Parameters<typeof sarif>) => Log = sarif;
  assertEquals(shape([], "0").runs.length, 1);
  const log: ReturnType<typeof sarif> = JSON.parse(new TextDecoder().decode(program.read("found.sarif")));
  assertEquals(log.version, "2.1.0");
  const [run] = log.runs;
  assertEquals(run!.tool.driver.name, "ism");
  assertEquals(run!.tool.driver.rules.map(({ id }) => id), Object.keys(FINDINGS));
  const [result, ...more] = run!.results;
  assertEquals(more, []);
  assertEquals([result!.ruleId, result!.level, result!.occurrenceCount], ["bar-mapped", "error", 1]);
  assertEquals(run!.tool.driver.rules[result!.ruleIndex]!.id, "bar-mapped");
  assertMatch(result!.message.text, /^mmap of a device descriptor/);
  const { physicalLocation } = result!.locations[0]!;
  assertMatch(physicalLocation!.artifactLocation.uri, /^file:\/\/\/.*\/tests\/exec\/luck\.c$/);
  assertEquals(LINES[physicalLocation!.region.startLine - 1]!.includes("bar-mapped"), true);
});

Deno.test("findings are part of the document of --json", async () => {
  using program = new Program();
  using c = new CProgram(SOURCE);
  const { code, stdout } = await program.run([
    "exec",
    "--json",
    "--audit",
    "--strict",
    "--",
    c.path,
    "bar-mapped",
  ]);
  const { result } = JSON.parse(stdout);
  assertEquals([code, result.exit, result.findings.length], [1, 1, 1]);
  const { finding, level, rule, times } = result.findings[0];
  assertEquals([finding, level, rule, times], ["bar-mapped", "error", "vfio.mmap.never", 1]);
});
