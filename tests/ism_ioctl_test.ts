/** Raw ioctls from the command line: every one of vfio.ioctl.numbers by name, with the fields of its struct by name. */
import { assert, assertEquals } from "@std/assert";
import { type Document, Program } from "./support/program.ts";

interface Row {
  readonly number: number;
  /** Words behind the kind of descriptor. */
  readonly line: string;
  readonly answer: number | string;
}

/** The table of vfio.ioctl.numbers; what the call answers on a fresh host, opened through group and container. */
const BY_GROUP: Readonly<Record<string, readonly Row[]>> = {
  container: [
    { number: 0x3b64, line: "VFIO_GET_API_VERSION", answer: 0 },
    { number: 0x3b65, line: "VFIO_CHECK_EXTENSION 3", answer: 1 },
    { number: 0x3b66, line: "VFIO_SET_IOMMU 3", answer: "EINVAL" },
    { number: 0x3b70, line: "VFIO_IOMMU_GET_INFO argsz=24", answer: 0 },
    {
      number: 0x3b71,
      line: "VFIO_IOMMU_MAP_DMA argsz=32 flags=3 size=4096 iova=0 vaddr=0",
      answer: "EINVAL",
    },
    { number: 0x3b72, line: "VFIO_IOMMU_UNMAP_DMA argsz=24 flags=2 iova=0 size=0", answer: 0 },
    { number: 0x3b75, line: "VFIO_IOMMU_DIRTY_PAGES argsz=8 flags=1", answer: 0 },
  ],
  group: [
    { number: 0x3b67, line: "VFIO_GROUP_GET_STATUS argsz=8", answer: 0 },
    { number: 0x3b68, line: "VFIO_GROUP_SET_CONTAINER container=99", answer: "EBADF" },
    { number: 0x3b69, line: "VFIO_GROUP_UNSET_CONTAINER", answer: "EBUSY" },
    { number: 0x3b6a, line: "VFIO_GROUP_GET_DEVICE_FD 0009:00:00.0", answer: "ENODEV" },
  ],
  device: [
    { number: 0x3b6b, line: "VFIO_DEVICE_GET_INFO argsz=24", answer: 0 },
    { number: 0x3b6c, line: "VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2", answer: 0 },
    { number: 0x3b6d, line: "VFIO_DEVICE_GET_IRQ_INFO argsz=16 index=1", answer: 0 },
    { number: 0x3b6e, line: "VFIO_DEVICE_SET_IRQS argsz=20 flags=0x21 index=0", answer: "EINVAL" },
    { number: 0x3b6f, line: "VFIO_DEVICE_RESET", answer: 0 },
    { number: 0x3b70, line: "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO argsz=12", answer: "ENOSPC" },
    { number: 0x3b71, line: "VFIO_DEVICE_PCI_HOT_RESET argsz=12 count=0", answer: "EINVAL" },
    { number: 0x3b72, line: "VFIO_DEVICE_QUERY_GFX_PLANE", answer: "ENOTTY" },
    { number: 0x3b74, line: "VFIO_DEVICE_IOEVENTFD argsz=32 flags=3", answer: "EINVAL" },
    { number: 0x3b75, line: "VFIO_DEVICE_FEATURE argsz=8 flags=0x40003", answer: 0 },
    { number: 0x3b76, line: "VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=3", answer: "EINVAL" },
    { number: 0x3b77, line: "VFIO_DEVICE_ATTACH_IOMMUFD_PT argsz=16 pt_id=1", answer: "ENOTTY" },
    { number: 0x3b78, line: "VFIO_DEVICE_DETACH_IOMMUFD_PT argsz=12 pasid=0", answer: "ENOTTY" },
  ],
};

/** The same through the character device. */
const BY_CDEV: Readonly<Record<string, readonly Row[]>> = {
  device: [
    { number: 0x3b76, line: "VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=3", answer: "EINVAL" },
    { number: 0x3b77, line: "VFIO_DEVICE_ATTACH_IOMMUFD_PT argsz=16 flags=1 pasid=7", answer: "EOPNOTSUPP" },
    { number: 0x3b78, line: "VFIO_DEVICE_DETACH_IOMMUFD_PT argsz=12 flags=1 pasid=7", answer: "EOPNOTSUPP" },
  ],
  iommufd: [
    { number: 0x3b80, line: "IOMMU_DESTROY size=8 id=99", answer: "ENOENT" },
    { number: 0x3b81, line: "IOMMU_IOAS_ALLOC size=12 flags=1", answer: "EOPNOTSUPP" },
    { number: 0x3b82, line: "IOMMU_IOAS_ALLOW_IOVAS size=24 ioas_id=99 num_iovas=0", answer: "ENOENT" },
    {
      number: 0x3b83,
      line: "IOMMU_IOAS_COPY size=40 flags=7 src_ioas_id=99 dst_ioas_id=98 length=4096",
      answer: "ENOENT",
    },
    { number: 0x3b84, line: "IOMMU_IOAS_IOVA_RANGES size=32 ioas_id=99", answer: "ENOENT" },
    { number: 0x3b85, line: "IOMMU_IOAS_MAP size=40 flags=0", answer: "EINVAL" },
    { number: 0x3b86, line: "IOMMU_IOAS_UNMAP size=24 ioas_id=99", answer: "ENOENT" },
    { number: 0x3b87, line: "IOMMU_OPTION size=24 option_id=0 op=1 object_id=0", answer: 0 },
    { number: 0x3b88, line: "IOMMU_VFIO_IOAS size=12 op=0", answer: "ENODEV" },
    { number: 0x3b8f, line: "IOMMU_IOAS_MAP_FILE size=40 flags=7 fd=3 length=4096", answer: "ENOENT" },
    { number: 0x3b64, line: "VFIO_GET_API_VERSION", answer: 0 },
    { number: 0x3b65, line: "VFIO_CHECK_EXTENSION 10", answer: 0 },
    { number: 0x3b66, line: "VFIO_SET_IOMMU 3", answer: "ENODEV" },
    { number: 0x3b75, line: "VFIO_IOMMU_DIRTY_PAGES argsz=8 flags=1", answer: "ENOTTY" },
  ],
};

