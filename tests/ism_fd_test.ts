/**
 * `fd`, `ioctl` and `sysfs`: a driver's system calls one by one, on any descriptor (docs/reference/vfio/open.md,
 * vfio/access.md and vfio/interrupts.md).
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { documentsOf, Program } from "./support/program.ts";

/** Runs lines that all hold. */
async function holds(lines: readonly string[], program = new Program()): Promise<string> {
  using place = program;
  const { code, stdout, stderr } = await place.script(lines);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

const GROUP_WAY = [
  "let c fd open /dev/vfio/vfio",
  "expect =0 ioctl $c VFIO_GET_API_VERSION",
  "let g fd open /dev/vfio/0",
  "expect EINVAL ioctl $g VFIO_GROUP_GET_DEVICE_FD 0001:00:00.0",
  "ioctl $g VFIO_GROUP_SET_CONTAINER container=$c",
  "expect EINVAL ioctl $g VFIO_GROUP_GET_DEVICE_FD 0001:00:00.0",
  "ioctl $c VFIO_SET_IOMMU 3",
  "let d ioctl $g VFIO_GROUP_GET_DEVICE_FD 0001:00:00.0",
];

Deno.test("the way through the group, step by step, with what each step refuses before its time (vfio.group.getfd)", async () => {
  await holds([
    ...GROUP_WAY,
    "expect EBUSY fd open /dev/vfio/0",
    "expect EBUSY ioctl $g VFIO_GROUP_UNSET_CONTAINER",
    "expect hex:1410ed04 fd read $d 4 --at 0x7000000000000",
    "fd close $d",
    "expect EBADF fd read $d 4 --at 0x7000000000000",
    "ioctl $g VFIO_GROUP_UNSET_CONTAINER",
    "fd close $g",
    "fd close $c",
  ]);
});

Deno.test("the way through the character device, step by step (vfio.cdev.bind)", async () => {
  await holds([
    "let i fd open /dev/iommu",
    "let d fd open /dev/vfio/devices/vfio0",
    "expect EINVAL fd read $d 4 --at 0x7000000000000",
    "expect EINVAL fd read $d 0",
    "expect EINVAL ioctl $d VFIO_DEVICE_GET_INFO argsz=24",
    "expect EINVAL ioctl $d VFIO_DEVICE_BIND_IOMMUFD argsz=15 iommufd=$i",
    "expect EBADF ioctl $d VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=99",
    "expect EBADFD ioctl $d VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=$d",
    "ioctl $d VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=$i",
    "expect EINVAL ioctl $d VFIO_DEVICE_BIND_IOMMUFD argsz=24 iommufd=$i",
    "expect EBUSY fd open /dev/vfio/0",
    "expect ENOENT ioctl $d VFIO_DEVICE_ATTACH_IOMMUFD_PT argsz=12 pt_id=0xffffffff",
    "expect hex:1410ed04 fd read $d 4 --at 0x7000000000000",
  ]);
});

Deno.test("descriptors of one device have positions of their own and share the rest (vfio.group.getfd, vfio.rw.vfs)", async () => {
  using program = new Program();
  const documents = await program.documents([
    ...GROUP_WAY,
    "let e ioctl $g VFIO_GROUP_GET_DEVICE_FD 0001:00:00.0",
    "fd write $d fill:0x5a*8 --at 0x2000000000008",
    "fd read $e 8 --at 0x2000000000008",
    "fd read $e 0",
    "fd read $d 4",
    "fd list",
  ]);
  const [write, read, nothing, refused, list] = documents.slice(-5);
  assertEquals([write!.result.ret, read!.result.data], [8, "5a".repeat(8)]);
  assertEquals([nothing!.result.ret, nothing!.result.position], [0, "0x0"]);
  assertEquals(refused!.error?.code, "EIO", "BAR 0 cannot be loaded; the position stays");
  assertEquals(
    list!.result.descriptors.map(({ syspath }: Record<string, string>) => syspath),
    [undefined, undefined, ...Array(2).fill("/sys/devices/pci0001:00/0001:00:00.0")],
  );
  assertEquals(
    list!.result.descriptors.map((
      { kind, path, position }: Record<string, string>,
    ) => [kind, path, position]),
    [
      ["container", "/dev/vfio/vfio", "0x0"],
      ["group", "/dev/vfio/0", "0x0"],
      ["device", "anon_inode:[vfio-device]", "0x0"],
      ["device", "anon_inode:[vfio-device]", "0x0"],
    ],
  );
});

Deno.test("read() goes on where it ended, over the end of BAR 0 into an index without a BAR (vfio.rw.corners)", async () => {
  using program = new Program();
  program.write(
    "zeros.json",
    JSON.stringify({ ism: { bar0Loads: "zeros" }, guests: [{ name: "g", functions: [{ fid: 1, uid: 1 }] }] }),
  );
  await program.result("host", "create", "--from", "zeros.json");
  const lines = [
    ...GROUP_WAY,
    "fd read $d 16",
    "fd read $d 8 8",
    "expect EINVAL fd write $d fill:0*4097",
    "fd read $d 2 --at 0xffffffffffff",
  ];
  const documents = await program.documents(lines);
  const positions = documents.slice(-4).map(({ result }) => result.position ?? result.got);
  assertEquals(positions, ["0x10", "0x20", "EINVAL", "0x1000000000000"]);
  assertEquals(documents.at(-1)!.result.ret, 1);
});

Deno.test("each segment of a vector is a call of the driver: on a BAR one store block each (vfio.rw.vectored)", async () => {
  using program = new Program();
  const lines = [
    ...GROUP_WAY,
    "fd write $d seq:0*8 seq:8*100 seq:0*4 --at 0x2000000000008",
    "fd read $d 12 4 --at 0x2000000000008",
    "expect EINVAL fd write $d seq:0*4096 hex:00 --at 0x2000000000800",
    "fd write $d hex:00 seq:0*4096 --at 0x2000000000800",
  ];
  const documents = await program.documents(lines, "--trace=insn");
  const stores = documents.slice(-4).map(({ trace, result }) => [
    result.ret ?? result.got,
    (trace ?? []).map(({ op, offset, length }) => `${op} ${offset} ${length}`),
  ]);
  assertEquals(stores, [
    [112, ["PCISTB 0x8 8", "PCISTB 0x10 100", "PCISTB 0x74 4"]],
    [16, ["PCILG 0x8 8", "PCILG 0x10 4", "PCILG 0x14 4"]],
    // 4096 bytes cross a 4 KiB line there: the errno of the first segment is the call's, that of a later one is not.
    ["EINVAL", []],
    [1, ["PCISTB 0x800 1"]],
  ]);
});

Deno.test("no vfio descriptor can seek, and none can be mapped (vfio.rw.vfs, vfio.mmap.others)", async () => {
  await holds([
    ...GROUP_WAY,
    "let e fd eventfd",
    ...["$c", "$g", "$d"].map((fd) => `expect ESPIPE fd lseek ${fd} 0`),
    "fd lseek $e 5",
    // Only a vfio device has a map operation, which refuses; the others have none.
    "expect EINVAL fd mmap $d 4k",
    ...["$c", "$g", "$e"].map((fd) => `expect ENODEV fd mmap ${fd} 4k`),
    "expect EINVAL fd mmap $d 0",
    "expect EINVAL fd mmap $d 4k --offset 0x1001",
    "expect EBADF fd lseek 99 0",
    "expect EINVAL fd read $d 1 --at 0x8000000000000000",
    "expect EBADF fd read 99 1",
    "expect EFAULT fd write $d hex:00 --count 2 --at 0x2000000000008",
  ]);
});

Deno.test("an eventfd counts interrupts until it is read, and is empty then (vfio.setirqs.fds, vfio.rw.eventfd)", async () => {
  using program = new Program();
  const setIrqs = (flags: number, count: number, data = "") =>
    `ioctl $d VFIO_DEVICE_SET_IRQS hex:${data === "" ? "14" : "18"}000000${
      flags.toString(16)
    }00000001000000` +
    `00000000${count.toString(16).padStart(2, "0")}000000${data}`;
  const documents = await program.documents([
    ...GROUP_WAY,
    "let e fd eventfd",
    "expect EAGAIN fd read $e 8",
    "expect =0 " + setIrqs(0x24, 1, "06000000"),
    setIrqs(0x21, 1),
    setIrqs(0x21, 1),
    "fd list",
    "expect EINVAL fd read $e 4",
    "fd read $e 8",
    "expect EAGAIN fd read $e 8",
  ]);
  for (const { ok, error } of documents) assertEquals([ok, error?.message], [true, undefined]);
  const list = documents.at(-4)!.result.descriptors;
  assertEquals(list.at(-1), {
    fd: 6,
    kind: "eventfd",
    path: "anon_inode:[eventfd]",
    position: "0x0",
    counter: 2,
  });
  assertEquals(documents.at(-2)!.result.data, "0200000000000000");
});

Deno.test("descriptors that were closed behind the driver's back do not keep it from closing and opening", async () => {
  await holds([
    "open",
    "dmb register --size 4k --rgid 1",
    "dma map --size 4k",
    "fd close 3",
    "fd close 5",
    "expect EBADF peek config 0",
    "close",
    "open",
    "expect hex:1410ed04 peek config 0 4",
    "gid",
  ]);
});

Deno.test("ism sysfs shows where the group, the character device and the ids of a function are (vfio.bind.ids)", async () => {
  using program = new Program();
  const value = async (name: string, ...options: string[]) =>
    (await program.run(["sysfs", name, ...options])).stdout.trimEnd();
  assertEquals(await value("iommu_group", "-d", "1"), "../../../kernel/iommu_groups/0");
  assertEquals(await value("driver"), "../../../bus/pci/drivers/ism_vfio_pci");
  assertEquals(await value("function_id"), "0x00000010");
  assertMatch(await value("function_handle"), /^0x8[0-9a-f]{7}$/);
  assertEquals([await value("pft"), await value("port"), await value("vfn")], ["0x05", "0", "0x0001"]);
  assertEquals([await value("vendor"), await value("device")], ["0x1014", "0x04ed"]);
  const raw = await program.run(["sysfs", "util_string", "--raw"]);
  assertEquals([raw.code, raw.bytes.length], [0, 64]);
  // "NET1" in EBCDIC, filled up with blanks; what is not there of the other ports' names is zeros.
  const name = `d5c5e3f1${"40".repeat(12)}`;
  const whole = `hex:${name}${"00".repeat(48)}`;
  assertEquals(await value("util_string"), whole);
  const [all, info] = await Promise.all([program.run(["sysfs"]), program.run(["info", "-d", "1"])]);
  assertMatch(all.stdout, new RegExp(`^  util_string +hex:${name} and 48 zero bytes$`, "m"));
  assertMatch(info.stdout, new RegExp(`^  util_str +${name} and 48 zero bytes$`, "m"));
  for (const { stdout } of [all, info]) assert(stdout.split("\n").every((line) => line.length <= 80), stdout);
  const { capabilities } = await program.result("info", "-d", "1");
  assertEquals(capabilities.find(({ id }: { id: number }) => id === 3).util_str, whole.slice("hex:".length));
  const unbound = documentsOf(await program.run(["--json", "-c", "unbind", "-c", "sysfs"]));
  const names = unbound[1]!.result.entries.map(({ name }: { name: string }) => name);
  assertEquals(names.includes("driver") || names.includes("vfio-dev/vfio0"), false);
});

Deno.test("ism fd names descriptors by what they are of, as ioctl does, the driver's own first", async () => {
  using program = new Program();
  await program.documents(["fd open /dev/vfio/vfio", "open"]);
  const { descriptors } = await program.result("fd", "list");
  const [, , group, device] = descriptors;
  assertEquals(descriptors.map(({ kind }: { kind: string }) => kind), [
    "container",
    "container",
    "group",
    "device",
  ]);
  const lines = ["fd read device 4 --at 0x7000000000000", "fd lseek group 0", "ioctl container 0x3b64"];
  const [read, seek, version] = await program.documents(lines);
  assertEquals([read!.result.fd, read!.result.data], [device.fd, "1410ed04"]);
  assertEquals(seek!.error!.code, "ESPIPE");
  assertEquals([version!.result.fd, version!.result.ret], [descriptors[1].fd, 0], "VFIO_GET_API_VERSION");
  const [none, closed] = await program.documents(["fd close eventfd", "fd close group"]);
  assertMatch(none!.error!.message, /^There is no descriptor "eventfd"; open are 3 \(container\), /);
  assertEquals(closed!.result.fd, group.fd);
  const { code, stderr } = await program.run(["fd", "close", "dog"]);
  assertEquals(code, 2);
  assertMatch(
    stderr,
    /^ism: fd close: fd: "dog" is no descriptor; name a number or one of device, container, /,
  );
});

Deno.test("ism says how to go on where a descriptor that was opened by hand keeps the driver out", async () => {
  using program = new Program();
  const lines = ["fd open /dev/vfio/0", "gid", "close", "gid", "fd close group", "gid"];
  const documents = await program.documents(lines);
  assertEquals(documents.map(({ error }) => error?.code), [
    undefined,
    "EBUSY",
    undefined,
    "EBUSY",
    undefined,
    undefined,
  ]);
  assertMatch(
    String(documents[1]!.error!["hint"]),
    /one opener: close its other descriptor first \(fd list, fd close\)$/,
  );
});
