/** How a driver comes to a device's descriptor: through group and container, or character device and iommufd. */
import {
  ATTACH_PT,
  BIND_IOMMUFD,
  CONTAINER_IOCTL,
  DEVICE_IOCTL,
  EXTENSION,
  GROUP_FLAGS,
  GROUP_IOCTL,
  GROUP_SET_CONTAINER,
  GROUP_STATUS,
  VFIO_API_VERSION,
} from "../../vfio/uapi.ts";
import { IOAS_ALLOC, IOMMUFD_IOCTL } from "../../vfio/uapi_iommufd.ts";
import type { SystemCalls } from "../../vfio/process/process.ts";
import { DriverError } from "./errors.ts";

/**
 * Ways in: group and container with a type1 IOMMU, the same with an iommufd for a container, or character device and
 * iommufd.
 */
export const WAYS_IN = ["group", "compat", "cdev"] as const;
export type WayIn = (typeof WAYS_IN)[number];

/** What a way in yields. */
export interface Opened {
  readonly iommu: number;
  readonly device: number;
  readonly ioas: number;
}

/** What serves as a container. */
export const CONTAINERS = { group: "/dev/vfio/vfio", compat: "/dev/iommu" } as const;

/**
 * Group and container (vfio.group.compat). An iommufd has no container ioctls before it has a group, but for the
 * version and the extensions.
 */
export function openByGroup(
  sys: SystemCalls,
  address: string,
  opened: (fd: number) => number,
  node: string,
): Opened {
  const container = opened(sys.open(node));
  if (sys.ioctl(container, CONTAINER_IOCTL.VFIO_GET_API_VERSION) !== VFIO_API_VERSION) {
    throw new DriverError("The kernel has another VFIO API version");
  }
  const link = sys.readlink(`/sys/bus/pci/devices/${address}/iommu_group`);
  const group = opened(sys.open(`/dev/vfio/${link.slice(link.lastIndexOf("/") + 1)}`));
  const status = GROUP_STATUS.encode({ argsz: GROUP_STATUS.size });
  sys.ioctl(group, GROUP_IOCTL.VFIO_GROUP_GET_STATUS, status);
  if ((GROUP_STATUS.decode(status).flags & GROUP_FLAGS.VIABLE) === 0) {
    throw new DriverError("The group is not viable: not all of its devices are bound to vfio");
  }
  sys.ioctl(group, GROUP_IOCTL.VFIO_GROUP_SET_CONTAINER, GROUP_SET_CONTAINER.encode({ container }));
  if (sys.ioctl(container, CONTAINER_IOCTL.VFIO_CHECK_EXTENSION, EXTENSION.TYPE1V2) === 0) {
    throw new DriverError("The kernel has no type1 v2 IOMMU");
  }
  sys.ioctl(container, CONTAINER_IOCTL.VFIO_SET_IOMMU, EXTENSION.TYPE1V2);
  const name = new TextEncoder().encode(`${address}\0`);
  const device = opened(sys.ioctl(group, GROUP_IOCTL.VFIO_GROUP_GET_DEVICE_FD, name));
  return { iommu: container, device, ioas: 0 };
}

/** Character device and iommufd (vfio.cdev.bind). */
export function openByCdev(sys: SystemCalls, address: string, opened: (fd: number) => number): Opened {
  const iommu = opened(sys.open("/dev/iommu"));
  const node = sys.readdir(`/sys/bus/pci/devices/${address}/vfio-dev`).find((name) =>
    name.startsWith("vfio")
  );
  const device = opened(sys.open(`/dev/vfio/devices/${node}`));
  const bind = BIND_IOMMUFD.encode({ argsz: BIND_IOMMUFD.size, iommufd: iommu });
  sys.ioctl(device, DEVICE_IOCTL.VFIO_DEVICE_BIND_IOMMUFD, bind);
  const alloc = IOAS_ALLOC.encode({ size: IOAS_ALLOC.size });
  sys.ioctl(iommu, IOMMUFD_IOCTL.IOMMU_IOAS_ALLOC, alloc);
  const { outIoasId: ioas } = IOAS_ALLOC.decode(alloc);
  sys.ioctl(
    device,
    DEVICE_IOCTL.VFIO_DEVICE_ATTACH_IOMMUFD_PT,
    ATTACH_PT.encode({ argsz: ATTACH_PT.size, ptId: ioas }),
  );
  return { iommu, device, ioas };
}
