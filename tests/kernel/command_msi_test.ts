/** vfio.config.restore and d, on both releases: instructions of a write to COMMAND; the number of MSI vectors. */
import { assertEquals } from "@std/assert";
import { RELEASES } from "../../lib/vfio/release.ts";
import { IOCTL, type Outcome, region, Rig, u32, words } from "../support/kernel.ts";

const COMMAND = region(7) + 4;
const SPACE_CONFIG = [15];

/** Instructions on config space while `act` runs: `PCILG 2@4`. */
const accesses = (rig: Rig, act: () => unknown) =>
  rig.instructions(act, SPACE_CONFIG).map((line) => line.replace(/^(PCI\w+) 15 0x(\w+) (\d)$/, "$1 $3@$2"));

/** The BARs, and the ROM, put back. */
const RESTORED = ["10", "14", "18", "1c", "20", "24", "30"].map((at) => `PCISTG 4@${at}`);

for (const release of RELEASES) {
  Deno.test.each<{ what: string; count: number; failing?: number; result: Outcome; lines: string[] }>([
    {
      what: "of 2 bytes",
      count: 2,
      result: 2,
      lines: ["PCILG 2@4", "PCILG 4@10", "PCILG 4@18", "PCILG 2@4", "PCISTG 2@4"],
    },
    {
      what: "of 4 bytes, STATUS behind it",
      count: 4,
      result: 4,
      lines: ["PCILG 2@4", "PCILG 4@10", "PCILG 4@18", "PCILG 4@4", "PCISTG 4@4"],
    },
    {
      what: "of its low byte",
      count: 1,
      result: 1,
      lines: ["PCILG 2@4", "PCILG 4@10", "PCILG 4@18", "PCILG 1@4", "PCISTG 1@4"],
    },
    { what: "that cannot be read first", count: 2, failing: 4, result: "ENODEV", lines: ["PCILG 2@4"] },
    {
      what: "where BAR 2 cannot be read",
      count: 2,
      failing: 0x18,
      result: 2,
      lines: ["PCILG 2@4", "PCILG 4@10", "PCILG 4@18", ...RESTORED, "PCILG 2@4", "PCISTG 2@4"],
    },
    {
      what: "where an empty BAR could not be read",
      count: 2,
      failing: 0x14,
      result: 2,
      lines: ["PCILG 2@4", "PCILG 4@10", "PCILG 4@18", "PCILG 2@4", "PCISTG 2@4"],
    },
  ])(`a write to COMMAND $what: $lines (${release})`, ({ count, failing, result, lines }) => {
    const rig = Rig.opened("group", { kernel: { release } });
    if (failing !== undefined) {
      rig.inject({ kind: "status", status: 12 }, { op: "PCILG", space: 15, from: failing, to: failing });
    }
    let returned: Outcome = "";
    const act = () => {
      returned = rig.pwrite(COMMAND, count, { buffer: words(6) });
    };
    assertEquals(accesses(rig, act), lines);
    assertEquals<Outcome>(returned, result);
  });

  Deno.test(`the high byte of COMMAND alone is written without a look at the BARs (${release})`, () => {
    const rig = Rig.opened("group", { kernel: { release } });
    assertEquals(accesses(rig, () => rig.pwrite(COMMAND + 1, 1)), ["PCILG 1@5", "PCISTG 1@5"]);
  });

  Deno.test(`MSI has 128 vectors while config space does not answer, and SET_IRQS checks against that (${release})`, () => {
    const rig = Rig.opened("group", { kernel: { release } });
    const eventfd = rig.process.eventfd();
    const vectors = () => {
      const info = words(16, 0, 1, 0);
      return [rig.ioctl(rig.device, IOCTL.GET_IRQ_INFO, info), u32(info, 4), u32(info, 12)];
    };
    const enable = (start: number, count: number, ...fds: number[]) =>
      rig.ioctl(rig.device, IOCTL.SET_IRQS, words(20 + fds.length * 4, 0x24, 1, start, count, ...fds));
    assertEquals(vectors(), [0, 9, 1]);
    assertEquals(accesses(rig, vectors), ["PCILG 2@42"], "from hardware");
    assertEquals([enable(0, 2, eventfd, eventfd), enable(1, 0)], ["EINVAL", "EINVAL"]);
    // No event, which 7.1 would answer by recovering the function.
    rig.target.fn.state = "error";
    assertEquals(vectors(), [0, 9, 128]);
    // As many as the function can have are told; MSI stays off.
    assertEquals([enable(0, 2, eventfd, eventfd), enable(127, 1, eventfd)], [1, 1]);
    assertEquals([enable(128, 0), enable(0, 129), enable(127, 2)], ["EINVAL", "EINVAL", "EINVAL"]);
    assertEquals(rig.ioctl(rig.device, IOCTL.SET_IRQS, words(20, 0x21, 1, 0, 0)), "EINVAL", "MSI is off");
    assertEquals(enable(0, 1, eventfd), 0);
    rig.process.ioctl(rig.device, IOCTL.RESET);
    assertEquals(vectors(), [0, 9, 1]);
  });

  Deno.test(`the vectors are asked for before argsz and flags are looked at (${release})`, () => {
    const rig = Rig.opened("group", { kernel: { release } });
    const call = (...fields: number[]) => () => rig.ioctl(rig.device, IOCTL.SET_IRQS, words(...fields));
    assertEquals(accesses(rig, call(19, 0x24, 1, 0, 1)), ["PCILG 2@42"]);
    assertEquals(accesses(rig, call(20, 0xff, 1, 0, 1)), ["PCILG 2@42"]);
    assertEquals(accesses(rig, call(20, 0x24, 4, 0, 1)), []);
    assertEquals(accesses(rig, call(20, 0x24, 1, 0)), [], "EFAULT comes first");
  });
}
