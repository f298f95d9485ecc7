/** Where in a text the mistake is, with a caret below it. */
import { escapeText, wholeCharacter } from "../language/quote.ts";
import type { Place } from "../language/usage_error.ts";

/** The widest diagnostic, in terminal columns. */
const MAX_WIDTH = 100;
/** Source text that stays in view however long the line number is. */
const MIN_SOURCE_WIDTH = 20;
/** UTF-16 units looked at on each side of the caret; more never fits unless it is invisible. */
const MAX_CONTEXT = 200;
/** The widest that a terminal draws a tab. */
const TAB_WIDTH = 8;

// unicodeWidth() of @std/cli is not used: the npm copy of std is published without its data file.
const NO_WIDTH = /^(?!\u00ad)[\p{Cc}\p{Cf}\p{Mn}\p{Me}\u1160-\u11ff]$/u;
// East_Asian_Width W and F, in blocks: EastAsianWidth.txt of Unicode. A flag is two regional indicators of one each.
const WIDE = new RegExp(
  "^(?![\\u{1f1e6}-\\u{1f1ff}])[\\p{Emoji_Presentation}" +
    "\\u1100-\\u115f\\u2329\\u232a\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3\\uf900-\\ufaff" +
    "\\ufe10-\\ufe19\\ufe30-\\ufe6f\\uff01-\\uff60\\uffe0-\\uffe6" +
    "\\u{16fe0}-\\u{18dff}\\u{1aff0}-\\u{1b2ff}\\u{1f200}-\\u{1f2ff}\\u{20000}-\\u{3fffd}]$",
  "u",
);

/** The terminal columns that text takes; a control character counts as none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += NO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

/** Formats `file:line:column: message`, the source line, and a caret under the fault. */
export function formatDiagnostic(place: Place, source: string, message: string): string {
  const gutter = `${place.line} | `;
  const { text, padding } = excerpt(
    source,
    place.column,
    Math.max(MAX_WIDTH - gutter.length, MIN_SOURCE_WIDTH),
  );
  return [
    `${escapeText(place.file)}:${place.line}:${place.column}: ${escapeText(message)}`,
    gutter + text,
    " ".repeat(gutter.length) + padding + "^",
  ].join("\n");
}

/** The part of a line around the caret that fits, and what to print before the caret below it. */
function excerpt(source: string, column: number, maxWidth: number): { text: string; padding: string } {
  const caret = wholeCharacter(source, Math.min(Math.max(column - 1, 0), source.length));
  const from = wholeCharacter(source, Math.max(caret - MAX_CONTEXT, 0));
  const to = wholeCharacter(source, Math.min(caret + MAX_CONTEXT, source.length));
  const before = [...source.slice(from, caret)];
  const after = [...source.slice(caret, to)];

  const whole = from === 0 && to === source.length;
  // One column stays free for a caret behind the last character.
  if (whole && widthOf([...before, ...after], TAB_WIDTH) < maxWidth) {
    return { text: [...before, ...after].map(show).join(""), padding: before.map(pad).join("") };
  }

  // Two columns for the ellipses, one for the caret; a tab in the middle of a cut line becomes a space.
  let room = maxWidth - 3;
  let left = before.length;
  let right = 0;
  for (let grew = true; grew;) {
    grew = false;
    const next = after[right];
    if (next !== undefined && widthOf([next], 1) <= room) {
      room -= widthOf([next], 1);
      right++;
      grew = true;
    }
    const previous = before[left - 1];
    if (previous !== undefined && widthOf([previous], 1) <= room) {
      room -= widthOf([previous], 1);
      left--;
      grew = true;
    }
  }
  const kept = before.slice(left);
  const head = left > 0 || from > 0 ? "…" : "";
  const tail = right < after.length || to < source.length ? "…" : "";
  const middle = [...kept, ...after.slice(0, right)].map(show).join("").replaceAll("\t", " ");
  return { text: head + middle + tail, padding: " ".repeat(head.length + widthOf(kept, 1)) };
}

/** A source character as it is printed; tabs stay. */
function show(char: string): string {
  return char === "\t" ? char : escapeText(char);
}

/** Blank text as wide as the printed character; a tab for a tab, so that both lines stop at the same place. */
function pad(char: string): string {
  return char === "\t" ? char : " ".repeat(displayWidth(show(char)));
}

function widthOf(chars: readonly string[], tabWidth: number): number {
  let width = 0;
  for (const char of chars) width += char === "\t" ? tabWidth : displayWidth(show(char));
  return width;
}
