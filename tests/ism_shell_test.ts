/** The shell without a terminal: lines from a pipe, as they arrive; and beside other processes on one host file. */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { assertNoStack, documentsOf, exists, inParallel, type Outcome, Program } from "./support/program.ts";

/** Runs lines through the shell. */
function shell(program: Program, lines: readonly string[], ...options: string[]): Promise<Outcome> {
  const env = { XDG_STATE_HOME: program.path("state") };
  return program.run(["shell", ...options], { stdin: lines.map((line) => `${line}\n`).join(""), env });
}

/** A shell that is written to and read from line by line. */
class Dialogue implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly errors: Promise<string>;
  #rest = "";

  constructor(program: Program, ...options: string[]) {
    this.#child = program.spawn(["shell", ...options]);
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.errors = new Response(this.#child.stderr).text();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Writes a line and waits for one line of output. */
  async ask(line: string): Promise<string> {
    await this.tell(line);
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const answer = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return answer;
      }
      const { value, done } = await this.#reader.read();
      assert(!done, `no answer to ${line}`);
      this.#rest += value;
    }
  }

  async tell(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends the input and waits. */
  async end(): Promise<number> {
    await this.#writer.close().catch(() => {});
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#reader.cancel();
    await this.errors;
  }
}

Deno.test("ism shell runs the lines of a pipe without a prompt, goes on after failures, and ends with the first one's code", async () => {
  using program = new Program();
  const { code, stdout, stderr } = await shell(program, [
    "let g gid -d 1",
    "rgid $g",
    "",
    "# a comment",
    "stb bar0 0xff8 seq:0*9",
    "expect EIO gid",
    "let t dmb register --size 4k --rgid \\",
    "  $g",
    "dmb read $t 0 2",
  ]);
  assertEquals(code, 1);
  assertMatch(stdout, /^0x[0-9a-f]+ is reachable\n00000000 {2}00 00 .*\n00000002\n$/);
  assertMatch(
    stderr,
    /^stdin:5:1: Length 9 at 0xff8 crosses [^\n]*\(EINVAL\)\n5 \| stb [^\n]*\n {4}\^\n {2}rule: [^\n]*\n {2}hint: [^\n]*\nstdin:6:1: Expected EIO /,
  );
  assertNoStack({ code, stdout, stderr, bytes: new Uint8Array() });
  assert(!exists(program.path("state")), "no history of what nobody typed");
});

Deno.test("ism shell answers each line before the next one comes", async () => {
  using program = new Program();
  await using dialogue = new Dialogue(program);
  const gid = await dialogue.ask("gid");
  assertMatch(gid, /^0x[0-9a-f]{16}$/);
  assertEquals(await dialogue.ask(`rgid ${gid} -d 1`), `${gid} is reachable`);
  await dialogue.tell("no such line");
  assertEquals(await dialogue.ask("gid"), gid);
  assertEquals(await dialogue.end(), 2);
});

Deno.test("ism shell --json gives one document a line, with its place", async () => {
  using program = new Program();
  const outcome = await shell(
    program,
    ["gid", "", "peek \\", "config 0 4", "peek bar9 0", "nonsense", "let x gid", "gid -d $x"],
    "--json",
    "-d",
    "1",
  );
  const documents = documentsOf(outcome);
  assertEquals(
    documents.map(({ command, ok, error, file, line }) => [command, ok, error?.code, file, line]),
    [
      ["gid", true, undefined, "stdin", 1],
      ["peek", true, undefined, "stdin", 3],
      ["peek", false, "USAGE", "stdin", 5],
      [null, false, "USAGE", "stdin", 6],
      ["let", true, undefined, "stdin", 7],
      ["gid", false, "USAGE", "stdin", 8],
    ],
  );
  assertEquals(documents[1]!.result.data, "1410ed04");
  const [other] = documentsOf(await program.run(["--json", "gid", "-d", "1"]));
  assertEquals(documents[0]!.result, other!.result, "options of the start go for every line");
  assertEquals(outcome.code, 2);
});

Deno.test("ism shell --dry-run keeps nothing, and each line commits without it", async () => {
  using program = new Program();
  await program.result("host", "create");
  const before = program.state();
  assertEquals((await shell(program, ["stb bar2 8 hex:01", "vlan add 5"], "-n")).code, 0);
  assertEquals(program.state(), before);
  assertEquals((await shell(program, ["stb bar2 64 hex:01", "stb bar0 0 hex:01", "gid"])).code, 1);
  assertEquals((await program.run(["--raw", "peek", "bar2", "64", "1"])).bytes, Uint8Array.of(1));
});

