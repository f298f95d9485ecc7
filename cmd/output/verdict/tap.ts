/** Verdicts as TAP version 14, the Test Anything Protocol, with YAML diagnostics (testanything.org). */
import { escapeText, safeJson } from "../../language/quote.ts";
import type { Point } from "./points.ts";

/** The first line. */
export const TAP_VERSION = "TAP version 14\n";

/** How many points there were; last, because they are told as they come. */
export function tapPlan(count: number): string {
  return count === 0 ? "1..0 # SKIP no line to run\n" : `1..${count}\n`;
}

/** One point. @param number from 1, over all scripts */
export function tapPoint(number: number, { file, line, name, milliseconds, miss, skipped }: Point): string {
  const state = miss === undefined ? "ok" : "not ok";
  const directive = skipped === undefined ? "" : ` # SKIP ${description(skipped)}`;
  const head = `${state} ${number} - ${description(name)}${directive}\n`;
  const fields: (readonly [key: string, value: string | number])[] = [["file", file], ["line", line]];
  if (skipped === undefined) fields.push(["duration_ms", Number(milliseconds.toFixed(3))]);
  if (miss !== undefined) {
    const { message, code, rule, expected, got, hint, exit } = miss;
    const given = { message, code, rule, expected, got, hint, exit };
    for (const [key, value] of Object.entries(given)) if (value !== undefined) fields.push([key, value]);
  }
  // What JSON writes is YAML, too.
  return `${head}  ---\n${fields.map(([key, value]) => `  ${key}: ${yaml(value)}\n`).join("")}  ...\n`;
}

/** A text behind the dash; what would begin a directive does not. */
function description(text: string): string {
  return escapeText(oneLine(text)).replace(/[\\#]/g, "\\$&");
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function yaml(value: string | number): string {
  return typeof value === "number" ? String(value) : safeJson(value);
}
