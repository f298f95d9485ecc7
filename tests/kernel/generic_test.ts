/**
 * vfio.generic.bars and vfio.generic.differences, vfio.generic.bars: what breaks when the generic vfio-pci driver holds
 * an ISM function.
 */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, region, Rig, WAYS, words } from "../support/kernel.ts";

/** First byte of region `index` for the generic driver. */
const at = (index: number): number => index * 2 ** 40;
const generic = (choices = {}) => Rig.opened("group", { ...choices, driver: "vfio-pci" });
/** The driver of release 7.1, which tries to map BARs. */
const generic71 = (choices = {}) => generic({ ...choices, kernel: { release: "7.1" } });
const both = (rig: Rig, position: number | bigint, count: number) => [
  rig.pread(position, count),
  rig.pwrite(position, count),
];

/** Instructions of any kind on a BAR during a call. */
const instructionsOf = (rig: Rig, act: () => Outcome) => {
  let result: Outcome = "";
  const lines = rig.instructions(() => result = act());
  return { result, lines: lines.map((line) => line.replace(/ 2 0x/, " ")) };
};

Deno.test.each([
  { what: "BAR 0", position: 0, errno: "ENODEV", before: "ENOMEM" },
  { what: "the end of what decodes to BAR 0", position: 2 ** 40 - 1, errno: "ENODEV", before: "ENOMEM" },
  { what: "BAR 2", position: at(2), errno: "ENODEV", before: 1 },
  { what: "the end of BAR 2", position: at(2) + 0xffff, errno: "ENODEV", before: 1 },
  { what: "BAR 0 at 2^40, which is BAR 1", position: at(1), errno: "EINVAL" },
  { what: "BAR 3", position: at(3), errno: "EINVAL" },
  { what: "what lies behind BAR 2", position: at(2) + 0x10000, errno: "EINVAL" },
  { what: "the ROM", position: at(6), errno: "EINVAL" },
  { what: "config space behind its end", position: at(7) + 0x100, errno: "EFAULT" },
  { what: "VGA", position: at(8), errno: "EINVAL" },
  { what: "index 9", position: at(9), errno: "EINVAL" },
  { what: "BAR 2 of ism_vfio_pci", position: region(2), errno: "EINVAL" },
  { what: "config space of ism_vfio_pci", position: region(7), errno: "EINVAL" },
  { what: "index 0x7fffff", position: 0x7fff_ff00_0000_0000n, errno: "EINVAL" },
])("$what: $errno (vfio.generic.regions, vfio.generic.bars)", ({ position, errno, before = errno }) => {
  const rig = generic();
  const lines = rig.instructions(() => assertEquals(both(rig, position, 1), [errno, errno]));
  assertEquals(lines, [], "no instruction");
  assertEquals<unknown>(both(generic71(), position, 1), [before, before]);
});

Deno.test("a BAR of 7.3 is ENODEV before memory decode and the caller's buffer are looked at (vfio.generic.bars)", () => {
  const rig = generic({ vfn: 0 });
  rig.process.pwrite(rig.device, words(0), 2, at(7) + 4);
  assertEquals(both(rig, at(2), 8), ["ENODEV", "ENODEV"]);
  assertEquals(rig.pread(at(2), 8, { buffer: new Uint8Array(0) }), "ENODEV");
});

Deno.test("offset 7 << 40 of BAR 0 reads config space, and writes it (vfio.generic.regions)", () => {
  const rig = generic();
  const buffer = new Uint8Array(4);
  assertEquals([rig.pread(at(7), 4, { buffer }), buffer.toHex()], [4, "1410ed04"]);
  assertEquals(rig.pwrite(at(7) + 4, 2, { buffer: words(0x0006) }), 2);
  assertEquals(rig.target.fn.model.config.busMaster, true);
});

Deno.test.each([0, 1, 2, 6, 7, 8, 9, 100, 32767].map((index) => ({ index })))(
  "count 0 at index $index is 0 (vfio.generic.differences)",
  ({ index }) => {
    assertEquals(both(generic(), at(index), 0), [0, 0]);
  },
);

