/** Verdicts as JUnit XML, in the form that Jenkins and GitLab read. */
import { countPoints, type Miss, type Point, type Suite } from "./points.ts";
import { EXIT } from "../failure.ts";

/** The whole file. */
export function junit(suites: readonly Suite[], milliseconds: number): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  lines.push(`<testsuites name="ism"${totals(suites, milliseconds)}>`);
  for (const suite of suites) {
    const { file, points } = suite;
    const name = `name="${attribute(file)}" file="${attribute(file)}"`;
    lines.push(`  <testsuite ${name}${totals([suite], suite.milliseconds)}>`);
    const group = attribute(file.replace(/\.ism$/, "").replace(/^[./\\]+/, "").replaceAll(/[/\\]/g, "."));
    for (const point of points) lines.push(testCase(point, group));
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

function testCase({ file, line, name, milliseconds, miss, skipped }: Point, group: string): string {
  const where = line === 0 ? "" : ` line="${line}"`;
  const head =
    `    <testcase name="${attribute(name)}" classname="${group}" file="${attribute(file)}"${where}` +
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
  const text = String(Math.round(milliseconds * 1000)).padStart(7, "0");
  return `${text.slice(0, -6)}.${text.slice(-6)}`;
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
