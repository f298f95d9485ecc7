/** Refusals say who refuses, by which rule, modelled on which kernel symbol, and what to do instead. */
import { assertEquals, assertMatch } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

/** What a line is refused with: errno, layer, source, and the hint (none where undefined). */
const REFUSALS: readonly (readonly [
  line: string,
  code: string,
  layer: string,
  source: string,
  hint?: RegExp,
])[] = [
  ["pread 0x8000000000000000 1", "EINVAL", "vfs", "fs/read_write.c: ksys_pread64"],
  ["fd read 5 1 --at 0x7fffffffffffffff", "EINVAL", "vfs", "fs/read_write.c: rw_verify_area"],
  ["fd read 99 1", "EBADF", "vfs", "fs/file.c: fdget"],
  ["fd lseek 5 0", "ESPIPE", "vfs", "fs/read_write.c: ksys_lseek", /pread and pwrite/],
  ["fd lseek 3 0", "ESPIPE", "vfs", "fs/read_write.c: ksys_lseek"],
  ["fd mmap 3 4k", "ENODEV", "vfs", "mm/mmap.c: do_mmap"],
  [
    "fd mmap 5 4k",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/vfio_main.c: vfio_device_fops_mmap",
    /PCILG and PCISTB/,
  ],
  ["fd open /dev/vfio/9", "ENOENT", "vfs", "fs/namei.c: path_openat", /its group and its character device/],
  ["fd open /dev/vfio/0", "EBUSY", "vfio-core", "drivers/vfio/group.c: vfio_group_fops_open", /one opener/],
  ["sysfs vfio-devs", "ENOENT", "vfs", "fs/namei.c: path_openat", /"ism sysfs"/],
  [
    "stb bar2 0xff8 fill:0*9",
    "EINVAL",
    "variant",
    "drivers/vfio/pci/ism/main.c: ism_vfio_pci_do_io_w",
    /0x1000/,
  ],
  ["peek bar1 0", "EINVAL", "variant", "drivers/vfio/pci/ism/main.c: ism_vfio_pci_bar_rw", /BAR 0 and BAR 2/],
  [
    "pread 0x9000000000000 1",
    "EINVAL",
    "variant",
    "drivers/vfio/pci/ism/main.c: ism_vfio_pci_rw",
    /VFIO_DEVICE_GET_REGION_INFO/,
  ],
  [
    "peek config 0xff 2",
    "EFAULT",
    "vfio-core",
    "drivers/vfio/pci/vfio_pci_config.c: vfio_pci_config_rw_single",
    /not shortened/,
  ],
  ["peek bar0 0", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_load", /stores only/],
  ["stb bar0 0x10000000 hex:00", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_store_block", /token/],
  // vfio.region.offset: a hard-coded 7 << 40, and its neighbours that do not look like one.
  ["pread 0x70000000000 4", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_load", /would be config space/],
  [
    "pwrite 0x70000000004 hex:0600",
    "EIO",
    "device",
    "arch/s390/pci/pci_insn.c: zpci_store_block",
    /would be config space/,
  ],
  ["pread 0x20000000000 8", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_load", /would be BAR 2/],
  ["pread 0x90000000000 8", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_load", /stores only/],
  ["pread 0x70000010000 8", "EIO", "device", "arch/s390/pci/pci_insn.c: zpci_load", /stores only/],
  [
    "ioctl device 0xc0183b6b",
    "ENOTTY",
    "vfio-core",
    "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl",
    /0x3b00 plus a number/,
  ],
  ["ioctl device 0x3b7f", "ENOTTY", "vfio-core", "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl"],
  [
    "ioctl device VFIO_DEVICE_GET_INFO argsz=15",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_info",
    /at least 16/,
  ],
  [
    "ioctl device VFIO_DEVICE_SET_IRQS argsz=20 flags=0x21 index=2",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/vfio_main.c: vfio_set_irqs_validate_and_prepare",
    /a disable as well/,
  ],
  [
    "ioctl device VFIO_DEVICE_SET_IRQS argsz=20 flags=0x21 index=1",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/pci/vfio_pci_intrs.c: vfio_pci_set_msi_trigger",
    /VFIO_IRQ_SET_DATA_EVENTFD/,
  ],
  [
    "ioctl device VFIO_DEVICE_IOEVENTFD argsz=32 flags=4 offset=0x2000000000000 fd=-1",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_ioeventfd",
    /2\^40/,
  ],
  ["feature 0", "ENOTTY", "vfio-core", "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_feature_token"],
  ["feature 1", "ENOTTY", "vfio-core", "drivers/vfio/vfio_main.c: vfio_ioctl_device_feature"],
  ["feature 10", "ENOTTY", "vfio-core", "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_ioctl_feature"],
  [
    "ioctl group VFIO_GROUP_UNSET_CONTAINER",
    "EBUSY",
    "vfio-core",
    "drivers/vfio/group.c: vfio_group_ioctl_unset_container",
    /close its descriptors/,
  ],
  [
    "ioctl group VFIO_GROUP_GET_DEVICE_FD '0001:00:00.0 x'",
    "EINVAL",
    "vfio-core",
    "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match",
  ],
];

Deno.test("ism --json names layer, source and hint of a refusal", async () => {
  using program = new Program();
  program.write("refusals.ism", ["open", ...REFUSALS.map(([line]) => line)].join("\n"));
  const [, ...documents] = documentsOf(await program.run(["run", "refusals.ism", "--keep-going", "--json"]));
  assertEquals(documents.length, REFUSALS.length);
  for (const [i, [line, code, layer, source, hint]] of REFUSALS.entries()) {
    const error = documents[i]!.error!;
    assertEquals([error.code, error["layer"], error["source"]], [code, layer, source], line);
    assertEquals(typeof error["hint"], hint === undefined ? "undefined" : "string", line);
    if (hint !== undefined) assertMatch(error["hint"] as string, hint, line);
  }
});

Deno.test("a function in the error state says how it comes back (vfio.cc.errno, recovery.event.state)", async () => {
  using program = new Program();
  program.write("error.ism", "open\nzpci event 0x3a\npeek bar2 0\nreset\npeek bar2 0\n");
  const documents = documentsOf(await program.run(["run", "error.ism", "--keep-going", "--json"]));
  assertMatch(documents[2]!.error!["hint"] as string, /VFIO_DEVICE_RESET/);
  assertEquals(documents[4]!.ok, true);
});
