/** vfio.info.chain: VFIO_DEVICE_GET_INFO and its capability chain, byte for byte. */
import { assertEquals } from "@std/assert";
import { bytes } from "../support/bytes.ts";
import { type Choices, IOCTL, Rig, u32, WAYS, words } from "../support/kernel.ts";

/** GET_INFO with an argument of `length` bytes, all 0xa5 but `argsz`. */
function getInfo(rig: Rig, argsz: number, length = argsz): Uint8Array {
  const arg = new Uint8Array(length).fill(0xa5);
  arg.set(words(argsz));
  assertEquals(rig.ioctl(rig.device, IOCTL.GET_INFO, arg), 0);
  return arg;
}

/** ZPCI_BASE, 40 bytes, of the default function with handle `fh`; `next` as in the chain; version 3 with ccdf_err_length. */
const base = (fh: number, next: number) =>
  `0100 0300 ${le(next)}
   0000000001000000 ffffffff01000000
   e107 0100 8000 05 08 ${le(fh)} 20000000`;
/** The same in version 2, where reserved bytes stand at the end. */
const baseOfVersion2 = (fh: number, next: number) =>
  `0100 0200 ${le(next)}
   0000000001000000 ffffffff01000000
   e107 0100 8000 05 08 ${le(fh)} 00000000`;
const group = (next: number) =>
  `0200 0200 ${le(next)}
   0000000000000000 00000000000000fe 0100000000000000
   a00f 0100 8000 00 00 0010 000000000000`;
/** "NET1" and twelve spaces in EBCDIC, then 48 zeros. */
const util = (next: number) =>
  `0300 0100 ${le(next)} 40000000 d5c5e3f1${"40".repeat(12)}${"00".repeat(48)} 00000000`;
const PFIP = "0400 0100 00000000 04000000 00000000";
const le = (value: number) => words(value).toHex();

const WITHOUT_STRING: Choices = { machine: { utilityString: false } };
const WITHOUT_CHAIN: Choices = { kernel: { capabilityChain: false } };

Deno.test.each(WAYS.map((way) => ({ way })))(
  "the chain with a utility string has 208 bytes: BASE 24, GROUP 64, UTIL 112, PFIP 192 (vfio.info.chain; by $way, vfio.ioctl.byteorder)",
  ({ way }) => {
    const rig = Rig.opened(way);
    const info = "d0000000 83000000 09000000 05000000 18000000 00000000";
    const chain = base(rig.target.fn.fh, 64) + group(112) + util(192) + PFIP;
    assertEquals(getInfo(rig, 208).toHex(), bytes(info + chain).toHex());
  },
);

Deno.test("release 7.1 has version 2 of BASE, in the same chain", () => {
  const rig = Rig.opened("group", { kernel: { release: "7.1" } });
  const info = "d0000000 83000000 09000000 05000000 18000000 00000000";
  const chain = baseOfVersion2(rig.target.fn.fh, 64) + group(112) + util(192) + PFIP;
  assertEquals(getInfo(rig, 208).toHex(), bytes(info + chain).toHex());
});

Deno.test("the chain without a utility string has 128 bytes: BASE 24, GROUP 64, PFIP 112 (vfio.info.base)", () => {
  const rig = Rig.opened("group", WITHOUT_STRING);
  const info = "80000000 83000000 09000000 05000000 18000000 00000000";
  const chain = base(rig.target.fn.fh, 64) + group(112) + PFIP;
  assertEquals(getInfo(rig, 128).toHex(), bytes(info + chain).toHex());
});

Deno.test("without the chain CAPS is off, cap_offset is 0 and argsz stays as it was (vfio.info.chain)", () => {
  const rig = Rig.opened("group", WITHOUT_CHAIN);
  const info = "03000000 09000000 05000000 00000000 00000000";
  assertEquals(getInfo(rig, 24).toHex(), bytes("18000000" + info).toHex());
  assertEquals(getInfo(rig, 208).toHex(), bytes(`d0000000 ${info} ${"a5".repeat(184)}`).toHex());
  assertEquals(getInfo(rig, 16).toHex(), bytes("10000000 03000000 09000000 05000000").toHex());
});