const answerOf = ({ ok, result, error }: Document) => ok ? result.ret : error!.code;

Deno.test.each([
  { way: "group", table: BY_GROUP },
  { way: "cdev", table: BY_CDEV },
])(
  "ism ioctl knows each ioctl of vfio.ioctl.numbers by name and by number, opened by $way",
  async ({ way, table }) => {
    using program = new Program();
    for (const [kind, rows] of Object.entries(table)) {
      const named = rows.map(({ line }) => `ioctl ${kind} ${line}`);
      const [, ...documents] = await program.documents([`open --via ${way}`, ...named]);
      assertEquals(documents.map(answerOf), rows.map(({ answer }) => answer), kind);
      await program.result("host", "reset");
      // A number is the same call: an argument of one byte is too short for any struct.
      const traced = await program.documents(
        [`open --via ${way}`, ...rows.map(({ number }) => `ioctl ${kind} 0x${number.toString(16)} hex:00`)],
        "--trace=syscall",
      );
      const requests = traced.slice(1).map(({ trace }) => {
        const call = trace!.findLast(({ op }) => op === "ioctl")!;
        return call["request"];
      });
      assertEquals(requests, rows.map(({ line }) => line.split(" ")[0]), kind);
      await program.result("host", "reset");
    }
  },
);

Deno.test("ism ioctl without the struct that it needs is EFAULT, and the hint names the fields", async () => {
  using program = new Program();
  const lines = ["ioctl device VFIO_DEVICE_GET_REGION_INFO", "ioctl container VFIO_CHECK_EXTENSION"];
  const [missing, plain] = await program.documents(lines);
  assertEquals([missing!.error!.code, missing!.error!["hint"]], [
    "EFAULT",
    "no argument was given; the fields of its struct are argsz= flags= index= cap_offset= size= offset=",
  ]);
  assert(plain!.ok, "an ioctl whose argument is a number takes 0");
});

Deno.test("ism ioctl shows what the kernel wrote back under the names of the fields", async () => {
  using program = new Program();
  const [, memory] = await program.documents(["open --via cdev", "dma map --size 8k"]);
  const iova = memory!.result.iova;
  const [compat, joined] = await program.documents([
    "open --via compat -d 1",
    "ioctl iommufd IOMMU_VFIO_IOAS size=12 op=0 -d 1",
  ]);
  assert(compat!.ok);
  assert(Number(joined!.result.fields.ioas_id) > 0, "the compatibility IOAS");
  const alloc = await program.result("ioctl", "iommufd", "IOMMU_IOAS_ALLOC", "size=12");
  const ioas = Number(alloc.fields.out_ioas_id);
  // The driver's own IOAS came before: its page table lies between.
  const copy = `size=40 flags=6 src_ioas_id=${ioas - 2} dst_ioas_id=${ioas} length=4096 src_iova=${iova}`;
  const { fields, ret } = await program.result("ioctl", "iommufd", "IOMMU_IOAS_COPY", ...copy.split(" "));
  assertEquals([ret, fields.src_iova], [0, iova]);
  assertEquals([Number(fields.dst_iova) > 0, Number(fields.dst_iova) % 4096], [true, 0]);
  const get = `size=24 option_id=1 op=1 object_id=${ioas}`;
  const option = await program.result("ioctl", "iommufd", "IOMMU_OPTION", ...get.split(" "));
  assertEquals(option.fields.val64, "0x1", "HUGE_PAGES");
});

// vfio.ioctl.vfs, row 13.
Deno.test.each([
  {
    via: "group",
    line: "ioctl device VFIO_DEVICE_GET_PCI_HOT_RESET_INFO argsz=12",
    error: "ENOSPC",
    field: "count",
    data: "0c0000000000000001000000",
  },
  {
    via: "cdev",
    line: "ioctl iommufd IOMMU_IOAS_IOVA_RANGES size=32 ioas_id=2",
    error: "EMSGSIZE",
    field: "num_iovas",
    data: "2000000002000000010000000000000000000000000000000010000000000000",
  },
])(
  "ism --json ioctl shows what a refusal with $error wrote back",
  async ({ via, line, error, field, data }) => {
    using program = new Program();
    const [, refused, silent] = await program.documents([
      `open --via ${via}`,
      line,
      "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=6",
    ]);
    assertEquals([refused!.ok, refused!.error!.code, refused!.error!["data"]], [false, error, data]);
    assertEquals((refused!.error!["fields"] as Record<string, string>)[field], "0x1");
    assertEquals([silent!.error!.code, "data" in silent!.error!], ["EINVAL", false], "nothing was written");
  },
);
