import { crc32 as ofZlib } from "node:zlib";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { crc32, useEngineCrc32 } from "./crc32.ts";

Deno.test('crc32() of "123456789" is 0xcbf43926, of nothing 0', () => {
  assertEquals([crc32("123456789"), crc32(""), crc32(new Uint8Array(0), 77)], [0xcbf43926, 0, 77]);
});

Deno.test("crc32() is that of zlib, for bytes and text, in one piece and in two", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (one, other) => {
      assertEquals(crc32(one), ofZlib(one));
      assertEquals(crc32(other, crc32(one)), ofZlib(other, ofZlib(one)));
    }),
  );
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => assertEquals(crc32(text), ofZlib(text))));
  const page = new Uint8Array(4096).map((_, i) => i * 7);
  assertEquals(crc32(page, 5), ofZlib(page, 5));
});

Deno.test("crc32() is the same when the engine makes long ones, on both sides of the limit and in pieces", () => {
  const bytes = new Uint8Array(5000).map((_, i) => i * 31 + (i >> 7));
  const lengths = [0, 1, 511, 512, 513, 4096, 5000];
  const before = lengths.map((length) => crc32(bytes.subarray(0, length), 0x1234_5678));
  useEngineCrc32(ofZlib);
  assertEquals(lengths.map((length) => crc32(bytes.subarray(0, length), 0x1234_5678)), before);
  assertEquals(crc32(bytes.subarray(600), crc32(bytes.subarray(0, 600))), crc32(bytes));
  useEngineCrc32(undefined);
});
