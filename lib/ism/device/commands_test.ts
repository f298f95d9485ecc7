/**
 * Facts, docs/reference/ism/commands.md, ism/adapter.md and docs/fidelity.md: the command engine. DMB and VLAN commands
 * have files of their own.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { be, bytes } from "../../../tests/support/bytes.ts";
import { DMB_AT, IEQ_AT, regDmb, SBA_AT, type Station, stations } from "../../../tests/support/stations.ts";

/** A valid request of each command of 7.3: code, payload, response length, and what has to come before. */
const REQUESTS: readonly {
  readonly code: number;
  readonly payload: string;
  readonly response: number;
  readonly before?: (station: Station) => void;
}[] = [
  { code: 0x01, payload: be(SBA_AT, 8), response: 8, before: (station) => station.command(0x11) },
  {
    code: 0x02,
    payload: be(IEQ_AT, 8) + be(512, 8),
    response: 8,
    before: (station) => station.command(0x12),
  },
  { code: 0x03, payload: "", response: 16 },
  { code: 0x04, payload: be(7, 8), response: 8 },
  { code: 0x05, payload: be(7, 8), response: 8, before: (station) => station.command(0x04, be(7, 8)) },
  { code: 0x06, payload: "", response: 8 },
  { code: 0x07, payload: "", response: 8 },
  { code: 0x08, payload: "", response: 200 },
  { code: 0x09, payload: be(0xa2, 8) + be(0, 8), response: 8 },
  {
    code: 0x0a,
    payload: regDmb({ rgid: 0xa2n }),
    response: 16,
    before: (station) => station.map(DMB_AT, 4096),
  },
  { code: 0x0b, payload: be(2 ** 28, 8), response: 8, before: (station) => station.dmb(0xa2n) },
  { code: 0x0e, payload: be(0xa2, 8) + be(1, 4) + be(0x83, 4) + be(0, 8), response: 8 },
  { code: 0x11, payload: "", response: 8 },
  { code: 0x12, payload: "", response: 8 },
];

Deno.test.each([...REQUESTS])(
  "command $code succeeds with a response of $response bytes (ism.cmd.header, ism.cmd.table)",
  (row) => {
    const [station] = stations();
    row.before?.(station!);
    const header = station!.command(row.code, row.payload);
    assertEquals(header, be(row.code, 4) + "0000" + be(row.response, 2));
  },
);

Deno.test.each([...REQUESTS])(
  "command $code of any other length is 0x0002 and does nothing (ism.cmd.codes)",
  (row) => {
    const [station] = stations();
    row.before?.(station!);
    const { commandBar: _, ...before } = station!.adapter.save();
    const right = 8 + row.payload.length / 2;
    for (const length of [right - 1, right + 1, 0, 4097, 0xffff]) {
      assertEquals(station!.command(row.code, row.payload, length), be(row.code, 4) + "0002" + "0008");
    }
    const { commandBar: _area, ...after } = station!.adapter.save();
    assertEquals(after, before);
    assertEquals(
      station!.ret(row.code, row.payload),
      "0000",
      "the very same bytes with the right length work",
    );
  },
);

Deno.test.each([...REQUESTS])(
  "command $code of other lengths is executed by choice (ism.cmd.length)",
  (row) => {
    for (const length of [8, 9, 8 + row.payload.length / 2 + 1, 4096]) {
      const [station] = stations(2, { headerLength: "any" });
      row.before?.(station!);
      const header = station!.command(row.code, row.payload, length);
      assertEquals(header, be(row.code, 4) + "0000" + be(row.response, 2), `length ${length}`);
    }
    const [station] = stations(2, { headerLength: "any" });
    row.before?.(station!);
    for (const length of [0, 7, 4097, 0xffff]) {
      assertEquals(station!.command(row.code, row.payload, length), be(row.code, 4) + "0002" + "0008");
    }
  },
);

Deno.test("a length over maxLength is 0x0002, whatever headerLength says (ism.cmd.length, ism.info.layout)", () => {
  for (const headerLength of ["documented", "any"] as const) {
    const rets = (maxLength: number) => {
      const [station] = stations(2, { headerLength, maxLength });
      station!.map(DMB_AT, 4096);
      return [
        station!.ret(0x0a, regDmb({ rgid: 0xa2n })),
        station!.ret(0x0a, regDmb({ rgid: 0xa2n, index: 33 }), 41),
      ];
    };
    assertEquals(rets(40), ["0000", "0002"]);
    assertEquals(rets(4096), ["0000", headerLength === "any" ? "0000" : "0002"]);
  }
});

