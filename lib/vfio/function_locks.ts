/**
 * The two locks of a function that calls only try: the device lock, and the state lock of arch/s390/pci. Held by a
 * removal that waits, by the kernel's handling of an error event for a while, and as a scenario asks for.
 * Facts: recovery.lock.calls (drivers/pci/pci.c: pci_dev_trylock; drivers/pci/hotplug/s390_pci_hpc.c: reset_slot).
 */
import type { LockName, LockOp, LockPlan } from "./lock_plan.ts";

/** Attempts for which the handling of the last error event still holds a lock, for the host file. */
export type RecoveryWindow = Readonly<Record<LockName, number>>;

export const NO_WINDOW: RecoveryWindow = { device: 0, state: 0 };

/** Who holds the locks for as long as something lasts. */
export interface LockHolder {
  holds(lock: LockName): boolean;
  /** Called before the window changes. */
  touch(): void;
}

/** Both locks of one function. */
export class FunctionLocks {
  readonly #plan: () => LockPlan;
  readonly #fid: number;
  readonly #holder: LockHolder;
  #window: RecoveryWindow = NO_WINDOW;

  /** `plan` gives the scenario's faults. */
  constructor(plan: () => LockPlan, fid: number, holder: LockHolder) {
    this.#plan = plan;
    this.#fid = fid;
    this.#holder = holder;
  }

  get window(): RecoveryWindow {
    return this.#window;
  }

  set window(window: RecoveryWindow) {
    this.#holder.touch();
    this.#window = window;
  }

  /** What puts the window back as it is now. */
  remember(): () => void {
    const window = this.#window;
    return () => this.#window = window;
  }

  /** An error event was handled: its locks are held for so many attempts, the device lock first. */
  openWindow(attempts: number): void {
    this.window = { device: attempts, state: attempts };
  }

  /** The handling has come to its end. */
  closeWindow(): void {
    this.window = NO_WINDOW;
  }

  /** An attempt to take a lock. @returns false if somebody else holds it */
  try(lock: LockName, op: LockOp): boolean {
    const planned = this.#plan().taken(lock, op, this.#fid);
    const inWindow = this.#passes(lock);
    return !planned && !inWindow && !this.#holder.holds(lock);
  }

  /**
   * Whether the function can be reset at all, which a hot reset asks first: no, while the state lock is held, as it is
   * for the whole handling of an error event.
   */
  probe(op: LockOp): boolean {
    return !this.#passes("device") && this.try("state", op);
  }

  /** Counts an attempt within the window. @returns true if the window still holds the lock */
  #passes(lock: LockName): boolean {
    const left = this.window[lock];
    if (left === 0) return false;
    this.window = { ...this.window, [lock]: left - 1 };
    return true;
  }
}
