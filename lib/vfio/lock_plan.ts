/**
 * Times at which somebody else holds a function's device lock or state lock, as a scenario asks for: sysfs, hotplug or
 * another process may hold them on a real machine. Whatever only tries a lock is refused then (recovery.lock.calls).
 */

import { Journal, Kept, type PutRow } from "../base/journal.ts";

/** The locks: of the device (drivers/base), and of the function's state (arch/s390/pci). */
export const LOCK_NAMES = ["device", "state"] as const;
export type LockName = (typeof LOCK_NAMES)[number];

/** Calls that try them. */
export const LOCK_OPS = ["open", "reset", "hot-reset", "close"] as const;
export type LockOp = (typeof LOCK_OPS)[number];

/** A time at which a lock is taken. */
export interface LockFault {
  readonly id: number;
  readonly lock: LockName;
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
export class LockPlan extends Kept {
  #faults: Mutable<LockFault>[] = [];

  constructor(journal: Journal = new Journal()) {
    super(journal);
  }

  /** The faults in the order in which they were added. */
  get faults(): readonly LockFault[] {
    return this.#faults;
  }

  /** Adds a fault; the caller gives the id. */
  add(fault: Omit<LockFault, "seen">): void {
    this.touch();
    this.#faults.push({ ...fault, seen: 0 });
  }

  /** Removes a fault, or all of them. @returns how many were removed */
  clear(id?: number): number {
    this.touch();
    const before = this.#faults.length;
    this.#faults = id === undefined ? [] : this.#faults.filter((fault) => fault.id !== id);
    return before - this.#faults.length;
  }

  /** An attempt to take a lock of a function. @returns true if it fails */
  taken(lock: LockName, op: LockOp, fid: number): boolean {
    let taken = false;
    for (const fault of this.#faults) {
      if (fault.lock !== lock) continue;
      if (fault.op !== undefined && fault.op !== op) continue;
      if (fault.fid !== undefined && fault.fid !== fid) continue;
      this.touch();
      fault.seen++;
      if (fault.seen >= fault.at && fault.seen < fault.at + fault.times) taken = true;
    }
    return taken;
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put("locks", this.save());
  }

  protected override remember(): () => void {
    const state = { faults: this.#faults.map((fault) => ({ ...fault })) };
    return () => this.restore(state);
  }

  save(): LockPlanState {
    return { faults: this.#faults };
  }

  restore(state: LockPlanState): void {
    this.#faults = state.faults.map((fault) => ({ ...fault }));
  }
}
