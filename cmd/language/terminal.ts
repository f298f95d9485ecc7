/** What commands see of a terminal. */

/** What a command may print with. */
export interface Terminal {
  /** Results as text; control characters in it become visible. */
  out(text: string): void;
  /** Results as bytes. */
  outBytes(bytes: Uint8Array): void;
  /** Messages; control characters in them become visible. */
  err(text: string): void;
  /** Bytes for standard error as they are. */
  errBytes(bytes: Uint8Array): void;
  /** A line that the next one replaces; nothing unless stderr is a terminal. */
  progress(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Columns of the terminal, 80 if unknown. */
  readonly columns: number;
  /** The terminal's own size. */
  readonly screen: { readonly columns: number; readonly rows: number };
  /** Columns that a table may take: as many as it has where nobody said how wide it is, as in a pipe. */
  readonly tableWidth: number;
  /** Characters beyond ASCII are understood. */
  readonly unicode: boolean;
  /** Styles of results, plain text while colours are off. */
  readonly style: Style;
}

/** Styles for people; each returns its text unchanged while colours are off. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}
