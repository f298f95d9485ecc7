/**
 * Two processes on one host file, each with the host in memory: what one commits the other takes over, little of it in
 * place and much of it by loading anew, and has the host then that a fresh load gives (lib/host/file/comparison.ts).
 */
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals } from "@std/assert";
import { splitMix64 } from "../lib/base/random.ts";
import { defaultTopology } from "../lib/host/default_topology.ts";
import { compareTransactions } from "../lib/host/file/comparison.ts";
import { rangesOf } from "../lib/host/file/manifest.ts";
import { patchesOf, type Redo, RedoLog, type RowChange } from "../lib/host/file/redo.ts";
import { HostStore } from "../lib/host/file/store.ts";
import type { Host, HostFunction } from "../lib/host/host.ts";
import { pattern } from "./support/bytes.ts";
import { Program } from "./support/program.ts";

type Ends = readonly [writer: HostFunction, owner: HostFunction];
type Random = (below: number) => number;

/** Numbers that follow from a seed. */
function randomFrom(seed: number): Random {
  let state = BigInt(seed);
  return (below) => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    return Number(splitMix64(state) % BigInt(below));
  };
}

/** What processes do to each other; those of the first part are taken over in place. */
const OFTEN: readonly ((ends: Ends, random: Random, host: Host) => void)[] = [
  ([writer, owner], random) => {
    const { token, size } = owner.driver.dmbs[random(owner.driver.dmbs.length)]!;
    const length = 1 + random(200);
    writer.driver.move(token, random(size - length), pattern(length, random(1000)), {
      signal: random(2) === 0,
    });
  },
  ([, { driver }]) => void driver.handleInterrupt(new Set(driver.dmbs.map(({ index }) => index))),
  (_ends, random, host) => void (host.clock.microseconds += random(1000)),
];
const SELDOM: typeof OFTEN = [
  ([, owner]) => void owner.driver.handleInterrupt(),
  ([writer, owner], random) => writer.driver.signal(owner.adapter.gid, random(100), 5n),
  ([, owner]) => void owner.driver.takeEvents(),
  ([writer, owner], random) => {
    owner.driver.registerDmb({ size: 4096 * (1 + random(8)), rgid: writer.adapter.gid });
  },
  ([, owner], random) => {
    const { dmbs } = owner.driver;
    if (dmbs.length > 1) owner.driver.unregisterDmb(dmbs[random(dmbs.length)]!.token);
  },
  ([writer]) => void writer.driver.mapMemory(4096),
  ([writer]) => {
    const [memory] = writer.driver.memory;
    if (memory !== undefined) writer.driver.unmapMemory(memory.iova, memory.size);
  },
  ([writer]) => void writer.driver.readGid(),
  (_ends, random, { rendezvous }) => {
    rendezvous.set({ reader: 16 + random(2), size: 4096, request: null, accepted: null, result: null });
  },
];

/** Two stores on one file whose functions have met. */
function twoStores(path: string): [HostStore, HostStore] {
  using store = HostStore.create(path, defaultTopology());
  const host = store.begin("write");
  for (
    const [writer, owner] of [[host.functions[0]!, host.functions[1]!], [
      host.functions[1]!,
      host.functions[0]!,
    ]]
  ) {
    owner!.driver.registerDmb({ size: 16384, rgid: writer!.adapter.gid });
    owner!.driver.start();
    owner!.driver.handleInterrupt();
  }
  store.commit(host);
  return [HostStore.open(path), HostStore.open(path)];
}

