/** JSON that can be shown on a terminal. */

/** What JSON may hold as it is, and what would act on a terminal all the same: C1 controls and text direction. */
const UNSAFE = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** A value as JSON in one line; characters that would act on a terminal are escaped, which means the same. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value);
  return text.replaceAll(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n";
}
