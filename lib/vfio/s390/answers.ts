/** Answers of PCI instructions as errnos, with what a driver's author can do about them (vfio.cc.errno). */
import type { RuleName } from "../../base/rule_names.ts";
import { hex } from "../../base/hex.ts";
import { CC, mpcifcStatusText, STATUS, statusText } from "../../zpci/answer.ts";
import { ErrnoError } from "../errno.ts";

/** The rule of a refusal with condition code 3. */
export const INVALID_HANDLE_RULE = "function handle";

/** An instruction that did not end with condition code 0. */
export interface FailedInstruction {
  readonly op: string;
  /** The function of arch/s390/pci/pci_insn.c that executed it. */
  readonly symbol: string;
  readonly cc: number;
  readonly status: number;
  readonly fh: number;
  /** The function's own answer, not the machine's. */
  readonly refusedByDevice: boolean;
  /** Where a load or store went. */
  readonly at?: { readonly space: number; readonly offset: number } | undefined;
}

/** EIO for condition codes 1 and 3. */
export function instructionError(failed: FailedInstruction): ErrnoError {
  const { op, symbol, cc, status, fh, refusedByDevice } = failed;
  const source = `arch/s390/pci/pci_insn.c: ${symbol}`;
  if (cc === CC.INVALID_HANDLE) {
    return new ErrnoError("EIO", {
      layer: "instruction",
      ref: "zpci.handle.stale",
      rule: INVALID_HANDLE_RULE,
      source,
      message: `${op} answered condition code 3: the function handle ${hex(fh, 8)} is not valid`,
      hint:
        'the function is disabled, gone, or has another handle by now; "ism zpci recover" makes the kernel look',
    });
  }
  const hint = hintFor(failed);
  return new ErrnoError("EIO", {
    layer: refusedByDevice ? "device" : "instruction",
    ref: ruleOf(failed),
    rule: `status ${status}`,
    source,
    message: `${op} answered condition code 1, status ${status}: ${
      (op === "MPCIFC" || op === "RPCIT" ? mpcifcStatusText : statusText)(status)
    }`,
    hint,
  });
}

/** The errno of a refused step, undefined if it was done. */
export function refusalOf(step: () => void): ErrnoError | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
}

/** The rule that a condition code 1 comes from. */
function ruleOf({ op, status, refusedByDevice, at }: FailedInstruction): RuleName {
  if (op === "RPCIT") return "zpci.rpcit.map";
  if (op === "MPCIFC") return "zpci.insn.status";
  if (status === STATUS.ERROR_STATE || status === STATUS.BLOCKED) return "recovery.event.state";
  if (!refusedByDevice || at === undefined) return "vfio.cc.errno";
  if (at.space !== 0) return "ism.cmd.area";
  return op === "PCILG" ? "ism.data.load" : "ism.data.refused";
}

function hintFor({ op, status, refusedByDevice, at }: FailedInstruction): string | undefined {
  if (at === undefined) return undefined;
  if (status === STATUS.ERROR_STATE || status === STATUS.BLOCKED) {
    return "VFIO_DEVICE_RESET brings the function back, as does closing and opening it";
  }
  if (at.space !== 0 || !refusedByDevice) return undefined;
  return op === "PCILG"
    ? "BAR 0 takes stores only; a DMB is read in the memory of its owner"
    : "the token is not registered, or not for this GID, or the block leaves the DMB, or the owner cannot be reached";
}
