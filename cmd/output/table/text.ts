/** Tables for people: columns as wide as their cells, as many as fit. */
import { escapeText } from "../../language/quote.ts";
import { displayWidth } from "../diagnostic.ts";
import type { Terminal } from "../../language/terminal.ts";
import { wrap } from "../wrap.ts";
import { type Cell, type Column, headOf, shownOf } from "../../language/table.ts";

/** Blanks between columns. */
const GAP = "  ";
/** A last column that is narrower than this goes below its line. */
const NARROWEST = 16;
/** By how much what goes below its line is indented. */
const INDENT = 4;
/** Most text is of characters that take a column each. */
const PLAIN = /^[\x20-\x7e]*$/;

function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : displayWidth(text);
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/**
 * A table that fits the terminal: columns are left out by their `drop`, and text of the last column goes on below where
 * even the rest does not fit. A word that is wider than the terminal stands alone.
 *
 * @param wide nothing is left out
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { style, tableWidth }: Pick<Terminal, "style" | "tableWidth">,
  { wide = false } = {},
): string {
  const limit = wide ? Infinity : tableWidth;
  const lines = [columns.map(headOf), ...rows.map((row) => row.map((cell) => escapeText(shownOf(cell))))];
  const widths = columns.map((_, at) => lines.reduce((most, line) => Math.max(most, widthOf(line[at]!)), 0));
  const shown = fitting(columns, widths, limit);
  const last = shown.at(-1)!;
  const before = shown.slice(0, -1).reduce((sum, at) => sum + widths[at]! + GAP.length, 0);
  const fits = before + widths[last]! <= limit;
  return lines.map((line, i) => {
    const first = shown.slice(0, -1).map((at) => padded(line[at]!, widths[at]!)).join(GAP);
    const whole = (first + (first === "" ? "" : GAP) + line[last]!).trimEnd();
    const text = fits ? whole : broken(first.trimEnd(), line[last]!, before, limit);
    return (i === 0 ? text.split("\n").map(style.bold).join("\n") : text) + "\n";
  }).join("");
}

/** Places of the columns that are shown. */
function fitting(columns: readonly Column[], widths: readonly number[], limit: number): number[] {
  const shown = columns.map((_, at) => at);
  const total = () => shown.reduce((sum, at) => sum + widths[at]! + GAP.length, -GAP.length);
  const order = shown.filter((at) => columns[at]!.drop !== undefined)
    .sort((a, b) => columns[b]!.drop! - columns[a]!.drop!);
  for (const at of order) {
    if (total() <= limit) break;
    shown.splice(shown.indexOf(at), 1);
  }
  return shown;
}

/** A line whose last cell is broken at its spaces. */
function broken(first: string, cell: string, before: number, limit: number): string {
  const room = limit - before;
  const longest = cell.split(" ").reduce((most, word) => Math.max(most, widthOf(word)), 0);
  const isBelow = room < NARROWEST && before + widthOf(cell) > limit || longest > room;
  const pieces = wrap(cell, isBelow ? limit - INDENT : room);
  if (pieces.length === 0) return first;
  const indent = " ".repeat(isBelow ? INDENT : before);
  const [head = "", ...more] = isBelow
    ? [first, ...pieces]
    : [padded(first, before) + pieces[0], ...pieces.slice(1)];
  return [head, ...more.map((piece) => indent + piece)].filter((line) => line !== "").join("\n");
}
