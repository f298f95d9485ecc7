/** The hot paths inside one process, without the command line around them. */
import { scenarios } from "../scenarios.ts";
import { atMost, type Effort, type Figure, median, readable, scaled } from "../figure.ts";

/** Microseconds that each may take on the machine that the goals were set on. */
const GOALS: Readonly<Record<string, number>> = {
  "pwrite of 4096 bytes to BAR 0": 0.29,
  "pread of 8 bytes of BAR 2": 0.13,
  "pread of 4096 bytes of BAR 2": 20,
  "READ_GID": 1.5,
  "move with signal, then the interrupt walk": 1.5,
};
/** Milliseconds that one round of a scenario takes at least. */
const ROUND_MS = 50;

/** Microseconds of one run, the best of some rounds. */
function best(run: () => void, effort: Effort): number {
  const roundMs = ROUND_MS / effort.divisor;
  let count = 1;
  let result = Infinity;
  for (let round = 0; round < effort.runs + 5; round++) {
    const started = performance.now();
    for (let i = 0; i < count; i++) run();
    const time = performance.now() - started;
    if (time < roundMs) count *= 2;
    else result = Math.min(result, time / count * 1000);
  }
  return Number.isFinite(result) ? result : NaN;
}

/** Copies of 4 KiB, for comparison: what a store cannot be faster than. */
function copying(effort: Effort): number {
  const [from, to] = [new Uint8Array(4096).fill(1), new Uint8Array(4096)];
  return best(() => to.set(from), { ...effort, runs: effort.runs + scaled(15, effort) });
}

/** One row per scenario that has a goal. */
export function insideFigures(effort: Effort): Figure[] {
  const floor = `${readable(copying(effort))} us for a copy of 4 KiB`;
  return scenarios().filter(({ name }) => name in GOALS).map(({ name, run }) => {
    const value = median([best(run, { ...effort, runs: effort.runs + scaled(15, effort) })]);
    return {
      name: `inside: ${name}`,
      shown: `${readable(value)} us`,
      floor,
      value,
      goal: atMost(GOALS[name]!, " us"),
    };
  });
}
