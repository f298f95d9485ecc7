/** Pictures: the map of positions, rings and SBA bits in status, the fabric. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { positionMap } from "../cmd/output/pictures/position_map.ts";
import { Program } from "./support/program.ts";
import { NO_TERMINAL, plain, TerminalRun } from "./support/terminal.ts";

const UTF8 = { LC_ALL: "C.UTF-8" };

Deno.test("info --map shows regions, gaps and where index << 40 lands; JSON has the same", async () => {
  using program = new Program();
  const { map, regions } = await program.result("info", "--map");
  assertEquals(map.parts.map((part: { kind: string; regions: string[] }) => [part.kind, ...part.regions]), [
    ["region", "bar0"],
    ["gap", "bar1"],
    ["region", "bar2"],
    ["gap", "bar3", "bar4", "bar5"],
    ["region", "config"],
    ["gap"],
  ]);
  // The parts cover all positions that loff_t has, one behind the other.
  let at = 0n;
  for (const { position, end } of map.parts) {
    assertEquals(BigInt(position), at);
    at = BigInt(end);
  }
  assertEquals(at, 2n ** 63n);
  // vfio.region.offset: the ISM driver shifts by 48, so what is made up by 40 is all inside of bar0, which has 2^48 bytes.
  for (const { index, position, lands } of map.hard_coded) {
    assertEquals([position, lands], [`0x${(index * 2 ** 40).toString(16)}`, {
      region: "bar0",
      offset: `0x${(index * 2 ** 40).toString(16)}`,
    }]);
  }
  assertEquals((await program.result("info")).regions, regions);
  const { stdout } = await program.run(["info", "--map"]);
  assertMatch(
    stdout,
    /^0x0002000000000000 {2}bar2 {4}64 KiB {3}#{16}$/m,
    "a column for each bit of the size",
  );
  assertMatch(stdout, /^0x0000000000000000 {2}bar0 {4}256 TiB {2}#{48}\n {77}\^{3}$/m);
  assertMatch(stdout, /^config {2}0x70000000000 {2}bar0\+0x70000000000$/m);
  const both = await program.run(["info", "bar0", "--map"]);
  assertEquals(both.code, 2);
});

Deno.test("a map of regions that lie by 40 bits has nothing to warn of; overlaps and gaps are told", () => {
  const byForty = [0, 1, 2].map((index) => ({
    index,
    name: `bar${index}`,
    offset: `0x${(index * 2 ** 40).toString(16)}`,
    size: 4096,
  }));
  assertEquals(positionMap(byForty).hard_coded.map(({ lands }) => lands), [
    { region: "bar0", offset: "0x0" },
    { region: "bar1", offset: "0x0" },
    { region: "bar2", offset: "0x0" },
  ]);
  const far = positionMap([{ index: 3, name: "bar3", offset: "0x1000", size: 16 }]);
  assertEquals(far.hard_coded[0]!.lands, null);
  assertEquals(far.parts.map(({ kind, position, end }) => [kind, position, end]), [
    ["gap", "0x0", "0x1000"],
    ["region", "0x1000", "0x1010"],
    ["gap", "0x1010", "0x8000000000000000"],
  ]);
});

/** A control message of SMC-D (ism.smcd.ring): cursors are wrap (u16 at 8 or 16) and count (u32 at 10 or 18). */
function control(
  { producer = [0, 0], consumer = [0, 0], flags = 0, state = 0 }: {
    readonly producer?: readonly [wrap: number, count: number];
    readonly consumer?: readonly [wrap: number, count: number];
    readonly flags?: number;
    readonly state?: number;
  },
): string {
  const bytes = new DataView(new ArrayBuffer(32));
  bytes.setUint8(0, 0xfe);
  bytes.setUint16(8, producer[0]);
  bytes.setUint32(10, producer[1]);
  bytes.setUint16(16, consumer[0]);
  bytes.setUint32(18, consumer[1]);
  bytes.setUint8(22, flags);
  bytes.setUint8(23, state);
  return `hex:${new Uint8Array(bytes.buffer).toHex()}`;
}

