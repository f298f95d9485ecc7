/** `--watch`: a picture on a terminal, one result after the other in a pipe. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";
import { KEY, NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const HOME = "\x1b[H";
const ENTER = "\x1b[?1049h";
const LEAVE = "\x1b[?1049l";

function onTerminal(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: NO_TERMINAL, fn: work });
}

/** The lines of the last picture. */
function picture(output: string): string[] {
  return plain(output.slice(output.lastIndexOf(HOME)).split("\x1b[J")[0]!).split("\n");
}

for (const columns of [40, 60, 80, 200]) {
  onTerminal(`list --watch is drawn anew in ${columns} columns, and q brings the screen back`, async () => {
    using program = new Program();
    await using run = new TerminalRun(program, ["list", "--watch", "0.2"], { columns });
    await run.until("\x1b[J");
    await program.result("open", "-d", "1");
    await run.until("enabled, open");
    await run.until("\x1b[J");
    const lines = picture(run.output.slice(0, run.output.lastIndexOf("\x1b[J") + 3));
    assertMatch(lines[0]!, /^every 0\.2 s: ism list/);
    assertEquals(lines[1], "");
    assertMatch(lines[2]!, /^# {2}ADDRESS .*STATE$/);
    assertEquals(lines.length, 5);
    for (const line of lines) assert(line.length <= columns, line);
    await run.type("q");
    assertEquals(await run.end(), 0);
    assertEquals(run.output.split(ENTER).length, 2);
    assert(run.output.endsWith(LEAVE), "nothing is left on the screen");
    assertStringIncludes(run.output, "\x1b[?25h");
  });
}

onTerminal("Ctrl-C ends a watch with exit code 0, and the terminal is as before", async () => {
  using program = new Program();
  // The shell around it gets the signal, too.
  const watch = program.commandLine(["status", "--watch"]);
  const line = `trap : INT; stty -g >before; ${watch}; code=$?; stty -g >after; exit $code`;
  await using run = new TerminalRun(program, line);
  await run.until("dmbs");
  await run.until("\x1b[J");
  await run.type(KEY.CTRL_C);
  assertEquals(await run.end(), 0);
  assert(run.output.includes(LEAVE));
  assertEquals(program.read("after"), program.read("before"));
});

onTerminal("a watch that fails leaves its screen and says why", async () => {
  using program = new Program();
  await program.result("host", "create");
  await using run = new TerminalRun(program, ["list", "--watch=0.1", "--host", program.host]);
  await run.until("\x1b[J");
  Deno.removeSync(program.host);
  assertEquals(await run.end(), 4);
  assertMatch(plain(run.output.split(LEAVE)[1]!), /^ism: .*There is no host file/);
});

onTerminal("irq --watch keeps what it has taken in view", async () => {
  using program = new Program();
  const g1 = (await program.result("gid", "-d", "1")).gid;
  await program.result("events", "-d", "1");
  await using run = new TerminalRun(program, ["irq", "-d", "1", "--watch", "0.1"]);
  await run.until("0 interrupts");
  await program.result("signal", g1, "--code", "0x107", "--info", "0x1");
  await run.until("software");
  await program.result("signal", g1, "--code", "0x208", "--info", "0x2");
  await run.until("0x208");
  await run.until("\x1b[J");
  const lines = picture(run.output.slice(0, run.output.lastIndexOf("\x1b[J") + 3));
  assert(
    lines.some((line) => line.includes("0x107")) && lines.some((line) => line.includes("0x208")),
    `${lines}`,
  );
  await run.type("q");
  assertEquals(await run.end(), 0);
});

onTerminal("more than fits is counted", async () => {
  using program = new Program();
  await program.result("host", "create", "--functions", "64");
  await using run = new TerminalRun(program, ["list", "--watch"]);
  await run.until("\x1b[J");
  await run.type("q");
  await run.end();
  const lines = picture(run.output);
  assertEquals(lines.length, 24);
  assertEquals(lines.at(-1), "and 44 more lines");
});

/** Runs until so much is printed, then sends SIGINT. */
async function inPipe(program: Program, args: readonly string[], enough: RegExp) {
  const child = program.spawn(args);
  await child.stdin.close();
  let stdout = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    stdout += decoder.decode(bytes, { stream: true });
    if (enough.test(stdout)) {
      child.kill("SIGINT");
      break;
    }
  }
  const { code } = await child.status;
  const stderr = await new Response(child.stderr).text();
  return { code, stdout, stderr, bytes: new Uint8Array() };
}

Deno.test("in a pipe results come one after the other, with an empty line between them", async () => {
  using program = new Program();
  const whole = (await program.run(["list"])).stdout;
  const { code, stdout, stderr } = await inPipe(program, ["list", "--watch", "0.1"], /(#[^#]*){3}/);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split(`${whole}\n`).join(""), whole);
});

Deno.test("in a pipe --json prints a document a line", async () => {
  using program = new Program();
  const outcome = await inPipe(program, ["dmb", "list", "--watch=0.1", "--json"], /(.*\n){3}/);
  assertEquals([outcome.code, outcome.stderr], [0, ""]);
  for (const { command, ok } of documentsOf(outcome)) assertEquals([command, ok], ["dmb list", true]);
});

Deno.test("a pipe that nobody reads ends a watch", async () => {
  using program = new Program();
  const { code, stdout } = await program.shell("ism list --watch 0.1 | head -n 1");
  assertEquals([code, stdout.startsWith("#")], [0, true]);
});

Deno.test("--watch is refused where it cannot be", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, said: string])[] = [
    ["list --watch 0.01", "the shortest pause is 0.1 seconds"],
    ["list --watch soon", "There is no place for"],
    ["list --watch=soon", "soon"],
    ["gid --watch", "not an option here"],
    ["repeat 2 list --watch", "--watch is for a command line of its own"],
  ];
  for (const [line, said] of rows) {
    const { code, stderr } = await program.run(line.split(" "));
    assertEquals([line, code], [line, 2]);
    assertStringIncludes(stderr, said);
  }
  const { code, stderr } = await program.script(["gid", "list --watch"]);
  assertEquals(code, 2);
  assertMatch(stderr, /^stdin:2:6: --watch is for a command line of its own/);
});
