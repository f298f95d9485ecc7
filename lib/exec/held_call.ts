/**
 * The call that was taken from a listener last, where another process can read it: in memory that both have mapped. Who
 * answers a program that another process has started may be killed in the middle of a call, and the kernel gives no call
 * out twice: the thread would wait for ever. The other process then answers the call that lies here.
 */
import { cString, errno, libc, O, pinned, seldom } from "./libc.ts";

/** Of struct seccomp_notif (include/uapi/linux/seccomp.h), the kernel's form of a call. */
export const REQUEST_BYTES = 80;
const PAGE = 4096;
const MFD_CLOEXEC = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** Memory for a call, none in it yet. @returns a descriptor of it @throws {Error} if the system has none */
export function newHeldCall(): number {
  const fd = seldom().memfdCreate(cString("ism call"), MFD_CLOEXEC);
  if (fd < 0 || seldom().ftruncate(fd, BigInt(PAGE)) !== 0) {
    throw new Error(`memfd_create failed with error number ${errno()}`);
  }
  return fd;
}

/** The memory itself, mapped until the process ends; its descriptor is closed. @throws {Error} if it cannot be mapped */
export function mapHeldCall(fd: number): Uint8Array<ArrayBuffer> {
  const pointer = seldom().mmap(null, BigInt(PAGE), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
  const error = errno();
  libc.close(fd);
  const address = Deno.UnsafePointer.value(pointer);
  if (pointer === null || BigInt.asIntN(64, BigInt(address)) === -1n) {
    throw new Error(`mmap failed with error number ${error}`);
  }
  return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, REQUEST_BYTES));
}

/** What lies in the memory now. */
export function readHeldCall(fd: number): Uint8Array<ArrayBuffer> {
  const again = libc.open(cString(`/proc/self/fd/${fd}`), O.RDONLY | O.CLOEXEC, 0);
  const call = pinned(REQUEST_BYTES);
  try {
    libc.read(again, call, BigInt(REQUEST_BYTES));
  } finally {
    libc.close(again);
  }
  return call;
}
