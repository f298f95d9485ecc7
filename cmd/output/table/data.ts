/** Tables for programs. */
import { escapeText, safeJson } from "../../language/quote.ts";
import { type Cell, type Column, type TableFormat, valueOf } from "../../language/table.ts";

/** Characters for which RFC 4180 wants quotes; blanks at an end are quoted for readers that would drop them. */
const QUOTED = /[",\r\n]|^\s|\s$/;

/** A table as CSV (RFC 4180), as tab-separated values, or as a JSON array with an object for each row. */
export function tableData(
  format: Exclude<TableFormat, "table">,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string {
  const names = columns.map(({ name }) => name);
  if (format === "json") {
    const objects = rows.map((row) => Object.fromEntries(row.map((cell, at) => [names[at]!, valueOf(cell)])));
    return safeJson(objects) + "\n";
  }
  const lines = [names, ...rows.map((row) => row.map(textOf))];
  return format === "csv"
    ? lines.map((line) => line.map(csvField).join(",") + "\r\n").join("")
    : lines.map((line) => line.map(tsvField).join("\t") + "\n").join("");
}

/** A value as text: nothing for one that is not there. */
function textOf(cell: Cell): string {
  const value = valueOf(cell);
  return value === null ? "" : String(value);
}

function csvField(text: string): string {
  // Neither RFC 4180 nor a terminal takes other control characters as they are.
  const safe = text.split("\n").map((line) => escapeText(line)).join("\n");
  return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function tsvField(text: string): string {
  return escapeText(text.replaceAll("\\", "\\\\"));
}
