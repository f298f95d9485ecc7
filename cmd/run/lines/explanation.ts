/** What `explain` finds out, and what it says. */
import type { HostFunction } from "../../../lib/host/host.ts";
import { loadRule } from "../../reference/load.ts";
import type { Rule } from "../../reference/parse.ts";
import { type Failure, failureJson } from "../../output/failure.ts";
import { type Named, propose } from "../../output/proposal.ts";
import type { TraceCollector } from "../../output/trace/collector.ts";

/** What `explain` finds out. */
export type Explanation = {
  readonly explained: string;
  readonly outcome: "done" | "refused";
  readonly error: Readonly<Record<string, unknown>> | null;
  readonly refused_by: string | null;
  /** The rule of docs/reference that decides. */
  readonly reference: Rule | null;
  readonly hint: string | null;
  readonly instructions: number;
  readonly lines: readonly string[];
};

/**
 * The result of `explain`.
 *
 * @param failure what the command was refused with, if it was
 * @param note what to say of a function where the failure says nothing
 */
export async function explanation(
  explained: string,
  failure: Failure | undefined,
  trace: TraceCollector,
  note: () => string | undefined,
): Promise<Explanation> {
  return {
    explained,
    outcome: failure === undefined ? "done" : "refused",
    error: failure === undefined ? null : failureJson(failure),
    refused_by: failure?.refusedBy ?? null,
    reference: failure?.ref === undefined ? null : await loadRule(failure.ref),
    hint: failure?.hint ?? note() ?? null,
    instructions: trace.count("insn"),
    lines: trace.text().split("\n").filter((line) => line !== ""),
  };
}

/** Why a function in the hands of the generic driver behaves as it does. */
export function driverNote({ guest, zdev }: HostFunction, named: Named): string | undefined {
  if (guest.kernel.binding(zdev).driver !== "vfio-pci") return undefined;
  const { release, genericBars } = guest.kernel.rules;
  const bars = genericBars === "absent"
    ? "BARs of ISM cannot be mapped (ENODEV)"
    : "BAR 0 cannot be mapped, and other BARs go through MIO instructions, which ISM does not have (loads give all " +
      "ones, stores are lost)";
  const note =
    `vfio-pci of Linux ${release} holds the function: regions are 2^40 apart, and ${bars}; "ism bind" gives the ` +
    "function to ism_vfio_pci";
  return propose(note, named);
}
