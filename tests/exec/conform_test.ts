/** `ism conform`: on which machines a program ends well, and where it goes a way of its own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { DriverProgram, driverTest, LANGUAGE_NAMES } from "../support/driver_program.ts";
import { exists, Program } from "../support/program.ts";

interface Run {
  readonly machine: string;
  readonly ended: string;
  readonly how: string;
  readonly calls: number;
  readonly output: string;
  readonly difference: {
    readonly expected: unknown;
    readonly got: { readonly number: number; readonly text: string; readonly result: string };
  } | null;
}

/** Runs a program on all machines. @returns exit code and runs by machine */
async function conform(
  program: Program,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly runs: Readonly<Record<string, Run>> }> {
  const { code, stdout, stderr } = await program.run(["conform", "--json", ...args]);
  assertEquals(stderr, "");
  const runs: readonly Run[] = JSON.parse(stdout).result.runs;
  return { code, runs: Object.fromEntries(runs.map((run) => [run.machine, run])) };
}

/** Names of the machines on which runs ended in a way. */
function where(runs: Readonly<Record<string, Run>>, ended: string): string[] {
  return Object.values(runs).filter((run) => run.ended === ended).map(({ machine }) => machine);
}

/** With regions 2^40 bytes apart no DMB can be reached, and strict rules refuse the header of every command. */
const NOT_FOR_ISM = ["regionLayout=legacy40", "storeBlock=strict8"];

for (const language of LANGUAGE_NAMES) {
  driverTest(
    `${language}: the example driver conforms, through group and character device`,
    [language],
    async () => {
      using program = new Program();
      using driver = new DriverProgram(language);
      for (const args of [[], ["--cdev"]]) {
        const { code, runs } = await conform(program, "--", driver.path, ...args);
        assertEquals([code, where(runs, "badly"), where(runs, "cannot")], [0, [], NOT_FOR_ISM]);
        for (const machine of where(runs, "well")) assertMatch(runs[machine]!.output, /data arrived\n$/);
      }
      assert(!exists(program.host), "the host file is not touched");
    },
  );
}

driverTest("the C driver conforms in all combinations", ["c"], async () => {
  using program = new Program();
  using driver = new DriverProgram("c");
  const { code, runs } = await conform(program, "--all", "--", driver.path);
  assertEquals([code, where(runs, "badly")], [0, []]);
  const impossible = Object.keys(runs).filter((name) => NOT_FOR_ISM.some((word) => name.includes(word)));
  assertEquals(where(runs, "cannot"), impossible);
});

Deno.test("a driver that hard-codes where regions are fails where they are elsewhere, at the first such call", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/luck.c");
  const with48 = await conform(program, "--", c.path, "position-not-asked");
  assertEquals(with48.code, 1);
  const layouts = ["legacy40", "dynamic", "reordered", "packed"].map((name) => `regionLayout=${name}`);
  assertEquals(where(with48.runs, "badly").filter((name) => name.startsWith("regionLayout")), layouts);
  assertEquals(with48.runs["reference"]!.ended, "well");
  for (const layout of layouts) {
    assertEquals(with48.runs[layout]!.difference?.got, {
      number: 15,
      text: "pwrite64 outside of all regions",
      result: "EINVAL",
    });
  }
  const with40 = await conform(program, "--", c.path, "forty");
  assertEquals([with40.code, where(with40.runs, "well")], [1, ["regionLayout=legacy40"]]);
});

Deno.test("limits: a block over imaxstbl fails where the limit is lower, an interrupt that 7.1 has not fails there", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/luck.c");
  const { code, runs } = await conform(program, "--", c.path);
  assertEquals(code, 1);
  assertEquals(
    where(runs, "badly").filter((name) => /^(maxstbl|release|responseDelay|dmaWindow)/.test(name)),
    [
      "release=7.1",
      "maxstbl=128",
    ],
  );
  assertEquals(runs["maxstbl=128"]!.difference?.got.result, "EINVAL");
});

