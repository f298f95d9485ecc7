/** Eventfds of a driver: their counts, and those by which the kernel asks for the device and tells of errors. */
import { ErrnoError } from "../../vfio/errno.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import type { VfioDescriptor } from "./descriptor.ts";

/** Where a count is read to. */
const COUNTER = new Uint8Array(8);
const COUNTER_VIEW = new DataView(COUNTER.buffer);
/** As a descriptor in SET_IRQS: none. */
const NO_EVENTFD = -1;

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

/**
 * An interrupt index of which a driver listens to the one interrupt: REQ or ERR (vfio.setirqs.req, vfio.setirqs.err).
 */
export class Listener {
  readonly #sys: SystemCalls;
  readonly #index: number;
  readonly #touch: () => void;
  /** The eventfd, null while the driver does not listen. */
  eventfd: number | null;

  /** `touch` is called before the eventfd changes. */
  constructor(sys: SystemCalls, index: number, eventfd: number | null, touch: () => void) {
    this.#touch = touch;
    this.#sys = sys;
    this.#index = index;
    this.eventfd = eventfd;
  }

  /** Listens from now on. @throws {ErrnoError} EINVAL if the kernel does not have the interrupt */
  listen(descriptor: VfioDescriptor): number {
    if (this.eventfd !== null) return this.eventfd;
    const eventfd = this.#sys.eventfd();
    try {
      descriptor.installEventFd(this.#index, eventfd);
    } catch (error) {
      this.#sys.close(eventfd);
      throw error;
    }
    this.#touch();
    return this.eventfd = eventfd;
  }

  /** How often it was signalled since the last call; the first one begins to listen. @throws {ErrnoError} */
  take(descriptor: VfioDescriptor): number {
    return takeCount(this.#sys, this.listen(descriptor));
  }

  /** Does not listen any more; the device goes on. */
  leave(descriptor: VfioDescriptor): void {
    if (this.eventfd === null) return;
    descriptor.installEventFd(this.#index, NO_EVENTFD);
    this.close();
  }

  /** The driver lets go of the device. */
  close(): void {
    if (this.eventfd === null) return;
    this.#sys.close(this.eventfd);
    this.#touch();
    this.eventfd = null;
  }
}
