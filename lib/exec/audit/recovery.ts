/** What a program does about errors of its function: RESET again on EAGAIN, error blocks read to the end. */
import { DEVICE_IOCTL, FEATURE, FEATURE_FLAGS } from "../../vfio/uapi.ts";
import { type AuditEvent, type EventOf, type Group, type Origin, pinned, type Report } from "./event.ts";

const EAGAIN = -11;
const ENOTTY = -25;
const ENOMSG = -42;
const FEATURE_ZPCI_ERROR = 13;

/** What is known of an open device. */
interface Trouble {
  /** The only RESET that was tried, and answered EAGAIN. */
  refused: Origin | undefined;
  /** Error blocks wait since this call. */
  unread: Origin | undefined;
}

/** Findings about recovery. */
export class Recoveries implements Group {
  readonly #devices = new Map<number, Trouble>();

  see(event: AuditEvent, report: Report): void {
    switch (event.kind) {
      case "errors":
        if (event.waiting > 0) this.#of(event.device).unread ??= pinned(event.origin);
        return;
      case "transfer":
        return this.#goesOn(event.device, "accesses the function", report);
      case "ioctl":
        return this.#asked(event, report);
      case "closed":
        this.#goesOn(event.device, "closes the function", report);
        this.#undrained(event.device, "the last descriptor was closed", report);
        this.#devices.delete(event.device);
    }
  }

  #of(device: number): Trouble {
    let found = this.#devices.get(device);
    if (found === undefined) this.#devices.set(device, found = { refused: undefined, unread: undefined });
    return found;
  }

  #asked({ device, request, arg, result, origin }: EventOf<"ioctl">, report: Report): void {
    if (request === DEVICE_IOCTL.VFIO_DEVICE_RESET) {
      const state = this.#of(device);
      const isFirst = state.refused === undefined;
      state.refused = result === EAGAIN && isFirst ? pinned(origin) : undefined;
      if (result === 0) this.#undrained(device, "the function was reset", report, origin);
    } else if (request === DEVICE_IOCTL.VFIO_DEVICE_FEATURE && arg.length >= FEATURE.size) {
      const { flags } = FEATURE.decode(arg);
      if ((flags & FEATURE_FLAGS.INDEX) !== FEATURE_ZPCI_ERROR || (flags & FEATURE_FLAGS.GET) === 0) return;
      if (result === ENOMSG || result === ENOTTY) this.#of(device).unread = undefined;
    }
  }

  #goesOn(device: number, what: string, report: Report): void {
    const state = this.#devices.get(device);
    if (state?.refused === undefined) return;
    const { refused } = state;
    state.refused = undefined;
    report(
      "reset-not-retried",
      refused,
      `RESET answered EAGAIN once, and the program ${what}`,
      refused.site(),
    );
  }

  /** `at` is the call that should have waited; without it it is the one since which blocks wait. */
  #undrained(device: number, what: string, report: Report, at?: Origin): void {
    const state = this.#devices.get(device);
    if (state?.unread === undefined) return;
    const origin = at ?? state.unread;
    state.unread = undefined;
    const message = `feature 13 was not read until ENOMSG when ${what}, and error blocks waited`;
    report("errors-not-drained", origin, message, origin.site());
  }
}
