/**
 * Times at which somebody else holds a function's device lock, as a scenario asks for: sysfs, hotplug or another
 * process may hold it on a real machine. Whatever only tries the lock is refused then (docs/reference/vfio/open.md and
 * vfio/reset.md).
 */

/** Calls that try the device lock. */
export const LOCK_OPS = ["open", "reset", "hot-reset"] as const;
export type LockOp = (typeof LOCK_OPS)[number];

/** A time at which the lock is taken. */
export interface LockFault {
  readonly id: number;
  /** Only this call; any by default. */
  readonly op?: LockOp;
  /** Only this function; any by default. */
  readonly fid?: number;
  /** It is taken from this attempt on, counted from 1 ... */
  readonly at: number;
  /** ... for so many attempts. */
  readonly times: number;
  /** Attempts so far. */
  readonly seen: number;
}

/** State of a plan, for the host file. */
export interface LockPlanState {
  readonly faults: readonly LockFault[];
}

type Mutable<Of> = { -readonly [Key in keyof Of]: Of[Key] };

/** All lock faults of a host; its kernels share it. */
export class LockPlan {
  #faults: Mutable<LockFault>[] = [];

  /** The faults in the order in which they were added. */
  get faults(): readonly LockFault[] {
    return this.#faults;
  }

  /** Adds a fault; the caller gives the id. */
  add(fault: Omit<LockFault, "seen">): void {
    this.#faults.push({ ...fault, seen: 0 });
  }

  /** Removes a fault, or all of them. @returns how many were removed */
  clear(id?: number): number {
    const before = this.#faults.length;
    this.#faults = id === undefined ? [] : this.#faults.filter((fault) => fault.id !== id);
    return before - this.#faults.length;
  }

  /** An attempt to take the lock of a function. @returns true if it fails */
  taken(op: LockOp, fid: number): boolean {
    let taken = false;
    for (const fault of this.#faults) {
      if (fault.op !== undefined && fault.op !== op) continue;
      if (fault.fid !== undefined && fault.fid !== fid) continue;
      fault.seen++;
      if (fault.seen >= fault.at && fault.seen < fault.at + fault.times) taken = true;
    }
    return taken;
  }

  save(): LockPlanState {
    return { faults: this.#faults };
  }

  restore(state: LockPlanState): void {
    this.#faults = state.faults.map((fault) => ({ ...fault }));
  }
}
