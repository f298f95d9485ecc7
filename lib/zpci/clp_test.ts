/** Facts, docs/reference/zpci/clp.md: CLP blocks byte for byte. List PCI is in clp_list_test.ts. */
import { assertEquals, assertThrows } from "@std/assert";
import { Machine } from "../../tests/support/machine.ts";
import { be, bytes, fromBe } from "../../tests/support/bytes.ts";
import { ProgramException } from "./answer.ts";
import { clp } from "./clp.ts";
import type { FunctionIdentity } from "./function.ts";

const QUERY_FUNCTION = 3;
const QUERY_GROUP = 4;
const SET_FUNCTION = 5;

/** The response code, and the length that the answer claims. */
function answered({ cc, response }: { cc: number; response: Uint8Array }): string {
  return `cc ${cc}, code 0x${response.slice(2, 4).toHex()}, length ${fromBe(response, 0, 2)}`;
}

/** A page with any header fields and response length; `at` is where the response area begins. */
function block(
  { length = 32, command = 2, format = "00000000", reserved = "0000000000000000", response = 48 },
) {
  const page = new Uint8Array(12288);
  page.set(bytes(be(length, 2) + be(command, 2) + format + reserved));
  page.set(bytes(be(response, 2)), length);
  return { page, code: () => page.slice(length + 2, length + 4).toHex() };
}

Deno.test.each([
  { length: 8, response: 48, legal: false },
  { length: 16, response: 48, legal: true },
  { length: 20, response: 48, legal: false },
  { length: 32, response: 0, legal: false },
  { length: 32, response: 8, legal: true },
  { length: 32, response: 12, legal: false },
  { length: 32, response: 8160, legal: true },
  { length: 32, response: 8168, legal: false },
  { length: 16, response: 8176, legal: true },
  { length: 8184, response: 8, legal: true },
  { length: 8192, response: 8, legal: false },
])(
  "CLP with a request of $length and a response of $response bytes: legal=$legal (zpci.clp.lengths)",
  (row) => {
    const { partition } = Machine.enabled();
    const run = () => clp(partition, block({ ...row, command: QUERY_GROUP }).page);
    if (row.legal) assertEquals(run(), 0);
    else assertEquals(assertThrows(run, ProgramException).exception, "operand");
  },
);

Deno.test("CLP with a response that leaves the storage there is is an operand exception (zpci.clp.lengths)", () => {
  const { partition } = Machine.enabled();
  const { page } = block({ command: QUERY_GROUP, response: 64 });
  assertEquals(clp(partition, page.subarray(0, 96)), 0);
  for (const size of [95, 48, 47]) {
    const error = assertThrows(() => clp(partition, page.subarray(0, size)), ProgramException);
    assertEquals(error.exception, "operand");
  }
});

Deno.test.each([
  { what: "an unknown command", fields: { command: 6 }, code: "0020" },
  { what: "a format other than 0", fields: { format: "10000000" }, code: "0040" },
  { what: "a reserved bit beside the format", fields: { format: "00000001" }, code: "0070" },
  { what: "a reserved doubleword not 0", fields: { reserved: "0000000000000001" }, code: "0070" },
  { what: "a request of 24 bytes", fields: { length: 24 }, code: "0050" },
  { what: "a request of 40 bytes", fields: { length: 40 }, code: "0050" },
  { what: "a response area that is too small", fields: { response: 40 }, code: "0060" },
  { what: "nothing wrong", fields: {}, code: "0010" },
])("CLP answers response code $code to $what (zpci.clp.responses, zpci.clp.commands)", ({ fields, code }) => {
  const request = block(fields);
  assertEquals(clp(Machine.enabled().partition, request.page), 0);
  assertEquals(request.code(), code);
});

const IDENTITY: Partial<FunctionIdentity> = {
  fid: 0x0102_0304,
  uid: 0x0506,
  pchid: 0x07e1,
  vfn: 0x0809,
  pft: 5,
  port: 2,
  sdma: 0x1_0000_0000,
  edma: 0x1f_ffff_ffff_ffff,
  barExponents: [48, 0, 12, 0, 0, 0],
  barFlags: [12, 0, 4, 0, 0, 0],
  fmbLength: 128,
  pfip: bytes("a1a2a3a4"),
  utilityString: bytes("d5c5e3f1" + "40".repeat(12) + "00".repeat(48)),
};

