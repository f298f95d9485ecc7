/** Transfers that fail or are interrupted: no DMB, no mapping, no part of a file, and a word about what is left. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, exists, Program } from "./support/program.ts";

/** No DMBs on either side, no offer, and no file but those that were there. */
async function assertNothingLeft(program: Program, files: readonly string[]): Promise<void> {
  for (const device of ["0", "1"]) {
    const { dmbs, mappings } = await program.result("status", "-d", device);
    assertEquals(dmbs, []);
    assert(mappings.length <= 2, "SBA and IEQ at most");
  }
  assertEquals((await program.result("host", "export")).document.state.rendezvous ?? [], []);
  const there = [...Deno.readDirSync(program.dir)].map(({ name }) => name);
  assertEquals(there.filter((name) => !name.startsWith("host.db")).toSorted(), files.toSorted());
}

async function offered(program: Program): Promise<void> {
  for (let tries = 0; tries < 200 && !program.state().includes('\\"reader\\":17'); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

Deno.test("recv and send look at their files before they wait or offer anything", async () => {
  using program = new Program();
  program.write("file", "text");
  await program.result("host", "create");
  const before = program.state();
  const lines = [
    "recv -d 1 -o missing/copy",
    "recv -d 1 -o .",
    "recv -d 1 -o host.db",
    "send missing --wait 60",
    "send file -o missing/copy",
    "send file -o .",
    "send missing",
  ];
  for (const line of lines) {
    const began = performance.now();
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], `${line}: ${outcome.stderr}`);
    assertNoStack(outcome);
    assert(performance.now() - began < 20_000, line);
  }
  assertEquals(program.state(), before);
  await assertNothingLeft(program, ["file"]);
});

Deno.test("a send that is refused midway leaves no DMB and no file, alone or in a script", async () => {
  using program = new Program();
  program.write("file", new Uint8Array(200_000));
  program.write("old", "what was there");
  await program.result("host", "create");
  const fault = "fault add cc1:20 --op PCISTB --space 0 --at 30";
  for (const line of [["send", "file", "-o", "copy"], ["send", "file", "-o", "old"]]) {
    assertEquals((await program.run(fault.split(" "))).code, 0);
    const outcome = await program.run(line);
    assertEquals([outcome.code, outcome.stdout], [1, ""], outcome.stderr);
    await assertNothingLeft(program, ["file", "old"]);
    await program.run(["fault", "clear"]);
  }
  const script = await program.script([fault, "send file -o copy", "fault clear"], "--keep-going");
  assertEquals(script.code, 1, script.stderr);
  assertEquals(new TextDecoder().decode(program.read("old")), "what was there");
  await assertNothingLeft(program, ["file", "old"]);
});

for (
  const [signal, code, word] of [["SIGINT", 130, "Interrupted"], ["SIGTERM", 143, "Terminated"]] as const
) {
  Deno.test(`${signal} while recv or send waits: exit code ${code}, and nothing is left`, async () => {
    using program = new Program();
    program.write("file", "text");
    program.write("old", "what was there");
    await program.result("host", "create");
    const rows = [
      ["recv", "-d", "1", "-o", "new"],
      ["recv", "-d", "1", "-o", "old"],
    ];
    for (const args of rows) {
      const child = program.spawn(args);
      await child.stdin.close();
      await offered(program);
      child.kill(signal);
      const { code: got, stderr, stdout } = await child.output();
      const text = new TextDecoder().decode(stderr);
      assertEquals([got, stdout.length], [code, 0], text);
      assertMatch(
        text,
        new RegExp(`^ism: recv: ${word}: A sender did not come; the offer is taken back, [^\\n]*\\n$`),
      );
      await assertNothingLeft(program, ["file", "old"]);
    }
    const child = program.spawn(["send", "file", "--wait", "60"]);
    await child.stdin.close();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    child.kill(signal);
    const { code: got, stderr } = await child.output();
    const text = new TextDecoder().decode(stderr);
    assertEquals(got, code, text);
    assertMatch(
      text,
      new RegExp(`^ism: send: ${word}: ism recv did not come; nothing of the transfer is left\\n$`),
    );
    assertEquals(new TextDecoder().decode(program.read("old")), "what was there");
    await assertNothingLeft(program, ["file", "old"]);
  });
}

