/** Ctrl-C while something goes on that can be given up in an orderly way. */
import { InterruptedError } from "../output/failure.ts";

/**
 * Listens for Ctrl-C (SIGINT) from its creation to the end of its `using` block. One listener for all pauses: to add
 * and remove one each time would cost more than the looks between the pauses.
 */
export class InterruptWatch implements Disposable {
  #interrupted = false;
  #wake: (() => void) | undefined = undefined;
  readonly #listener = () => {
    this.#interrupted = true;
    this.#wake?.();
  };

  constructor() {
    Deno.addSignalListener("SIGINT", this.#listener);
  }

  /** Sleeps. @throws {InterruptedError} as soon as Ctrl-C was pressed since the watch began */
  async sleep(milliseconds: number): Promise<void> {
    if (!this.#interrupted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    if (this.#interrupted) throw new InterruptedError();
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
  }
}

/** How long work goes on without a look at signals. Milliseconds. */
const TURN_MS = 50;

/** Lets Ctrl-C in between the pieces of long work. */
export class Yielding implements Disposable {
  readonly #watch = new InterruptWatch();
  #next = performance.now() + TURN_MS;

  /** Looks for Ctrl-C now and then. @throws {InterruptedError} */
  async now(): Promise<void> {
    if (performance.now() < this.#next) return;
    await this.#watch.sleep(0);
    this.#next = performance.now() + TURN_MS;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}
