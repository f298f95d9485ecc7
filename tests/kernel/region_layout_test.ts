/** vfio.region.offset: layouts that a kernel may choose, and what a driver meets that hard-codes one of them. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  BAR2_SIZE as B2,
  CONFIG_SIZE,
  IOCTL,
  outcome,
  PAGE,
  Rig,
  u64,
  type Way,
  WAYS,
  words,
} from "../support/kernel.ts";
import { ErrnoError } from "../../lib/vfio/errno.ts";

const BAR0_SIZE = 2 ** 48;
const SIZES = [BAR0_SIZE, 0, B2, 0, 0, 0, undefined, CONFIG_SIZE];

function opened(regionLayout: string, way: Way = "group"): Rig {
  return Rig.opened(way, { kernel: { regionLayout } });
}

/** Offsets that GET_REGION_INFO tells, by index. */
function offsets(rig: Rig): number[] {
  return SIZES.flatMap((size, index) => {
    if (size === undefined) return [];
    const arg = words(32, 0, index, 0, 0n, 0n);
    assertEquals(rig.ioctl(rig.device, IOCTL.GET_REGION_INFO, arg), 0);
    assertEquals(u64(arg, 16), BigInt(size), `size of region ${index}`);
    return [Number(u64(arg, 24))];
  });
}

/** Bytes of config space at the offset that the kernel tells. */
function vendor(rig: Rig): string {
  const buffer = new Uint8Array(4);
  rig.process.pread(rig.device, buffer, 4, offsets(rig)[6]!);
  return buffer.toHex();
}

Deno.test.each([
  { layout: "ism48", wanted: [0, 1, 2, 3, 4, 5, 7].map((index) => index * 2 ** 48) },
  { layout: "legacy40", wanted: [0, 1, 2, 3, 4, 5, 7].map((index) => index * 2 ** 40) },
  {
    layout: "packed",
    wanted: [
      0,
      ...[0, PAGE, PAGE + B2, 2 * PAGE + B2, 3 * PAGE + B2, 4 * PAGE + B2].map((at) => BAR0_SIZE + at),
    ],
  },
  {
    layout: "reordered",
    // Config space, BAR 5 to BAR 0; an empty region takes one page.
    wanted: [5 * PAGE + B2, 4 * PAGE + B2, 4 * PAGE, 3 * PAGE, 2 * PAGE, PAGE, 0],
  },
])("$layout: GET_REGION_INFO tells where regions are, and config space is there", ({ layout, wanted }) => {
  for (const way of WAYS) {
    const rig = opened(layout, way);
    assertEquals(offsets(rig), wanted);
    // Under legacy40 config space is inside BAR 0's 2^48 bytes, but the position decodes to it all the same.
    assertEquals(vendor(rig), "1410ed04");
  }
});

Deno.test("dynamic: other positions at each open, page aligned, apart from each other, and the same for a seed", () => {
  const runs = [1, 1, 2].map((seed) => {
    const rig = Rig.opened("group", { kernel: { regionLayout: "dynamic" }, seed });
    return [1, 2, 3].map(() => {
      const at = offsets(rig);
      assertEquals(vendor(rig), "1410ed04");
      rig.close();
      rig.openGroup();
      return at;
    });
  });
  assertEquals(runs[0], runs[1]);
  assertNotEquals(runs[0], runs[2]);
  const [first, second, third] = runs[0]!;
  assertNotEquals(first, second);
  assertNotEquals(second, third);
  for (const positions of runs.flat()) {
    const regions = positions.map((at, i) => [at, [0, 1, 2, 3, 4, 5, 7][i]!] as const).sort(([a], [b]) =>
      a - b
    );
    let end = 0;
    for (const [at, index] of regions) {
      assert(at % PAGE === 0 && at >= end && at < 2 ** 53, `region ${index} at ${at}`);
      end = at + SIZES[index]!;
    }
  }
});

Deno.test("where no region lies a count of 0 is 0 and any other count EINVAL, as with any index that is none", () => {
  const rig = opened("packed");
  const behind = BAR0_SIZE + 10 * PAGE + B2;
  for (const position of [BAR0_SIZE, behind, 2 ** 52, 2 ** 53, 2n ** 63n - 9n]) {
    assertEquals([rig.pread(position, 0), rig.pread(position, 1), rig.pwrite(position, 8)], [
      0,
      "EINVAL",
      "EINVAL",
    ]);
  }
});

Deno.test("dynamic: the layout outlives a reset and the saved host", () => {
  const rig = opened("dynamic");
  const before = offsets(rig);
  assertEquals(rig.ioctl(rig.device, IOCTL.RESET), 0);
  assertEquals(offsets(rig), before);
  const fork = rig.host.fork();
  const device = fork.guests[0]!.kernel.zdevs.map((zdev) => fork.guests[0]!.kernel.device(zdev)!)[0]!;
  assertEquals([0, 1, 2, 3, 4, 5, 7].map((index) => device.layout.positionOf(index)), before);
});

Deno.test.each([
  {
    what: "config space, 40",
    layout: "ism48",
    position: 7 * 2 ** 40,
    hint: "2^40 bytes apart this would be config space",
  },
  { what: "BAR 2, 40", layout: "ism48", position: 2 * 2 ** 40 + 8, hint: "puts at 0x2000000000008" },
  {
    what: "config space, 48",
    layout: "packed",
    position: 7 * 2 ** 48 + 4,
    hint: "2^48 bytes apart this would be config space",
  },
  { what: "a far BAR 0 offset", layout: "ism48", position: 9 * 2 ** 40, hint: undefined },
  { what: "BAR 0 itself", layout: "ism48", position: 8, hint: undefined },
  { what: "BAR 2 itself, crossing a line", layout: "ism48", position: 2 * 2 ** 48 + 4095, hint: "split at" },
])("a refusal at the position of $what says what a hard-coded shift meant", ({ layout, position, hint }) => {
  const rig = opened(layout);
  const act = () => rig.process.pwrite(rig.device, new Uint8Array(8), 8, position);
  assert(typeof outcome(act) === "string");
  try {
    act();
  } catch (error) {
    const said = (error as ErrnoError).hint;
    if (hint === undefined) assert(!said?.includes("bytes apart"), said);
    else assert(said?.includes(hint), said);
  }
});