Deno.test.each([
  { argsz: 16, needed: 208, choices: {} },
  { argsz: 19, needed: 208, choices: {} },
  { argsz: 20, needed: 208, choices: {} },
  { argsz: 24, needed: 208, choices: {} },
  { argsz: 207, needed: 208, choices: {} },
  { argsz: 24, needed: 128, choices: WITHOUT_STRING },
  { argsz: 127, needed: 128, choices: WITHOUT_STRING },
])(
  "argsz $argsz is too short for the chain: success, argsz becomes $needed (vfio.info.chain)",
  ({ argsz, needed, choices }) => {
    const rig = Rig.opened("group", choices);
    const arg = getInfo(rig, argsz, 256);
    const copied = Math.min(argsz, 24);
    const expected = words(needed, 0x83, 9, 5, 0, 0).slice(0, copied).toHex() + "a5".repeat(256 - copied);
    assertEquals(arg.toHex(), expected, "cap_offset 0 is only written as far as argsz covers it");
  },
);

Deno.test.each([
  { argsz: 208, choices: {} },
  { argsz: 209, choices: {} },
  { argsz: 4096, choices: {} },
  { argsz: 128, choices: WITHOUT_STRING },
  { argsz: 4096, choices: WITHOUT_STRING },
])(
  "argsz $argsz has room for the chain: it stays as it was, nothing behind the chain changes (vfio.info.chain)",
  (row) => {
    const { argsz, choices } = row;
    const rig = Rig.opened("group", choices);
    const arg = getInfo(rig, argsz, 4096);
    const end = choices === WITHOUT_STRING ? 128 : 208;
    assertEquals([u32(arg, 0), u32(arg, 4), u32(arg, 16)], [argsz, 0x83, 24]);
    assertEquals(arg.subarray(end).every((byte) => byte === 0xa5), true);
  },
);

Deno.test("a buffer that ends before argsz says is EFAULT (vfio.info.copy)", () => {
  const rig = Rig.opened();
  const call = (argsz: number, length: number) => {
    const arg = new Uint8Array(length);
    arg.set(words(argsz));
    return rig.ioctl(rig.device, IOCTL.GET_INFO, arg, { effect: true });
  };
  assertEquals([call(208, 207), call(208, 16), call(24, 23)], ["EFAULT", "EFAULT", "EFAULT"]);
  assertEquals([call(208, 208), call(16, 16), call(24, 24)], [0, 0, 0]);
});

Deno.test("BASE and GROUP tell what the topology chose, the limit of stores in imaxstbl only (vfio.info.base, vfio.info.group, vfio.info.limit)", () => {
  const machine = { startDma: 0x8000_0000, endDma: 0xf_ffff_ffff, maxstbl: 2048 };
  const rig = Rig.opened("group", { machine, vfn: 0x1234, kernel: { iommuAperture: 0 } });
  const arg = getInfo(rig, 208);
  assertEquals(arg.slice(32, 48).toHex(), "0000008000000000" + "ffffffff0f000000");
  assertEquals(arg.slice(50, 52).toHex(), "3412", "vfn");
  assertEquals(arg.slice(64 + 36, 64 + 38).toHex(), "8000", "maxstbl is always 128");
  assertEquals(arg.slice(64 + 40, 64 + 42).toHex(), "0008", "imaxstbl");
});

Deno.test("fh in BASE is the current handle, which a reset changes (vfio.info.base, vfio.reset.result)", () => {
  const rig = Rig.opened();
  const handle = () => u32(getInfo(rig, 208), 24 + 32);
  assertEquals(handle(), rig.target.fn.fh);
  const before = handle();
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
  assertEquals([handle() === before, handle() === rig.target.fn.fh], [false, true]);
});

Deno.test("GET_INFO needs no working function: config space and BARs are not touched (vfio.info.struct)", () => {
  const rig = Rig.opened();
  rig.target.fn.disable("standby");
  assertEquals(rig.instructions(() => getInfo(rig, 208), [0, 2, 15]), []);
});
