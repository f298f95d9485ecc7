/** Facts, ism.config.ids, ism.config.msi: the configuration space of an ISM function. */
import { assertEquals } from "@std/assert";
import { ismConfigRegisters } from "./config_image.ts";

const image = (flags = 4) => ismConfigRegisters([48, 0, 16, 0, 0, 0], [flags, 0, 4, 0, 0, 0]);

function hexAt(config: ReturnType<typeof image>, offset: number, length: number): string {
  return config.snapshot().slice(offset, offset + length).toHex();
}

Deno.test("vendor, device, class, revision and header type are those of ISM, little-endian (ism.config.ids)", () => {
  const config = image();
  assertEquals(config.size, 256);
  assertEquals(hexAt(config, 0x00, 4), "1410" + "ed04");
  assertEquals(
    hexAt(config, 0x08, 4),
    "00" + "00" + "00" + "00",
    "revision, interface, sub-class, base class",
  );
  assertEquals(hexAt(config, 0x0e, 1), "00");
});

Deno.test.each([
  { flags: 4, low: "04000000" },
  { flags: 12, low: "0c000000" },
])("BAR 0 sizes to 2^48 bytes and keeps type bits $flags (ism.config.bars)", ({ flags, low }) => {
  const config = image(flags);
  assertEquals(hexAt(config, 0x10, 8), low + "00000000");
  for (let offset = 0x10; offset < 0x18; offset++) config.write(offset, 0xff);
  assertEquals(hexAt(config, 0x10, 8), low + "0000ffff");
});

Deno.test("BAR 2 sizes to 64 KiB, 64-bit; BARs 4 and 5 and the ROM are absent (ism.config.bars)", () => {
  const config = image();
  for (let offset = 0x18; offset < 0x34; offset++) config.write(offset, 0xff);
  assertEquals(hexAt(config, 0x18, 16), "0400ffff" + "ffffffff" + "00000000" + "00000000");
  assertEquals(hexAt(config, 0x30, 4), "00000000");
});

Deno.test("one MSI capability: 64-bit capable, one vector, nothing behind it (ism.config.msi)", () => {
  const config = image();
  assertEquals(hexAt(config, 0x06, 1), "10", "STATUS says that there is a list");
  const at = config.read(0x34);
  assertEquals(hexAt(config, at, 4), "05" + "00" + "8000");
});

Deno.test("the MSI capability takes enable, address and data, and keeps the rest (ism.config.msi)", () => {
  const config = image();
  for (let offset = 0x3d; offset < 0x60; offset++) config.write(offset, 0xff);
  assertEquals(hexAt(config, 0x38, 8), "0000000000000000");
  assertEquals(hexAt(config, 0x40, 16), "0500" + "f100" + "fcffffffffffffff" + "ffff" + "0000");
  assertEquals(hexAt(config, 0x50, 16), "00".repeat(16));
});

Deno.test("identity is read-only, COMMAND takes memory and bus master (ism.config.ids)", () => {
  const config = image();
  for (let offset = 0; offset < 0x10; offset++) config.write(offset, 0xff);
  assertEquals(hexAt(config, 0, 4), "1410ed04");
  assertEquals([config.read(4) & 0x06, config.busMaster], [0x06, true]);
  assertEquals(hexAt(config, 0x08, 4), "00000000");
});
