/** The host file: who may use it, what cannot be one, and several processes at once. */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertNoStack, exists, inParallel, Program } from "./support/program.ts";

const MODE_BITS = 0o777;

/** Changes the host file behind the program's back. */
function tamper(program: Program, sql: string): void {
  using db = new DatabaseSync(program.host);
  db.exec(sql);
}

async function assertFileError(program: Program, args: readonly string[], message: RegExp): Promise<void> {
  const outcome = await program.run(args);
  assertEquals([outcome.code, outcome.stdout], [4, ""], `${args}: ${outcome.stderr}`);
  assertNoStack(outcome);
  assertMatch(outcome.stderr, message);
  assertEquals(outcome.stderr.split("\n").length, 2, "one line");
}

Deno.test("ism creates the default host file at first use, readable by its owner only", async () => {
  using program = new Program();
  const bare = { ISM_HOST: "" };
  const homes = [
    [{ XDG_STATE_HOME: program.path("state") }, "state/ism/host.db"],
    [{ HOME: program.path("home"), XDG_STATE_HOME: "" }, "home/.local/state/ism/host.db"],
    [{ ISM_HOST: program.path("named.db") }, "named.db"],
  ] as const;
  for (const [env, file] of homes) {
    assertEquals((await program.run(["gid"], { env: { ...bare, ...env } })).code, 0);
    assertEquals(Deno.statSync(program.path(file)).mode! & MODE_BITS, 0o600, file);
  }
  assertEquals(Deno.statSync(program.path("state/ism")).mode! & MODE_BITS, 0o700);
  const created = await program.run(["host", "create"], {
    env: { ...bare, XDG_STATE_HOME: program.path("new") },
  });
  assertEquals([created.code, created.stderr], [0, ""], "the directory of the default file is made, too");
  using db = new DatabaseSync(program.path("named.db"), { readOnly: true });
  assert(Number(db.prepare("PRAGMA application_id").get()!["application_id"]) !== 0);
  assert(Number(db.prepare("PRAGMA user_version").get()!["user_version"]) >= 1);
});

Deno.test("ism creates the default host file once when several processes use it first", async () => {
  using program = new Program();
  const ids = [1, 2, 3, 4];
  const outcomes = await inParallel(ids, (id) => program.run(["vlan", "add", String(id)]));
  assertEquals(outcomes.map(({ code, stderr }) => [code, stderr]), ids.map(() => [0, ""]));
  assertEquals((await program.result("vlan", "list")).ids.toSorted(), ids);
  assertEquals(
    [...Deno.readDirSync(program.dir)].map(({ name }) => name),
    ["host.db"],
    "nothing else is left",
  );
});

Deno.test("ism refuses a host file that is missing, no database, newer, damaged or out of reach", async () => {
  using program = new Program();
  await assertFileError(
    program,
    ["--host", "missing.db", "list"],
    /^ism: list: There is no host file missing\.db; /,
  );
  assert(!exists(program.path("missing.db")), "a file that is named is not created");
  program.write("text", "this is not a database, but long enough to be one".repeat(50));
  program.write("nothing", "");
  {
    using other = new DatabaseSync(program.path("other.db"));
    other.exec("CREATE TABLE notes (text); INSERT INTO notes VALUES ('keep me')");
  }
  Deno.mkdirSync(program.path("directory"));
  Deno.symlinkSync("loop", program.path("loop"));
  for (const file of ["text", "other.db"]) {
    const before = program.read(file);
    await assertFileError(
      program,
      ["--host", file, "gid"],
      /^ism: gid: .* is not a host file of ism; name another file\n$/,
    );
    await assertFileError(program, ["--host", file, "host", "delete"], /is not a host file/);
    await assertFileError(program, ["--host", file, "host", "create", "--force"], /is not a host file/);
    assertEquals(program.read(file), before, "somebody else's file is left as it is, its settings too");
  }
  for (const line of ["gid", "host delete", "host check"]) {
    await assertFileError(
      program,
      ["--host", "nothing", ...line.split(" ")],
      /nothing is empty and not a host file/,
    );
  }
  assertEquals(program.read("nothing").length, 0);
  for (const file of ["directory", "loop", "text/below", "a".repeat(300)]) {
    await assertFileError(program, ["--host", file, "gid"], /^ism: gid: /);
  }
  await program.result("gid");
  tamper(program, "PRAGMA user_version = 99");
  await assertFileError(program, ["gid"], /host\.db has format 99, .* use a newer ism\n$/);
  await assertFileError(program, ["--json", "host", "show"].slice(1), /format 99/);
  tamper(program, "PRAGMA user_version = 1; DELETE FROM state WHERE key = 'topology'");
  await assertFileError(program, ["gid"], /is damaged/);
  program.write("host.db", program.read("host.db").subarray(0, 5000));
  await assertFileError(program, ["gid"], /is damaged|is not a host file/);
});

Deno.test("ism refuses a host file that it may not read", async () => {
  using program = new Program();
  await program.result("gid");
  Deno.chmodSync(program.host, 0);
  try {
    Deno.openSync(program.host).close();
    // The superuser may read anything.
    return;
  } catch {
    await assertFileError(program, ["gid"], /^ism: gid: .*host\.db cannot be used: /);
  }
});

