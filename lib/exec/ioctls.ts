/** ioctl(2) on simulated files: structs are copied in, and what changed in them is copied out. */
import { CONTAINER_IOCTL, DEVICE_IOCTL, GROUP_IOCTL } from "../vfio/uapi.ts";
import type { IoctlArg } from "../vfio/process/file.ts";
import { VFS_IOCTL } from "../vfio/process/vfs_ioctl.ts";
import { type Call, ERROR, type Handler, PROCEED } from "./call.ts";
import { copyFrom, copyTo, Scratch } from "./user_copy.ts";

/** ioctls whose argument is a value (vfio.ioctl.numbers); all others take a pointer or nothing. */
const TAKES_VALUE: ReadonlySet<number> = new Set([
  CONTAINER_IOCTL.VFIO_GET_API_VERSION,
  CONTAINER_IOCTL.VFIO_CHECK_EXTENSION,
  CONTAINER_IOCTL.VFIO_SET_IOMMU,
  GROUP_IOCTL.VFIO_GROUP_UNSET_CONTAINER,
  DEVICE_IOCTL.VFIO_DEVICE_RESET,
  VFS_IOCTL.FICLONE,
]);
/** ioctls about the descriptor and not the file: the real one answers them. */
const OF_DESCRIPTOR: ReadonlySet<number> = new Set([VFS_IOCTL.FIOCLEX, VFS_IOCTL.FIONCLEX]);
/** As much of a struct as every handler looks at whatever its size field says. */
const LEAST = 256;
/** As much as any handler looks at: a name may have a page. */
const MOST = 4096;

const argument = new Scratch(MOST);
const before = new Uint8Array(MOST);

/** Bytes at the argument's address, as far as they can be read: the whole struct if its first word is its size. */
function copyIn(call: Call, address: number, request: number): Uint8Array {
  const isName = request === GROUP_IOCTL.VFIO_GROUP_GET_DEVICE_FD;
  let length = copyFrom(call.thread, address, argument, 0, isName ? MOST : LEAST);
  if (length === LEAST) {
    const size = new DataView(argument.bytes.buffer).getUint32(0, true);
    if (size > LEAST) {
      length += copyFrom(call.thread, address + LEAST, argument, LEAST, Math.min(size, MOST) - LEAST);
    }
  }
  return argument.bytes.subarray(0, length);
}

/** Writes back what the handler changed. @returns false if the caller's memory does not take it */
function copyOut(call: Call, address: number, length: number): boolean {
  const { bytes } = argument;
  let start = 0;
  let end = length;
  while (start < end && bytes[start] === before[start]) start++;
  while (end > start && bytes[end - 1] === before[end - 1]) end--;
  return copyTo(call.thread, address + start, argument, start, end - start) === end - start;
}

export const ioctl: Handler = (call) => {
  const { listener, process: { process, table, memory } } = call;
  const fd = listener.int(0);
  const request = listener.uint(1);
  const file = table.ours(fd);
  if (file === undefined || OF_DESCRIPTOR.has(request)) return PROCEED;
  // GET_DEVICE_FD gives a descriptor that execve closes (drivers/vfio/group.c: vfio_device_open_file).
  table.closeOnExec = true;
  table.lowest = 0;
  const run = (arg: IoctlArg) => process.ioctl(fd, request, arg);
  if (TAKES_VALUE.has(request)) return run(listener.uint(2));
  const address = listener.long(2);
  const arg = copyIn(call, address, request);
  before.set(arg);
  let copied = true;
  let result: number;
  try {
    result = run(arg);
  } finally {
    // Some refusals tell what would have been needed.
    copied = copyOut(call, address, arg.length);
    memory.flush();
  }
  return copied ? result : ERROR.EFAULT;
};
