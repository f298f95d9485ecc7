/**
 * ioctls that the VFS answers itself, before any driver is asked, on every kind of descriptor; a character device that
 * is not bound yet as well. Facts: vfio.ioctl.vfs (fs/ioctl.c: do_vfs_ioctl).
 */
import { splitMix64 } from "../../base/random.ts";
import { defineStruct } from "../../base/struct.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import { vfsError } from "../refusal.ts";
import { type IoctlArg, OPEN_FLAGS, type OpenFile } from "./file.ts";
import { copyToUser } from "./user_memory.ts";

/** Their numbers (include/uapi/asm-generic/ioctls.h, include/uapi/linux/fs.h). */
export const VFS_IOCTL = {
  FIGETBSZ: 2,
  FIONBIO: 0x5421,
  FIONCLEX: 0x5450,
  FIOCLEX: 0x5451,
  FIOASYNC: 0x5452,
  FIOQSIZE: 0x5460,
  FICLONE: 0x4004_9409,
  FS_IOC_GETFSUUID: 0x8011_1500,
  FS_IOC_GETFSSYSFSPATH: 0x8111_1501,
  FIFREEZE: 0xc004_5877,
  FITHAW: 0xc004_5878,
  FS_IOC_FIEMAP: 0xc020_660b,
} as const;

/** The int that FIONBIO and FIOASYNC read and FIGETBSZ writes. */
export const VFS_INT = defineStruct("le", 4, { value: [0, "i32"] });
/** What FS_IOC_GETFSUUID writes (struct fsuuid2). */
export const FS_UUID = defineStruct("le", 17, { len: [0, "u8"], uuid: [1, "bytes", 16] });

/** Block size of devtmpfs and of the file system of anonymous inodes. */
const BLOCK_BYTES = 4096;
const UUID_BYTES = 16;
const SOURCE = "fs/ioctl.c";

/** Where other descriptors of the process are found. */
interface Descriptors {
  /** The open file of a descriptor. @throws {ErrnoError} EBADF */
  file(fd: number): OpenFile;
}

type Answer = (file: OpenFile, arg: IoctlArg, process: Descriptors, seed: number) => number;

const ANSWERS: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  // There is no execve here that could look at close-on-exec.
  [VFS_IOCTL.FIOCLEX, () => 0],
  [VFS_IOCTL.FIONCLEX, () => 0],
  [VFS_IOCTL.FIONBIO, setNonBlocking],
  [VFS_IOCTL.FIOASYNC, setAsync],
  [VFS_IOCTL.FIGETBSZ, (_file, arg) => give(arg, VFS_INT.encode({ value: BLOCK_BYTES }), "do_vfs_ioctl")],
  [VFS_IOCTL.FIOQSIZE, never("ENOTTY", "do_vfs_ioctl", "Only files and directories have a size to ask for")],
  [VFS_IOCTL.FICLONE, cloneFrom],
  [VFS_IOCTL.FS_IOC_GETFSUUID, fileSystemUuid],
  [VFS_IOCTL.FS_IOC_GETFSSYSFSPATH, never("ENOTTY", "ioctl_get_fs_sysfs_path", "It has no path in sysfs")],
  [VFS_IOCTL.FIFREEZE, never("EOPNOTSUPP", "ioctl_fsfreeze", "The file system cannot be frozen")],
  [VFS_IOCTL.FITHAW, never("EINVAL", "ioctl_fsthaw", "The file system is not frozen")],
  [VFS_IOCTL.FS_IOC_FIEMAP, never("EOPNOTSUPP", "ioctl_fiemap", "The file has no extents")],
]);

/** The answer of the VFS; undefined for an ioctl that is the file's own. UUIDs follow from `seed`. @throws {ErrnoError} */
export function vfsIoctl(
  file: OpenFile,
  request: number,
  arg: IoctlArg,
  process: Descriptors,
  seed: number,
): number | undefined {
  return ANSWERS.get(request)?.(file, arg, process, seed);
}

function refuse(code: ErrnoName, symbol: string, message: string): ErrnoError {
  return vfsError(code, "vfio.ioctl.vfs", "file ioctl", `${SOURCE}: ${symbol}`, message);
}

function never(code: ErrnoName, symbol: string, message: string): Answer {
  return () => {
    throw refuse(code, symbol, message);
  };
}

/** Copies an answer to the argument. @throws {ErrnoError} EFAULT */
function give(arg: IoctlArg, bytes: Uint8Array, symbol: string): number {
  if (typeof arg === "number") {
    throw refuse("EFAULT", symbol, "The argument points to nothing");
  }
  copyToUser(arg, 0, bytes, 0, bytes.length);
  return 0;
}

/** The int that the argument points to. @throws {ErrnoError} EFAULT */
function take(arg: IoctlArg, symbol: string): number {
  if (typeof arg === "number" || arg.length < VFS_INT.size) {
    throw refuse("EFAULT", symbol, "The argument points to no int");
  }
  return VFS_INT.decode(arg).value;
}

function setNonBlocking(file: OpenFile, arg: IoctlArg): number {
  const on = take(arg, "ioctl_fionbio") !== 0;
  file.flags = on ? file.flags | OPEN_FLAGS.NONBLOCK : file.flags & ~OPEN_FLAGS.NONBLOCK;
  return 0;
}

/** None of the files can send signals, so that this can only be switched off, which it is. */
function setAsync(_file: OpenFile, arg: IoctlArg): number {
  if (take(arg, "ioctl_fioasync") === 0) return 0;
  throw refuse("ENOTTY", "ioctl_fioasync", "The file does not signal its readiness");
}

/** Another descriptor's data cannot be shared: one that there is, is of no regular file. */
function cloneFrom(file: OpenFile, arg: IoctlArg, process: Descriptors): never {
  const from = process.file(typeof arg === "number" ? arg : -1);
  if (isDeviceNode(from) !== isDeviceNode(file)) {
    throw refuse("EXDEV", "ioctl_file_clone", "The two files are not on one file system");
  }
  throw refuse("EINVAL", "ioctl_file_clone", "Only regular files can share data");
}

/** Nodes of /dev lie on devtmpfs, which has a UUID; anonymous inodes do not. */
function fileSystemUuid(file: OpenFile, arg: IoctlArg, _process: Descriptors, seed: number): number {
  if (!isDeviceNode(file)) {
    throw refuse("ENOTTY", "ioctl_getfsuuid", "The file system has no UUID");
  }
  const uuid = new Uint8Array(UUID_BYTES);
  const view = new DataView(uuid.buffer);
  const first = splitMix64(BigInt(seed));
  view.setBigUint64(0, first);
  view.setBigUint64(8, splitMix64(first));
  // Version 4, variant 1 (RFC 9562), as uuid_gen makes them.
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x40);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  return give(arg, FS_UUID.encode({ len: UUID_BYTES, uuid }), "ioctl_getfsuuid");
}

function isDeviceNode({ path }: OpenFile): boolean {
  return path.startsWith("/dev/");
}
