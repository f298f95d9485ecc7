/**
 * `deno task bench`: one table of figures, each with a floor that was measured in the same run. Written as JSON too
 * (`--json FILE`), into a page between its marks (`--markdown docs/performance.md`), and the picture of growth
 * (`--growth FILE.svg`). `--only WORD` measures rows whose group has it.
 */
import { type Figure, FULL, isReached, readable } from "./figure.ts";
import { messageFigures, transferFigures } from "./figures/between.ts";
import { formFigures } from "./figures/forms.ts";
import { execFigures } from "./figures/exec.ts";
import { insideFigures } from "./figures/inside.ts";
import { dialogueFigures, scriptFigures } from "./figures/lines.ts";
import { startFigures } from "./figures/start.ts";
import { drawGrowth, measureGrowth } from "./growth.ts";

/** What is measured, by group. */
export const GROUPS = {
  start: startFigures,
  forms: formFigures,
  inside: insideFigures,
  script: scriptFigures,
  dialogue: dialogueFigures,
  transfer: transferFigures,
  message: messageFigures,
  exec: execFigures,
} as const;

const TITLES = ["", "figure", "measured", "floor", "ratio", "goal"];

function cells(figure: Figure): string[] {
  const { name, shown, floor, value, goal } = figure;
  const most = goal?.kind === "most" ? "at most" : "at least";
  return [
    goal === undefined ? "" : isReached(figure) ? "ok" : "--",
    name,
    shown,
    floor,
    (goal?.unit ?? "") === "" ? value.toFixed(2) : "",
    goal === undefined ? "" : `${most} ${readable(goal.limit)}${goal.unit}`,
  ];
}

/** A table with columns as wide as they must be. */
export function renderFigures(figures: readonly Figure[]): string {
  const table = [TITLES, ...figures.map(cells)];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n");
}

const [BEGIN, END] = ["<!-- figures -->\n", "<!-- end of figures -->\n"];

/** A page with the table between its marks, and the machine it is from. @throws {Error} if the page has no marks */
export function withFigures(page: string, figures: readonly Figure[], machine: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the page has no ${BEGIN.trim()} and ${END.trim()}`);
  const rows = [TITLES, TITLES.map(() => "---"), ...figures.map(cells)];
  const table = rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`).join(
    "",
  );
  return `${page.slice(0, begin)}${BEGIN}${machine}\n\n${table}${page.slice(end)}`;
}

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

if (import.meta.main) {
  const only = option("--only");
  const figures: Figure[] = [];
  for (const [group, measure] of Object.entries(GROUPS)) {
    if (only !== undefined && !group.includes(only)) continue;
    console.error(`measuring: ${group}`);
    figures.push(...await measure(FULL));
  }
  console.log(renderFigures(figures));
  const json = option("--json");
  const cpus = navigator.hardwareConcurrency;
  const document = { deno: Deno.version.deno, os: Deno.build.os, arch: Deno.build.arch, cpus, figures };
  if (json !== undefined) Deno.writeTextFileSync(json, JSON.stringify(document, null, 1) + "\n");
  const page = option("--markdown");
  const machine = `Measured with Deno ${document.deno} on ${document.os}, ${document.arch}, ${cpus} cores:`;
  if (page !== undefined) {
    Deno.writeTextFileSync(page, withFigures(Deno.readTextFileSync(page), figures, machine));
  }
  const picture = option("--growth");
  if (picture !== undefined) Deno.writeTextFileSync(picture, drawGrowth(await measureGrowth(FULL)));
}
