/**
 * Facts, ism.cmd.sequence and ism.cmd.header: whatever is stored, and whatever a topology chooses, the answer keeps the
 * rules that Linux relies on.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { be, bytes, fromBe } from "../../../tests/support/bytes.ts";
import { DMB_AT, SBA_AT, stations } from "../../../tests/support/stations.ts";
import { ISM_CHOICES, type IsmOptions } from "./options.ts";

const RESPONSE_LENGTHS: Readonly<Record<number, number>> = { 0x03: 16, 0x08: 200, 0x0a: 16 };
const CODES = [
  0x01,
  0x02,
  0x03,
  0x04,
  0x05,
  0x06,
  0x07,
  0x08,
  0x09,
  0x0a,
  0x0b,
  0x0e,
  0x11,
  0x12,
  0x0c,
  0xffffffff,
];
const REQUEST_LENGTHS = [8, 16, 24, 32, 40];

/** Any combination of the choices of a topology. */
const OPTIONS = fc.record({
  ...Object.fromEntries(
    Object.entries(ISM_CHOICES).map(([name, values]) => [name, fc.constantFrom<string | number>(...values)]),
  ),
  dmbNeedsSba: fc.boolean(),
}) as fc.Arbitrary<Partial<IsmOptions>>;

/** Doublewords that mean something to some command, and any others. */
const DOUBLEWORD = fc.oneof(
  fc.constantFrom(0n, 1n, 512n, 0xa1n, 0xa2n, 2n ** 28n, BigInt(SBA_AT), BigInt(DMB_AT), 0x1000_0000_0020n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const COMMAND = fc.record({
  code: fc.constantFrom(...CODES),
  length: fc.oneof(fc.constantFrom(...REQUEST_LENGTHS), fc.nat(0xffff)),
  payload: fc.array(DOUBLEWORD, { maxLength: 4 }),
});

Deno.test("every answer echoes the code, has its documented length, and never returns 0xffff (ism.cmd.sequence, ism.cmd.preset)", () => {
  const property = fc.property(OPTIONS, fc.array(COMMAND, { maxLength: 30 }), (options, commands) => {
    const [station, peer] = stations(2, options);
    station!.map(DMB_AT, 2 ** 20);
    for (const { code, length, payload } of commands) {
      const header = station!.command(code, payload.map((value) => be(value, 8)).join(""), length);
      if (station!.fn.state === "error") {
        assertEquals(header, "cc 1 status 12");
        assertEquals(station!.errors, [0x02]);
        break;
      }
      const answer = bytes(header);
      const ret = fromBe(answer, 4, 2);
      assertEquals([fromBe(answer, 0, 4), ret <= (options.returnCodes === "one" ? 10n : 9n)], [
        BigInt(code),
        true,
      ]);
      assertEquals(Number(fromBe(answer, 6, 2)), ret === 0n ? RESPONSE_LENGTHS[code] ?? 8 : 8);
    }
    assertEquals([peer!.fn.state, peer!.errors], ["enabled", []], "a peer never suffers");
  });
  fc.assert(property, { seed: 0x72, numRuns: 300 });
});

Deno.test("stores of any bytes to any place of BAR 2 end in a condition code (zpci.insn.cc)", () => {
  const store = fc.record({ offset: fc.nat(4095), data: fc.uint8Array({ minLength: 1, maxLength: 64 }) });
  const property = fc.property(OPTIONS, fc.array(store, { maxLength: 20 }), (options, stores) => {
    const [station] = stations(1, options);
    for (const { offset, data } of stores) {
      const fits = data.subarray(0, 4096 - offset);
      const blocked = station!.fn.state === "error";
      const partial = offset < 8 && (offset > 0 || fits.length < 8);
      const refused = partial && options.partialHeaderStores === "refuse";
      const answer = blocked ? "cc 1 status 12" : refused ? "cc 1 status 20" : "cc 0";
      assertEquals(station!.store(2, offset, fits), answer);
    }
  });
  fc.assert(property, { seed: 0x35, numRuns: 300 });
});
