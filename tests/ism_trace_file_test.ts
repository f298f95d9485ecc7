/** The file of `--trace-file` is nothing else on the same line. */
import { assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, exists, Program } from "./support/program.ts";

/** Each line names `it` twice: as the trace, and as a file that it reads or writes. */
const LINES: readonly string[] = [
  "run it --trace-file it",
  "send it --trace-file it",
  "send other -o it --trace-file it",
  "send other --back it --trace-file it",
  "send other --back other2 --back-out ./it --trace-file it",
  "recv -o it --timeout 1 --trace-file it",
  "stb bar2 8 file:it --trace-file link",
  "expect file:link peek bar2 0 8 --trace-file it",
  "ioctl device VFIO_DEVICE_GET_INFO file:it --trace-file it",
  "host create --force --from it --trace-file it",
  "host import it --force --trace-file it",
  "host export it --trace-file it",
];

Deno.test("ism writes no trace over a file that the line reads or writes", async () => {
  using program = new Program();
  const content = "gid\n";
  program.write("it", content);
  program.write("other", "other");
  program.write("other2", "other");
  Deno.symlinkSync("it", program.path("link"));
  await program.result("gid");
  const before = program.state();
  for (const line of LINES) {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], `${line}: ${outcome.stderr}`);
    assertMatch(outcome.stderr, /is the file of --trace-file; name another file for the trace$/m, line);
    assertNoStack(outcome);
    assertEquals(new TextDecoder().decode(program.read("it")), content, line);
  }
  assertEquals(program.state(), before);
});

Deno.test("ism leaves no empty file where a trace was refused, and what a script did is undone", async () => {
  using program = new Program();
  await program.result("gid");
  const before = program.state();
  program.write("s.ism", "stb bar2 8 hex:ff\nlet f fd open /dev/vfio/vfio\nstb bar2 8 file:new\n");
  for (const args of [["host", "export", "new"], ["run", "s.ism"]]) {
    const outcome = await program.run([...args, "--trace-file", "new"]);
    assertEquals(outcome.code, 4, outcome.stderr);
    assertEquals([exists(program.path("new")), program.state()], [false, before], args[0]);
  }
});

Deno.test("ism writes a trace beside the files of the line", async () => {
  using program = new Program();
  program.write("it", "text");
  const outcome = await program.run("send it -o copy --trace-file trace".split(" "));
  assertEquals(outcome.code, 0, outcome.stderr);
  assertEquals(program.read("copy"), program.read("it"));
  assertEquals(JSON.parse(new TextDecoder().decode(program.read("trace"))).traceEvents.length > 0, true);
});
