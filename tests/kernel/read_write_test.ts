/**
 * vfio.rw.vectored and vfio.rw.index: what the VFS and vfio check before the driver, file positions, vectors; the
 * dispatch.
 */
import { assertEquals } from "@std/assert";
import { pattern } from "../support/bytes.ts";
import { BAR2_SIZE, type Outcome, region, Rig, u64, words } from "../support/kernel.ts";

/** Loads of BAR 0 give zeros, so that reads at position 0 succeed. */
const ZEROS = { ism: { bar0Loads: "zeros" } };
const MAX_RW_COUNT = 0x7fff_f000;
const SSIZE_MAX = 2n ** 63n - 1n;

const both = (rig: Rig, position: number | bigint, count: number | bigint): Outcome[] => [
  rig.pread(position, count),
  rig.pwrite(position, count),
];
const twice = (result: Outcome) => [result, result];

Deno.test("a negative position is EINVAL before the descriptor is looked up, which is EBADF (vfio.rw.vfs)", () => {
  const rig = new Rig();
  rig.device = 99;
  for (const position of [-1, -1n, -(2n ** 63n), 2 ** 63, 2n ** 63n, 2n ** 64n - 1n]) {
    assertEquals(both(rig, position, 8), twice("EINVAL"));
    assertEquals(both(rig, position, 0), twice("EINVAL"));
  }
  for (const position of [0, SSIZE_MAX]) assertEquals(both(rig, position, 0), twice("EBADF"));
  const { process } = rig;
  const bytes = new Uint8Array(8);
  const calls = [
    () => process.read(99, bytes, 8),
    () => process.write(99, bytes, 8),
    () => process.readv(99, [bytes]),
    () => process.writev(99, [bytes]),
    () => process.preadv(99, [bytes], 0),
    () => process.pwritev(99, [], 0),
    () => process.lseek(99, 0, "SEEK_SET"),
  ];
  assertEquals(calls.map((call) => rig.call(call)), calls.map(() => "EBADF"));
  assertEquals(rig.call(() => process.preadv(99, [bytes], -1)), "EINVAL");
  assertEquals(rig.call(() => process.pwritev(99, [], -1n)), "EINVAL");
});

Deno.test("no other kind of descriptor can be read at a position, and only an eventfd can be read (vfio.rw.others)", () => {
  const rig = Rig.opened();
  const eventfd = rig.process.eventfd();
  for (const fd of [rig.container, rig.group, eventfd]) {
    rig.device = fd;
    // What was opened by its path has positions, and nothing to read (vfio.rw.others).
    for (const count of [8, 0]) {
      assertEquals(both(rig, 0, count), twice(fd === eventfd ? "ESPIPE" : "EINVAL"));
    }
    // fs/eventfd.c: an eventfd's lseek does nothing and succeeds.
    assertEquals(rig.call(() => rig.process.lseek(fd, 5, "SEEK_CUR")), fd === eventfd ? 0 : "ESPIPE");
  }
  for (const fd of [rig.container, rig.group]) {
    assertEquals(rig.call(() => rig.process.read(fd, new Uint8Array(8), 8)), "EINVAL");
    assertEquals(rig.call(() => rig.process.write(fd, new Uint8Array(8), 8)), "EINVAL");
  }
});

Deno.test.each<{ position: bigint; count: bigint; result: Outcome }>([
  { position: 0n, count: SSIZE_MAX + 1n, result: "EINVAL" },
  { position: 0n, count: 2n ** 64n - 1n, result: "EINVAL" },
  { position: SSIZE_MAX, count: 1n, result: "EINVAL" },
  { position: SSIZE_MAX, count: 0n, result: 0 },
  { position: SSIZE_MAX - 1n, count: 2n, result: "EINVAL" },
  { position: 0x7_0000_0000_0000n, count: SSIZE_MAX - 0x7_0000_0000_0000n + 1n, result: "EINVAL" },
  { position: 0x7_0000_0000_0000n, count: SSIZE_MAX - 0x7_0000_0000_0000n, result: "EFAULT" },
])("position $position plus count $count: $result (vfio.rw.vfs)", ({ position, count, result }) => {
  const rig = Rig.opened();
  assertEquals(both(rig, position, count), twice(result));
});