Deno.test("table, TAP and JUnit tell the same; exit codes", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/luck.c");
  const table = await program.run(["conform", "--", c.path]);
  assertMatch(table.stdout, /^MACHINE +ENDED +HOW +LAST LINE OF OUTPUT +FIRST CALL THAT WENT DIFFERENTLY\n/);
  assertMatch(table.stdout, /\nreference +well +exit 0 +-\n/);
  assertMatch(
    table.stdout,
    /\nmaxstbl=128 +badly +exit 99 .*luck.*\d+: pwrite64 region 0 .* = EINVAL, and not .* = 256 bytes\n/,
  );
  const file = program.path("junit.xml");
  const tap = await program.run(["conform", "--tap", "--junit", file, "--", c.path]);
  const points = tap.stdout.match(/^(not )?ok \d+ - .*$/gm)!;
  assertEquals([table.code, tap.code, tap.stdout.split("\n").at(-2)], [1, 1, `1..${points.length}`]);
  assertEquals(points[0], "ok 1 - reference");
  assert(points.some((line) => /^not ok \d+ - maxstbl=128$/.test(line)));
  const xml = new TextDecoder().decode(program.read("junit.xml"));
  assertEquals(xml.match(/<testcase /g)?.length, points.length);
  assertEquals(xml.match(/<failure /g)?.length, points.filter((line) => line.startsWith("not")).length);
  const skipped = await program.run(["conform", "--tap", "--", "/bin/sh", "-c", "echo not here; exit 77"]);
  assertEquals(skipped.code, 0);
  assertMatch(skipped.stdout, /^ok 1 - reference # SKIP not here$/m);
});

Deno.test("programs that hang are killed, programs that are not there are told", async () => {
  using program = new Program();
  const late = await program.run([
    "conform",
    "--timeout",
    "0.2",
    "--json",
    "--",
    "/bin/sh",
    "-c",
    "/bin/sleep 60; echo",
  ]);
  assertEquals(late.code, 1);
  for (const { how, ended, milliseconds } of JSON.parse(late.stdout).result.runs) {
    assertEquals([how, ended, milliseconds < 30_000], ["timeout", "badly", true]);
  }
  // No program has come up by then.
  const atOnce = await program.run(["conform", "--timeout", "0.001", "--json", "--", "/bin/sleep", "60"]);
  for (const { how, milliseconds } of JSON.parse(atOnce.stdout).result.runs) {
    assertEquals([how, milliseconds < 30_000], ["timeout", true]);
  }
  const missing = await program.run(["conform", "--", "/no/such/program"]);
  assertEquals(missing.code, 127);
  assertMatch(missing.stderr, /^ism: conform: \/no\/such\/program: .*not found\n$/);
  const crash = await conform(program, "--", "/bin/sh", "-c", "kill -SEGV $$");
  assertEquals([crash.code, crash.runs["reference"]!.how], [1, "signal 11"]);
});

Deno.test("the reference may be any topology, and -d names the guest", async () => {
  using program = new Program();
  const topology = {
    guests: [{ name: "only", functions: [{ fid: 9, uid: 5 }] }],
    kernel: { release: "7.1" },
  };
  const file = program.write("topology.json", JSON.stringify(topology));
  const ls = ["/bin/ls", "/sys/bus/pci/devices"];
  const { code, runs } = await conform(program, "--from", file, "--", ...ls);
  assertEquals([code, runs["reference"]!.output], [0, "0005:00:00.0\n"]);
  assertEquals(Object.keys(runs).filter((name) => name.startsWith("release=")), ["release=7.3"]);
  const other = await conform(program, "-d", "1", "--", ...ls);
  assertEquals(other.runs["reference"]!.output, "0002:00:00.0\n");
  const none = await program.run(["conform", "-d", "7", "--", ...ls]);
  assertEquals(none.code, 2);
  const dry = await program.run(["conform", "--dry-run", "--", ...ls]);
  assertEquals(dry.code, 2);
});
