/**
 * Faults that a scenario asks for: at the n-th access that matches, the machine answers differently. The same plan on
 * the same host gives the same run.
 */
import { Journal, Kept, type PutRow } from "../base/journal.ts";
import { CC, PROGRAM_EXCEPTION, ProgramException, type ProgramExceptionName, STATUS } from "./answer.ts";
import { isMeasurementEvent, reportError } from "./error_events.ts";
import type { ZpciFunction } from "./function.ts";

/** Instructions that a fault can be put on. */
export const FAULT_OPS = ["PCILG", "PCISTG", "PCISTB", "MPCIFC", "RPCIT"] as const;
export type FaultOp = (typeof FAULT_OPS)[number];

/** What happens instead of, or with, the access. */
export type FaultKind =
  /** Condition code 2, that many times; then the access happens. */
  | { readonly kind: "busy"; readonly times: number }
  /** Condition code 1 with a status code. */
  | { readonly kind: "status"; readonly status: number }
  /** Condition code 3. */
  | { readonly kind: "invalid-handle" }
  | { readonly kind: "exception"; readonly exception: ProgramExceptionName }
  /** An error event with this event code (recovery.event.codes), and the state that follows from it. */
  | { readonly kind: "event"; readonly pec: number }
  /** One bit of the data is inverted, counted from the most significant of the first byte. */
  | { readonly kind: "flip"; readonly bit: number };

/** Which accesses count. What is left out matches anything. */
export interface FaultMatch {
  readonly op?: FaultOp;
  readonly fid?: number;
  readonly space?: number;
  /** First and last offset; an access that touches the range matches. */
  readonly from?: number;
  readonly to?: number;
}

/** A fault of the plan. */
export interface Fault {
  readonly id: number;
  readonly fault: FaultKind;
  readonly match: FaultMatch;
  /** It strikes at this matching access, counted from 1. */
  readonly at: number;
  /** Matching accesses so far. */
  readonly seen: number;
}

/** State of a plan, for the host file. */
export interface FaultPlanState {
  readonly nextId: number;
  readonly faults: readonly Fault[];
}

type Mutable<Of> = { -readonly [Key in keyof Of]: Of[Key] };

/** All faults of a host. */
export class FaultPlan extends Kept {
  #faults: Mutable<Fault>[] = [];
  #nextId = 1;
  #flip: number | undefined = undefined;

  constructor(journal: Journal = new Journal()) {
    super(journal);
  }

  /** The faults in the order in which they were added. */
  get faults(): readonly Fault[] {
    return this.#faults;
  }

  /** A number for a fault of another list, which shares the numbers of this one. */
  takeId(): number {
    this.touch();
    return this.#nextId++;
  }

  /** Adds a fault that strikes at the `at`-th matching access. @returns its id */
  add(fault: FaultKind, match: FaultMatch, at: number): number {
    const id = this.takeId();
    this.#faults.push({ id, fault, match, at, seen: 0 });
    return id;
  }

  /** Removes a fault, or all of them. @returns how many were removed */
  clear(id?: number): number {
    this.touch();
    const before = this.#faults.length;
    this.#faults = id === undefined ? [] : this.#faults.filter((fault) => fault.id !== id);
    return before - this.#faults.length;
  }

  /**
   * Looks at an access before the machine performs it.
   *
   * @returns `cc | status << 8` to answer with instead, or undefined to let the access happen
   * @throws {ProgramException} the exception that a fault asks for
   */
  before(op: FaultOp, fn: ZpciFunction, space: number, offset: number, length: number): number | undefined {
    this.#flip = undefined;
    // Nearly every host has none, and nearly every access asks.
    if (this.#faults.length === 0) return undefined;
    this.touch();
    let answer: number | undefined = undefined;
    for (const fault of this.#faults) {
      if (!matches(fault.match, op, fn, space, offset, length)) continue;
      fault.seen++;
      const lasts = fault.fault.kind === "busy" ? fault.fault.times : 1;
      if (fault.seen < fault.at || fault.seen >= fault.at + lasts) continue;
      answer ??= this.#strike(fault.fault, op, fn, offset);
    }
    return answer;
  }

  /** Inverts the bit that the last access is to have inverted, in `length` bytes of its data at `start`. */
  corrupt(bytes: Uint8Array, start: number, length: number): void {
    const bit = this.#flip;
    this.#flip = undefined;
    if (bit === undefined || bit >= length * 8) return;
    const at = start + (bit >> 3);
    bytes[at] = bytes[at]! ^ 0x80 >> (bit & 7);
  }

  #strike(fault: FaultKind, op: FaultOp, fn: ZpciFunction, offset: number): number | undefined {
    switch (fault.kind) {
      case "busy":
        return CC.BUSY;
      case "status":
        return CC.ERROR | fault.status << 8;
      case "invalid-handle":
        return CC.INVALID_HANDLE;
      case "exception":
        throw new ProgramException(fault.exception, `${op}, by an injected fault,`);
      case "event":
        reportError(fn, fault.pec, offset, op !== "PCILG");
        // An event about the measurement block leaves the function as it was, and the access happens.
        return isMeasurementEvent(fault.pec) ? undefined : CC.ERROR | STATUS.BLOCKED << 8;
      case "flip":
        this.#flip = fault.bit;
        return undefined;
    }
  }

  get rows(): this {
    return this;
  }

  writeRows(put: PutRow): void {
    put("faults", this.save());
  }

  protected override remember(): () => void {
    const nextId = this.#nextId;
    const faults = this.#faults.map((fault) => ({ ...fault }));
    return () => {
      this.#nextId = nextId;
      this.#faults = faults;
    };
  }

  save(): FaultPlanState {
    return { nextId: this.#nextId, faults: this.#faults };
  }

  restore(state: FaultPlanState): void {
    this.#nextId = state.nextId;
    this.#faults = state.faults.map((fault) => ({ ...fault }));
  }
}

function matches(
  match: FaultMatch,
  op: FaultOp,
  fn: ZpciFunction,
  space: number,
  offset: number,
  length: number,
): boolean {
  return (match.op === undefined || match.op === op) &&
    (match.fid === undefined || match.fid === fn.identity.fid) &&
    (match.space === undefined || match.space === space) &&
    (match.to === undefined || offset <= match.to) &&
    (match.from === undefined || offset + Math.max(length, 1) > match.from);
}

/** Names of program exceptions, for those who name one. */
export const EXCEPTION_NAMES = Object.keys(PROGRAM_EXCEPTION) as ProgramExceptionName[];
