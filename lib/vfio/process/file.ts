/** An open file of a guest's driver process: what stands behind a descriptor. */
import { Journal, Kept, type PutRow, type Rows } from "../../base/journal.ts";
import { hex } from "../../base/hex.ts";
import type { ErrnoError } from "../errno.ts";
import { coreError, vfsError } from "../refusal.ts";

/** Bits of poll(2) (include/uapi/asm-generic/poll.h). */
export const POLL = { IN: 1, OUT: 4, ERR: 8, HUP: 0x10, NVAL: 0x20, RDNORM: 0x40, WRNORM: 0x100 } as const;

/** Bits of poll(2) by their names: `POLLIN|POLLOUT`. */
export function pollText(events: number): string {
  const names = Object.entries(POLL).filter(([, bit]) => (events & bit) !== 0).map(([name]) => `POLL${name}`);
  return names.join("|") || "0";
}

/** Kinds of descriptors; the same ioctl number means different things on each. */
export type FileKind = SavedKind | "other";

/** Kinds that the host file can hold; the others belong to real programs. */
export type SavedKind = "container" | "group" | "device" | "eventfd" | "iommufd" | "fault-queue" | "clp";

/** Argument of an ioctl: a value, or a struct in the caller's memory. */
export type IoctlArg = Uint8Array | number;

/** What a descriptor of a character device is bound and attached to. */
export interface CdevState {
  readonly iommufd: number | null;
  readonly devid: number;
  readonly ioas: number | null;
  /** Page table of HWPT_ALLOC that it is attached to, null for the one that the IOAS has by itself. */
  readonly hwpt: number | null;
  /** What lies above end_dma is reserved in the IOAS. */
  readonly bounded: boolean;
  /** It was attached with PASID 0. */
  readonly pasid: boolean;
}
/** Flags of open(2) and F_GETFL (include/uapi/asm-generic/fcntl.h). */
export const OPEN_FLAGS = {
  ACCMODE: 3,
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  NONBLOCK: 0o4000,
  /** Set in every file that was opened by its path, on a 64-bit system. */
  LARGEFILE: 0o100000,
} as const;

/** A file in the host file; the fields depend on the kind. */
export interface FileState {
  readonly fd: number;
  readonly kind: SavedKind;
  readonly position: number;
  /** As F_GETFL tells them. */
  readonly flags: number;
  /** Container id, group number, function id, eventfd id or iommufd id. */
  readonly id: number;
  /** Container that a group is attached to. */
  readonly container?: number | null;
  /** A descriptor of a group that does not exist any more. */
  readonly dissolved?: boolean;
  /** A device descriptor that was opened as a character device, and what it is bound to. */
  readonly cdev?: CdevState;
  /** Object id of a fault queue in its iommufd. */
  readonly faultQueue?: number;
}

/** Base of all kinds: every operation is refused as a file without that operation refuses it. */
export abstract class OpenFile extends Kept {
  abstract readonly kind: FileKind;
  /** What the descriptor refers to, for the host file and for people. */
  abstract readonly id: number;
  /** Where the link of the descriptor in /proc/PID/fd leads. */
  abstract readonly path: string;
  #position = 0;
  #flags: number = OPEN_FLAGS.RDWR | OPEN_FLAGS.LARGEFILE;
  #references = 0;
  /** Its row, while a descriptor that is saved refers to it. */
  #row: Rows | undefined = undefined;
  /** pread() and pwrite() work, if there is anything to read and write (FMODE_PREAD, FMODE_PWRITE). */
  readonly positioned: boolean = false;
  /** There is anything to read and write (FMODE_CAN_READ, FMODE_CAN_WRITE). */
  readonly hasData: boolean = false;

  /** readv() is one read of all segments: the file has read_iter, which no device here has. */
  readonly readsAtOnce: boolean = false;

  /** Without a journal it is a file of a process that no host file holds. */
  constructor(journal: Journal = new Journal()) {
    super(journal);
  }

  /** File position of read() and write(). */
  get position(): number {
    return this.#position;
  }

  set position(position: number) {
    this.touch();
    this.#position = position;
  }

