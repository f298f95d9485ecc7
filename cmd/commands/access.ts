/** Reads and writes of regions: one system call each, but for `write`. */
import { hex } from "../../lib/base/hex.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { PAGE_SIZE } from "../../lib/zpci/storage.ts";
import type { Offset } from "../../lib/vfio/process/vfs_checks.ts";
import { REGION as REGION_INDEX } from "../../lib/vfio/uapi.ts";
import { argument, defaulted, defineCommand, optional, required } from "../language/command.ts";
import { bigNumber, choice, COUNT, DATA, OFFSET, REGION } from "../language/kinds.ts";
import { readShown } from "../run/driver/transfer_buffer.ts";
import { type ByteOrder, dumpColumns, dumpText, wordDump, type WordWidth } from "../output/hexdump.ts";
import { valueBytes } from "../output/value_bytes.ts";

const WIDTH = choice("WIDTH", ["1", "2", "4", "8"]);
const ENDIAN = choice("ENDIAN", ["big", "little"]);
const POSITION = bigNumber("POSITION");

/** ISM structures are big-endian, config space is little-endian. */
function endianOf(region: number): ByteOrder {
  return region === REGION_INDEX.CONFIG ? "little" : "big";
}

/** A caller's buffer of which only the first bytes are mapped; the copy faults behind them. */
const ACCESSIBLE = optional(COUNT, "let the caller's buffer fault behind this many bytes");

/** One pread at a position. */
function readAt({ driver, guest }: HostFunction, position: bigint, count: bigint, accessible = count) {
  const { fd } = driver.descriptor;
  const { ret, data } = readShown(
    count,
    accessible,
    (buffer) => guest.kernel.process.pread(fd, buffer, count, position),
  );
  return { ret, position: hex(position + BigInt(ret)), data: data.toHex() };
}

/** One pwrite at a position. */
function writeAt({ driver, guest }: HostFunction, position: Offset, bytes: Uint8Array, accessible?: bigint) {
  const { fd } = driver.descriptor;
  const mapped = accessible === undefined ? bytes : bytes.subarray(0, Number(accessible));
  const ret = guest.kernel.process.pwrite(fd, mapped, bytes.length, position);
  return { ret, position: hex(typeof position === "number" ? position + ret : position + BigInt(ret)) };
}

/** What a write's `let` keeps: the bytes that were taken. */
const bytesWritten = ({ ret }: { readonly ret: number }) => String(ret);

function positionOf({ driver }: HostFunction, region: number, offset: bigint): bigint {
  return BigInt(driver.descriptor.positionOf(region, offset));
}

/** Offsets and positions up to this are exact as numbers, and so is the sum of two. */
const EXACT = 2n ** 52n;

/** The same position, as a number where that is exact: it costs no allocation on the way down. */
function quickPositionOf({ driver }: HostFunction, region: number, offset: bigint): Offset {
  const position = driver.descriptor.positionOf(region, offset < EXACT ? Number(offset) : offset);
  return typeof position === "number" && position >= Number.MAX_SAFE_INTEGER
    ? BigInt(driver.descriptor.positionOf(region, offset))
    : position;
}

