/**
 * What public sources leave open about the adapter: each is a choice of the topology, with the fact sheet's proposal
 * as default. docs/fidelity.md lists them.
 */
export interface IsmOptions {
  /** Hardware version: 2 accepts the reserved VLAN id 0x1FFF, 1 refuses it. */
  readonly version: 1 | 2;
  /** Size of BAR 2 in bytes, a power of two. */
  readonly bar2Size: number;
  /** Loads of BAR 0: refused (condition code 1, status 20) or zeros. */
  readonly bar0Loads: "refuse" | "zeros";
  /** Status code of a refused BAR 0 store. */
  readonly bar0Status: number;
  /** A refused BAR 0 store only answers condition code 1, or also puts the writer into the error state (PEC 0x02). */
  readonly bar0Failure: "status" | "error-state";
  /** PCISTG to BAR 2: refused, or treated as a store block of its length. */
  readonly bar2Stores: "refuse" | "accept";
  /** A signal raises the MSI only when it sets `s` from 0 to 1, or every time. */
  readonly msiOn: "summary" | "every-signal";
  /** Device writes need the bus-master bit in COMMAND. */
  readonly busMaster: "enforced" | "ignored";
}

export const DEFAULT_ISM_OPTIONS: IsmOptions = {
  version: 2,
  bar2Size: 64 * 1024,
  bar0Loads: "refuse",
  bar0Status: 36,
  bar0Failure: "status",
  bar2Stores: "refuse",
  msiOn: "summary",
  busMaster: "enforced",
};
