/** Standard streams: closed pipes, full devices, slow readers, colours. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, documentsOf, inParallel, Program } from "./support/program.ts";

const ESCAPE = "\x1b[";

/** Reads the first bytes, closes the pipe, and waits for the end. */
async function readStart(
  program: Program,
  args: readonly string[],
): Promise<{ code: number; stderr: string }> {
  const child = program.spawn(args);
  await child.stdin.close();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert(value !== undefined && value.length > 0);
  await reader.cancel();
  const stderr = await new Response(child.stderr).text();
  const { code } = await child.status;
  return { code, stderr };
}

Deno.test("ism ends quietly when nobody reads its output any more", async () => {
  using program = new Program();
  await program.result("host", "create");
  program.write("file", new Uint8Array(2 ** 20));
  const rows = [
    ["repeat", "20000", "peek", "bar2", "0", "64"],
    ["send", "file", "-o", "-"],
    ["--raw", "peek", "bar2", "0", "64k"],
    ["help"],
    ["--json", "repeat", "100", "peek", "bar2", "0", "64k"],
  ];
  await inParallel(rows, async (args) => {
    assertEquals(await readStart(program, args), { code: 0, stderr: "" }, args.join(" "));
  });
});

Deno.test("ism prints all of a long output to a reader that is slow", async () => {
  using program = new Program();
  const child = program.spawn(["-c", "repeat 3000 peek bar2 0 64 --width 8"]);
  await child.stdin.close();
  // The pipe is full long before the program is done.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const lines = (await new Response(child.stdout).text()).trimEnd().split("\n");
  const stderr = await new Response(child.stderr).text();
  assertEquals([(await child.status).code, stderr, lines.length], [0, "", 3000 * 5]);
});

Deno.test("ism in front of head ends without a word", async () => {
  using program = new Program();
  const outcome = await program.shell("{ ism help; echo $? >code; } | head -n 1");
  assertEquals([outcome.stdout.split("\n").length, outcome.stderr], [2, ""]);
  assertEquals(program.read("code"), new TextEncoder().encode("0\n"));
});

Deno.test("ism says that its output cannot be written, with exit code 4", async () => {
  using program = new Program();
  // A device that is always full; not every system has one.
  if ((await program.shell("test -c /dev/full")).code !== 0) return;
  await program.result("host", "create");
  const lines = [
    "gid",
    "--json gid",
    "-c gid -c list",
    "help",
    "--raw peek config 0 4",
    "--version",
    "--json sned",
  ];
  await inParallel(lines, async (line) => {
    const { code, stderr } = await program.shell(`ism ${line} >/dev/full`);
    assertEquals(code, 4, `${line}: ${stderr}`);
    assertMatch(stderr, /^ism: .*Output cannot be written: [^\n]*\n$/);
  });
  const mute = await program.shell("ism gid 2>/dev/full; ism sned 2>/dev/full");
  assertEquals([mute.code, mute.stderr], [2, ""]);
});

Deno.test("ism colours only where it is told to, or on a terminal without NO_COLOR", async () => {
  using program = new Program();
  await program.result("host", "create");
  const rows: readonly (readonly [args: string, noColor: string, coloured: boolean])[] = [
    ["list", "", false],
    ["list --color=always", "", true],
    ["list --color=always", "1", true],
    ["list --color=auto", "", false],
    ["list --color=never", "", false],
    ["help --color always", "", true],
  ];
  await inParallel(rows, async ([args, noColor, coloured]) => {
    const { stdout, code } = await program.run(args.split(" "), { env: { NO_COLOR: noColor } });
    assertEquals([code, stdout.includes(ESCAPE)], [0, coloured], `${args} ${noColor}`);
  });
  const failed = await program.run(["-v", "--color=always", "stb", "bar0", "0xff8", "seq:0*9"]);
  assert(failed.stderr.includes(ESCAPE));
  const json = await program.run(["--json", "--color=always", "list"]);
  assert(!json.stdout.includes(ESCAPE));
});

Deno.test("ism -q prints no results, and failures all the same", async () => {
  using program = new Program();
  const quiet = await program.run(["-q", "list"]);
  assertEquals([quiet.code, quiet.stdout, quiet.stderr], [0, "", ""]);
  const failed = await program.run(["-q", "info", "6"]);
  assertEquals([failed.code, failed.stdout], [1, ""]);
  assertMatch(failed.stderr, /^ism: info: /);
});

Deno.test("ism reads data from standard input, none at all included", async () => {
  using program = new Program();
  assertEquals((await program.run(["stb", "bar2", "8", "-"], { stdin: "piped bytes" })).code, 0);
  const { bytes } = await program.run(["--raw", "peek", "bar2", "8", "11"]);
  assertEquals(new TextDecoder().decode(bytes), "piped bytes");
  const [nothing] = documentsOf(await program.run(["--json", "--trace=insn", "stb", "bar2", "8", "-"]));
  assertEquals([nothing!.result.ret, nothing!.trace], [0, []]);
  const topology = await program.run(["host", "create", "--force", "--from", "-"], { stdin: "{" });
  assertEquals(topology.code, 4);
  assertNoStack(topology);
});
