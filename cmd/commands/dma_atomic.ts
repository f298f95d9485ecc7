/** Atomic operations on DMA memory, so that two processes can share what a device writes to, the SBA above all. */
import { hex } from "../../lib/base/hex.ts";
import { argument, defaulted, defineCommand, optional } from "../language/command.ts";
import { bigNumber, choice, number } from "../language/kinds.ts";
import { valueBytes } from "../output/value_bytes.ts";
import { IOVA } from "./dma.ts";
import { mappedMemory } from "../run/driver/mapped_memory.ts";

const WIDTH = defaulted(number("WIDTH", { min: 1, max: 8 }), 8, "bytes of the value");
const ENDIAN = optional(
  choice("ENDIAN", ["big", "little"]),
  "byte order of the value in memory; big by default",
);

/** One operation: what becomes of the old value and the operand. */
function atomic(
  name: string,
  summary: string,
  example: string,
  operate: (old: bigint, value: bigint) => bigint,
) {
  return defineCommand({
    name: `dma ${name}`,
    group: "host",
    summary,
    details:
      `The old value is the result. Nobody comes between the load and the store, neither another process on this
host nor the device. VALUE is big-endian in memory, as SBA and IEQ are and as poke has it on a BAR; with --endian little
its lowest byte comes first.`,
    args: { iova: argument(IOVA, "DMA address"), value: argument(bigNumber("VALUE"), "the operand") },
    options: { width: WIDTH, endian: ENDIAN },
    access: "write",
    examples: [`expect DRIVER dma ${example}`],
    run({ target }, { iova, value, width, endian = "big" }) {
      const operand = valueBytes(value, width, "big");
      const memory = mappedMemory(target, iova, width, true);
      const bytes = endian === "big" ? memory.slice() : memory.slice().reverse();
      const old = BigInt(`0x${bytes.toHex()}`);
      memory.set(valueBytes(operate(old, BigInt(`0x${operand.toHex()}`)), width, endian));
      return { iova: hex(iova), width, old: hex(old, width * 2) };
    },
    text: ({ old }) => old,
    value: ({ old }) => old,
  });
}

export const dmaAnd = atomic(
  "and",
  "Clear bits of DMA memory atomically: the old value AND VALUE is stored",
  "and 0x100000000 0x7f --width 1",
  (old, value) => old & value,
);

export const dmaOr = atomic(
  "or",
  "Set bits of DMA memory atomically: the old value OR VALUE is stored",
  "or 0x100000000 0x80 --width 1",
  (old, value) => old | value,
);

export const dmaSwap = atomic(
  "swap",
  "Swap a value of DMA memory atomically: VALUE is stored",
  "swap 0x100000000 0 --width 2",
  (_, value) => value,
);
