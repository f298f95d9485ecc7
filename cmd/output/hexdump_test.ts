import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { type ByteOrder, hexdump, wordDump, type WordWidth } from "./hexdump.ts";

const sequence = (length: number) => Uint8Array.from({ length }, (_, i) => i);

// Each expectation is the output of hexdump -C for the same bytes.
Deno.test("hexdump() has the shape of hexdump -C", () => {
  assertEquals(hexdump(new Uint8Array(), 0), []);
  assertEquals(hexdump(new TextEncoder().encode("~\x7f A"), 0), [
    "00000000  7e 7f 20 41                                       |~. A|",
    "00000004",
  ]);
  assertEquals(hexdump(sequence(9), 0), [
    "00000000  00 01 02 03 04 05 06 07  08                       |.........|",
    "00000009",
  ]);
  assertEquals(hexdump(sequence(18), 0), [
    "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|",
    "00000010  10 11                                             |..|",
    "00000012",
  ]);
});

Deno.test("hexdump() folds repeated full lines, never a part of one", () => {
  const zeros = "00 00 00 00 00 00 00 00";
  const first = `00000000  ${zeros}  ${zeros}  |................|`;
  assertEquals(hexdump(new Uint8Array(16), 0), [first, "00000010"]);
  assertEquals(hexdump(new Uint8Array(32), 0), [first, "*", "00000020"]);
  assertEquals(hexdump(new Uint8Array(72), 0), [
    first,
    "*",
    `00000040  ${zeros}                           |........|`,
    "00000048",
  ]);
  assertEquals(hexdump(new Uint8Array(48), 0, { fold: false }).length, 4);
});

const BASES: readonly (readonly [number | bigint, string, string])[] = [
  [0xff8, "00000ff8", "00001000"],
  [0xffff_fff7, "fffffff7", "ffffffff"],
  [0xffff_fff8, "0000fffffff8", "000100000000"],
  [0xffff_ffff_fff7n, "fffffffffff7", "ffffffffffff"],
  [0xffff_ffff_fff8, "0000fffffffffff8", "0001000000000000"],
  [0xffff_ffff_ffff_fff7n, "fffffffffffffff7", "ffffffffffffffff"],
];
for (const [base, first, last] of BASES) {
  Deno.test(`hexdump() and wordDump() write offset ${base} as wide as the end needs`, () => {
    const lines = hexdump(sequence(8), base);
    assertEquals([lines[0]?.split(" ")[0], lines[1]], [first, last]);
    assertEquals(wordDump(sequence(8), base, 8, "big")[1]?.split(" ")[0], first);
  });
}

Deno.test("hexdump() can be read back", () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.tuple(fc.nat(255), fc.nat(100)).map(([byte, count]) => new Uint8Array(count).fill(byte)),
  );
  fc.assert(
    fc.property(anyBytes, fc.bigInt({ min: 0n, max: 1n << 50n }), fc.boolean(), (bytes, base, fold) => {
      const read: number[] = [];
      let repeating = false;
      for (const line of hexdump(bytes, base, { fold })) {
        if (line === "*") {
          repeating = true;
          continue;
        }
        const [offset = "", ...digits] = line.slice(0, line.includes("|") ? line.indexOf("|") : undefined)
          .split(/ +/);
        const at = Number(BigInt(`0x${offset}`) - base);
        while (repeating && read.length < at) read.push(...read.slice(-16));
        repeating = false;
        assertEquals(read.length, at);
        for (const byte of digits.filter((text) => text !== "")) read.push(Number.parseInt(byte, 16));
      }
      assertEquals(Uint8Array.from(read), bytes);
    }),
  );
});

Deno.test("a dump has 8 bytes a line where 16 do not fit, or 4", () => {
  const widest = (lines: readonly string[]) => Math.max(...lines.map((line) => line.length));
  const bytes = sequence(40);
  assertEquals(widest(hexdump(bytes, 0, { columns: 78 })), 78);
  assertEquals(hexdump(bytes, 0, { columns: 78 }), hexdump(bytes, 0));
  assertEquals(hexdump(bytes.subarray(0, 10), 0x100, { columns: 77 }), [
    "00000100  00 01 02 03 04 05 06 07  |........|",
    "00000108  08 09                    |..|",
    "0000010a",
  ]);
  assertEquals(hexdump(new Uint8Array(25), 0, { columns: 60 }).slice(1), [
    "*",
    "00000018  00                       |.|",
    "00000019",
  ]);
  assertEquals(hexdump(bytes.subarray(0, 5), 0, { columns: 44 }), [
    "00000000  00 01 02 03  |....|",
    "00000004  04           |.|",
    "00000005",
  ]);
  assertEquals(widest(hexdump(bytes, 0, { columns: 45 })), 45);
  for (const width of [1, 2, 4, 8] as const) {
    const whole = wordDump(bytes, 0, width, "big");
    assertEquals(wordDump(bytes, 0, width, "big", widest(whole)), whole);
    const narrow = wordDump(bytes, 0, width, "big", widest(whole) - 1);
    assertEquals([whole.length, narrow.length], [4, 6]);
  }
});

Deno.test("hexdump() prints only printable ASCII", () => {
  for (const line of hexdump(sequence(256), 0)) assertMatch(line, /^[ -~]+$/);
});

Deno.test("wordDump() names width and byte order, and shows a tail as bytes", () => {
  assertEquals(wordDump(sequence(23), 0x10, 4, "big"), [
    "offset    4-byte words, big-endian",
    "00000010  00010203 04050607  08090a0b 0c0d0e0f",
    "00000020  10111213 14 15 16",
  ]);
  assertEquals(wordDump(sequence(23), 0x10, 4, "little"), [
    "offset    4-byte words, little-endian",
    "00000010  03020100 07060504  0b0a0908 0f0e0d0c",
    "00000020  13121110 14 15 16",
  ]);
  assertEquals(wordDump(sequence(17), 0, 8, "little"), [
    "offset    8-byte words, little-endian",
    "00000000  0706050403020100  0f0e0d0c0b0a0908",
    "00000010  10",
  ]);
  assertEquals(wordDump(sequence(5), 0, 2, "big"), [
    "offset    2-byte words, big-endian",
    "00000000  0001 0203 04",
  ]);
  assertEquals(wordDump(sequence(3), 0, 1, "big"), ["offset    bytes", "00000000  00 01 02"]);
  assertEquals(wordDump(new Uint8Array(), 1n << 32n, 2, "big"), ["offset        2-byte words, big-endian"]);
});

Deno.test("wordDump() can be read back", () => {
  const widths = fc.constantFrom<WordWidth>(1, 2, 4, 8);
  const orders = fc.constantFrom<ByteOrder>("big", "little");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), widths, orders, (bytes, width, order) => {
    const words = wordDump(bytes, 0, width, order).slice(1).flatMap((line) => line.split(/ +/).slice(1));
    const read = words.flatMap((word) => {
      const word8 = [...Uint8Array.fromHex(word)];
      return order === "little" ? word8.reverse() : word8;
    });
    assertEquals(Uint8Array.from(read), bytes);
  }));
});
