/** What pictures are drawn with: box drawing where the terminal understands Unicode, ASCII elsewhere. */
export interface Glyphs {
  readonly full: string;
  readonly empty: string;
  /** Ends of a bar. */
  readonly begin: string;
  readonly end: string;
  /** Points at what stands above it. */
  readonly up: string;
  readonly arrow: string;
  /** Bits: not in use, clear, set. */
  readonly unused: string;
  readonly clear: string;
  readonly set: string;
}

const UNICODE: Glyphs = {
  full: "█",
  empty: "░",
  begin: "├",
  end: "┤",
  up: "▲",
  arrow: "──▶",
  unused: "·",
  clear: "○",
  set: "●",
};
const ASCII: Glyphs = {
  full: "#",
  empty: ".",
  begin: "[",
  end: "]",
  up: "^",
  arrow: "-->",
  unused: ".",
  clear: "o",
  set: "#",
};

/** The characters of a terminal. */
export function glyphsOf({ unicode }: { readonly unicode: boolean }): Glyphs {
  return unicode ? UNICODE : ASCII;
}
