import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MAX_DATA_BYTES } from "./limits.ts";
import { type DataIo, parseData, randomBytes } from "./data.ts";
import { FileError, UsageError } from "./usage_error.ts";

/** One file of 16 bytes under every name, and three bytes of standard input; keeps what was asked. */
class FakeIo implements DataIo {
  readonly reads: (readonly [string, number, number | undefined])[] = [];

  readFile(path: string, offset: number, length: number | undefined): Uint8Array {
    this.reads.push([path, offset, length]);
    const file = Uint8Array.from({ length: 16 }, (_, i) => i);
    return length === undefined ? file.slice(offset) : file.slice(offset, offset + length);
  }

  readStdin(): Uint8Array {
    return Uint8Array.of(7, 8, 9);
  }
}

const PURE: readonly (readonly [string, readonly number[]])[] = [
  ["hex:", []],
  ["hex:00ff", [0, 0xff]],
  ["hex:DEAD_beef", [0xde, 0xad, 0xbe, 0xef]],
  ["hex:0_0", [0]],
  ["text:", []],
  ["text:a:b*c@1", [0x61, 0x3a, 0x62, 0x2a, 0x63, 0x40, 0x31]],
  ["text:é€", [0xc3, 0xa9, 0xe2, 0x82, 0xac]],
  ["fill:0xa5*3", [0xa5, 0xa5, 0xa5]],
  ["fill:255*1", [255]],
  ["fill:0*0", []],
  ["seq:0*3", [0, 1, 2]],
  ["seq:254*4", [254, 255, 0, 1]],
  ["seq:0xff*0b10", [255, 0]],
  ["rand:1*0", []],
];
for (const [text, bytes] of PURE) {
  Deno.test(`parseData() reads ${JSON.stringify(text)}`, () => {
    const source = parseData(text);
    assertEquals(source.text, text);
    assertEquals(source.length, bytes.length);
    assertEquals(source.load(new FakeIo()), Uint8Array.from(bytes));
  });
}

const FORMS = "write hex:00ff, text:hello, fill:0xa5*4096, seq:0*256, rand:1*4096, file:PATH or -";
const BAD: readonly (readonly [string, string])[] = [
  ["", "an empty word is not DATA; zero bytes are hex:"],
  ["00ff", `"00ff" is not DATA; ${FORMS}`],
  ["hex", `"hex" is not DATA; ${FORMS}`],
  ["HEX:00", `"HEX:00" is not DATA; ${FORMS}`],
  ["constructor:1", `"constructor:1" is not DATA; ${FORMS}`],
  ["\x07:1", `"\\x07:1" is not DATA; ${FORMS}`],
  ["hex:0", "hex: 1 digit is not a whole number of bytes; two digits make one"],
  ["hex:00f", "hex: 3 digits are not a whole number of bytes; two digits make one"],
  ["hex:0g", `hex: "g" is not a hexadecimal digit`],
  ["hex:00 ff", `hex: " " is not a hexadecimal digit`],
  ["hex:00\u{1f600}", `hex: "\u{1f600}" is not a hexadecimal digit`],
  ["hex:_00", `hex: "_" stands between two digits only`],
  ["hex:00_", `hex: "_" stands between two digits only`],
  ["hex:0__0", `hex: "_" stands between two digits only`],
  ["text:\ud800", "text: half a surrogate pair has no UTF-8 form"],
  ["fill:0xa5", "fill: a count is missing; try fill:0xa5*4096"],
  ["fill:256*1", `fill value: "256" is too large; the most is 255`],
  ["fill:*1", `fill value: "" is not a number; try 4096, 4k or 0x1000`],
  ["fill:1*", `fill count: "" is not a number; try 4096, 4k or 0x1000`],
  ["fill:0*268435457", `fill count: "268435457" is over the limit of 256 MiB`],
  ["seq:0", "seq: a count is missing; try seq:0*4096"],
  ["seq:256*1", `seq start: "256" is too large; the most is 255`],
  ["seq:0*1*1", `seq count: "1*1" is not a number; try 4096, 4k or 0x1000`],
  ["seq:0*2G", `seq count: "2G" is over the limit of 256 MiB`],
  ["rand:4096", "rand: a count is missing; try rand:1*4096"],
  ["rand:18446744073709551616*1", `rand seed: "18446744073709551616" does not fit in 64 bits`],
  ["rand:0*2G", `rand count: "2G" is over the limit of 256 MiB`],
  ["file:", "file: the path is missing; try file:PATH"],
  ["file:@0", "file: the path is missing; try file:PATH"],
  ["file:a\0b", "file: a path cannot hold a NUL character"],
  ["file:a@08", `file offset: "08" is not a number; a leading zero is not octal here, try 8 or 0x8`],
  ["file:a@-1", `file offset: "-1" is not a number; a number has no sign here`],
  ["file:a@+16", `file: no offset before "+16"; try @0+16`],
  ["file:a@1+", `file length: "" is not a number; try 4096, 4k or 0x1000`],
  ["file:a@1+2+3", `file length: "2+3" is not a number; try 4096, 4k or 0x1000`],
  ["file:a@0+257M", `file length: "257M" is over the limit of 256 MiB`],
];
for (const [text, message] of BAD) {
  Deno.test(`parseData() refuses ${JSON.stringify(text)}`, () => {
    const error = assertThrows(() => parseData(text), UsageError);
    assertEquals(error.message, message);
    assertEquals(error.token, text);
  });
}