Deno.test("Query PCI Function answers 384 bytes as zpci.query.layout lays them out (zpci.query.bars, zpci.function.ids)", () => {
  const machine = Machine.enabled({ pfgid: 0x21 }, IDENTITY);
  const { response, cc } = machine.clp(QUERY_FUNCTION, be(machine.fn.fh, 4), 384);
  assertEquals(cc, 0);
  const expected = be(384, 2) + "0010" + "00000000" + "0000000000000000" + // header
    "0809" + "01" + "21" + "01020304" + // vfn, flags: utility string, pfgid, fid
    "30000c000000" + "07e1" + // BAR exponents, pchid
    "0c000000" + "00000000" + "04000000" + "000000000000000000000000" + // BAR words, little-endian
    "a1a2a3a4" + "00" + "02" + "20" + "05" + // pfip, FID parameter, port, FMB length in words, pft
    "0000000100000000" + "001fffffffffffff" + // sdma, edma
    "0000" + "00000000" + "0000" + "00".repeat(36) + "00000506" + // rid, reserved, tid, reserved, uid
    "d5c5e3f1" + "40".repeat(12) + "00".repeat(48) + // utility string
    "00".repeat(64) + "00000000" + "00".repeat(124); // reserved, MIO valid, no MIO addresses
  assertEquals(response.toHex(), expected);
});

Deno.test.each([
  { what: "a physical function", identity: { vfn: 0, utilityString: new Uint8Array(64) }, flags: "08" },
  { what: "a virtual function", identity: { vfn: 1, utilityString: new Uint8Array(64) }, flags: "00" },
  { what: "both with a utility string", identity: { ...IDENTITY, vfn: 0 }, flags: "09" },
])(
  "Query PCI Function has flags $flags for $what, never MIO (zpci.mio.ism, zpci.query.layout)",
  ({ identity, flags }) => {
    const machine = Machine.enabled({}, identity);
    const { response } = machine.clp(QUERY_FUNCTION, be(machine.fn.fh, 4), 384);
    assertEquals(response.slice(18, 19).toHex(), flags);
  },
);

Deno.test("Query PCI Function works with 192 bytes, with an enabled and with a disabled handle (zpci.query.layout)", () => {
  const machine = new Machine({}, IDENTITY);
  const query = (length: number) => machine.clp(QUERY_FUNCTION, be(machine.fn.fh, 4), length);
  const disabled = query(192);
  assertEquals(answered(disabled), "cc 0, code 0x0010, length 192");
  machine.fn.enable();
  assertEquals(query(192).response, disabled.response);
  assertEquals(query(384).response.slice(16, 192), disabled.response.slice(16));
  assertEquals(answered(query(184)).slice(0, 17), "cc 0, code 0x0060");
});

Deno.test("Query PCI Function answers 0x0101 to a stale handle (zpci.clp.responses)", () => {
  const machine = Machine.enabled();
  const before = machine.fn.fh;
  machine.fn.disable();
  for (const fh of [before, 0, 0xffff_ffff]) {
    assertEquals(machine.clp(QUERY_FUNCTION, be(fh, 4), 384).response.slice(2, 4).toHex(), "0101");
  }
});

Deno.test("Query PCI Function Group answers 64 bytes as zpci.group.layout lays them out", () => {
  const machine = Machine.enabled({
    pfgid: 0x21,
    noi: 0x123,
    version: 1,
    relaxed: true,
    refresh: true,
    maxstbl: 0x1000,
    mui: 4000,
    dtsm: 0x40,
    dasm: 0x0102030405060708n,
    msia: 0xfe00000000000000n,
  });
  const { response } = machine.clp(QUERY_GROUP, be(0x21, 4), 64);
  const expected = be(64, 2) + "0010" + "00".repeat(12) + // header
    "0123" + "01" + "09" + "1000" + "0fa0" + // noi, version, flags: relaxed and refresh, maxstbl, mui
    "40" + "00" + "0000" + "0000" + "0000" + // dtsm, reserved, maxfaal, dnoi, maxcpu
    "0102030405060708" + "fe00000000000000" + "00".repeat(16); // dasm, msia, reserved
  assertEquals(response.toHex(), expected);
});

Deno.test.each([
  { relaxed: false, refresh: false, flags: "00" },
  { relaxed: false, refresh: true, flags: "01" },
  { relaxed: true, refresh: false, flags: "08" },
])(
  "the group flags are $flags for relaxed=$relaxed, refresh=$refresh (zpci.pcistb.relaxed, zpci.group.ism)",
  ({ flags, ...group }) => {
    const { response } = Machine.enabled(group).clp(QUERY_GROUP, be(0x21, 4), 64);
    assertEquals(response.slice(19, 20).toHex(), flags);
  },
);

