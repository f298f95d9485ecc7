/**
 * Copies between the kernel and a caller's memory. A caller's buffer is a `Uint8Array`; bytes beyond its end are not
 * mapped, so a count that is longer than the buffer faults where a real pointer would.
 */
import type { RuleName } from "../../base/rule_names.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import { coreError } from "../refusal.ts";

/** Where nothing else is said, memory belongs to an ioctl. */
const IOCTL_MEMORY: RuleName = "vfio.ioctl.memory";

function fault(symbol: string, ref = IOCTL_MEMORY): ErrnoError {
  return coreError(
    "EFAULT",
    ref,
    "user memory",
    `include/linux/uaccess.h: ${symbol}`,
    "The caller's buffer is not accessible",
    "pass a buffer as long as the count",
  );
}

/** Copies `count` bytes of `from` (at `fromAt`) to the caller's buffer at `at`; EFAULT copies nothing. */
export function copyToUser(
  buffer: Uint8Array,
  at: number,
  from: Uint8Array,
  fromAt: number,
  count: number,
  ref = IOCTL_MEMORY,
): void {
  if (at + count > buffer.length) throw fault("copy_to_user", ref);
  for (let i = 0; i < count; i++) buffer[at + i] = from[fromAt + i]!;
}

/** Copies `count` bytes of the caller's buffer at `at` to the start of `into`; EFAULT copies nothing. */
export function copyFromUser(
  into: Uint8Array,
  buffer: Uint8Array,
  at: number,
  count: number,
  ref = IOCTL_MEMORY,
): void {
  if (at + count > buffer.length) throw fault("copy_from_user", ref);
  if (count <= 32) {
    for (let i = 0; i < count; i++) into[i] = buffer[at + i]!;
  } else {
    into.set(at === 0 && count === buffer.length ? buffer : buffer.subarray(at, at + count));
  }
}

/**
 * The argument of a struct ioctl: EFAULT if fewer than `minimum` bytes are accessible, then EINVAL if its `argsz`
 * (the first word) is smaller than `minimum`. That order is the kernel's for every such ioctl (vfio.ioctl.numbers).
 */
export function checkArgsz(arg: Uint8Array, minimum: number, source: string): number {
  if (arg.length < minimum) throw fault("copy_from_user");
  const argsz = new DataView(arg.buffer, arg.byteOffset).getUint32(0, true);
  if (argsz < minimum) {
    throw coreError(
      "EINVAL",
      "vfio.ioctl.argsz",
      "argsz",
      source,
      `argsz ${argsz} is smaller than the minimum ${minimum}`,
      `set argsz to at least ${minimum}`,
    );
  }
  return argsz;
}

/**
 * The argument of an ioctl whose struct may grow: its first word is its size. A size below `minimum` is EINVAL, one
 * beyond the `known` struct must end in zeros (E2BIG).
 *
 * @returns bytes of the struct that the caller filled (include/linux/uaccess.h: copy_struct_from_user)
 */
export function copyStructSize(arg: Uint8Array, minimum: number, known: number, source: string): number {
  if (arg.length < 4) throw fault("get_user");
  const size = new DataView(arg.buffer, arg.byteOffset).getUint32(0, true);
  const refuse = (code: ErrnoName, rule: string, message: string, hint: string) =>
    coreError(code, "vfio.ioctl.argsz", rule, source, message, hint);
  if (size < minimum) {
    throw refuse(
      "EINVAL",
      "size",
      `Size ${size} is smaller than the minimum ${minimum}`,
      `the struct's first field is its size: set it to at least ${minimum}`,
    );
  }
  if (arg.length < size) throw fault("copy_struct_from_user");
  if (arg.subarray(known, size).some((byte) => byte !== 0)) {
    throw refuse(
      "E2BIG",
      "unknown tail",
      "Bytes behind the known struct are not zero",
      `the kernel knows ${known} bytes; clear the struct before filling it`,
    );
  }
  return Math.min(size, known);
}
