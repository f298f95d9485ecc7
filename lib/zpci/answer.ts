/**
 * What an instruction answers: a condition code with a status code, or a program exception.
 * Facts: docs/reference/zpci/instructions.md (arch/s390/pci/pci_insn.c, arch/s390/include/asm/pci_insn.h).
 */
import type { RuleName } from "../base/rule_names.ts";

/** Condition codes of the PCI instructions. */
export const CC = { OK: 0, ERROR: 1, BUSY: 2, INVALID_HANDLE: 3 } as const;

/** Status codes that come with condition code 1, for loads and stores. */
export const STATUS = {
  NOT_ENABLED: 4,
  ERROR_STATE: 8,
  BLOCKED: 12,
  INSUFFICIENT_RESOURCES: 16,
  INVALID_SPACE: 20,
  ALREADY_ENABLED: 24,
  NO_DMA_SPACE: 28,
  OPERAND_SPACE: 36,
  NOT_AVAILABLE: 40,
  ALREADY_IN_STATE: 44,
} as const;

/** Status codes that come with condition code 1, for MPCIFC, STPCIFC and RPCIT. */
export const MPCIFC_STATUS = {
  RESOURCE_NOT_AVAILABLE: 4,
  ERROR_STATE: 8,
  INSUFFICIENT_RESOURCES: 16,
  SEQUENCE: 24,
  DMA_SPACE_INVALID: 28,
  FRAME_INVALID: 32,
  RECOVERY_IN_PROGRESS: 40,
} as const;

const STATUS_TEXT: Readonly<Record<number, string>> = {
  [STATUS.NOT_ENABLED]: "function not enabled",
  [STATUS.ERROR_STATE]: "function in error state",
  [STATUS.BLOCKED]: "access blocked",
  [STATUS.INSUFFICIENT_RESOURCES]: "insufficient resources",
  [STATUS.INVALID_SPACE]: "invalid address space",
  [STATUS.ALREADY_ENABLED]: "function already enabled",
  [STATUS.NO_DMA_SPACE]: "DMA address space not enabled",
  [STATUS.OPERAND_SPACE]: "second operand in invalid address space",
  [STATUS.NOT_AVAILABLE]: "function not available",
  [STATUS.ALREADY_IN_STATE]: "already in requested state",
};

/** A load or store status code in words. */
export function statusText(status: number): string {
  return STATUS_TEXT[status] ?? "unknown status";
}

const MPCIFC_STATUS_TEXT: Readonly<Record<number, string>> = {
  [MPCIFC_STATUS.RESOURCE_NOT_AVAILABLE]: "resource not available",
  [MPCIFC_STATUS.ERROR_STATE]: "function in error state",
  [MPCIFC_STATUS.INSUFFICIENT_RESOURCES]: "insufficient resources",
  [MPCIFC_STATUS.SEQUENCE]: "sequence error, already or not registered",
  [MPCIFC_STATUS.DMA_SPACE_INVALID]: "DMA address space invalid",
  [MPCIFC_STATUS.FRAME_INVALID]: "frame invalid",
  [MPCIFC_STATUS.RECOVERY_IN_PROGRESS]: "error recovery in progress",
};

/** A status code of MPCIFC, STPCIFC or RPCIT in words. */
export function mpcifcStatusText(status: number): string {
  return MPCIFC_STATUS_TEXT[status] ?? "unknown status";
}

/** What the machine answered when it refused: a condition code, a response code, or a program exception. */
export interface MachineAnswer {
  readonly cc?: number;
  readonly status?: number;
  /** Response code of CLP or SCLP. */
  readonly response?: number;
  readonly exception?: ProgramExceptionName;
}

/** The machine refused an instruction that was not issued through the kernel. */
export class MachineError extends Error {
  override readonly name = "MachineError";

  /** `ref` is the rule of docs/reference that the answer follows. */
  constructor(message: string, readonly ref: RuleName, readonly answer: MachineAnswer = {}) {
    super(message);
  }
}

/** Program exceptions by name, with their interruption codes. */
export const PROGRAM_EXCEPTION = {
  operation: 0x01,
  "privileged-operation": 0x02,
  protection: 0x04,
  addressing: 0x05,
  specification: 0x06,
  operand: 0x15,
} as const;
export type ProgramExceptionName = keyof typeof PROGRAM_EXCEPTION;

/** A program interruption: the instruction had no effect and set no condition code. */
export class ProgramException extends Error {
  override readonly name = "ProgramException";

  constructor(readonly exception: ProgramExceptionName, reason: string) {
    super(reason);
  }

  /** The program-interruption code. */
  get interruptionCode(): number {
    return PROGRAM_EXCEPTION[this.exception];
  }
}
