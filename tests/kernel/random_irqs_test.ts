/** Thousands of random SET_IRQS calls over both ways in, against a model written from vfio.setirqs.order alone. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { IrqModel, type SetIrqs } from "../support/irq_model.ts";
import { IOCTL, type Outcome, outcome, Rig, type Way, WAYS, words } from "../support/kernel.ts";

const SEED = 0x7_2;
const RUNS = 600;
const EVENTFDS = 3;

type Operation = { readonly op: "set"; readonly call: SetIrqs } | {
  readonly op: "take";
  readonly which: number;
};

/** Places of the descriptors in {@linkcode descriptors}, a number below 0, or one that nothing has. */
const FD = fc.oneof({ weight: 4, arbitrary: fc.nat(5) }, {
  weight: 1,
  arbitrary: fc.constantFrom(-1, -1, -2, 99),
});
const CALL: fc.Arbitrary<SetIrqs> = fc.tuple(
  fc.constantFrom(1, 1, 4, 4, 3, 3, 0, 2, 5, 0xffff_ffff),
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0x21, 0x22, 0x24, 0x24) },
    { weight: 1, arbitrary: fc.nat(0x7f) },
  ),
  fc.constantFrom(0, 0, 0, 0, 0, 1, 0xffff_fffe),
  fc.constantFrom(1, 1, 1, 0, 2, 0xffff_ffff),
  fc.constantFrom(0, 0, 0, 0, 0, 0, -1, -4, 7),
  FD,
  fc.constantFrom(true, true, true, true, true, true, false),
).map(([index, flags, start, count, slack, datum, hasData]) => {
  const size = (flags & 7) === 4 ? 4 : (flags & 7) === 2 ? 1 : 0;
  const data = size > 0 && hasData ? [datum] : [];
  return { argsz: 20 + size * Math.min(count, 1) + slack, flags, index, start, count, data };
});
const OPERATION: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: CALL.map((call) => ({ op: "set" as const, call })) },
  { weight: 1, arbitrary: fc.nat(EVENTFDS - 1).map((which) => ({ op: "take" as const, which })) },
);

/** The argument: its header, and a datum behind it if there is one. */
function argument({ argsz, flags, index, start, count, data: [datum] }: SetIrqs): Uint8Array {
  const header = words(argsz, flags, index, start, count);
  if (datum === undefined) return header;
  const behind = (flags & 7) === 4 ? words(datum) : Uint8Array.of(datum & 0xff);
  return Uint8Array.of(...header, ...behind);
}

/** Puts a descriptor in the place of its number among those that the test opened. */
function resolve(call: SetIrqs, descriptors: readonly number[]): SetIrqs {
  if ((call.flags & 7) !== 4) return call;
  return { ...call, data: call.data.map((datum) => descriptors[datum] ?? datum) };
}

function agree(way: Way, release: "7.3" | "7.1", operations: readonly Operation[]): void {
  const rig = Rig.opened(way, { kernel: { release } });
  const { process, device } = rig;
  const eventfds = Array.from({ length: EVENTFDS }, () => process.eventfd());
  const others = [...process.files()].map(([fd]) => fd).filter((fd) => !eventfds.includes(fd));
  const descriptors = [...eventfds, ...others];
  const model = new IrqModel(eventfds, others, release === "7.3");
  const lines: string[] = [];
  for (const operation of operations) {
    if (operation.op === "take") {
      const fd = eventfds[operation.which]!;
      lines.push(`fd read ${fd} 8`);
      assertEquals(rig.signals(fd), model.take(fd), lines.join("\n"));
      continue;
    }
    const call = resolve(operation.call, descriptors);
    const arg = argument(call);
    const expected = model.set(call);
    lines.push(
      `expect ${expected === 0 ? "ok" : expected} ioctl ${device} VFIO_DEVICE_SET_IRQS hex:${arg.toHex()}`,
    );
    const result = outcome(() => process.ioctl(device, IOCTL.SET_IRQS, arg));
    assertEquals<Outcome>(
      result,
      expected,
      `# release ${release}\nopen --via ${way}\n${"fd eventfd\n".repeat(EVENTFDS)}${lines.join("\n")}`,
    );
  }
  for (const fd of eventfds) {
    assertEquals(rig.signals(fd), model.take(fd), `eventfd ${fd}\n${lines.join("\n")}`);
  }
}

Deno.test("SET_IRQS answers and signals as the table says, whatever was set before (vfio.setirqs.signal)", () => {
  const way = fc.constantFrom(...WAYS);
  const release = fc.constantFrom("7.3" as const, "7.3" as const, "7.1" as const);
  fc.assert(fc.property(way, release, fc.array(OPERATION, { maxLength: 25, size: "max" }), agree), {
    seed: SEED,
    numRuns: RUNS,
  });
});
