/** Removals of drivers that wait for the last descriptor: when they ask for the device again (vfio.unplug.req). */
import type { Binding } from "./binding.ts";

/** While a removal waits, the process is asked for the device again and again after this time. Microseconds. */
export const REQUEST_PERIOD = 10_000_000;

/** Removals of a guest. System calls ask for what is due, so that it costs nothing while nothing waits. */
export class WaitingRemovals {
  readonly #bindings: readonly Binding[];
  /** One waits, or one did. */
  #mayWait = false;

  constructor(bindings: readonly Binding[]) {
    this.#bindings = bindings;
  }

  /** A removal waits from now on. */
  waits(): void {
    this.#mayWait = true;
  }

  /** Asks for every device for which it is time, by the machine's clock. */
  tick(): void {
    if (!this.#mayWait) return;
    for (const binding of this.#bindings) binding.tick();
    this.#mayWait = this.next !== undefined;
  }

  /** When one of them asks next; undefined if none waits. Microseconds since 1900. */
  get next(): number | undefined {
    const times = this.#bindings.map(({ nextRequest }) => nextRequest).filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}
