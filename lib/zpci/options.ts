/**
 * What public sources leave open about the platform: each is a choice of the topology, and named by the
 * rule of docs/reference that it is about. docs/fidelity.md lists them all.
 */
import { type Chosen, defaultsOf } from "../base/choices.ts";

/** Choices between named behaviours, the default first. */
export const MACHINE_CHOICES = {
  /**
   * zpci.handle.format: the instance field of a handle goes up at every enable, or stays 0, so that an old handle is
   * good again.
   */
  handleInstance: ["bump", "keep"],
  /**
   * zpci.dma.fault: a device write that no translation leads to storage is an error event, or is lost without a trace.
   */
  unmappedDma: ["error-state", "discard"],
  /**
   * zpci.pcistb.source: the block of a PCISTB may lie across a 4 KiB line of storage, or that is a specification
   * exception.
   */
  sourceCrossing: ["allowed", "specification"],
  /** Store characteristics (CLP 0x0001) is answered, or is a command that the machine does not know, as QEMU's does not. */
  storeCharacteristics: ["answered", "unknown"],
} as const;

export type MachineOptions = Chosen<typeof MACHINE_CHOICES>;

export const DEFAULT_MACHINE_OPTIONS: MachineOptions = defaultsOf(MACHINE_CHOICES);
