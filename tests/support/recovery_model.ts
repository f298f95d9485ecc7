/**
 * What locks, marks and recovery give, from docs/reference/vfio/interrupts.md and recovery.md. Imports nothing of lib.
 */
const LOGGED = [0x2a, 0x2b, 0x2c];
const LOST = [0x3b, 0x40];
type Answer = number | string;

/** One function whose driver has its character device open or not; `userRecovers` is false in 7.1 and without zdev. */
export class RecoveryModel {
  machine: "enabled" | "error" | "permanent-error" | "standby" = "enabled";
  mark: "normal" | "frozen" | "permanent-failure" = "normal";
  bound = true;
  open = false;
  removal: "unbind" | "recover" | "deconfigure" | "gone" | undefined;
  canReset = false;
  queue: number[] = [];
  signals = 0;
  window = { device: 0, state: 0 };
  held: { pec: number; lookedUp: boolean }[] = [];

  constructor(readonly userRecovers: boolean, readonly hasErr: boolean, readonly attempts: number) {}

  #holds(lock: "device" | "state"): boolean {
    if (lock === "device") return this.removal !== undefined;
    return (this.removal ?? "unbind") !== "unbind" || this.held[0]?.lookedUp === true;
  }

  /** An attempt to take a lock. */
  #takes(lock: "device" | "state"): boolean {
    return this.window[lock] > 0 ? this.window[lock]-- < 0 : !this.#holds(lock);
  }

  #slotReset(): Answer {
    if (!this.#takes("state") || this.machine === "permanent-error") return "EIO";
    this.machine = "enabled";
    return 0;
  }

  /** What the kernel makes of an event, or "none" from a machine that has none in its state. */
  event(pec: number): string {
    if (this.machine !== "enabled" && this.machine !== "error") return "none";
    if (!LOGGED.includes(pec)) this.machine = LOST.includes(pec) ? "permanent-error" : "error";
    if (this.held.length === 0 && !this.#holds("state")) {
      if (LOGGED.includes(pec)) return "logged";
      if (!this.#holds("device")) return this.#handle(pec);
      this.held.push({ pec, lookedUp: true });
    } else this.held.push({ pec, lookedUp: false });
    return "held-back";
  }

  #handle(pec: number): string {
    if (LOGGED.includes(pec)) return "logged";
    const wasGivenUp = this.mark === "permanent-failure";
    const isLost = LOST.includes(pec) || wasGivenUp || !this.bound;
    this.mark = isLost ? "permanent-failure" : "frozen";
    if (this.open && this.userRecovers && this.queue.length < 4) this.queue.push(pec);
    if (this.bound) this.window = { device: this.attempts, state: this.attempts };
    if (this.open) this.signals++;
    if (isLost) return wasGivenUp && !LOST.includes(pec) ? "skipped" : "permanent-failure";
    if (this.open && this.userRecovers) return "left-to-user-space";
    [this.mark, this.machine] = ["normal", "enabled"];
    return "recovered";
  }

  reset(): Answer {
    return !this.canReset ? "EINVAL" : this.#takes("device") ? this.#slotReset() : "EAGAIN";
  }

  hotReset(): Answer {
    return this.hotResetInfo() !== 0 ? "ENODEV" : this.#takes("device") ? this.#slotReset() : "EAGAIN";
  }

  /** A reset is possible at all: the state lock is free, as it is not while an event is handled. */
  hotResetInfo(): Answer {
    return this.window.device > 0 && this.window.device-- > 0 || !this.#takes("state") ? "ENODEV" : 0;
  }

  bind(): Answer {
    if (!this.#takes("device")) return "EAGAIN";
    this.canReset = this.#slotReset() === 0;
    this.open = this.mark !== "permanent-failure" && this.machine === "enabled";
    return this.open ? 0 : "ENODEV";
  }

  close(): void {
    if (this.canReset && this.#takes("device")) this.#slotReset();
    [this.open, this.queue, this.signals] = [false, [], 0];
    this.window = { device: 0, state: 0 };
    if (this.removal !== undefined) this.end(this.removal);
  }

  /** A removal comes to its end, at once or at the last close; then the events that waited for it. */
  end(removal: NonNullable<RecoveryModel["removal"]>): Answer {
    const isLost = this.machine === "permanent-error" && removal === "recover";
    [this.removal, this.bound] = [undefined, removal === "recover" && !isLost];
    if (removal === "recover" && !isLost) [this.machine, this.mark] = ["enabled", "normal"];
    if (removal === "deconfigure") this.machine = "standby";
    for (const { pec } of this.held.splice(0)) if (removal === "unbind" || isLost) this.#handle(pec);
    return isLost ? "EIO" : 0;
  }
}
