/** A command again and again: on a terminal as a picture that is drawn anew, elsewhere one after the other. */
import type { Invocation } from "../language/invocation.ts";
import { displayWidth } from "../output/diagnostic.ts";
import { EXIT, InterruptedError } from "../output/failure.ts";
import type { ProcessTerminal } from "../output/terminal.ts";
import { InterruptWatch } from "./waiting/interrupt.ts";
import type { Session } from "./session.ts";

/** What a pause ended with: its time, a key that ends it all, or Ctrl-C. */
type PauseEnd = "time" | "end";

/**
 * Runs a line until somebody ends it or it fails.
 *
 * @param words the line as it was typed, for the title
 * @returns 0 if it was ended by q or Ctrl-C, else the exit code of the failure
 * @throws {InterruptedError} if the process is asked to end
 */
export async function watchLine(
  session: Session,
  invocation: Invocation,
  { seconds, format, words }: {
    readonly seconds: number;
    readonly format: unknown;
    readonly words: string;
  },
): Promise<number> {
  const isPicture = session.terminal.outIsTerminal && !session.globals.json &&
    (format === undefined || format === "table");
  using pauses = new Pauses(seconds * 1000, isPicture);
  if (!isPicture) {
    const isJson = session.globals.json || format === "json";
    return await again(session, invocation, pauses, isJson ? "" : "\n");
  }
  using screen = new Screen(session.terminal, `every ${seconds} s: ism ${words}`);
  for (;;) {
    session.place.refresh();
    session.terminal.collect();
    const code = await session.runLine(invocation);
    const pieces = session.terminal.collected();
    if (code !== EXIT.OK) {
      screen[Symbol.dispose]();
      for (const [stream, bytes] of pieces) {
        if (stream === "out") session.terminal.outBytes(bytes);
        else session.terminal.errBytes(bytes);
      }
      return code;
    }
    const text = pieces.map(([, bytes]) => new TextDecoder().decode(bytes)).join("");
    const keep = invocation.command!.watchKeeps?.(session.lastResult!);
    screen.show(text, keep);
    if (await pauses.next() === "end") return EXIT.OK;
  }
}

/** One result behind the other. */
async function again(
  session: Session,
  invocation: Invocation,
  pauses: Pauses,
  between: string,
): Promise<number> {
  for (let isFirst = true;; isFirst = false) {
    session.place.refresh();
    if (!isFirst && between !== "") session.terminal.out(between);
    const code = await session.runLine(invocation);
    if (code !== EXIT.OK || session.terminal.outIsClosed) return code;
    if (await pauses.next() === "end") return EXIT.OK;
  }
}

/** Keys that end it: q, Q, Ctrl-D, and Ctrl-C where the terminal sends no signal. */
const ENDING = new Set([..."qQ\x03\x04"].map((key) => key.charCodeAt(0)));

/** Pauses that keys, Ctrl-C and a terminal of another size end. */
class Pauses implements Disposable {
  readonly #milliseconds: number;
  readonly #watch = new InterruptWatch(undefined);
  readonly #isPicture: boolean;
  readonly #hasKeys: boolean;
  #isEnded = false;
  #wake: (() => void) | undefined = undefined;
  readonly #onResize = () => this.#wake?.();

  constructor(milliseconds: number, isPicture: boolean) {
    this.#milliseconds = milliseconds;
    this.#isPicture = isPicture;
    this.#hasKeys = isPicture && Deno.stdin.isTerminal();
    if (isPicture && Deno.build.os !== "windows") Deno.addSignalListener("SIGWINCH", this.#onResize);
    if (!this.#hasKeys) return;
    // Ctrl-C stays a signal.
    Deno.stdin.setRaw(true, { cbreak: true });
    void this.#readKeys();
  }

  async next(): Promise<PauseEnd> {
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    try {
      if (!this.#isEnded) await Promise.race([woken, this.#watch.sleep(this.#milliseconds, () => "")]);
    } catch (error) {
      // Ctrl-C is how one ends it.
      if (error instanceof InterruptedError && error.signal === "SIGINT") return "end";
      throw error;
    }
    return this.#isEnded ? "end" : "time";
  }

  async #readKeys(): Promise<void> {
    const keys = new Uint8Array(64);
    for (;;) {
      const count = await Deno.stdin.read(keys).catch(() => null);
      if (count !== null && !keys.subarray(0, count).some((key) => ENDING.has(key))) {
        // Any other key is a look ahead of time.
        this.#wake?.();
        continue;
      }
      this.#isEnded = count !== null;
      this.#wake?.();
      return;
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    if (this.#isPicture && Deno.build.os !== "windows") Deno.removeSignalListener("SIGWINCH", this.#onResize);
    if (this.#hasKeys) Deno.stdin.setRaw(false);
  }
}

/** The alternate screen, the cursor hidden; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_TO_LINE_END = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const STYLES = /(\p{Cc}\[[0-9]{1,2}m)/u;

/** A picture that fills the terminal. */
class Screen implements Disposable {
  readonly #terminal: ProcessTerminal;
  readonly #title: string;
  /** What is to be seen besides the last round. */
  #kept: string[] = [];
  #lines: readonly string[] = [];
  #isOpen = true;
  #time = "";

  constructor(terminal: ProcessTerminal, title: string) {
    this.#terminal = terminal;
    this.#title = title;
    terminal.draw(ENTER, true);
  }

  /** @param keep the text stays when the next one comes; undefined where each takes the place of the one before */
  show(text: string, keep: boolean | undefined): void {
    const lines = text.replace(/\n$/, "").split("\n");
    this.#time = new Date().toTimeString().slice(0, "hh:mm:ss".length);
    if (keep === true) this.#kept.push(this.#time, ...lines, "");
    this.#kept = this.#kept.slice(-this.#terminal.screen.rows);
    this.#lines = keep === undefined || this.#kept.length === 0 ? lines : this.#kept;
    this.#draw(keep !== undefined && this.#kept.length > 0);
  }

  /** @param fromEnd where there are too many lines the last ones count */
  #draw(fromEnd: boolean): void {
    const { columns, rows } = this.#terminal.screen;
    const room = Math.max(1, rows - 2);
    let shown = this.#lines;
    if (shown.length > room) {
      shown = fromEnd ? shown.slice(-room) : [
        ...shown.slice(0, room - 1),
        this.#terminal.style.dim(`and ${shown.length - room + 1} more lines`),
      ];
    }
    const title = this.#terminal.style.dim(cut(`${this.#title}  (${this.#time}, q ends)`, columns));
    const picture = [title, "", ...shown.map((line) => cut(line, columns))];
    this.#terminal.draw(
      HOME + picture.map((line) => line + CLEAR_TO_LINE_END).join("\r\n") + CLEAR_BELOW,
      true,
    );
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) this.#terminal.draw(LEAVE, true);
    this.#isOpen = false;
  }
}

/** As much of a line as fits, its styles with it. */
function cut(line: string, columns: number): string {
  if (displayWidth(line) <= columns) return line;
  let room = columns;
  return line.split(STYLES).map((part, i) => {
    if (i % 2 === 1) return part;
    let kept = "";
    for (const char of part) {
      room -= displayWidth(char);
      if (room < 0) break;
      kept += char;
    }
    return kept;
  }).join("");
}
