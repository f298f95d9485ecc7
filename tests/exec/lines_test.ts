/** exec as a line: in scripts, in the shell, behind repeat, let and expect, on a host in memory. */
import { assertEquals, assertMatch } from "@std/assert";
import { documentsOf, Program } from "../support/program.ts";

Deno.test("expect: exit codes, signals, programs that cannot be run", async () => {
  using program = new Program();
  const rows: readonly (readonly [line: string, code: number, stderr: RegExp])[] = [
    ["expect exit=0 exec -- /bin/true", 0, /^$/],
    ["expect ok exec -- /bin/true", 0, /^$/],
    ["expect exit=3 exec -- /bin/sh -c 'exit 3'", 0, /^$/],
    ["expect fail exec -- /bin/false", 0, /^$/],
    ["expect exit=SIGKILL exec -- /bin/sh -c 'kill -9 $$'", 0, /^$/],
    ["expect exit=137 exec -- /bin/sh -c 'kill -9 $$'", 0, /^$/],
    ["expect exit=127 exec -- /nonexistent", 0, /^$/],
    ["expect exit=3 exec -- /bin/true", 3, /Expected exit=3 from "exec", got exit=0\n/],
    ["expect ok exec -- /bin/false", 3, /Expected ok from "exec", got exit=1\n/],
    ["expect fail exec -- /bin/true", 3, /Expected fail from "exec", got exit=0\n/],
    ["expect exit=0 exec -- /nonexistent", 3, /got exit=127: \/nonexistent: No such file or directory\n/],
    ["expect EINVAL exec -- /bin/true", 2, /expect ok, fail, exit=CODE or exit=SIGNAL of it\n/],
    ["expect exit=SIGNAL exec -- /bin/true", 2, /"SIGNAL" is no signal/],
    ["expect exit=256 exec -- /bin/true", 2, /exit=CODE/],
    ["expect exit=1 gid", 2, /"gid" runs no program that could end with exit=1\n/],
  ];
  for (const [line, code, stderr] of rows) {
    const outcome = await program.run(["-c", line]);
    assertEquals([line, outcome.code, outcome.stdout], [line, code, ""], outcome.stderr);
    assertMatch(outcome.stderr, stderr);
  }
});

Deno.test("a script goes on behind a program that ends well, and ends with the code of one that does not", async () => {
  using program = new Program();
  const well = await program.script([
    "let c exec -- /bin/sh -c 'exit 7'",
    "expect =7 exec -- /bin/sh -c 'exit 7'",
  ]);
  assertEquals([well.code, well.stderr.includes("expect ok, fail")], [2, true]);
  const lines = ["exec -- /bin/true", "open", "exec -- /bin/sh -c 'exit 42'", "close"];
  assertEquals((await program.script(lines)).code, 42);
  // The program ran and ended: what was done before it is kept, as behind a call that is refused.
  const { descriptors } = await program.result("status");
  assertEquals(descriptors.length > 0, true);
  assertEquals((await program.script(lines, "--keep-going")).code, 42);
  assertEquals((await program.result("status")).descriptors, []);
});

Deno.test("what ism's own lines did the program finds, and the other way round", async () => {
  using program = new Program();
  const { code, stdout } = await program.script([
    "config set command=0x0006",
    "exec -- /bin/sh -c '/usr/bin/od -An -tx1 -j4 -N2 /sys/bus/pci/devices/0001:00:00.0/config >&2'",
    "exec --any-descriptor -- /bin/sh -c 'printf \"\\002\\000\" | /bin/dd of=/sys/bus/pci/devices/0001:00:00.0/config bs=1 seek=4 conv=notrunc status=none'",
    "config get command",
  ]);
  assertEquals(code, 0);
  assertMatch(stdout, /0x0002/);
});

Deno.test("repeat runs a program as often as told, and stops where it fails", async () => {
  using program = new Program();
  for (const host of [program.host, ":memory:"]) {
    if (host !== ":memory:") await program.run(["host", "create"]);
    const three = await program.run(["--host", host, "repeat", "3", "exec", "--", "/bin/echo", "hi"]);
    assertEquals([three.code, three.stdout, three.stderr], [0, "hi\nhi\nhi\n", ""]);
    const one = await program.run([
      "--host",
      host,
      "--json",
      "repeat",
      "3",
      "exec",
      "--",
      "/bin/sh",
      "-c",
      "exit 9",
    ]);
    assertEquals(one.code, 9);
    const { result } = documentsOf(one)[0]!;
    assertEquals([result.count, result.last.exit, result.last.signal], [1, 9, null]);
  }
});

Deno.test("in the shell each line is a transaction; a program does not read the lines", async () => {
  using program = new Program();
  const lines = [
    "exec -- /bin/echo first",
    "exec -- /bin/cat",
    "exec -- /bin/sh -c 'exit 5'",
    "exec -- /bin/echo last",
  ];
  const { code, stdout, stderr } = await program.run(["shell"], { stdin: `${lines.join("\n")}\n` });
  assertEquals([code, stdout, stderr], [5, "first\nlast\n", ""]);
});

Deno.test("a dry run and explain start no program", async () => {
  using program = new Program();
  for (const args of [["-n", "exec", "--", "/bin/echo", "x"], ["explain", "exec", "--", "/bin/echo", "x"]]) {
    const { code, stdout, stderr } = await program.run(args);
    assertEquals([code, stdout.includes("x\n")], [2, false]);
    assertMatch(stderr, /cannot be run dry/);
  }
});

Deno.test("in a shell on a terminal the program has the terminal, and the shell has it again afterwards", async () => {
  using program = new Program();
  const child = program.spawnOnTerminal(program.commandLine(["shell"]), { columns: 100 });
  const decoder = new TextDecoder();
  const writer = child.stdin.getWriter();
  const keys = (text: string) => writer.write(new TextEncoder().encode(text));
  let seen = "";
  const steps: [wanted: string, keys: string][] = [
    ["ism> ", "exec -- /bin/sh -c 'tty -s && read x && echo got $x-$x'\r"],
    ["$x-$x'", "word\r"],
    ["got word-word", ""],
    ["ism> ", "gid\r"],
    ["0x", "exit\r"],
  ];
  let step = 0;
  let from = 0;
  for await (const part of child.stdout) {
    seen += decoder.decode(part, { stream: true });
    for (let at; step < steps.length && (at = seen.indexOf(steps[step]![0], from)) >= 0; step++) {
      from = at + steps[step]![0].length;
      // What is typed ahead of a program must not go to the line editor.
      if (step === 1) await new Promise((resolve) => setTimeout(resolve, 1500));
      await keys(steps[step]![1]);
    }
  }
  await writer.close().catch(() => {});
  await child.stderr.cancel();
  assertEquals([step, (await child.status).code], [steps.length, 0], seen);
});