export const peek = defineCommand({
  name: "peek",
  group: "access",
  summary: "Read bytes of a region with one pread",
  details: `On a BAR the driver cuts the read into loads of 8, 4, 2 and 1 bytes; --dry-run shows them.`,
  args: {
    region: argument(REGION, "bar0 to bar5, config, or an index"),
    offset: argument(OFFSET, "offset in the region, bytes"),
    count: defaulted(COUNT, 8n, "bytes to read"),
  },
  options: {
    width: optional(WIDTH, "show words of this many bytes"),
    endian: optional(ENDIAN, "byte order of words; big on a BAR, little on config"),
    accessible: ACCESSIBLE,
  },
  access: "write",
  examples: ["peek bar2 0 16", "peek config 0 64 --width 4", "peek bar2 3 16 --dry-run"],
  run({ target }, { region, offset, count, width, endian, accessible }) {
    const { ret, position, data } = readAt(
      target,
      positionOf(target, region.index, offset),
      count,
      accessible,
    );
    const view = width === undefined
      ? {}
      : { width: Number(width), endian: endian ?? endianOf(region.index) };
    return { region: region.name, offset: hex(offset), ret, position, data, ...view };
  },
  text(result, { terminal }) {
    const bytes = Uint8Array.fromHex(result.data);
    const base = BigInt(result.offset);
    if (!("width" in result)) return dumpText(terminal, bytes, base);
    const [width, order] = [result.width as WordWidth, result.endian as ByteOrder];
    return wordDump(bytes, base, width, order, dumpColumns(terminal)).join("\n");
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});

export const poke = defineCommand({
  name: "poke",
  group: "access",
  summary: "Write a value to a region with one pwrite",
  args: {
    region: argument(REGION, "bar0 to bar5, config, or an index"),
    offset: argument(OFFSET, "offset in the region, bytes"),
    value: argument(bigNumber("VALUE"), "the value, up to 64 bits"),
  },
  options: {
    width: required(WIDTH, "bytes to write: 1, 2, 4 or 8"),
    endian: optional(ENDIAN, "byte order; big on a BAR, little on config"),
  },
  access: "write",
  examples: ["poke config 4 0x0006 --width 2", "poke bar2 0 0x3_0000_0008 --width 8"],
  run({ target }, { region, offset, value, width, endian }) {
    const bytes = valueBytes(value, Number(width), endian ?? endianOf(region.index));
    return { region: region.name, ...writeAt(target, positionOf(target, region.index, offset), bytes) };
  },
  value: bytesWritten,
});

export const stb = defineCommand({
  name: "stb",
  group: "access",
  summary: "Store a block with one pwrite: exactly one PCISTB on a BAR, never split",
  args: {
    region: argument(REGION, "bar0 to bar5, config, or an index"),
    offset: argument(OFFSET, "offset in the region, bytes"),
    data: argument(DATA, "the bytes"),
  },
  options: { accessible: ACCESSIBLE },
  access: "write",
  examples: ["stb bar2 0 hex:0000000300000008", "stb bar2 0xff8 seq:0*8 --dry-run"],
  run(context, { region, offset, data, accessible }) {
    const { target } = context;
    const bytes = context.look(data);
    return {
      region: region.name,
      ...writeAt(target, quickPositionOf(target, region.index, offset), bytes, accessible),
    };
  },
  value: bytesWritten,
});

export const write = defineCommand({
  name: "write",
  group: "access",
  summary: "Write any number of bytes, split as a driver must: at 4 KiB lines and at the store-block limit",
  args: {
    region: argument(REGION, "bar0 to bar5, config, or an index"),
    offset: argument(OFFSET, "offset in the region, bytes"),
    data: argument(DATA, "the bytes"),
  },
  options: {},
  access: "write",
  examples: ["write bar2 8 fill:0*5000", "write bar2 4000 seq:0*200 --dry-run"],
  run(context, { region, offset, data }) {
    const { target } = context;
    const bytes = context.look(data);
    const limit = target.driver.descriptor.maxStoreBlock;
    let done = 0;
    let writes = 0;
    let position = positionOf(target, region.index, offset);
    while (done < bytes.length) {
      const line = PAGE_SIZE - Number((offset + BigInt(done)) % BigInt(PAGE_SIZE));
      const chunk = Math.min(bytes.length - done, line, limit);
      const { ret } = writeAt(target, position, bytes.subarray(done, done + chunk));
      writes++;
      done += ret;
      position += BigInt(ret);
      // A short write is the end of the BAR; the next one would be refused.
      if (ret < chunk) break;
    }
    return { region: region.name, ret: done, writes, position: hex(position) };
  },
  value: bytesWritten,
});

export const pread = defineCommand({
  name: "pread",
  group: "access",
  summary: "Read at a raw position of the descriptor",
  details: `Positions are what pread(2) takes: region offset plus offset. A driver takes region offsets from
GET_REGION_INFO; this command shows what hard-coded ones do.`,
  args: { position: argument(POSITION, "file position"), count: argument(COUNT, "bytes to read") },
  options: { accessible: ACCESSIBLE },
  access: "write",
  examples: ["pread 0x7000000000000 4", "expect EINVAL pread 0x6000000000000 1"],
  run: ({ target }, { position, count, accessible }) => readAt(target, position, count, accessible),
  text: ({ data, position, ret }, { terminal }) =>
    dumpText(terminal, Uint8Array.fromHex(data), BigInt(position) - BigInt(ret)),
  raw: ({ data }) => Uint8Array.fromHex(data),
  value: ({ data }) => `hex:${data}`,
});

export const pwrite = defineCommand({
  name: "pwrite",
  group: "access",
  summary: "Write at a raw position of the descriptor",
  args: { position: argument(POSITION, "file position"), data: argument(DATA, "the bytes") },
  options: { accessible: ACCESSIBLE },
  access: "write",
  examples: ["pwrite 0x7000000000004 hex:0600", "pwrite 0x2000000000000 hex:0000000300000008"],
  run: (context, { position, data, accessible }) =>
    writeAt(context.target, position, context.look(data), accessible),
  value: bytesWritten,
});
