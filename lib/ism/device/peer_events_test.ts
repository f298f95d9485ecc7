/**
 * Facts, docs/reference/ism/signals.md, ism/adapter.md and ism/commands.md: what the other end of a shared DMB is told,
 * and who is told nothing.
 */
import { assertEquals } from "@std/assert";
import { be } from "../../../tests/support/bytes.ts";
import { DMB_AT, sharingStations, type Station, stations } from "../../../tests/support/stations.ts";

const ADD_VLAN = 0x04;
const DEL_VLAN = 0x05;
const UNREG_DMB = 0x0b;

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** Both ways in which a function loses everything, with the option that silences them. */
const RESETS = [
  {
    what: "disable",
    point: "ism.reset.events",
    act: (station: Station) => station.fn.disable(),
    codes: ["0x4", "0x8", "0x7"],
    silent: { resetEvents: "none" },
  },
  {
    what: "error state",
    point: "ism.error.events",
    act: (station: Station) => station.fn.fail(2, 0, true),
    codes: ["0x2", "0x3", "0x1"],
    silent: { errorEvents: "none" },
  },
] as const;

Deno.test.each([...RESETS])(
  "$what tells peers: each DMB that it owned, each that it used, then the GID once ($point)",
  ({ act, codes: [toWriter, toOwner, toPeer] }) => {
    const { first, second, third, owned, alsoOwned, used } = sharingStations();
    act(first);
    const expected = [
      `0 ${toWriter} ${hex(owned)}`,
      `0 ${toWriter} ${hex(alsoOwned)}`,
      `0 ${toOwner} ${hex(used)}`,
      `1 ${toPeer} 0xa1`,
    ];
    assertEquals(second.takeEvents().sort(), expected.sort());
    assertEquals([second.sba[0], second.interruptions], [0xc0, 1]);
    assertEquals([third.takeEvents(), third.sba[0]], [[], 0], "nothing shared, nothing told");
  },
);

Deno.test.each([...RESETS])("$what tells nobody by choice, and takes the DMBs along ($point)", (row) => {
  const { first, second, owned } = sharingStations(row.silent);
  row.act(first);
  assertEquals([second.takeEvents(), second.sba[0], second.interruptions], [[], 0, 0]);
  assertEquals([first.adapter.dmbs.size, second.store(0, owned, Uint8Array.of(1))], [0, "cc 1 status 36"]);
});

Deno.test("each choice of silence is for one kind of news only (ism.reset.events, ism.error.events)", () => {
  for (const [row, other] of [[RESETS[0], RESETS[1]], [RESETS[1], RESETS[0]]] as const) {
    const { first, second } = sharingStations(other.silent);
    row.act(first);
    assertEquals(second.takeEvents().length, 4);
  }
});

Deno.test("who only owns and who only uses a shared DMB hear of a disable too (ism.reset.events)", () => {
  const [owner, user] = stations();
  const token = owner!.dmb(0xa2n).toString(16);
  user!.fn.disable();
  assertEquals(owner!.takeEvents(), [`0 0x8 0x${token}`, "1 0x7 0xa2"]);
  user!.enable();
  user!.start();
  owner!.fn.disable();
  assertEquals(user!.takeEvents(), [`0 0x4 0x${token}`, "1 0x7 0xa1"]);
});

Deno.test("a function that only shares a DMB with itself tells nobody at a reset (ism.reset.events)", () => {
  const [station, peer] = stations();
  station!.dmb(0xa1n);
  station!.fn.disable();
  const untouched = station!.ieq.every((byte, i) => byte === 0 || (i >= 8 && i < 24));
  assertEquals([peer!.takeEvents(), untouched], [[], true]);
});

Deno.test.each(
  [
    { unregisterEvents: "send", events: (token: string) => [`0 0x4 ${token}`] },
    { unregisterEvents: "none", events: () => [] },
  ] as const,
)("UNREG_DMB tells the writer, or not by choice: $unregisterEvents (ism.dmb.unregister)", (row) => {
  const [owner, writer] = stations(2, { unregisterEvents: row.unregisterEvents });
  const token = owner!.dmb(0xa2n);
  assertEquals(owner!.ret(UNREG_DMB, be(token, 8)), "0000");
  assertEquals(writer!.takeEvents(), row.events(hex(token)));
  assertEquals(writer!.store(0, token, Uint8Array.of(1)), "cc 1 status 36");
});

/** An owner and a writer in VLANs 7 and 8, with DMBs of each tag and one without. */
function tagged(options = {}) {
  const [owner, writer] = stations(2, options);
  for (const station of [owner!, writer!]) {
    for (const id of [7, 8]) station.command(ADD_VLAN, be(id, 8));
  }
  const token = owner!.dmb(0xa2n, { vlan: 7 });
  owner!.dmb(0xa2n, { vlan: 8, iova: DMB_AT + 4096, index: 33 });
  owner!.dmb(0xa2n, { iova: DMB_AT + 8192, index: 34 });
  return { owner: owner!, writer: writer!, token };
}

Deno.test.each(
  [
    { vlanEvents: "send", ownerLeaves: ["0 0x5"], writerLeaves: ["0 0x6"] },
    { vlanEvents: "none", ownerLeaves: [], writerLeaves: [] },
  ] as const,
)("DEL_VLAN_ID tells the other end of each DMB with that tag: $vlanEvents (ism.vlan.leave)", (row) => {
  const { owner, writer, token } = tagged({ vlanEvents: row.vlanEvents });
  const withToken = (events: readonly string[]) => events.map((event) => `${event} ${hex(token)}`);
  assertEquals(owner.ret(DEL_VLAN, be(7, 8)), "0000");
  assertEquals([owner.takeEvents(), writer.takeEvents()], [[], withToken(row.ownerLeaves)]);
  assertEquals(writer.ret(DEL_VLAN, be(7, 8)), "0000");
  assertEquals([owner.takeEvents(), writer.takeEvents()], [withToken(row.writerLeaves), []]);
  assertEquals(writer.store(0, token, Uint8Array.of(1)), "cc 1 status 36");
});

Deno.test("DEL_VLAN_ID of an id that was not there, or of one's own DMB, tells nobody (ism.event.types)", () => {
  const { owner, writer } = tagged();
  assertEquals(owner.ret(DEL_VLAN, be(9, 8)), "0008");
  const [alone] = stations(1);
  alone!.command(ADD_VLAN, be(7, 8));
  alone!.dmb(0xa1n, { vlan: 7 });
  assertEquals(alone!.ret(DEL_VLAN, be(7, 8)), "0000");
  assertEquals([owner.takeEvents(), writer.takeEvents(), alone!.takeEvents()], [[], [], []]);
});
