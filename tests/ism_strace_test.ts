/** `--trace=syscall` reads as strace(1) does: calls in their C form, structs by field, errnos by name and text. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Program } from "./support/program.ts";

const OPEN = [
  `openat(AT_FDCWD, "/dev/vfio/vfio", O_RDWR|O_CLOEXEC) = 3`,
  `ioctl(3, VFIO_GET_API_VERSION, 0) = 0`,
  `readlink("/sys/bus/pci/devices/0001:00:00.0/iommu_group", "../../../kernel/iommu_groups/0", 4096) = 30`,
  `openat(AT_FDCWD, "/dev/vfio/0", O_RDWR|O_CLOEXEC) = 4`,
  `ioctl(4, VFIO_GROUP_GET_STATUS, {argsz=8} => {flags=VFIO_GROUP_FLAGS_VIABLE}) = 0`,
  `ioctl(4, VFIO_GROUP_SET_CONTAINER, [3]) = 0`,
  `ioctl(3, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) = 1`,
  `ioctl(3, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) = 0`,
  `ioctl(4, VFIO_GROUP_GET_DEVICE_FD, "0001:00:00.0") = 5`,
];

/** A line of a script, and the system calls that it makes. */
const CALLS: readonly (readonly [line: string, calls: readonly string[]])[] = [
  ["pread 0x7000000000000 4", [String.raw`pread64(5, "\x14\x10\xed\x04", 4, 0x7000000000000) = 4`]],
  ["pread 0x7000000000000 0", [`pread64(5, "", 0, 0x7000000000000) = 0`]],
  [
    "pread 0x6000000000000 1",
    [`pread64(5, ..., 1, 0x6000000000000) = -1 EINVAL (Invalid argument)`],
  ],
  ["peek bar0 0 8", [`pread64(5, ..., 8, 0x0) = -1 EIO (Input/output error)`]],
  // As much of a buffer as strace shows.
  [
    "stb bar2 8 seq:0x41*33",
    [`pwrite64(5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ[${"\\\\"}]^_\`"..., 33, 0x2000000000008) = 33`],
  ],
  [
    'stb bar0 0xff8 text:ab\\"cdefghi',
    [`pwrite64(5, "ab\\"cdefghi", 10, 0xff8) = -1 EINVAL (Invalid argument)`],
  ],
  [
    "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2",
    [
      "ioctl(5, VFIO_DEVICE_GET_REGION_INFO, {argsz=32, index=VFIO_PCI_BAR2_REGION_INDEX} => " +
      "{flags=VFIO_REGION_INFO_FLAG_READ|VFIO_REGION_INFO_FLAG_WRITE, cap_offset=0, size=65536, " +
      "offset=0x2000000000000}) = 0",
    ],
  ],
  [
    "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=31 index=9",
    ["ioctl(5, VFIO_DEVICE_GET_REGION_INFO, {argsz=31, index=9}) = -1 EINVAL (Invalid argument)"],
  ],
  [
    "ioctl device VFIO_DEVICE_GET_IRQ_INFO argsz=16 index=4",
    [
      "ioctl(5, VFIO_DEVICE_GET_IRQ_INFO, {argsz=16, index=VFIO_PCI_REQ_IRQ_INDEX} => " +
      "{flags=VFIO_IRQ_INFO_EVENTFD|VFIO_IRQ_INFO_NORESIZE, count=1}) = 0",
    ],
  ],
  [
    "ioctl device VFIO_DEVICE_SET_IRQS argsz=20 flags=0x21 index=1",
    [
      "ioctl(5, VFIO_DEVICE_SET_IRQS, {argsz=20, flags=VFIO_IRQ_SET_DATA_NONE|VFIO_IRQ_SET_ACTION_TRIGGER, " +
      "index=VFIO_PCI_MSI_IRQ_INDEX, start=0, count=0}) = -1 EINVAL (Invalid argument)",
    ],
  ],
  ["ioctl device 0x3b7f", [
    "ioctl(5, _IOC(_IOC_NONE, 0x3b, 0x7f, 0), 0) = -1 ENOTTY (Inappropriate ioctl for device)",
  ]],
  [
    "feature 11 --probe",
    [
      "ioctl(5, VFIO_DEVICE_FEATURE, {argsz=8, flags=VFIO_DEVICE_FEATURE_PROBE|VFIO_DEVICE_FEATURE_DMA_BUF}) = " +
      "-1 EOPNOTSUPP (Operation not supported)",
    ],
  ],
  [
    "dma map --size 64k --iova 0x1_0000_0000",
    [
      "mmap(NULL, 65536, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = ADDRESS",
      "ioctl(3, VFIO_IOMMU_MAP_DMA, {argsz=32, flags=VFIO_DMA_MAP_FLAG_READ|VFIO_DMA_MAP_FLAG_WRITE, " +
      "vaddr=ADDRESS, iova=0x100000000, size=65536}) = 0",
    ],
  ],
  [
    "dma unmap 0x1_0000_0000",
    [
      "ioctl(3, VFIO_IOMMU_UNMAP_DMA, {argsz=24, flags=0, iova=0x100000000, size=65536} => {size=65536}) = 0",
      "munmap(ADDRESS, 65536) = 0",
    ],
  ],
  // One byte that is no text: all of them in hexadecimal, as with strace -x.
  ["stb bar2 8 text:a(\x01", [String.raw`pwrite64(5, "\x61\x28\x01", 3, 0x2000000000008) = 3`]],
  ["stb bar2 8 'text:a\tb'", [String.raw`pwrite64(5, "a\tb", 3, 0x2000000000008) = 3`]],
  [
    "expect ENOTTY ioctl device 0xc0183b6b hex:18 --size 24",
    ["ioctl(5, _IOC(_IOC_READ|_IOC_WRITE, 0x3b, 0x6b, 0x18), /* 24 bytes */) = -1 ENOTTY (Inappropriate ioctl for device)"],
  ],
  [
    "fd write 5 text:abcdefgh hex:0001 --at 0x2000000000008",
    [
      String.raw`pwritev(5, [{iov_base="abcdefgh", iov_len=8}, {iov_base="\x00\x01", iov_len=2}], 2, ` +
      "0x2000000000008) = 10",
    ],
  ],
  [
    "fd write 5 text:abcdefgh fill:0x41*30 --at 0x2000000000008",
    [
      `pwritev(5, [{iov_base="abcdefgh", iov_len=8}, {iov_base="${"A".repeat(24)}"..., iov_len=30}], 2, ` +
      "0x2000000000008) = 38",
    ],
  ],
  [
    "fd read 5 8 2 --at 0x2000000000008",
    [`preadv(5, [{iov_base="abcdefgh", iov_len=8}, {iov_base="AA", iov_len=2}], 2, 0x2000000000008) = 10`],
  ],
  // The end of the BAR: the second segment got nothing.
  [
    "fd read 5 16 2 --at 0x200000000fff8",
    [
      String.raw`preadv(5, [{iov_base="\x00\x00\x00\x00\x00\x00\x00\x00", iov_len=16}, ` +
      `{iov_base="", iov_len=2}], 2, 0x200000000fff8) = 8`,
    ],
  ],
  [
    "expect EIO fd read 5 8 2",
    ["readv(5, [{iov_base=..., iov_len=8}, {iov_base=..., iov_len=2}], 2) = -1 EIO (Input/output error)"],
  ],
  [
    "fd write 5 hex:00 --at 0x6000000000000",
    [String.raw`pwrite64(5, "\x00", 1, 0x6000000000000) = -1 EINVAL (Invalid argument)`],
  ],
  // Too small a buffer: the count that is needed comes back with the errno.
  [
    "expect ENOSPC ioctl device VFIO_DEVICE_GET_PCI_HOT_RESET_INFO argsz=12",
    [
      "ioctl(5, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {argsz=12} => {flags=0, count=1}) = " +
      "-1 ENOSPC (No space left on device)",
    ],
  ],
  [
    "expect EINVAL ioctl device VFIO_DEVICE_IOEVENTFD argsz=32 flags=4 offset=0x2000000000000 data=1 fd=-1",
    [
      "ioctl(5, VFIO_DEVICE_IOEVENTFD, {argsz=32, flags=VFIO_DEVICE_IOEVENTFD_32, offset=0x2000000000000, data=1, " +
      "fd=-1}) = -1 EINVAL (Invalid argument)",
    ],
  ],
  ["reset", ["ioctl(5, VFIO_DEVICE_RESET, 0) = 0"]],
  ["close", ["close(5) = 0", "close(4) = 0", "close(3) = 0"]],
];

