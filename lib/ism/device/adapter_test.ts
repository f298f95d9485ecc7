/** Facts, zPCI sheet 7.1, 7.5, 12.4 and 13 #3 to #9, #17, #18, #25: BAR 2 as memory, and what a reset takes along. */
import { assertEquals } from "@std/assert";
import { be, bytes, pattern } from "../../../tests/support/bytes.ts";
import { outcome } from "../../../tests/support/machine.ts";
import { rpcit } from "../../zpci/mpcifc.ts";
import { DMB_AT, IEQ_AT, SBA_AT, type Station, stations } from "../../../tests/support/stations.ts";

const READ_GID = "00000003" + "0000" + "0008";
const GID_ANSWER = "00000003" + "0000" + "0010" + "00000000000000a1";

/** A function that had no command yet. */
function fresh(options = {}): Station {
  const [station] = stations(1, options);
  station!.fn.disable();
  station!.enable();
  return station!;
}

Deno.test("BAR 2 is zeros before any command (13 #5)", () => {
  assertEquals(fresh().response(64), "00".repeat(64));
});

Deno.test("the header store executes at once, and the response takes the request's place (7.1, 13 #4)", () => {
  const station = fresh();
  station.store(2, 8, bytes("ff".repeat(8)));
  station.store(2, 0, bytes(READ_GID));
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test("a payload store alone executes nothing (7.1)", () => {
  const station = fresh();
  station.store(2, 8, bytes(be(SBA_AT, 8)));
  assertEquals([station.adapter.sba, station.response(16)], [undefined, "00".repeat(8) + be(SBA_AT, 8)]);
});

Deno.test("header and payload in one store are executed (13 #6)", () => {
  const station = fresh();
  assertEquals(station.store(2, 0, bytes("00000001" + "0000" + "0010" + be(SBA_AT, 8))), "cc 0");
  assertEquals([station.adapter.sba, station.load(2, 0, 8)], [SBA_AT, "00000001" + "0000" + "0008"]);
});

Deno.test("a header store shorter than 8 bytes, or at offset 1 to 7, only leaves its bytes (13 #7)", () => {
  const station = fresh();
  station.store(2, 0, bytes(READ_GID).subarray(0, 7));
  station.store(2, 7, bytes("08"));
  assertEquals(station.response(16), READ_GID + "00".repeat(8));
  for (let offset = 1; offset < 8; offset++) {
    station.store(2, offset, bytes(READ_GID + "00".repeat(8)).subarray(offset));
    assertEquals(station.response(16), READ_GID + "00".repeat(8));
  }
  station.store(2, 0, bytes(READ_GID));
  assertEquals(station.response(16), GID_ANSWER);
});

Deno.test("a command runs on the bytes that are there, also where too few were stored (13 #3)", () => {
  const station = fresh();
  station.store(2, 8, bytes(be(IEQ_AT, 8) + be(512, 8)));
  station.store(2, 8, bytes(be(IEQ_AT, 8)));
  station.store(2, 0, bytes("00000002" + "0000" + "0018"));
  assertEquals([station.load(2, 0, 8), station.adapter.ieq], ["00000002" + "0000" + "0008", IEQ_AT]);
});

Deno.test("commands that overlap mix: a token taken for an address is event 0x02 (7.1, 13 #25)", () => {
  const [station] = stations();
  station!.command(0x12);
  const token = station!.dmb(0xa2n);
  station!.store(2, 8, bytes(be(IEQ_AT, 8) + be(512, 8)));
  station!.store(2, 8, bytes(be(token, 8)));
  station!.store(2, 0, bytes("00000002" + "0000" + "0018"));
  assertEquals([station!.fn.state, station!.errors], ["error", [0x02]]);
});

Deno.test("loads of 1, 2 and 4 bytes give the same bytes as one of 8 (7.5)", () => {
  const station = fresh();
  station.store(2, 0, bytes(READ_GID));
  for (const length of [1, 2, 4, 8]) {
    const pieces = Array.from({ length: 16 / length }, (_, i) => station.load(2, i * length, length));
    assertEquals(pieces.join(""), GID_ANSWER);
  }
});

Deno.test("the rest of BAR 2 takes stores, does nothing with them, and reads as zeros (VFIO 13 #9)", () => {
  const station = fresh({ bar2Size: 65536 });
  const { commandArea: _, ...before } = station.adapter.save();
  assertEquals(station.store(2, 8192, pattern(4096)), "cc 0");
  assertEquals(station.load(2, 8192, 8), "00".repeat(8));
  assertEquals(station.load(2, 65528, 8), "00".repeat(8));
  const { commandArea: _area, ...after } = station.adapter.save();
  assertEquals([after, station.response(8)], [before, "00".repeat(8)]);
});

Deno.test("BAR 2 ends where its size says (3.2 check 8, 13 #1)", () => {
  const station = fresh({ bar2Size: 4096 });
  assertEquals([station.store(2, 4088, pattern(8)), station.load(2, 4088, 8)], ["cc 0", pattern(8).toHex()]);
  assertEquals(station.store(2, 4096, pattern(8)), "operand exception");
  assertEquals(station.load(2, 4096, 8), "operand exception");
});

Deno.test("PCISTG to BAR 2 is status 20, or a store like any other by choice (7.5, 13 #9)", () => {
  const store = ({ processor, fn }: Station) =>
    outcome(processor, () => processor.pcistg(fn.fh, 2, 0, 8, bytes(READ_GID)));
  const strict = fresh();
  assertEquals([store(strict), strict.response(16)], ["cc 1 status 20", "00".repeat(16)]);
  const lenient = fresh({ bar2Stores: "accept" });
  assertEquals([store(lenient), lenient.response(16)], ["cc 0", GID_ANSWER]);
});

/** Three functions: the first and the second own a DMB for each other, the third shares nothing. */
function sharing() {
  const [first, second, third] = stations(3);
  const owned = first!.dmb(0xa2n);
  const alsoOwned = first!.dmb(0xa2n, { iova: DMB_AT + 4096, index: 33 });
  const used = second!.dmb(0xa1n);
  return { first: first!, second: second!, third: third!, owned, alsoOwned, used };
}

Deno.test.each([
  { what: "disable", act: (station: Station) => station.fn.disable(), codes: ["0x4", "0x8", "0x7"] },
  {
    what: "error state",
    act: (station: Station) => station.fn.fail(2, 0, true),
    codes: ["0x2", "0x3", "0x1"],
  },
])("$what tells peers: each DMB that it owned, each that it used, then the GID once (13 #17, #18)", (row) => {
  const { first, second, third, owned, alsoOwned, used } = sharing();
  row.act(first);
  const [ownerCode, userCode, gidCode] = row.codes;
  const token = (value: number) => `0x${value.toString(16)}`;
  assertEquals(
    second.takeEvents().sort(),
    [
      `0 ${ownerCode} ${token(owned)}`,
      `0 ${ownerCode} ${token(alsoOwned)}`,
      `0 ${userCode} ${token(used)}`,
      `1 ${gidCode} 0xa1`,
    ].sort(),
  );
  assertEquals([second.sba[0], second.interruptions], [0xc0, 1]);
  assertEquals([third.takeEvents(), third.sba[0]], [[], 0], "nothing shared, nothing told");
});

Deno.test("who only owns and who only uses a shared DMB hear of a disable too (13 #17)", () => {
  const [owner, user] = stations();
  const token = owner!.dmb(0xa2n).toString(16);
  user!.fn.disable();
  assertEquals(owner!.takeEvents(), [`0 0x8 0x${token}`, "1 0x7 0xa2"]);
  user!.enable();
  user!.start();
  owner!.fn.disable();
  assertEquals(user!.takeEvents(), [`0 0x4 0x${token}`, "1 0x7 0xa1"]);
});

Deno.test.each([
  { what: "the SBA", iova: SBA_AT, state: "error" },
  { what: "the IEQ", iova: IEQ_AT, state: "error" },
  { what: "the page behind the IEQ", iova: IEQ_AT + 4096, state: "enabled" },
  { what: "the page before the DMB", iova: DMB_AT - 4096, state: "enabled" },
  { what: "the DMB's first page", iova: DMB_AT, state: "error" },
  { what: "the DMB's last page", iova: DMB_AT + 4096, state: "error" },
  { what: "the page behind the DMB", iova: DMB_AT + 8192, state: "enabled" },
])("RPCIT over $what leaves state $state (11: addresses in use)", ({ iova, state }) => {
  const [station] = stations(1);
  station!.dmb(0xa1n, { length: 8192 });
  const { processor, fn } = station!;
  rpcit(processor, fn.fh, iova, 4096);
  assertEquals(fn.state, state);
});

Deno.test("RPCIT over everything is harmless once all is unregistered, or after a reset (11)", () => {
  for (const unregister of [true, false]) {
    const [station] = stations(1);
    const { processor, fn } = station!;
    if (unregister) { for (const code of [0x12, 0x11]) station!.command(code); }
    else {
      fn.disable();
      station!.enable();
    }
    rpcit(processor, fn.fh, SBA_AT, 2 ** 30);
    assertEquals(fn.state, "enabled");
  }
});

Deno.test("disable and error state leave the function as at boot (1.3, 12.4, 13 #17)", () => {
  for (
    const act of [
      (station: Station) => station.fn.disable(),
      (station: Station) => station.fn.fail(2, 0, true),
    ]
  ) {
    const { first, second, owned, used } = sharing();
    first.command(0x04, be(7, 8));
    first.command(0x06);
    second.command(0x0e, be(0xa1, 8) + be(1, 4) + be(0x80, 4) + be(0, 8));
    act(first);
    assertEquals(first.adapter.save(), {
      commandArea: "",
      sba: null,
      ieq: null,
      ieqSlot: 0,
      vlanRequired: false,
      vlans: [],
      dmbs: [],
    });
    assertEquals(second.store(0, owned, pattern(8)), "cc 1 status 36");
    assertEquals(second.adapter.dmbs.size, 1, "what the peer owns stays");
    first.fn.disable();
    first.enable();
    first.start();
    assertEquals(first.store(0, used, pattern(8)), "cc 0", "and can be written again after a new start");
  }
});

Deno.test("a function that only shares a DMB with itself tells nobody at a reset (13 #17)", () => {
  const [station, peer] = stations();
  station!.dmb(0xa1n);
  station!.fn.disable();
  assertEquals([peer!.takeEvents(), station!.ieq.every((byte, i) => byte === 0 || (i >= 8 && i < 24))], [
    [],
    true,
  ]);
});

Deno.test("save() and restore() carry the whole state of an adapter", () => {
  const { first, owned } = sharing();
  first.command(0x04, be(7, 8));
  const saved = first.adapter.save();
  const [other] = stations(1);
  other!.fn.disable();
  other!.adapter.restore(saved);
  assertEquals(other!.adapter.save(), saved);
  assertEquals(other!.adapter.fabric.dmbByToken(owned)?.rgid, 0xa2n);
});
