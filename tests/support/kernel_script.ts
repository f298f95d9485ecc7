/** A sequence of system calls as an `ism` script: what a failure of the random test is printed as. */
import { ioctlOf, PATHS } from "./kernel_calls.ts";
import { KernelModel } from "./kernel_model.ts";
import { CEREMONIES, type Operation } from "./kernel_operations.ts";

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

/** The script: one line a call, each with what the model expects of it. Every line runs. */
export function scriptOf({ way, operations }: Run, maxstbl = 4096n): string {
  const lines = [`# topology: ${JSON.stringify(TOPOLOGY)}`];
  const model = new KernelModel(maxstbl);
  for (const call of [...CEREMONIES[way], ...operations]) {
    const fd = "slot" in call ? model.fd(call.slot) : -1;
    const other = call.op === "ioctl" ? model.fd(call.value) : -1;
    const expected = model.perform(call)?.result;
    if (expected === undefined) continue;
    lines.push(`expect ${wanted(call, expected)} ${lineOf(call, fd, other)}`);
  }
  const open = [...model.files.keys()].filter((fd) => model.files[fd] !== undefined);
  return [...lines, ...open.reverse().map((fd) => `fd close ${fd}`)].join("\n");
}

/** An errno, the number that the call returns, or success where a line's value is something else. */
function wanted({ op }: Operation, expected: number | string): string {
  if (typeof expected === "string") return expected;
  return op === "pread" || op === "read" || op === "close" ? "ok" : `=${expected}`;
}

function lineOf(call: Operation, fd: number, other: number): string {
  switch (call.op) {
    case "open":
      return `fd open ${PATHS[call.node]}`;
    case "close":
      return `fd close ${fd}`;
    case "mmap":
      return `fd mmap ${fd} 4096`;
    case "lseek":
      return `fd lseek ${fd} 0`;
    case "ioctl": {
      const { request, arg } = ioctlOf(call, other);
      const name = call.call === "UNKNOWN" ? "" : ` # ${call.call}`;
      const text = typeof arg === "number" ? String(arg) : `hex:${arg.toHex().replace(/(00)+$/, "")}`;
      const size = typeof arg === "number" ? "" : ` --size ${arg.length}`;
      return `ioctl ${fd} 0x${request.toString(16)} ${text}${size}${name}`;
    }
  }
  const { op, count, accessible } = call;
  const at = "position" in call ? ` --at ${hex(call.position)}` : "";
  const isShort = accessible < count;
  return op === "pread" || op === "read"
    ? `fd read ${fd} ${hex(count)}${at}${isShort ? ` --accessible ${accessible}` : ""}`
    : `fd write ${fd} fill:0xff*${accessible}${at}${isShort ? ` --count ${hex(count)}` : ""}`;
}
