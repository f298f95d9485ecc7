/**
 * vfio.iommufd.hwinfo: GET_HW_INFO and the commands of an iommufd for what s390 does not have. Where that leaves an
 * errno open it follows drivers/iommu/iommufd/viommu.c and eventq.c.
 */
import { assertEquals } from "@std/assert";
import { IOCTL, type Outcome, PAGE, Rig, u32, words } from "../support/kernel.ts";

const DEVICE = 1;
const IOAS = 2;
const TABLE = 3;

/**
 * A device (vfio.setirqs.err) that is attached to an IOAS (vfio.feature.zpcierror) by a page table (vfio.info.base).
 */
function attached(): Rig {
  return Rig.opened("cdev");
}

function call(rig: Rig, request: number, ...fields: (number | bigint)[]): Outcome {
  const arg = words(...fields);
  return rig.ioctl(rig.iommufd, request, arg, { effect: request === IOCTL.HWPT_INVALIDATE });
}

/** The struct that GET_HW_INFO writes back, or the errno. */
function hwInfo(
  { size = 40, flags = 0, dev = DEVICE, length = 0, at = 0n, type = 0, pasid = 0 } = {},
  rig = attached(),
): string {
  const arg = words(40, flags, dev, length, at, type, pasid, 0xa5a5_a5a5_a5a5_a5a5n).slice(0, size);
  arg.set(words(size));
  const result = rig.ioctl(rig.iommufd, IOCTL.GET_HW_INFO, arg);
  return result === 0 ? arg.toHex() : String(result);
}

Deno.test.each([
  {
    what: "nothing",
    fields: {},
    result: "280000000000000001000000 00000000" + "00".repeat(16) + "0800000000000000",
  },
  {
    what: "32 bytes",
    fields: { size: 32 },
    result: "200000000000000001000000 00000000" + "00".repeat(16),
  },
  {
    what: "a data type as input",
    fields: { flags: 1, type: 7 },
    result: "280000000100000001000000 00000000" + "00".repeat(16) + "0800000000000000",
  },
  { what: "31 bytes", fields: { size: 31 }, result: "EINVAL" },
  { what: "an unknown flag", fields: { flags: 2, dev: 99 }, result: "EOPNOTSUPP" },
  { what: "reserved", fields: { pasid: 0x100, dev: 99 }, result: "EOPNOTSUPP" },
  { what: "a bad device", fields: { dev: 99 }, result: "ENOENT" },
  { what: "an IOAS for a device", fields: { dev: IOAS }, result: "ENOENT" },
  { what: "a buffer that is not there", fields: { length: 8 }, result: "EFAULT" },
])("GET_HW_INFO with $what (vfio.iommufd.hwinfo)", ({ fields, result }) => {
  assertEquals(hwInfo(fields), result.replaceAll(" ", ""));
});

Deno.test("GET_HW_INFO clears the caller's buffer over the length that it passed (vfio.iommufd.hwinfo)", () => {
  const rig = attached();
  const memory = rig.process.mmapAnonymous(PAGE);
  rig.process.memory(memory, PAGE, true).fill(0xff);
  assertEquals(hwInfo({ length: 100, at: BigInt(memory) }, rig).slice(24, 32), "00000000", "no data");
  const bytes = rig.process.memory(memory, PAGE, false);
  assertEquals([bytes.indexOf(0xff), bytes.subarray(100).every((byte) => byte === 0xff)], [100, true]);
});

