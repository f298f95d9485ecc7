/**
 * What a program sees of a guest in /dev and /sys: the nodes of vfio and iommufd, the directories of the functions,
 * drivers, IOMMU groups and modules. Facts: VFIO sheet 1.1 and 1.2 (drivers/pci/pci-sysfs.c, drivers/iommu/iommu.c).
 */
import { DRIVERS } from "../vfio/binding.ts";
import type { Binding } from "../vfio/binding.ts";
import type { Kernel } from "../vfio/kernel.ts";
import { functionDirectory } from "../vfio/process/sysfs.ts";
import { configBytes, writeConfig } from "./config_file.ts";
import { bindFile, overrideFile, unbindFile } from "./driver_files.ts";

/** A directory; one that is not `whole` has entries of the real machine besides. */
export interface DirectoryNode {
  readonly kind: "directory";
  readonly whole: boolean;
  readonly entries: ReadonlyMap<string, TreeNode>;
}

/** An attribute. `write` takes what one write(2) brings. */
export interface AttributeNode {
  readonly kind: "attribute";
  readonly mode: number;
  readonly size: number;
  read?(): Uint8Array;
  write?(bytes: Uint8Array, position: number): void;
}

/** Anything with a path. */
export type TreeNode =
  | DirectoryNode
  | AttributeNode
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "device"; readonly major: number; readonly minor: number };

/** Size that stat(2) says of an attribute of sysfs: a page. */
const ATTRIBUTE_SIZE = 4096;
/** Modules that a host with vfio-pci has. */
const MODULES = ["iommufd", "ism_vfio_pci", "vfio", "vfio_iommu_type1", "vfio_pci", "vfio_pci_core"];
/** Misc devices have major 10; vfio has a minor of its own, iommufd gets the first dynamic one (miscdevice.h). */
const MISC = 10;
const VFIO_MINOR = 196;
const IOMMU_MINOR = 258;
/** Majors of vfio groups and of vfio devices are given out by the running kernel, from 511 down. */
const GROUP_MAJOR = 511;
export const CDEV_MAJOR = 510;

const encoder = new TextEncoder();

function directory(entries: Iterable<readonly [string, TreeNode]>, whole = true): DirectoryNode {
  return { kind: "directory", whole, entries: new Map(entries) };
}

const link = (target: string): TreeNode => ({ kind: "link", target });

function text(content: () => string): AttributeNode {
  const read = () => encoder.encode(`${content()}\n`);
  return { kind: "attribute", mode: 0o444, size: ATTRIBUTE_SIZE, read };
}

/** The guest's part of the file system. Built anew for each look: it changes with every bind. */
export function buildTree(kernel: Kernel): DirectoryNode {
  return directory([["dev", devices(kernel)], ["sys", sysfs(kernel)]], false);
}

function devices(kernel: Kernel): DirectoryNode {
  const bound = kernel.bindings.filter(({ device }) => device !== undefined);
  const node = (major: number, minor: number): TreeNode => ({ kind: "device", major, minor });
  const groups = bound.map(({ zdev }) => {
    const { number } = kernel.group(zdev);
    return [String(number), node(GROUP_MAJOR, number)] as const;
  });
  const cdevs = bound.map((binding) => {
    const index = kernel.bindings.indexOf(binding);
    return [`vfio${index}`, node(CDEV_MAJOR, index)] as const;
  });
  const vfio = directory([
    ["vfio", node(MISC, VFIO_MINOR)],
    ...groups,
    ...(cdevs.length === 0 ? [] : [["devices", directory(cdevs)] as const]),
  ]);
  return directory([["vfio", vfio], ["iommu", node(MISC, IOMMU_MINOR)]], false);
}