Deno.test("ism shell refuses what makes no sense for it", async () => {
  using program = new Program();
  const rows: readonly (readonly [args: readonly string[], code: number, sentence: RegExp])[] = [
    [["shell", "-c", "gid"], 2, /-c and the command "shell" exclude each other/],
    [["shell", "--keep-going"], 2, /--keep-going and --commit-each are for run and -c/],
    [["shell", "--json", "--raw"], 2, /--json and --raw exclude each other/],
    [["shell", "file"], 2, /There is no place for "file"/],
    [["shell", "--host", "missing.db"], 4, /There is no host file missing\.db/],
    [["expect", "ok", "shell"], 2, /"shell" cannot stand behind "expect"/],
  ];
  await inParallel(rows, async ([args, code, sentence]) => {
    const outcome = await program.run(args, { stdin: "gid\n" });
    assertEquals(outcome.code, code, args.join(" "));
    assertMatch(outcome.stderr, sentence);
  });
  const lines = [
    "shell",
    "run x",
    "host reset",
    "stb bar2 8 -",
    "send -",
    "gid --json",
  ];
  const { stderr, stdout } = await shell(program, lines);
  assertEquals(stdout, "");
  for (const line of lines.keys()) assertMatch(stderr, new RegExp(`^stdin:${line + 1}:`, "m"));
  assertEquals(stderr.match(/Standard input holds the lines of the shell/g)?.length, 2);
});