Deno.test("a BAR is reached by MIO instructions, which the function does not take: all ones, nothing stored (vfio.irqinfo.table, vfio.generic.bars)", () => {
  const rig = generic71();
  rig.target.adapter.commandArea.fill(0x5a);
  const buffer = new Uint8Array(16);
  const { result, lines } = instructionsOf(rig, () => rig.pread(at(2) + 3, 16, { buffer }));
  assertEquals([result, buffer.toHex()], [16, "ff".repeat(16)]);
  assertEquals(lines, ["PCILGI 3 1", "PCILGI 4 4", "PCILGI 8 8", "PCILGI 10 2", "PCILGI 12 1"]);
  assertEquals(rig.pwrite(at(2) + 8, 8), 8);
  assertEquals(rig.target.adapter.commandArea.every((byte) => byte === 0x5a), true);
});

Deno.test("a write of 5000 bytes is cut into stores of 8, 4, 2 and 1 bytes, across 4 KiB (vfio.irqinfo.table, vfio.generic.differences)", () => {
  const rig = generic71();
  const { result, lines } = instructionsOf(rig, () => rig.pwrite(at(2) + 4, 5000));
  assertEquals([result, lines.length], [5000, 626]);
  assertEquals([lines[0], lines[1], lines.at(-1)], ["PCISTGI 4 4", "PCISTGI 8 8", "PCISTGI 1388 4"]);
  const odd = instructionsOf(rig, () => rig.pwrite(at(2) + 3, 16));
  assertEquals(odd.lines, ["PCISTGI 3 1", "PCISTGI 4 4", "PCISTGI 8 8", "PCISTGI 10 2", "PCISTGI 12 1"]);
  const ism = Rig.opened();
  assertEquals(ism.pwrite(region(2) + 4, 5000), "EINVAL", "ism_vfio_pci refuses it");
});

Deno.test("a write behind the end of BAR 2 is shortened, as with ism_vfio_pci (vfio.irqinfo.table, vfio.rw.clamp)", () => {
  assertEquals(both(generic71(), at(2) + 0xfff8, 100), [8, 8]);
});

Deno.test("a buffer that faults in the middle: EFAULT, by both drivers (vfio.irqinfo.table, vfio.generic.differences)", () => {
  const short = () => ({ buffer: new Uint8Array(12), effect: true });
  for (const [rig, position] of [[generic71(), at(2)], [Rig.opened(), region(2)]] as const) {
    assertEquals([rig.pread(position, 16, short()), rig.pwrite(position, 16, short())], ["EFAULT", "EFAULT"]);
  }
});

Deno.test.each([
  { vfn: 0, memory: false, result: "EIO" },
  { vfn: 0, memory: true, result: 8 },
  { vfn: 1, memory: false, result: 8 },
])(
  "memory decode $memory with vfn $vfn: $result, where ism_vfio_pci goes on (vfio.irqinfo.table, vfio.generic.memory)",
  ({ vfn, memory, result }) => {
    const rig = generic71({ vfn });
    rig.process.pwrite(rig.device, words(memory ? 2 : 0), 2, at(7) + 4);
    assertEquals<unknown>(both(rig, at(2), 8), [result, result]);
    assertEquals(both(rig, at(7), 4), [4, 4], "config accesses ignore COMMAND");
    const ism = Rig.opened("group", { vfn });
    ism.setConfig(4, 2, memory ? 2 : 0);
    assertEquals(both(ism, region(2), 8), [8, 8]);
  },
);

Deno.test("the mapping of BAR 0 fails before memory decode is looked at (vfio.irqinfo.table, vfio.generic.bars)", () => {
  const rig = generic71({ vfn: 0 });
  rig.process.pwrite(rig.device, words(0), 2, at(7) + 4);
  assertEquals(both(rig, 0, 8), ["ENOMEM", "ENOMEM"]);
});

