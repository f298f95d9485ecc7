/**
 * What a program sees of a guest in /dev and /sys: the nodes of vfio, iommufd and CLP, and the directories of sysfs.
 * Facts: vfio.bind.ids and vfio.node.names (drivers/vfio/group.c, drivers/vfio/device_cdev.c,
 * include/linux/miscdevice.h).
 */
import type { Kernel } from "../vfio/kernel.ts";
import {
  type Attribute,
  type Directory,
  directory,
  line,
  type Link,
  link,
  type SysfsNode,
} from "../vfio/sysfs/node.ts";
import { functionPath } from "../vfio/sysfs/function_directory.ts";
import { sysfsTree } from "../vfio/sysfs/tree.ts";

/** A node of a device. */
export interface DeviceNode {
  readonly kind: "device";
  readonly major: number;
  readonly minor: number;
}

/** Anything with a path. */
export type TreeNode = TreeDirectory | Link | Attribute | DeviceNode;
/** A directory of them. */
export interface TreeDirectory {
  readonly kind: "directory";
  readonly entries: ReadonlyMap<string, () => TreeNode>;
}
export type { Attribute as AttributeNode };

/** Directories whose other entries are the real machine's. */
export const SHARED_DIRECTORIES: ReadonlySet<string> = new Set([
  "/",
  "/dev",
  "/sys",
  "/sys/bus",
  "/sys/class",
  "/sys/devices",
  "/sys/firmware",
  "/sys/kernel",
  "/sys/module",
]);

/** Modules that a host with vfio-pci has. */
const MODULES = ["iommufd", "ism_vfio_pci", "vfio", "vfio_iommu_type1", "vfio_pci", "vfio_pci_core"];
/** Misc devices have major 10; vfio has a minor of its own, the others get one when they are registered. */
const MISC = 10;
const VFIO_MINOR = 196;
const IOMMU_MINOR = 258;
const CLP_MINOR = 257;
/** Majors of vfio groups and of vfio devices are given out by the running kernel, from 511 down. */
const GROUP_MAJOR = 511;
const CDEV_MAJOR = 510;

function folder(entries: Iterable<readonly [string, () => TreeNode]>): TreeDirectory {
  return { kind: "directory", entries: new Map(entries) };
}

/** The guest's part of the file system. Made anew for each look: it changes with every bind. */
export function buildTree(kernel: Kernel): TreeDirectory {
  return folder([["dev", () => devices(kernel)], ["sys", () => sysfs(kernel)]]);
}

function devices(kernel: Kernel): TreeDirectory {
  const bound = kernel.bindings.filter(({ device }) => device !== undefined);
  const node = (major: number, minor: number) => (): TreeNode => ({ kind: "device", major, minor });
  const groups = bound.map(({ zdev }) => {
    const { number } = kernel.group(zdev);
    return [String(number), node(GROUP_MAJOR, number)] as const;
  });
  const cdevs = bound.map((binding) => {
    const number = kernel.bindings.indexOf(binding);
    return [`vfio${number}`, node(CDEV_MAJOR, number)] as const;
  });
  const vfio = folder([
    ["vfio", node(MISC, VFIO_MINOR)],
    ...groups,
    ...(cdevs.length === 0 ? [] : [["devices", () => folder(cdevs)] as const]),
  ]);
  return folder([
    ["vfio", () => vfio],
    ["iommu", node(MISC, IOMMU_MINOR)],
    ["clp", node(MISC, CLP_MINOR)],
  ]);
}

/** sysfs of the simulated kernel, and what programs look for besides: classes, modules, numbers of devices. */
function sysfs(kernel: Kernel): TreeDirectory {
  const { entries } = sysfsTree(kernel).entries.get("sys")!() as Directory;
  const roots = (entries.get("devices")!() as Directory).entries;
  const held = kernel.bindings.filter(({ device }) => device !== undefined);
  const classes = held.map((binding) => {
    const name = `vfio${kernel.bindings.indexOf(binding)}`;
    const path = functionPath(binding.zdev.name).slice("/sys".length);
    return [name, (): TreeNode => link(`../..${path}/vfio-dev/${name}`)] as const;
  });
  return folder([
    ...entries,
    ["class", () => folder([["vfio-dev", () => folder(classes)]])],
    ["devices", () => folder([...roots].map(([name, root]) => [name, () => withNumbers(kernel, root())]))],
    ["module", () => folder(MODULES.map((name) => [name, () => directory({})]))],
  ]);
}

/** The directory pciDOMAIN:BUS, whose function has the number of its character device in vfio-dev. */
function withNumbers(kernel: Kernel, root: SysfsNode): TreeDirectory {
  return folder(
    [...(root as Directory).entries].map(([name, node]) => {
      const { entries } = node() as Directory;
      const number = kernel.bindings.findIndex(({ zdev }) => zdev.name === name);
      const device = directory({
        dev: () => line(`${CDEV_MAJOR}:${number}`),
        device: () => link(`../../../${name}`),
        subsystem: () => link("../../../../../class/vfio-dev"),
      });
      const replaced = entries.has("vfio-dev")
        ? [["vfio-dev", () => directory({ [`vfio${number}`]: () => device })] as const]
        : [];
      return [name, () => folder([...entries, ...replaced])] as const;
    }),
  );
}
