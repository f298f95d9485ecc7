/**
 * The host file under duress: killed writers, many writers, damaged bytes. A small run in the suite; `deno task soak`
 * runs the full numbers.
 */
import { assert, assertEquals } from "@std/assert";
import { HostFileError, HostStore } from "../../lib/host/file/store.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { checkHost } from "../../lib/host/invariants.ts";
import { splitMix64 } from "../../lib/base/random.ts";
import { documentsOf, inParallel, killAfter, Program } from "../support/program.ts";

const SOAK = (Deno.env.get("ISM_SOAK") ?? "") !== "";
const KILLS = SOAK ? 500 : 12;
const WRITERS = SOAK ? 8 : 4;
const COMMANDS_PER_WRITER = SOAK ? 100 : 6;
const MUTATIONS = SOAK ? 2000 : 200;
const CREATIONS = SOAK ? 60 : 5;

/** Numbers from 0 to 1 that depend on a seed alone. */
function* randoms(seed: number): Generator<number> {
  for (let state = BigInt(seed);; state += 0x9e3779b97f4a7c15n) {
    yield Number(splitMix64(BigInt.asUintN(64, state)) >> 11n) / 2 ** 53;
  }
}

/** The 64-bit number that a counter's memory holds. */
async function counter(program: Program, iova: string): Promise<number> {
  const { data } = await program.result("dma", "read", iova, "8");
  return Number(BigInt(`0x${data}`));
}

Deno.test(`a writer killed ${KILLS} times leaves every acknowledged command, and none half done`, async () => {
  using program = new Program();
  const { iova } = await program.result("dma", "map", "--size", "64k");
  const random = randoms(1);
  let acknowledged = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const first = acknowledged + 1;
    // Each line writes the same number to two pages: half a command would leave them different.
    const lines = Array.from({ length: 400 }, (_, i) => {
      const number = BigInt(first + i).toString(16).padStart(16, "0");
      return `dma write ${iova} hex:${number.padEnd(2 * 4096, "0")}${number}`;
    });
    const child = program.spawn(["run", "-", "--commit-each", "--json"]);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(lines.join("\n") + "\n"));
    await writer.close();
    const timer = killAfter(child, 80 + Math.floor(random.next().value! * 250));
    const { stdout } = await child.output();
    clearTimeout(timer);
    const done = new TextDecoder().decode(stdout).split("\n").filter((line) => line.endsWith("}"));
    acknowledged += done.length;
    const seen = await counter(program, iova);
    const second = await counter(program, `0x${(Number(iova) + 4096).toString(16)}`);
    assert(seen >= acknowledged, `kill ${kill}: ${acknowledged} were acknowledged, ${seen} is there`);
    assertEquals(second, seen, `kill ${kill}: a command is half done`);
    acknowledged = seen;
    if (kill % 10 === 0) assertEquals((await program.run(["host", "check"])).code, 0);
  }
  assertEquals((await program.run(["host", "check"])).code, 0);
});

Deno.test(`${WRITERS} processes with ${COMMANDS_PER_WRITER} commands each lose no update`, async () => {
  using program = new Program();
  const pages: string[] = [];
  for (let i = 0; i < WRITERS; i++) pages.push((await program.result("dma", "map", "--size", "4k")).iova);
  const before = await program.result("query");
  await inParallel(pages, async (iova) => {
    for (let i = 1; i <= COMMANDS_PER_WRITER; i++) {
      const number = BigInt(i).toString(16).padStart(16, "0");
      const { code, stderr } = await program.run(["dma", "write", iova, `hex:${number}`]);
      assertEquals([code, stderr], [0, ""]);
      // A counter that all share: each command maps one more page.
      if (i === COMMANDS_PER_WRITER) {
        assertEquals((await program.run(["dma", "map", "--size", "4k"])).code, 0);
      }
    }
  });
  for (const iova of pages) assertEquals(await counter(program, iova), COMMANDS_PER_WRITER);
  const { mappings } = await program.result("dma", "list");
  assertEquals(mappings.length, 2 * WRITERS);
  assertEquals((await program.result("query")).my_gid, before.my_gid);
  assertEquals((await program.run(["host", "check"])).code, 0);
});

/** A host file with something in it: a DMB with data, an event, a fault. */
async function furnished(program: Program): Promise<Uint8Array> {
  const documents = documentsOf(
    await program.script([
      "let g gid",
      "let t dmb register --size 64k --rgid $g -d 1",
      "move $t 100 rand:1*20000 --signal",
      "fault add busy:2 --op PCISTB --at 1000",
      "dma map --size 64k",
    ], "--json"),
  );
  assertEquals(documents.filter(({ ok }) => !ok), []);
  return program.read("host.db");
}

/** What the furnished host looks like to somebody who reads all of it. */
function everything(store: HostStore): string {
  const host = store.begin("read");
  try {
    const memory = host.guests.map(({ partition }) =>
      partition.storage.buffers.map((buffer) => buffer.touch(0, buffer.size, false).toHex())
    );
    const damages = [...store.damages(), ...checkHost(host)];
    if (damages.length > 0) throw new HostFileError(damages[0]!);
    return JSON.stringify([[...host.save()], memory]);
  } finally {
    store.rollback();
  }
}

Deno.test(`${MUTATIONS} damaged host files are an error or the right answer, never a wrong one`, async () => {
  using program = new Program();
  const good = await furnished(program);
  let right: string;
  {
    using store = HostStore.open(program.host);
    right = everything(store);
  }
  const random = randoms(2);
  const next = (below: number) => Math.floor(random.next().value! * below);
  const seen = { error: 0, right: 0 };
  for (let i = 0; i < MUTATIONS; i++) {
    let bytes = good.slice();
    const kind = next(4);
    if (kind === 0) {
      for (let flips = 1 + next(8); flips > 0; flips--) bytes[next(bytes.length)]! ^= 1 << next(8);
    } else if (kind === 1) bytes = bytes.slice(0, next(bytes.length));
    else if (kind === 2) {
      const [a, b] = [next(bytes.length / 4096), next(bytes.length / 4096)];
      const page = bytes.slice(a * 4096, (a + 1) * 4096);
      bytes.copyWithin(a * 4096, b * 4096, (b + 1) * 4096);
      bytes.set(page, b * 4096);
    } else bytes.fill(next(256), next(bytes.length), next(bytes.length));
    const path = program.write(`damaged-${i}.db`, bytes);
    const started = performance.now();
    try {
      using store = HostStore.open(path);
      assertEquals(everything(store), right, `mutation ${i} of kind ${kind} gave a wrong answer`);
      seen.right++;
    } catch (error) {
      if (!(error instanceof HostFileError)) throw error;
      seen.error++;
    }
    assert(performance.now() - started < 10_000, `mutation ${i} of kind ${kind} took too long`);
    for (const suffix of ["", "-wal", "-shm"]) {
      try {
        Deno.removeSync(path + suffix);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  assert(seen.error > MUTATIONS / 4 && seen.right > 0, JSON.stringify(seen));
});

Deno.test("a new host file gets the default topology once, however many create it at once", async () => {
  for (let round = 0; round < CREATIONS; round++) {
    using program = new Program();
    const gids = await inParallel([1, 2, 3, 4, 5, 6], () => program.run(["gid"]));
    for (const { code, stdout, stderr } of gids) {
      assertEquals([code, stderr, stdout], [0, "", gids[0]!.stdout]);
    }
    using store = HostStore.open(program.host);
    assertEquals(store.begin("read").topology, defaultTopology());
    store.rollback();
  }
});
