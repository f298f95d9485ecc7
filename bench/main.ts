/**
 * `deno task bench`: one table of figures, each with a floor that was measured in the same run. Written as JSON too
 * (`--json FILE`), and the picture of growth (`--growth FILE.svg`). `--only WORD` measures rows whose group has it.
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

/** A table with columns as wide as they must be. */
export function renderFigures(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
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
  });
  const table = [["", "figure", "measured", "floor", "ratio", "goal"], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n");
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
  const picture = option("--growth");
  if (picture !== undefined) Deno.writeTextFileSync(picture, drawGrowth(await measureGrowth(FULL)));
}