/** A failure of each kind that ism.cmd.codes names, and the code of the private set. */
const FAILURES: readonly {
  readonly what: string;
  readonly ret: string;
  readonly fail: (station: Station) => string;
}[] = [
  { what: "an unknown command", ret: "0001", fail: (station) => station.ret(0x0c) },
  { what: "a bad length", ret: "0002", fail: (station) => station.ret(0x03, be(0, 8)) },
  { what: "a bad address", ret: "0003", fail: (station) => station.ret(0x0a, regDmb({ iova: DMB_AT + 1 })) },
  { what: "a wrong state", ret: "0004", fail: (station) => station.ret(0x01, be(SBA_AT, 8)) },
  { what: "an unknown token", ret: "0005", fail: (station) => station.ret(0x0b, be(7, 8)) },
  { what: "an unknown GID", ret: "0006", fail: (station) => station.ret(0x09, be(0xa9, 8) + be(0, 8)) },
  { what: "a bad index", ret: "0007", fail: (station) => station.ret(0x0a, regDmb({ index: 1920 })) },
  { what: "a bad VLAN", ret: "0008", fail: (station) => station.ret(0x04, be(0, 8)) },
  {
    what: "no room",
    ret: "0009",
    fail(station) {
      for (let id = 1; id <= 64; id++) station.command(0x04, be(id, 8));
      return station.ret(0x04, be(65, 8));
    },
  },
];

Deno.test.each([...FAILURES])(
  "$what answers $ret of the private set, or 0x000a by choice (ism.cmd.codes)",
  (row) => {
    const answers = (["private", "one"] as const).map((returnCodes) => {
      const [station] = stations(1, { returnCodes });
      assertEquals(station!.ret(0x03), "0000");
      return row.fail(station!);
    });
    assertEquals(answers, [row.ret, "000a"]);
  },
);

Deno.test("unknown command codes are 0x0001, answered with a bare header (ism.cmd.codes, ism.cmd.response)", () => {
  const [station] = stations();
  for (const code of [0x00, 0x0c, 0x0d, 0x0f, 0x10, 0x13, 0x0100_0003]) {
    assertEquals(station!.command(code), be(code, 4) + "0001" + "0008");
  }
});

Deno.test("READ_GID answers the function's GID (ism.cmd.table, ism.gid.own)", () => {
  const [, second] = stations();
  second!.command(0x03);
  assertEquals(second!.response(16), "00000003" + "0000" + "0010" + "00000000000000a2");
});

Deno.test("QUERY_INFO answers 200 bytes as ism.info.layout lays them out, with the defaults of ism.info.layout", () => {
  const [first, second] = stations();
  first!.dmb(0xa2n);
  first!.dmb(0xa2n, { iova: DMB_AT + 4096, index: 33 });
  second!.dmb(0xa1n);
  for (const id of [5, 0x123]) first!.command(0x04, be(id, 8));
  first!.command(0x06);
  first!.command(0x08);
  const expected = "00000008" + "0000" + "00c8" + // header
    "00000002" + "00001000" + "0000000000000000" + "00000000000000a1" + // version, max_len, state, gid
    be(SBA_AT, 8) + be(IEQ_AT, 8) + "00000200" + "00000000" + // SBA, IEQ, IEQ length
    "00000002" + "00000001" + "00000001" + "00000002" + // DMBs owned and used, VLAN required, VLANs
    "0005" + "0123" + "0000".repeat(62);
  assertEquals(first!.response(200), expected);
});

Deno.test("QUERY_INFO shows nothing registered after a reset, and the version of the topology (ism.info.layout, ism.reset.forgets)", () => {
  const [station] = stations(1, { version: 1 });
  station!.fn.disable();
  station!.enable();
  station!.command(0x08);
  const expected = "00000008" + "0000" + "00c8" + "00000001" + "00001000" + "00".repeat(8) + be(0xa1, 8);
  assertEquals(station!.response(200), expected + "00".repeat(168));
});

Deno.test("QUERY_INFO tells version, maxLength and ismState of the topology (ism.info.layout)", () => {
  const [station] = stations(1, { version: 1, maxLength: 200, ismState: 0x1_0000_0002 });
  station!.command(0x08);
  assertEquals(station!.response(24).slice(16), "00000001" + "000000c8" + "0000000100000002");
});

Deno.test("REG_SBA and UNREG_SBA alternate; twice is 0x0004 (ism.cmd.codes, ism.sba.register)", () => {
  const [station] = stations(1);
  assertEquals(station!.ret(0x01, be(SBA_AT, 8)), "0004");
  assertEquals(station!.ret(0x11), "0000");
  assertEquals(station!.ret(0x11), "0004");
  assertEquals(station!.ret(0x01, be(SBA_AT, 8)), "0000");
});

Deno.test("REG_IEQ and UNREG_IEQ alternate; twice is 0x0004 (ism.cmd.codes)", () => {
  const [station] = stations(1);
  assertEquals(station!.ret(0x02, be(IEQ_AT, 8) + be(512, 8)), "0004");
  assertEquals(station!.ret(0x12), "0000");
  assertEquals(station!.ret(0x12), "0004");
  assertEquals(station!.ret(0x02, be(IEQ_AT, 8) + be(512, 8)), "0000");
});

