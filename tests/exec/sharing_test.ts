/** Several programs on one host, in one command and in several, beside ism's own commands. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { CProgram } from "../support/c_program.ts";
import { SLOW } from "../support/slow.ts";
import { documentsOf, exists, type Outcome, Program, sha256 } from "../support/program.ts";

const LONG = Deno.env.get("ISM_SOAK") !== undefined;
const MESSAGES = LONG ? 1_000_000 : SLOW ? 300 : 10_000;
const FILE_BYTES = LONG ? 256 * 2 ** 20 : SLOW ? 2 ** 17 : 4 * 2 ** 20;
const KILLS_OF_OWNER = LONG ? 100 : 6;
/** What takes longer hangs. */
const PATIENCE = LONG || SLOW ? 600_000 : 30_000;

/** What a stream still has. */
async function rest(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (
    const part of stream.pipeThrough(
      new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>,
    )
  ) {
    text += part;
  }
  return text;
}

/** Waits for the end of a command, with what it has printed since; kills it if it hangs. */
async function finish(child: Deno.ChildProcess): Promise<Pick<Outcome, "code" | "stdout" | "stderr">> {
  let isHung = false;
  const timer = setTimeout(() => {
    isHung = true;
    child.kill("SIGKILL");
  }, PATIENCE);
  await child.stdin.close();
  const [{ code }, stdout, stderr] = await Promise.all([
    child.status,
    rest(child.stdout),
    rest(child.stderr),
  ]);
  clearTimeout(timer);
  assert(!isHung, `it hung, and was killed after ${PATIENCE} ms: ${stdout} ${stderr}`);
  return { code, stdout, stderr };
}

/** A program that runs until its standard input ends, and has the host for itself. */
async function ownerOf(program: Program, args: readonly string[] = ["exec", "--", "/bin/cat"]) {
  const child = program.spawn(args);
  for (let tries = 0; !exists(`${program.host}.exec/lock`); tries++) {
    assert(tries < 1000, "nobody takes the host");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return child;
}

const pair = (c: CProgram, side: number, ...rest: string[]) => [
  c.path,
  side === 0 ? "0001:00:00.0" : "0002:00:00.0",
  String(side),
  ...rest,
];

Deno.test(`two terminals: ${MESSAGES} messages there and back, none lost`, async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/pair.c");
  await program.run(["host", "create"]);
  const talk = [program.dir, "messages", String(MESSAGES)];
  const [a, b] = await Promise.all([
    finish(program.spawn(["exec", "--", ...pair(c, 0, ...talk)])),
    finish(program.spawn(["exec", "-d", "1", "--", ...pair(c, 1, ...talk)])),
  ]);
  assertEquals([a.code, a.stdout], [0, `side 0: ${MESSAGES} messages\n`], a.stderr);
  assertEquals([b.code, b.stdout], [0, `side 1: ${MESSAGES} messages\n`], b.stderr);
  assertMatch(a.stderr, /^\d+ messages a second\n/);
  assertEquals((await program.run(["host", "check"])).code, 0);
  assertEquals(exists(`${program.host}.exec`), false);
});

Deno.test(`a file of ${FILE_BYTES} bytes through a ring in a DMB arrives as it is`, async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/pair.c");
  await program.run(["host", "create"]);
  const bytes = new Uint8Array(FILE_BYTES);
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  const input = program.write("in", bytes);
  const [a, b] = await Promise.all([
    finish(program.spawn(["exec", "--", ...pair(c, 0, program.dir, "file", input)])),
    finish(program.spawn(["exec", "-d", "1", "--", ...pair(c, 1, program.dir, "file", program.path("out"))])),
  ]);
  assertEquals([a.code, b.code], [0, 0], a.stderr + b.stderr);
  assertEquals(await sha256(program.read("out")), await sha256(bytes));
});

