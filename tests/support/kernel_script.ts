/** A sequence of system calls as an `ism` script: what a failure of the random test is printed as. */
import { KernelModel } from "./kernel_model.ts";
import { CEREMONIES, type Operation, type Prediction } from "./kernel_operations.ts";

/** A way in, and what is called after it. */
export interface Run {
  readonly way: keyof typeof CEREMONIES;
  readonly operations: readonly Operation[];
}

/** The guest of the model: loads of BAR 0 give zeros. */
export const TOPOLOGY = {
  ism: { bar0Loads: "zeros" },
  guests: [{ name: "guest", functions: [{ fid: 0x10, uid: 1 }] }],
};

const hex = (value: bigint) => `0x${BigInt.asUintN(64, value).toString(16)}`;
/** Longer data is not written out; the program would refuse it for its size. */
const DATA_LIMIT = 2n ** 20n;

/**
 * The script. The program has one descriptor of the device, opened by `open`; what is called on another descriptor of
 * the device is printed as if it were that one, and what no command does is a comment.
 */
export function scriptOf({ way, operations }: Run, maxstbl = 4096n): string {
  const lines = [`# topology: ${JSON.stringify(TOPOLOGY)}`];
  const model = new KernelModel(maxstbl);
  for (const call of [...CEREMONIES[way], ...operations]) {
    const before = usable(model);
    const target = "slot" in call ? model.file(call.slot) : undefined;
    const position = target?.position ?? 0n;
    const expected = model.perform(call);
    if (expected === undefined) continue;
    const after = usable(model);
    if (after !== before) lines.push(after === undefined ? "close" : `open --via ${after}`);
    else lines.push(target?.bound === true ? lineOf(call, expected, position) : comment(call, expected));
  }
  return lines.join("\n");
}

/** How the device is open. */
function usable(model: KernelModel): "group" | "compat" | "cdev" | undefined {
  return model.open("device") > 0
    ? (model.owned ? "compat" : "group")
    : model.open("cdev") > 0
    ? "cdev"
    : undefined;
}

function comment(call: Operation, { result }: Prediction): string {
  const text = JSON.stringify(call, (_, value) => typeof value === "bigint" ? hex(value) : value);
  return `# ${text} gives ${result}`;
}

/** A line for a call on a descriptor of the device that works. */
function lineOf(call: Operation, expected: Prediction, position: bigint): string {
  const wanted = typeof expected.result === "string" ? expected.result : "ok";
  const line = "count" in call
    ? transferLine(call, "position" in call ? call.position : position)
    : ioctlLine(call);
  return line === undefined ? comment(call, expected) : `expect ${wanted} ${line}`;
}

type Transfer = Extract<Operation, { readonly count: bigint }>;

function transferLine({ op, count, accessible }: Transfer, position: bigint): string | undefined {
  if (count > DATA_LIMIT && op.endsWith("write")) return undefined;
  const faults = accessible < count ? ` --accessible ${accessible}` : "";
  return op.endsWith("write")
    ? `pwrite ${hex(position)} fill:0xff*${count}${faults}`
    : `pread ${hex(position)} ${count}${faults}`;
}

function ioctlLine(call: Operation): string | undefined {
  if (call.op !== "ioctl") return undefined;
  const { value } = call;
  switch (call.call) {
    case "GET_REGION_INFO":
      return `info ${value}`;
    case "RESET":
      return "reset";
    case "FEATURE": {
      const flags = [[0x1_0000, "get"], [0x2_0000, "set"], [0x4_0000, "probe"]] as const;
      const words = flags.filter(([bit]) => (value & bit) !== 0).map(([, word]) => ` --${word}`);
      // Without a flag the command probes, and it has none for bits that do not exist.
      return words.length === 0 || value > 0x7_ffff
        ? undefined
        : `feature ${value & 0xffff}${words.join("")}`;
    }
  }
  return undefined;
}
