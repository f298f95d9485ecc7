/** From nothing to an answer: starts of the program against the start of a module that does nothing. */
import { HostStore } from "../../lib/host/file/store.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { atMost, type Effort, type Figure, median, readable, scaled, timed } from "../figure.ts";
import { run, Scratch } from "../program.ts";

const DMBS = 1888;

/** A host file whose first function has registered `dmbs` DMBs of 16 KiB. */
export function fullHost(path: string, dmbs: number): void {
  using store = HostStore.create(path, defaultTopology());
  const host = store.begin("write");
  const [owner, writer] = host.functions;
  owner!.driver.start();
  for (let i = 0; i < dmbs; i++) owner!.driver.registerDmb({ size: 16 * 1024, rgid: writer!.adapter.gid });
  store.commit(host);
}

/** Runs two commands in turn. @returns the median time of each in milliseconds, and the median of the ratios */
export async function paired(
  runs: number,
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
): Promise<readonly [one: number, other: number, ratio: number]> {
  await one();
  await other();
  const times: [number, number][] = [];
  for (let i = 0; i < runs; i++) times.push([await timed(one), await timed(other)]);
  return [
    median(times.map(([a]) => a)),
    median(times.map(([, b]) => b)),
    median(times.map(([a, b]) => a / b)),
  ];
}

/** Starts of `peek`, `--version` and `help`, and what a full host adds. */
export async function startFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const nothing = scratch.file("empty.ts");
  const [empty, full] = [`${scratch.path}/empty.db`, `${scratch.path}/full.db`];
  fullHost(empty, 0);
  fullHost(full, scaled(DMBS, effort));
  const figures: Figure[] = [];
  const add = async (name: string, limit: number, args: readonly string[], floor: () => Promise<unknown>) => {
    const [time, base, ratio] = await paired(effort.runs, () => run(args), floor);
    const goal = atMost(limit);
    figures.push({ name, shown: `${readable(time)} ms`, floor: `${readable(base)} ms`, value: ratio, goal });
  };
  const peek = (host: string) => ["--host", host, "peek", "bar2", "0"];
  const start = () => run([], nothing);
  await add("start: peek on a host file", 2.0, peek(empty), start);
  await add("start: --version", 1.7, ["--version"], start);
  await add("start: help", 1.7, ["help"], start);
  await add(`start: peek with ${DMBS} DMBs, against an empty host`, 1.05, peek(full), () => run(peek(empty)));
  return figures;
}
