/** Facts, docs/reference/ism/commands.md, ism/data.md and ism/signals.md: layouts against bytes written by hand. */
import { assertEquals } from "@std/assert";
import { be, bytes } from "../../tests/support/bytes.ts";
import {
  type CommandLayout,
  commandName,
  COMMANDS,
  dataOffset,
  elementMask,
  EVENT_CODE,
  EVENT_TYPE,
  IEQ,
  IEQ_ENTRY,
  IEQ_HEADER,
  REQUEST_HEADER,
  RESPONSE_HEADER,
  RET,
  retText,
  SBA,
} from "./protocol.ts";

Deno.test("COMMANDS has the codes and lengths of ism.cmd.table", () => {
  const table = Object.entries<CommandLayout>(COMMANDS).map(([name, { code, request, response }]) =>
    `0x${be(code, 1)} ${name} ${request.size} ${response.size}`
  );
  assertEquals(table, [
    "0x01 REG_SBA 16 8",
    "0x02 REG_IEQ 24 8",
    "0x03 READ_GID 8 16",
    "0x04 ADD_VLAN_ID 16 8",
    "0x05 DEL_VLAN_ID 16 8",
    "0x06 SET_VLAN 8 8",
    "0x07 RESET_VLAN 8 8",
    "0x08 QUERY_INFO 8 200",
    "0x09 QUERY_RGID 24 8",
    "0x0a REG_DMB 40 16",
    "0x0b UNREG_DMB 16 8",
    "0x0e SIGNAL_IEQ 32 8",
    "0x11 UNREG_SBA 8 8",
    "0x12 UNREG_IEQ 8 8",
  ]);
  for (const code of [0x00, 0x0c, 0x0d, 0x0f, 0x10, 0x13]) assertEquals(commandName(code), undefined);
});

const HEADER = "00".repeat(8);

Deno.test("requests have their fields where ism.cmd.table has them", () => {
  const { REG_SBA, REG_IEQ, ADD_VLAN_ID, QUERY_RGID, REG_DMB, UNREG_DMB, SIGNAL_IEQ } = COMMANDS;
  assertEquals(REG_SBA.request.encode({ sba: 0x1_0000_2000n }).toHex(), HEADER + "0000000100002000");
  assertEquals(
    REG_IEQ.request.encode({ ieq: 0x1_0000_3000n, length: 512 }).toHex(),
    HEADER + "0000000100003000" + "0000000000000200",
  );
  assertEquals(ADD_VLAN_ID.request.encode({ vlanId: 0x1fff }).toHex(), HEADER + "0000000000001fff");
  assertEquals(
    QUERY_RGID.request.encode({ rgid: 0xf1f2f3f4f5f6f7f8n, vlanValid: 1, vlanId: 0x123 }).toHex(),
    HEADER + "f1f2f3f4f5f6f7f8" + "00000001" + "00000123",
  );
  const dmb = { dmb: 0x1_0010_0000n, length: 0x8000, sbaIndex: 32, vlanValid: 1, vlanId: 5, rgid: 0xf1f2n };
  assertEquals(
    REG_DMB.request.encode(dmb).toHex(),
    HEADER + "0000000100100000" + "00008000" + "00000020" + "00000001" + "00000005" + "000000000000f1f2",
  );
  assertEquals(UNREG_DMB.request.encode({ token: 2 ** 28 }).toHex(), HEADER + "0000000010000000");
  assertEquals(
    SIGNAL_IEQ.request.encode({ rgid: 0xa1n, triggerIrq: 1, eventCode: 0x83, info: 0xf1f2f3f4f5f6f7f8n })
      .toHex(),
    HEADER + "00000000000000a1" + "00000001" + "00000083" + "f1f2f3f4f5f6f7f8",
  );
});

Deno.test("headers have the length at 6 and the return code at 4 (ism.cmd.header)", () => {
  assertEquals(REQUEST_HEADER.encode({ code: 0x0a, length: 40 }).toHex(), "0000000a" + "0000" + "0028");
  assertEquals(RESPONSE_HEADER.decode(bytes("0000000a 0003 0010")), { code: 0x0a, ret: 3, length: 16 });
});