Deno.test("in one command: each in its guest, exit code of the first that fails", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/pair.c");
  for (const host of [program.host, ":memory:"]) {
    if (host !== ":memory:") await program.run(["host", "create"]);
    const talk = [Deno.makeTempDirSync({ dir: program.dir }), "messages", "100"];
    const line = ["exec", "--", ...pair(c, 0, ...talk), ":", "-d", "1", ...pair(c, 1, ...talk)];
    const { code, stdout } = await program.run(["--host", host, ...line]);
    assertEquals([code, stdout.split("\n").toSorted()], [0, [
      "",
      "side 0: 100 messages",
      "side 1: 100 messages",
    ]]);
  }
  const sh = (text: string) => ["/bin/sh", "-c", text];
  const ends = ["exec", ...sh("exit 0"), ":", ...sh("/bin/sleep 0.1; exit 3"), ":", "--", ...sh("exit 4")];
  const { code, stdout } = await program.run(["--json", ...ends]);
  assertEquals(code, 3);
  const { result } = JSON.parse(stdout);
  assertEquals([result.exit, result.signal], [3, null]);
  assertEquals(result.programs.map(({ exit }: { exit: number }) => exit), [0, 3, 4]);
  const rows: readonly (readonly [args: readonly string[], code: number, stderr: RegExp])[] = [
    [["/bin/true", ":"], 2, /A program is missing behind ":"/],
    [["/bin/true", ":", "--bad", "/bin/true"], 2, /--bad is no option of a program/],
    [["/bin/true", ":", "-d", "9", "/bin/true"], 2, /9/],
    [["/bin/true", ":", "/nonexistent"], 127, /\/nonexistent: No such file or directory/],
  ];
  for (const [args, code, stderr] of rows) {
    const outcome = await program.run(["exec", ...args]);
    assertEquals([args, outcome.code], [args, code], outcome.stderr);
    assertMatch(outcome.stderr, stderr);
  }
});

Deno.test("ism's own commands are answered as ever while a program runs", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const alone = await program.run(["list"]);
  program.write("data", "8 bytes.");
  const owner = await ownerOf(program);
  assertEquals(await program.run(["list"]), alone);
  const rows: readonly (readonly [args: readonly string[], code: number, output: RegExp])[] = [
    [["expect", "EINVAL", "stb", "bar0", "0xff8", "seq:0*9"], 0, /^$/],
    [["stb", "bar0", "0xff8", "seq:0*9"], 1, /^ism: stb: .* \(EINVAL\)\n/],
    [["--json", "stb", "bar0", "0xff8", "seq:0*9"], 1, /"ok":false.*"errno":22/],
    [["peek", "config", "0", "4"], 0, /14 10 ed 04/],
    [["--raw", "peek", "config", "0", "4"], 0, /^[^ ]{2}/],
    [["--trace=syscall", "peek", "config", "0", "4"], 0, /pread64\(\d+, .*\) = 4/],
    [["--json", "--trace=insn", "peek", "bar2", "0"], 0, /"op":"PCILG"/],
    [["poke", "bar2", "8", "0x55", "--width", "8"], 0, /^$/],
    [["write", "bar2", "8", "file:data"], 0, /^$/],
    [["repeat", "2", "gid"], 0, /^(0x[0-9a-f]+\n){2}$/],
    [["explain", "stb", "bar0", "0xff8", "seq:0*9"], 0, /would be refused with EINVAL/],
    [["send", "data", "-o", "copy"], 0, /8 bytes/],
    [["nonsense"], 2, /is not a command/],
    [["peek", "nowhere", "0"], 2, /nowhere/],
    [["send", "missing"], 4, /missing" does not exist/],
    [["host", "reset"], 4, /in use by ism exec; "host reset" needs it for itself/],
    [["host", "delete"], 4, /in use by ism exec/],
    [["-c", "let g gid", "-c", "expect =$g gid"], 0, /^$/],
  ];
  for (const [args, code, output] of rows) {
    const outcome = await program.run(args);
    assertEquals([args, outcome.code], [args, code], outcome.stderr);
    assertMatch(outcome.stderr + outcome.stdout, output, args.join(" "));
  }
  assertEquals(program.read("copy"), program.read("data"));
  const stdin = await program.run(["write", "bar2", "8", "-"], { stdin: "\x01\x02\x03\x04\x05\x06\x07\x08" });
  assertEquals(stdin.code, 0, stdin.stderr);
  const shell = await program.run(["shell"], {
    stdin: "let g gid\nexpect =$g gid\nexec -- /bin/echo $g\ngid\n",
  });
  assertEquals([shell.code, new Set(shell.stdout.split("\n")).size], [0, 2], shell.stderr);
  const documents = documentsOf(await program.script(["open", "status", "close"], "--json"));
  assertEquals(documents.map(({ ok }) => ok), [true, true, true]);
  assertEquals((await finish(owner)).code, 0);
});

