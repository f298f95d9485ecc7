/** Status flags of open files, as open(2) set them and fcntl(2) shows and changes them: all copies share them. */
import type { OpenFile } from "../vfio/process/file.ts";

const ACCESS_MODE = 3;
const WRITE_ONLY = 1;
const READ_WRITE = 2;
/** What F_SETFL changes: O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT (x86-64, arm64), O_NOATIME. */
const CHANGEABLE = 0o2000 | 0o4000 | 0o20000 | 0o40000 | 0o200000 | 0o1000000;

const flagsOf = new WeakMap<OpenFile, number>();

/** Flags of a file; one that an ioctl gave is open for reading and writing. */
export function statusFlags(file: OpenFile): number {
  return flagsOf.get(file) ?? READ_WRITE;
}

/** Keeps the flags that a file was opened with. */
export function setStatusFlags(file: OpenFile, flags: number): void {
  flagsOf.set(file, flags);
}

/** F_SETFL. */
export function changeStatusFlags(file: OpenFile, flags: number): void {
  flagsOf.set(file, statusFlags(file) & ~CHANGEABLE | flags & CHANGEABLE);
}

/** read(2) is possible. */
export function canRead(file: OpenFile): boolean {
  return (statusFlags(file) & ACCESS_MODE) !== WRITE_ONLY;
}

/** write(2) is possible. */
export function canWrite(file: OpenFile): boolean {
  return (statusFlags(file) & ACCESS_MODE) !== 0;
}