for (const seed of [1, 2, 3]) {
  Deno.test(`each of two processes has the host that the other left: random work ${seed}`, () => {
    using program = new Program();
    const random = randomFrom(seed);
    compareTransactions(true);
    try {
      const stores = twoStores(program.path("host.db"));
      let taken = 0;
      for (let i = 0; i < 150; i++) {
        const store = stores[random(2)]!;
        const other = stores.find((each) => each !== store)!;
        const known = store.begin("read");
        store.rollback();
        const isSmall = random(4) > 0;
        const host = other.begin("write");
        const [first, second] = host.functions as [HostFunction, HostFunction];
        const list = isSmall ? OFTEN : SELDOM;
        list[random(list.length)]!(random(2) === 0 ? [first, second] : [second, first], random, host);
        if (random(5) === 0) other.rollback();
        else other.commit(host);
        // Small changes cost no new host.
        const now = store.begin("read");
        store.rollback();
        if (isSmall) assertEquals(now === known, true, `${i}`);
        if (now === known) taken++;
      }
      assert(taken >= 75 && taken < 150, `${taken} of 150`);
      for (const store of stores) {
        store.begin("read");
        assertEquals(store.damages(), []);
        store.rollback();
        store.close();
      }
    } finally {
      compareTransactions(false);
    }
  });
}

Deno.test("a host that takes the place of another is loaded, whatever its number of commits", () => {
  using program = new Program();
  const [store, other] = twoStores(program.path("host.db"));
  const before = store.begin("write");
  before.clock.microseconds += 1;
  store.commit(before);
  const replaced = HostStore.create(program.path("host.db"), { ...defaultTopology(), seed: 9 }, {
    force: true,
  });
  for (let i = 0; i < 5; i++) {
    const host = replaced.begin("write");
    host.clock.microseconds += 1;
    replaced.commit(host);
    const now = store.begin("read");
    assertEquals(now.topology.seed, 9);
    assertEquals(now.clock.microseconds, host.clock.microseconds);
    store.rollback();
  }
  other.reset();
  const now = store.begin("read");
  assertEquals(now.clock.microseconds, other.begin("read").clock.microseconds);
  for (const each of [store, other]) each.rollback();
  for (const each of [store, other, replaced]) each.close();
});

Deno.test("a look that changes nothing writes nothing, also after another process has committed", () => {
  using program = new Program();
  const [store, other] = twoStores(program.path("host.db"));
  // Takes what has come until now.
  const first = store.begin("write");
  first.functions[1]!.driver.handleInterrupt();
  store.commit(first);
  const host = other.begin("write");
  host.clock.microseconds += 1;
  other.commit(host);
  const seen = other.version;
  for (let i = 0; i < 3; i++) {
    const look = store.begin("write");
    look.functions[1]!.driver.handleInterrupt();
    assertEquals([...look.guests[1]!.partition.storage.changed].length, 1);
    store.commit(look);
  }
  assertEquals(other.version, seen);
  for (const each of [store, other]) each.close();
});

Deno.test("memory that one process allocated and never touched is what another wrote there", () => {
  using program = new Program();
  const [store, other] = twoStores(program.path("host.db"));
  const host = store.begin("write");
  const [writer, owner] = host.functions as [HostFunction, HostFunction];
  const { token } = owner.driver.registerDmb({ size: 8192, rgid: writer.adapter.gid });
  store.commit(host);
  const data = pattern(4000, 3);
  const theirs = other.begin("write");
  theirs.functions[0]!.driver.move(token, 4096, data);
  other.commit(theirs);
  const now = store.begin("read");
  assertEquals(now === host, true);
  const { driver } = now.functions[1]!;
  assertEquals(driver.view(driver.dmb(token), 4096, 4000), data);
  assertEquals(driver.view(driver.dmb(token), 0, 4096), new Uint8Array(4096));
  store.rollback();
  for (const each of [store, other]) each.close();
});

/** A database with a log of commits, as two connections have it. */
function twoLogs(path: string): { db: DatabaseSync; log: RedoLog; other: RedoLog } {
  const db = new DatabaseSync(path);
  db.exec(
    "CREATE TABLE redo (revision INTEGER PRIMARY KEY, json TEXT NOT NULL, data BLOB, sum INTEGER NOT NULL)",
  );
  const log = new RedoLog(db);
  const sum = log.reset(1, 7);
  log.settle();
  const other = new RedoLog(db);
  assertEquals(other.load(sum), []);
  return { db, log, other };
}