Deno.test.each(WAYS.map((way) => ({ way })))(
  "everything but regions is the core's, so the same ($way)",
  ({ way }) => {
    const outcomes = (["ism_vfio_pci", "vfio-pci"] as const).map((driver) => {
      const rig = Rig.opened(way, { driver });
      const call = (request: number, ...fields: (number | bigint)[]) =>
        rig.ioctl(rig.device, request, words(...fields), { effect: true });
      return [
        call(IOCTL.GET_INFO, 24, 0, 0, 0, 0, 0),
        call(IOCTL.GET_IRQ_INFO, 16, 0, 3, 0),
        call(IOCTL.GET_IRQ_INFO, 16, 0, 1, 0),
        call(IOCTL.SET_IRQS, 20, 0x21, 1, 0, 0),
        call(IOCTL.RESET),
        call(IOCTL.GET_PCI_HOT_RESET_INFO, 12, 0, 0),
        call(IOCTL.FEATURE, 8, 0x10000),
        call(IOCTL.FEATURE, 8, 0x20003),
        call(0x3bff),
        rig.call(() => rig.process.mmap(rig.device, 4096, 0)),
        rig.call(() => rig.process.lseek(rig.device, 0, "SEEK_SET")),
      ];
    });
    assertEquals(outcomes[0], [
      0,
      0,
      0,
      "EINVAL",
      0,
      "ENOSPC",
      "ENOTTY",
      0,
      "ENOTTY",
      "EINVAL",
      "ESPIPE",
    ]);
    assertEquals(outcomes[1], outcomes[0]);
  },
);

/** A bound device of a driver, with an IOAS that nothing is attached to. */
function bound(driver: "ism_vfio_pci" | "vfio-pci"): Rig {
  const rig = Rig.opened("cdev", { driver });
  assertEquals(rig.ioctl(rig.device, IOCTL.DETACH_PT, words(8, 0)), 0);
  return rig;
}

Deno.test.each([
  { what: "an unknown flag beside PASID", fields: [16, 3, 0, 1], ism: "EINVAL", generic: "EINVAL" },
  { what: "no room for a PASID", fields: [15, 1, 0, 1], ism: "EOPNOTSUPP", generic: "EINVAL" },
  { what: "a PASID out of reach", fields: [16, 1, 0], ism: "EOPNOTSUPP", generic: "EFAULT" },
  { what: "a PASID of 2^31", fields: [16, 1, 99, 2 ** 31], ism: "EOPNOTSUPP", generic: "ENOSPC" },
  { what: "a bad id", fields: [16, 1, 99, 1], ism: "EOPNOTSUPP", generic: "ENOENT" },
  { what: "an IOAS", fields: [16, 1, 0, 1], ism: "EOPNOTSUPP", generic: "EINVAL" },
  {
    what: "an IOAS, the largest PASID",
    fields: [16, 1, 0, 2 ** 31 - 1],
    ism: "EOPNOTSUPP",
    generic: "EINVAL",
  },
])(
  "ATTACH with PASID, $what: ism_vfio_pci $ism, vfio-pci $generic (vfio.cdev.attach, vfio.generic.pasid, vfio.driver.ops)",
  ({ fields, ism, generic }) => {
    for (const [driver, expected] of [["ism_vfio_pci", ism], ["vfio-pci", generic]] as const) {
      const rig = bound(driver);
      const [argsz, flags, id, ...pasid] = fields as [number, number, number];
      const arg = words(argsz, flags, id === 0 ? rig.ioas : id, ...pasid);
      assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, arg), expected);
    }
  },
);

