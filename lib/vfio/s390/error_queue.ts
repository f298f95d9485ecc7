/**
 * Error events of one function that wait for user space: a ring of four, while user space is the one to recover. Facts:
 * vfio.feature.zpcierror and recovery.event.order (arch/s390/pci/pci_event.c, drivers/vfio/pci/vfio_pci_zdev.c).
 */
import type { ErrorEvent } from "../../zpci/partition.ts";

/** Most error events that wait. */
export const ERROR_QUEUE = 4;

/** The queue of one function; it belongs to the function, not to a descriptor. */
export class ErrorQueue {
  #events: ErrorEvent[] = [];
  #dropped = 0;
  #userRecovers = false;
  readonly #touch: () => void;

  /** `touch` is called before every change. */
  constructor(touch: () => void) {
    this.#touch = touch;
  }

  /** User space recovers: errors of the function are left to it. From first open to last close. */
  get userRecovers(): boolean {
    return this.#userRecovers;
  }

  set userRecovers(userRecovers: boolean) {
    this.#touch();
    this.#userRecovers = userRecovers;
  }

  /** What puts it back as it is now. */
  remember(): () => void {
    const [events, dropped, userRecovers] = [[...this.#events], this.#dropped, this.#userRecovers];
    return () => this.restore(events, dropped, userRecovers);
  }

  /** The events, oldest first. */
  get events(): readonly ErrorEvent[] {
    return this.#events;
  }

  /** Events that found no place since the function was opened. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Keeps an event if user space is there to read it. A fifth one is lost, the four old ones stay. */
  put(event: ErrorEvent): void {
    if (!this.userRecovers) return;
    this.#touch();
    if (this.#events.length < ERROR_QUEUE) this.#events.push(event);
    else this.#dropped++;
  }

  /** Takes the oldest event out. */
  take(): ErrorEvent | undefined {
    this.#touch();
    return this.#events.shift();
  }

  /** Nobody reads any more. @returns how many were not read */
  end(): number {
    this.#touch();
    const left = this.#events.length;
    this.#events = [];
    this.#dropped = 0;
    this.#userRecovers = false;
    return left;
  }

  restore(events: readonly ErrorEvent[], dropped: number, userRecovers: boolean): void {
    this.#events = [...events];
    this.#dropped = dropped;
    this.#userRecovers = userRecovers;
  }
}
