/** Facts, zpci.pcilg.length and zpci.pcistb.relaxed: length and alignment, a row on each side of each limit. */
import { assertEquals } from "@std/assert";
import { GROUP, Machine, outcome } from "../../tests/support/machine.ts";
import { loadStoreFault, storeBlockFault } from "./access_rules.ts";

const RELAXED = GROUP;
const STRICT = { ...GROUP, relaxed: false, maxstbl: 128 };

Deno.test.each([
  { offset: 0, length: 0, legal: false },
  { offset: 0, length: 1, legal: true },
  { offset: 0, length: 3, legal: true },
  { offset: 0, length: 8, legal: true },
  { offset: 0, length: 9, legal: false },
  { offset: 1, length: 2, legal: true },
  { offset: 1, length: 7, legal: true },
  { offset: 1, length: 8, legal: false },
  { offset: 7, length: 1, legal: true },
  { offset: 7, length: 2, legal: false },
  { offset: 0xff8, length: 8, legal: true },
  { offset: 0xffc, length: 8, legal: false },
  { offset: 2 ** 47 + 4, length: 4, legal: true },
  { offset: 2 ** 47 + 4, length: 5, legal: false },
])(
  "PCILG/PCISTG of $length bytes at $offset of a BAR: legal=$legal (zpci.pcilg.length)",
  ({ offset, length, legal }) => {
    assertEquals(loadStoreFault(0, offset, length) === undefined, legal);
    const machine = Machine.enabled();
    const { processor, fn } = machine;
    const expected = legal ? "cc 0" : "operand exception";
    assertEquals(outcome(processor, () => processor.pcilg(fn.fh, 0, offset, length)), expected);
    assertEquals(
      outcome(processor, () => processor.pcistg(fn.fh, 0, offset, length, new Uint8Array(8))),
      expected,
    );
    assertEquals(machine.device.log.length, legal ? 2 : 0);
  },
);

Deno.test("PCILG/PCISTG on a BAR stay inside one aligned doubleword, every offset and length (zpci.pcilg.length)", () => {
  for (let offset = 0; offset < 24; offset++) {
    for (let length = 0; length < 24; length++) {
      const legal = length >= 1 && Math.floor(offset / 8) === Math.floor((offset + length - 1) / 8);
      assertEquals(loadStoreFault(2, offset, length) === undefined, legal, `${length} at ${offset}`);
    }
  }
});

Deno.test("PCILG/PCISTG on config space take 1, 2 or 4 bytes inside one aligned word (zpci.pcilg.config)", () => {
  for (let offset = 0; offset < 16; offset++) {
    for (let length = 0; length < 12; length++) {
      const legal = [1, 2, 4].includes(length) &&
        Math.floor(offset / 4) === Math.floor((offset + length - 1) / 4);
      assertEquals(loadStoreFault(15, offset, length) === undefined, legal, `${length} at ${offset}`);
    }
  }
});

Deno.test.each([
  { offset: 0, length: 0, legal: false },
  { offset: 0, length: 1, legal: true },
  { offset: 0, length: 8, legal: true },
  { offset: 3, length: 13, legal: true },
  { offset: 0, length: 4096, legal: true },
  { offset: 0, length: 4097, legal: false },
  { offset: 1, length: 4095, legal: true },
  { offset: 1, length: 4096, legal: false },
  { offset: 4095, length: 1, legal: true },
  { offset: 4095, length: 2, legal: false },
  { offset: 4096, length: 4096, legal: true },
  { offset: 2 ** 48 - 4096, length: 4096, legal: true },
  { offset: 2 ** 48 - 1, length: 1, legal: true },
])(
  "relaxed PCISTB of $length bytes at $offset: legal=$legal (zpci.pcistb.relaxed, zpci.pcistb.boundary, zpci.pcistb.zero)",
  ({ offset, length, legal }) => {
    assertEquals(storeBlockFault(RELAXED, offset, length) === undefined, legal);
    const machine = Machine.enabled();
    const { processor, fn } = machine;
    const source = new Uint8Array(length);
    const expected = legal ? "cc 0" : "specification exception";
    assertEquals(outcome(processor, () => processor.pcistb(fn.fh, 0, offset, length, source)), expected);
    assertEquals(machine.device.log.length, legal ? 1 : 0, "one store block is one device operation");
  },
);

Deno.test.each([
  { offset: 0, length: 0, legal: false },
  { offset: 0, length: 8, legal: false },
  { offset: 0, length: 15, legal: false },
  { offset: 0, length: 16, legal: true },
  { offset: 0, length: 17, legal: false },
  { offset: 0, length: 24, legal: true },
  { offset: 0, length: 128, legal: true },
  { offset: 0, length: 136, legal: false },
  { offset: 8, length: 16, legal: true },
  { offset: 4, length: 16, legal: false },
  { offset: 9, length: 16, legal: false },
  { offset: 4096 - 16, length: 16, legal: true },
  { offset: 4096 - 8, length: 16, legal: false },
])(
  "strict PCISTB of $length bytes at $offset: legal=$legal (zpci.pcistb.strict)",
  ({ offset, length, legal }) => {
    assertEquals(storeBlockFault(STRICT, offset, length) === undefined, legal);
    const { processor, fn } = Machine.enabled(STRICT);
    const expected = legal ? "cc 0" : "specification exception";
    assertEquals(
      outcome(processor, () => processor.pcistb(fn.fh, 0, offset, length, new Uint8Array(length))),
      expected,
    );
  },
);

Deno.test.each([
  { maxstbl: 128, length: 128, legal: true },
  { maxstbl: 128, length: 129, legal: false },
  { maxstbl: 4095, length: 4095, legal: true },
  { maxstbl: 4095, length: 4096, legal: false },
])(
  "relaxed PCISTB of $length bytes with maxstbl $maxstbl: legal=$legal (zpci.pcistb.relaxed, zpci.pcistb.maxstbl)",
  ({ maxstbl, length, legal }) => {
    assertEquals(storeBlockFault({ ...RELAXED, maxstbl }, 0, length) === undefined, legal);
  },
);
