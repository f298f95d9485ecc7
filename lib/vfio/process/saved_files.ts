/** Open files of a process in the host file. */
import { DeviceFile } from "../device_file.ts";
import { GroupFile } from "../group.ts";
import { ContainerFile } from "../iommu/container.ts";
import { FaultQueueFile } from "../iommu/fault_queue.ts";
import { IommufdFile } from "../iommu/iommufd_file.ts";
import type { Kernel } from "../kernel.ts";
import { ClpFile } from "../s390/clp_file.ts";
import { EventFdFile } from "./eventfd.ts";
import type { FileState, OpenFile } from "./file.ts";

/**
 * A descriptor for the host file. Which descriptors share an open file is not part of it: no command of ism makes two
 * that do.
 */
export function saveFile(fd: number, file: OpenFile): FileState {
  const { kind, position, flags, id, shared } = file;
  if (shared || kind === "other") throw new Error(`Descriptor ${fd} is of a kind that is not saved`);
  return { fd, kind, position, flags, id, ...file.save() };
}

/** The open file of a saved one, all that it refers to being there. */
export function restoredFile(kernel: Kernel, file: FileState): OpenFile {
  switch (file.kind) {
    case "container":
      return new ContainerFile(kernel, kernel.containers.get(file.id)!);
    case "group":
      return new GroupFile(kernel, kernel.groups[file.id]!, file.dissolved === true);
    case "eventfd":
      return new EventFdFile(kernel.eventfds.get(file.id));
    case "iommufd":
      return new IommufdFile(kernel, kernel.iommufds.get(file.id)!);
    case "fault-queue":
      return new FaultQueueFile(kernel.iommufds.get(file.id)!, file.faultQueue!);
    case "clp":
      return new ClpFile(kernel);
    case "device":
      return restoredDeviceFile(kernel, file);
  }
}

function restoredDeviceFile(kernel: Kernel, { id, cdev }: FileState): DeviceFile {
  const file = new DeviceFile(kernel, kernel.deviceOf(id), cdev !== undefined);
  const iommufd = cdev === undefined || cdev.iommufd === null ? undefined : kernel.iommufds.get(cdev.iommufd);
  if (cdev === undefined || iommufd === undefined) return file;
  file.restoreBinding(iommufd, cdev);
  return file;
}
