/** How a function is reset, and which locks that needs. Facts: recovery.lock.calls. */
import type { FunctionLocks } from "./function_locks.ts";
import type { LockOp } from "./lock_plan.ts";
import { coreError } from "./refusal.ts";
import type { ReleaseRules } from "./release.ts";
import type { Zdev } from "./s390/zdev.ts";

/** Resets of one function. */
export class FunctionReset {
  readonly #zdev: Zdev;
  readonly #locks: FunctionLocks;
  readonly #rules: ReleaseRules;

  constructor(zdev: Zdev, locks: FunctionLocks, rules: ReleaseRules) {
    this.#zdev = zdev;
    this.#locks = locks;
    this.#rules = rules;
  }

  /**
   * vfio_pci_try_reset_function, and pci_try_reset_function of a hot reset: registers of the PCI header survive,
   * everything in the device is lost.
   *
   * @returns 0, or the condition code with which the machine refused translation: the function is disabled then
   * @throws {ErrnoError} EAGAIN if the device lock is taken, EIO if the state lock is, or the machine does not reset
   */
  try(op: LockOp): number {
    if (!this.#locks.try("device", op)) {
      const source = "drivers/pci/pci.c: pci_try_reset_function";
      throw coreError(
        "EAGAIN",
        "recovery.lock.calls",
        "device lock",
        source,
        "Somebody else holds the device lock",
        "try again",
      );
    }
    return this.locked(op);
  }

  /** As {@linkcode try}, for who holds the device lock. */
  locked(op: LockOp): number {
    const { pci } = this.#zdev;
    pci.saveAndDisable(this.#rules);
    try {
      return this.slot(op);
    } finally {
      pci.restore();
    }
  }

  /** The function can be reset, as far as its state goes: what a hot reset asks first. @throws {ErrnoError} ENODEV */
  probe(source: string): void {
    if (this.#zdev.state === "configured" && this.#locks.probe("hot-reset")) return;
    throw coreError(
      "ENODEV",
      "recovery.lock.calls",
      "no slot reset",
      source,
      "Neither the slot nor the bus can be reset: the function's state is about to change",
      "try again",
    );
  }

  /** reset_slot: the state lock is only tried. A hot reset has tried it before. @throws {ErrnoError} EIO */
  slot(op: LockOp): number {
    if (this.#zdev.state !== "configured" || (op !== "hot-reset" && !this.#locks.try("state", op))) {
      throw coreError(
        "EIO",
        "recovery.lock.calls",
        "state lock",
        "drivers/pci/hotplug/s390_pci_hpc.c: reset_slot",
        "The function's state is about to change",
        "try again",
      );
    }
    return this.#zdev.hotReset();
  }
}