Deno.test("a dry run and explain change nothing of a host that programs use", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const owner = await ownerOf(program);
  assertEquals((await program.run(["-n", "open"])).code, 0);
  assertEquals((await program.result("status")).descriptors, []);
  assertEquals((await program.run(["explain", "open"])).code, 0);
  assertEquals((await program.result("status")).descriptors, []);
  assertEquals((await finish(owner)).code, 0);
});

Deno.test("a command that waits is woken by a program, and Ctrl-C ends it alone", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const owner = await ownerOf(program);
  await program.run(["open", "-d", "1"]);
  const gid = (await program.run(["gid", "-d", "1"])).stdout.trim();
  const waiting = program.spawn(["--json", "irq", "wait", "-d", "1", "--timeout", "20"]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  // A signal of a function of the other guest, sent by a line of its own driver.
  assertEquals((await program.run(["signal", gid, "--code", "7"])).code, 0);
  const woken = await finish(waiting);
  assertEquals(woken.code, 0, woken.stderr);
  const other = program.spawn(["irq", "wait", "-d", "1"]);
  await new Promise((resolve) => setTimeout(resolve, 800));
  other.kill("SIGINT");
  const interrupted = await finish(other);
  assertEquals(interrupted.code, 130, interrupted.stderr);
  assertEquals((await program.run(["gid"])).code, 0);
  assertEquals((await finish(owner)).code, 0);
});

Deno.test("the owner is killed: what was acknowledged is there, what a program had open is closed", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/busy.c", ["-O1", "-Wno-unused-result"]);
  await program.run(["host", "create"]);
  const owner = program.spawn(["exec", "--", c.path, "hold"]);
  const reader = owner.stdout.getReader();
  await reader.read();
  assertEquals((await program.run(["open", "-d", "1"])).code, 0);
  const { fd } = (await program.result("status", "-d", "1")).descriptors[0];
  assertMatch((await program.run(["open"])).stderr, /\(EBUSY\)/, "the program has it open");
  owner.kill("SIGKILL");
  await Promise.all([owner.status, reader.cancel(), owner.stderr.cancel(), owner.stdin.close()]);
  assertEquals(exists(`${program.host}.exec/lock`), true);
  const { descriptors } = await program.result("status", "-d", "1");
  assertEquals(descriptors[0].fd, fd);
  assertEquals(exists(`${program.host}.exec`), false, "what it left is removed");
  const { sba, mappings, dmbs } = await program.result("status");
  assertEquals([sba, mappings, dmbs], [null, [], []]);
  assertEquals((await program.run(["host", "check"])).stderr, "");
  assertEquals((await program.run(["open"])).code, 0);
});

Deno.test("the owner is killed: the programs of others find that their devices are gone, and nothing hangs", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/busy.c", ["-O1", "-Wno-unused-result"]);
  await program.run(["host", "create"]);
  // Often in the middle of a call, which the kernel gives to nobody else.
  for (let round = 0; round < KILLS_OF_OWNER; round++) {
    const owner = await ownerOf(program);
    const other = program.spawn(["exec", "--", c.path]);
    const reader = other.stdout.getReader();
    await reader.read();
    reader.releaseLock();
    owner.kill("SIGKILL");
    await Promise.all([owner.status, owner.stdout.cancel(), owner.stderr.cancel(), owner.stdin.close()]);
    const { code, stderr } = await finish(other);
    assertMatch(
      stderr,
      /ism: exec: the ism exec that had the host has ended: its devices are gone \(ENODEV\)\n/,
    );
    assert(code !== 0, "a store failed");
    assertEquals((await program.run(["host", "check"])).code, 0);
  }
});

