/** Host files and exported documents of older formats, as older programs wrote them: nothing in them is lost. */
import { DatabaseSync } from "node:sqlite";
import { crc32, gunzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exportHost } from "../lib/host/file/export.ts";
import { Host } from "../lib/host/host.ts";
import { FORMAT, migrate } from "../lib/host/state/migrations.ts";
import { parseTopology } from "../lib/host/topology.ts";
import type { Json } from "../lib/base/json.ts";
import { FULL_TOPOLOGY, furnish } from "./support/full_host.ts";
import { assertNoStack, exists, inParallel, killAfter, Program } from "./support/program.ts";

/** Formats that are not written any more, each with a file and an export under tests/fixtures. */
const OLDER = [1, 2, 3] as const;

/** An exported host, as far as these tests look into it. */
interface Document {
  readonly schema: number;
  readonly topology: Json;
  readonly state: Readonly<Record<string, Json>>;
  readonly pages: readonly Json[];
}

function fixture(name: string): Uint8Array {
  return gunzipSync(Deno.readFileSync(new URL(`fixtures/${name}.gz`, import.meta.url)));
}

function exported(format: number): Document {
  return JSON.parse(new TextDecoder().decode(fixture(`format-${format}.json`)));
}

/** The document that this program has to make of an older one. */
function expected(format: number): Document {
  const { schema, topology, state, pages } = exported(format);
  const { topology: new_, ...rows } = Object.fromEntries(
    migrate(new Map(Object.entries({ ...state, topology })), schema),
  );
  return { ism: "host", schema: FORMAT, topology: new_!, state: rows, pages } as Document;
}

/** A program whose host file is an older one. */
function olderProgram(format: number): Program {
  const program = new Program();
  program.write("host.db", fixture(`format-${format}.db`));
  return program;
}

function userVersion(program: Program): number {
  using db = new DatabaseSync(program.host);
  return Number(db.prepare("PRAGMA user_version").get()!["user_version"]);
}

async function documentOf(program: Program): Promise<Document> {
  return JSON.parse((await program.run(["host", "export"])).stdout);
}

/** Every field of a JSON value, at any depth; elements of lists share a place. */
function* places(value: Json, at = ""): Generator<string> {
  if (!at.endsWith("[]")) yield at;
  if (Array.isArray(value)) { for (const each of value) yield* places(each, `${at}[]`); }
  else if (value !== null && typeof value === "object") {
    for (const [key, each] of Object.entries(value)) yield* places(each, `${at}.${key}`);
  }
}

Deno.test.each(OLDER.map((format) => ({ format })))(
  "looks at a host file of format $format see everything in it and leave it as it is",
  async ({ format }) => {
    using program = olderProgram(format);
    const before = program.read("host.db");
    const looks = [
      "list",
      "status",
      "dma list",
      "dmb list",
      "vlan list",
      "fault list",
      "host show",
      "host check",
    ];
    const outcomes = await inParallel(looks, (line) => program.run(line.split(" ")));
    for (const [i, { code, stderr }] of outcomes.entries()) {
      assertEquals([looks[i], code, stderr], [looks[i], 0, ""]);
    }
    assertMatch(
      outcomes.at(-1)!.stdout,
      new RegExp(`format ${format}, the next change makes it format ${FORMAT}\n$`),
    );
    assertEquals(await documentOf(program), expected(format));
    assertEquals(program.read("host.db"), before);
    assertEquals([...Deno.readDirSync(program.dir)].map(({ name }) => name), ["host.db"]);
  },
);

Deno.test.each(OLDER.map((format) => ({ format })))(
  "the first change of a host file of format $format makes it one of this format, with everything in it",
  async ({ format }) => {
    using program = olderProgram(format);
    const before = expected(format);
    await program.result("fault", "clear", "1");
    assertEquals(userVersion(program), FORMAT);
    const after = await documentOf(program);
    const plan = before.state["faults"] as { nextId: number; faults: { id: number }[] };
    const faults = { ...plan, faults: plan.faults.filter(({ id }) => id !== 1) };
    assertEquals(after, { ...before, state: { ...before.state, faults } });
    const { ok, format: now, created_format } = await program.result("host", "check");
    assertEquals([ok, now, created_format], [true, FORMAT, format]);
    // The driver goes on where it was: a signal that waited, data in a DMB, a mapping, the other guest.
    const { dmbs } = await program.result("dmb", "list");
    const { interrupts, dmbs: signalled, events } = await program.result("irq");
    assertEquals([interrupts, signalled.length, events.length], [1, 2, 1]);
    assertEquals(events[0].info, "0x123456789abcdef");
    const { data } = await program.result(
      "dmb",
      "read",
      dmbs.find(({ index }: { index: number }) => index === 77).token,
      "10",
      "4",
    );
    assertEquals(data, "20272e35");
    assertEquals((await program.run(["-d", "fid:0x13", "close"])).code, 0);
    assertEquals((await program.run(["host", "check"])).code, 0);
  },
);

Deno.test.each(OLDER.map((format) => ({ format })))(
  "a document of format $format is imported with everything in it",
  async ({ format }) => {
    using program = new Program();
    program.write("old.json", fixture(`format-${format}.json`));
    await program.result("host", "import", "old.json");
    assertEquals(await documentOf(program), expected(format));
    const { format: now, created_format } = await program.result("host", "check");
    assertEquals([now, created_format], [FORMAT, FORMAT]);
  },
);

