/** Device nodes of a guest. Facts: vfio.node.names. */
import { Container, ContainerFile } from "../iommu/container.ts";
import { DeviceFile } from "../device_file.ts";
import { vfsError } from "../refusal.ts";
import type { OpenFile } from "./file.ts";
import { GroupFile } from "../group.ts";
import { hex } from "../../base/hex.ts";
import { Iommufd } from "../iommu/iommufd.ts";
import { IommufdFile } from "../iommu/iommufd_file.ts";
import type { Kernel } from "../kernel.ts";
import type { Zdev } from "../s390/zdev.ts";
import { coreError } from "../refusal.ts";
import { ClpFile } from "../s390/clp_file.ts";

/** Opens a node of /dev. @throws {ErrnoError} ENOENT, EBUSY, ENODEV */
export function openNode(kernel: Kernel, path: string): OpenFile {
  if (path === "/dev/vfio/vfio") {
    const container = new Container(kernel, kernel.newId());
    kernel.containers.set(container.id, container);
    return new ContainerFile(kernel, container);
  }
  if (path === "/dev/iommu") {
    const iommufd = new Iommufd(kernel, kernel.newId());
    kernel.iommufds.set(iommufd.id, iommufd);
    return new IommufdFile(kernel, iommufd);
  }
  if (path === "/dev/clp") return new ClpFile(kernel);
  const cdev = /^\/dev\/vfio\/devices\/vfio(0|[1-9]\d*)$/.exec(path)?.[1];
  if (cdev !== undefined) return openCdev(kernel, Number(cdev), path);
  const group = /^\/dev\/vfio\/(0|[1-9]\d*)$/.exec(path)?.[1];
  if (group !== undefined) return openGroup(kernel, Number(group), path);
  throw noEntry(path, NODES);
}

const NODES =
  "a guest has /dev/vfio/vfio, /dev/iommu, /dev/clp, and for a bound function its group and its character device";

/** What to do where a node is missing: bind the function that it would be of, if there is one. */
export function hintFor(kernel: Kernel, zdev: Zdev | undefined): string {
  if (zdev === undefined) return NODES;
  const { driver } = kernel.binding(zdev);
  const holder = driver === undefined ? "no driver holds" : `${driver} holds`;
  return `${holder} ${zdev.name}; "ism bind -d fid:${hex(zdev.facts.fid)}" gives it to ism_vfio_pci`;
}

/** The character device exists while a vfio driver holds the function. */
function openCdev(kernel: Kernel, number: number, path: string): OpenFile {
  const binding = kernel.bindings[number];
  if (binding?.device === undefined) throw noEntry(path, hintFor(kernel, kernel.zdevs[number]));
  if (binding.removing) {
    throw coreError(
      "ENODEV",
      "vfio.cdev.open",
      "unregistering",
      "drivers/vfio/device_cdev.c: vfio_device_fops_cdev_open",
      `${path} is going away`,
    );
  }
  return new DeviceFile(kernel, binding.device, true);
}

/** The group's node exists while a vfio driver holds its function. */
function openGroup(kernel: Kernel, number: number, path: string): OpenFile {
  const source = "drivers/vfio/group.c: vfio_group_fops_open";
  const group = kernel.groups[number];
  if (group === undefined || kernel.device(group.zdev) === undefined) {
    throw noEntry(path, hintFor(kernel, group?.zdev));
  }
  for (const file of kernel.files()) {
    if (file instanceof DeviceFile && file.blocksGroup && file.device.zdev === group.zdev) {
      throw coreError(
        "EBUSY",
        "vfio.group.open",
        "cdev open",
        source,
        "The device is open through its character device",
      );
    }
  }
  if (group.inUse) {
    const hint = "a group has one opener: close its other descriptor first (fd list, fd close)";
    throw coreError("EBUSY", "vfio.group.open", "single opener", source, `${path} is open already`, hint);
  }
  return new GroupFile(kernel, group);
}

/** The refusal of a path that leads nowhere. */
export function noEntry(path: string, hint?: string) {
  return vfsError(
    "ENOENT",
    "vfio.node.missing",
    "no such file",
    "fs/namei.c: path_openat",
    `${path} does not exist`,
    hint,
  );
}