Deno.test.each<{ what: string; request: number; fields: (number | bigint)[]; result: Outcome }>([
  {
    what: "SET_DIRTY_TRACKING",
    request: IOCTL.HWPT_SET_DIRTY_TRACKING,
    fields: [16, 1, TABLE, 0],
    result: "EOPNOTSUPP",
  },
  {
    what: "SET_DIRTY_TRACKING of an IOAS",
    request: IOCTL.HWPT_SET_DIRTY_TRACKING,
    fields: [16, 0, IOAS, 0],
    result: "ENOENT",
  },
  {
    what: "SET_DIRTY_TRACKING, flags",
    request: IOCTL.HWPT_SET_DIRTY_TRACKING,
    fields: [16, 2, 99, 0],
    result: "EOPNOTSUPP",
  },
  {
    what: "SET_DIRTY_TRACKING, size",
    request: IOCTL.HWPT_SET_DIRTY_TRACKING,
    fields: [15, 2, 99, 0],
    result: "EINVAL",
  },
  {
    what: "GET_DIRTY_BITMAP",
    request: IOCTL.HWPT_GET_DIRTY_BITMAP,
    fields: [48, TABLE, 0, 0, 0n, 0n, 0n, 0n],
    result: "EOPNOTSUPP",
  },
  {
    what: "GET_DIRTY_BITMAP of nothing",
    request: IOCTL.HWPT_GET_DIRTY_BITMAP,
    fields: [48, 99, 1, 0, 0n, 0n, 0n, 0n],
    result: "ENOENT",
  },
  {
    what: "GET_DIRTY_BITMAP, reserved",
    request: IOCTL.HWPT_GET_DIRTY_BITMAP,
    fields: [48, 99, 0, 1, 0n, 0n, 0n, 0n],
    result: "EOPNOTSUPP",
  },
  {
    what: "INVALIDATE of a page table",
    request: IOCTL.HWPT_INVALIDATE,
    fields: [32, TABLE, 0n, 0, 0, 0, 0],
    result: "EINVAL",
  },
  {
    what: "INVALIDATE of an IOAS",
    request: IOCTL.HWPT_INVALIDATE,
    fields: [32, IOAS, 0n, 0, 0, 0, 0],
    result: "EINVAL",
  },
  {
    what: "INVALIDATE of nothing",
    request: IOCTL.HWPT_INVALIDATE,
    fields: [32, 99, 0n, 0, 0, 0, 0],
    result: "ENOENT",
  },
  {
    what: "INVALIDATE, entries without address",
    request: IOCTL.HWPT_INVALIDATE,
    fields: [32, 99, 0n, 0, 8, 1, 0],
    result: "EINVAL",
  },
  {
    what: "INVALIDATE, reserved",
    request: IOCTL.HWPT_INVALIDATE,
    fields: [32, 99, 0n, 0, 8, 1, 1],
    result: "EOPNOTSUPP",
  },
  {
    what: "VIOMMU_ALLOC",
    request: IOCTL.VIOMMU_ALLOC,
    fields: [24, 0, 1, DEVICE, TABLE, 0],
    result: "EOPNOTSUPP",
  },
  {
    what: "VIOMMU_ALLOC without a device",
    request: IOCTL.VIOMMU_ALLOC,
    fields: [24, 0, 1, 99, TABLE, 0],
    result: "ENOENT",
  },
  {
    what: "VIOMMU_ALLOC without a type",
    request: IOCTL.VIOMMU_ALLOC,
    fields: [24, 0, 0, 99, TABLE, 0],
    result: "EOPNOTSUPP",
  },
  {
    what: "VIOMMU_ALLOC, size",
    request: IOCTL.VIOMMU_ALLOC,
    fields: [23, 0, 0, 99, TABLE, 0],
    result: "EINVAL",
  },
  {
    what: "VDEVICE_ALLOC",
    request: IOCTL.VDEVICE_ALLOC,
    fields: [24, TABLE, DEVICE, 0, 0n],
    result: "ENOENT",
  },
  {
    what: "IOAS_CHANGE_PROCESS without mappings",
    request: IOCTL.IOAS_CHANGE_PROCESS,
    fields: [8, 0],
    result: 0,
  },
  {
    what: "IOAS_CHANGE_PROCESS, reserved",
    request: IOCTL.IOAS_CHANGE_PROCESS,
    fields: [8, 1],
    result: "EOPNOTSUPP",
  },
  {
    what: "VEVENTQ_ALLOC",
    request: IOCTL.VEVENTQ_ALLOC,
    fields: [32, 0, TABLE, 1, 1, 0, 0, 0],
    result: "ENOENT",
  },
  {
    what: "VEVENTQ_ALLOC without depth",
    request: IOCTL.VEVENTQ_ALLOC,
    fields: [32, 0, TABLE, 1, 0, 0, 0, 0],
    result: "EINVAL",
  },
  {
    what: "VEVENTQ_ALLOC without a type",
    request: IOCTL.VEVENTQ_ALLOC,
    fields: [32, 0, TABLE, 0, 0, 0, 0, 0],
    result: "EOPNOTSUPP",
  },
  {
    what: "HW_QUEUE_ALLOC",
    request: IOCTL.HW_QUEUE_ALLOC,
    fields: [40, 0, TABLE, 1, 0, 0, 0n, 1n],
    result: "ENOENT",
  },
  {
    what: "HW_QUEUE_ALLOC without length",
    request: IOCTL.HW_QUEUE_ALLOC,
    fields: [40, 0, TABLE, 1, 0, 0, 0n, 0n],
    result: "EINVAL",
  },
  {
    what: "HW_QUEUE_ALLOC that wraps",
    request: IOCTL.HW_QUEUE_ALLOC,
    fields: [40, 0, TABLE, 1, 0, 0, -1n, 2n],
    result: "EOVERFLOW",
  },
  {
    what: "HW_QUEUE_ALLOC without a type",
    request: IOCTL.HW_QUEUE_ALLOC,
    fields: [40, 0, TABLE, 0, 0, 0, 0n, 0n],
    result: "EOPNOTSUPP",
  },
  {
    what: "NOIOMMU_GET_PA of zeros",
    request: IOCTL.NOIOMMU_GET_PA,
    fields: [0, 0, 0, 0, 0n, 0n, 0n],
    result: "EINVAL",
  },
  {
    what: "NOIOMMU_GET_PA",
    request: IOCTL.NOIOMMU_GET_PA,
    fields: [40, 0, IOAS, 0, 0n, 1n, 0n],
    result: "EOPNOTSUPP",
  },
])("$what: $result (vfio.iommufd.others)", ({ request, fields, result }) => {
  assertEquals(call(attached(), request, ...fields), result);
});