function callsOf(stderr: string): string[] {
  return stderr.split("\n").flatMap((line) => /^ *\d+ guest\d(?: #\d)? +(\w+\(.+)$/.exec(line)?.[1] ?? []);
}

Deno.test("ism --trace=syscall prints what strace would", async () => {
  using program = new Program();
  const open = await program.run(["open", "--trace=syscall"]);
  assertEquals(callsOf(open.stderr).slice(0, OPEN.length), OPEN);
  for (const [line, calls] of CALLS) {
    const { stderr } = await program.script([line], "--trace=syscall");
    let address: string | undefined;
    // Where memory lies is the kernel's choice; it is the same address in all calls of a line.
    const seen = callsOf(stderr).map((call) =>
      call.replaceAll(/(?<=^munmap\(|vaddr=|-1, 0\) = )0x[0-9a-f]+/g, (found) => {
        address ??= found;
        return found === address ? "ADDRESS" : found;
      })
    );
    assertEquals(seen, calls, line);
  }
});

Deno.test("ism --trace=syscall shows eventfds, character devices and vectors of interrupts by name", async () => {
  using program = new Program();
  const { stderr } = await program.script(["open --via cdev", "dmb register --size 4k --rgid 1"], "--trace");
  const calls = callsOf(stderr);
  for (
    const call of [
      /^openat\(AT_FDCWD, "\/dev\/iommu", O_RDWR\|O_CLOEXEC\) = 3$/,
      /^openat\(AT_FDCWD, ".+\/0001:00:00.0\/vfio-dev", O_RDONLY\|O_NONBLOCK\|O_CLOEXEC\|O_DIRECTORY\) = 4$/,
      /^getdents64\(4, ... \/\* 3 entries \*\/, 32768\) = 80$/,
      /^getdents64\(4, ... \/\* 0 entries \*\/, 32768\) = 0$/,
      /^close\(4\) = 0$/,
      /^ioctl\(4, VFIO_DEVICE_BIND_IOMMUFD, \{argsz=24, flags=0, iommufd=3, .*\}.*\) = 0$/,
      /^eventfd2\(0, EFD_CLOEXEC\|EFD_NONBLOCK\) = 5$/,
      /index=VFIO_PCI_MSI_IRQ_INDEX, start=0, count=1, data=\[6\]\}\) = 0$/,
    ]
  ) assert(calls.some((line) => call.test(line)), `${call}\n${calls.join("\n")}`);
  for (const call of calls) assertMatch(call, /^\w+\(.*\) = (-1 E[A-Z0-9]+ \(.+\)|\d+|0x[0-9a-f]+)$/);
});