function sysfs(kernel: Kernel): DirectoryNode {
  const present = kernel.bindings.filter(({ zdev, driver }) =>
    zdev.state === "configured" || driver !== undefined
  );
  const roots = present.map((binding) => {
    const { name } = binding.zdev;
    return [`pci${domain(name)}`, directory([[name, functionNode(kernel, binding)]])] as const;
  });
  const addresses = present.map(({ zdev: { name } }) =>
    [name, link(`../../../devices/pci${domain(name)}/${name}`)] as const
  );
  const drivers = DRIVERS.map((driver) =>
    [
      driver,
      directory([
        ["bind", bindFile(kernel, driver)],
        ["unbind", unbindFile(kernel, driver)],
        ...present.filter((binding) => binding.driver === driver).map(({ zdev: { name } }) =>
          [name, link(`../../../../devices/pci${domain(name)}/${name}`)] as const
        ),
      ]),
    ] as const
  );
  const groups = present.map(({ zdev }) => {
    const { number } = kernel.group(zdev);
    const path = `../../../../devices/pci${domain(zdev.name)}/${zdev.name}`;
    return [
      String(number),
      directory([["devices", directory([[zdev.name, link(path)]])], ["type", text(() => "DMA")]]),
    ] as const;
  });
  const classes = present.filter(({ device }) => device !== undefined).map((binding) => {
    const name = `vfio${kernel.bindings.indexOf(binding)}`;
    const at = `../../devices/pci${domain(binding.zdev.name)}/${binding.zdev.name}/vfio-dev/${name}`;
    return [name, link(at)] as const;
  });
  const pci = directory([["devices", directory(addresses)], ["drivers", directory(drivers)]]);
  return directory([
    ["bus", directory([["pci", pci]], false)],
    ["class", directory([["vfio-dev", directory(classes)]], false)],
    ["devices", directory(roots, false)],
    ["kernel", directory([["iommu_groups", directory(groups)]], false)],
    ["module", directory(MODULES.map((name) => [name, directory([])]), false)],
  ], false);
}

/** `0001:00` of `0001:00:00.0`. */
const domain = (address: string) => address.slice(0, address.lastIndexOf(":"));

/** The directory of a function: what the simulated kernel lists, and what every PCI device has. */
function functionNode(kernel: Kernel, binding: Binding): DirectoryNode {
  const { zdev } = binding;
  const config = () => configBytes(zdev);
  const number = (at: number, bytes: number) => {
    const value = config().subarray(at, at + bytes).reduceRight((sum, byte) => sum * 256 + byte, 0);
    return `0x${value.toString(16).padStart(bytes * 2, "0")}`;
  };
  const entries = new Map<string, TreeNode>([
    ["class", text(() => number(9, 3))],
    ["revision", text(() => number(8, 1))],
    ["subsystem_vendor", text(() => number(0x2c, 2))],
    ["subsystem_device", text(() => number(0x2e, 2))],
    ["numa_node", text(() => "-1")],
    ["resource", text(() => resources(binding))],
    ["subsystem", link("../../../bus/pci")],
    ["config", {
      kind: "attribute",
      mode: 0o644,
      size: 256,
      read: config,
      write: (bytes, position) => writeConfig(zdev, bytes, position),
    }],
    ["recover", { kind: "attribute", mode: 0o200, size: ATTRIBUTE_SIZE, write: () => binding.recover() }],
  ]);
  const folders = new Map<string, Map<string, TreeNode>>();
  for (const { name, link: target, content } of functionDirectory(kernel, binding)) {
    const node: TreeNode = target !== undefined
      ? link(target)
      : name === "driver_override"
      ? overrideFile(binding)
      : content !== undefined
      ? { kind: "attribute", mode: 0o444, size: ATTRIBUTE_SIZE, read: () => content }
      : deviceFolder(kernel, binding);
    const slash = name.indexOf("/");
    if (slash < 0) entries.set(name, node);
    else {
      const folder = folders.get(name.slice(0, slash)) ?? new Map<string, TreeNode>();
      folders.set(name.slice(0, slash), folder.set(name.slice(slash + 1), node));
    }
  }
  for (const [name, folder] of folders) entries.set(name, directory(folder));
  return directory(entries);
}

/** vfio-dev/vfioN: its `dev` names the character device. */
function deviceFolder(kernel: Kernel, binding: Binding): DirectoryNode {
  const number = kernel.bindings.indexOf(binding);
  return directory([
    ["dev", text(() => `${CDEV_MAJOR}:${number}`)],
    ["device", link(`../../../${binding.zdev.name}`)],
    ["subsystem", link("../../../../../class/vfio-dev")],
  ]);
}

/** IORESOURCE_MEM and IORESOURCE_SIZEALIGN, prefetchable, 64 bits; and the type bits of the BAR register. */
const MEMORY = 0x4_0200;
const PREFETCH = 0x2008;
const WIDE = 0x10_0004;
const RESOURCES = 7;

/** One line a BAR, and the expansion ROM: start, end, flags. Where the kernel puts a BAR no program can use: 0. */
function resources({ zdev: { facts } }: Binding): string {
  const hex = (value: number) => `0x${value.toString(16).padStart(16, "0")}`;
  return Array.from({ length: RESOURCES }, (_, i) => {
    const bar = facts.bars[i];
    if (bar === undefined || bar.size === 0) return [0, 0, 0].map(hex).join(" ");
    const flags = MEMORY + (bar.prefetch ? PREFETCH : 0) + (bar.is64 ? WIDE : 0);
    return [0, bar.size - 1, flags].map(hex).join(" ");
  }).join("\n");
}
