/** Pictures of what status shows: rings of DMBs, bits of the SBA. */
import type { RingCursor } from "../../../lib/ism/driver/stream.ts";
import type { Terminal } from "../../language/terminal.ts";
import { glyphsOf } from "./glyphs.ts";

/** A ring. Sizes in bytes. */
export interface DmbRing {
  readonly size: number;
  /** How far the writer says that it is. */
  readonly producer: RingCursor;
  /** How far the reader says that it is, in the writer's own DMB; null where no DMB can be told to be that one. */
  readonly consumer: RingCursor | null;
  /** Bytes that are written and not yet read. */
  readonly unread: number | null;
  /** The writer waits for room. */
  readonly blocked: boolean;
  /** The writer has written everything. */
  readonly done: boolean;
}

/** The widest bar of a ring, and what stands beside it on a narrow terminal. Columns. */
const WIDEST = 64;
const INDENT = 4;

/** A ring as a bar, what is not read yet filled, and both cursors in words below. */
export function renderRing(
  { size, producer, consumer, unread, blocked, done }: DmbRing,
  { tableWidth, unicode }: Pick<Terminal, "tableWidth" | "unicode">,
): string[] {
  const glyphs = glyphsOf({ unicode });
  const width = Math.min(WIDEST, Math.max(8, tableWidth - INDENT - 2));
  const cells = Array.from({ length: width }, () => glyphs.empty);
  const cellOf = (position: number) => Math.min(width - 1, Math.floor(position * width / size));
  if (unread !== null && consumer !== null && unread > 0) {
    const first = cellOf(consumer.count);
    const last = cellOf((consumer.count + unread - 1) % size);
    const filled = unread > size / 2 && first === last ? width : (last - first + width) % width + 1;
    for (let i = 0; i < filled; i++) cells[(first + i) % width] = glyphs.full;
  }
  const pad = " ".repeat(INDENT);
  const cursor = (name: string, { count, wrap }: { readonly count: number; readonly wrap: number }) =>
    `${name} ${count}, wrap ${wrap}`;
  const state = [
    ...(unread === null ? [] : [`${unread} of ${size} bytes unread`]),
    ...(blocked ? ["the writer waits for room"] : []),
    ...(done ? ["the writer has finished"] : []),
  ];
  return [
    `${pad}${glyphs.begin}${cells.join("")}${glyphs.end}`,
    `${pad}${cursor("producer", producer)}`,
    `${pad}${consumer === null ? "consumer unknown" : cursor("consumer", consumer)}`,
    ...state.map((line) => `${pad}${line}`),
  ];
}

/** SBA indices in a line of the picture. */
const PER_LINE = 32;

/** DMB bits of the SBA, in the lines in which there is something: not in use, clear, set. */
export function renderBits(
  used: readonly number[],
  set: readonly number[],
  { unicode }: Pick<Terminal, "unicode">,
): string[] {
  const glyphs = glyphsOf({ unicode });
  const lines = [...new Set([...used, ...set].map((index) => Math.floor(index / PER_LINE)))];
  return lines.sort((a, b) => a - b).map((line) => {
    const bits = Array.from({ length: PER_LINE }, (_, at) => {
      const index = line * PER_LINE + at;
      return set.includes(index) ? glyphs.set : used.includes(index) ? glyphs.clear : glyphs.unused;
    }).join("");
    return `${String(line * PER_LINE).padStart(6)} ${bits}`;
  });
}
