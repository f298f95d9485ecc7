/** Facts, zpci.mpcifc.fib and zpci.state.table: the FIB's layout, written by hand. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { bytes } from "../../tests/support/bytes.ts";
import { FIB, FUNCTION_CONTROLS, packInterrupts, unpackInterrupts } from "./fib.ts";

const IMAGE = bytes(
  "00 00000000000000" + "b0 00000000000000" + // format, function controls
    "0000000100000000" + "00000001ffffffff" + "0000000000123804" + // pba, pal, iota
    "2001 0081" + "00000000" + // isc 2, noi 1, aibvo 0, sum 1, aisbo 1
    "0000000000100008" + "0000000000100000" + // aibv, aisb
    "0000000000200000" + "00000000" + "01020304", // FMB address, gd
);

Deno.test("FIB has its fields where zpci.mpcifc.fib has them", () => {
  assertEquals(FIB.size, 80);
  assertEquals(FIB.decode(IMAGE), {
    format: 0,
    controls: 0xb0,
    pba: 0x1_0000_0000,
    pal: 0x1_ffff_ffff,
    iota: 0x12_3804,
    interrupts: 0x2001_0081,
    aibv: 0x10_0008,
    aisb: 0x10_0000,
    fmba: 0x20_0000,
    gd: 0x0102_0304,
  });
  assertEquals(FIB.encode(FIB.decode(IMAGE)), IMAGE);
});

Deno.test.each([
  { name: "isc", word: 0x7000_0000, fields: { isc: 7, noi: 0, aibvo: 0, sum: 0, aisbo: 0 } },
  { name: "noi", word: 0x0fff_0000, fields: { isc: 0, noi: 0xfff, aibvo: 0, sum: 0, aisbo: 0 } },
  { name: "aibvo", word: 0x0000_3f00, fields: { isc: 0, noi: 0, aibvo: 0x3f, sum: 0, aisbo: 0 } },
  { name: "sum", word: 0x0000_0080, fields: { isc: 0, noi: 0, aibvo: 0, sum: 1, aisbo: 0 } },
  { name: "aisbo", word: 0x0000_003f, fields: { isc: 0, noi: 0, aibvo: 0, sum: 0, aisbo: 0x3f } },
])("the interrupt word holds $name at its mask (zpci.mpcifc.fib)", ({ word, fields }) => {
  assertEquals(unpackInterrupts(word), fields);
  assertEquals(packInterrupts(fields), word);
});

Deno.test("unpackInterrupts() ignores the bits between the fields (zpci.mpcifc.fib)", () => {
  assertEquals(unpackInterrupts(0x8000_c040), { isc: 0, noi: 0, aibvo: 0, sum: 0, aisbo: 0 });
});

Deno.test("unpackInterrupts() gives back what packInterrupts() packed", () => {
  const word = fc.record({
    isc: fc.nat(7),
    noi: fc.nat(0xfff),
    aibvo: fc.nat(0x3f),
    sum: fc.nat(1),
    aisbo: fc.nat(0x3f),
  });
  fc.assert(fc.property(word, (fields) => assertEquals(unpackInterrupts(packInterrupts(fields)), fields)), {
    seed: 0x11,
  });
});

Deno.test("FUNCTION_CONTROLS has the bits of zpci.stpcifc.controls", () => {
  assertEquals<unknown>(FUNCTION_CONTROLS, {
    ENABLED: 0x80,
    ERROR: 0x40,
    BLOCKED: 0x20,
    DMA_REGISTERED: 0x10,
  });
});
