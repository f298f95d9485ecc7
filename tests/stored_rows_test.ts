/** What a host file holds by the row: what a command reads and writes of it, and that no row is lost unnoticed. */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { Json } from "../lib/base/json.ts";
import { HostFileError, HostStore } from "../lib/host/file/store.ts";
import { RowStore } from "../lib/host/file/row_store.ts";
import { Host, type HostFunction } from "../lib/host/host.ts";
import { joinRows, splitRows } from "../lib/host/state/rows.ts";
import { defaultTopology } from "../lib/host/default_topology.ts";
import { parseTopology } from "../lib/host/topology.ts";
import { FULL_TOPOLOGY, furnish } from "./support/full_host.ts";
import { Program } from "./support/program.ts";

/** A host file whose first function has `dmbs` DMBs, and as many mappings. */
function storeWith(path: string, dmbs: number): HostStore {
  const store = HostStore.create(path, defaultTopology());
  const host = store.begin("write");
  const [owner, writer] = host.functions as [HostFunction, HostFunction];
  for (let i = 0; i < dmbs; i++) {
    owner.driver.registerDmb({ size: 4096, rgid: writer.adapter.gid });
    owner.driver.mapMemory(4096);
  }
  writer.driver.start();
  store.commit(host);
  return store;
}

/** What commands do, and how many rows each may write; pages come on top of that. */
const WORK: readonly (readonly [name: string, rows: number, work: (host: Host) => void])[] = [
  ["a store", 1, ({ functions: [owner, writer] }) => {
    writer!.driver.move(owner!.driver.dmbs[0]!.token, 0, new Uint8Array(8));
  }],
  ["a signal and the walk", 4, ({ functions: [owner, writer] }) => {
    writer!.driver.move(owner!.driver.dmbs[0]!.token, 0, new Uint8Array(8), { signal: true });
    owner!.driver.handleInterrupt();
  }],
  ["a DMB registered", 10, ({ functions: [owner, writer] }) => {
    owner!.driver.registerDmb({ size: 4096, rgid: writer!.adapter.gid });
  }],
  ["a DMB unregistered", 12, ({ functions: [owner] }) => {
    owner!.driver.unregisterDmb(owner!.driver.dmbs.at(-1)!.token);
  }],
  ["memory unmapped", 10, ({ functions: [owner] }) => {
    const { iova, size } = owner!.driver.memory[0]!;
    owner!.driver.unmapMemory(iova, size);
  }],
];

Deno.test("a commit tells of as many rows on a host with 300 DMBs and mappings as on one with 3", () => {
  using program = new Program();
  const told = [3, 300].map((dmbs) => {
    using store = storeWith(program.path(`${dmbs}.db`), dmbs);
    return WORK.map(([name, most, work]) => {
      const host = store.begin("write");
      work(host);
      const keys = new Set<string>();
      host.tidy();
      host.writeRows((key, _value, id) => keys.add(`${key}/${id}`));
      store.commit(host);
      assert(keys.size <= most, `${name} writes ${keys.size} rows: ${[...keys].join(" ")}`);
      return [name, keys.size, host.journal.changed.length];
    });
  });
  assertEquals(told[1], told[0]);
});

Deno.test("a command that only looks at BAR 2 of an open function reads no list of what it has", () => {
  using program = new Program();
  storeWith(program.host, 20).close();
  const { members } = RowStore.prototype;
  const read: string[] = [];
  RowStore.prototype.members = function (list: string): Json[] {
    read.push(list);
    return members.call(this, list);
  };
  try {
    using store = HostStore.open(program.host);
    const { functions: [owner, writer] } = store.begin("write");
    owner!.driver.descriptor.read(2, 0, 64, new Uint8Array(64));
    assertEquals(read, []);
    writer!.driver.move(owner!.driver.dmbs[0]!.token, 0, new Uint8Array(8));
    store.rollback();
    assert(read.length > 0 && new Set(read).size === read.length, read.join(" "));
  } finally {
    RowStore.prototype.members = members;
  }
});

Deno.test("documents that are cut into rows are the same documents when they are put together", () => {
  const host = Host.create(parseTopology(FULL_TOPOLOGY));
  furnish(host);
  const documents = new Map(JSON.parse(JSON.stringify([...host.save()])) as [string, Json][]);
  const [rows, members] = [new Map<string, Json>(), new Map<string, [number, Json][]>()];
  splitRows(documents, (key, value, id) => {
    if (id === undefined) rows.set(key, value as Json);
    else members.set(key, [...members.get(key) ?? [], [id, value as Json]]);
  });
  assert(rows.size > documents.size && members.size > 5);
  const sorted = (list: string) =>
    (members.get(list) ?? []).toSorted(([a], [b]) => a - b).map(([, value]) => value);
  const joined = joinRows(rows, sorted, (reason) => new Error(reason));
  assertEquals(
    JSON.parse(JSON.stringify([...joined])).sort(),
    JSON.parse(JSON.stringify([...documents])).sort(),
  );
});

