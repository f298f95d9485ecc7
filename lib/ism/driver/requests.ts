/**
 * Eventfds of a driver: their counts, and the one by which the kernel asks for the device (vfio.setirqs.fds and
 * vfio.unplug.wait).
 */
import { ErrnoError } from "../../vfio/errno.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import type { VfioDescriptor } from "./descriptor.ts";

/** Where a count is read to. */
const COUNTER = new Uint8Array(8);
const COUNTER_VIEW = new DataView(COUNTER.buffer);

/** Interrupts that wait in an eventfd, taken out; 0 if there are none. */
export function takeCount(sys: Pick<SystemCalls, "read">, eventfd: number): number {
  try {
    sys.read(eventfd, COUNTER, COUNTER.length);
  } catch (error) {
    if (error instanceof ErrnoError && error.code === "EAGAIN") return 0;
    throw error;
  }
  return COUNTER_VIEW.getUint32(4, true) * 2 ** 32 + COUNTER_VIEW.getUint32(0, true);
}

/** The REQ interrupt of a driver that listens to it. */
export class Requests {
  readonly #sys: SystemCalls;
  /** The eventfd, null while the driver does not listen. */
  eventfd: number | null;

  constructor(sys: SystemCalls, eventfd: number | null) {
    this.#sys = sys;
    this.eventfd = eventfd;
  }

  /** How often the kernel asked since the last call; the first one installs the eventfd. @throws {ErrnoError} */
  take(descriptor: VfioDescriptor): number {
    if (this.eventfd === null) {
      const eventfd = this.#sys.eventfd();
      descriptor.enableRequests(eventfd);
      this.eventfd = eventfd;
    }
    return takeCount(this.#sys, this.eventfd);
  }

  /** The driver lets go of the device. */
  close(): void {
    if (this.eventfd !== null) this.#sys.close(this.eventfd);
    this.eventfd = null;
  }
}
