/** Operations of the random test as what a process passes to the kernel: paths, ioctl numbers, struct bytes. */
import { cString, IOCTL, words } from "./kernel.ts";
import type { Call, Node, Operation } from "./kernel_operations.ts";

/** Device nodes of the first function. */
export const PATHS: Readonly<Record<Node, string>> = {
  container: "/dev/vfio/vfio",
  group: "/dev/vfio/0",
  iommu: "/dev/iommu",
  cdev: "/dev/vfio/devices/vfio0",
};

/** Number and argument of an ioctl; `fd` is what a slot in the value picks. */
export function ioctlOf(
  { call, value }: Extract<Operation, { readonly op: "ioctl" }>,
  fd: number,
): { readonly request: number; readonly arg: Uint8Array | number } {
  if (call === "UNKNOWN") return { request: 0x3bff, arg: 0 };
  return { request: IOCTL[call], arg: argument(call, value, fd) };
}

function argument(call: Call, value: number, fd: number): Uint8Array | number {
  const arg = new Uint8Array(256);
  switch (call) {
    case "GROUP_SET_CONTAINER":
      return words(fd);
    case "BIND_IOMMUFD":
      return words(24, 0, fd, 0, 0n);
    case "GROUP_GET_DEVICE_FD":
      return cString(value % 2 === 1 ? "0002:00:00.0" : "0001:00:00.0");
    case "GET_INFO":
      arg.set(words(value));
      return arg;
    case "FEATURE":
      return words(8, value);
    case "CHECK_EXTENSION":
    case "SET_IOMMU":
      return value;
  }
  arg.set(words(call === "GROUP_GET_STATUS" ? 8 : 32, 0, value));
  return arg;
}
