/** `host create`, `import`, `export`, `reset`, `check` and `delete`: every option, and what a failure leaves. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { HostStore } from "../lib/host/file/store.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { FULL_TOPOLOGY, furnish } from "./support/full_host.ts";
import { assertNoStack, exists, inParallel, Program } from "./support/program.ts";

/** A program whose host has something in every corner. */
function fullProgram(): Program {
  const program = new Program();
  using store = HostStore.create(program.host, parseTopology(FULL_TOPOLOGY));
  const host = store.begin("write");
  furnish(host);
  store.commit(host);
  return program;
}

Deno.test("export, import and export again gives the same bytes and the same host", async () => {
  using program = fullProgram();
  const first = (await program.run(["host", "export"])).stdout;
  await program.result("host", "export", "first.json");
  assertEquals(Deno.readTextFileSync(program.path("first.json")), first);
  assert(first.length > 100_000);
  await program.result("--host", "second.db", "host", "import", "first.json");
  await program.result("--host", "second.db", "host", "export", "second.json");
  assertEquals(program.read("second.json"), program.read("first.json"));
  const piped = await program.shell(
    "ism host export - | ism --host third.db host import - && ism --host third.db host export",
  );
  assertEquals([piped.code, piped.stdout], [0, first]);
  // Both go on in the same way.
  const lines = [
    "irq",
    "dma list",
    "dmb list",
    "events -d fid:0x11",
    "status -d fid:0x12",
    "move 0x1000 0 hex:00",
    "info -d fid:0x13",
  ];
  for (const line of [...lines, "close", "host export"]) {
    const [one, other] = [
      await program.run(line.split(" ")),
      await program.run(["--host", "second.db", ...line.split(" ")]),
    ];
    assertEquals([one.code, one.stdout, one.stderr], [other.code, other.stdout, other.stderr], line);
  }
  for (const file of ["host.db", "second.db"]) {
    assertEquals((await program.run(["--host", file, "host", "check"])).code, 0);
  }
});

Deno.test("host create takes a topology, a number of functions and a seed", async () => {
  using program = new Program();
  const guests = [{ name: "only", functions: [{ fid: 0x20, uid: 7 }] }];
  program.write("t.json", JSON.stringify({ guests, seed: 5 }));
  const shown = async (...args: string[]) => {
    await program.result("host", "create", "--force", ...args);
    const { topology } = await program.result("host", "show");
    const { functions } = await program.result("list");
    return [topology.seed, functions.length, functions[0].gid] as const;
  };
  const plain = await shown();
  assertEquals(plain.slice(0, 2), [1, 2]);
  const seeded = await shown("--seed", "9");
  assertEquals(seeded.slice(0, 2), [9, 2]);
  assert(seeded[2] !== plain[2]);
  const described = await shown("--from", "t.json");
  assertEquals(described.slice(0, 2), [5, 1]);
  const both = await shown("--from", "t.json", "--seed", "0x6");
  assertEquals(both.slice(0, 2), [6, 1]);
  assert(both[2] !== described[2]);
  for (const count of [1, 2, 3, 64]) assertEquals((await shown("--functions", String(count)))[1], count);
  assertEquals((await shown("--functions", "3", "--seed", "0"))[0], 0);
  const piped = await program.shell("ism host create --force --from - <t.json; ism host show");
  assertEquals(JSON.parse(piped.stdout).guests[0].name, "only");
  const before = program.read("host.db");
  const refused: readonly (readonly [line: string, code: number, message: RegExp])[] = [
    ["host create --force --functions 0", 2, /"0" is too small; the least is 1/],
    ["host create --force --functions 65", 2, /"65" is too large; the most is 64/],
    ["host create --force --functions 2 --from t.json", 2, /--from and --functions exclude each other/],
    ["host create --force --seed 9007199254740992", 2, /is too large/],
    ["host create --force --seed -1", 2, /"-1" is not an option here/],
    ["host create --from t.json", 4, /exists already; use --force to replace it\n$/],
    ["host create --force extra", 2, /There is no place for "extra"/],
    ["host import t.json --force", 4, /is no exported host: /],
    ["host import t.json", 4, /is no exported host: /],
    ["host export host.db", 4, /is the host file; name another/],
    ["host export ./host.db", 4, /is the host file; name another/],
    ["send t.json -o host.db", 4, /is the host file; name another/],
    ["gid --trace-file host.db", 4, /is the host file; name another/],
  ];
  await inParallel(refused, async ([line, code, message]) => {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [code, ""], `${line}: ${outcome.stderr}`);
    assertNoStack(outcome);
    assertMatch(outcome.stderr, message);
  });
  assertEquals(program.read("host.db"), before);
});

