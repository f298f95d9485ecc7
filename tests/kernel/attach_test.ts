/**
 * zpci.rpcit.map and recovery.event.order: MPCIFC 4 at an attach, its answer by answer, and RPCIT at a map and an
 * unmap.
 */
import { rangeOf } from "../support/events.ts";
import { assertEquals } from "@std/assert";
import type { FaultKind } from "../../lib/zpci/faults.ts";
import { IOCTL, type Outcome, PAGE, Rig, START_DMA, type Way, words } from "../support/kernel.ts";

const REGISTER = 4;
const DEREGISTER = 5;
const IOVA = BigInt(START_DMA);

/** A function that is to be attached: type1 by SET_IOMMU, an iommufd by ATTACH. */
class Bench {
  readonly rig = new Rig();
  readonly #attach: () => Outcome;
  readonly #detach: () => Outcome;

  constructor(way: Way) {
    const { rig } = this;
    const { process } = rig;
    if (way === "cdev") {
      rig.openCdev();
      process.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0));
      this.#attach = () => rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(12, 0, rig.ioas), { effect: true });
      this.#detach = () => rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0), { effect: true });
    } else {
      rig.container = process.open("/dev/vfio/vfio");
      rig.group = process.open("/dev/vfio/0");
      process.ioctl(rig.group, IOCTL.GROUP_SET_CONTAINER, words(rig.container));
      this.#attach = () => rig.ioctl(rig.container, IOCTL.SET_IOMMU, 3, { effect: true });
      this.#detach = () => rig.ioctl(rig.group, IOCTL.GROUP_UNSET_CONTAINER, 0, { effect: true });
    }
  }

  attach(): Outcome {
    return this.#attach();
  }

  detach(): Outcome {
    return this.#detach();
  }

  refuse(fault: FaultKind, operation: number): void {
    this.rig.inject(fault, { op: "MPCIFC", space: operation });
  }
}

const ANSWERS: readonly { what: string; fault: FaultKind; result: Outcome }[] = [
  { what: "cc 3", fault: { kind: "invalid-handle" }, result: 0 },
  { what: "cc 1 status 40", fault: { kind: "status", status: 40 }, result: 0 },
  { what: "cc 1 status 4", fault: { kind: "status", status: 4 }, result: "EIO" },
  { what: "cc 1 status 8", fault: { kind: "status", status: 8 }, result: "EIO" },
  { what: "cc 1 status 16", fault: { kind: "status", status: 16 }, result: "EIO" },
  { what: "cc 1 status 24", fault: { kind: "status", status: 24 }, result: "EIO" },
  { what: "an operand exception", fault: { kind: "exception", exception: "operand" }, result: "EIO" },
];

Deno.test.each((["group", "cdev"] as const).flatMap((way) => ANSWERS.map((row) => ({ way, ...row }))))(
  "attach by $way with $what: $result; registered at the next enable if it counts as attached (zpci.mpcifc.error, recovery.event.order)",
  ({ way, fault, result }) => {
    const bench = new Bench(way);
    const { zdev, fn, guest } = bench.rig.target;
    bench.refuse(fault, REGISTER);
    assertEquals(bench.attach(), result);
    assertEquals([zdev.domain !== undefined, fn.ioat], [result === 0, undefined]);
    zdev.hotReset();
    assertEquals(fn.ioat !== undefined, result === 0);
    assertEquals([bench.detach(), guest.kernel.defaultDomains.userDomain(zdev)], [0, undefined]);
    // A group goes back to the kernel's own domain; a device that was detached is in none.
    assertEquals(fn.ioat !== undefined, way === "group");
  },
);

Deno.test.each([{ way: "group" }, { way: "cdev" }] as const)(
  "a function in the error state is attached by $way, and registered by the reset (zpci.mpcifc.error, recovery.event.order)",
  ({ way }) => {
    const bench = new Bench(way);
    const { zdev, fn } = bench.rig.target;
    // No event, which the kernel would answer by recovering a function that nobody has open.
    fn.state = "error";
    assertEquals([bench.attach(), fn.ioat], [0, undefined]);
    zdev.hotReset();
    assertEquals([fn.state, fn.ioat !== undefined], ["enabled", true]);
  },
);

Deno.test.each(ANSWERS)(
  "a detach does not look at the answer of MPCIFC 5: $what (zpci.mpcifc.error)",
  ({ fault }) => {
    const bench = new Bench("cdev");
    assertEquals(bench.attach(), 0);
    bench.refuse(fault, DEREGISTER);
    assertEquals([bench.detach(), bench.rig.target.zdev.domain], [0, undefined]);
  },
);

/** Address and bytes of each RPCIT of a call. */
function refreshes(rig: Rig, call: () => Outcome): { result: Outcome; ranges: string[] } {
  const ranges: string[] = [];
  rig.host.tracer.sink = {
    enter: (event) => {
      if (event.layer !== "insn" || event.op !== "RPCIT") return;
      const [iova, length] = rangeOf(event);
      ranges.push(`0x${iova.toString(16)}+0x${length.toString(16)}`);
    },
    leave: () => {},
  };
  try {
    return { result: call(), ranges };
  } finally {
    rig.host.tracer.sink = undefined;
  }
}