const clock = (json: string): RowChange => ({ key: "clock", id: undefined, json });
const revisions = (commits: readonly Redo[] | undefined) => commits?.map(({ revision }) => revision);

Deno.test("the last commits are told without a gap, few of them, and none that is too long", () => {
  using program = new Program();
  const { db, log, other } = twoLogs(program.path("log.db"));
  const gone: RowChange = { key: "adapter/16/dmbs", id: 5, json: undefined };
  const member: RowChange = { key: "adapter/16/dmbs", id: 6, json: '{"a":"ä"}' };
  const data = pattern(100, 3);
  const rows = [clock("5"), gone, member];
  assert(
    log.append(rows, [{ guest: 1, address: 8200, data }, { guest: 0, address: 4096, data: data.slice(4) }]),
  );
  log.settle();
  const news = other.news()!;
  assertEquals([revisions(news.missed), news.isFolded, revisions(news.waiting)], [[2], false, [2]]);
  assertEquals(news.missed[0]!.rows, rows);
  assertEquals(patchesOf(news.missed[0]!), [
    { guest: 1, address: 8200, data },
    { guest: 0, address: 4096, data: data.slice(4) },
  ]);
  assertEquals(other.news(), undefined, "there is nothing new");

  // Small ones find room for a time; what is written into the tables then is told, without the bytes.
  let appended = 0;
  while (log.append([clock(`${appended}`)], [{ guest: 0, address: 4096, data }])) {
    log.settle();
    appended++;
  }
  assert(appended >= 10 && appended <= 40, `${appended}`);
  const before = log.head.revision;
  log.fold([clock("6")], [[0, 4096, 8192]]);
  assertEquals(log.head.revision, before, "nothing counts before it is settled");
  log.forget();
  db.exec(`DELETE FROM redo WHERE revision = ${before + 1}`);
  const sum = log.fold([clock("6")], [[0, 4096, 8192]]);
  assertEquals(log.settle(), true);
  // Whoever has not looked for long does not learn it all.
  assertEquals(other.news(), undefined);
  assertEquals([other.load(sum), other.head], [[], { revision: before + 1, folded: before + 1 }]);
  for (let i = 0; i < 3; i++) {
    log.fold([clock(`${i}`)], [[0, 4096, 8192]]);
    log.settle();
  }
  log.append([clock("9")], []);
  log.settle();
  const more = other.news()!;
  assertEquals([more.missed.length, more.isFolded, revisions(more.waiting)], [4, true, [before + 5]]);
  assertEquals(more.missed.flatMap(patchesOf), []);

  // One that is too long is not told, and nothing that was before it.
  log.fold([clock(`"${"x".repeat(700)}"`)], []);
  log.settle();
  assertEquals(other.news(), undefined);
  db.close();
});

Deno.test("commits of another history are not taken for news", () => {
  using program = new Program();
  const { db, log, other } = twoLogs(program.path("log.db"));
  log.append([clock("1")], []);
  log.settle();
  // The same numbers, from another beginning.
  const another = new RedoLog(db);
  const sum = another.reset(1, 8);
  another.settle();
  another.append([clock("1")], []);
  another.settle();
  assertEquals(other.news(), undefined);
  assertEquals(revisions(other.load(sum)), [2]);
  db.close();
});

Deno.test("pages by rising address are ranges", () => {
  const pages = [[1, 8192], [0, 4096], [0, 8192], [0, 20480], [1, 4096]] as const;
  assertEquals(rangesOf(pages.map(([guest, address]) => ({ guest, address })), 4096), [
    [0, 4096, 8192],
    [0, 20480, 4096],
    [1, 4096, 8192],
  ]);
});
