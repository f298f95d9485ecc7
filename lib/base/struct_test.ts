/** Struct codecs: the byte order of a table, its checks at load, and that encode and decode are inverse. */
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { defineStruct, type Endian } from "./struct.ts";

const FIELDS = {
  byte: [0, "u8"],
  half: [2, "u16"],
  word: [4, "u32"],
  signed: [8, "i32"],
  long: [12, "u64"],
  wide: [20, "big64"],
  text: [28, "bytes", 5],
} as const;

Deno.test("encode() writes a big-endian table most significant byte first", () => {
  const struct = defineStruct("be", 36, FIELDS);
  const bytes = struct.encode({
    byte: 0x01,
    half: 0x0203,
    word: 0x84050607,
    signed: -2,
    long: 0x1_0000_0002,
    wide: 0xfedcba9876543210n,
    text: Uint8Array.of(1, 2, 3),
  });
  assertEquals(
    bytes.toHex(),
    "01000203" + "84050607" + "fffffffe" + "0000000100000002" + "fedcba9876543210" + "0102030000" + "000000",
  );
});

Deno.test("encode() writes a little-endian table least significant byte first", () => {
  const struct = defineStruct("le", 36, FIELDS);
  const bytes = struct.encode({ half: 0x0203, word: 0x84050607, long: 0x1_0000_0002, signed: -2 });
  assertEquals(bytes.slice(0, 20).toHex(), "00000302" + "07060584" + "feffffff" + "0200000001000000");
});

Deno.test("encode() leaves every byte alone whose field is not given", () => {
  const struct = defineStruct("be", 8, { first: [0, "u16"], second: [4, "u16"] });
  const into = new Uint8Array(12).fill(0xaa);
  assertEquals(struct.encode({ second: 1 }, into, 2), into);
  assertEquals(into.toHex(), "aaaaaaaaaaaa0001aaaaaaaa");
});

Deno.test("encode() refuses bytes longer than their field", () => {
  const struct = defineStruct("be", 4, { text: [0, "bytes", 2] });
  assertEquals(struct.encode({ text: Uint8Array.of(1, 2) }).toHex(), "01020000");
  assertThrows(() => struct.encode({ text: Uint8Array.of(1, 2, 3) }), TypeError, "at most 2 bytes");
});

Deno.test("decode() reads fields beyond the end of the bytes as zero", () => {
  const struct = defineStruct("be", 8, { first: [0, "u32"], second: [4, "u32"] });
  assertEquals(struct.decode(Uint8Array.of(1, 2, 3, 4, 5, 6)), { first: 0x01020304, second: 0x05060000 });
  assertEquals(struct.decode(Uint8Array.of(1, 2, 3, 4, 5, 6), 4), { first: 0x05060000, second: 0 });
});

Deno.test("decode() hands out copies of bytes, not views", () => {
  const struct = defineStruct("be", 4, { text: [0, "bytes", 4] });
  const source = Uint8Array.of(1, 2, 3, 4);
  const { text } = struct.decode(source);
  source.fill(9);
  assertEquals([...text], [1, 2, 3, 4]);
});

Deno.test("defineStruct() refuses fields that overlap or leave the struct", () => {
  assertThrows(() => defineStruct("be", 8, { a: [0, "u32"], b: [3, "u8"] }), TypeError, "overlaps");
  assertThrows(() => defineStruct("be", 8, { a: [5, "u32"] }), TypeError, "beyond size 8");
  assertEquals(defineStruct("be", 8, { a: [0, "u32"], b: [4, "u32"] }).size, 8);
});

Deno.test("decode() gives back what encode() wrote, for any values, place and byte order", () => {
  const values = fc.record({
    byte: fc.nat(0xff),
    half: fc.nat(0xffff),
    word: fc.nat(0xffff_ffff),
    signed: fc.integer(),
    long: fc.maxSafeNat(),
    wide: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    text: fc.uint8Array({ minLength: 5, maxLength: 5 }),
  });
  const property = fc.property(
    fc.constantFrom<Endian>("be", "le"),
    values,
    fc.nat(9),
    fc.nat(0xff),
    (endian, value, at, fill) => {
      const struct = defineStruct(endian, 36, FIELDS);
      const into = new Uint8Array(at + 36 + 3).fill(fill);
      struct.encode(value, into, at);
      assertEquals<unknown>(struct.decode(into, at), value);
      const around = [...into.subarray(0, at), ...into.subarray(at + 36)];
      assertEquals(around.every((byte) => byte === fill), true, "bytes outside the struct stay");
    },
  );
  fc.assert(property, { seed: 0x51, numRuns: 200 });
});