Deno.test("Query PCI Function Group answers 0x010b to an unknown group (zpci.clp.responses)", () => {
  const { response } = Machine.enabled().clp(QUERY_GROUP, be(0x22, 4), 64);
  assertEquals(response.slice(2, 4).toHex(), "010b");
});

Deno.test("a response's length is what was stored, not the area (zpci.clp.lengths)", () => {
  const machine = Machine.enabled();
  assertEquals(answered(machine.clp(QUERY_GROUP, be(0x21, 4), 256)), "cc 0, code 0x0010, length 64");
  assertEquals(
    answered(machine.clp(QUERY_FUNCTION, be(machine.fn.fh, 4), 512)),
    "cc 0, code 0x0010, length 384",
  );
});

/** Set PCI Function: fh, reserved, operation, DMA spaces, reserved, GISA designation. */
function set(machine: Machine, fh: number, operation: number, spaces: number) {
  const request = be(fh, 4) + "0000" + be(operation, 1) + be(spaces, 1) + "00000000" + "00000000";
  const { response } = machine.clp(SET_FUNCTION, request, 32);
  return { code: response.slice(2, 4).toHex(), fh: Number(fromBe(response, 16, 4)) };
}

Deno.test("Set PCI Function enables and disables, and returns the new handle (zpci.handle.change, zpci.setfn.rules, zpci.setfn.layout)", () => {
  const machine = new Machine();
  const { fn } = machine;
  const enabled = set(machine, fn.fh, 0, 1);
  assertEquals(enabled, { code: "0010", fh: fn.fh });
  assertEquals([fn.state, fn.fh >= 0x8000_0000], ["enabled", true]);
  const disabled = set(machine, fn.fh, 1, 0);
  assertEquals(disabled, { code: "0010", fh: enabled.fh - 0x8000_0000 });
  assertEquals([fn.state, machine.device.log], ["disabled", ["reset disable"]]);
});

Deno.test.each([
  { what: "an unknown handle", fh: 0x8000_0001, operation: 0, spaces: 1, enabled: false, code: "0101" },
  { what: "enable with 0 DMA spaces", operation: 0, spaces: 0, enabled: false, code: "0103" },
  { what: "enable with 2 DMA spaces", operation: 0, spaces: 2, enabled: false, code: "0104" },
  { what: "enable of an enabled function", operation: 0, spaces: 1, enabled: true, code: "0102" },
  { what: "disable of a disabled function", operation: 1, spaces: 0, enabled: false, code: "0102" },
  { what: "enable MIO, which ISM has not", operation: 2, spaces: 0, enabled: true, code: "0102" },
  { what: "an unknown operation", operation: 4, spaces: 0, enabled: true, code: "0102" },
])(
  "Set PCI Function answers 0x$code to $what (zpci.handle.change, zpci.setfn.rules)",
  ({ fh, operation, spaces, enabled, code }) => {
    const machine = enabled ? Machine.enabled() : new Machine();
    const before = [machine.fn.fh, machine.fn.state];
    assertEquals(set(machine, fh ?? machine.fn.fh, operation, spaces).code, code);
    assertEquals([machine.fn.fh, machine.fn.state, machine.device.log], [...before, []]);
  },
);

// zpci.slpc.layout: a request of the header alone, a response of 128 bytes.
Deno.test.each([
  { lps: 2, request: 16, room: 128, code: "0010", commands: "7c000000" },
  { lps: 0, request: 16, room: 128, code: "0010", commands: "40000000" },
  { lps: 1, request: 16, room: 128, code: "0020", commands: "00000000" },
  { lps: 2, request: 32, room: 128, code: "0050", commands: "00000000" },
  { lps: 2, request: 16, room: 120, code: "0060", commands: "00000000" },
])("store characteristics of processor $lps, request of $request, room for $room: 0x$code", (row) => {
  const { lps, request, room, code, commands } = row;
  const block = new Uint8Array(4096);
  const view = new DataView(block.buffer);
  view.setUint16(0, request);
  view.setUint16(2, 1);
  view.setUint16(request, room);
  assertEquals(clp(new Machine().partition, block, lps), 0);
  assertEquals(block.subarray(request + 2, request + 4).toHex(), code);
  assertEquals(block.subarray(request + 96, request + 100).toHex(), commands);
});

Deno.test("Set PCI Function disables a function in the error state: the way out (zpci.state.table)", () => {
  const machine = Machine.enabled();
  machine.fn.state = "error";
  assertEquals(set(machine, machine.fn.fh, 1, 0).code, "0010");
  assertEquals(machine.fn.state, "disabled");
});
