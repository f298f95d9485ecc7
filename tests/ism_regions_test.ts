/** What `info` says of the regions, and which instructions reads and writes of a BAR are. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Document, Program } from "./support/program.ts";

const BAR2_SIZE = 0x10000;
const LINE = 4096;

/** Instructions of a document's trace. */
function instructions({ trace }: Document, op?: string) {
  return trace!.filter((event) => event["layer"] === "insn" && (op === undefined || event["op"] === op));
}

/** The loads of a BAR read as `length@offset`: the widest of 8, 4, 2, 1 that fits and is aligned. */
function loadsOf(offset: number, count: number): string[] {
  if (count === 0) return [];
  const width = [8, 4, 2].find((size) => count >= size && offset % size === 0) ?? 1;
  const first = `${width}@0x${offset.toString(16)}`;
  // Recursion would be too deep for long reads; whole doublewords are a plain run.
  if (width < 8) return [first, ...loadsOf(offset + width, count - width)];
  const words = Math.floor(count / 8);
  const run = Array.from({ length: words }, (_, i) => `8@0x${(offset + 8 * i).toString(16)}`);
  return [...run, ...loadsOf(offset + 8 * words, count - 8 * words)];
}

/** What one pwrite of a BAR with memory comes to, by the rules of the variant driver. */
function writeOf(offset: number, count: number, size: number, maxStoreBlock = 4096): number | "EINVAL" {
  if (count === 0) return 0;
  if (offset >= size) return "EINVAL";
  const clamped = Math.min(count, size - offset);
  return clamped > maxStoreBlock || (offset % LINE) + clamped > LINE ? "EINVAL" : clamped;
}

function assertWrite(document: Document, expected: number | string, space: number, offset: number): void {
  const where = `line ${document.line}`;
  const stores = instructions(document).filter(({ op }) => op === "PCISTB" || op === "PCISTG");
  if (typeof expected === "string") {
    assertEquals(document.error?.code, expected, where);
    assertEquals(stores, [], `${where}: a refused write reaches no device`);
    return;
  }
  assert(document.ok, `${where}: ${document.error?.message}`);
  assertEquals(document.result.ret, expected, where);
  const wanted = expected === 0
    ? []
    : [{ op: "PCISTB", space, offset: `0x${offset.toString(16)}`, length: expected, cc: 0 }];
  assertEquals(
    stores.map(({ op, space, offset, length, cc }) => ({ op, space, offset, length, cc })),
    wanted,
    where,
  );
}

Deno.test("ism info says where each region is and how large", async () => {
  using program = new Program();
  const { regions, irqs, capabilities, flags } = await program.result("info");
  const bar = (index: number, size: number) => ({
    index,
    name: `bar${index}`,
    offset: `0x${(BigInt(index) << 48n).toString(16)}`,
    size,
    flags: size === 0 ? 0 : 3,
  });
  const config = { index: 7, name: "config", offset: "0x7000000000000", size: 256, flags: 3 };
  const none = (index: number, name: string) => ({ index, name, error: "EINVAL" });
  assertEquals(regions, [
    bar(0, 0x1_0000_0000_0000),
    bar(1, 0),
    bar(2, BAR2_SIZE),
    ...[3, 4, 5].map((index) => bar(index, 0)),
    none(6, "rom"),
    config,
    none(8, "vga"),
  ]);
  assertEquals(typeof flags, "number");
  assertEquals(irqs.map(({ count, error }: { count?: number; error?: string }) => count ?? error), [
    0,
    1,
    0,
    1,
    1,
  ]);
  assertEquals(capabilities.map(({ id }: { id: number }) => id), [1, 2, 3, 4]);
  const rows = await program.documents([
    "info bar0",
    "info config",
    "info 2",
    "info 6",
    "info 8",
    "info 0xffffffff",
  ]);
  assertEquals(rows.map(({ result, error }) => result ?? error?.code), [
    bar(0, 0x1_0000_0000_0000),
    config,
    bar(2, BAR2_SIZE),
    "EINVAL",
    "EINVAL",
    "EINVAL",
  ]);
  const { stdout } = await program.run(["info", "bar0"]);
  assert(stdout.includes("256 TiB (0x1000000000000)"), stdout);
});

Deno.test("ism peek cuts 16 KiB of BAR 2 at offset 3 into the loads of the facts", async () => {
  using program = new Program();
  const [, document, small] = await program.documents([
    "open",
    "peek bar2 3 16k --trace",
    "peek bar2 3 16 --trace",
  ]);
  const loads = instructions(document!).map(({ op, length, offset, space, cc, status }) => {
    assertEquals({ op, space, cc, status }, { op: "PCILG", space: 2, cc: 0, status: 0 });
    return `${length}@${offset}`;
  });
  assertEquals(document!.result.ret, 16384);
  assertEquals(loads, loadsOf(3, 16384));
  assertEquals(loads.slice(0, 3), ["1@0x3", "4@0x4", "8@0x8"]);
  assertEquals(instructions(small!).map(({ length, offset }) => `${length}@${offset}`), [
    "1@0x3",
    "4@0x4",
    "8@0x8",
    "2@0x10",
    "1@0x12",
  ]);
});

