/**
 * What public sources leave open about the platform: each is a choice of the topology, the fact sheet's proposal as
 * default. #n is a point of docs/fidelity.md; docs/fidelity.md lists them all.
 */
import { type Chosen, defaultsOf } from "../base/choices.ts";

/** Choices between named behaviours, the default first. */
export const MACHINE_CHOICES = {
  /** #26: the instance field of a handle goes up at every enable, or stays 0, so that an old handle is good again. */
  handleInstance: ["bump", "keep"],
  /** #27: a device write that no translation leads to storage is an error event, or is lost without a trace. */
  unmappedDma: ["error-state", "discard"],
  /** #28: the block of a PCISTB may lie across a 4 KiB line of storage, or that is a specification exception. */
  sourceCrossing: ["allowed", "specification"],
} as const;

export type MachineOptions = Chosen<typeof MACHINE_CHOICES>;

export const DEFAULT_MACHINE_OPTIONS: MachineOptions = defaultsOf(MACHINE_CHOICES);
