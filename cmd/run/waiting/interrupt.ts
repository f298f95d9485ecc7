/** Ctrl-C while something goes on that can be given up in an orderly way. */
import { type EndingSignal, InterruptedError } from "../../output/failure.ts";

const SIGNALS: readonly EndingSignal[] = ["SIGINT", "SIGTERM"];

/**
 * Listens for Ctrl-C (SIGINT) and SIGTERM from its creation to the end of its `using` block. One listener for all pauses: to add
 * and remove one each time would cost more than the looks between the pauses.
 */
export class InterruptWatch implements Disposable {
  #signal: EndingSignal | undefined = undefined;
  #wake: (() => void) | undefined = undefined;
  readonly #listeners = SIGNALS.map((signal) => [signal, () => this.#interrupt(signal)] as const);
  readonly #ofOther: AbortSignal | undefined;
  readonly #aborted = () => this.#interrupt(this.#ofOther!.reason as EndingSignal);

  /** @param ofOther ends the work of another process, to which this one's signals mean nothing */
  constructor(ofOther: AbortSignal | undefined) {
    this.#ofOther = ofOther;
    if (ofOther === undefined) {
      for (const [signal, listener] of this.#listeners) Deno.addSignalListener(signal, listener);
    } else if (ofOther.aborted) this.#aborted();
    else ofOther.addEventListener("abort", this.#aborted);
  }

  #interrupt(signal: EndingSignal): void {
    this.#signal ??= signal;
    this.#wake?.();
  }

  /**
   * Sleeps.
   *
   * @param what what to say of the interrupted work, as {@linkcode InterruptedError} takes it
   * @throws {InterruptedError} as soon as a signal has come since the watch began
   */
  async sleep(milliseconds: number, what: () => string): Promise<void> {
    if (this.#signal === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    if (this.#signal !== undefined) throw new InterruptedError(this.#signal, what());
  }

  [Symbol.dispose](): void {
    this.#ofOther?.removeEventListener("abort", this.#aborted);
    if (this.#ofOther !== undefined) return;
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }
}

/** How long work goes on without a look at signals. Milliseconds. */
const TURN_MS = 50;
/** The most pieces of work without a look at the clock, which costs more than a small piece. */
const MOST_PIECES = 256;

/** Lets Ctrl-C in between the pieces of long work. */
export class Yielding implements Disposable {
  /** Made when the first turn is over: short work does without. */
  #watch: InterruptWatch | undefined = undefined;
  #looked = performance.now();
  #next = this.#looked + TURN_MS;
  /** Pieces until the next look at the clock, and how many there were since the last. */
  #left = 1;
  #pieces = 1;
  readonly #ofOther: AbortSignal | undefined;

  /** @param ofOther as {@linkcode InterruptWatch} takes it */
  constructor(ofOther?: AbortSignal) {
    this.#ofOther = ofOther;
  }

  /** True now and then: {@linkcode now} is to be called before the next piece. */
  isDue(): boolean {
    if (--this.#left > 0) return false;
    const now = performance.now();
    // As many pieces as took a hundredth of a turn, so that long pieces are looked at one by one.
    const isQuick = now - this.#looked < TURN_MS / 100;
    this.#pieces = isQuick ? Math.min(this.#pieces * 2, MOST_PIECES) : 1;
    this.#left = this.#pieces;
    this.#looked = now;
    return now >= this.#next;
  }

  /**
   * Looks for Ctrl-C.
   *
   * @param what as {@linkcode InterruptWatch.sleep} takes it
   * @throws {InterruptedError}
   */
  async now(what: () => string): Promise<void> {
    this.#watch ??= new InterruptWatch(this.#ofOther);
    await this.#watch.sleep(0, what);
    this.#looked = performance.now();
    this.#next = this.#looked + TURN_MS;
  }

  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
  }
}
