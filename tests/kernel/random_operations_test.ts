/**
 * Thousands of random system calls over several descriptors, both ways in, all regions and corner positions, against a
 * model written from docs/reference/vfio alone. A failure is shrunk and printed as an `ism` script.
 */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Outcome, outcome, Rig } from "../support/kernel.ts";
import { KernelModel } from "../support/kernel_model.ts";
import {
  type Call,
  CALLS,
  CEREMONIES,
  DEVICE_SLOT,
  NODES,
  type Operation,
  type Prediction,
} from "../support/kernel_operations.ts";
import { ioctlOf, PATHS } from "../support/kernel_calls.ts";
import { type Run, scriptOf, TOPOLOGY } from "../support/kernel_script.ts";
import { Program } from "../support/program.ts";

const SEED = 0x15a;
const RUNS = 400;

/** Positions at and around every corner of every region, and of the file. */
const CORNERS = [
  0n,
  1n,
  2n,
  3n,
  6n,
  8n,
  0x40n,
  0xfcn,
  0xffn,
  0x100n,
  0xff8n,
  0xfffn,
  0x1000n,
  0x1ff0n,
  0xfff0n,
]
  .concat([
    0xfff9n,
    0xffffn,
    0x1_0000n,
    2n ** 40n,
    7n * 2n ** 40n,
    2n ** 47n,
    2n ** 48n - 9n,
    2n ** 48n - 1n,
  ]);
const POSITION = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.tuple(
      fc.constantFrom(0n, 2n, 2n, 7n, 7n, 1n, 3n, 6n, 8n, 31n, 32767n),
      fc.constantFrom(...CORNERS),
    )
      .map(([index, offset]) => index * 2n ** 48n + offset),
  },
  { weight: 2, arbitrary: fc.bigInt(2n * 2n ** 48n, 2n * 2n ** 48n + 0x1_0010n) },
  { weight: 1, arbitrary: fc.constantFrom(-1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n) },
);
const COUNT = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 24n) },
  { weight: 3, arbitrary: fc.constantFrom(0xf7n, 0x100n, 0x101n, 4095n, 4096n, 4097n) },
  { weight: 1, arbitrary: fc.constantFrom(2n ** 31n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n) },
);
/** As long as the count, or shorter. */
const SPAN = fc.record({ count: COUNT, short: fc.option(fc.nat(40), { freq: 4 }) }).map((
  { count, short },
) => ({
  count,
  accessible: Math.min(Number(count), short ?? (count > 4097n ? 64 : 4097)),
}));
const ANY_SLOT = fc.nat(7);
const SLOT = fc.oneof({ weight: 3, arbitrary: fc.constant(DEVICE_SLOT) }, { weight: 1, arbitrary: ANY_SLOT });
/** Values that mean something to a call; feature 4 has a payload and is not among them. */
const VALUE: Readonly<Record<Call, fc.Arbitrary<number>>> = {
  GET_API_VERSION: fc.constant(0),
  CHECK_EXTENSION: fc.constantFrom(0, 1, 2, 3, 8, 9, 10),
  SET_IOMMU: fc.constantFrom(1, 3, 3, 0, 8),
  GROUP_GET_STATUS: fc.constant(0),
  GROUP_SET_CONTAINER: ANY_SLOT,
  GROUP_UNSET_CONTAINER: fc.constant(0),
  GROUP_GET_DEVICE_FD: fc.constantFrom(0, 0, 0, 1),
  GET_INFO: fc.constantFrom(0, 15, 16, 24, 208),
  GET_REGION_INFO: fc.oneof(fc.nat(10), fc.constantFrom(0x7fff, 0x8000, 0xffff_ffff)),
  GET_IRQ_INFO: fc.oneof(fc.nat(6), fc.constant(0xffff_ffff)),
  RESET: fc.constant(0),
  FEATURE: fc.tuple(fc.constantFrom(0, 1, 2, 3, 3, 3, 5, 6, 9, 10, 11, 12, 13, 0xffff), fc.nat(15)).map((
    [n, bits],
  ) => n + bits * 0x1_0000),
  BIND_IOMMUFD: ANY_SLOT,
  UNKNOWN: fc.constant(0),
};
const OPERATION: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant("open" as const), node: fc.constantFrom(...NODES) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("close" as const), slot: ANY_SLOT }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("mmap" as const, "lseek" as const), slot: SLOT }) },
  {
    weight: 8,
    arbitrary: fc.constantFrom(...CALLS).chain((call) =>
      fc.record({
        op: fc.constant("ioctl" as const),
        slot: call.startsWith("G") && !call.startsWith("GET_I") || call.endsWith("D") ? ANY_SLOT : SLOT,
        call: fc.constant(call),
        value: VALUE[call],
      })
    ),
  },
  {
    weight: 10,
    arbitrary: fc.tuple(fc.constantFrom("pread" as const, "pwrite" as const), SLOT, POSITION, SPAN).map((
      [op, slot, position, span],
    ) => ({ op, slot, position, ...span })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom("read" as const, "write" as const), SLOT, SPAN).map((
      [op, slot, span],
    ) => ({
      op,
      slot,
      ...span,
    })),
  },
);
const RUN: fc.Arbitrary<Run> = fc.tuple(
  fc.constantFrom("group" as const, "group" as const, "compat" as const, "cdev" as const, "none" as const),
  fc.array(OPERATION, { maxLength: 50, size: "max" }),
).map(([way, operations]) => ({ way, operations }));