Deno.test.each([
  { address: SBA_AT, ret: "0000" },
  { address: SBA_AT + 1, ret: "0003" },
  { address: SBA_AT + 2048, ret: "0003" },
  { address: SBA_AT + 4096, ret: "0000" },
])("REG_SBA wants a page: $address answers $ret (ism.sba.layout, ism.cmd.codes)", ({ address, ret }) => {
  const [station] = stations(1);
  station!.command(0x11);
  assertEquals(station!.ret(0x01, be(address, 8)), ret);
  assertEquals(station!.fn.state, "enabled");
});

Deno.test.each([511, 513, 0, 4096])(
  "REG_IEQ of %d bytes instead of 512 is refused (ism.cmd.length, ism.ieq.layout)",
  (length) => {
    const [station] = stations(1);
    station!.command(0x12);
    assertMatch(station!.ret(0x02, be(IEQ_AT, 8) + be(length, 8)), /^000[1-9]$/);
    assertEquals(station!.adapter.ieq, undefined);
  },
);

Deno.test.each([
  { name: "REG_SBA", code: 0x01, payload: be(DMB_AT, 8), unregister: 0x11 },
  { name: "REG_IEQ", code: 0x02, payload: be(DMB_AT, 8) + be(512, 8), unregister: 0x12 },
  { name: "REG_DMB", code: 0x0a, payload: regDmb({}), unregister: 0x07 },
])(
  "$name with an address that leads nowhere is event 0x02 and the error state (ism.buffer.nowhere)",
  (row) => {
    const [station] = stations(1);
    station!.command(row.unregister);
    assertEquals(station!.ret(row.code, row.payload), "cc 1 status 12");
    assertEquals([station!.fn.state, station!.errors], ["error", [0x02]]);
  },
);

Deno.test("QUERY_RGID answers 0 to reachable GIDs, the own one included (ism.rgid.query, ism.cmd.codes, ism.gid.self)", () => {
  const [station, peer] = stations();
  const query = (gid: number) => station!.ret(0x09, be(gid, 8) + be(0, 8));
  assertEquals([query(0xa1), query(0xa2), query(0xa3), query(0)], ["0000", "0000", "0006", "0006"]);
  peer!.fn.disable();
  assertEquals(query(0xa2), "0006", "a disabled function is not reachable");
});

Deno.test("QUERY_RGID and SIGNAL_IEQ answer 0x0006 to the own GID by choice (ism.gid.self)", () => {
  const signal = be(1, 4) + be(0x80, 4) + be(0, 8);
  for (const [selfCommunication, ret] of [["allow", "0000"], ["refuse", "0006"]] as const) {
    const [station] = stations(2, { selfCommunication });
    const rets = [station!.ret(0x09, be(0xa1, 8) + be(0, 8)), station!.ret(0x0e, be(0xa1, 8) + signal)];
    assertEquals(rets, [ret, ret]);
    assertEquals(station!.takeEvents().length, selfCommunication === "allow" ? 1 : 0);
    assertEquals(station!.ret(0x09, be(0xa2, 8) + be(0, 8)), "0000", "others are reachable all the same");
  }
});

Deno.test("a function in the blocked state answers commands again (zpci.state.leave)", () => {
  const [station] = stations(1);
  station!.fn.fail(2, 0, true);
  assertEquals(station!.ret(0x03), "cc 1 status 12");
  station!.fn.state = "blocked";
  assertEquals(station!.ret(0x03), "0000");
});

Deno.test("READ_GID, QUERY_INFO, QUERY_RGID and VLAN commands work before REG_SBA and REG_IEQ (ism.cmd.before)", () => {
  const [station] = stations();
  station!.command(0x12);
  station!.command(0x11);
  const rets = [
    station!.ret(0x03),
    station!.ret(0x08),
    station!.ret(0x09, be(0xa2, 8) + be(0, 8)),
    station!.ret(0x04, be(7, 8)),
    station!.ret(0x05, be(7, 8)),
    station!.ret(0x06),
    station!.ret(0x07),
  ];
  assertEquals(rets, Array(7).fill("0000"));
  station!.map(DMB_AT, 4096);
  assertEquals(station!.ret(0x0a, regDmb({ rgid: 0xa2n })), "0004");
});

Deno.test("commands that change nothing leave peers and memory alone (ism.cmd.table)", () => {
  const [station, peer] = stations();
  const before = [peer!.adapter.save(), bytes(peer!.sba.toHex()), bytes(peer!.ieq.toHex())];
  for (const code of [0x03, 0x08]) station!.command(code);
  station!.command(0x09, be(0xa2, 8) + be(0, 8));
  assertEquals([peer!.adapter.save(), peer!.sba.slice(), peer!.ieq.slice()], before);
});
