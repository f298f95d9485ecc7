/** How far long work is: a line on a terminal that the next one replaces, and that is gone when the work is done. */
import { displayWidth } from "./diagnostic.ts";
import { glyphsOf } from "./pictures/glyphs.ts";
import type { Terminal } from "../language/terminal.ts";
import { plural, roundSize } from "./units.ts";

/** Between two lines, and before the first one: short work shows none. Milliseconds. */
const PAUSE_MS = 100;
/** A rate is that of the last few seconds, so that it follows work that slows down. Milliseconds. */
const WINDOW_MS = 5000;
const BAR_WIDEST = 40;
const BAR_NARROWEST = 6;

/** What is counted: bytes, or things by their name in singular. */
export type ProgressUnit = "bytes" | string;

/** `0:09`, `1:02:03`. */
function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A rate of things: two digits where it is slow. */
function rateOf(perSecond: number, unit: ProgressUnit): string {
  if (unit === "bytes") return `${roundSize(perSecond)}/s`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/**
 * The line of progress.
 *
 * @param total undefined if nobody knows; there is neither a bar nor a time left then
 * @param perSecond undefined if nothing can be said of it yet
 * @param columns the line is narrower than the terminal by one, so that no terminal begins a new line
 */
export function progressLine(
  { done, total, unit, perSecond, seconds }: {
    readonly done: number;
    readonly total: number | undefined;
    readonly unit: ProgressUnit;
    readonly perSecond: number | undefined;
    /** Time that has passed. */
    readonly seconds: number;
  },
  { columns, unicode }: { readonly columns: number; readonly unicode: boolean },
): string {
  const isBytes = unit === "bytes";
  const count = isBytes ? roundSize(done) : String(done);
  const of = total === undefined ? "" : ` of ${isBytes ? roundSize(total) : plural(total, unit)}`;
  const counted = total === undefined && !isBytes ? plural(done, unit) : count + of;
  const time = total === undefined
    ? `${clock(seconds)} so far`
    : perSecond === undefined || perSecond <= 0
    ? ""
    : `${clock((total - done) / perSecond)} left`;
  const rate = perSecond === undefined ? "" : rateOf(perSecond, unit);
  const room = columns - 1;
  let line = counted;
  // What matters more comes first, and stands where it fits.
  if (time !== "" && displayWidth(`${line}  ${time}`) <= room) line = `${line}  ${time}`;
  if (rate !== "" && displayWidth(`${line}  ${rate}`) <= room) {
    line = time !== "" && line.endsWith(time) ? `${counted}  ${rate}  ${time}` : `${line}  ${rate}`;
  }
  const width = Math.min(BAR_WIDEST, room - displayWidth(line) - 3);
  if (total === undefined || total === 0 || width < BAR_NARROWEST) return line;
  const glyphs = unicode ? glyphsOf({ unicode }) : { full: "#", empty: " " };
  const filled = Math.round(width * Math.min(1, done / total));
  return `[${glyphs.full.repeat(filled)}${glyphs.empty.repeat(width - filled)}] ${line}`;
}

/** Tells how far work is, on a terminal only; a `using` block takes the line away at its end. */
export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #unit: ProgressUnit;
  readonly #total: number | undefined;
  readonly #began = performance.now();
  /** When the next line is due; never where nobody sees it. */
  #next: number;
  #isShown = false;
  /** What was done at moments of the last seconds. */
  readonly #samples: { readonly at: number; readonly done: number }[] = [];

  /** @param total undefined if nobody knows */
  constructor(terminal: Terminal, unit: ProgressUnit, total: number | undefined) {
    this.#terminal = terminal;
    this.#next = terminal.errIsTerminal ? this.#began + PAUSE_MS : Infinity;
    this.#unit = unit;
    this.#total = total;
  }

  /** So much is done; costs next to nothing between two lines. */
  tell(done: number): void {
    if (this.#next === Infinity) return;
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + PAUSE_MS;
    const samples = this.#samples;
    samples.push({ at: now, done });
    while (samples.length > 2 && now - samples[1]!.at > WINDOW_MS) samples.shift();
    const [first] = samples;
    // The first line says no rate: what was done until then is mostly what comes before the work.
    const perSecond = this.#isShown ? (done - first!.done) * 1000 / (now - first!.at) : undefined;
    this.#isShown = true;
    this.#terminal.progress(progressLine({
      done,
      total: this.#total,
      unit: this.#unit,
      perSecond,
      seconds: (now - this.#began) / 1000,
    }, { columns: this.#terminal.screen.columns, unicode: this.#terminal.unicode }));
  }

  [Symbol.dispose](): void {
    if (this.#isShown) this.#terminal.progress("");
    this.#isShown = false;
  }
}
