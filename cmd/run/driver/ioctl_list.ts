/** All ioctls that are known: their numbers, structs and fields, as the headers name them. */
import { hex } from "../../../lib/base/hex.ts";
import { snakeCase } from "../../../lib/base/names.ts";
import type { FieldLayout } from "../../../lib/base/struct.ts";
import { ioctlsOf, type ListedIoctl } from "../../../lib/vfio/process/strace.ts";
import type { Terminal } from "../../language/terminal.ts";
import { renderTable } from "../../output/table/text.ts";
import { DESCRIPTOR_KINDS } from "./descriptors.ts";

/** Structs whose names do not follow from those of their ioctls (include/uapi/linux/vfio.h, iommufd.h, fs.h). */
const STRUCT_NAMES: Readonly<Record<string, string>> = {
  VFIO_GROUP_GET_STATUS: "vfio_group_status",
  VFIO_GROUP_SET_CONTAINER: "int",
  VFIO_DEVICE_GET_INFO: "vfio_device_info",
  VFIO_DEVICE_GET_REGION_INFO: "vfio_region_info",
  VFIO_DEVICE_GET_IRQ_INFO: "vfio_irq_info",
  VFIO_DEVICE_SET_IRQS: "vfio_irq_set",
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: "vfio_pci_hot_reset_info",
  VFIO_DEVICE_PCI_HOT_RESET: "vfio_pci_hot_reset",
  VFIO_IOMMU_GET_INFO: "vfio_iommu_type1_info",
  VFIO_IOMMU_MAP_DMA: "vfio_iommu_type1_dma_map",
  VFIO_IOMMU_UNMAP_DMA: "vfio_iommu_type1_dma_unmap",
  VFIO_IOMMU_DIRTY_PAGES: "vfio_iommu_type1_dirty_bitmap",
  IOMMU_GET_HW_INFO: "iommu_hw_info",
  IOMMU_FAULT_QUEUE_ALLOC: "iommu_fault_alloc",
  CLP_SYNC: "clp_req",
  FS_IOC_GETFSUUID: "fsuuid2",
};

/** Structs that hold a number and nothing else. */
const NUMBERS = /^(FI|FS_IOC_(?!GETFSUUID))/;

/** The C type of an ioctl's argument. */
function structName(name: string): string {
  return STRUCT_NAMES[name] ?? (NUMBERS.test(name) ? "int" : name.toLowerCase());
}

const C_TYPES: Readonly<Record<FieldLayout["kind"], string>> = {
  u8: "__u8",
  u16: "__u16",
  u32: "__u32",
  i32: "__s32",
  u64: "__u64",
  big64: "__u64",
  bytes: "__u8[]",
};

function describe(kind: string, { name, request, struct, text, out }: ListedIoctl) {
  return {
    kind,
    name,
    request: hex(request),
    argument: struct !== undefined ? structName(name) : text ? "text" : null,
    size: struct?.size ?? null,
    fields: (struct?.layout ?? []).map((field) => ({
      name: snakeCase(field.name),
      type: field.kind === "bytes" ? `__u8[${field.size}]` : C_TYPES[field.kind],
      at: field.offset,
      size: field.size,
      written: out.includes(field.name),
    })),
  };
}

/** An ioctl of the list. */
export type IoctlEntry = ReturnType<typeof describe>;

/** The ioctls of a kind of descriptor, or of all kinds; those that any file has come last. */
export function listIoctls(kind: string | undefined): IoctlEntry[] {
  const kinds = kind === undefined ? DESCRIPTOR_KINDS : DESCRIPTOR_KINDS.filter((each) => each === kind);
  return [...kinds, "any" as const].flatMap((each) => ioctlsOf(each).map((ioctl) => describe(each, ioctl)));
}

/** Words that can follow the name of an ioctl: its fields. */
export function fieldWords(name: string): string[] {
  const found = listIoctls(undefined).find((each) => each.name === name);
  return (found?.fields ?? []).map((field) => `${field.name}=`);
}

const COLUMNS = [{ name: "request" }, { name: "name" }, { name: "argument", drop: 2 }, {
  name: "fields",
  drop: 1,
}];

/** The list for people, a table for each kind of descriptor; a field that the kernel writes has a star. */
export function renderIoctls(entries: readonly IoctlEntry[], terminal: Terminal, wide: boolean): string {
  const kinds = [...new Set(entries.map(({ kind }) => kind))];
  const tables = kinds.map((kind) => {
    const rows = entries.filter((each) => each.kind === kind).map(({ request, name, argument, fields }) => [
      request,
      name,
      argument,
      fields.map((field) => field.name + (field.written ? "*" : "")).join(" "),
    ]);
    const title = kind === "any" ? "any descriptor" : kind;
    return `${terminal.style.bold(title)}\n${renderTable(COLUMNS, rows, terminal, { wide })}`;
  });
  return `${tables.join("\n")}\n* the kernel writes it\n`;
}
