/** Text that fits a terminal. */
import type { Terminal } from "../language/terminal.ts";
import { displayWidth } from "./diagnostic.ts";

/** No line of help is longer than this, however wide the terminal is. */
export const WIDEST = 100;
/** A column of explanations is not narrower than this; on a narrow terminal it goes below the terms. */
const NARROWEST = 24;

/** Breaks text at spaces into lines of at most `width` columns; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  let taken = 0;
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const more = displayWidth(word);
    if (line !== "" && taken + 1 + more > width) {
      lines.push(line);
      line = word;
      taken = more;
    } else {
      taken += line === "" ? more : more + 1;
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  if (line !== "") lines.push(line);
  return lines;
}

/** Lines of words, each broken between words where a terminal is too narrow for it; elsewhere as they are. */
export function fitted(
  text: string,
  { outIsTerminal, columns }: Pick<Terminal, "outIsTerminal" | "columns">,
): string {
  if (!outIsTerminal) return text;
  const lines = text.split("\n").flatMap((line) =>
    displayWidth(line) <= columns ? [line] : wrap(line, columns)
  );
  return lines.join("\n");
}

/** Terms and what they mean, in two columns, indented by two; one below the other where two do not fit. */
export function definitions(
  rows: readonly (readonly [term: string, meaning: string])[],
  columns: number,
): string {
  const termWidth = Math.max(...rows.map(([term]) => term.length));
  const room = Math.min(columns, WIDEST) - termWidth - 4;
  if (room < NARROWEST) {
    return rows.map(([term, meaning]) => `  ${term}\n${indented(wrap(meaning, columns - 6), 6)}`).join("");
  }
  return rows.map(([term, meaning]) => {
    const [first = "", ...more] = wrap(meaning, room);
    return `  ${term.padEnd(termWidth)}  ${first}\n${indented(more, termWidth + 4)}`;
  }).join("");
}

/** A paragraph, indented by two. */
export function paragraph(text: string, columns: number): string {
  return indented(wrap(text, Math.min(columns, WIDEST) - 2), 2);
}

function indented(lines: readonly string[], by: number): string {
  return lines.map((line) => `${" ".repeat(by)}${line}\n`).join("");
}

/** A name and its value behind it; a value that does not fit goes on below its beginning, or below the name. */
export function field(name: string, value: string, columns: number): string {
  const room = columns - displayWidth(name);
  if (displayWidth(value) <= room) return `${name}${value}\n`;
  const longest = value.split(" ").reduce((most, word) => Math.max(most, displayWidth(word)), 0);
  if (longest > room) return `${name.trimEnd()}\n${indented(wrap(value, columns - 6), 6)}`;
  const [first = "", ...more] = wrap(value, room);
  return `${name}${first}\n${indented(more, displayWidth(name))}`;
}