Deno.test("ism shell takes lines of any shape", async () => {
  using program = new Program();
  const start = new TextEncoder().encode("gid -q\n# ");
  const feed = (...parts: readonly (string | Uint8Array)[]) =>
    new Blob([start as BlobPart, ...parts as BlobPart[]]).bytes();
  const long = "x".repeat(5 * 2 ** 20);
  const rows: readonly (readonly [input: Uint8Array, code: number, stderr: RegExp])[] = [
    [await feed("\r\ngid -q\r\nlist -q"), 0, /^$/],
    [await feed("\n", Uint8Array.of(0xff), "\ngid -q\n"), 2, /^stdin:3:1: The line is not text in UTF-8\n/],
    [await feed("\n\0\n"), 2, /^stdin:3:1: a NUL character/],
    [await feed(long, "\nstb bar2 8 hex:\n"), 2, /^stdin:2:1: the line is longer than 1 MiB/],
    [await feed("\npeek bar2 \\"), 2, /^stdin:3:11: nothing follows the backslash/],
    [await feed("\ngid '\nno\n"), 2, /^stdin:3:5: the ' quote has no end/],
    [await feed("\nexit\nnonsense\n"), 0, /^$/],
    [await feed("\n info 6\nquit\nnonsense\n"), 1, /^stdin:3:2: /],
    [await feed("\n'exit'\n"), 2, /^stdin:3:1: "exit" is not a command/],
    [
      await feed("\ngid \x1b[31m\u202ered\n"),
      2,
      /^stdin:3:5: There is no place for "\\x1b\[31m\\u\{202e\}red"/,
    ],
    [new Uint8Array(), 0, /^$/],
  ];
  await program.result("host", "create");
  await inParallel(rows, async ([stdin, code, expected]) => {
    const { stderr, ...outcome } = await program.run(["shell"], { stdin });
    assertMatch(stderr, expected);
    assertEquals(outcome.code, code, stderr);
    assert(!stderr.includes("\x1b") && stderr.length < 2000);
  });
});

Deno.test("ism --json escapes what would act on a terminal, and means the same", async () => {
  using program = new Program();
  const name = "a\u009b31m\u202e\u007fb";
  program.write("file", "x");
  const outcome = await shell(program, [`send file -o '${name}'`], "--json");
  assert(!/[^\n -~]/.test(outcome.stdout), outcome.stdout);
  assertEquals(documentsOf(outcome)[0]!.result.out, name);
});

Deno.test("an empty line after peek does nothing where nobody types", async () => {
  using program = new Program();
  const { stdout } = await shell(program, ["peek bar2 0 2", "", "", "peek bar2 0 2"]);
  assertEquals(stdout.match(/^00000002$/gm)?.length, 2);
});

Deno.test("ism shell ends quietly when nobody reads its output any more", async () => {
  using program = new Program();
  // Many lines, but not for ever: a shell that does not end must not stay behind this test.
  const { stdout, stderr, code } = await program.shell(
    `{ yes gid '#${
      " padding".repeat(50)
    }' | head -n 2000 | { ism shell; echo $? >code; wc -l >rest; }; } | head -n 2`,
  );
  assertEquals([code, stdout.split("\n").length, stderr], [0, 3, ""]);
  assertEquals(program.read("code"), new TextEncoder().encode("0\n"));
  assert(Number(new TextDecoder().decode(program.read("rest"))) > 1000, "it did not read on to the end");
});

Deno.test("Ctrl-C ends ism shell behind a pipe with 130, and a wait takes back what it offered", async () => {
  using program = new Program();
  await using dialogue = new Dialogue(program);
  assertMatch(await dialogue.ask("gid"), /^0x/);
  await dialogue.tell("recv -d 1\nvlan add 9");
  while ((await program.result("host", "export")).document.state.rendezvous?.length !== 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  dialogue.kill("SIGINT");
  assertEquals(await dialogue.end(), 130);
  assertMatch(await dialogue.errors, /Interrupted/);
  assertEquals((await program.result("host", "export")).document.state.rendezvous, []);
  assertEquals((await program.result("vlan", "list")).ids, [], "no line runs behind it");
});

/** The result of a line of a dialogue with `--json`. */
// deno-lint-ignore no-explicit-any -- a test knows the shape of what it asked for
async function resultOf(dialogue: Dialogue, line: string): Promise<any> {
  const document = JSON.parse(await dialogue.ask(line));
  assert(document.ok, JSON.stringify(document));
  return document.result;
}

Deno.test("ism shell and other processes see what each other did, line by line", async () => {
  using program = new Program();
  await using dialogue = new Dialogue(program, "--json");
  const { value: gid } = await resultOf(dialogue, "let g gid");
  for (let i = 1; i <= 3; i++) {
    await program.result("stb", "bar2", "8", `hex:0${i}`);
    assertEquals((await resultOf(dialogue, "peek bar2 8 1")).data, `0${i}`);
    await resultOf(dialogue, `stb bar2 16 hex:a${i}`);
    assertEquals((await program.result("peek", "bar2", "16", "1")).data, `a${i}`);
    // Memory of a guest, written by the one and read by the other.
    const { token } = await program.result("dmb", "register", "--size", "4k", "--rgid", gid, "-d", "1");
    await resultOf(dialogue, `move ${token} 0 text:from-shell-${i}`);
    const { data } = await program.result("dmb", "read", token, "0", "12", "-d", "1");
    assertEquals(new TextDecoder().decode(Uint8Array.fromHex(data)), `from-shell-${i}`);
    const { value: own } = await resultOf(dialogue, "let t dmb register --size 4k --rgid 0x1");
    assertEquals((await program.result("dmb", "list")).dmbs.at(-1).token, own);
    await program.result("dmb", "unregister", own);
    assertMatch(await dialogue.ask("dmb read $t"), /"ok":false/);
  }
  // An interrupt for another process, and one from it.
  await resultOf(dialogue, "irq -d 1");
  const waiting = program.result("irq", "wait", "--timeout", "20");
  await program.result("events", "-d", "1");
  const peer = (await resultOf(dialogue, "gid -d 1")).gid;
  const ready = async () => (await program.result("status")).ieq !== null;
  while (!await ready()) await new Promise((resolve) => setTimeout(resolve, 50));
  await resultOf(dialogue, `signal ${gid} --code 7 -d 1`);
  assertEquals((await waiting).events.map(({ code }: { code: number }) => code), [7]);
  const [answer] = await Promise.all([
    resultOf(dialogue, "irq wait -d 1 --timeout 20"),
    program.result("signal", peer, "--code", "8"),
  ]);
  assertEquals(answer.events.map(({ code }: { code: number }) => code), [8]);
});

Deno.test("ism shell holds nothing between lines, and what it acknowledged survives its death", async () => {
  using program = new Program();
  await using dialogue = new Dialogue(program, "--json");
  await resultOf(dialogue, "stb bar2 8 hex:77");
  // Commands wait up to 5 seconds for a lock.
  const started = performance.now();
  await program.result("stb", "bar2", "9", "hex:88");
  await program.result("host", "reset");
  assertLess(performance.now() - started, 5000);
  assertEquals(
    (await resultOf(dialogue, "peek bar2 8 2")).data,
    "0000",
    "after a power cycle by another process",
  );
  await resultOf(dialogue, "stb bar2 8 hex:77");
  dialogue.kill("SIGKILL");
  await dialogue.end();
  assertEquals((await program.result("peek", "bar2", "8", "2")).data, "7700");
  await program.result("host", "check");
});

Deno.test("ism shell goes over to a host file that another process put in the place of its own", async () => {
  using program = new Program();
  await using dialogue = new Dialogue(program, "--json");
  const { gid } = await resultOf(dialogue, "gid");
  await program.result("host", "create", "--force", "--seed", "99");
  const other = await program.result("gid");
  assert(other.gid !== gid);
  assertEquals(await resultOf(dialogue, "gid"), other);
  await resultOf(dialogue, "stb bar2 8 hex:55");
  assertEquals((await program.result("peek", "bar2", "8", "1")).data, "55");
  await program.result("host", "delete");
  // The default host is created at first use.
  assertEquals((await resultOf(dialogue, "gid")).gid, gid);
  await using named = new Dialogue(program, "--json", "--host", program.host);
  await resultOf(named, "gid");
  await program.result("host", "delete");
  assertMatch(await named.ask("gid"), /"code":"FILE","message":"There is no host file /);
});
