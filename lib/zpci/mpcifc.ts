/**
 * MPCIFC (modify PCI function controls), STPCIFC (store them) and RPCIT (refresh translations).
 * Facts: docs/reference/zpci/controls.md, zpci/functions.md and zpci/instructions.md
 * (QEMU hw/s390x/s390-pci-inst.c: mpcifc_service_call, stpcifc_service_call, rpcit_service_call).
 */
import { CC, MPCIFC_STATUS, ProgramException } from "./answer.ts";
import type { ControlEvent, TraceValue } from "../base/trace.ts";
import { PEC, reportError } from "./error_events.ts";
import {
  FIB,
  FUNCTION_CONTROLS,
  IOTA_FLAGS_SIZE,
  IOTA_REGION_THIRD,
  IOTA_TRANSLATION_ON,
  IOTA_TYPE,
  packInterrupts,
  unpackInterrupts,
} from "./fib.ts";
import { HANDLE_ENABLED, isEnabledHandle } from "./handle.ts";
import type { ZpciFunction } from "./function.ts";
import type { Processor } from "./instruction.ts";
import { PAGE_SIZE } from "./storage.ts";

/** Operation codes of MPCIFC. */
export const MPCIFC = {
  REGISTER_INTERRUPTS: 2,
  DEREGISTER_INTERRUPTS: 3,
  REGISTER_IOAT: 4,
  DEREGISTER_IOAT: 5,
  REREGISTER_IOAT: 6,
  RESET_ERROR: 7,
  RESET_BLOCK: 9,
  SET_MEASUREMENT_BLOCK: 10,
} as const;

const OPERATION_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MPCIFC).map(([name, operation]) => [operation, name]),
);

/** Answer of an operation: 0, or the status code of condition code 1. */
type Operation = (fn: ZpciFunction, fib: ReturnType<typeof FIB.decode>) => number;

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [MPCIFC.REGISTER_INTERRUPTS]: (fn, fib) => {
    if (fn.interrupts !== undefined) return MPCIFC_STATUS.SEQUENCE;
    const { isc, noi, aibvo, aisbo } = unpackInterrupts(fib.interrupts);
    if (noi > fn.group.noi) return MPCIFC_STATUS.INSUFFICIENT_RESOURCES;
    fn.interrupts = { isc, noi, aibv: fib.aibv, aibvo, aisb: fib.aisb, aisbo };
    return 0;
  },
  [MPCIFC.DEREGISTER_INTERRUPTS]: (fn) => {
    if (fn.interrupts === undefined) return MPCIFC_STATUS.SEQUENCE;
    fn.interrupts = undefined;
    return 0;
  },
  [MPCIFC.REGISTER_IOAT]: (fn, fib) => {
    if (fn.state === "error") return MPCIFC_STATUS.RECOVERY_IN_PROGRESS;
    if (fn.ioat !== undefined) return MPCIFC_STATUS.SEQUENCE;
    return registerIoat(fn, fib);
  },
  [MPCIFC.DEREGISTER_IOAT]: (fn) => {
    if (fn.ioat === undefined) return MPCIFC_STATUS.SEQUENCE;
    fn.ioat = undefined;
    return 0;
  },
  [MPCIFC.REREGISTER_IOAT]: (fn, fib) => {
    if (fn.state === "error") return MPCIFC_STATUS.RECOVERY_IN_PROGRESS;
    if (fn.ioat === undefined) return MPCIFC_STATUS.SEQUENCE;
    return registerIoat(fn, fib);
  },
  [MPCIFC.RESET_ERROR]: (fn) => {
    if (fn.state !== "error" && fn.state !== "blocked") return MPCIFC_STATUS.SEQUENCE;
    fn.state = "enabled";
    return 0;
  },
  [MPCIFC.RESET_BLOCK]: (fn) => {
    if (fn.state !== "error") return MPCIFC_STATUS.SEQUENCE;
    fn.state = "blocked";
    return 0;
  },
  // Address 0 ends the measurement. The low four bits are a storage key, which nothing looks at here.
  [MPCIFC.SET_MEASUREMENT_BLOCK]: (fn, fib) => {
    fn.measurementBlock = fib.fmba === 0 ? undefined : fib.fmba;
    return 0;
  },
};

