/** Function controls: STPCIFC, MPCIFC and RPCIT as the kernel of a guest could issue them, but behind its back. */
import { hex } from "../../lib/base/hex.ts";
import type { FieldRow, Struct } from "../../lib/base/struct.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import { CC, MachineError, mpcifcStatusText, ProgramException, statusText } from "../../lib/zpci/answer.ts";
import { FIB, FUNCTION_CONTROLS, unpackInterrupts } from "../../lib/zpci/fib.ts";
import { MPCIFC, mpcifc, rpcit, stpcifc } from "../../lib/zpci/mpcifc.ts";
import { argument, defaulted, defineCommand, optional } from "../language/command.ts";
import { DATA, number } from "../language/kinds.ts";
import { structFields } from "../language/struct_fields.ts";
import { quoteText } from "../language/quote.ts";
import { parseNumber } from "../language/number.ts";
import { UsageError } from "../language/usage_error.ts";

/** Names of the bits of the function-controls byte (zpci.stpcifc.controls), in the order of the bits. */
const CONTROL_NAMES = [
  [FUNCTION_CONTROLS.ENABLED, "enabled"],
  [FUNCTION_CONTROLS.ERROR, "error"],
  [FUNCTION_CONTROLS.BLOCKED, "load-store-blocked"],
  [FUNCTION_CONTROLS.DMA_REGISTERED, "dma-registered"],
] as const;

/**
 * Issues an instruction outside of the kernel; `words` says what a status code of it means.
 *
 * @throws {MachineError} on anything but condition code 0
 */
export function issue(
  op: string,
  target: HostFunction,
  execute: () => number,
  words: typeof statusText = mpcifcStatusText,
): void {
  let cc: number;
  try {
    cc = execute();
  } catch (error) {
    if (!(error instanceof ProgramException)) throw error;
    const { exception, message } = error;
    throw new MachineError(`${message} is a program exception (${exception})`, "zpci.insn.exceptions", {
      exception,
    });
  }
  if (cc === CC.OK) return;
  const { status } = target.guest.processor;
  const why = cc === CC.ERROR
    ? `, status ${status}: ${words(status)}`
    : cc === CC.BUSY
    ? ": busy"
    : `: the function is ${target.fn.state}, or that is not its handle`;
  throw new MachineError(
    `${op} answered condition code ${cc}${why}`,
    cc === CC.ERROR ? "zpci.insn.status" : cc === CC.BUSY ? "zpci.insn.busy" : "zpci.handle.stale",
    cc === CC.ERROR ? { cc, status } : { cc },
  );
}

/** Any handle, to see what a stale one does. */
export const HANDLE = optional(
  number("FH", { max: 0xffff_ffff }),
  "function handle; the current one by default",
);

export const zpciControls = defineCommand({
  name: "zpci controls",
  group: "host",
  summary: "Show the function controls (STPCIFC): enabled, error, blocked, what is registered",
  args: {},
  options: { fh: HANDLE },
  access: "write",
  examples: ["zpci controls", "zpci controls --raw"],
  run({ target }, { fh = target.fn.fh }) {
    const fib = new Uint8Array(FIB.size);
    issue("STPCIFC", target, () => stpcifc(target.guest.processor, fh, fib));
    const { controls, interrupts } = FIB.decode(fib);
    return {
      fh: hex(target.guest.processor.handle, 8),
      controls: hex(controls, 2),
      bits: CONTROL_NAMES.filter(([bit]) => (controls & bit) !== 0).map(([, name]) => name),
      fields: structFields(FIB as unknown as Struct<Record<string, FieldRow>>, fib),
      interrupts: { ...unpackInterrupts(interrupts) },
      data: fib.toHex(),
    };
  },
  text({ fh, controls, bits, fields, interrupts }) {
    const rows: (readonly [string, string])[] = [
      ...Object.entries(fields).filter(([name]) => name !== "controls"),
      ...Object.entries(interrupts).map(([name, value]) => [`  ${name}`, String(value)] as const),
    ];
    return [["fh", fh] as const, ["controls", `${controls} ${bits.join(", ")}`.trim()] as const, ...rows]
      .map(([name, value]) => `${name.padEnd(12)}${value}`).join("\n");
  },
  raw: ({ data }) => Uint8Array.fromHex(data),
});

/** MPCIFC operations by name: `reset-error` is 7. */
const OPERATION_NAMES = new Map(
  Object.entries(MPCIFC).map(([name, code]) => [name.toLowerCase().replaceAll("_", "-"), code as number]),
);
const OPERATION = {
  placeholder: "OPERATION",
  choices: [...OPERATION_NAMES.keys()],
  parse(value: string, what: string): number {
    if (/^[0-9]/.test(value)) return parseNumber(value, what, { max: 0xff });
    const code = OPERATION_NAMES.get(value);
    if (code !== undefined) return code;
    throw new UsageError(
      `${what}: ${quoteText(value)} is not an operation; try ${[...OPERATION_NAMES.keys()].join(", ")}`,
      { token: value },
    );
  },
};

export const zpciMpcifc = defineCommand({
  name: "zpci mpcifc",
  group: "host",
  summary:
    "Modify function controls (MPCIFC) behind the kernel's back: leave an error state, register, deregister",
  details:
    `Out of the error state: reset-block lets loads and stores work again, reset-error DMA and interrupts too.
What was registered with the adapter (SBA, IEQ, DMBs) is gone all the same. DATA is the FIB, 80 bytes; zeros by default.`,
  args: {
    operation: argument(OPERATION, "operation, by name or number"),
    fib: optional(DATA, "function information block, 80 bytes"),
  },
  options: { fh: HANDLE, dmaas: defaulted(number("N", { max: 0xff }), 0, "DMA address space") },
  access: "write",
  examples: ["expect MACHINE zpci mpcifc reset-error", "zpci mpcifc set-measurement-block"],
  run(context, { operation, fib, fh = context.target.fn.fh, dmaas }) {
    const { target } = context;
    const block = fib === undefined ? new Uint8Array(FIB.size) : context.load(fib);
    issue("MPCIFC", target, () => mpcifc(target.guest.processor, fh, operation, block, dmaas));
    return { operation, cc: CC.OK, state: target.fn.state };
  },
  text: ({ state }) => state,
});

export const zpciRpcit = defineCommand({
  name: "zpci rpcit",
  group: "host",
  summary: "Refresh translations (RPCIT): over an address that the adapter still uses it is an error event",
  args: {
    iova: argument(number("IOVA"), "first DMA address"),
    length: argument(number("LENGTH", { min: 1 }), "bytes"),
  },
  options: { fh: HANDLE },
  access: "write",
  examples: ["zpci rpcit 0x100000000 4096"],
  run({ target }, { iova, length, fh = target.fn.fh }) {
    issue("RPCIT", target, () => rpcit(target.guest.processor, fh, iova, length));
    return { iova: hex(iova), length, cc: CC.OK, state: target.fn.state };
  },
  text: ({ state }) => state,
});
