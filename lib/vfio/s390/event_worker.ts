/**
 * The one worker that fetches the machine's reports and handles them, one after the other: what waits for a lock holds
 * up the reports of all functions of the guest behind it. Facts: recovery.lock.calls (drivers/s390/cio/chsc.c:
 * chsc_process_sei_nt2; arch/s390/pci/pci_event.c).
 */
import type { AvailabilityEvent, ErrorEvent } from "../../zpci/partition.ts";
import type { Binding } from "../binding.ts";
import type { Kernel } from "../kernel.ts";
import { reactToAvailability } from "./pci_event.ts";
import { type Reaction, reactToError } from "./recovery.ts";

/** A report that waits. */
export interface PendingReport {
  readonly error: ErrorEvent | null;
  readonly availability: AvailabilityEvent | null;
  /** The handle of an error event was looked up already: it holds the state lock and waits for the device lock. */
  readonly lookedUp: boolean;
}

/** State for the host file. */
export interface EventWorkerState {
  readonly pending: readonly PendingReport[];
  /** Function whose removal the worker waits for, as an availability event asked for it. */
  readonly removing: number | null;
}

/** The worker of one guest's kernel. */
export class EventWorker {
  readonly #kernel: Kernel;
  #pending: PendingReport[] = [];
  #removing: number | undefined = undefined;
  #running = false;
  /** What was made of the last error event. */
  lastReaction: Reaction | undefined = undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A report that waits for a lock. */
  get pending(): readonly PendingReport[] {
    return this.#pending;
  }

  error(event: ErrorEvent): void {
    this.lastReaction = "held-back";
    this.#kernel.touch();
    this.#pending.push({ error: event, availability: null, lookedUp: false });
    this.run();
  }

  availability(event: AvailabilityEvent): void {
    this.#kernel.touch();
    this.#pending.push({ error: null, availability: event, lookedUp: false });
    this.run();
  }

  /** An error event of the function has its handle looked up, and holds the function's state lock since. */
  holdsState(fid: number): boolean {
    const first = this.#pending[0];
    return first?.lookedUp === true && first.error?.fid === fid;
  }

  /** Goes on with what waits, as far as it can: a lock is free again. */
  run(): void {
    // A handler may cause reports of its own: they come after it.
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#pending.length > 0 && this.#handleFirst());
    } finally {
      this.#running = false;
    }
  }

  /** @returns false if the first report still waits */
  #handleFirst(): boolean {
    if (this.#waitsForRemoval()) return false;
    const { error, availability, lookedUp } = this.#pending[0]!;
    const { fid } = error ?? availability!;
    const binding = this.#bindingOf(fid);
    this.#kernel.touch();
    if (!lookedUp && binding?.holds("state") === true) return false;
    if (error === null) {
      this.#pending.shift();
      reactToAvailability(this.#kernel, availability!);
      if (binding?.holds("state") === true) this.#removing = fid;
      return true;
    }
    const reaction = reactToError(this.#kernel, error, lookedUp);
    this.lastReaction = reaction;
    if (reaction === "held-back") this.#pending[0] = { error, availability: null, lookedUp: true };
    else this.#pending.shift();
    return reaction !== "held-back";
  }

  #waitsForRemoval(): boolean {
    if (this.#removing === undefined) return false;
    if (this.#bindingOf(this.#removing)?.holds("state") === true) return true;
    this.#kernel.touch();
    this.#removing = undefined;
    return false;
  }

  #bindingOf(fid: number): Binding | undefined {
    const zdev = this.#kernel.zdevs.find(({ facts }) => facts.fid === fid);
    return zdev === undefined ? undefined : this.#kernel.binding(zdev);
  }

  /** What puts it back as it is now: the kernel remembers it with its own fields. */
  remember(): () => void {
    const [state, lastReaction] = [
      { pending: [...this.#pending], removing: this.#removing ?? null },
      this.lastReaction,
    ];
    return () => {
      this.restore(state);
      this.lastReaction = lastReaction;
    };
  }

  save(): EventWorkerState {
    return { pending: this.#pending, removing: this.#removing ?? null };
  }

  restore({ pending, removing }: EventWorkerState): void {
    this.#pending = [...pending];
    this.#removing = removing ?? undefined;
  }
}
