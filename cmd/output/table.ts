/** Results as a table. */
import { escapeText } from "../language/quote.ts";
import type { Style } from "../language/terminal.ts";

/** A table for people: columns as wide as their cells, two spaces between them. */
export function renderTable(rows: readonly (readonly string[])[], style: Style): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row, i) => {
    const line = row.map((cell, column) => {
      const safe = escapeText(cell);
      return column === row.length - 1 ? safe : safe.padEnd(widths[column]!);
    }).join("  ").trimEnd();
    return (i === 0 ? style.bold(line) : line) + "\n";
  }).join("");
}