/** Bytes that are no command and no config value that matters: all ones. */
const ONES = new Uint8Array(2 ** 16).fill(0xff);
/** Performs a call on the real kernel: on `fd`, `other` being the descriptor that an argument names. */
function perform(rig: Rig, call: Operation, fd: number, other: number): number {
  const { process } = rig;
  if (call.op === "open") return process.open(PATHS[call.node]);
  switch (call.op) {
    case "close":
      return process.close(fd);
    case "mmap":
      return process.mmap(fd, 4096, 0);
    case "lseek":
      return process.lseek(fd, 0, "SEEK_SET");
    case "ioctl": {
      const { request, arg } = ioctlOf(call, other);
      return process.ioctl(fd, request, arg);
    }
  }
  const buffer = ONES.slice(0, call.accessible);
  // Small numbers go as numbers, so that both kinds of arguments are tried.
  const exact = (value: bigint) =>
    value >= 0n && value < 2n ** 53n && call.accessible % 2 === 0 ? Number(value) : value;
  if (call.op === "pread") return process.pread(fd, buffer, exact(call.count), exact(call.position));
  if (call.op === "pwrite") return process.pwrite(fd, buffer, exact(call.count), exact(call.position));
  return call.op === "read"
    ? process.read(fd, buffer, exact(call.count))
    : process.write(fd, buffer, exact(call.count));
}

/** Runs a sequence on a fresh host and a fresh model; calls on which the reference is silent are left out. */
function agree({ way, operations }: Run, maxstbl: bigint, is71: boolean): void {
  const rig = new Rig(is71 ? { ...TOPOLOGY, kernel: { release: "7.1" } } : TOPOLOGY);
  const model = new KernelModel(maxstbl, is71);
  for (const call of [...CEREMONIES[way], ...operations]) {
    const before = rig.state();
    let result: Outcome = "";
    // Descriptors are picked before the model closes or opens one.
    const fd = "slot" in call ? model.fd(call.slot) : -1;
    const other = call.op === "ioctl" ? model.fd(call.value) : -1;
    const expected = model.perform(call);
    if (expected === undefined) continue;
    const instructions = rig.instructions(() => result = outcome(() => perform(rig, call, fd, other)));
    assertEquals<Prediction>({ result, instructions }, { ...expected });
    const partial = "count" in call && call.accessible < call.count; // Chunks before the fault are done.
    if (typeof result === "string" && !partial) {
      assertEquals(rig.state(), before, "a refused call had an effect");
    }
    assertEquals([...rig.process.files()].map(([fd]) => fd), openNumbers(model));
  }
}

function openNumbers({ files }: KernelModel): number[] {
  return [...files.keys()].filter((fd) => files[fd] !== undefined);
}

/** Checks a property; a failure is an `ism` script, shrunk, with the seed that leads to it. */
function check(maxstbl = 4096n, is71 = false): void {
  const property = fc.property(RUN, (run) => agree(run, maxstbl, is71));
  const details = fc.check(property, { seed: SEED, numRuns: RUNS });
  if (!details.failed) return;
  const [run] = details.counterexample!;
  const why = details.errorInstance instanceof Error ? details.errorInstance.message : "";
  throw new Error(
    `${why}\nseed ${details.seed}, path "${details.counterexamplePath}"\n\n${scriptOf(run, maxstbl)}`,
  );
}

Deno.test("the kernel answers as the tables say, whatever is called in whatever order (vfio.open.*, vfio.region.struct, vfio.rw.end, vfio.irqinfo.table, vfio.feature.order)", () => {
  check();
});

Deno.test("so does the kernel of 7.1, without ERR and feature 13", () => {
  check(4096n, true);
});

Deno.test("a model with a wrong limit is found out, and the failure is a short script", () => {
  const error = assertThrows(() => check(4095n), Error);
  const script = error.message.slice(error.message.indexOf("# topology"));
  assertStringIncludes(script, "expect EINVAL fd write ");
  const calls = script.split("\n").filter((line) => line.startsWith("expect "));
  assertEquals(calls.length <= CEREMONIES.group.length + 1, true, script);
});

Deno.test("a sequence printed as a script holds under `ism run`", async () => {
  using program = new Program();
  const topology = program.write("topology.json", JSON.stringify(TOPOLOGY));
  assertEquals((await program.run(["host", "create", "--from", topology])).code, 0);
  const script = fc.sample(RUN, { seed: SEED, numRuns: 40 }).map((run) => scriptOf(run)).join("\n");
  const { code, stderr } = await program.script(script.split("\n"), "--quiet");
  assertEquals([code, stderr], [0, ""]);
});