Deno.test("host import replaces a host only with --force, and all of it", async () => {
  using program = fullProgram();
  await program.result("host", "export", "full.json");
  await program.result("--host", "other.db", "host", "create", "--seed", "3");
  const before = program.read("other.db");
  const refused = await program.run(["--host", "other.db", "host", "import", "full.json"]);
  assertEquals([refused.code, program.read("other.db")], [4, before]);
  assertMatch(refused.stderr, /other\.db exists already; use --force to replace it\n$/);
  await program.result("--host", "other.db", "host", "import", "full.json", "--force");
  await program.result("--host", "other.db", "host", "export", "again.json");
  assertEquals(program.read("again.json"), program.read("full.json"));
  assertEquals((await program.result("--host", "other.db", "host", "check")).ok, true);
});

Deno.test("host reset keeps the topology and forgets the rest; -n of each changes nothing", async () => {
  using program = fullProgram();
  await program.result("host", "export", "full.json");
  const before = program.read("host.db");
  for (
    const line of [
      "host reset",
      "host delete",
      "host create --force",
      "host import full.json --force",
      "host export x.json",
    ]
  ) {
    const outcome = await program.run(["-n", ...line.split(" ")]);
    assertEquals([outcome.code, program.read("host.db")], [0, before], line);
  }
  assert(!exists(program.path("x.json")));
  const { topology } = await program.result("host", "show");
  await program.result("host", "reset");
  assertEquals((await program.result("host", "show")).topology, topology);
  using fresh = new Program();
  fresh.write("t.json", JSON.stringify(topology));
  await fresh.result("host", "create", "--from", "t.json");
  assertEquals((await program.run(["host", "export"])).stdout, (await fresh.run(["host", "export"])).stdout);
});

Deno.test("host create --force replaces a damaged host file", async () => {
  using program = new Program();
  await program.script(["dmb register --size 64k --rgid 1", "vlan add 3"]);
  const bytes = program.read("host.db");
  bytes.fill(0x5a, 4096, bytes.length - 4096);
  program.write("host.db", bytes);
  const { code, stderr } = await program.run(["vlan", "list"]);
  assertEquals(code, 4);
  assertMatch(
    stderr,
    /host\.db is damaged: .*; restore a copy, or replace it with "ism host create --force"\n$/,
  );
  await program.result("host", "create", "--force");
  assertEquals((await program.result("vlan", "list")).ids, []);
  assertEquals((await program.result("host", "check")).ok, true);
});

Deno.test("a process that waits on a host sees what replaces it", async () => {
  using program = fullProgram();
  await program.result("host", "export", "full.json");
  await program.result("host", "create", "--force");
  const waiting = program.run(["--json", "-d", "fid:0x10", "irq", "wait", "--timeout", "20"]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  // In the imported host an interrupt waits.
  await program.result("host", "import", "full.json", "--force");
  const { code, stdout, stderr } = await waiting;
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout).result.interrupts, 1);
});

Deno.test("host import refuses a document with numbers or rows that no host has", async () => {
  using program = fullProgram();
  const document = JSON.parse((await program.run(["host", "export"])).stdout);
  const changed = (key: string, change: (row: Record<string, unknown>) => void) => {
    const state = structuredClone(document.state);
    change(state[key]);
    return { ...document, state };
  };
  const documents: readonly (readonly [document: unknown, message: RegExp])[] = [
    [
      changed("driver/16", (row) => (row["registrations"] as { lastSlot: number }).lastSlot = 1.5),
      /state: driver\/16: registrations\.lastSlot: Invalid integer: Received 1\.5$/m,
    ],
    [
      changed("guest/0/storage", (row) => row["next"] = 1e300),
      /state: guest\/0\/storage: next: Invalid value: .* received 1e\+300$/m,
    ],
    [
      changed("fabric/2017", (row) => row["nextToken"] = -2),
      /state: fabric\/2017: nextToken: Invalid value: Expected >=1 but received -2$/m,
    ],
    [
      changed("adapter/16", (row) => row["dmbs"] = 5),
      /^ism: host import: "d\.json" is no exported host: state: adapter\/16: dmbs: Invalid type: /,
    ],
    [{ ...document, state: { ...document.state, more: 1 } }, /state: more: there is nothing of this name/],
    [{ ...document, state: { ...document.state, clock: undefined } }, /state: clock: it is missing/],
    [
      { ...document, pages: [{ ...document.pages[0], address: "0x7fffffff000" }] },
      /pages: 0x7fffffff000 of guest 0 is no memory/,
    ],
    [{ ...document, pages: [{ ...document.pages[0], guest: 9 }] }, /pages: .* of guest 9 is no memory/],
    [{ ...document, pages: [{ ...document.pages[0], data: "00" }] }, /pages\.0\.data: /],
    [{ ...document, schema: 0 }, /schema: /],
    [{ ...document, schema: "2" }, /schema: /],
  ];
  const before = program.read("host.db");
  for (const [each, message] of documents) {
    program.write("d.json", JSON.stringify(each));
    const { code, stderr } = await program.run(["host", "import", "d.json", "--force"]);
    assertEquals([code, stderr.split("\n").length], [4, 2], stderr);
    assertMatch(stderr, message);
  }
  assertEquals(program.read("host.db"), before);
});
