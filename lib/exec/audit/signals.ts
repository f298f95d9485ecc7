/** Interrupts: the order in which the SBA is cleared, and the eventfd that tells of errors. */
import { DEVICE_IOCTL, IRQ, IRQ_INFO, IRQ_SET } from "../../vfio/uapi.ts";
import { type AuditEvent, type EventOf, type Group, type Origin, pinned, type Report } from "./event.ts";

/** What is known of an open device. */
interface Interrupts {
  readonly userRecovers: boolean;
  /** Where the MSI was installed: from then on there may be DMA. */
  msi: Origin | undefined;
  /** ERR was installed, or the program found out that there is none. */
  err: boolean;
  /** The summary bit was seen clear since the last finding: what is set now a device has set. */
  quiet: boolean;
}

/** Findings about interrupts. */
export class Signals implements Group {
  readonly #devices = new Map<number, Interrupts>();

  see(event: AuditEvent, report: Report): void {
    switch (event.kind) {
      case "opened": {
        const { device, userRecovers } = event;
        this.#devices.set(device, { userRecovers, msi: undefined, err: false, quiet: false });
        return;
      }
      case "ioctl":
        return this.#wired(event);
      case "sba":
        return this.#sampled(event, report);
      case "closed":
        return this.#closed(event.device, report);
    }
  }

  #wired({ device, request, arg, result, origin }: EventOf<"ioctl">): void {
    const state = this.#devices.get(device);
    if (state === undefined) return;
    if (request === DEVICE_IOCTL.VFIO_DEVICE_GET_IRQ_INFO && arg.length >= IRQ_INFO.size) {
      if (IRQ_INFO.decode(arg).index === IRQ.ERR && result < 0) state.err = true;
    }
    if (request !== DEVICE_IOCTL.VFIO_DEVICE_SET_IRQS || arg.length < IRQ_SET.size) return;
    const { index, count } = IRQ_SET.decode(arg);
    if (index === IRQ.ERR) state.err = true;
    else if (index === IRQ.MSI && count > 0 && result === 0) state.msi ??= pinned(origin);
  }

  /**
   * Summary set, no bit set, and the program took note of the interrupt: it has cleared the bits and not the summary.
   * Where it has not, the bits belong to an interrupt that is being handled, and the summary to the next one.
   */
  #sampled({ device, summary, bits, interrupted, origin }: EventOf<"sba">, report: Report): void {
    const state = this.#devices.get(device);
    if (state === undefined) return;
    if (!summary) state.quiet = true;
    else if (!bits && state.quiet && !interrupted()) {
      state.quiet = false;
      report(
        "summary-cleared-late",
        origin,
        "all bits of DMBs and events are cleared, and the summary bit is still set",
      );
    }
  }

  #closed(device: number, report: Report): void {
    const state = this.#devices.get(device);
    this.#devices.delete(device);
    if (state === undefined || !state.userRecovers || state.err || state.msi === undefined) return;
    const message = "MSI was installed and ERR was not, and the kernel leaves errors to the program";
    report("no-err-eventfd", state.msi, message, state.msi.site());
  }
}