Deno.test("INVALIDATE tells how many entries were done, 0, even where it is refused (vfio.iommufd.others)", () => {
  const rig = attached();
  const arg = words(32, TABLE, 8n, 0, 8, 5, 0);
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.HWPT_INVALIDATE, arg, { effect: true }), "EINVAL");
  assertEquals(u32(arg, 24), 0);
});

Deno.test("IOAS_CHANGE_PROCESS with a mapping that is not that of a file: EINVAL (vfio.iommufd.others)", () => {
  const rig = attached();
  rig.mapDma(0x1_0000_0000);
  assertEquals(call(rig, IOCTL.IOAS_CHANGE_PROCESS, 8, 0), "EINVAL");
});

Deno.test("FAULT_QUEUE_ALLOC makes an object and a descriptor, in which nothing arrives (vfio.iommufd.others)", () => {
  const rig = attached();
  assertEquals(call(rig, IOCTL.FAULT_QUEUE_ALLOC, 16, 1, 0, 0), "EOPNOTSUPP");
  const arg = words(16, 0, 0, 0);
  assertEquals(rig.ioctl(rig.iommufd, IOCTL.FAULT_QUEUE_ALLOC, arg), 0);
  const [id, fd] = [u32(arg, 8), u32(arg, 12)];
  assertEquals([id, rig.process.file(fd).path], [4, "anon_inode:[iommufd-pgfault]"]);
  const buffer = new Uint8Array(80);
  const read = (count: number) => rig.call(() => rig.process.read(fd, buffer, count));
  const write = (count: number) => rig.call(() => rig.process.write(fd, buffer, count));
  assertEquals([read(80), read(40), read(39), write(0), write(7), write(8)], [
    0,
    0,
    "ESPIPE",
    0,
    "ESPIPE",
    "EINVAL",
  ]);
  assertEquals(call(rig, IOCTL.DESTROY, 8, id), "EBUSY");
  assertEquals(rig.ioctl(rig.device, IOCTL.ATTACH_PT, words(12, 0, id)), "EINVAL", "it is no page table");
  const fork = rig.host.fork().functions[0]!.guest.kernel;
  assertEquals([fork.process.file(fd).kind, fork.process.close(fd)], ["fault-queue", 0]);
  assertEquals(fork.process.ioctl(rig.iommufd, IOCTL.DESTROY, words(8, id)), 0);
  assertEquals([rig.process.close(fd), call(rig, IOCTL.DESTROY, 8, id)], [0, 0]);
});

Deno.test("the descriptor of a fault queue keeps its iommufd alive", () => {
  const rig = new Rig();
  const { iommufds } = rig.target.guest.kernel;
  rig.iommufd = rig.process.open("/dev/iommu");
  const arg = words(16, 0, 0, 0);
  rig.process.ioctl(rig.iommufd, IOCTL.FAULT_QUEUE_ALLOC, arg);
  rig.process.close(rig.iommufd);
  assertEquals(iommufds.size, 1);
  rig.process.close(u32(arg, 12));
  assertEquals(iommufds.size, 0);
});