Deno.test("ism peek issues the planned loads for any offset and length, up to the end of the BAR", async () => {
  const read = fc.tuple(
    fc.oneof(fc.nat(40), fc.integer({ min: BAR2_SIZE - 40, max: BAR2_SIZE - 1 })),
    fc.nat(64),
  );
  const reads = fc.sample(read, { numRuns: 300, seed: 42 });
  using program = new Program();
  const lines = reads.map(([offset, count]) => `peek bar2 ${offset} ${count} --trace=insn`);
  const documents = (await program.documents(["open", ...lines])).slice(1);
  for (const [i, [offset, count]] of reads.entries()) {
    const length = Math.min(count, BAR2_SIZE - offset);
    const loads = instructions(documents[i]!).map((event) => `${event["length"]}@${event["offset"]}`);
    assertEquals(loads, loadsOf(offset, length), lines[i]);
    assertEquals(documents[i]!.result.data.length, 2 * length);
  }
});

Deno.test("ism stb is one PCISTB or, on the other side of each limit, a refusal with none", async () => {
  const rows:
    readonly (readonly [region: string, offset: number, count: number, expected: number | "EINVAL"])[] = [
      ["bar2", 8, 0, 0],
      ["bar2", 8, 1, 1],
      ["bar2", 0x1000, 4096, 4096],
      ["bar2", 0x1000, 4097, "EINVAL"],
      ["bar2", 0x1ff8, 8, 8],
      ["bar2", 0x1ff8, 9, "EINVAL"],
      ["bar2", 0x1fff, 1, 1],
      ["bar2", 0x1fff, 2, "EINVAL"],
      ["bar2", BAR2_SIZE - 1, 1, 1],
      ["bar2", BAR2_SIZE - 1, 2, 1],
      ["bar2", BAR2_SIZE - 10, 100, 10],
      ["bar2", BAR2_SIZE - 10, 5000, 10],
      ["bar2", BAR2_SIZE - LINE, 5000, LINE],
      ["bar2", BAR2_SIZE, 1, "EINVAL"],
      ["bar2", BAR2_SIZE, 0, 0],
      ...["bar1", "bar3", "bar4", "bar5"].map((bar) => [bar, 0, 1, "EINVAL"] as const),
      ...["bar1", "bar3"].map((bar) => [bar, 0, 0, 0] as const),
      ["6", 0, 1, "EINVAL"],
      ["8", 0, 1, "EINVAL"],
      ["9", 0, 1, "EINVAL"],
    ];
  using program = new Program();
  const lines = rows.map(([region, offset, count]) => `stb ${region} ${offset} seq:1*${count} --trace=insn`);
  const documents = (await program.documents(["open", ...lines])).slice(1);
  for (const [i, [, offset, , expected]] of rows.entries()) assertWrite(documents[i]!, expected, 2, offset);
});

Deno.test("ism stb follows the driver's rules at any offset, length and store-block limit", async () => {
  using program = new Program();
  const guests = [{ name: "g", functions: [{ fid: 1, uid: 1 }] }];
  program.write("short.json", JSON.stringify({ machine: { maxstbl: 1024 }, guests }));
  await program.result("host", "create", "--from", "short.json");
  const edge = fc.constantFrom(0, 1000, 1024, 4080, 4096, 8190, BAR2_SIZE - 1030, BAR2_SIZE - 8, BAR2_SIZE);
  const write = fc.tuple(edge, fc.nat(16), fc.constantFrom(0, 8, 1016, 4080), fc.nat(20));
  const writes = fc.sample(write, { numRuns: 300, seed: 7 }).map(([at, more, base, extra]) =>
    // Offsets below 8 hold the header that starts a command, which has effects of its own.
    [Math.max(8, at + more), base + extra] as const
  );
  const lines = writes.map(([offset, count]) => `stb bar2 ${offset} rand:1*${count} --trace=insn`);
  const documents = (await program.documents(["open", ...lines])).slice(1);
  for (const [i, [offset, count]] of writes.entries()) {
    assertWrite(documents[i]!, writeOf(offset, count, BAR2_SIZE, 1024), 2, offset);
  }
});

Deno.test("ism stb into a DMB is one PCISTB; what the machine refuses was one PCISTB, too", async () => {
  using program = new Program();
  const documents = await program.documents([
    "let g gid",
    "let t dmb register --size 8k --rgid $g -d 1",
    "stb bar0 $t rand:1*4096 --trace=insn",
    "stb bar0 $t rand:1*4097 --trace=insn",
    "stb bar0 0 hex:00 --trace=insn",
    "stb bar0 0xffffffffffff hex:0000 --trace=insn",
    "pread 0 1 --trace=insn",
    "dmb read $t 0 4096 -d 1",
    "expect rand:1*4096 dmb read $t 0 4096 -d 1",
  ]);
  const [, token, accepted, tooLong, nobody, last, load, , holds] = documents;
  assertWrite(accepted!, 4096, 0, Number(token!.result.value));
  assertWrite(tooLong!, "EINVAL", 0, 0);
  for (const document of [nobody!, last!, load!]) {
    const [only, ...more] = instructions(document);
    assertEquals([document.error?.code, more], ["EIO", []]);
    assertEquals([only!["cc"], only!["length"]], [1, 1], "the end of the BAR cuts the length");
  }
  assert(holds!.ok);
});

Deno.test("ism touches any part of 256 TiB without keeping memory for it", async () => {
  using program = new Program();
  await program.result("open");
  const pages = () => JSON.parse(program.state()).pages.length;
  const before = pages();
  const offsets = fc.sample(fc.bigInt({ min: 0n, max: (1n << 48n) - 1n }), { numRuns: 200, seed: 3 });
  const { code, stderr } = await program.script(offsets.map((at) => `expect EIO stb bar0 ${at} hex:00`));
  assertEquals([code, stderr], [0, ""]);
  assertEquals(pages(), before);
});
