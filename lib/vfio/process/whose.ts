/** Which function a system call is about, for those who read a trace. */
import { DeviceFile } from "../device_file.ts";
import { GroupFile } from "../group.ts";
import { ContainerFile } from "../iommu/container.ts";
import { IommufdFile } from "../iommu/iommufd_file.ts";
import type { Kernel } from "../kernel.ts";
import type { Zdev } from "../s390/zdev.ts";
import { EventFdFile } from "./eventfd.ts";
import type { OpenFile } from "./file.ts";

/** Function id of the function that an open file leads to; undefined for none, and where it leads to several. */
export function functionOfFile(kernel: Kernel, file: OpenFile): number | undefined {
  if (file instanceof DeviceFile) return file.device.zdev.facts.fid;
  if (file instanceof GroupFile) return file.group.zdev.facts.fid;
  if (file instanceof ContainerFile) return only([...file.container.groups].map(({ zdev }) => zdev));
  if (file instanceof IommufdFile) {
    const domains = new Set([...file.iommufd.ioases.values()].map(({ domain }) => domain));
    return only(kernel.zdevs.filter(({ domain }) => domain !== undefined && domains.has(domain)));
  }
  if (!(file instanceof EventFdFile)) return undefined;
  const { context } = file;
  const signalled = kernel.bindings.filter(({ device }) =>
    device !== undefined &&
    (device.err === context || device.req === context || device.msi?.includes(context))
  );
  return only(signalled.map(({ zdev }) => zdev));
}

/** Function id of the function whose node or directory of sysfs a path is; undefined for any other. */
export function functionOfPath(kernel: Kernel, path: string): number | undefined {
  const cdev = /^\/dev\/vfio\/devices\/vfio(\d+)$/.exec(path)?.[1];
  if (cdev !== undefined) return kernel.zdevs[Number(cdev)]?.facts.fid;
  const group = /^\/dev\/vfio\/(\d+)$/.exec(path)?.[1];
  if (group !== undefined) return kernel.groups[Number(group)]?.zdev.facts.fid;
  return only(kernel.zdevs.filter(({ name }) => path.includes(`/${name}`)));
}

function only(zdevs: readonly Zdev[]): number | undefined {
  return zdevs.length === 1 ? zdevs[0]!.facts.fid : undefined;
}
