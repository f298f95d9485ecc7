/**
 * Facts, docs/reference/ism/commands.md, ism/signals.md, ism/adapter.md and docs/fidelity.md: REG_DMB and UNREG_DMB, a
 * row on each side of each limit.
 */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { be, bytes, fromBe } from "../../../tests/support/bytes.ts";
import { DMB_AT, regDmb, SBA_AT, stations } from "../../../tests/support/stations.ts";

const MIB = 2 ** 20;

Deno.test.each([
  { what: "4095 bytes", iova: DMB_AT, length: 4095, accepted: false },
  { what: "4096 bytes", iova: DMB_AT, length: 4096, accepted: true },
  { what: "4097 bytes", iova: DMB_AT, length: 4097, accepted: false },
  { what: "no bytes", iova: DMB_AT, length: 0, accepted: false },
  { what: "two pages", iova: DMB_AT, length: 8192, accepted: true },
  { what: "1 MiB", iova: DMB_AT, length: MIB, accepted: true },
  { what: "1 MiB and a page", iova: DMB_AT, length: MIB + 4096, accepted: false },
  { what: "2^32 - 4096 bytes", iova: DMB_AT, length: 2 ** 32 - 4096, accepted: false },
  { what: "an address in the middle of a page", iova: DMB_AT + 2048, length: 4096, accepted: false },
  { what: "an address off by one", iova: DMB_AT + 1, length: 4096, accepted: false },
  { what: "an end on a 1 MiB boundary", iova: DMB_AT + MIB - 8192, length: 8192, accepted: true },
  { what: "a 1 MiB boundary inside", iova: DMB_AT + MIB - 4096, length: 8192, accepted: false },
  { what: "1 MiB off its boundary", iova: DMB_AT + 4096, length: MIB, accepted: false },
])("REG_DMB of $what: accepted=$accepted (ism.dmb.limits, ism.cmd.codes)", ({ iova, length, accepted }) => {
  const [station] = stations();
  station!.map(DMB_AT, 2 * MIB);
  const ret = station!.ret(0x0a, regDmb({ iova, length, rgid: 0xa2n }));
  assertMatch(ret, accepted ? /^0000$/ : /^000[23]$/);
  assertEquals([station!.adapter.dmbs.size, station!.fn.state], [accepted ? 1 : 0, "enabled"]);
});

Deno.test.each([
  { index: 0, ret: "0000" },
  { index: 31, ret: "0000" },
  { index: 32, ret: "0000" },
  { index: 1919, ret: "0000" },
  { index: 1920, ret: "0007" },
  { index: 0xffff_ffff, ret: "0007" },
])(
  "REG_DMB accepts any index in range: $index answers $ret (ism.dmb.register, ism.cmd.codes)",
  ({ index, ret }) => {
    const [station] = stations();
    station!.map(DMB_AT, 4096);
    assertEquals(station!.ret(0x0a, regDmb({ index, rgid: 0xa2n })), ret);
  },
);

Deno.test("REG_DMB refuses an index in use with 0x0007 until it is free again (ism.sba.bits, ism.cmd.codes)", () => {
  const [station, peer] = stations();
  const token = station!.dmb(0xa2n, { index: 40 });
  station!.map(DMB_AT + 4096, 4096);
  const again = regDmb({ iova: DMB_AT + 4096, index: 40, rgid: 0xa2n });
  assertEquals(station!.ret(0x0a, again), "0007");
  assertNotEquals(peer!.dmb(0xa1n, { index: 40 }), 0, "indices are each function's own");
  assertEquals(station!.ret(0x0b, be(token, 8)), "0000");
  assertEquals(station!.ret(0x0a, again), "0000");
});

Deno.test("REG_DMB needs an SBA, and UNREG_SBA waits for the last DMB (ism.cmd.before, ism.sba.register)", () => {
  const [station] = stations();
  const token = station!.dmb(0xa2n);
  assertEquals(station!.ret(0x11), "0004");
  station!.command(0x0b, be(token, 8));
  assertEquals(station!.ret(0x11), "0000");
  assertEquals(station!.ret(0x0a, regDmb({ rgid: 0xa2n })), "0004");
});

Deno.test("REG_DMB works without an SBA by choice; its signals go nowhere (ism.cmd.before)", () => {
  const [station, peer] = stations(2, { dmbNeedsSba: false });
  station!.command(0x11);
  const token = station!.dmb(0xa2n);
  assertNotEquals(token, 0);
  assertEquals(peer!.store(0, token + 2 ** 23, Uint8Array.of(7)), "cc 0");
  assertEquals([station!.at(DMB_AT, 1)[0], station!.interruptions], [7, 0]);
});

Deno.test("UNREG_SBA works with DMBs registered by choice; the DMBs stay (ism.sba.register)", () => {
  const [station, peer] = stations(2, { unregSbaWithDmbs: "allow" });
  const token = station!.dmb(0xa2n);
  assertEquals([station!.ret(0x11), station!.ret(0x11)], ["0000", "0004"]);
  assertEquals(peer!.store(0, token + 2 ** 23, Uint8Array.of(7)), "cc 0");
  assertEquals([station!.at(DMB_AT, 1)[0], station!.interruptions], [7, 0]);
  assertEquals(station!.ret(0x01, be(SBA_AT, 8)), "0000");
  peer!.store(0, token + 2 ** 23, Uint8Array.of(8));
  assertEquals(station!.interruptions, 1);
});

