/** An open file of a guest's driver process: what stands behind a descriptor. */
import { hex } from "../../base/hex.ts";
import type { ErrnoError } from "../errno.ts";
import { coreError, vfsError } from "../refusal.ts";

/** Kinds of descriptors; the same ioctl number means different things on each. */
export type FileKind = "container" | "group" | "device" | "eventfd" | "iommufd";

/** Argument of an ioctl: a value, or a struct in the caller's memory. */
export type IoctlArg = Uint8Array | number;

/** A file in the host file; the fields depend on the kind. */
export interface FileState {
  readonly fd: number;
  readonly kind: FileKind;
  readonly position: number;
  /** Container id, group number, function id or eventfd id. */
  readonly id: number;
  /** Container that a group is attached to. */
  readonly container?: number | null;
  /** A descriptor of a group that does not exist any more. */
  readonly dissolved?: boolean;
  /** A device descriptor that was opened as a character device, and what it is bound to. */
  readonly cdev?: { readonly iommufd: number | null; readonly devid: number; readonly ioas: number | null };
}

/** Base of all kinds: every operation is refused as a file without that operation refuses it. */
export abstract class OpenFile {
  abstract readonly kind: FileKind;
  /** What the descriptor refers to, for the host file and for people. */
  abstract readonly id: number;
  /** Where the link of the descriptor in /proc/PID/fd leads. */
  abstract readonly path: string;
  /** File position of read() and write(). */
  position = 0;
  #references = 0;
  /** pread() and pwrite() work (FMODE_PREAD, FMODE_PWRITE). */
  readonly positioned: boolean = false;

  /** Reads `count` bytes into the caller's buffer from index `start`. */
  read(_buffer: Uint8Array, _count: number, _position: number, _start: number): number {
    throw noOperation("read");
  }

  /** Writes `count` bytes of the caller's buffer from index `start`. */
  write(_buffer: Uint8Array, _count: number, _position: number, _start: number): number {
    throw noOperation("write");
  }

  ioctl(request: number, _arg: IoctlArg): number {
    throw notATty(this.kind, request);
  }

  /** Maps the file: ENODEV for a file that has no such operation, as containers, groups and eventfds have none. */
  mmap(): number {
    throw vfsError("ENODEV", "no mmap", "mm/mmap.c: do_mmap", "This descriptor cannot be mapped");
  }

  /** Moves the position: ESPIPE for a file that has no such operation (VFIO sheet 4.1). @returns the new position */
  lseek(): number {
    throw vfsError(
      "ESPIPE",
      "not seekable",
      "fs/read_write.c: ksys_lseek",
      "This descriptor cannot seek",
      this.positioned ? "pread and pwrite take a position" : undefined,
    );
  }

  /** One more descriptor refers to the file. */
  hold(): void {
    this.#references++;
  }

  /** One descriptor less; the last one releases the file. */
  drop(): void {
    if (--this.#references === 0) this.release();
  }

  /** More than one descriptor refers to the file. */
  get shared(): boolean {
    return this.#references > 1;
  }

  /** The last descriptor is closed. */
  release(): void {}

  /** The part of the file's state that its kind adds. */
  save(): Partial<FileState> {
    return {};
  }
}

function noOperation(op: string): ErrnoError {
  return vfsError(
    "EINVAL",
    "no such operation",
    `fs/read_write.c: vfs_${op}`,
    `This descriptor cannot ${op}`,
  );
}

/** The type byte of the ioctls of vfio and iommufd (VFIO sheet 1.3). */
const VFIO_TYPE = 0x3b;

/** Where the kernel answers an ioctl that a kind of descriptor does not know. */
const ENOTTY_SOURCES: Readonly<Record<FileKind, string>> = {
  container: "drivers/vfio/container.c: vfio_fops_unl_ioctl",
  group: "drivers/vfio/group.c: vfio_group_fops_unl_ioctl",
  device: "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl",
  iommufd: "drivers/iommu/iommufd/main.c: iommufd_fops_ioctl",
  eventfd: "fs/ioctl.c: vfs_ioctl",
};

/** ENOTTY for an ioctl that this kind of descriptor does not know. */
export function notATty(kind: FileKind, request: number): ErrnoError {
  const isVfio = request >>> 8 === VFIO_TYPE;
  return coreError(
    "ENOTTY",
    "unknown ioctl",
    ENOTTY_SOURCES[kind],
    `A descriptor of the kind "${kind}" does not know the ioctl ${hex(request)}`,
    isVfio ? undefined : "ioctls of vfio and iommufd are 0x3b00 plus a number, without direction and size",
  );
}
