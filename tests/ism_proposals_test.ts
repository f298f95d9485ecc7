/** A command that a message proposes works as it stands: on the host and the function that the line named. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

/** The commands in a text. */
const proposals = (text: string) => [...text.matchAll(/"(ism [^"]*)"/g)].map(([, command]) => command!);

const ROWS: readonly (readonly [line: string, proposed: readonly string[]])[] = [
  ["-d 1 gid", ["ism --host 'my host.db' bind -d fid:0x11"]],
  ["gid -d 1", ["ism --host 'my host.db' bind -d fid:0x11"]],
  ["open --via cdev -d 1", ["ism --host 'my host.db' bind -d fid:0x11"]],
  ["gid -d 5", ["ism --host 'my host.db' list"]],
  ["-d 1 explain gid", ["ism --host 'my host.db' bind -d fid:0x11"]],
  ["-c 'gid -d 1'", ["ism --host 'my host.db' bind -d fid:0x11"]],
  ["zpci event 0x999", ["ism help zpci event"]],
  ["gidd", ["ism help"]],
];

Deno.test("every proposed command carries the line's host and function, and does what it is proposed for", async () => {
  using program = new Program();
  await program.result("--host", "my host.db", "host", "create");
  assertEquals((await program.run(["--host", "my host.db", "unbind", "-d", "1"])).code, 0);
  Deno.writeTextFileSync(program.path("line"), "");
  for (const [line, proposed] of ROWS) {
    const { stdout, stderr } = await program.shell(`ism --host 'my host.db' ${line}`);
    assertEquals(proposals(stdout + stderr), proposed, line);
    const json = await program.shell(`ism --host 'my host.db' --json ${line}`);
    if (json.stdout === "") continue;
    const [document] = documentsOf(json);
    const hint = String(document!.error?.["hint"] ?? document!.result?.hint ?? "");
    for (const each of proposals(hint)) assert(proposed.includes(each), `${line}: ${hint}`);
  }
  const [command] = proposals((await program.run(["--host", "my host.db", "gid", "-d", "1"])).stderr);
  // The default host is another one, which the proposed command does not touch.
  await program.result("host", "create");
  const before = program.state();
  assertEquals((await program.shell(command!)).code, 0);
  assertMatch((await program.run(["--host", "my host.db", "gid", "-d", "1"])).stdout, /^0x/);
  assertEquals(program.state(), before);
});

Deno.test("a text that waits for a close, and a host file that is missing, say how with the line's options", async () => {
  using program = new Program();
  await program.result("--host", "a.db", "host", "create");
  await program.result("--host", "a.db", "open", "-d", "1");
  const waiting = await program.run(["--host", "a.db", "unbind", "-d", "1"]);
  assertMatch(waiting.stdout, /it is unbound after "ism --host a\.db -d 1 close"$/m);
  const missing = await program.run(["--host", "b.db", "list"]);
  assertMatch(missing.stderr, /create one with "ism --host b\.db host create"$/m);
  assertEquals((await program.shell(proposals(missing.stderr)[0]!)).code, 0);
  assertEquals((await program.run(["--host", "b.db", "list"])).code, 0);
  const plain = await program.run(["unbind"], { env: { ISM_HOST: program.path("b.db") } });
  assertEquals([plain.code, proposals(plain.stdout)], [0, []]);
});

Deno.test("a function without a driver is bound by name, as argument or option", async () => {
  using program = new Program();
  const documents = await program.documents([
    "unbind",
    "bind vfio-pci",
    "bind --driver ism",
    "bind ism_vfio_pci --driver ism_vfio_pci",
  ]);
  assertEquals(documents.slice(1).map(({ result }) => result.driver), ["vfio-pci", "ism", "ism_vfio_pci"]);
  const two = await program.run(["bind", "vfio-pci", "--driver", "ism"]);
  assertEquals([two.code, two.stdout], [2, ""]);
  assertMatch(two.stderr, /two drivers; name one/);
});
