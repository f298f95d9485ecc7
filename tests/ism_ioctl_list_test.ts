/** The list of ioctls: numbers, structs and fields as the headers have them; TAB knows them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Program } from "./support/program.ts";

/** An entry of the list. */
interface Entry {
  readonly kind: string;
  readonly name: string;
  readonly request: string;
  readonly argument: string | null;
  readonly size: number | null;
  readonly fields: readonly { name: string; type: string; at: number; size: number; written: boolean }[];
}

Deno.test("ioctl --list names every ioctl with its struct and fields", async () => {
  using program = new Program();
  const { ioctls }: { ioctls: readonly Entry[] } = await program.result("ioctl", "--list");
  const find = (kind: string, name: string) =>
    ioctls.find((each) => each.kind === kind && each.name === name)!;
  // include/uapi/linux/vfio.h: struct vfio_region_info.
  const { request, argument, size, fields } = find("device", "VFIO_DEVICE_GET_REGION_INFO");
  assertEquals([request, argument, size], ["0x3b6c", "vfio_region_info", 32]);
  assertEquals(fields.map(({ name, type, at }) => [name, type, at]), [
    ["argsz", "__u32", 0],
    ["flags", "__u32", 4],
    ["index", "__u32", 8],
    ["cap_offset", "__u32", 12],
    ["size", "__u64", 16],
    ["offset", "__u64", 24],
  ]);
  assertEquals(fields.filter(({ written }) => written).map(({ name }) => name), [
    "flags",
    "cap_offset",
    "size",
    "offset",
  ]);
  // The same number on different descriptors (vfio.ioctl.numbers).
  assertEquals(find("container", "VFIO_IOMMU_MAP_DMA").request, "0x3b71");
  assertEquals(find("device", "VFIO_DEVICE_PCI_HOT_RESET").request, "0x3b71");
  assertEquals(find("group", "VFIO_GROUP_GET_DEVICE_FD").argument, "text");
  assertEquals(find("iommufd", "IOMMU_IOAS_MAP").argument, "iommu_ioas_map");
  for (const { name, size, fields, argument } of ioctls) {
    assertEquals(size === null, fields.length === 0, name);
    if (size === null) continue;
    assertMatch(argument!, /^(int|clp_req|fsuuid2|vfio_[a-z0-9_]+|iommu_[a-z0-9_]+)$/, name);
    for (const field of fields) assert(field.at + field.size <= size, `${name}.${field.name}`);
  }
});

Deno.test("every field of the list is one that ioctl takes, and every name one that it knows", async () => {
  using program = new Program();
  const { ioctls }: { ioctls: readonly Entry[] } = await program.result("ioctl", "device", "--list");
  assertEquals(new Set(ioctls.map(({ kind }) => kind)), new Set(["device", "any"]));
  const lines = ioctls.filter(({ kind }) => kind === "device").flatMap(({ name, fields }) =>
    fields.filter(({ type }) => !type.startsWith("__u8[")).map((field) =>
      `explain ioctl device ${name} ${field.name}=0`
    )
  );
  for (const document of await program.documents(lines)) {
    assertEquals(document.ok, true, JSON.stringify(document));
  }
});

Deno.test("ioctl --list prints a table for each kind of descriptor", async () => {
  using program = new Program();
  const { code, stdout } = await program.run(["ioctl", "group", "--list"]);
  assertEquals(code, 0);
  assertMatch(
    stdout,
    /^group\nREQUEST +NAME +ARGUMENT +FIELDS\n0x3b67 +VFIO_GROUP_GET_STATUS +vfio_group_status +argsz flags\*$/m,
  );
  assertMatch(stdout, /^any descriptor$/m);
  const missing = await program.run(["ioctl"]);
  assertEquals(missing.code, 2);
  assertMatch(missing.stderr, /WHICH is missing/);
});

Deno.test("TAB knows ioctls of a descriptor and fields of an ioctl", async () => {
  using program = new Program();
  const complete = async (line: string) =>
    (await program.run(["__complete", "bash", line])).stdout.split("\n").map((each) =>
      each.split("\t")[0]!.trim()
    )
      .filter((each) => each !== "");
  const group = await complete("ism ioctl group VFIO_");
  assert(group.includes("VFIO_GROUP_GET_STATUS") && !group.includes("VFIO_DEVICE_RESET"), `${group}`);
  assert((await complete("ism ioctl 5 VFIO_DEVICE_R")).includes("VFIO_DEVICE_RESET"));
  assertEquals(await complete("ism ioctl device VFIO_DEVICE_GET_IRQ_INFO argsz=16 in"), ["index="]);
});
