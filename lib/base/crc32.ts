/**
 * CRC-32 as in gzip and PNG (polynomial 0xedb88320, reflected), eight bytes at a time. The engine's own lies in a module
 * that takes as long to load as a whole command takes to run.
 */

const POLYNOMIAL = 0xedb88320;
const SLICES = 8;

/** Tables by distance from the end of eight bytes: slice `s`, byte `b` is at `s * 256 + b`. */
const TABLES = createTables();

function createTables(): Uint32Array {
  const tables = new Uint32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : POLYNOMIAL ^ (sum >>> 1);
    tables[byte] = sum;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = tables[before & 0xff]! ^ (before >>> 8);
  }
  return tables;
}

const encoder = new TextEncoder();

/** The engine's own, which is forty times as fast; for those who have loaded its module. */
let engine: ((data: Uint8Array, before: number) => number) | undefined = undefined;
/** Below this many bytes a call of the engine costs more than it saves. */
const LONG = 512;

/** Has long checksums made by the engine from now on: worth its time for those who move much memory. */
export function useEngineCrc32(crc32: typeof engine): void {
  engine = crc32;
}

/** The checksum of bytes, or of a text in UTF-8; `before` is that of what stands in front of them. */
export function crc32(data: Uint8Array | string, before = 0): number {
  const short = typeof data === "string" && data.length <= SHORT ? asciiSum(data, before) : undefined;
  if (short !== undefined) return short;
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  if (engine !== undefined && bytes.length >= LONG) return engine(bytes, before);
  let sum = ~before;
  let at = 0;
  for (const end = bytes.length & ~7; at < end; at += 8) {
    sum ^= bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
    sum = TABLES[0x700 + (sum & 0xff)]! ^ TABLES[0x600 + (sum >>> 8 & 0xff)]! ^
      TABLES[0x500 + (sum >>> 16 & 0xff)]! ^ TABLES[0x400 + (sum >>> 24)]! ^
      TABLES[0x300 + bytes[at + 4]!]! ^ TABLES[0x200 + bytes[at + 5]!]! ^
      TABLES[0x100 + bytes[at + 6]!]! ^ TABLES[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) sum = TABLES[(sum ^ bytes[at]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** Up to so many characters a text is not worth the encoder's call. */
const SHORT = 200;

/** The checksum of a text whose characters are one byte each; undefined for another. */
function asciiSum(text: string, before: number): number | undefined {
  let sum = ~before;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return undefined;
    sum = TABLES[(sum ^ code) & 0xff]! ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}