Deno.test("ism gives up after 5 seconds on a host file that another process holds; a look does not wait", async () => {
  using program = new Program();
  await program.result("gid");
  using db = new DatabaseSync(program.host);
  db.exec("BEGIN IMMEDIATE");
  const [waited, looked] = await Promise.all([
    assertFileError(
      program,
      ["vlan", "add", "1"],
      /is in use by another ism for more than 5 seconds; wait for it to end and try again\n$/,
    ),
    program.run(["list"]),
  ]);
  assertEquals([waited, looked.code], [undefined, 0]);
  db.exec("ROLLBACK");
  assertEquals((await program.run(["vlan", "add", "1"])).code, 0);
});

Deno.test("ism lets many processes use one host file at once, one command after the other", async () => {
  using program = new Program();
  await program.result("host", "create");
  const ids = Array.from({ length: 12 }, (_, i) => i + 1);
  const outcomes = await inParallel(ids, (id) => program.run(["vlan", "add", String(id)]));
  assertEquals(outcomes.map(({ code, stderr }) => [code, stderr]), ids.map(() => [0, ""]));
  const { ids: joined } = await program.result("vlan", "list");
  assertEquals(joined.sort((a: number, b: number) => a - b), ids);
});

Deno.test("ism irq wait sees the signal that another process sends", async () => {
  using program = new Program();
  await program.result("irq", "-d", "1");
  const { gid } = await program.result("gid", "-d", "1");
  const waiting = program.result("-d", "1", "irq", "wait", "--timeout", "20");
  await program.result("signal", gid, "--code", "5", "--info", "7");
  const { interrupts, events } = await waiting;
  assertEquals(interrupts, 1);
  assertEquals([events.length, events[0].type, events[0].code, events[0].info], [1, 2, 5, "0x7"]);
});

Deno.test("ism --host :memory: lives as long as the process and leaves no file", async () => {
  using program = new Program();
  const lines = ["-c", "vlan add 1", "-c", "vlan list"];
  for (let i = 0; i < 2; i++) {
    const outcome = await program.run(["--host", ":memory:", ...lines]);
    assertEquals([outcome.code, outcome.stdout], [0, "1\n"]);
  }
  assertEquals([...Deno.readDirSync(program.dir)], []);
  program.write(":memory:", "a file of that name");
  const memory = ["--host", ":memory:"];
  await assertFileError(
    program,
    [...memory, "host", "delete"],
    /:memory: is no file; it is gone when the process ends/,
  );
  await assertFileError(program, [...memory, "host", "delete", "-n"], /:memory: is no file/);
  for (const line of ["host create --force", "host reset", "host check", "-n host create"]) {
    assertEquals((await program.run([...memory, ...line.split(" ")])).code, 0, line);
  }
  assertEquals(new TextDecoder().decode(program.read(":memory:")), "a file of that name");
});

Deno.test("ism host create, show, reset and delete do what they say", async () => {
  using program = new Program();
  const guests = [{ name: "only", functions: [{ fid: 0x20, uid: 7, gid: "0x1234" }] }];
  program.write("topology.json", JSON.stringify({ guests, seed: 5 }));
  await program.result("host", "create", "--from", "topology.json");
  const shown = await program.run(["host", "show"]);
  assertEquals(JSON.parse(shown.stdout).guests[0].functions[0].gid, "0x1234");
  const { functions } = await program.result("list");
  assertEquals([functions.length, functions[0].gid, functions[0].fid], [1, "0x1234", "0x20"]);
  await program.result("vlan", "add", "5");
  await program.result("host", "reset");
  assertEquals(await program.result("vlan", "list"), { ids: [] });
  program.write("again.json", shown.stdout);
  await program.result("host", "create", "--force", "--from", "again.json");
  assertEquals(
    (await program.run(["host", "show"])).stdout,
    shown.stdout,
    "a shown topology makes the same host",
  );
  await program.result("host", "delete");
  assert(!exists(program.host));
});

Deno.test("ism that is killed at any moment leaves the state before or after its command", async () => {
  using program = new Program();
  await program.result("open");
  const [fresh, before] = [program.read("host.db"), program.state()];
  const lines = [
    ...Array.from({ length: 20 }, (_, i) => `vlan add ${i + 1}`),
    "let t dmb register --size 1M --rgid 0x62441adacc2f9ccf -d 1",
    "move $t 0 rand:1*1M --signal",
    "irq -d 1",
  ];
  assertEquals((await program.script(lines)).code, 0);
  const after = program.state();
  assert(before !== after);
  for (let delay = 40; delay <= 200; delay += 10) {
    for (const suffix of ["-wal", "-shm"]) {
      if (exists(program.host + suffix)) Deno.removeSync(program.host + suffix);
    }
    program.write("host.db", fresh);
    const child = program.spawn(["run", "-"]);
    const output = child.output();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(lines.join("\n")));
    await writer.close();
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    const { success } = await output;
    const state = program.state();
    assert(state === before || state === after, `killed after ${delay} ms`);
    if (success) assert(state === after, "what was acknowledged is there");
  }
  assertEquals((await program.run(["list"])).code, 0);
});

Deno.test("ism looks at a host without changing it", async () => {
  using program = new Program();
  await program.script(["irq", "dmb register --size 4k --rgid 1", "vlan add 3"]);
  const before = program.state();
  const looks = ["list", "status", "vlan list", "dmb list", "dma list", "host show", "explain close"];
  const codes = await inParallel(looks, async (line) => (await program.run(line.split(" "))).code);
  assertEquals(codes, looks.map(() => 0));
  assertEquals(program.state(), before);
});
