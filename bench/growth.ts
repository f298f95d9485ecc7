/** How times grow with the host: lines in memory and starts on a host file, drawn as SVG. */
import { fullHost } from "./figures/start.ts";
import { type Effort, median, readable, scaled, timed } from "./figure.ts";
import { Dialogue, run, Scratch } from "./program.ts";

/** A curve: what was measured at each size. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly (readonly [size: number, value: number])[];
}

const DMBS = [1, 30, 118, 472, 944, 1888];
const FUNCTIONS = [2, 4, 8, 16, 32, 64];

/** Milliseconds of a start of `peek` by DMBs, and by functions. */
export async function measureGrowth(effort: Effort): Promise<Curve[]> {
  using scratch = new Scratch();
  const starts = async (host: string) => {
    const args = ["--host", host, "peek", "bar2", "0"];
    await run(args);
    const times: number[] = [];
    for (let i = 0; i < effort.runs; i++) times.push(await timed(() => run(args)));
    return median(times);
  };
  const byDmbs: [number, number][] = [];
  for (const dmbs of DMBS) {
    const host = `${scratch.path}/${dmbs}.db`;
    fullHost(host, scaled(dmbs, effort));
    byDmbs.push([dmbs, await starts(host)]);
  }
  const byFunctions: [number, number][] = [];
  const lines: [number, number][] = [];
  for (const functions of FUNCTIONS) {
    const host = `${scratch.path}/functions-${functions}.db`;
    await run(["--host", host, "host", "create", "--functions", String(functions)]);
    byFunctions.push([functions, await starts(host)]);
    await using shell = new Dialogue(["--host", host, "--json", "shell"]);
    await shell.result("gid");
    const count = scaled(300, effort, 3);
    const time = await timed(async () => {
      for (let i = 0; i < count; i++) await shell.result("gid");
    });
    lines.push([functions, time / count]);
  }
  return [
    { name: "start of peek, by DMBs", unit: "ms", points: byDmbs },
    { name: "start of peek, by functions", unit: "ms", points: byFunctions },
    { name: "durable line of a shell, by functions", unit: "ms", points: lines },
  ];
}

const WIDTH = 260;
const HEIGHT = 160;
const MARGIN = 40;

/** The curves beside each other, each with its own axes, which begin at 0. */
export function drawGrowth(curves: readonly Curve[]): string {
  const total = curves.length * (WIDTH + MARGIN) + MARGIN;
  const parts = curves.map((curve, i) => drawCurve(curve, MARGIN + i * (WIDTH + MARGIN)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${total}" height="${HEIGHT + 2 * MARGIN}" ` +
    `font-family="sans-serif" font-size="11" fill="#444">\n` +
    `<rect width="100%" height="100%" fill="#fff"/>\n${parts.join("")}</svg>\n`;
}

function drawCurve({ name, unit, points }: Curve, left: number): string {
  const mostX = Math.max(...points.map(([size]) => size));
  const mostY = Math.max(...points.map(([, value]) => value)) * 1.2;
  const x = (size: number) => (left + size / mostX * (WIDTH - 20)).toFixed(1);
  const y = (value: number) => (MARGIN + HEIGHT - value / mostY * HEIGHT).toFixed(1);
  const base = MARGIN + HEIGHT;
  const marks = points.map(([size, value]) =>
    `<circle cx="${x(size)}" cy="${y(value)}" r="3" fill="#06c"><title>${size}: ${
      readable(value)
    } ${unit}</title></circle>\n`
  );
  const last = points.at(-1)!;
  return `<text x="${left}" y="${MARGIN - 14}" font-size="12" fill="#000">${name}</text>\n` +
    `<path d="M${left} ${MARGIN}V${base}H${left + WIDTH}" fill="none" stroke="#999"/>\n` +
    `<polyline points="${points.map(([size, value]) => `${x(size)},${y(value)}`).join(" ")}" ` +
    `fill="none" stroke="#06c" stroke-width="1.5"/>\n${marks.join("")}` +
    `<text x="${x(last[0])}" y="${base + 16}" text-anchor="end">${last[0]}</text>\n` +
    `<text x="${x(last[0])}" y="${Number(y(last[1])) - 8}" text-anchor="end">${
      readable(last[1])
    } ${unit}</text>\n`;
}