  /** Access mode and status flags, as F_GETFL tells them. */
  get flags(): number {
    return this.#flags;
  }

  set flags(flags: number) {
    this.touch();
    this.#flags = flags;
  }

  get rows(): Rows | undefined {
    return this.#row;
  }

  /** A descriptor that is saved refers to it: `write` writes the row of that descriptor. */
  savedAt(write: (put: PutRow) => void): void {
    this.#row = { writeRows: write };
  }

  protected override remember(): () => void {
    const [position, flags, references] = [this.#position, this.#flags, this.#references];
    return () => {
      this.#position = position;
      this.#flags = flags;
      this.#references = references;
    };
  }

  /** Reads `count` bytes into the caller's buffer from index `start`; only of a file that has data. */
  read(_buffer: Uint8Array, _count: number, _position: number, _start: number): number {
    throw noOperation("read");
  }

  /** Writes `count` bytes of the caller's buffer from index `start`; only to a file that has data. */
  write(_buffer: Uint8Array, _count: number, _position: number, _start: number): number {
    throw noOperation("write");
  }

  ioctl(request: number, _arg: IoctlArg): number {
    throw notATty(this.kind, request);
  }

  /** What poll(2) says of the file: ready for all, as a file without such an operation is (include/linux/poll.h). */
  poll(): number {
    return POLL.IN | POLL.OUT | POLL.RDNORM | POLL.WRNORM;
  }

  /**
   * Maps the file, shared and writable or not: ENODEV for a file that has no such operation, as containers, groups and
   * eventfds have none.
   */
  mmap(_shared: boolean): number {
    throw vfsError(
      "ENODEV",
      "vfio.mmap.others",
      "no mmap",
      "mm/mmap.c: do_mmap",
      "This descriptor cannot be mapped",
    );
  }

  /** Moves the position: ESPIPE for a file that has no such operation (vfio.rw.lseek). @returns the new position */
  lseek(): number {
    throw vfsError(
      "ESPIPE",
      "vfio.rw.lseek",
      "not seekable",
      "fs/read_write.c: ksys_lseek",
      "This descriptor cannot seek",
      this.positioned && this.hasData ? "pread and pwrite take a position" : undefined,
    );
  }

  /** One more descriptor refers to the file. */
  hold(): void {
    this.touch();
    this.#references++;
  }

  /** One descriptor less; the last one releases the file. */
  drop(): void {
    this.touch();
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

/** The refusal of a file that has nothing to read or to write. */
export function noOperation(op: "read" | "write"): ErrnoError {
  return vfsError(
    "EINVAL",
    "vfio.rw.others",
    "no such operation",
    `fs/read_write.c: vfs_${op}`,
    `This descriptor cannot ${op}`,
  );
}

/** The type byte of the ioctls of vfio and iommufd (vfio.ioctl.numbers). */
const VFIO_TYPE = 0x3b;

/** Where the kernel answers an ioctl that a kind of descriptor does not know. */
const ENOTTY_SOURCES: Readonly<Record<FileKind, string>> = {
  container: "drivers/vfio/container.c: vfio_fops_unl_ioctl",
  group: "drivers/vfio/group.c: vfio_group_fops_unl_ioctl",
  device: "drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl",
  iommufd: "drivers/iommu/iommufd/main.c: iommufd_fops_ioctl",
  eventfd: "fs/ioctl.c: vfs_ioctl",
  other: "fs/ioctl.c: vfs_ioctl",
  "fault-queue": "fs/ioctl.c: vfs_ioctl",
  clp: "arch/s390/pci/pci_clp.c: clp_misc_ioctl",
};

/** ENOTTY for an ioctl that this kind of descriptor does not know. */
export function notATty(kind: FileKind, request: number): ErrnoError {
  const isVfio = request >>> 8 === VFIO_TYPE;
  return coreError(
    "ENOTTY",
    "vfio.ioctl.unknown",
    "unknown ioctl",
    ENOTTY_SOURCES[kind],
    `A descriptor of the kind "${kind}" does not know the ioctl ${hex(request)}`,
    isVfio ? undefined : "ioctls of vfio and iommufd are 0x3b00 plus a number, without direction and size",
  );
}