Deno.test("parseData() hints at hex: for bare digits", () => {
  assertEquals(assertThrows(() => parseData("0x00ff"), UsageError).hint, "try hex:00ff");
  assertEquals(assertThrows(() => parseData("00fg"), UsageError).hint, undefined);
});

Deno.test("parseData() takes the largest size without making the bytes", () => {
  for (const text of ["fill:0*256M", "seq:0*256M", "rand:0*256M", "file:a@0+256M"]) {
    assertEquals(parseData(text).length, MAX_DATA_BYTES);
  }
});

const FILES: readonly (readonly [string, string, number, number | undefined])[] = [
  ["file:a.bin", "a.bin", 0, undefined],
  ["file:-", "-", 0, undefined],
  ["file:a@b.txt", "a@b.txt", 0, undefined],
  ["file:icon@2x.png", "icon@2x.png", 0, undefined],
  ["file:icon@2x.png@0", "icon@2x.png", 0, undefined],
  ["file:a@", "a@", 0, undefined],
  ["file:a@4", "a", 4, undefined],
  ["file:a@16", "a", 16, undefined],
  ["file:a@0x4+2", "a", 4, 2],
  ["file:a@4+0", "a", 4, 0],
  ["file:a@0+16", "a", 0, 16],
  ["file:c:/x@1k+0", "c:/x", 1024, 0],
];
for (const [text, ...read] of FILES) {
  Deno.test(`parseData() reads the right part of ${text}`, () => {
    const io = new FakeIo();
    const source = parseData(text);
    assertEquals(source.length, read[2]);
    const bytes = source.load(io);
    assertEquals(io.reads, [read]);
    assertEquals(bytes.length, read[2] ?? Math.max(16 - read[1], 0));
  });
}

Deno.test("load() refuses a file that is shorter than asked", () => {
  const error = assertThrows(() => parseData("file:a\x1b@0+17").load(new FakeIo()), FileError);
  assertEquals(error.message, "a\\x1b has 16 bytes at offset 0, not 17");
  assertEquals(error.path, "a\x1b");
});

Deno.test("load() refuses input over the limit", () => {
  // Only the length is looked at; a real array of this size would cost more than the test is worth.
  const huge = Object.defineProperty(new Uint8Array(), "length", { value: MAX_DATA_BYTES + 1 });
  const io: DataIo = { readFile: () => huge, readStdin: () => huge };
  assertEquals(
    assertThrows(() => parseData("file:a").load(io), FileError).message,
    "a holds more than 256 MiB",
  );
  assertThrows(() => parseData("file:a@4").load(io), FileError, "a holds more than 256 MiB");
  assertThrows(() => parseData("-").load(io), FileError, "standard input holds more than 256 MiB");
});

