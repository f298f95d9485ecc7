/**
 * The directory of a function in sysfs: links, directories and attributes as `cat` shows them.
 * Facts: vfio.bind.ids (arch/s390/pci/pci_sysfs.c, drivers/pci/pci-sysfs.c).
 */
import { hex } from "../../base/hex.ts";
import type { Binding } from "../binding.ts";
import type { Kernel } from "../kernel.ts";
import { noEntry } from "./nodes.ts";
import { listEntries } from "../s390/pci_clp.ts";

/** The target of a sysfs link. @throws {ErrnoError} ENOENT */
export function readLink(kernel: Kernel, path: string): string {
  const [, address, link] = /^\/sys\/bus\/pci\/devices\/([^/]+)\/(iommu_group|driver)$/.exec(path) ?? [];
  const binding = kernel.bindings.find(({ zdev }) => zdev.name === address);
  if (binding !== undefined && link === "iommu_group") {
    return `../../../kernel/iommu_groups/${kernel.group(binding.zdev).number}`;
  }
  if (binding?.driver !== undefined && link === "driver") return `../../../bus/pci/drivers/${binding.driver}`;
  throw noEntry(path);
}

/** Entries of a sysfs directory. @throws {ErrnoError} ENOENT */
export function readDirectory(kernel: Kernel, path: string): readonly string[] {
  const address = /^\/sys\/bus\/pci\/devices\/([^/]+)\/vfio-dev$/.exec(path)?.[1];
  const number = kernel.bindings.findIndex(({ zdev, device }) =>
    zdev.name === address && device !== undefined
  );
  if (number < 0) throw noEntry(path);
  return [`vfio${number}`];
}

/** An entry of the directory of a function. */
export interface SysfsEntry {
  readonly name: string;
  /** Target of a link, bytes of an attribute, nothing for a directory. */
  readonly link?: string;
  readonly content?: Uint8Array;
}

/**
 * The directory of a function, in the order of `ls`. The attributes are those that a driver's author looks for; what
 * every PCI device has besides (`resource`, `power`, `numa_node` and the like) is left out.
 *
 * @throws {ErrnoError} ENOENT if the kernel has no such function
 */
export function functionDirectory(kernel: Kernel, binding: Binding): SysfsEntry[] {
  const { zdev, driver, device } = binding;
  const { facts } = zdev;
  const path = `/sys/bus/pci/devices/${zdev.name}`;
  const listed = listEntries(kernel.partition).find(({ fid, configured }) => configured && fid === facts.fid);
  if (listed === undefined && driver === undefined) throw noEntry(path);
  const line = (name: string, text: string): SysfsEntry => ({
    name,
    content: new TextEncoder().encode(`${text}\n`),
  });
  const node = kernel.bindings.indexOf(binding);
  const entries: SysfsEntry[] = [
    line("driver_override", binding.override ?? "(null)"),
    line("function_handle", hex(zdev.fh, 8)),
    line("function_id", hex(facts.fid, 8)),
    line("mio_enabled", "0"),
    line("pchid", hex(facts.pchid, 4)),
    line("pfgid", hex(facts.pfgid, 2)),
    ...[...facts.pfip].map((segment, i) => line(`pfip/segment${i}`, hex(segment, 2))),
    line("pft", hex(facts.pft, 2)),
    line("port", String(facts.port)),
    line("uid", hex(facts.uid)),
    // List PCI says that the machine checks UIDs.
    line("uid_is_unique", "1"),
    line("vfn", hex(facts.vfn, 4)),
    { name: "iommu_group", link: readLink(kernel, `${path}/iommu_group`) },
  ];
  if (listed !== undefined) {
    entries.push(line("vendor", hex(listed.vendorId, 4)), line("device", hex(listed.deviceId, 4)));
  }
  if (facts.utilityString !== undefined) entries.push({ name: "util_string", content: facts.utilityString });
  if (driver !== undefined) entries.push({ name: "driver", link: readLink(kernel, `${path}/driver`) });
  if (device !== undefined) entries.push({ name: `vfio-dev/vfio${node}` });
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}
