/** `send` and `recv` as two processes on one host file. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { randomBytes } from "../cmd/language/data.ts";
import { documentsOf, Program, sha256 } from "./support/program.ts";

Deno.test("ism recv gets what ism send sends in another process, whoever starts first", async () => {
  using program = new Program();
  await program.run(["list"]);
  for (const [size, dmb] of [[0, "64k"], [1, "4k"], [200_000, "16k"], [3_000_001, "1M"]] as const) {
    const bytes = randomBytes(BigInt(size), size);
    program.write("file", bytes);
    const receiving = program.run([
      "recv",
      "-d",
      "1",
      "-o",
      "copy",
      "--dmb",
      dmb,
      "--timeout",
      "20",
      "--json",
    ]);
    const sending = program.run(["send", "file", "--wait", "20", "--json"]);
    const [sent, received] = [documentsOf(await sending)[0]!, documentsOf(await receiving)[0]!];
    assertEquals([sent.ok, received.ok], [true, true]);
    const expected = { bytes: size, sha256: await sha256(bytes) };
    assertEquals({ bytes: sent.result.bytes, sha256: sent.result.sha256 }, expected);
    assertEquals({ bytes: received.result.bytes, sha256: received.result.sha256 }, expected);
    assertEquals(program.read("copy"), bytes);
  }
  for (const device of ["0", "1"]) assertEquals((await program.result("dmb", "list", "-d", device)).dmbs, []);
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test("ism recv and ism send give up after their time, with nothing left behind", async () => {
  using program = new Program();
  const received = await program.run(["recv", "-d", "1", "--timeout", "1"]);
  assertEquals([received.code, received.stdout], [1, ""]);
  assertMatch(received.stderr, /^ism: recv: A sender did not come within 1 second/);
  program.write("file", "x");
  const sent = await program.run(["send", "file", "--wait", "1"]);
  assertEquals([sent.code, sent.stdout], [1, ""]);
  assertMatch(sent.stderr, /^ism: send: ism recv did not come within 1 second/);
  for (const device of ["0", "1"]) assertEquals((await program.result("dmb", "list", "-d", device)).dmbs, []);
});

Deno.test("ism send goes on alone after an ism recv that was killed", async () => {
  using program = new Program();
  program.write("file", "after the end");
  await program.run(["list"]);
  const child = program.spawn(["recv", "-d", "1"]);
  let offered = false;
  for (let tries = 0; tries < 100 && !offered; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    offered = program.state().includes('\\"reader\\":17');
  }
  assert(offered, "recv has offered itself");
  child.kill("SIGKILL");
  await child.stdin.close();
  await child.output();
  const first = await program.run(["send", "file", "--wait", "1"]);
  assertEquals(first.code, 1);
  assertMatch(first.stderr, /The answer of ism recv did not come/);
  const second = await program.run(["send", "file", "-o", "copy"]);
  assertEquals([second.code, second.stderr], [0, ""]);
  assertEquals(new TextDecoder().decode(program.read("copy")), "after the end");
});

Deno.test("ism recv takes its offer back on Ctrl-C and ends with exit code 130", async () => {
  using program = new Program();
  await program.run(["list"]);
  const child = program.spawn(["recv", "-d", "1"]);
  for (let tries = 0; tries < 100 && !program.state().includes('\\"reader\\":17'); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill("SIGINT");
  await child.stdin.close();
  const { code, stderr } = await child.output();
  assertEquals([code, new TextDecoder().decode(stderr)], [
    130,
    "ism: recv: Interrupted: A sender did not come; the offer is taken back, and nothing is written\n",
  ]);
  assert(!program.state().includes('\\"reader\\":17'), "the offer is gone");
});
