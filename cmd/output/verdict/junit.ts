/** Verdicts as JUnit XML, in the form that Jenkins and GitLab read. */
import { countPoints, type Miss, type Point, type Suite } from "./points.ts";
import { EXIT } from "../failure.ts";

/** Points that are joined at once. */
const PIECE = 100;

/** The whole file. */
export function junit(suites: readonly Suite[], milliseconds: number): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  lines.push(`<testsuites name="ism"${totals(suites, milliseconds)}>`);
  for (const suite of suites) {
    const { file, points } = suite;
    const name = `name="${attribute(file)}" file="${attribute(file)}"`;
    lines.push(`  <testsuite ${name}${totals([suite], suite.milliseconds)}>`);
    const group = attribute(file.replace(/\.ism$/, "").replace(/^[./\\]+/, "").replaceAll(/[/\\]/g, "."));
    const of: Of = { group, path: file, shown: attribute(file) };
    // A text that was put together keeps all its parts until it is joined with others.
    for (let at = 0; at < points.length; at += PIECE) {
      lines.push(points.slice(at, at + PIECE).map((point) => testCase(point, of)).join("\n"));
    }
    lines.push("  </testsuite>");
  }
  lines.push("</testsuites>", "");
  return lines.join("\n");
}

function totals(suites: readonly Suite[], milliseconds: number): string {
  const { held, missed, skipped } = countPoints(suites);
  let errors = 0;
  for (const { points } of suites) {
    for (const { miss } of points) if (miss !== undefined && isError(miss)) errors++;
  }
  return ` tests="${held + missed + skipped}" failures="${missed - errors}" errors="${errors}"` +
    ` skipped="${skipped}" time="${seconds(milliseconds)}"`;
}

/** Nothing was found out: the line or a file is wrong, or the program itself. */
function isError({ code, exit }: Miss): boolean {
  return code !== "EXIT" && exit !== EXIT.EXPECT && exit !== EXIT.REFUSED;
}

/** The script of a point. */
interface Of {
  readonly group: string;
  readonly path: string;
  /** Its path as an attribute. */
  readonly shown: string;
  /** The last name, and how it is shown: a script often has many of the same. */
  name?: string;
  shownName?: string;
}

function testCase({ file, line, name, milliseconds, miss, skipped }: Point, of: Of): string {
  if (name !== of.name) of.shownName = attribute(of.name = name);
  // Nearly all lines stand in the file of their script.
  const shown = file === of.path ? of.shown : attribute(file);
  const where = line === 0 ? "" : ` line="${line}"`;
  const head = `    <testcase name="${of.shownName}" classname="${of.group}" file="${shown}"${where}` +
    ` time="${seconds(milliseconds)}"`;
  if (skipped !== undefined) return `${head}><skipped message="${attribute(skipped)}"/></testcase>`;
  if (miss === undefined) return `${head}/>`;
  const { message, code, rule, expected, got, hint } = miss;
  const tag = isError(miss) ? "error" : "failure";
  const facts = { rule, expected, got, hint };
  const more = Object.entries(facts).filter(([, fact]) => fact !== undefined).map(([key, fact]) =>
    `\n${key}: ${fact}`
  );
  const body = `${file}${line === 0 ? "" : `:${line}`}: ${message}${more.join("")}`;
  return `${head}>\n      <${tag} type="${attribute(code)}" message="${attribute(message)}">${
    escape(body)
  }</${tag}>\n` +
    "    </testcase>";
}

function seconds(milliseconds: number): string {
  // toFixed() takes longer than all the rest of a test case.
  const microseconds = Math.round(milliseconds * 1000);
  // What most lines take.
  if (microseconds < 10) return `0.00000${microseconds}`;
  if (microseconds < 100) return `0.0000${microseconds}`;
  const part = microseconds % 1_000_000;
  return `${(microseconds - part) / 1_000_000}.${String(1_000_000 + part).slice(1)}`;
}

const SPECIAL: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
// What XML 1.0 has no characters for, in no form: most control characters, halves of pairs, two that are none.
const FORBIDDEN = /[\p{Cs}\ufffe\uffff]|(?![\t\n\r])\p{Cc}/gu;
const PLAIN = /^[\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\x7e]*$/;

function escape(text: string): string {
  if (PLAIN.test(text)) return text;
  return text
    .replace(FORBIDDEN, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replace(/[&<>"]/g, (char) => SPECIAL[char]!)
    .replaceAll("\r", "&#13;");
}

/** A text in quotes, in which line ends and tabs would become spaces. */
function attribute(text: string): string {
  if (PLAIN.test(text)) return text;
  return escape(text).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}