Deno.test("a count of SSIZE_MAX is one that the driver sees (vfio.rw.vfs)", () => {
  const rig = Rig.opened();
  const buffer = new Uint8Array(8);
  assertEquals([rig.pread(0n, SSIZE_MAX, { buffer }), rig.pread(1n, SSIZE_MAX, { buffer })], [
    "EIO",
    "EINVAL",
  ]);
});

Deno.test("a count is clamped to 0x7ffff000, silently (vfio.rw.vfs)", () => {
  const rig = Rig.opened("group", { ...ZEROS, ism: { bar0Loads: "zeros", bar2Size: 2 ** 31 } });
  const buffer = new Uint8Array(64);
  // At the end of BAR 2, what is left decides; in the middle of it, the clamp does.
  assertEquals(rig.pread(region(2) + 2 ** 31 - 16, SSIZE_MAX / 2n, { buffer }), 16);
  const loads = rig.instructions(() => {
    assertEquals(rig.pread(0xfff0, SSIZE_MAX / 2n, { buffer, effect: true }), "EFAULT");
  });
  assertEquals(loads.length, 9, "eight loads fill the buffer, the ninth finds its end");
  // A write of 0x7ffff000 bytes and one more are refused alike, for the store-block limit.
  assertEquals(rig.pwrite(0, MAX_RW_COUNT, { buffer }), "EINVAL");
  assertEquals(rig.pwrite(0, BigInt(MAX_RW_COUNT) + 1n, { buffer }), "EINVAL");
});

Deno.test("lseek is ESPIPE on a device, whatever it asks for, and pread works (vfio.rw.lseek)", () => {
  for (const rig of [Rig.opened("group"), Rig.opened("cdev")]) {
    const { process, device } = rig;
    for (const whence of ["SEEK_SET", "SEEK_CUR", "SEEK_END"] as const) {
      for (const offset of [0, -1, region(2)]) {
        assertEquals(rig.call(() => process.lseek(device, offset, whence)), "ESPIPE");
      }
    }
    assertEquals(process.file(device).position, 0);
  }
});

Deno.test("read() and write() begin at BAR 0 and advance by what they return; errors leave the position (vfio.rw.position)", () => {
  const rig = Rig.opened("group", ZEROS);
  const { process, device } = rig;
  const file = process.file(device);
  const bytes = new Uint8Array(64);
  const step = (act: () => number) => [rig.call(act), file.position];
  assertEquals(step(() => process.read(device, bytes, 8)), [8, 8]);
  assertEquals(step(() => process.read(device, bytes, 0)), [0, 8]);
  assertEquals(step(() => process.read(device, bytes, 19)), [19, 27]);
  assertEquals(step(() => process.write(device, bytes, 4096)), ["EINVAL", 27]);
  assertEquals(step(() => process.write(device, bytes, 16)), ["EIO", 27]);
  assertEquals(step(() => process.pread(device, bytes, 8, region(2))), [8, 27]);
  file.position = region(2) + 8;
  assertEquals(step(() => process.write(device, bytes, 24)), [24, region(2) + 32]);
  file.position = region(7) + 0xfc;
  assertEquals(step(() => process.read(device, bytes, 4)), [4, region(7) + 0x100]);
  assertEquals(step(() => process.read(device, bytes, 4)), ["EFAULT", region(7) + 0x100]);
});

Deno.test("each descriptor has a position of its own (vfio.rw.position)", () => {
  const rig = Rig.opened("group", ZEROS);
  const { process, device } = rig;
  const second = rig.deviceFd();
  process.read(device, new Uint8Array(16), 16);
  process.read(second, new Uint8Array(3), 3);
  assertEquals([process.file(device).position, process.file(second).position], [16, 3]);
  assertEquals(rig.instructions(() => process.read(second, new Uint8Array(5), 5)), [
    "PCILG 0 0x3 1",
    "PCILG 0 0x4 4",
  ]);
});

