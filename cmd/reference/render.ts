/** Rules of the reference for a terminal. */
import type { Terminal } from "../language/terminal.ts";
import { definitions, WIDEST, wrap } from "../output/wrap.ts";
import type { Rule } from "./parse.ts";

/** Least width of a column that is wrapped. */
const NARROWEST = 12;
const GAP = 2;

/** A rule with all that is known about it. */
export function renderRule(rule: Rule, { style, columns }: Terminal): string {
  const facts = [
    ["source", rule.source] as const,
    ["release", rule.release ?? "no difference between 7.1 and 7.3"] as const,
    ["assumed", rule.assumed ?? "nothing"] as const,
  ].map(([name, value]) => [`${name}:`, plain(value)] as const);
  return `${renderText(rule, { style, columns })}\n${definitions(facts, columns)}`;
}

/** A rule's name and what it says. */
export function renderText(
  { rule, text }: Rule,
  { style, columns }: Pick<Terminal, "style" | "columns">,
): string {
  return `${style.bold(rule)}\n\n${markdownText(text, columns)}`;
}

/** Rules as a list: names and how their texts begin. */
export function renderRules(rules: readonly Rule[], { style, columns }: Terminal): string {
  let text = "";
  let section = "";
  const width = Math.max(...rules.map(({ rule }) => rule.length));
  const room = Math.max(NARROWEST, Math.min(columns, WIDEST) - width - 4);
  for (const rule of rules) {
    const heading = `${rule.page.replace(/\.md$/, "")}: ${rule.section}`;
    if (heading !== section) text += `${section === "" ? "" : "\n"}${style.bold(heading)}\n`;
    section = heading;
    text += `  ${rule.rule.padEnd(width)}  ${shorten(summary(rule), room)}\n`;
  }
  return `${text}\n"ism help RULE" prints one of them.\n`;
}

/** The first sentence of a rule. */
export function summary({ text }: Rule): string {
  const [first = ""] = text.split("\n\n");
  const sentence = /^(.*?[.:])(\s|$)/s.exec(first)?.[1] ?? first;
  return plain(sentence.replaceAll(/\s+/g, " ")).replace(/[.:]$/, "");
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1).trimEnd()}…`;
}

/** Markdown of a rule as text, indented by two. */
function markdownText(markdown: string, columns: number): string {
  const width = Math.min(columns, WIDEST) - 2;
  const blocks = markdown.split(/\n{2,}/).map((block) => {
    if (block.startsWith("|")) return table(block.split("\n"), width);
    if (/^(\d+\.|-) /.test(block)) return list(block, width);
    return wrap(plain(block), width);
  });
  return blocks.map((lines) => lines.map((line) => `  ${line}`.trimEnd() + "\n").join("")).join("\n");
}

/** Text without the marks of Markdown. */
function plain(markdown: string): string {
  return markdown.replaceAll("`", "").replaceAll("**", "").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}

function list(block: string, width: number): string[] {
  const items = block.split(/\n(?=(?:\d+\.|-) )/);
  return items.flatMap((item) => {
    const [, mark = "", text = ""] = /^(\S+) (.*)$/s.exec(item)!;
    const [first = "", ...more] = wrap(plain(text), width - mark.length - 1);
    return [`${mark} ${first}`, ...more.map((line) => " ".repeat(mark.length + 1) + line)];
  });
}

function cells(row: string): string[] {
  return row.replace(/^\|/, "").replace(/\|\s*$/, "").split("|").map((cell) => plain(cell.trim()));
}

/** A table in columns; where they do not fit, the widest are wrapped. */
function table(lines: readonly string[], width: number): string[] {
  const rows = lines.filter((line) => !/^\|[-|: ]+\|$/.test(line)).map(cells);
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  const room = width - GAP * (widths.length - 1);
  for (let over = sum(widths) - room; over > 0; over = sum(widths) - room) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= NARROWEST) break;
    widths[widest] = Math.max(NARROWEST, widths[widest]! - over, secondOf(widths));
  }
  return rows.flatMap((row, i) => {
    const wrapped = widths.map((each, column) => wrap(row[column] ?? "", each));
    const height = Math.max(1, ...wrapped.map((each) => each.length));
    const lines = Array.from(
      { length: height },
      (_, line) =>
        wrapped.map((each, column) => (each[line] ?? "").padEnd(widths[column]!)).join("  ").trimEnd(),
    );
    return i === 0 ? [...lines, widths.map((each) => "-".repeat(each)).join("  ")] : lines;
  });
}

/** Cutting the widest column below the next one would only move the trouble; one less than that is enough to go on. */
function secondOf(widths: readonly number[]): number {
  const [first = 0, second = 0] = widths.toSorted((a, b) => b - a);
  return second === first ? first - 1 : second;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