/** Function 1 has a ring of 4064 bytes that function 0 writes; function 0's DMB takes the cursors. */
const STREAM = [
  "let a gid",
  "let b gid -d 1",
  "let ring dmb register --size 4k --rgid $a -d 1",
  "let cursors dmb register --size 4k --rgid $b",
];

Deno.test("status shows the ring of a DMB between its cursors, and the bits of the SBA", async () => {
  using program = new Program();
  const documents = await program.documents([
    ...STREAM,
    `move $ring 0 ${control({ producer: [1, 1000], flags: 0x80 })} --idx 3 --signal -d 0`,
    "status -d 1",
    `move $cursors 0 ${control({ consumer: [0, 3048] })} -d 1`,
    "status -d 1",
    "status -d 0",
  ]);
  const [, , , , moved, before, , after, sender] = documents;
  assertEquals(moved!.ok, true);
  const ring = { size: 4064, producer: { wrap: 1, count: 1000 }, blocked: true, done: false };
  assertEquals(before!.result.dmbs[0].ring, { ...ring, consumer: null, unread: null });
  // One round and 1000 bytes are written, 3048 bytes are read.
  assertEquals(after!.result.dmbs[0].ring, { ...ring, consumer: { wrap: 0, count: 3048 }, unread: 2016 });
  // ism.data.element: 0x1000 rotated right by idx.
  assertEquals(before!.result.sba.set, [{ index: 32, mask: "0x0200", idx: [3] }]);
  assertEquals(sender!.result.sba.set, []);
  assertEquals(sender!.result.dmbs[0].ring.producer, { wrap: 0, count: 0 });

  const { stdout } = await program.run(["status", "-d", "1"]);
  assertStringIncludes(
    stdout,
    "\n    32 #...............................\n  index 32 set, elements 0x0200 (idx 3)\n",
  );
  const bar = /^ {4}\[([#.]{64})\]$/m.exec(stdout)?.[1] ?? "";
  // 3048 of 4064 is cell 48 of 64; the last unread byte, 999, is in cell 15.
  assertEquals(bar, "#".repeat(16) + ".".repeat(32) + "#".repeat(16));
  assertStringIncludes(
    stdout,
    "    producer 1000, wrap 1\n    consumer 3048, wrap 0\n    2016 of 4064 bytes unread\n",
  );
  assertStringIncludes(stdout, "    the writer waits for room\n");
  const unicode = (await program.run(["status", "-d", "1"], { env: UTF8 })).stdout;
  assertStringIncludes(unicode, `├${"█".repeat(16)}${"░".repeat(32)}${"█".repeat(16)}┤`);
  assertStringIncludes((await program.run(["status"], { env: UTF8 })).stdout, "    32 ○·······");
});

Deno.test("status shows cursors that make no sense and reckons nothing from them", async () => {
  using program = new Program();
  const documents = await program.documents([
    ...STREAM,
    `move $ring 0 ${control({ producer: [0, 10], state: 0x80 })}`,
    `move $cursors 0 ${control({ consumer: [7, 0xffffffff] })} -d 1`,
    "status -d 1",
  ]);
  const { ring } = documents.at(-1)!.result.dmbs[0];
  assertEquals([ring.unread, ring.done, ring.consumer], [null, true, { wrap: 7, count: 0xffffffff }]);
  assertEquals((await program.run(["status", "-d", "1"])).code, 0);
});

Deno.test("fabric shows who may write whose DMB, and what is in the way", async () => {
  using program = new Program();
  program.write(
    "topology.json",
    JSON.stringify({
      guests: [
        { name: "left", functions: [{ fid: 1, uid: 1, chid: 8 }, { fid: 2, uid: 2, chid: 9 }] },
        { name: "right", functions: [{ fid: 3, uid: 3, chid: 8 }] },
      ],
    }),
  );
  const created = await program.run(["host", "create", "--from", "topology.json"]);
  assertEquals([created.code, created.stderr], [0, ""]);
  const { channels: [eight, nine] } = await program.result("fabric");
  assertEquals([eight.chid, nine.chid, eight.dmbs, nine.dmbs], ["0x8", "0x9", [], []]);
  assertEquals(eight.functions.map(({ index, guest }: { index: number; guest: string }) => [index, guest]), [
    [0, "left"],
    [2, "right"],
  ]);
  const lines = [
    "let l gid -d 0",
    "let r gid -d 2",
    "dmb register --size 4k --rgid $r -d 0",
    "vlan add 7 -d 2",
    "dmb register --size 8k --rgid $l --vlan 7 -d 2",
    "dmb register --size 4k --rgid 0x77 -d 1",
  ];
  const outcome = await program.script(lines);
  assertEquals([outcome.code, outcome.stderr], [0, ""]);
  const { channels } = await program.result("fabric");
  const pick = (dmb: Record<string, unknown>) => [dmb["writer"], dmb["owner"], dmb["size"], dmb["hindrance"]];
  assertEquals(channels.map(({ dmbs }: { dmbs: Record<string, unknown>[] }) => dmbs.map(pick)), [
    [[2, 0, 4096, null], [0, 2, 8192, "not in the VLAN"]],
    [[null, 1, 4096, "no such GID"]],
  ]);
  const { stdout } = await program.run(["fabric"]);
  assertMatch(stdout, /^2 --> 0 {2}0x\w+ {2}4 KiB \(0x1000\), index 32$/m);
  assertMatch(stdout, /^0 --> 2 {2}0x\w+ {2}8 KiB \(0x2000\), index 32, VLAN 7; not in the VLAN$/m);
  assertMatch(stdout, /^\? --> 1 {2}.*; no such GID 0x77 here$/m);
  assertMatch((await program.run(["fabric"], { env: UTF8 })).stdout, /^2 ──▶ 0 /m);
  // What the picture says may not be written is refused (ism.data.store).
  const [{ token }] = channels[0].dmbs.slice(1);
  assertEquals((await program.run(["move", token, "0", "hex:00", "-d", "0"])).code, 1);
  assertEquals((await program.script(["vlan add 7 -d 0", `move ${token} 0 hex:00 -d 0`])).code, 0);
  const csv = await program.run(["fabric", "--format=csv", "--columns=writer,owner,size"]);
  assertEquals(csv.stdout, "writer,owner,size\r\n2,0,4096\r\n0,2,8192\r\n,1,4096\r\n");
});

for (const columns of [40, 60, 80, 200]) {
  Deno.test({
    name:
      `pictures fit a terminal of ${columns} columns, in Unicode where the locale is UTF-8 and ASCII elsewhere`,
    ignore: NO_TERMINAL,
    async fn() {
      using program = new Program();
      const lines = [...STREAM, `move $ring 0 ${control({ producer: [0, 1000] })} --signal`];
      assertEquals((await program.script(lines)).code, 0);
      program.write("pictures.ism", "info --map\nstatus\nstatus -d 1\nfabric\n");
      const rows: readonly (readonly [env: Record<string, string>, isUnicode: boolean])[] = [
        [{ LANG: "C" }, false],
        [{ LC_ALL: "C", LANG: "de_DE.UTF-8" }, false],
        [{ LANG: "de_DE.utf8" }, true],
        [UTF8, true],
      ];
      for (const [env, isUnicode] of rows) {
        await using run = new TerminalRun(program, ["run", "pictures.ism"], { columns, env });
        assertEquals(await run.end(), 0, run.output);
        const text = plain(run.output);
        assertEquals(/[^ -~\s]/.test(text), isUnicode, JSON.stringify(env));
        for (const line of text.split("\n")) {
          assert(line.length <= columns || !/\S\s+\S/.test(line.trim()), `${columns}: ${line}`);
        }
      }
    },
  });
}
