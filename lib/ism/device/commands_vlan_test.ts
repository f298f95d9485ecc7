/** Facts, docs/reference/ism/adapter.md and ism/commands.md: VLAN membership and what depends on it. */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { be, bytes } from "../../../tests/support/bytes.ts";
import { DMB_AT, regDmb, type Station, stations } from "../../../tests/support/stations.ts";

const ADD = 0x04;
const DEL = 0x05;
const SET_VLAN = 0x06;
const RESET_VLAN = 0x07;
const QUERY_RGID = 0x09;
const REG_DMB = 0x0a;

/** Number of VLAN ids and the ids, as QUERY_INFO tells them. */
function table(station: Station): string {
  station.command(0x08);
  const info = bytes(station.response(200));
  return `${info.slice(68, 72).toHex()} ${info.slice(72).toHex().replace(/(0000)+$/, "")}`;
}

Deno.test.each([
  { id: 0, accepted: false },
  { id: 1, accepted: true },
  { id: 0xfff, accepted: true },
  { id: 0x1000, accepted: false },
  { id: 0x1ffe, accepted: false },
  { id: 0x2000, accepted: false },
  { id: 0x1_0000_0001, accepted: false },
])(
  "ADD_VLAN_ID takes 12-bit ids but 0: $id, accepted=$accepted (ism.vlan.ids, ism.cmd.codes)",
  ({ id, accepted }) => {
    const [station] = stations(1);
    assertEquals(station!.ret(ADD, be(id, 8)), accepted ? "0000" : "0008");
    assertEquals(station!.adapter.vlans.size, accepted ? 1 : 0);
  },
);

Deno.test("ADD_VLAN_ID and DEL_VLAN_ID of 0x1FFF succeed on version 2 only (ism.vlan.version)", () => {
  const [second] = stations(1, { version: 2 });
  assertEquals([second!.ret(ADD, be(0x1fff, 8)), second!.ret(DEL, be(0x1fff, 8))], ["0000", "0000"]);
  const [first] = stations(1, { version: 1 });
  assertEquals([first!.ret(ADD, be(0x1fff, 8)), first!.adapter.vlans.size], ["0008", 0]);
});

Deno.test("64 VLAN ids fit, the next one is refused, and a place that is freed can be used (ism.info.layout, ism.vlan.ids)", () => {
  const [station] = stations(1);
  for (let id = 1; id <= 64; id++) assertEquals(station!.ret(ADD, be(id, 8)), "0000");
  assertMatch(station!.ret(ADD, be(65, 8)), /^000[1-9]$/);
  assertEquals(station!.ret(DEL, be(1, 8)), "0000");
  assertEquals(station!.ret(ADD, be(65, 8)), "0000");
  assertEquals(station!.adapter.vlans.size, 64);
});

Deno.test("QUERY_INFO lists each VLAN id once (ism.info.layout)", () => {
  const [station] = stations(1);
  assertEquals(table(station!), "00000000 ");
  for (const id of [5, 0x123, 5]) station!.command(ADD, be(id, 8));
  assertEquals(table(station!), "00000002 00050123");
  station!.command(DEL, be(5, 8));
  assertEquals(table(station!), "00000001 0123");
});

Deno.test("SET_VLAN makes QUERY_RGID and REG_DMB want a VLAN, RESET_VLAN lifts it (ism.vlan.required)", () => {
  const [station, peer] = stations();
  station!.map(DMB_AT, 4096);
  for (const each of [station!, peer!]) each.command(ADD, be(7, 8));
  const untagged = () => [
    station!.ret(QUERY_RGID, be(0xa2, 8) + be(0, 4) + be(7, 4)),
    station!.ret(REG_DMB, regDmb({ rgid: 0xa2n, vlan: 7, vlanValid: 0 })),
  ];
  station!.command(SET_VLAN);
  assertEquals(untagged(), ["0008", "0008"]);
  assertEquals(station!.ret(QUERY_RGID, be(0xa2, 8) + be(1, 4) + be(7, 4)), "0000");
  assertEquals(station!.ret(REG_DMB, regDmb({ rgid: 0xa2n, vlan: 7, vlanValid: 1, index: 40 })), "0000");
  station!.command(RESET_VLAN);
  assertEquals(untagged(), ["0000", "0000"]);
});

Deno.test("SET_VLAN only shows in QUERY_INFO by choice; a foreign VLAN stays refused (ism.vlan.required)", () => {
  const [station] = stations(2, { vlanRequired: "ignored" });
  station!.map(DMB_AT, 4096);
  station!.command(SET_VLAN);
  assertEquals(station!.ret(QUERY_RGID, be(0xa2, 8) + be(0, 8)), "0000");
  assertEquals(station!.ret(REG_DMB, regDmb({ rgid: 0xa2n })), "0000");
  assertEquals(station!.ret(REG_DMB, regDmb({ rgid: 0xa2n, index: 40, vlan: 7, vlanValid: 1 })), "0008");
  station!.command(0x08);
  assertEquals(bytes(station!.response(200)).slice(64, 68).toHex(), "00000001");
});

Deno.test("a tagged DMB is written by members of its VLAN only (ism.data.store, ism.vlan.ids, ism.vlan.tagged)", () => {
  const [owner, writer] = stations();
  owner!.command(ADD, be(7, 8));
  const token = owner!.dmb(0xa2n, { vlan: 7 });
  assertNotEquals(token, 0);
  const store = () => writer!.store(0, token, Uint8Array.of(0xee));
  assertEquals(store(), "cc 1 status 36");
  writer!.command(ADD, be(8, 8));
  assertEquals(store(), "cc 1 status 36");
  assertEquals(owner!.at(DMB_AT, 1)[0], 0);
  writer!.command(ADD, be(7, 8));
  assertEquals(store(), "cc 0");
  writer!.command(DEL, be(7, 8));
  assertEquals(store(), "cc 1 status 36");
});

Deno.test("an untagged DMB is written whatever VLANs there are; vlan_id without vlan_valid means nothing (ism.vlan.ids)", () => {
  const [owner, writer] = stations();
  owner!.map(DMB_AT, 4096);
  assertEquals(owner!.ret(REG_DMB, regDmb({ rgid: 0xa2n, vlan: 7, vlanValid: 0 })), "0000");
  const token = Number(`0x${owner!.response(16).slice(16)}`);
  assertEquals(writer!.store(0, token, Uint8Array.of(0xee)), "cc 0");
});
