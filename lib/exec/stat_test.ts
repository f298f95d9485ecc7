/** struct stat and statx at the offsets of the headers (arch/x86, asm-generic, include/uapi/linux/stat.h). */
import { assertEquals } from "@std/assert";
import { encodeStat, encodeStatx, statusOf } from "./stat.ts";

const NODE = { kind: "device", major: 511, minor: 300 } as const;
const STATUS = statusOf("/dev/vfio/300", NODE);
/** new_encode_dev: the minor number's low 8 bits, the major number, the rest of the minor number. */
const RDEV = 0x11_ff2cn;

Deno.test("struct stat of x86-64", () => {
  const view = new DataView(encodeStat("x86_64", STATUS).buffer);
  assertEquals(view.byteLength, 144);
  assertEquals([view.getUint32(24, true), view.getBigUint64(16, true)], [0o020666, 1n]);
  assertEquals([view.getBigUint64(40, true), view.getBigUint64(48, true)], [RDEV, 0n]);
});

Deno.test("struct stat of arm64", () => {
  const view = new DataView(encodeStat("generic", STATUS).buffer);
  assertEquals(view.byteLength, 128);
  assertEquals([view.getUint32(16, true), view.getUint32(20, true)], [0o020666, 1]);
  assertEquals([view.getBigUint64(32, true), view.getInt32(56, true)], [RDEV, 4096]);
});

Deno.test("struct statx", () => {
  const view = new DataView(encodeStatx(STATUS).buffer);
  assertEquals(view.byteLength, 256);
  assertEquals([view.getUint32(0, true), view.getUint16(28, true)], [0x7ff, 0o020666]);
  assertEquals([view.getUint32(128, true), view.getUint32(132, true)], [511, 300]);
});

Deno.test("modes and sizes of what is no device", () => {
  const mode = (node: Parameters<typeof statusOf>[1]) => {
    const { mode, size } = statusOf("/x", node);
    return [mode.toString(8), size];
  };
  assertEquals(mode({ kind: "link", target: "../a" }), ["120777", 4]);
  assertEquals(mode({ kind: "attribute", write: () => ({ count: 0, waits: false }) }), ["100200", 4096]);
  const read = () => new Uint8Array(0);
  assertEquals(mode({ kind: "attribute", size: 256, read }), ["100444", 256]);
  assertEquals(mode({ kind: "directory", entries: new Map() }), ["40755", 0]);
});
