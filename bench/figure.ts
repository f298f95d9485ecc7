/** What a benchmark tells: a figure, a floor measured in the same run, what they come to, and the goal. */

/** One row of the table. */
export interface Figure {
  readonly name: string;
  /** The figure with its unit, as people read it. */
  readonly shown: string;
  /** What was measured beside it on the same machine in the same run, with its unit; "" where there is none. */
  readonly floor: string;
  /** The number that the goal is about: a ratio to the floor, or a rate. */
  readonly value: number;
  /** Undefined for what is only shown. */
  readonly goal: Goal | undefined;
}

/** A limit of a figure's value. */
export interface Goal {
  readonly kind: "most" | "least";
  readonly limit: number;
  /** Unit of the value; "" for a ratio. */
  readonly unit: string;
}

export const atMost = (limit: number, unit = ""): Goal => ({ kind: "most", limit, unit });
export const atLeast = (limit: number, unit = ""): Goal => ({ kind: "least", limit, unit });

/** True if a figure reaches its goal, or has none. */
export function isReached({ value, goal }: Figure): boolean {
  if (goal === undefined) return true;
  const { kind, limit } = goal;
  return kind === "most" ? value <= limit : value >= limit;
}

/** How much to measure: all of it, or just enough to see that the measurement works. */
export interface Effort {
  /** Runs of which the median is taken. */
  readonly runs: number;
  /** Divides the work of one run. */
  readonly divisor: number;
}

export const FULL: Effort = { runs: 15, divisor: 1 };
export const TINY: Effort = { runs: 1, divisor: 1000 };

/** The middle of some numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

/** `count` scaled down, at least `least`. */
export function scaled(count: number, { divisor }: Effort, least = 1): number {
  return Math.max(least, Math.round(count / divisor));
}

/** Milliseconds that some work takes. */
export async function timed(work: () => Promise<unknown> | void): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** A number with three significant digits and separators. */
export function readable(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
