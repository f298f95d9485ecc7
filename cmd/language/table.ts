/** Tables: columns with names, rows of cells. How they look is in the files beside this one. */

/** What a cell holds. */
export type Value = string | number | boolean | null;
/** A cell, and what people see of it where that is not the value itself. */
export type Cell = Value | { readonly value: Value; readonly shown: string };

/** A column. */
export interface Column {
  /** As `--columns`, CSV and JSON have it. */
  readonly name: string;
  /** Title where that is not the name in capitals. */
  readonly head?: string;
  /** Columns with higher numbers are left out first where a line does not fit; one without a number never is. */
  readonly drop?: number;
}

/** What a command's result is as a table. */
export interface Table<Of> {
  readonly columns: readonly Column[];
  rows(result: Of): readonly (readonly Cell[])[];
  /** What people read in place of a table without rows; its titles by default. */
  readonly empty?: string;
}

/** Forms of a table. */
export const TABLE_FORMATS = ["table", "csv", "tsv", "json"] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** What the user wants of a table. */
export interface TableChoice {
  readonly format: TableFormat | undefined;
  /** Names of columns, in this order. */
  readonly columns: readonly string[] | undefined;
  /** All columns, whether they fit or not. */
  readonly wide: boolean;
}

/** The title of a column. */
export function headOf({ name, head }: Column): string {
  return head ?? name.toUpperCase();
}

/** The cell as people see it. */
export function shownOf(cell: Cell): string {
  if (typeof cell === "object" && cell !== null) return cell.shown;
  return cell === null ? "-" : String(cell);
}

/** The cell as a program reads it. */
export function valueOf(cell: Cell): Value {
  return typeof cell === "object" && cell !== null ? cell.value : cell;
}

/** The columns that were asked for, in that order. */
export function choose(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  names: readonly string[] | undefined,
): { readonly columns: readonly Column[]; readonly rows: readonly (readonly Cell[])[] } {
  if (names === undefined) return { columns, rows };
  const places = names.map((name) => columns.findIndex((column) => column.name === name));
  return {
    // Who names columns wants them all.
    columns: places.map((at) => ({ name: columns[at]!.name, head: headOf(columns[at]!) })),
    rows: rows.map((row) => places.map((at) => row[at]!)),
  };
}
