/** Config space registers: write masks, reset, state. What ISM puts there is in lib/ism/device. */
import { assertEquals } from "@std/assert";
import { bytes } from "../../tests/support/bytes.ts";
import { ConfigRegisters } from "./config_registers.ts";

const registers = () => new ConfigRegisters(bytes("14100000 00001000"), bytes("00000000 06040000"));

Deno.test("write() changes the bits of the mask and keeps the others", () => {
  const config = registers();
  for (let offset = 0; offset < 8; offset++) config.write(offset, 0xff);
  assertEquals(config.snapshot().toHex(), "1410000006041000");
  config.write(4, 0x02);
  assertEquals(config.read(4), 0x02);
});

Deno.test("busMaster is bit 2 of COMMAND", () => {
  const config = new ConfigRegisters(bytes("14100000 00001000"), bytes("00000000 ff000000"));
  const masters = Array.from({ length: 8 }, (_, bit) => {
    config.write(4, 1 << bit);
    return config.busMaster;
  });
  assertEquals(masters, [false, false, true, false, false, false, false, false]);
  config.write(4, 0xff);
  assertEquals(config.busMaster, true);
});

Deno.test("reset() brings the bytes after power-on back, and restore() those that save() gave", () => {
  const config = registers();
  config.write(4, 0x06);
  const saved = config.save();
  config.reset();
  assertEquals(config.snapshot().toHex(), "1410000000001000");
  config.restore(saved);
  assertEquals(config.snapshot().toHex(), "1410000006001000");
});
