/** Facts, zpci.clp.responses and zpci.list.rules: List PCI byte for byte, resume tokens, lengths. */
import { assertEquals } from "@std/assert";
import { FakeDevice, Machine } from "../../tests/support/machine.ts";
import { be, fromBe } from "../../tests/support/bytes.ts";

const LIST = 2;

/** A machine with `count` functions in all, fids from 0x10 on. */
function withFunctions(count: number): Machine {
  const machine = new Machine();
  for (let i = 1; i < count; i++) {
    const fn = machine.partition.addFunction({ ...machine.fn.identity, fid: 0x10 + i }, machine.fn.group);
    fn.attach(new FakeDevice());
  }
  return machine;
}

Deno.test("List PCI answers header and entries as zpci.list.layout lays them out", () => {
  const machine = withFunctions(3);
  const [first, second, third] = machine.partition.functions;
  first!.enable();
  second!.state = "standby";
  third!.state = "reserved";
  const { cc, response } = machine.clp(LIST, be(0, 8), 96);
  assertEquals(cc, 0);
  const expected = be(64, 2) + "0010" + "00".repeat(12) + // header with the actual length
    "0000000000000000" + "00ff0000" + "1000" + "01" + "10" + // resume token, mdd, most functions, UIDs, entry size
    "04ed" + "1014" + "80000000" + "00000010" + "81000001" + // device, vendor, configured, fid, fh
    "04ed" + "1014" + "00000000" + "00000011" + "00000002" + // standby: not configured; the third is not listed
    "00".repeat(32);
  assertEquals(response.toHex(), expected);
});

Deno.test("List PCI says configured for every state but standby (zpci.state.listed)", () => {
  const machine = new Machine();
  for (const state of ["disabled", "enabled", "blocked", "error", "permanent-error"] as const) {
    machine.fn.state = state;
    assertEquals(fromBe(machine.clp(LIST, be(0, 8), 48).response, 36, 4), 0x8000_0000n);
  }
});

Deno.test("List PCI puts at most 252 entries into a page and resumes after them (zpci.list.rules)", () => {
  const machine = withFunctions(260);
  const fids: number[] = [];
  const counts: number[] = [];
  let token = 0n;
  do {
    const { response } = machine.clp(LIST, be(token, 8), 4096 - 32);
    const count = (Number(fromBe(response, 0, 2)) - 32) / 16;
    counts.push(count);
    for (let i = 0; i < count; i++) fids.push(Number(fromBe(response, 32 + i * 16 + 8, 4)));
    token = fromBe(response, 16, 8);
  } while (token !== 0n);
  assertEquals(counts, [252, 8]);
  assertEquals(fids, Array.from({ length: 260 }, (_, i) => 0x10 + i));
});

Deno.test("List PCI resumes one by one, and the last answer has token 0 (zpci.list.rules)", () => {
  const machine = withFunctions(2);
  const first = machine.clp(LIST, be(0, 8), 48).response;
  assertEquals([fromBe(first, 16, 8), fromBe(first, 40, 4)], [1n, 0x10n]);
  const second = machine.clp(LIST, be(1, 8), 48).response;
  assertEquals([fromBe(second, 16, 8), fromBe(second, 40, 4)], [0n, 0x11n]);
});

Deno.test("List PCI answers 0x010a to a token that names no function (zpci.clp.responses, zpci.list.rules)", () => {
  const machine = withFunctions(2);
  for (const token of [2, 3, 2 ** 40]) {
    assertEquals(machine.clp(LIST, be(token, 8), 48).response.slice(2, 4).toHex(), "010a");
  }
});

Deno.test.each([
  { length: 40, cc: 0, code: "0060" },
  { length: 48, cc: 0, code: "0010" },
  { length: 56, cc: 3, code: "0050" },
  { length: 64, cc: 0, code: "0010" },
])(
  "List PCI into $length bytes is cc $cc with response code $code (zpci.list.layout, zpci.clp.cc)",
  ({ length, cc, code }) => {
    const answer = withFunctions(2).clp(LIST, be(0, 8), length);
    assertEquals([answer.cc, answer.response.slice(2, 4).toHex()], [cc, code]);
  },
);
