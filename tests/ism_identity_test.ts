/**
 * Facts, docs/reference/zpci/instructions.md, zpci/clp.md and ism/adapter.md: how an ISM function of a host looks to
 * CLP and to its guest's kernel.
 */
import { assertEquals } from "@std/assert";
import { clp } from "../lib/zpci/clp.ts";
import { be, bytes, fromBe } from "./support/bytes.ts";
import { errnoOf, hostOf } from "./support/host.ts";
import { outcome } from "./support/machine.ts";

/** A CLP query of the first function: its response, 384 or 64 bytes. */
function query(
  command: number,
  argument: number,
  length: number,
  more: Record<string, unknown> = {},
): Uint8Array {
  const { guest, fn } = hostOf(2, more).functions[0]!;
  const block = new Uint8Array(4096);
  block.set(bytes("0020" + be(command, 2) + "00".repeat(12) + be(argument || fn.fh, 4)));
  block.set(bytes(be(length, 2)), 32);
  assertEquals(clp(guest.partition, block), 0);
  return block.slice(32, 32 + length);
}

Deno.test("Query PCI Function shows ISM: type 5, BAR 0 of 2^48 bytes, BAR 2, no MIO (zpci.mio.ism, zpci.query.layout, ism.config.bars)", () => {
  const response = query(3, 0, 384);
  assertEquals([response[63], response[24]], [5, 48]);
  assertEquals([...response.slice(24, 30)].map((exponent) => exponent !== 0), [
    true,
    false,
    true,
    false,
    false,
    false,
  ]);
  assertEquals(response[18]! & 0x02, 0, "MIO addresses available");
  assertEquals(fromBe(response, 256, 4), 0n, "MIO valid");
});

Deno.test("the channel id is the pchid, the PNETID begins the utility string in EBCDIC (ism.gid.channel)", () => {
  const functions = [{ fid: 0x10, uid: 1, chid: 0x7e2, pnetid: "NET1AZ09" }];
  const response = query(3, 0, 384, { guests: [{ name: "guest0", functions }] });
  assertEquals(response.slice(30, 32).toHex(), "07e2");
  assertEquals(response.slice(128, 136).toHex(), "d5c5e3f1c1e9f0f9");
  assertEquals(response[18]! & 0x01, 1, "utility string available");
  assertEquals(response.slice(144, 192).every((byte) => byte === 0), true, "no PNETID for other ports");
});

Deno.test("the function group is ISM's: maxstbl 4096, relaxed store blocks, at least one MSI (zpci.group.ism)", () => {
  const { fn } = hostOf(1).functions[0]!;
  const response = query(4, fn.group.pfgid, 64);
  assertEquals(fromBe(response, 20, 2) & 0x1fffn, 4096n);
  assertEquals(response[19]! & 0x28, 0x08, "relaxed alignment on, relaxed translation off");
  assertEquals((fromBe(response, 16, 2) & 0xfffn) >= 1n, true);
});

Deno.test("strict8 takes the relaxed flag away and refuses every command header (zpci.pcistb.strict)", () => {
  const machine = { storeBlock: "strict8" };
  const host = hostOf(1, { machine });
  const { fn, guest, driver } = host.functions[0]!;
  assertEquals(query(4, fn.group.pfgid, 64, { machine })[19]! & 0x08, 0);
  const { processor } = guest;
  const header = outcome(processor, () => processor.pcistb(fn.fh, 2, 0, 8, new Uint8Array(8)));
  assertEquals(header, "specification exception");
  assertEquals(errnoOf(() => driver.readGid()), "ENXIO");
});

Deno.test("the PCI address is uid, bus 0, device and function 0 (zpci.function.address)", () => {
  const guests = [{ name: "guest0", functions: [{ fid: 0x10, uid: 0x1a2b }] }];
  assertEquals(hostOf(0, { guests }).functions[0]!.driver.address, "1a2b:00:00.0");
});
