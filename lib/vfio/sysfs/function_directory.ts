/**
 * The directory of a function: links, attributes of PCI devices, attributes of zPCI. What the PCI core read at
 * enumeration does not change. Facts: vfio.sysfs.attributes and vfio.sysfs.pci, vfio.bind.ids (drivers/pci/pci-sysfs.c,
 * arch/s390/pci/pci_sysfs.c).
 */
import { hex } from "../../base/hex.ts";
import type { Binding } from "../binding.ts";
import type { Kernel } from "../kernel.ts";
import { type Attribute, type Directory, directory, line, link, type SysfsNode, writeOnly } from "./node.ts";
import { PCI_IDS } from "../pci_ids.ts";
import { configFile } from "./config_file.ts";
import { reportError, resetFunction, writeOverride, writeResetMethod, writeUevent } from "./stores.ts";

const UTILITY_BYTES = 64;
/** Window of a BAR in the kernel's addresses (arch/s390/include/asm/pci_io.h: ZPCI_ADDR). */
const BAR_WINDOWS = 0x8000_0000_0000_0000n;
const BAR_WINDOW_BITS = 48n;
/** Resources of a device without a bridge: BARs, ROM, and those of virtual functions. */
const RESOURCES = 13;
const RESOURCE_MEM_64 = 0x14_0204n;
const RESOURCE_PREFETCH = 0x2008n;

/** The directory. */
export function functionDirectory(kernel: Kernel, binding: Binding): Directory {
  const { zdev, driver, device } = binding;
  const { facts } = zdev;
  const number = kernel.bindings.indexOf(binding);
  const segments = [...facts.pfip].map((segment, i) => [`segment${i}`, () => line(hex(segment, 2))] as const);
  return directory({
    class: () => line(hex(PCI_IDS.class, 6)),
    config: () => configFile(zdev),
    device: () => line(hex(PCI_IDS.device, 4)),
    ...(driver === undefined ? {} : { driver: () => link(`../../../bus/pci/drivers/${driver}`) }),
    driver_override: () => line(binding.override ?? "(null)", (text) => writeOverride(binding, text)),
    fidparm: () => line("0x00"),
    function_handle: () => line(hex(zdev.fh, 8)),
    function_id: () => line(hex(facts.fid, 8)),
    // Only where the machine checks UIDs, which it does here.
    index: () => line(String(facts.uid)),
    iommu_group: () => link(`../../../kernel/iommu_groups/${kernel.group(zdev).number}`),
    mio_enabled: () => line("0"),
    modalias: () => line(modalias()),
    numa_node: () => line("-1"),
    pchid: () => line(hex(facts.pchid, 4)),
    pfgid: () => line(hex(facts.pfgid, 2)),
    pfip: () => directory(Object.fromEntries(segments)),
    pft: () => line(hex(facts.pft, 2)),
    port: () => line(String(facts.port)),
    recover: () =>
      writeOnly(() => {
        binding.recover();
        return binding.removing;
      }),
    report_error: () => reportError(),
    reset: () => writeOnly((text) => resetFunction(binding, text)),
    reset_method: () => line("bus", writeResetMethod),
    resource: () => line(resourceLines(kernel, binding)),
    revision: () => line(hex(PCI_IDS.revision, 2)),
    subsystem: () => link("../../../bus/pci"),
    subsystem_device: () => line(hex(PCI_IDS.subsystemDevice, 4)),
    subsystem_vendor: () => line(hex(PCI_IDS.subsystemVendor, 4)),
    uevent: () => line(ueventLines(zdev.name, driver), writeUevent),
    uid: () => line(hex(facts.uid)),
    // List PCI says that the machine checks UIDs.
    uid_is_unique: () => line("1"),
    ...(facts.utilityString === undefined ? {} : { util_string: () => bytesOf(facts.utilityString!) }),
    vendor: () => line(hex(PCI_IDS.vendor, 4)),
    ...(device === undefined
      ? {}
      : { "vfio-dev": () => directory({ [`vfio${number}`]: (): SysfsNode => directory({}) }) }),
    vfn: () => line(hex(facts.vfn, 4)),
  });
}

/** Where the directory really lies: `/sys/bus/pci/devices` has a link to it. */
export function functionPath(name: string): string {
  return `/sys/devices/pci${name.slice(0, "0001:00".length)}/${name}`;
}

function bytesOf(content: Uint8Array): Attribute {
  return {
    kind: "attribute",
    size: UTILITY_BYTES,
    read: (at, count) => content.subarray(at, at + count),
  };
}

const upper = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, "0");

/** What modprobe matches a driver by (drivers/pci/pci-sysfs.c: modalias_show). */
function modalias(): string {
  const { vendor, device, subsystemVendor, subsystemDevice, class: code } = PCI_IDS;
  const ids = `v${upper(vendor, 8)}d${upper(device, 8)}sv${upper(subsystemVendor, 8)}sd${
    upper(subsystemDevice, 8)
  }`;
  return `pci:${ids}bc${upper(code >> 16, 2)}sc${upper((code >> 8) & 0xff, 2)}i${upper(code & 0xff, 2)}`;
}

function ueventLines(name: string, driver: string | undefined): string {
  const { vendor, device, subsystemVendor, subsystemDevice, class: code } = PCI_IDS;
  return [
    ...(driver === undefined ? [] : [`DRIVER=${driver}`]),
    `PCI_CLASS=${upper(code, 4)}`,
    `PCI_ID=${upper(vendor, 4)}:${upper(device, 4)}`,
    `PCI_SUBSYS_ID=${upper(subsystemVendor, 4)}:${upper(subsystemDevice, 4)}`,
    `PCI_SLOT_NAME=${name}`,
    `MODALIAS=${modalias()}`,
  ].join("\n");
}

/** Start, end and flags of each resource; BARs lie in windows that are numbered through all functions. */
function resourceLines(kernel: Kernel, binding: Binding): string {
  const before = kernel.bindings.slice(0, kernel.bindings.indexOf(binding));
  let window = before.flatMap(({ zdev }) => zdev.facts.bars).filter(({ size }) => size > 0).length;
  return Array.from({ length: RESOURCES }, (_, i) => {
    const bar = binding.zdev.facts.bars[i];
    if (bar === undefined || bar.size === 0) return resourceLine(0n, 0n, 0n);
    const start = BAR_WINDOWS + (BigInt(window++) << BAR_WINDOW_BITS);
    const flags = RESOURCE_MEM_64 | (bar.prefetch ? RESOURCE_PREFETCH : 0n);
    return resourceLine(start, start + BigInt(bar.size) - 1n, flags);
  }).join("\n");
}

function resourceLine(...values: readonly bigint[]): string {
  return values.map((value) => hex(value, 16)).join(" ");
}
