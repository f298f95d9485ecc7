/** From nothing to an answer: starts of the program against the start of a module that does nothing. */
import { HostStore } from "../../lib/host/file/store.ts";
import { defaultTopology } from "../../lib/host/topology.ts";
import { bundle } from "../../build/bundle.ts";
import { atMost, type Effort, type Figure, median, readable, scaled, timed } from "../figure.ts";
import { asForm, fromSource, Scratch, type Start, startToEnd } from "../program.ts";

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

/** Runs two commands in turn. @returns the median time of each in milliseconds, and their ratio */
export async function paired(
  runs: number,
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
): Promise<readonly [one: number, other: number, ratio: number]> {
  await one();
  await other();
  const times: [number, number][] = [];
  for (let i = 0; i < runs; i++) times.push([await timed(one), await timed(other)]);
  const [first, second] = [median(times.map(([a]) => a)), median(times.map(([, b]) => b))];
  return [first, second, first / second];
}

/** Starts of `peek`, `--version` and `help`, and what a full host adds: of the form that users get, and of the source. */
export async function startFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const nothing = scratch.file("empty.js");
  const program = await bundle("compiled");
  const [empty, full] = [`${scratch.path}/empty.db`, `${scratch.path}/full.db`];
  fullHost(empty, 0);
  fullHost(full, scaled(DMBS, effort));
  const peek = (host: string) => ["--host", host, "peek", "bar2", "0"];
  const figures: Figure[] = [];
  const measure = async (name: string, start: Start, floor: Start, hasGoal: boolean) => {
    const add = async (
      what: string,
      limit: number,
      args: readonly string[],
      base: () => Promise<unknown>,
    ) => {
      const [time, other, ratio] = await paired(effort.runs, () => startToEnd(start, args), base);
      figures.push({
        name: `${name}: ${what}`,
        shown: `${readable(time)} ms`,
        floor: `${readable(other)} ms`,
        value: ratio,
        goal: hasGoal ? atMost(limit) : undefined,
      });
    };
    const toFloor = () => startToEnd(floor);
    await add("peek on a host file", 2.0, peek(empty), toFloor);
    await add("--version", 1.7, ["--version"], toFloor);
    await add("help", 1.7, ["help"], toFloor);
    const withDmbs = `peek with ${DMBS} DMBs, against an empty host`;
    await add(withDmbs, 1.05, peek(full), () => startToEnd(start, peek(empty)));
  };
  const cache = `${scratch.path}/cache`;
  await measure("start", asForm(program, cache), asForm(nothing, cache), true);
  await measure("start of the source", fromSource(), fromSource(nothing), false);
  return figures;
}
