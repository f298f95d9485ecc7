/** Commits that are forced to the disk by a later one, and the lock that two processes on one host file take in turn. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { defaultTopology } from "../lib/host/default_topology.ts";
import { HostFileError, HostStore } from "../lib/host/file/store.ts";
import { Program } from "./support/program.ts";

/** Two processes have a host file open. */
function twoStores(program: Program): [HostStore, HostStore] {
  const path = program.path("two.db");
  return [HostStore.create(path, defaultTopology()), HostStore.open(path)];
}

Deno.test("a commit that changes nothing still forces those before it that were not; then nothing is left to force", () => {
  using program = new Program();
  const [one, other] = twoStores(program);
  const commit = (forced: boolean, microseconds: number) => {
    const before = other.version;
    const host = one.begin("write", { forced });
    host.clock.microseconds += microseconds;
    one.commit(host);
    return other.version !== before;
  };
  // Whether something went to the file, as the other process sees it.
  assertEquals([commit(true, 0), commit(false, 5), commit(false, 0), commit(true, 0), commit(true, 0)], [
    false,
    true,
    false,
    true,
    false,
  ]);
  assertEquals(other.begin("read").clock.microseconds, one.begin("read").clock.microseconds);
  for (const each of [one, other]) {
    each.rollback();
    each.close();
  }
});

Deno.test("what is undone of a transaction that is not forced is undone, and the next one is as before", () => {
  using program = new Program();
  const [one, other] = twoStores(program);
  const before = one.begin("write", { forced: false }).clock.microseconds;
  one.rollback();
  for (const forced of [false, true]) {
    const host = one.begin("write", { forced });
    host.clock.microseconds += 7;
    one.rollback();
    assertEquals(other.begin("read").clock.microseconds, before);
    other.rollback();
  }
  for (const each of [one, other]) each.close();
});

Deno.test("every transaction waits for the lock of another process as long as it is said, not only the first", () => {
  using program = new Program();
  const [one, other] = twoStores(program);
  for (let round = 0; round < 2; round++) {
    other.begin("write");
    const began = performance.now();
    assertThrows(() => one.begin("write"), HostFileError, "in use by another ism for more than 5 seconds");
    const waited = performance.now() - began;
    assert(waited >= 4900 && waited < 20_000, `${waited} ms`);
    other.rollback();
    one.begin("write");
    one.rollback();
  }
  for (const each of [one, other]) each.close();
});

Deno.test("a transfer whose commits are not forced leaves a file that SQLite and host check find whole", async () => {
  using program = new Program();
  await program.result("host", "create");
  program.write("file", new Uint8Array(3_000_000).map((_, i) => i * 13 + (i >> 9)));
  const receiving = program.run(["recv", "-d", "1", "-o", "copy", "--dmb", "64k", "--timeout", "30"]);
  const { code, stderr } = await program.run(["send", "file", "--wait", "30"]);
  assertEquals([code, stderr, (await receiving).code], [0, "", 0]);
  assertEquals(program.read("copy"), program.read("file"));
  assertEquals((await program.run(["host", "check"])).code, 0);
  using db = new DatabaseSync(program.path("host.db"));
  assertEquals(db.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok");
});