/** Segments of these lengths. */
const segments = (...lengths: number[]) => lengths.map((length, i) => pattern(length, i));

Deno.test.each<{ lengths: number[]; at: number; result: Outcome; stores: string[] }>([
  { lengths: [8, 16], at: 8, result: 24, stores: ["PCISTB 2 0x8 8", "PCISTB 2 0x10 16"] },
  { lengths: [8, 0, 8], at: 8, result: 16, stores: ["PCISTB 2 0x8 8", "PCISTB 2 0x10 8"] },
  {
    lengths: [4096, 4096],
    at: 0x1000,
    result: 8192,
    stores: ["PCISTB 2 0x1000 4096", "PCISTB 2 0x2000 4096"],
  },
  { lengths: [8, 4097, 8], at: 0x1000, result: 8, stores: ["PCISTB 2 0x1000 8"] },
  { lengths: [4097, 8], at: 0x1000, result: "EINVAL", stores: [] },
  { lengths: [8, 16, 8], at: BAR2_SIZE - 16, result: 16, stores: ["PCISTB 2 0xfff0 8", "PCISTB 2 0xfff8 8"] },
  { lengths: [16, 8], at: BAR2_SIZE - 16, result: 16, stores: ["PCISTB 2 0xfff0 16"] },
  { lengths: [8], at: BAR2_SIZE, result: "EINVAL", stores: [] },
  { lengths: [], at: BAR2_SIZE, result: 0, stores: [] },
])("pwritev of $lengths at $at of BAR 2: $result, one store block a segment (vfio.rw.vectored)", (row) => {
  const { at, result, stores } = row;
  const rig = Rig.opened();
  const lengths: readonly number[] = row.lengths;
  const act = () => rig.call(() => rig.process.pwritev(rig.device, segments(...lengths), region(2) + at));
  let returned: Outcome = "";
  assertEquals<string[]>(rig.instructions(() => returned = act()), stores.slice());
  assertEquals(returned, result);
  const second = Rig.opened();
  const file = second.process.file(second.device);
  file.position = region(2) + at;
  assertEquals(second.call(() => second.process.writev(second.device, segments(...lengths))), result);
  assertEquals(file.position, region(2) + at + (typeof result === "number" ? result : 0));
});

Deno.test.each([
  { lengths: [3, 5], at: 0, result: 8, loads: ["0x0 2", "0x2 1", "0x3 1", "0x4 4"] },
  { lengths: [8, 8], at: BAR2_SIZE - 12, result: 12, loads: ["0xfff4 4", "0xfff8 4", "0xfffc 4"] },
  { lengths: [8, 8], at: BAR2_SIZE - 8, result: 8, loads: ["0xfff8 8"] },
  { lengths: [8], at: BAR2_SIZE, result: "EINVAL", loads: [] },
])(
  "preadv of $lengths at $at of BAR 2: $result, one driver call a segment (vfio.rw.vectored)",
  ({ lengths, at, result, loads }) => {
    const rig = Rig.opened();
    const act = () => rig.call(() => rig.process.preadv(rig.device, segments(...lengths), region(2) + at));
    let returned: Outcome = "";
    assertEquals<string[]>(rig.instructions(() => returned = act()), loads.map((load) => `PCILG 2 ${load}`));
    assertEquals<Outcome>(returned, result);
    const { process, device } = rig;
    process.file(device).position = region(2) + at;
    for (
      const again of [
        () => process.readv(device, segments(...lengths)),
        () => process.preadv(device, segments(...lengths), BigInt(region(2) + at)),
      ]
    ) {
      const lines = rig.instructions(() => assertEquals<Outcome>(rig.call(again), result));
      assertEquals<string[]>(lines, loads.map((load) => `PCILG 2 ${load}`));
    }
  },
);

