/** One test for each row of the table of exit codes. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describeFailure, EXIT, renderFailure } from "../cmd/output/failure.ts";
import { ProcessTerminal } from "../cmd/output/terminal.ts";
import { assertNoStack, documentsOf, Program } from "./support/program.ts";

const LONG_BLOCK = ["stb", "bar0", "0xff8", "seq:0*9"];

Deno.test("ism ends with 0 when it did as asked, and a write says nothing", async () => {
  using program = new Program();
  const outcome = await program.run(["stb", "bar2", "8", "seq:0*8"]);
  assertEquals([outcome.code, outcome.stdout, outcome.stderr], [0, "", ""]);
});

Deno.test("ism ends with 1 when the simulated world refuses, and names the errno in one line", async () => {
  using program = new Program();
  const plain = await program.run(LONG_BLOCK);
  assertEquals([plain.code, plain.stdout], [1, ""]);
  assertMatch(plain.stderr, /^ism: stb: [^\n]+ \(EINVAL\)\n {2}rule: [^\n]+\n {2}hint: [^\n]+\n$/);
  const verbose = await program.run(["-v", ...LONG_BLOCK]);
  const [line, refusedBy, named, hint] = verbose.stderr.split("\n");
  assertEquals(`${line}\n${named}\n${hint}\n`, plain.stderr);
  assertMatch(refusedBy!, /^ {2}refused by: variant driver \(drivers\/vfio\/pci\/ism\/main\.c: \w+\)$/);
  assertEquals(named, "  rule: vfio.write.boundary  (ism help vfio.write.boundary)");
  assertMatch(hint!, /^ {2}hint: /);
  const [document] = documentsOf(await program.run(["--json", ...LONG_BLOCK]));
  const { code, errno, layer, ref, rule, source, message } = document!.error!;
  assertEquals([code, errno, layer, ref], ["EINVAL", 22, "variant", "vfio.write.boundary"]);
  assertStringIncludes(plain.stderr, message);
  for (const text of [rule, source]) assert(typeof text === "string" && text !== "");
});

Deno.test("ism ends with 1 when the adapter answers a return code, and when the driver cannot", async () => {
  using program = new Program();
  const [ret, driver] = await program.documents(["cmd 0x99", "dmb unregister 0x10000000"]);
  assertEquals([ret!.error?.code, typeof ret!.error?.["ret"]], ["RET", "number"]);
  assertEquals(driver!.error?.code, "DRIVER");
  assertEquals((await program.run(["cmd", "0x99"])).code, 1);
});

Deno.test("ism ends with 2 when the line cannot be understood", async () => {
  using program = new Program();
  const outcome = await program.run(["peek", "bar0", "0778"]);
  assertEquals([outcome.code, outcome.stdout], [2, ""]);
  assertMatch(outcome.stderr, /^ism: peek: offset: "0778" is not a number; [^\n]*778[^\n]*\n$/);
});

Deno.test("ism ends with 3 when an expectation does not hold", async () => {
  using program = new Program();
  const outcome = await program.run(["--json", "expect", "EIO", "gid"]);
  assertEquals(outcome.code, 3);
  const [document] = documentsOf(outcome);
  const { code, expected, got } = document!.error!;
  assertEquals([document!.command, code, expected, got], ["expect", "EXPECT", "EIO", "success"]);
  for (
    const wrong of ["=0x0", "ok peek bar0 0 4", "hex:00 peek config 0 1", "EINVAL peek bar0 0", "fail gid"]
  ) {
    const args = wrong.includes(" ") ? wrong.split(" ") : [wrong, "gid"];
    assertEquals((await program.run(["expect", ...args])).code, 3, wrong);
  }
});

Deno.test("ism ends with 3 when it is another return code or another answer of the machine", async () => {
  using program = new Program();
  const lines = [
    "expect RET:5 rgid 0x1",
    "expect RET:0x10 rgid 0x1",
    "expect 'MACHINE:status 28' zpci mpcifc reset-error",
    "expect 'MACHINE:function handle' zpci pcilg 15 0 3",
    "expect 'MACHINE:response 0x0101' zpci enable",
    "expect MACHINE:busy zpci controls --fh 1",
  ];
  const got = ["RET:0x0006", "RET:0x0006", "MACHINE:status 24", "MACHINE:operand exception"];
  const documents = await program.documents(lines);
  assertEquals(
    documents.map(({ error }) => [error!.code, error!["got"]]),
    [...got, "MACHINE:response 0x0102", "MACHINE:function handle"].map((text) => ["EXPECT", text]),
  );
  assertEquals((await program.run(["expect", "RET:0x10000", "rgid", "0x1"])).code, 2);
  assertEquals((await program.run(["expect", "RET:x", "rgid", "0x1"])).code, 2);
});

Deno.test("ism ends with 4 when a file cannot be used", async () => {
  using program = new Program();
  const outcome = await program.run(["run", "missing.ism"]);
  assertEquals([outcome.code, outcome.stdout], [4, ""]);
  assertEquals(outcome.stderr, 'ism: run: "missing.ism" does not exist\n');
});

Deno.test("ism ends with 5 for a bug, with its stack and where to report it", () => {
  const failure = describeFailure(new TypeError("x is not a function"));
  assertEquals([failure.exit, failure.code], [EXIT.BUG, "BUG"]);
  const text = renderFailure(failure, { style: new ProcessTerminal().style, verbose: false });
  assertMatch(text, /^This is a bug in ism\nTypeError: x is not a function\n {4}at /);
  assertMatch(text, /report it/);
});

Deno.test("ism ends with 130 when it is interrupted, and leaves the host as it was", async () => {
  using program = new Program();
  await program.result("irq");
  const before = program.state();
  const child = program.spawn(["irq", "wait"]);
  const output = child.output();
  await child.stdin.close();
  // Half a second is enough for the program to be waiting.
  await new Promise((resolve) => setTimeout(resolve, 500));
  child.kill("SIGINT");
  const { code, stderr } = await output;
  assertEquals(code, 130);
  assertNoStack({ code, stdout: "", stderr: new TextDecoder().decode(stderr), bytes: stderr });
  assertEquals(program.state(), before);
});