Deno.test("responses have their fields where ism.cmd.table and ism.info.layout have them", () => {
  assertEquals(COMMANDS.READ_GID.response.decode(bytes(HEADER + "f1f2f3f4f5f6f7f8")), {
    gid: 0xf1f2f3f4f5f6f7f8n,
  });
  assertEquals(COMMANDS.REG_DMB.response.decode(bytes(HEADER + "0000000010000000")), { token: 2 ** 28 });
  const info = bytes(
    HEADER + "00000002" + "00001000" + "0000000000000003" + "f1f2f3f4f5f6f7f8" + // version, max_len, state, gid
      "0000000100000000" + "0000000100001000" + "00000200" + "00000000" + // sba, ieq, ieq_len, reserved
      "00000004" + "00000005" + "00000001" + "00000006" + "00ff".repeat(64), // dmbs, VLAN required, count, ids
  );
  assertEquals(info.length, 200);
  assertEquals(COMMANDS.QUERY_INFO.response.decode(info), {
    version: 2,
    maxLength: 4096,
    ismState: 3,
    gid: 0xf1f2f3f4f5f6f7f8n,
    sba: 0x1_0000_0000,
    ieq: 0x1_0000_1000,
    ieqLength: 512,
    dmbsOwned: 4,
    dmbsUsed: 5,
    vlanRequired: 1,
    vlanCount: 6,
    vlanIds: bytes("00ff".repeat(64)),
  });
});

Deno.test("IEQ entries have their fields where ism.ieq.layout has them", () => {
  assertEquals({ ...IEQ }, { BYTES: 512, ENTRIES: 32, ENTRY_BYTES: 32, SLOTS: 15 });
  const header = bytes("000000000000000f" + "0000000000000200" + "0000000000000020" + HEADER);
  assertEquals(IEQ_HEADER.decode(header), { idx: 15, ieqLength: 512, entryLength: 32 });
  const entry = bytes("00000002" + "00000083" + "00000000000000a1" + "7d91048bca000000" + "f1f2f3f4f5f6f7f8");
  assertEquals(IEQ_ENTRY.decode(entry), {
    type: 2,
    code: 0x83,
    tok: 0xa1n,
    time: 0x7d91048bca000000n,
    info: 0xf1f2f3f4f5f6f7f8n,
  });
});

Deno.test("SBA, event types and event codes have the numbers of ism.sba.layout and ism.event.codes", () => {
  assertEquals<unknown>(SBA, {
    BYTES: 4096,
    SUMMARY: 0x80,
    EVENT: 0x40,
    DMB_BITS: 4,
    MASKS: 256,
    INDICES: 1920,
    FIRST_INDEX: 32,
  });
  assertEquals<unknown>(EVENT_TYPE, { BUFFER: 0, DEVICE: 1, SOFTWARE: 2 });
  assertEquals(Object.values(EVENT_CODE), [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("elementMask() is 0x1000 rotated right by idx in 16 bits (ism.data.element)", () => {
  const masks = Array.from({ length: 16 }, (_, idx) => be(elementMask(idx), 2));
  assertEquals(
    masks.join(" "),
    "1000 0800 0400 0200 0100 0080 0040 0020 0010 0008 0004 0002 0001 8000 4000 2000",
  );
});

Deno.test.each([
  { token: 2 ** 28, idx: 0, signal: false, offset: 0, hex: "000010000000" },
  { token: 2 ** 28, idx: 0, signal: true, offset: 1, hex: "000010800001" },
  { token: 2 ** 28, idx: 15, signal: false, offset: 0x7f_ffff, hex: "00001f7fffff" },
  { token: 2 ** 48 - 2 ** 28, idx: 15, signal: true, offset: 0x7f_ffff, hex: "ffffffffffff" },
])("dataOffset() composes 0x$hex (ism.data.offset)", ({ token, idx, signal, offset, hex }) => {
  assertEquals(be(dataOffset(token, idx, signal, offset), 6), hex);
});

Deno.test("RET is the private set of ism.cmd.codes and never 0xffff", () => {
  assertEquals(Object.values(RET), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (const ret of Object.values(RET).slice(1)) assertEquals(retText(ret) === "unknown return code", false);
  assertEquals(new Set(Object.values(RET).map(retText)).size, 11, "each has a reason of its own");
});