Deno.test("REG_DMB refuses a writer that does not exist by choice, and no other (ism.dmb.writer)", () => {
  const [station, peer] = stations(2, { unknownWriter: "refuse" });
  station!.map(DMB_AT, 4096);
  peer!.fn.disable();
  assertEquals(station!.ret(0x0a, regDmb({ rgid: 0xdeadn })), "0006");
  assertEquals(station!.adapter.dmbs.size, 0);
  assertEquals(station!.ret(0x0a, regDmb({ rgid: 0xa2n })), "0000", "a disabled function exists");
  assertEquals(station!.ret(0x0a, regDmb({ rgid: 0xa1n, index: 33 })), "0000");
});

Deno.test("REG_DMB accepts a writer that does not exist yet, and the function itself (ism.dmb.writer, ism.gid.self)", () => {
  const [station] = stations();
  assertNotEquals(station!.dmb(0xdeadn), 0);
  assertNotEquals(station!.dmb(0xa1n, { iova: DMB_AT + 4096, index: 33 }), 0);
});

Deno.test("tokens are multiples of 2^28 below 2^48, not 0, and differ over the fabric (ism.token.format)", () => {
  const [first, second] = stations();
  const tokens = new Set<number>();
  for (let i = 0; i < 20; i++) {
    for (const station of [first!, second!]) {
      const token = station.dmb(0xa1n, { index: 32 + i });
      assertEquals([token % 2 ** 28, token > 0, token < 2 ** 48], [0, true, true]);
      tokens.add(token);
    }
  }
  assertEquals(tokens.size, 40);
});

Deno.test("a token is not used again soon (ism.token.format)", () => {
  const [station] = stations();
  const tokens = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const token = station!.dmb(0xa2n);
    tokens.add(token);
    assertEquals(station!.ret(0x0b, be(token, 8)), "0000");
  }
  assertEquals(tokens.size, 200);
});

Deno.test("REG_DMB refuses half-mapped and read-only memory with the error state, whole or not at all (ism.buffer.nowhere)", () => {
  for (const write of [true, false]) {
    const [station] = stations();
    station!.map(DMB_AT, 4096, { write: true });
    if (!write) station!.map(DMB_AT + 4096, 4096, { write });
    assertEquals(station!.ret(0x0a, regDmb({ length: 8192, rgid: 0xa2n })), "cc 1 status 12");
    assertEquals([station!.fn.state, station!.adapter.dmbs.size], ["error", 0]);
  }
});

Deno.test("REG_DMB accepts a DMB whose pages lie in several mappings (ism.dmb.limits)", () => {
  const [station, peer] = stations();
  for (let page = 0; page < 4; page++) station!.map(DMB_AT + page * 4096, 4096);
  assertEquals(station!.ret(0x0a, regDmb({ length: 4 * 4096, rgid: 0xa2n })), "0000");
  const token = Number(fromBe(bytes(station!.response(16)), 8, 8));
  assertEquals(peer!.store(0, token + 3 * 4096, Uint8Array.of(7)), "cc 0");
  assertEquals(station!.at(DMB_AT + 3 * 4096, 1)[0], 7);
});

Deno.test.each([
  { what: "0", token: () => 0 },
  { what: "one that nobody has", token: (token: number) => token + 2 ** 28 },
  { what: "an offset inside its DMB", token: (token: number) => token + 1 },
  { what: "the token with idx bits", token: (token: number) => token + 2 ** 24 },
  { what: "the token with a bit above 2^48", token: (token: number) => token + 2 ** 50 },
])("UNREG_DMB of $what is 0x0005 (ism.cmd.codes)", ({ token }) => {
  const [station] = stations();
  const mine = station!.dmb(0xa2n);
  assertEquals(station!.ret(0x0b, be(token(mine), 8)), "0005");
  assertEquals(station!.adapter.dmbs.size, 1);
});

Deno.test("UNREG_DMB takes a token once, and only from its owner (ism.dmb.unregister, ism.cmd.codes)", () => {
  const [station, peer] = stations();
  const token = station!.dmb(0xa2n);
  assertMatch(peer!.ret(0x0b, be(token, 8)), /^000[1-9]$/);
  assertEquals(station!.adapter.dmbs.size, 1);
  assertEquals(station!.ret(0x0b, be(token, 8)), "0000");
  assertEquals(station!.ret(0x0b, be(token, 8)), "0005");
});

Deno.test("UNREG_DMB ends the peer's access and tells it: type 0, code 4, the token (ism.event.types, ism.dmb.unregister)", () => {
  const [station, peer] = stations();
  const token = station!.dmb(0xa2n);
  assertEquals(peer!.store(0, token, Uint8Array.of(1)), "cc 0");
  station!.command(0x0b, be(token, 8));
  assertEquals(peer!.takeEvents(), [`0 0x4 0x${token.toString(16)}`]);
  assertEquals(peer!.store(0, token, Uint8Array.of(2)), "cc 1 status 36");
  assertEquals(station!.at(DMB_AT, 1)[0], 1);
});
