/** What tests look at in trace events. */
import type { ControlEvent, TraceEvent, TraceValue } from "../../lib/base/trace.ts";

const number = (value: TraceValue | undefined): number =>
  Number(value !== undefined && typeof value === "object" && "value" in value ? value.value : value ?? 0);

/** The operation of an instruction that is no access: MPCIFC's, the command of CLP and SCLP, the mode of SIC; else 0. */
export function operationOf({ args }: ControlEvent): number {
  return number(args["operation"] ?? args["command"] ?? args["mode"]);
}

/** Address and length of a range that RPCIT is about. */
export function rangeOf({ args }: ControlEvent): readonly [iova: number, length: number] {
  return [number(args["iova"]), number(args["length"])];
}

/** True for an MPCIFC with that operation. */
export function isMpcifc(event: TraceEvent, operation: number): boolean {
  return event.layer === "insn" && event.op === "MPCIFC" && operationOf(event as ControlEvent) === operation;
}