Deno.test("a failing segment ends preadv with the total so far, and readv moves by that (vfio.rw.vectored)", () => {
  const rig = Rig.opened();
  const { process, device } = rig;
  rig.inject({ kind: "status", status: 12 }, { op: "PCILG", space: 2, from: 0x10 });
  assertEquals(rig.call(() => process.preadv(device, segments(8, 8, 8), region(2))), 16);
  rig.inject({ kind: "status", status: 12 }, { op: "PCILG", space: 2 });
  assertEquals(rig.call(() => process.preadv(device, segments(8, 8), region(2)), { effect: true }), "EIO");
  const file = process.file(device);
  file.position = region(2);
  rig.inject({ kind: "status", status: 12 }, { op: "PCILG", space: 2, from: 0x8 });
  assertEquals([rig.call(() => process.readv(device, segments(8, 8, 8))), file.position], [8, region(2) + 8]);
});

Deno.test("an eventfd is read 8 bytes at a time and counts (vfio.setirqs.fds)", () => {
  const rig = new Rig();
  const fd = rig.process.eventfd();
  const buffer = new Uint8Array(8);
  const read = (count: number) => rig.call(() => rig.process.read(fd, buffer, count));
  assertEquals([read(7), read(8)], ["EINVAL", "EAGAIN"]);
  const [, file] = [...rig.process.files()].find(([number]) => number === fd)!;
  assertEquals(file.kind, "eventfd");
  rig.target.guest.kernel.eventfds.get(file.id).count = 2n;
  assertEquals([read(8), u64(buffer, 0), read(8)], [8, 2n, "EAGAIN"]);
});

// What Linux 6.18 answers to the same calls; fs/eventfd.c: eventfd_write.
Deno.test("an eventfd adds what is written, 8 bytes at a time, up to 2^64 - 2", () => {
  const rig = new Rig();
  const fd = rig.process.eventfd();
  const buffer = new Uint8Array(8);
  const read = () => {
    const result = rig.call(() => rig.process.read(fd, buffer, 8));
    return result === 8 ? u64(buffer, 0) : result;
  };
  const write = (value: bigint, count = 8) => rig.call(() => rig.process.write(fd, words(value), count));
  assertEquals([write(1n, 7), write(1n, 9), write(1n, 16), write(1n, 0), read()], [
    ...["EINVAL", "EINVAL", "EINVAL", "EINVAL"],
    "EAGAIN",
  ]);
  assertEquals(rig.call(() => rig.process.write(fd, new Uint8Array(7), 8)), "EFAULT");
  assertEquals([write(0n), read()], [8, "EAGAIN"]);
  assertEquals([write(5n), write(2n ** 53n), read()], [8, 8, 2n ** 53n + 5n]);
  assertEquals([write(2n ** 64n - 1n), write(2n ** 64n - 2n), write(1n), write(0n)], [
    ...["EINVAL", 8, "EAGAIN"],
    8,
  ]);
  const { kernel } = rig.target.guest;
  const saved = JSON.parse(JSON.stringify(kernel.save().eventfds));
  assertEquals(saved.map(({ count }: { count: unknown }) => count), ["18446744073709551614"]);
  assertEquals([read(), read()], [2n ** 64n - 2n, "EAGAIN"]);
});

Deno.test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 32767].map((index) => ({ index })))(
  "count 0 at index $index is 0, before the index is looked at (vfio.rw.zero)",
  ({ index }) => {
    const rig = Rig.opened();
    const start = BigInt(index) << 48n;
    for (const position of [start, start + 1n, start + 2n ** 48n - 1n]) {
      assertEquals(both(rig, position, 0), twice(0));
    }
  },
);

Deno.test.each([6, 8, 9, 31, 32, 33, 100, 0x7ffe, 0x7fff].map((index) => ({ index })))(
  "count 1 at index $index is EINVAL wherever (vfio.rw.index)",
  ({ index }) => {
    const rig = Rig.opened();
    const start = BigInt(index) << 48n;
    const last = index === 0x7fff ? 2n ** 48n - 2n : 2n ** 48n - 1n;
    for (const offset of [0n, 1n, 0x100n, last]) assertEquals(both(rig, start + offset, 1), twice("EINVAL"));
  },
);
