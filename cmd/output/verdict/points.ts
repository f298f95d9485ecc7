/** What became of the lines of scripts: the test points of `--tap` and `--junit`, and the summary. */
import { EXIT, type Failure } from "../failure.ts";

/** Why a line did not hold. */
export interface Miss {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
  /** The rule of the refusal, by its name in the reference or as "explain" shows it. */
  readonly rule?: string;
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
}

/** One line of a script. */
export interface Point {
  readonly line: number;
  /** File of the line, which is another one than the script's where `source` took it in. */
  readonly file: string;
  /** The line's comment, or its text. */
  readonly name: string;
  readonly milliseconds: number;
  /** Undefined for a line that held, and for one that was not run. */
  readonly miss?: Miss;
  /** Why the line was not run. */
  readonly skipped?: string;
}

/** One script. */
export interface Suite {
  readonly file: string;
  readonly code: number;
  readonly milliseconds: number;
  /** Where lines that held or were not run are only counted, the others. */
  readonly points: readonly Point[];
  readonly counted?: Counted;
}

/** Lines that no {@linkcode Point} tells of. */
export interface Counted {
  readonly held: number;
  readonly skipped: number;
}

/** A line as it stands in a script. */
interface Titled {
  readonly file: string;
  readonly line: number;
  readonly title: string;
}

/** Takes down what becomes of a script's lines. */
export class Verdicts {
  /** Each line has a point; without, lines that held or were not run are counted, which costs next to nothing. */
  readonly names: boolean;
  readonly points: Point[] = [];
  readonly counted = { held: 0, skipped: 0 };
  #stopped: string | undefined = undefined;

  constructor({ names }: { readonly names: boolean }) {
    this.names = names;
  }

  /** A line has run. @param failure undefined where only the exit code tells, as for a program that ran */
  ran(place: Titled, milliseconds: number, exit: number, failure: Failure | undefined): void {
    if (exit === EXIT.OK && !this.names) {
      this.counted.held++;
      return;
    }
    const { file, line } = place;
    const point = { file, line, name: place.title, milliseconds };
    if (exit === EXIT.OK) {
      this.points.push(point);
      return;
    }
    const miss = failure === undefined
      ? { code: "EXIT", message: `Exit code ${exit}`, exit }
      : missOf(failure);
    this.points.push({ ...point, miss });
    this.#stopped ??= `${file}:${line}`;
  }

  /** A line is not run, because another one did not hold. */
  skip(place: Titled): void {
    if (!this.names) {
      this.counted.skipped++;
      return;
    }
    const { file, line, title } = place;
    const skipped = `not run: the script ended at ${this.#stopped ?? "its beginning"}`;
    this.points.push({ file, line, name: title, milliseconds: 0, skipped });
  }

  /** What is no line's: a mistake, a file that cannot be read, a commit that failed. */
  failed({ file, line, title }: Titled, failure: Failure): void {
    this.points.push({ file, line, name: title, milliseconds: 0, miss: missOf(failure) });
  }
}

function missOf({ code, message, exit, expectable, fields, ref, hint }: Failure): Miss {
  const rule = ref ?? expectable;
  const text = (key: string) => typeof fields[key] === "string" ? { [key]: fields[key] } : {};
  return {
    code,
    message,
    exit,
    ...(rule === undefined ? {} : { rule }),
    ...text("expected"),
    ...text("got"),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** How many points there are of each kind. */
export function countPoints(suites: readonly Suite[]): { held: number; missed: number; skipped: number } {
  let [missed, skipped, all] = [0, 0, 0];
  for (const { points, counted } of suites) {
    all += points.length + (counted?.held ?? 0) + (counted?.skipped ?? 0);
    skipped += counted?.skipped ?? 0;
    for (const { miss, skipped: why } of points) {
      if (miss !== undefined) missed++;
      else if (why !== undefined) skipped++;
    }
  }
  return { held: all - missed - skipped, missed, skipped };
}

/** Points that the summary names. */
const MOST_NAMED = 20;

/** How many lines held, how many did not, and where. */
export function summary(suites: readonly Suite[], milliseconds: number, seed: bigint | undefined): string {
  const { held, missed, skipped } = countPoints(suites);
  const scripts = suites.length === 1 ? "1 script" : `${suites.length} scripts`;
  const parts = [
    `${held} held`,
    `${missed} did not`,
    ...(skipped === 0 ? [] : [`${skipped} not run`]),
  ];
  const shuffled = seed === undefined ? "" : `, --seed ${seed}`;
  let text = `ism: run: ${parts.join(", ")}; ${scripts}, ${(milliseconds / 1000).toFixed(2)} s${shuffled}\n`;
  const misses = suites.flatMap(({ points }) => points.filter(({ miss }) => miss !== undefined));
  for (const { file, line, name, miss } of misses.slice(0, MOST_NAMED)) {
    const at = line === 0 ? file : `${file}:${line}`;
    text += `  ${at}: ${name === file ? miss!.message : name}\n`;
  }
  if (misses.length > MOST_NAMED) text += `  and ${misses.length - MOST_NAMED} more\n`;
  return text;
}
