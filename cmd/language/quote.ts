/** Texts from anywhere, made safe for terminals, sentences and documents. */

// Control and half characters by category: a literal range of them would itself be unprintable.
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** What nearly all text is: looked for first, because classes of Unicode cost more. */
const PLAIN_TEXT = /^[\x20-\x7e]*$/;
const PLAIN_LINES = /^[\t\n\x20-\x7e]*$/;

/** Style codes that `terminal.ts` makes, or an unsafe character. */
const STYLE_OR_UNSAFE = new RegExp(`\\u001b\\[[0-9]{1,2}m|${UNSAFE.source}`, "gu");

/**
 * Makes any text safe for a terminal: control characters, bidi overrides and the like become escapes. Everything that is
 * printed as text goes through here.
 *
 * @param options `keepNewline`: line ends and tabs stay; `keepStyle`: so do bold and colours
 */
export function escapeText(text: string, { keepNewline = false, keepStyle = false } = {}): string {
  if ((keepNewline ? PLAIN_LINES : PLAIN_TEXT).test(text)) return text;
  return text.replace(keepStyle ? STYLE_OR_UNSAFE : UNSAFE, (char) => {
    if (char.length > 1 && char.startsWith("\x1b")) return char;
    if (char === "\n") return keepNewline ? char : "\\n";
    if (char === "\t") return keepNewline ? char : "\\t";
    const code = char.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON in one line that a terminal shows as it is, whatever its texts hold. */
export function safeJson(value: unknown): string {
  const json = JSON.stringify(value);
  return PLAIN_TEXT.test(json) ? json : json.replace(
    UNSAFE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Quotes a word of the user for an error sentence: escaped, and cut where it is very long. */
export function quoteText(text: string, maxLength = 40): string {
  if (text.length <= maxLength) return `"${escapeText(text)}"`;
  return `"${escapeText(text.slice(0, wholeCharacter(text, maxLength)))}…"`;
}

/** `index`, or one less where it would cut a surrogate pair in two. */
export function wholeCharacter(text: string, index: number): number {
  const isPair = index > 0 && (text.codePointAt(index - 1) ?? 0) > 0xffff;
  return isPair ? index - 1 : index;
}