Deno.test("the owner's program ends first: the owner stays until the last program has ended", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const owner = await ownerOf(program, ["exec", "--", "/bin/sh", "-c", "read x; exit 6"]);
  const other = program.spawn([
    "exec",
    "-d",
    "1",
    "--",
    "/bin/sh",
    "-c",
    "/bin/ls /sys/bus/pci/devices; read x; exit 7",
  ]);
  const reader = other.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "0002:00:00.0\n");
  reader.releaseLock();
  const first = finish(owner);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assertEquals(exists(`${program.host}.exec/lock`), true);
  assertEquals((await program.run(["gid"])).code, 0);
  assertEquals((await finish(other)).code, 7);
  const { code, stderr } = await first;
  assertEquals(code, 6);
  assertMatch(stderr, /others on this host go on, and this process stays until they end \(1 program\)/);
});

Deno.test("the owner that only waits for others ends by Ctrl-C, and their devices are gone", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  const owner = await ownerOf(program, ["exec", "--", "/bin/sh", "-c", "read x"]);
  const other = program.spawn(["exec", "-d", "1", "--", "/bin/sh", "-c", "echo here; read x; exit 7"]);
  const reader = other.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  const lines = owner.stderr.getReader();
  await owner.stdin.close();
  assertMatch(new TextDecoder().decode((await lines.read()).value), /this process stays until they end/);
  owner.kill("SIGINT");
  assertEquals((await owner.status).signal, "SIGINT");
  await Promise.all([lines.cancel(), owner.stdout.cancel()]);
  const { code, stderr } = await finish(other);
  assertEquals(code, 7);
  assertMatch(stderr, /its devices are gone \(ENODEV\)/);
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test("only the user who started it may ask, and a folder that nobody holds is no hindrance", async () => {
  using program = new Program();
  await program.run(["host", "create"]);
  Deno.mkdirSync(`${program.host}.exec`, { mode: 0o700 });
  Deno.writeTextFileSync(`${program.host}.exec/lock`, "1");
  assertEquals((await program.run(["gid"])).code, 0);
  const owner = await ownerOf(program);
  assertEquals(Deno.statSync(`${program.host}.exec`).mode! & 0o777, 0o700);
  assertEquals(Deno.statSync(`${program.host}.exec/lock`).mode! & 0o777, 0o600);
  assertEquals((await finish(owner)).code, 0);
  assertEquals(exists(`${program.host}.exec`), false);
});

Deno.test("the audit of a program that joins is told by the command that started it, and by nobody else", async () => {
  using program = new Program();
  using c = new CProgram("tests/exec/luck.c", ["-O1", "-g"]);
  await program.run([
    "host",
    "create",
    "--force",
    "--from",
    program.write(
      "topology.json",
      JSON.stringify({
        guests: [{ name: "a", functions: [{ fid: 16, uid: 1, vfn: 1 }] }],
      }),
    ),
  ]);
  const owner = await ownerOf(program);
  const file = program.path("found.json");
  const run = ["exec", `--audit=${file}`, "--strict", "--", c.path];
  const found = () => JSON.parse(new TextDecoder().decode(program.read("found.json")));
  assertEquals((await program.run(run)).code, 0);
  assertEquals(found(), []);
  const { code, stderr } = await program.run([...run, "bar-mapped"]);
  assertEquals([code, stderr], [1, ""]);
  const [finding, ...more] = found();
  assertEquals([finding.finding, finding.file.split("/").at(-1), more], ["bar-mapped", "luck.c", []]);
  const told = await program.run(["exec", "--audit", "--", c.path, "bar-mapped"]);
  assertEquals(told.code, 0);
  assertMatch(told.stderr, /luck\.c:\d+: error: mmap of a device descriptor .*\[bar-mapped\]\n/);
  assertMatch(told.stderr, /\nism: exec: audit: 1 finding\n$/);
  const ended = await finish(owner);
  assertEquals([ended.code, ended.stdout, ended.stderr], [0, "", ""]);
});