/** Registers DMA translation; the range, in whole pages, must lie within the function's usable DMA addresses. */
function registerIoat(fn: ZpciFunction, fib: ReturnType<typeof FIB.decode>): number {
  const { sdma, edma, pft } = fn.identity;
  const pba = fib.pba - fib.pba % PAGE_SIZE;
  const pal = fib.pal - fib.pal % PAGE_SIZE + PAGE_SIZE - 1;
  // One page more than the end is legal for ISM: see usableLimit() in translation.ts.
  const end = pft === 5 ? edma + PAGE_SIZE : edma;
  if (pba < sdma || pal > end || pba > pal) {
    throw new ProgramException("operand", "MPCIFC with DMA addresses outside the function's range");
  }
  const flags = fib.iota % IOTA_FLAGS_SIZE;
  const origin = fib.iota - flags;
  const tables = fn.partition.translationTables.get(origin);
  const designated = (flags & IOTA_TRANSLATION_ON) !== 0 && (flags & IOTA_TYPE) === IOTA_REGION_THIRD;
  if (tables === undefined || !designated) {
    throw new ProgramException("operand", "MPCIFC with an iota that designates no translation tables");
  }
  fn.ioat = { origin, tables, pba, pal };
  return 0;
}

/**
 * MPCIFC with an operation code and a FIB; `dmaSpace` is the request's DMA address-space number.
 *
 * @returns the condition code; the status is in `processor.status`
 * @throws {ProgramException} operand: unknown operation, FIB format not 0, DMA range; specification: short FIB
 */
export function mpcifc(
  processor: Processor,
  fh: number,
  operation: number,
  fib: Uint8Array,
  dmaSpace = 0,
): number {
  const run = () => modify(processor, fh, operation, fib, dmaSpace);
  if (processor.partition.tracer.sink === undefined) return run();
  const name = OPERATION_NAMES.get(operation);
  const shown = name === undefined ? operation : { value: operation, name };
  return traced(processor, "MPCIFC", fh, { operation: shown, length: fib.length }, run);
}

/** Executes an instruction inside its event; what it causes lies within. */
function traced(
  processor: Processor,
  op: ControlEvent["op"],
  fh: number,
  args: Readonly<Record<string, TraceValue>>,
  execute: () => number,
): number {
  const { partition } = processor;
  const { sink } = partition.tracer;
  if (sink === undefined) return execute();
  const event: ControlEvent = {
    layer: "insn",
    op,
    guest: partition.name,
    fid: partition.fidOf(fh),
    fh,
    args,
  };
  sink.enter(event);
  try {
    event.cc = execute();
    event.status = processor.status;
    return event.cc;
  } catch (error) {
    if (error instanceof ProgramException) event.exception = error.exception;
    throw error;
  } finally {
    sink.leave(event);
  }
}

function modify(
  processor: Processor,
  fh: number,
  operation: number,
  fib: Uint8Array,
  dmaSpace: number,
): number {
  processor.status = 0;
  if (fib.length < FIB.size) throw new ProgramException("specification", "MPCIFC with a short FIB");
  const fn = processor.partition.byHandle(fh);
  if (!isEnabledHandle(fh) || fn === undefined || fn.state === "permanent-error") return CC.INVALID_HANDLE;
  const values = FIB.decode(fib);
  if (values.format !== 0) throw new ProgramException("operand", `MPCIFC with FIB format ${values.format}`);
  const injected = processor.faults?.before("MPCIFC", fn, operation, 0, fib.length);
  if (injected !== undefined) return processor.answerInjected(injected);
  const perform = OPERATIONS[operation];
  if (perform === undefined) throw new ProgramException("operand", `MPCIFC operation ${operation}`);
  fn.touch();
  // There is one DMA address space. Differs from QEMU, which looks at its number for operations 4, 5 and 6 only.
  processor.status = dmaSpace === 0 ? perform(fn, values) : MPCIFC_STATUS.DMA_SPACE_INVALID;
  return processor.status === 0 ? CC.OK : CC.ERROR;
}

