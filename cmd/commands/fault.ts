/** Faults: what a scenario wants to go wrong, and when. */
import { hex } from "../../lib/base/hex.ts";
import { LOCK_OPS, type LockFault, type LockName, type LockOp } from "../../lib/vfio/lock_plan.ts";
import {
  EXCEPTION_NAMES,
  type Fault,
  FAULT_OPS,
  type FaultKind,
  type FaultOp,
} from "../../lib/zpci/faults.ts";
import type { ProgramExceptionName } from "../../lib/zpci/answer.ts";
import { argument, defaulted, defineCommand, flag, type Kind, optional } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Cell } from "../language/table.ts";
import { choice, number } from "../language/kinds.ts";
import { MAX_FAULTS } from "../language/limits.ts";
import { quoteText } from "../language/quote.ts";
import { parseNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";

const FORMS =
  "busy:COUNT, cc1:STATUS, cc3, exception:NAME, event:PEC, flip:BIT, lock:COUNT or state-lock:COUNT";

/** A fault of the machine, or a lock that somebody else holds. */
type AnyFault = FaultKind | { readonly kind: "lock"; readonly lock: LockName; readonly times: number };

/** How the command line calls the locks. */
const LOCK_WORDS: Readonly<Record<LockName, string>> = { device: "lock", state: "state-lock" };

/** What is to happen: a word, and behind a colon its number or name. */
const KIND: Kind<AnyFault> = {
  placeholder: "KIND",
  choices: ["busy:", "cc1:", "cc3", "exception:", "event:", "flip:", "lock:", "state-lock:"],
  parse(text) {
    const [word = "", value = ""] = text.split(":", 2);
    switch (word) {
      case "busy":
        return { kind: "busy", times: parseNumber(value, "busy", { min: 1, max: 2 ** 31 }) };
      case "cc1":
        return { kind: "status", status: parseNumber(value, "cc1", { max: 255 }) };
      case "cc3":
        if (text === "cc3") return { kind: "invalid-handle" };
        break;
      case "exception": {
        const exception = EXCEPTION_NAMES.find((name) => name === value);
        if (exception !== undefined) return { kind: "exception", exception };
        throw new UsageError(`${quoteText(value)} is not one of ${EXCEPTION_NAMES.join(", ")}`, {
          token: text,
        });
      }
      case "event":
        return { kind: "event", pec: parseNumber(value, "event", { max: 0xffff }) };
      case "flip":
        return { kind: "flip", bit: parseNumber(value, "flip", { max: 8 * 8192 }) };
      case "lock":
      case "state-lock": {
        const lock = word === "lock" ? "device" : "state";
        return { kind: "lock", lock, times: parseNumber(value, word, { min: 1, max: 2 ** 31 }) };
      }
    }
    throw new UsageError(`${quoteText(text)} is no fault; faults are ${FORMS}`, { token: text });
  },
};

function kindText(fault: AnyFault): string {
  switch (fault.kind) {
    case "busy":
      return `busy:${fault.times}`;
    case "status":
      return `cc1:${fault.status}`;
    case "invalid-handle":
      return "cc3";
    case "exception":
      return `exception:${fault.exception satisfies ProgramExceptionName}`;
    case "event":
      return `event:${hex(fault.pec)}`;
    case "flip":
      return `flip:${fault.bit}`;
    case "lock":
      return `${LOCK_WORDS[fault.lock]}:${fault.times}`;
  }
}

/** A fault as `fault list` shows it; null is "any". */
interface Listed {
  readonly id: number;
  readonly fault: string;
  readonly op: FaultOp | LockOp | null;
  readonly fid: string | null;
  readonly space: number | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly at: number;
  readonly seen: number;
}

function describe({ id, fault, match, at, seen }: Fault): Listed {
  return {
    id,
    fault: kindText(fault),
    op: match.op ?? null,
    fid: match.fid === undefined ? null : hex(match.fid),
    space: match.space ?? null,
    from: match.from === undefined ? null : hex(match.from),
    to: match.to === undefined ? null : hex(match.to),
    at,
    seen,
  };
}

function describeLock({ id, lock, op, fid, at, times, seen }: LockFault): Listed {
  return {
    id,
    fault: kindText({ kind: "lock", lock, times }),
    op: op ?? null,
    fid: fid === undefined ? null : hex(fid),
    space: null,
    from: null,
    to: null,
    at,
    seen,
  };
}

const isLockOp = (op: FaultOp | LockOp): op is LockOp => LOCK_OPS.some((each) => each === op);

export const faultAdd = defineCommand({
  name: "fault add",
  group: "host",
  summary: "Let the n-th matching access go wrong",
  details: `KIND is ${FORMS}.
busy answers condition code 2 that often; cc1 answers condition code 1 with a status; event puts the function into the
error state with an event code; flip inverts a bit of the data. Without options any access of the function counts.
lock lets somebody else hold the function's device lock for that many attempts of the kernel to take it: open, reset and
hot reset answer EAGAIN, a last close leaves its reset out. state-lock is the lock of the function's state: reset answers
EIO, a hot reset and its info ENODEV, an open goes without the RESET flag. Their --op is ${
    LOCK_OPS.join(", ")
  };
that of the others is an instruction.`,
  args: { kind: argument(KIND, FORMS) },
  options: {
    op: optional(choice("OP", [...FAULT_OPS, ...LOCK_OPS]), "only this instruction, or this call with lock"),
    space: optional(number("SPACE", { max: 15 }), "only this address space: a BAR, or 15 for config space"),
    from: optional(number("OFFSET"), "only accesses that touch this offset or what is behind it"),
    to: optional(number("OFFSET"), "only accesses that begin at or before this offset"),
    at: defaulted(number("N", { min: 1 }), 1, "the n-th matching access, from 1"),
    any: flag("accesses of any function, not only of the one that --device names"),
  },
  access: "write",
  examples: [
    "fault add busy:3 --op PCISTB --space 2",
    "fault add cc3 --op PCILG --at 2",
    "fault add lock:1 --op reset",
    "fault add state-lock:1 --op reset",
  ],
  run({ host, target }, { kind, op, space, from, to, at, any }) {
    const where = any ? {} : { fid: target.zdev.facts.fid };
    if (kind.kind === "lock") {
      if (space !== undefined || from !== undefined || to !== undefined) {
        throw new UsageError("A lock has no address space and no offset: leave --space, --from and --to out");
      }
      if (op !== undefined && !isLockOp(op)) throw wrongOp(op, LOCK_OPS);
      const id = host.faults.takeId();
      host.locks.add({
        ...where,
        lock: kind.lock,
        ...(op === undefined ? {} : { op }),
        id,
        at,
        times: kind.times,
      });
      return { id };
    }
    if (op !== undefined && isLockOp(op)) throw wrongOp(op, FAULT_OPS);
    const match = {
      ...where,
      ...(op === undefined ? {} : { op }),
      ...(space === undefined ? {} : { space }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    };
    if (host.faults.faults.length >= MAX_FAULTS) {
      throw new UsageError(
        `The host has ${MAX_FAULTS} faults, which is the most; "fault clear" removes some`,
      );
    }
    const id = host.faults.add(kind, match, at);
    host.applyFaults();
    return { id };
  },
  text: ({ id }) => String(id),
  value: ({ id }) => String(id),
});

function wrongOp(op: string, ops: readonly string[]): UsageError {
  return new UsageError(
    `op: ${quoteText(op)} is not one of ${ops.join(", ")}, which this fault can be put on`,
    {
      token: op,
    },
  );
}

/** What a fault does not say matches all. */
function orAny(value: string | number | null): Cell {
  return value ?? { value, shown: "any" };
}

export const faultList = defineListing({
  name: "fault list",
  group: "host",
  summary: "List the faults, with how many accesses matched so far",
  args: {},
  options: {},
  access: "read",
  examples: ["fault list"],
  run: ({ host }) => ({
    faults: [...host.faults.faults.map(describe), ...host.locks.faults.map(describeLock)]
      .sort((a, b) => a.id - b.id),
  }),
  table: {
    columns: [
      { name: "id" },
      { name: "fault" },
      { name: "op", drop: 2 },
      { name: "fid", drop: 3 },
      { name: "space", drop: 4 },
      { name: "offsets", drop: 5 },
      { name: "at", drop: 1 },
      { name: "seen" },
    ],
    rows: ({ faults }) =>
      faults.map(({ id, fault, op, fid, space, from, to, at, seen }) => [
        id,
        fault,
        orAny(op),
        orAny(fid),
        orAny(space),
        `${from ?? ""}..${to ?? ""}`,
        at,
        seen,
      ]),
    empty: "",
  },
});

export const faultClear = defineCommand({
  name: "fault clear",
  group: "host",
  summary: "Remove a fault, or all of them",
  args: { id: optional(number("ID"), "the fault; all by default") },
  options: {},
  access: "write",
  examples: ["fault clear"],
  run({ host }, { id }) {
    const removed = host.faults.clear(id) + host.locks.clear(id);
    if (removed === 0 && id !== undefined) throw new UsageError(`There is no fault ${id}; see "fault list"`);
    host.applyFaults();
    return { removed };
  },
});