/** Writes to a child's standard input for as long as it reads. */
async function feedWithoutEnd({ stdin }: Deno.ChildProcess): Promise<void> {
  const writer = stdin.getWriter();
  const zeros = new Uint8Array(1024 * 1024);
  try {
    for (;;) await writer.write(zeros);
  } catch {
    // The child has ended.
  } finally {
    await writer.close().catch(() => {});
  }
}

/** Something has arrived of a transfer to the file "copy". */
function isUnderWay({ dir }: Program): boolean {
  return [...Deno.readDirSync(dir)].some(({ name }) =>
    name.startsWith("copy.") && Deno.statSync(`${dir}/${name}`).size > 0
  );
}

Deno.test("Ctrl-C in a long send, repeat or script says what is left: nothing", async () => {
  using program = new Program();
  program.write("script", "vlan add 9\n" + "repeat 100000 gid -q\n".repeat(50));
  await program.result("gid");
  const before = program.state();
  const rows: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [
      ["send", "-", "-o", "copy", "--dmb", "4k"],
      /^ism: send: Interrupted after \d+ bytes; nothing of the transfer is left\n$/,
    ],
    [
      ["repeat", "1000000", "gid"],
      /^ism: repeat: Interrupted after \d+ of 1000000 runs; nothing of them is kept\n$/,
    ],
    [["run", "script"], /Interrupted (after \d+ of 100000 runs|at script:\d+); nothing of/],
  ];
  for (const [args, message] of rows) {
    const child = program.spawn(args);
    const feeding = args[0] === "send" ? feedWithoutEnd(child) : child.stdin.close();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    while (args[0] === "send" && !isUnderWay(program)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill("SIGINT");
    const { code, stdout, stderr } = await child.output();
    await feeding;
    const text = new TextDecoder().decode(stderr);
    assertEquals([code, stdout.length], [130, 0], text);
    assertMatch(text, message);
  }
  assertEquals([program.state(), exists(program.path("copy"))], [before, false]);
  await assertNothingLeft(program, ["script"]);
});

Deno.test("Ctrl-C in the middle of a transfer between two processes is heard at once, on either side", async () => {
  using program = new Program();
  await program.result("host", "create");
  const rows = [
    [
      "send",
      /^ism: send: Interrupted: A signal of ism recv did not come; nothing of the transfer is left\n$/,
    ],
    [
      "recv",
      /^ism: recv: Interrupted: Data did not come; the offer is taken back, and nothing is written\n$/,
    ],
  ] as const;
  for (const dmb of ["4k", "64k", "1M"]) {
    for (const [which, message] of rows) {
      const recv = program.spawn(["recv", "-d", "1", "-o", "copy", "--dmb", dmb, "--timeout", "3"]);
      await recv.stdin.close();
      const send = program.spawn(["send", "-", "--wait", "30"]);
      const feeding = feedWithoutEnd(send);
      while (!isUnderWay(program)) await new Promise((resolve) => setTimeout(resolve, 50));
      const child = which === "send" ? send : recv;
      const began = performance.now();
      child.kill("SIGINT");
      const outputs = { send: send.output(), recv: recv.output() };
      const { code, stdout, stderr } = await outputs[which];
      assert(performance.now() - began < 5000, "it is heard while the transfer goes on");
      assertEquals([code, stdout.length], [130, 0]);
      assertMatch(new TextDecoder().decode(stderr), message);
      const other = await outputs[which === "send" ? "recv" : "send"];
      assertEquals([other.code, other.stdout.length], [1, 0], new TextDecoder().decode(other.stderr));
      await feeding;
      await assertNothingLeft(program, []);
    }
  }
});