Deno.test("a row that is lost, or that is there too many, is told: where it is read, and by host check", async () => {
  using program = new Program();
  storeWith(program.host, 3).close();
  const good = program.read("host.db");
  const edits = [
    [
      "DELETE FROM member WHERE list = 'adapter/16/dmbs' AND id = 33",
      /rows of adapter\/16\/dmbs are missing/,
    ],
    [
      "INSERT INTO member SELECT list, 99, json, sum, 1 FROM member WHERE list LIKE 'driver/16/dmbs' LIMIT 1",
      /./,
    ],
    [
      "UPDATE member SET json = json || ' ' WHERE list LIKE 'guest/0/storage%'",
      /checksum of guest\/0\/storage/,
    ],
    ["DELETE FROM state WHERE key = 'guest/0/kernel/zdevs/0'", /rows are missing or surplus/],
  ] as const;
  for (const [sql, message] of edits) {
    program.write("host.db", good);
    {
      using db = new DatabaseSync(program.host);
      db.exec(sql);
    }
    assertThrows(
      () => {
        using store = HostStore.open(program.host);
        const host = store.begin("read");
        try {
          host.save();
        } finally {
          store.rollback();
        }
      },
      HostFileError,
    );
    const { code, stderr } = await program.run(["host", "check"]);
    assertEquals(code, 4, sql);
    assertMatch(stderr, /is damaged: /);
    assertMatch(stderr, message);
  }
});

Deno.test("a small commit writes one page of the database, and what it wrote is there", () => {
  using program = new Program();
  using store = storeWith(program.host, 3);
  const frames = () => Math.floor(Deno.statSync(`${program.host}-wal`).size / (4096 + 24));
  const written: number[] = [];
  for (let i = 0; i < 60; i++) {
    const before = frames();
    const host = store.begin("write");
    const [owner, writer] = host.functions;
    writer!.driver.move(owner!.driver.dmbs[i % 3]!.token, i * 8, new Uint8Array(8).fill(i + 1));
    store.commit(host);
    written.push(frames() - before);
    if (i % 7 > 0) continue;
    using fresh = HostStore.open(program.host);
    const { driver } = fresh.begin("read").functions[0]!;
    for (let j = Math.max(0, i - 9); j <= i; j++) {
      const at = driver.view(driver.dmbs[j % 3]!, j * 8, 8);
      assertEquals(at, new Uint8Array(8).fill(j + 1), `${i} ${j}`);
    }
    assertEquals(fresh.damages(), []);
    fresh.rollback();
  }
  const small = written.filter((count) => count === 1).length;
  assert(small >= 50 && small < 60 && Math.max(...written) <= 12, written.join(" "));
});

Deno.test("each of the last commits is held against its checksum, and is missed", async () => {
  using program = new Program();
  {
    using store = storeWith(program.host, 3);
    for (let i = 0; i < 5; i++) {
      const host = store.begin("write");
      const [owner, writer] = host.functions;
      writer!.driver.move(owner!.driver.dmbs[0]!.token, 0, new Uint8Array(8).fill(i + 1));
      store.commit(host);
    }
  }
  const good = program.read("host.db");
  const last = "(SELECT max(revision) FROM redo)";
  for (
    const [sql, message] of [
      [`DELETE FROM redo WHERE revision = ${last}`, /rows of the last commits are missing or surplus/],
      [`DELETE FROM redo WHERE revision = ${last} - 1`, /rows of the last commits are missing or surplus/],
      ["DELETE FROM redo WHERE revision > 0", /rows of the last commits are missing or surplus/],
      ["DELETE FROM redo", /rows of the last commits are missing or surplus/],
      [
        `INSERT INTO redo SELECT revision + 1, json, data, sum FROM redo WHERE revision = ${last}`,
        /is damaged/,
      ],
      [`UPDATE redo SET data = x'00' WHERE revision = ${last}`, /checksum of commit \d+ is wrong/],
      [`UPDATE redo SET json = json || ' ' WHERE revision = ${last} - 1`, /checksum of commit \d+ is wrong/],
      [`UPDATE redo SET json = 'x' WHERE revision = ${last}`, /checksum of commit \d+ is wrong/],
      [`UPDATE redo SET json = '{}' WHERE revision = ${last}`, /checksum of commit \d+ is wrong/],
      [
        'UPDATE redo SET json = \'{"revision":1,"folded":1}\' WHERE revision = 0',
        /checksum of the last commits/,
      ],
    ] as const
  ) {
    program.write("host.db", good);
    {
      using db = new DatabaseSync(program.host);
      db.exec(sql);
    }
    assertThrows(
      () => {
        using store = HostStore.open(program.host);
        store.begin("read");
      },
      HostFileError,
      "is damaged",
      sql,
    );
    const { code, stderr } = await program.run(["host", "check"]);
    assertEquals(code, 4, sql);
    assertMatch(stderr, message, sql);
  }
});

Deno.test("a host in memory loads no database", async () => {
  using program = new Program();
  const loaded = "import process from 'node:process';\nconst get = process.getBuiltinModule;\n" +
    "process.getBuiltinModule = (id) => { throw new Error(`loaded ${id}`); };\nvoid get;\n" +
    `const { HostStore, MEMORY_HOST } = await import("${new URL(
      "../lib/host/file/store.ts",
      import.meta.url,
    )}");\n` +
    `const { defaultTopology } = await import("${new URL(
      "../lib/host/default_topology.ts",
      import.meta.url,
    )}");\n` +
    "const store = HostStore.create(MEMORY_HOST, defaultTopology());\n" +
    "const host = store.begin('write');\nhost.functions[0].driver.start();\nstore.commit(host);\n";
  program.write("memory.ts", loaded);
  const child = program.spawnFile(program.path("memory.ts"), []);
  const { success, stderr } = await child.output();
  assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
});