Deno.test.each(OLDER.map((format) => ({ format })))(
  "what changes nothing leaves a host file of format $format in its format",
  async ({ format }) => {
    using program = olderProgram(format);
    const before = program.read("host.db");
    assertEquals((await program.run(["-n", "vlan", "add", "9"])).code, 0);
    assertEquals((await program.script(["vlan add 9", "stb bar2 8 file:missing"])).code, 4);
    assertEquals((await program.run(["fault", "clear", "99"])).code, 2);
    assertEquals([program.read("host.db"), userVersion(program)], [before, format]);
  },
);

Deno.test.each(OLDER.map((format) => ({ format })))(
  "a process that is killed while it brings a file of format $format up leaves the old one or the new one",
  async ({ format }) => {
    using program = olderProgram(format);
    const [file, before] = [program.read("host.db"), program.state()];
    let after: string | undefined;
    const seen = new Set<number>();
    for (const delay of [400, 30, 60, 80, 90, 100, 110, 120, 130, 140, 150, 160, 180, 200, 250, 3000]) {
      for (const suffix of ["-wal", "-shm"]) {
        if (exists(program.host + suffix)) Deno.removeSync(program.host + suffix);
      }
      program.write("host.db", file);
      const child = program.spawn(["fault", "clear"]);
      const timer = killAfter(child, delay);
      await child.stdin.close();
      const { success } = await child.output();
      clearTimeout(timer);
      const [version, state] = [userVersion(program), program.state()];
      seen.add(version);
      if (version === format) assertEquals([success, state], [false, before], `killed after ${delay} ms`);
      else {
        after ??= state;
        assertEquals([version, state], [FORMAT, after], `killed after ${delay} ms`);
      }
    }
    assertEquals([...seen].toSorted(), [format, FORMAT], "both came up");
    assertEquals((await program.run(["host", "check"])).code, 0);
  },
);

Deno.test.each(OLDER.map((format) => ({ format })))(
  "a process of format $format that was killed left a log beside the file, which counts",
  async ({ format }) => {
    using program = olderProgram(format);
    {
      using db = new DatabaseSync(program.path("host.db"));
      db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
      const json = JSON.stringify({ nextId: 50, faults: [] });
      db.prepare("UPDATE state SET json = ?, sum = ? WHERE key = 'faults'").run(
        json,
        crc32(json, crc32("faults")),
      );
      for (const suffix of ["", "-wal"]) {
        Deno.copyFileSync(program.host + suffix, program.path(`killed.db${suffix}`));
      }
    }
    const killed = ["--host", "killed.db"];
    assertEquals((await program.result(...killed, "fault", "list")).faults, []);
    assertEquals((await program.result(...killed, "fault", "add", "cc3")).id, 50);
    const { format: now, created_format } = await program.result(...killed, "host", "check");
    assertEquals([now, created_format], [FORMAT, format]);
  },
);

Deno.test("an older host file that cannot be understood is left alone", async () => {
  using program = olderProgram(1);
  {
    using db = new DatabaseSync(program.host);
    const json = "[]";
    db.prepare("UPDATE state SET json = ?, sum = ? WHERE key = 'adapter/16'").run(
      json,
      crc32(json, crc32("adapter/16")),
    );
  }
  const before = program.read("host.db");
  for (const line of ["gid", "list", "host check", "host reset"]) {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], line);
    assertNoStack(outcome);
    assertMatch(outcome.stderr, /host\.db is damaged: /);
  }
  assertEquals(program.read("host.db"), before);
});

Deno.test("a file and a document of a newer format are refused, whatever the command, and stay as they are", async () => {
  using program = new Program();
  const newer = FORMAT + 1;
  await program.result("vlan", "add", "5");
  program.write("newer.json", JSON.stringify({ ...await documentOf(program), schema: newer, more: [] }));
  {
    using db = new DatabaseSync(program.host);
    db.exec(`PRAGMA user_version = ${newer}`);
  }
  const before = program.read("host.db");
  const lines = [
    "gid",
    "list",
    "host check",
    "host reset",
    "host delete",
    "host create --force",
    "host import newer.json --force",
  ];
  const stderrs = await inParallel(lines, async (line) => {
    const outcome = await program.run(line.split(" "));
    assertEquals([outcome.code, outcome.stdout], [4, ""], line);
    return outcome.stderr;
  });
  for (const text of stderrs) {
    assertMatch(
      text,
      new RegExp(`has format ${newer}, this ism knows formats up to ${FORMAT}; use a newer ism\n$`),
    );
  }
  assertEquals(program.read("host.db"), before);
});

const parentOf = (place: string) => place.slice(0, place.lastIndexOf("."));

Deno.test("every field that this program saves has a value in a host of an older format", () => {
  const host = Host.create(parseTopology(FULL_TOPOLOGY));
  furnish(host);
  const here = JSON.parse(JSON.stringify(exportHost(host))) as Document;
  for (const format of OLDER) {
    const there = new Set(places(expected(format) as unknown as Json));
    const missing = [...new Set(places(here as unknown as Json))].filter((place) => !there.has(place))
      // Before format 3 a function that nobody had open had no translation: the kernel's own domain is new.
      .filter((place) => !/^\.state\.function\/\d+\.ioat\./.test(place) || !there.has(parentOf(place)));
    assertEquals(missing, [], "lib/host/state/migrations.ts: a row of STEPS is missing for each of these");
  }
  assert(here.pages.length > 10);
});