Deno.test("parseData() reads standard input for -", () => {
  const source = parseData("-");
  assertEquals(source.length, undefined);
  assertEquals(source.load(new FakeIo()), Uint8Array.of(7, 8, 9));
});

Deno.test("load() makes a new array at each call", () => {
  for (const text of ["hex:00ff", "text:ab", "fill:1*2", "seq:1*2", "rand:1*2"]) {
    const source = parseData(text);
    const first = source.load(new FakeIo());
    const kept = first.slice();
    first.fill(0xee);
    assertEquals(source.load(new FakeIo()), kept);
  }
});

/** The generator once more, straight from its papers, in 64-bit and 32-bit integers. */
function referenceRandom(seed: bigint, count: number): Uint8Array {
  const low32 = (value: bigint) => BigInt.asUintN(32, value);
  const low64 = (value: bigint) => BigInt.asUintN(64, value);
  const words: bigint[] = [];
  let state = seed;
  for (let i = 0; i < 2; i++) {
    state = low64(state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = low64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = low64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    z ^= z >> 31n;
    words.push(low32(z), z >> 32n);
  }
  const rotate = (value: bigint, by: bigint) => low32((value << by) | (value >> (32n - by)));
  let [s0 = 0n, s1 = 0n, s2 = 0n, s3 = 0n] = words;
  const bytes: number[] = [];
  while (bytes.length < count) {
    const result = low32(rotate(low32(s1 * 5n), 7n) * 9n);
    const t = low32(s1 << 9n);
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 11n);
    for (let shift = 0n; shift < 32n; shift += 8n) bytes.push(Number((result >> shift) & 0xffn));
  }
  return Uint8Array.from(bytes.slice(0, count));
}

Deno.test("randomBytes() follows xoshiro128** seeded by SplitMix64", () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat(70), (seed, count) => {
    assertEquals(randomBytes(seed, count), referenceRandom(seed, count));
  }));
});

Deno.test("randomBytes() never changes from version to version", () => {
  assertEquals(randomBytes(1n, 16).toHex(), "ba4109650103d35421f3d225a9dcab3f");
  assertEquals(randomBytes(0xffff_ffff_ffff_ffffn, 16).toHex(), "9cf7781c2a66a794a03e1f21a36b3a24");
});

Deno.test("randomBytes() begins a longer run with the shorter one, and differs between seeds", () => {
  assertEquals(randomBytes(5n, 1001).subarray(0, 998), randomBytes(5n, 998));
  assertNotEquals(randomBytes(5n, 64), randomBytes(6n, 64));
});

const dataish = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.tuple(
    fc.constantFrom("hex:", "text:", "fill:", "seq:", "rand:", "file:", ""),
    fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abfxk_*@+-. ") })),
  ).map((parts) => parts.join("")),
  fc.tuple(fc.constantFrom("fill", "seq", "rand"), fc.nat(300), fc.nat(5000)).map(([form, value, count]) =>
    `${form}:${value}*${count}`
  ),
);

Deno.test("parseData() throws nothing but UsageError, and its length is that of load()", () => {
  fc.assert(fc.property(dataish, (text) => {
    try {
      const source = parseData(text);
      // A few random characters can ask for a gigabyte.
      if (source.length === undefined || source.length > 1 << 20) return;
      const io: DataIo = {
        readFile: (_path, _offset, length) => new Uint8Array(length ?? 3),
        readStdin: () => new Uint8Array(3),
      };
      assertEquals(source.load(io).length, source.length);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      assertMatch(error.message, /^\P{Cc}+$/u);
      assertEquals(error.token, text);
    }
  }));
});

Deno.test("parseData() reads back any bytes as hex:", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    assertEquals(parseData(`hex:${bytes.toHex()}`).load(new FakeIo()), bytes);
    assertEquals(parseData(`hex:${bytes.toHex().toUpperCase()}`).load(new FakeIo()), bytes);
  }));
});