/**
 * STPCIFC: stores the function's controls and what is registered for it into a FIB (zpci.stpcifc.controls and
 * zpci.mpcifc.fib). The handle of an enabled function may lack its enable bit, which the operand register has
 * afterwards: `processor.handle`.
 */
export function stpcifc(processor: Processor, fh: number, fib: Uint8Array): number {
  return traced(processor, "STPCIFC", fh, { length: fib.length }, () => storeControls(processor, fh, fib));
}

/** The function that a handle without its enable bit means; only while it is enabled, blocked or in the error state. */
function enabledWithout({ partition }: Processor, fh: number): ZpciFunction | undefined {
  if (isEnabledHandle(fh)) return undefined;
  const fn = partition.byHandle(fh + HANDLE_ENABLED);
  return fn?.state === "permanent-error" ? undefined : fn;
}

function storeControls(processor: Processor, fh: number, fib: Uint8Array): number {
  processor.status = 0;
  if (fib.length < FIB.size) throw new ProgramException("specification", "STPCIFC with a short FIB");
  processor.handle = fh;
  const fn = processor.partition.byHandle(fh) ?? enabledWithout(processor, fh);
  if (fn === undefined || fn.state === "reserved" || fn.state === "standby") return CC.INVALID_HANDLE;
  processor.handle = fn.fh;
  if (fn.state === "permanent-error") {
    processor.status = MPCIFC_STATUS.ERROR_STATE;
    return CC.ERROR;
  }
  let controls = 0;
  if (fn.state !== "disabled") controls |= FUNCTION_CONTROLS.ENABLED;
  if (fn.state === "blocked" || fn.state === "error") controls |= FUNCTION_CONTROLS.ERROR;
  if (fn.state === "error") controls |= FUNCTION_CONTROLS.BLOCKED;
  if (fn.ioat !== undefined) controls |= FUNCTION_CONTROLS.DMA_REGISTERED;
  const { ioat, interrupts, measurementBlock } = fn;
  FIB.encode({
    format: 0,
    controls,
    pba: ioat?.pba ?? 0,
    pal: ioat?.pal ?? 0,
    iota: ioat === undefined ? 0 : ioat.origin + IOTA_TRANSLATION_ON + IOTA_REGION_THIRD,
    interrupts: interrupts === undefined ? 0 : packInterrupts({ ...interrupts, sum: 1 }),
    aibv: interrupts?.aibv ?? 0,
    aisb: interrupts?.aisb ?? 0,
    fmba: measurementBlock ?? 0,
  }, fib);
  return CC.OK;
}

/**
 * RPCIT: the device looks at the translations of a range again. ISM has no IOMMU of its own: a range that holds an
 * address still in use puts the function into the error state, whether it is still mapped or not (zpci.rpcit.inuse).
 * So do a function without translation, and a range outside of the registered one.
 */
export function rpcit(processor: Processor, fh: number, iova: number, length: number): number {
  return traced(processor, "RPCIT", fh, { iova, length }, () => refresh(processor, fh, iova, length));
}

function refresh(processor: Processor, fh: number, iova: number, length: number): number {
  processor.status = 0;
  const fn = processor.partition.byHandle(fh);
  if (!isEnabledHandle(fh) || fn === undefined || fn.state === "permanent-error") return CC.INVALID_HANDLE;
  const injected = processor.faults?.before("RPCIT", fn, 0, iova, length);
  if (injected !== undefined) return processor.answerInjected(injected);
  if (fn.state === "error") {
    processor.status = MPCIFC_STATUS.RECOVERY_IN_PROGRESS;
    return CC.ERROR;
  }
  const pec = refreshError(fn, iova, length);
  if (pec === undefined) return CC.OK;
  reportError(fn, pec, iova, true);
  processor.status = MPCIFC_STATUS.ERROR_STATE;
  return CC.ERROR;
}

/** The event code that a refresh of a range ends with, if it does. */
function refreshError(fn: ZpciFunction, iova: number, length: number): number | undefined {
  if (fn.ioat === undefined) return PEC.INVALID_DMA_SPACE;
  if (iova + length - 1 < fn.ioat.pba || iova > fn.ioat.pal) return PEC.OUT_OF_RANGE;
  return fn.model.usesDma(iova, length) ? PEC.OUT_OF_RANGE : undefined;
}