Deno.test("DETACH with PASID: vfio-pci finds nothing attached to it, which is fine (vfio.cdev.attach)", () => {
  const detach = (driver: "ism_vfio_pci" | "vfio-pci", ...fields: number[]) => {
    const rig = bound(driver);
    return rig.ioctl(rig.device, IOCTL.DETACH_PT, words(...fields));
  };
  assertEquals([detach("vfio-pci", 12, 1, 1), detach("vfio-pci", 12, 3, 1)], [0, "EINVAL"]);
  assertEquals([detach("vfio-pci", 11, 1, 1), detach("vfio-pci", 12, 1)], ["EINVAL", "EFAULT"]);
  assertEquals([detach("ism_vfio_pci", 12, 1, 1), detach("ism_vfio_pci", 8, 1)], [
    "EOPNOTSUPP",
    "EOPNOTSUPP",
  ]);
});

Deno.test("DETACH with PASID leaves what is attached without one (vfio.cdev.attach)", () => {
  const rig = Rig.opened("cdev", { driver: "vfio-pci" });
  assertEquals(rig.ioctl(rig.device, IOCTL.DETACH_PT, words(12, 1, 1)), 0);
  assertEquals(rig.domain === undefined, false);
});

const GET = 0x1_0000;
const SET = 0x2_0000;
const PROBE = 0x4_0000;
const DMA_BUF = 11;

/** One range of a page, in BAR `region`. */
const oneRange = (region: number, offset = 0n, length = 4096n) => [region, 0, 0, 1, offset, length];

Deno.test.each<
  { what: string; flags: number; argsz?: number; payload?: (number | bigint)[]; errno: unknown }
>([
  { what: "GET and SET", flags: GET | SET, errno: "EINVAL" },
  { what: "SET", flags: SET, payload: oneRange(2), errno: "EINVAL" },
  { what: "PROBE and SET", flags: PROBE | SET, errno: "EINVAL" },
  { what: "PROBE", flags: PROBE, errno: 0 },
  { what: "PROBE and GET", flags: PROBE | GET, errno: 0 },
  { what: "nothing", flags: 0, payload: oneRange(2), errno: "EINVAL" },
  { what: "GET without room", flags: GET, argsz: 23, payload: oneRange(2), errno: "EINVAL" },
  { what: "GET with an unreadable struct", flags: GET, argsz: 24, payload: [2, 0], errno: "EFAULT" },
  { what: "GET of no range", flags: GET, payload: [9, 0, 0, 0], errno: "EINVAL" },
  { what: "GET with flags", flags: GET, payload: [9, 0, 1, 1, 0n, 4096n], errno: "EINVAL" },
  { what: "GET of the ROM", flags: GET, payload: oneRange(6, 1n), errno: "ENODEV" },
  { what: "GET of config space", flags: GET, payload: oneRange(7, 1n), errno: "ENODEV" },
  { what: "GET of unreadable ranges", flags: GET, payload: [2, 0, 0, 2, 0n, 4096n], errno: "ENODEV" },
  { what: "GET of an empty range", flags: GET, payload: oneRange(2, 0n, 0n), errno: "ENODEV" },
  { what: "GET of a misaligned range", flags: GET, payload: oneRange(2, 1n), errno: "ENODEV" },
  { what: "GET of BAR 1, which is empty", flags: GET, payload: oneRange(1), errno: "ENODEV" },
  { what: "GET of BAR 2, which cannot be mapped", flags: GET, payload: oneRange(2), errno: "ENODEV" },
])(
  "feature DMA_BUF of vfio-pci with $what: $errno; of ism_vfio_pci never (vfio.feature.dmabuf, vfio.generic.dmabuf)",
  (row) => {
    const { flags, payload = [], argsz, errno } = row;
    const call = (driver: "ism_vfio_pci" | "vfio-pci", release = "7.3") => {
      const rig = Rig.opened("group", { driver, kernel: { release } });
      const bytes = words(...payload);
      const arg = words(argsz ?? 8 + bytes.length, flags + DMA_BUF, ...payload);
      return rig.ioctl(rig.device, IOCTL.FEATURE, arg);
    };
    assertEquals([call("vfio-pci"), call("vfio-pci", "7.1")], [errno, errno]);
    assertEquals(call("ism_vfio_pci"), flags === (GET | SET) ? "EINVAL" : "EOPNOTSUPP");
  },
);
