/** Bytes as people read them. */
import type { Terminal } from "../language/terminal.ts";

/** Byte order of a word view. */
export type ByteOrder = "big" | "little";

/** Bytes in a word of {@linkcode wordDump}. */
export type WordWidth = 1 | 2 | 4 | 8;

/** Options of {@linkcode hexdump}. */
export interface HexdumpOptions {
  /** Write `*` for lines that repeat the one above, as `hexdump -C` does. Default true. */
  readonly fold?: boolean;
  /** Columns that a line may have: where 16 bytes do not fit, it has 8, or 4. Default as many as it has. */
  readonly columns?: number;
}

/** Two digits for every byte. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const LINE_BYTES = 16;
const GROUP_BYTES = 8;
const LEAST_BYTES = 4;

/** The width of a line's bytes in groups, with the space before each. */
function bytesWidth(lineBytes: number): number {
  return lineBytes * 3 + Math.ceil(lineBytes / GROUP_BYTES) - 1;
}

/** Columns for a dump: a pipe has no end of a line, whatever it leads to. */
export function dumpColumns({ outIsTerminal, columns }: Pick<Terminal, "outIsTerminal" | "columns">): number {
  return outIsTerminal ? columns : Infinity;
}

/** The text of {@linkcode hexdump} on a terminal, as wide as it has room for, or elsewhere. */
export function dumpText(
  terminal: Pick<Terminal, "outIsTerminal" | "columns">,
  bytes: Uint8Array,
  base: number | bigint,
): string {
  return hexdump(bytes, base, { columns: dumpColumns(terminal) }).join("\n");
}

/**
 * Dumps bytes in the shape of `hexdump -C`, one string a line; the last line is the offset behind the last byte.
 * No bytes make no lines.
 *
 * @param base the offset to show for the first byte.
 */
export function hexdump(
  bytes: Uint8Array,
  base: number | bigint,
  { fold = true, columns = Infinity }: HexdumpOptions = {},
): string[] {
  if (bytes.length === 0) return [];
  const offsetAt = offsetColumn(base, bytes.length);
  const fits = (count: number) => offsetAt(0).length + bytesWidth(count) + count + 5 <= columns;
  const lineBytes = [LINE_BYTES, GROUP_BYTES].find(fits) ?? LEAST_BYTES;
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += lineBytes) {
    if (fold && repeats(bytes, at, lineBytes)) {
      if (lines.at(-1) !== "*") lines.push("*");
      continue;
    }
    const row = bytes.subarray(at, at + lineBytes);
    let digits = "";
    let characters = "";
    row.forEach((byte, i) => {
      digits += (i === GROUP_BYTES ? "  " : " ") + HEX[byte];
      characters += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
    });
    lines.push(`${offsetAt(at)} ${digits.padEnd(bytesWidth(lineBytes))}  |${characters}|`);
  }
  lines.push(offsetAt(bytes.length));
  return lines;
}

/**
 * Dumps bytes as words of `width` bytes below a header that names width and byte order, one string a line.
 * Bytes at the end that do not fill a word are shown one by one.
 *
 * @param base the offset to show for the first byte.
 * @param columns that a line may have: where 16 bytes do not fit, a line has 8
 */
export function wordDump(
  bytes: Uint8Array,
  base: number | bigint,
  width: WordWidth,
  order: ByteOrder,
  columns = Infinity,
): string[] {
  const offsetAt = offsetColumn(base, bytes.length);
  const kind = width === 1 ? "bytes" : `${width}-byte words, ${order}-endian`;
  const words = LINE_BYTES / width;
  const whole = offsetAt(0).length + words * (2 * width + 1) + LINE_BYTES / GROUP_BYTES;
  const lineBytes = whole <= columns ? LINE_BYTES : GROUP_BYTES;
  const lines = [`${"offset".padEnd(offsetAt(0).length)}  ${kind}`];
  for (let at = 0; at < bytes.length; at += lineBytes) {
    const row = bytes.subarray(at, at + lineBytes);
    let line = offsetAt(at);
    for (let i = 0; i < row.length;) {
      const size = i + width <= row.length ? width : 1;
      const word = [...row.subarray(i, i + size)];
      line += (i % GROUP_BYTES === 0 ? "  " : " ") + hexOf(order === "little" ? word.reverse() : word);
      i += size;
    }
    lines.push(line);
  }
  return lines;
}

/** Whether the line at `at` is full and equal to the one before. */
function repeats(bytes: Uint8Array, at: number, lineBytes: number): boolean {
  if (at === 0 || at + lineBytes > bytes.length) return false;
  for (let i = at; i < at + lineBytes; i++) {
    if (bytes[i] !== bytes[i - lineBytes]) return false;
  }
  return true;
}

/** Formats offsets from `base`, all as wide as the last one needs: 8 digits, 12 or 16. */
function offsetColumn(base: number | bigint, length: number): (at: number) => string {
  const start = BigInt(base);
  const needed = (start + BigInt(length)).toString(16).length;
  const digits = [8, 12].find((count) => needed <= count) ?? 16;
  return (at) => (start + BigInt(at)).toString(16).padStart(digits, "0");
}

function hexOf(bytes: readonly number[]): string {
  return bytes.map((byte) => HEX[byte]).join("");
}