/** A map of one page, with faults at RPCITs by their number. */
function map(way: Way, faults: readonly (readonly [at: number, fault: FaultKind])[]) {
  const rig = Rig.opened(way);
  const vaddr = BigInt(rig.process.mmapAnonymous(PAGE));
  for (const [at, fault] of faults) rig.host.faults.add(fault, { op: "RPCIT" }, at);
  rig.host.applyFaults();
  const [fd, request, arg] = way === "group"
    ? [rig.container, IOCTL.MAP_DMA, words(32, 3, vaddr, IOVA, 4096n)] as const
    : [rig.iommufd, IOCTL.IOAS_MAP, words(40, 7, rig.ioas, 0, vaddr, 4096n, IOVA)] as const;
  const { result, ranges } = refreshes(rig, () => rig.ioctl(fd, request, arg, { effect: true }));
  return [result, ranges, rig.target.zdev.domain!.mappings().length];
}

const status = (code: number): FaultKind => ({ kind: "status", status: code });
const PAGE_RANGE = "0x100000000+0x1000";
const WHOLE = "0x100000000+0x100000000";

const REFRESHES: readonly {
  what: string;
  faults: (readonly [number, FaultKind])[];
  ranges: string[];
  result: Outcome;
}[] = [
  { what: "no refusal", faults: [], ranges: [PAGE_RANGE], result: 0 },
  { what: "status 4", faults: [[1, status(4)]], ranges: [PAGE_RANGE, WHOLE], result: 0 },
  { what: "status 16", faults: [[1, status(16)]], ranges: [PAGE_RANGE, WHOLE], result: 0 },
  {
    what: "status 4 twice",
    faults: [[1, status(4)], [2, status(4)]],
    ranges: [PAGE_RANGE, WHOLE, PAGE_RANGE],
    result: "ENOMEM",
  },
  {
    what: "status 16, then 4",
    faults: [[1, status(16)], [2, status(4)]],
    ranges: [PAGE_RANGE, WHOLE, PAGE_RANGE],
    result: "ENOMEM",
  },
  {
    what: "status 16, then 8",
    faults: [[1, status(16)], [2, status(8)]],
    ranges: [PAGE_RANGE, WHOLE, PAGE_RANGE],
    result: "EIO",
  },
  { what: "status 8", faults: [[1, status(8)]], ranges: [PAGE_RANGE, PAGE_RANGE], result: "EIO" },
  { what: "status 40", faults: [[1, status(40)]], ranges: [PAGE_RANGE, PAGE_RANGE], result: "EIO" },
  {
    what: "cc 3",
    faults: [[1, { kind: "invalid-handle" }]],
    ranges: [PAGE_RANGE, PAGE_RANGE],
    result: "EIO",
  },
  {
    what: "status 4, then cc 3",
    faults: [[1, status(4)], [2, { kind: "invalid-handle" }]],
    ranges: [PAGE_RANGE, WHOLE, PAGE_RANGE],
    result: "EIO",
  },
];

Deno.test.each((["group", "cdev"] as const).flatMap((way) => REFRESHES.map((row) => ({ way, ...row }))))(
  "RPCIT at a map by $way, $what: $result (zpci.rpcit.map, recovery.event.order)",
  ({ way, faults, ranges, result }) => {
    assertEquals(map(way, faults), [result, ranges, result === 0 ? 1 : 0]);
  },
);

Deno.test.each([status(4), status(8), status(16), { kind: "invalid-handle" }] as const)(
  "an unmap does not look at the answer of RPCIT (zpci.rpcit.map)",
  (fault) => {
    for (const way of ["group", "cdev"] as const) {
      const rig = Rig.opened(way);
      rig.mapDma(START_DMA);
      rig.inject(fault, { op: "RPCIT" });
      const { result, ranges } = refreshes(
        rig,
        () =>
          way === "group"
            ? rig.ioctl(rig.container, IOCTL.UNMAP_DMA, words(24, 0, IOVA, 4096n))
            : rig.ioctl(rig.iommufd, IOCTL.IOAS_UNMAP, words(24, rig.ioas, IOVA, 4096n)),
      );
      assertEquals([result, ranges, rig.target.zdev.domain!.mappings()], [0, [PAGE_RANGE], []]);
    }
  },
);

Deno.test("ATTACH of an IOAS with mappings refreshes each of them, and takes all back if one is refused (vfio.iommufd.window)", () => {
  const bench = new Bench("cdev");
  const { rig } = bench;
  for (const page of [0, 4]) rig.mapDma(START_DMA + page * PAGE);
  const attach = () => refreshes(rig, () => bench.attach());
  rig.inject({ kind: "invalid-handle" }, { op: "RPCIT" }, 2);
  assertEquals([attach().result, rig.target.zdev.domain, rig.target.fn.ioat], ["EIO", undefined, undefined]);
  assertEquals(attach(), { result: 0, ranges: [PAGE_RANGE, "0x100004000+0x1000"] });
});
