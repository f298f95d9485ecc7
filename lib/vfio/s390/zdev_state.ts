/** A function in the host file: what the kernel remembers, whatever the machine says by now. */
import { hex } from "../../base/hex.ts";
import type { PciDeviceState } from "../pci/pci_device.ts";
import type { ZdevFacts } from "./pci_clp.ts";

/** What the kernel takes the function for (arch/s390/include/asm/pci.h: enum zpci_state). */
export type ZdevAvailability = "standby" | "configured" | "reserved";

/** State for the host file: what the kernel remembers, whatever the machine says by now. */
export interface ZdevState {
  readonly state: ZdevAvailability;
  readonly fh: number;
  readonly vectors: number;
  /** Storage address of the measurement block; null before the function was opened for the first time. */
  readonly measurementBlock: number | null;
  readonly pci: PciDeviceState;
  readonly facts: ZdevFactsState;
}

/** {@linkcode ZdevFacts} as JSON. */
export type ZdevFactsState =
  & Omit<ZdevFacts, "pfip" | "utilityString" | "dasm" | "msia">
  & {
    readonly pfip: string;
    readonly utilityString: string | null;
    readonly dasm: string;
    readonly msia: string;
  };

/** What is remembered of CLP, for the host file. */
export function factsState({ pfip, utilityString, dasm, msia, ...rest }: ZdevFacts): ZdevFactsState {
  return {
    ...rest,
    pfip: pfip.toHex(),
    utilityString: utilityString?.toHex() ?? null,
    dasm: hex(dasm),
    msia: hex(msia),
  };
}

/** What was remembered of CLP. */
export function factsOf({ pfip, utilityString, dasm, msia, ...rest }: ZdevFactsState): ZdevFacts {
  return {
    ...rest,
    pfip: Uint8Array.fromHex(pfip),
    utilityString: utilityString === null ? undefined : Uint8Array.fromHex(utilityString),
    dasm: BigInt(dasm),
    msia: BigInt(msia),
  };
}
