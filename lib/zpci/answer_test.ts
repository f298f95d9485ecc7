/**
 * Facts, docs/reference/zpci/instructions.md: the numbers of condition codes, status codes and program interruptions.
 */
import { assertEquals } from "@std/assert";
import { CC, MPCIFC_STATUS, PROGRAM_EXCEPTION, ProgramException, STATUS, statusText } from "./answer.ts";

Deno.test("CC has the condition codes of zpci.insn.cc", () => {
  assertEquals<unknown>(CC, { OK: 0, ERROR: 1, BUSY: 2, INVALID_HANDLE: 3 });
});

Deno.test("STATUS has the load and store codes of zpci.insn.status, each with its meaning", () => {
  const meanings = Object.values(STATUS).map((code) => `${code} ${statusText(code)}`);
  assertEquals(meanings, [
    "4 function not enabled",
    "8 function in error state",
    "12 access blocked",
    "16 insufficient resources",
    "20 invalid address space",
    "24 function already enabled",
    "28 DMA address space not enabled",
    "36 second operand in invalid address space",
    "40 function not available",
    "44 already in requested state",
  ]);
  assertEquals(statusText(5), "unknown status");
});

Deno.test("MPCIFC_STATUS has the MPCIFC codes of zpci.insn.status", () => {
  assertEquals<unknown>(MPCIFC_STATUS, {
    RESOURCE_NOT_AVAILABLE: 4,
    ERROR_STATE: 8,
    INSUFFICIENT_RESOURCES: 16,
    SEQUENCE: 24,
    DMA_SPACE_INVALID: 28,
    FRAME_INVALID: 32,
    RECOVERY_IN_PROGRESS: 40,
  });
});

Deno.test("PROGRAM_EXCEPTION has the interruption codes of zpci.insn.exceptions", () => {
  assertEquals<unknown>(PROGRAM_EXCEPTION, {
    operation: 0x01,
    "privileged-operation": 0x02,
    protection: 0x04,
    addressing: 0x05,
    specification: 0x06,
    operand: 0x15,
  });
  assertEquals(new ProgramException("operand", "x").interruptionCode, 0x15);
});
