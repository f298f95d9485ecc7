/** Where regions lie among the positions of a descriptor, and what a driver reaches that makes positions up. */
import type { Style, Terminal } from "../../language/terminal.ts";
import { renderTable } from "../table/text.ts";
import { WIDEST, wrap } from "../wrap.ts";
import { glyphsOf } from "./glyphs.ts";

/** Positions end where loff_t does. */
const LAST = 2n ** 63n;
/** By how much index is shifted in most of VFIO's drivers (drivers/vfio/pci/vfio_pci_core.h: VFIO_PCI_OFFSET_SHIFT). */
const USUAL_SHIFT = 40n;

/** A region as GET_REGION_INFO answers it. */
interface Region {
  readonly index: number;
  readonly name: string;
  readonly offset: string;
  readonly size: number;
}

/** A part of the positions. */
export interface MapPart {
  readonly kind: "region" | "gap";
  /** The region; of a gap, regions of size 0 that lie in it. */
  readonly regions: readonly string[];
  readonly position: string;
  /** The first position behind it. */
  readonly end: string;
}

/** Where `index << 40` leads. */
export interface HardCoded {
  readonly index: number;
  readonly name: string;
  readonly position: string;
  /** The region that is there, and the offset in it; null in a gap. */
  readonly lands: { readonly region: string; readonly offset: string } | null;
}

/** The map as JSON. */
export interface PositionMap {
  readonly parts: readonly MapPart[];
  readonly hard_coded: readonly HardCoded[];
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** Draws up the map of regions. */
export function positionMap(regions: readonly Region[]): PositionMap {
  const placed = regions.map((each) => {
    const from = BigInt(each.offset);
    return { ...each, from, to: from + BigInt(each.size) };
  }).sort((a, b) => a.from < b.from ? -1 : a.from > b.from ? 1 : a.size - b.size);
  const parts: MapPart[] = [];
  let at = 0n;
  let empty: string[] = [];
  const gap = (to: bigint) => {
    if (to > at) parts.push({ kind: "gap", regions: empty, position: hex(at), end: hex(to) });
    empty = [];
  };
  for (const { name, from, to, size } of placed) {
    if (size === 0) {
      empty.push(name);
      continue;
    }
    gap(from);
    parts.push({ kind: "region", regions: [name], position: hex(from), end: hex(to) });
    at = to;
  }
  gap(LAST);
  const hard_coded = regions.map(({ index, name }) => {
    const position = BigInt(index) << USUAL_SHIFT;
    const hit = placed.find(({ from, to }) => position >= from && position < to);
    const lands = hit === undefined ? null : { region: hit.name, offset: hex(position - hit.from) };
    return { index, name, position: hex(position), lands };
  });
  return { parts, hard_coded };
}

/** Bits that a number of positions takes. */
function orderOf(count: bigint): number {
  return count <= 1n ? 0 : (count - 1n).toString(2).length;
}

/** Size to the nearest unit below: `256 TiB`, `8 EiB`. */
function sizeOf(count: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  let left = count;
  while (left >= 1024n && unit < units.length - 1) {
    left /= 1024n;
    unit++;
  }
  const exact = left << BigInt(unit * 10) === count;
  return `${exact ? "" : "> "}${left} ${units[unit]}`;
}

const ORDERS = 63;
const POSITION_DIGITS = 16;

/** The map for people: a line for each part, its bar as long as the order of its size. */
export function renderMap(
  { parts, hard_coded }: PositionMap,
  { tableWidth, style, unicode }: Pick<Terminal, "tableWidth" | "style" | "unicode">,
): string {
  const glyphs = glyphsOf({ unicode });
  const names = parts.map(({ kind, regions }) => kind === "gap" ? "-" : regions[0]!);
  const sizes = parts.map(({ position, end }) => sizeOf(BigInt(end) - BigInt(position)));
  const nameWidth = Math.max(...names.map((name) => name.length));
  const sizeWidth = Math.max(...sizes.map((size) => size.length));
  const fixed = 2 + POSITION_DIGITS + 2 + nameWidth + 2;
  const withSize = tableWidth >= fixed + sizeWidth + 2 + ORDERS / 3;
  const before = fixed + (withSize ? sizeWidth + 2 : 0);
  const scale = Math.min(1, Math.max(0, tableWidth - before) / ORDERS);
  let text = "";
  for (const [i, { kind, regions, position, end }] of parts.entries()) {
    const start = `0x${BigInt(position).toString(16).padStart(POSITION_DIGITS, "0")}`;
    const length = Math.max(1, Math.round(orderOf(BigInt(end) - BigInt(position)) * scale));
    const bar = (kind === "gap" ? glyphs.empty : glyphs.full).repeat(scale === 0 ? 0 : length);
    const size = withSize ? `${sizes[i]!.padEnd(sizeWidth)}  ` : "";
    text += `${start}  ${names[i]!.padEnd(nameWidth)}  ${size}${paint(bar, kind, style)}`.trimEnd() + "\n";
    if (kind === "region") text += landings(regions[0]!, hard_coded, { before, scale, up: glyphs.up, style });
  }
  const columns = Math.min(tableWidth, WIDEST);
  const lines = [
    "Bars are as long as the order of a size (its bits), not as the size itself.",
    ...empties(parts),
  ];
  return `${text}\n${lines.flatMap((line) => wrap(line, columns)).join("\n")}\n` +
    hardCodedText(hard_coded, { tableWidth, style, up: glyphs.up, columns });
}

function paint(bar: string, kind: MapPart["kind"], style: Style): string {
  return kind === "gap" ? style.dim(bar) : style.cyan(bar);
}

/** Marks below a region's bar where `index << 40` leads; index 0 leads to the beginning of the first region anyway. */
function landings(
  region: string,
  hardCoded: readonly HardCoded[],
  { before, scale, up, style }: {
    readonly before: number;
    readonly scale: number;
    readonly up: string;
    readonly style: Style;
  },
): string {
  const places = hardCoded.filter(({ index, lands }) => index > 0 && lands?.region === region)
    .map(({ lands }) => Math.max(0, Math.round(orderOf(BigInt(lands!.offset) + 1n) * scale) - 1));
  if (places.length === 0 || scale === 0) return "";
  const marks = Array.from({ length: Math.max(...places) + 1 }, (_, at) => places.includes(at) ? up : " ");
  return " ".repeat(before) + style.red(marks.join("")) + "\n";
}

function empties(parts: readonly MapPart[]): string[] {
  const names = parts.filter(({ kind }) => kind === "gap").flatMap(({ regions }) => regions);
  return names.length === 0 ? [] : [`Regions of size 0, which lie in gaps: ${names.join(", ")}.`];
}

const REACHED = [{ name: "region" }, { name: "position", head: "INDEX << 40", drop: 1 }, { name: "reaches" }];

/** What a driver reaches that takes `index << 40` for the position. */
function hardCodedText(
  hardCoded: readonly HardCoded[],
  { up, columns, ...terminal }: Pick<Terminal, "tableWidth" | "style"> & {
    readonly up: string;
    readonly columns: number;
  },
): string {
  const wrong = hardCoded.filter(({ name, lands }) => lands?.region !== name || lands.offset !== "0x0");
  if (wrong.length === 0) return "";
  const rows = wrong.map(({ name, position, lands }) => [
    name,
    position,
    lands === null ? "nothing" : `${lands.region}+${lands.offset}`,
  ]);
  const line =
    `${up} A driver that makes positions up as index << 40 does not reach the region that it means:`;
  return `\n${wrap(line, columns).join("\n")}\n${renderTable(REACHED, rows, terminal)}`;
}
