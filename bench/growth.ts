/** How times grow with the host: lines in memory and starts on a host file, drawn as SVG. */
import { fullHost } from "./figures/start.ts";
import { type Effort, median, readable, scaled, timed } from "./figure.ts";
import { Dialogue, run, Scratch } from "./program.ts";

/** A curve: what was measured at each size. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly Point[];
  /** What was measured beside it: the start of a module that does nothing. */
  readonly floor?: readonly Point[];
}

type Point = readonly [size: number, value: number];

const DMBS = [1, 30, 118, 472, 944, 1888];
const FUNCTIONS = [2, 4, 8, 16, 32, 64];

/**
 * Milliseconds of a start of `peek` by DMBs, and by functions, and of a durable line. Sizes take turns, so that a machine
 * that becomes busy in between is as unfair to one as to the other.
 */
export async function measureGrowth(effort: Effort): Promise<Curve[]> {
  using scratch = new Scratch();
  const nothing = scratch.file("empty.ts");
  const floor = () => run([], nothing);
  const start = (host: string) => () => run(["--host", host, "peek", "bar2", "0"]);
  const full = DMBS.map((dmbs) => {
    const host = `${scratch.path}/${dmbs}.db`;
    fullHost(host, scaled(dmbs, effort));
    return host;
  });
  const wide: string[] = [];
  for (const functions of FUNCTIONS) {
    const host = `${scratch.path}/functions-${functions}.db`;
    await run(["--host", host, "host", "create", "--functions", String(functions)]);
    wide.push(host);
  }
  const points = (sizes: readonly number[], values: readonly number[]) =>
    sizes.map((size, i): Point => [size, values[i]!]);
  const starts = async (name: string, sizes: readonly number[], hosts: readonly string[]) => {
    const [times, floors] = await inTurn(effort.runs, hosts.map(start), floor);
    return { name, unit: "ms", points: points(sizes, times), floor: points(sizes, floors) };
  };
  const curves: Curve[] = [
    await starts("start of peek, by DMBs", DMBS, full),
    await starts("start of peek, by functions", FUNCTIONS, wide),
  ];
  await using shells = new AsyncDisposableStack();
  const count = scaled(40, effort, 1);
  const lines = wide.map((host) => {
    const shell = shells.use(new Dialogue(["--host", host, "--json", "shell"]));
    return () => {
      for (let i = 0; i < count; i++) shell.result("gid");
      return Promise.resolve();
    };
  });
  const [times] = await inTurn(effort.runs, lines, () => Promise.resolve());
  curves.push({
    name: "durable shell line, by functions",
    unit: "ms",
    points: points(FUNCTIONS, times.map((time) => time / count)),
  });
  return curves;
}

/** Medians of the milliseconds of each work, and of a floor that is measured behind each. */
async function inTurn(
  rounds: number,
  works: readonly (() => Promise<unknown>)[],
  floor: () => Promise<unknown>,
): Promise<readonly [times: number[], floors: number[]]> {
  const times = works.map((): number[] => []);
  const floors = works.map((): number[] => []);
  for (const work of works) await work();
  for (let round = 0; round < rounds; round++) {
    for (const [i, work] of works.entries()) {
      times[i]!.push(await timed(work));
      floors[i]!.push(await timed(floor));
    }
  }
  return [times.map(median), floors.map(median)];
}

const WIDTH = 216;
const HEIGHT = 150;
const LEFT = 44;
const TOP = 48;
const BOTTOM = 44;
/** Lines across a chart, without its base. */
const STEPS = 4;

const STYLE = `
  svg { color-scheme: light dark; font: 12px ui-sans-serif, system-ui, sans-serif; }
  text { fill: #16202e; } .muted { fill: #5b6778; } .title { font-weight: 600; }
  .ground { fill: #ffffff; stroke: #d5dde8; } .grid { stroke: #e2e8f1; } .axis { stroke: #8a97a9; }
  .curve { fill: none; stroke: #2563c9; stroke-width: 2; } .point { fill: #2563c9; }
  .floor { fill: none; stroke: #8a97a9; stroke-width: 1.5; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e3e9f2; } .muted { fill: #93a1b5; } .ground { fill: #151c26; stroke: #2d3a4d; } .grid { stroke: #2a3546; }
    .axis { stroke: #64738a; } .curve { stroke: #6aa5ff; } .point { fill: #6aa5ff; } .floor { stroke: #7d8ba0; }
  }
`;

/** The curves beside each other, each with its own axes, which begin at 0. */
export function drawGrowth(curves: readonly Curve[]): string {
  const width = curves.length * (WIDTH + LEFT) + 20;
  const height = TOP + HEIGHT + BOTTOM;
  const charts = curves.map((curve, i) => drawCurve(curve, LEFT + i * (WIDTH + LEFT)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">\n` +
    `<title>How times grow with the host</title>\n<style>${STYLE}</style>\n` +
    `<rect class="ground" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>\n${
      charts.join("")
    }</svg>\n`;
}

function drawCurve({ name, unit, points, floor }: Curve, left: number): string {
  const mostX = Math.max(...points.map(([size]) => size));
  const step = roundStep(Math.max(...[...points, ...floor ?? []].map(([, value]) => value)) / STEPS);
  const base = TOP + HEIGHT;
  const x = (size: number) => (left + size / mostX * (WIDTH - 24)).toFixed(1);
  const y = (value: number) => (base - value / (step * STEPS) * HEIGHT).toFixed(1);
  const line = (all: readonly Point[]) => all.map(([size, value]) => `${x(size)},${y(value)}`).join(" ");
  let text = `<text class="title" x="${left - 24}" y="26">${name} (${unit})</text>\n`;
  for (let i = 0; i <= STEPS; i++) {
    const at = y(i * step);
    text += `<path class="${i === 0 ? "axis" : "grid"}" d="M${left} ${at}h${WIDTH - 16}"/>` +
      `<text class="muted" x="${left - 6}" y="${Number(at) + 4}" text-anchor="end">${
        readable(i * step)
      }</text>\n`;
  }
  for (const size of [points[0]![0], mostX]) {
    text += `<text class="muted" x="${x(size)}" y="${base + 18}" text-anchor="middle">${
      size.toLocaleString("en-US")
    }</text>\n`;
  }
  if (floor !== undefined) {
    text += `<path class="floor" d="M${line(floor).replaceAll(" ", "L")}"/>` +
      `<text class="muted" x="${left + WIDTH - 24}" y="${
        Number(y(floor.at(-1)![1])) - 6
      }" text-anchor="end">an empty program</text>\n`;
  }
  text += `<polyline class="curve" points="${line(points)}"/>\n`;
  for (const [size, value] of points) {
    text += `<circle class="point" cx="${x(size)}" cy="${y(value)}" r="3"><title>${size}: ${
      readable(value)
    } ${unit}</title></circle>\n`;
  }
  return text;
}

/** The next number above that a chart counts in: 1, 2, 2.5 or 5 times a power of ten. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= least) ?? 10);
}
