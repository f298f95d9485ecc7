/** vfio.rw.corners and vfio.mmap.never, row by row. */
import { assertEquals } from "@std/assert";
import { CONFIG_SIZE, type Outcome, PAGE, region, Rig, WAYS } from "../support/kernel.ts";

const ZEROS = { ism: { bar0Loads: "zeros" } };

interface Corner {
  readonly position: bigint;
  readonly count: number;
  readonly read: Outcome;
  /** Instead of `read`, where a write differs. */
  readonly write?: Outcome;
  readonly loads: readonly string[];
}

const CORNERS: readonly Corner[] = [
  { position: 0x0000_ffff_ffff_ffffn, count: 2, read: 1, write: "EIO", loads: ["PCILG 0 0xffffffffffff 1"] },
  { position: 0x0000_ffff_ffff_ffffn, count: 1, read: 1, write: "EIO", loads: ["PCILG 0 0xffffffffffff 1"] },
  { position: 0x0001_0000_0000_0000n, count: 1, read: "EINVAL", loads: [] },
  { position: 0x0007_0000_0000_00ffn, count: 2, read: "EFAULT", loads: [] },
  { position: 0x0007_0000_0000_00ffn, count: 1, read: 1, loads: ["PCILG 15 0xff 1"] },
  { position: 0x0007_0000_0000_0100n, count: 1, read: "EFAULT", loads: [] },
  { position: 0x0007_0000_0000_0100n, count: 0, read: 0, loads: [] },
  { position: 0x0007_ffff_ffff_ffffn, count: 1, read: "EFAULT", loads: [] },
  { position: 0x0006_0000_0000_0000n, count: 1, read: "EINVAL", loads: [] },
  { position: 0x0006_0000_0000_0000n, count: 0, read: 0, loads: [] },
  { position: 0x0008_0000_0000_0000n, count: 1, read: "EINVAL", loads: [] },
  { position: 0x0008_0000_0000_0000n, count: 0, read: 0, loads: [] },
  { position: 0x7fff_0000_0000_0000n, count: 8, read: "EINVAL", loads: [] },
  { position: 0x7fff_ffff_ffff_fffen, count: 1, read: "EINVAL", loads: [] },
  { position: 0x7fff_ffff_ffff_ffffn, count: 1, read: "EINVAL", loads: [] },
  { position: 0x7fff_ffff_ffff_ffffn, count: 0, read: 0, loads: [] },
  { position: 0x8000_0000_0000_0000n, count: 0, read: "EINVAL", loads: [] },
  { position: 0x8007_0000_0000_0000n, count: 4, read: "EINVAL", loads: [] },
  { position: 0xffff_ffff_ffff_ffffn, count: 1, read: "EINVAL", loads: [] },
];

Deno.test.each([...CORNERS])("position $position, count $count: $read (vfio.rw.corners)", (corner) => {
  const rig = Rig.opened("group", ZEROS);
  const { position, count, read, write = read } = corner;
  let result: Outcome = "";
  const loads = rig.instructions(() => result = rig.pread(position, count), [0, 1, 2, 3, 4, 5, 15]);
  assertEquals<unknown>([result, loads], [read, corner.loads]);
  assertEquals(rig.pwrite(position, count), write);
});

Deno.test("a bigint position and the same number mean the same (vfio.rw.corners)", () => {
  const rig = Rig.opened();
  for (const [index, offset] of [[0, 8], [2, 0xfff], [2, 0x10000], [7, 0xff], [7, 0x100], [8, 0]] as const) {
    const position = region(index) + offset;
    assertEquals(rig.pread(BigInt(position), 1n), rig.pread(position, 1));
    assertEquals(rig.pwrite(BigInt(position), 0n), rig.pwrite(position, 0));
  }
});

Deno.test.each(WAYS.map((way) => ({ way })))(
  "mmap is EINVAL for every region, offset and length, by $way (vfio.mmap.checks)",
  ({ way }) => {
    const rig = Rig.opened(way);
    const mmap = (length: number | bigint, offset: number | bigint) =>
      rig.call(() => rig.process.mmap(rig.device, length, offset));
    const offsets = [
      0,
      PAGE,
      region(1),
      region(2),
      region(2) + PAGE,
      region(6),
      region(7),
      region(8),
      region(31),
    ];
    for (const offset of offsets) {
      assertEquals([1, CONFIG_SIZE, PAGE, PAGE + 1, 0x10000].map((length) => mmap(length, offset)), [
        "EINVAL",
        "EINVAL",
        "EINVAL",
        "EINVAL",
        "EINVAL",
      ]);
    }
  },
);

Deno.test.each([
  { length: 0n, offset: 0n, errno: "EINVAL" },
  { length: 0n, offset: 2n ** 64n - 4096n, errno: "EINVAL" },
  { length: 4096n, offset: 1n, errno: "EINVAL" },
  { length: 4096n, offset: 4095n, errno: "EINVAL" },
  { length: 8192n, offset: 2n ** 64n - 4096n, errno: "EOVERFLOW" },
  { length: 2n ** 63n, offset: 2n ** 63n + 4096n, errno: "EOVERFLOW" },
  { length: 4096n, offset: 2n ** 64n - 8192n, errno: "EINVAL" },
  { length: 2n ** 64n - 4095n, offset: 0n, errno: "ENOMEM" },
  { length: 2n ** 64n - 4096n, offset: 0n, errno: "EINVAL" },
])(
  "mmap of $length bytes at $offset: $errno, before the driver is asked (vfio.mmap.checks)",
  ({ length, offset, errno }) => {
    const rig = Rig.opened();
    assertEquals(rig.call(() => rig.process.mmap(rig.device, length, offset)), errno);
  },
);

Deno.test("mmap of a descriptor that is not open is EBADF, an unaligned offset comes before it (vfio.mmap.checks)", () => {
  const rig = new Rig();
  assertEquals(rig.call(() => rig.process.mmap(99, PAGE, 0)), "EBADF");
  assertEquals(rig.call(() => rig.process.mmap(99, 0, 0)), "EBADF");
  assertEquals(rig.call(() => rig.process.mmap(99, PAGE, 1)), "EINVAL");
});
