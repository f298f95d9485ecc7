/** Arguments of the commands of an iommufd: structs that begin with their size (drivers/iommu/iommufd/main.c). */
import type { RuleName } from "../../base/rule_names.ts";
import type { FieldRow, Struct, StructValue } from "../../base/struct.ts";
import type { ErrnoError, ErrnoName } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { copyStructSize } from "../process/user_memory.ts";
import { coreError } from "../refusal.ts";
import { type Iommufd, IOMMUFD_SOURCE } from "./iommufd.ts";

/** What a command gets: the context, the argument, and the kernel for the memory and descriptors of the process. */
export type Command = (iommufd: Iommufd, arg: Uint8Array, kernel: Kernel) => void;

/** A refusal; `symbol` is `FILE: FUNCTION` in the directory of iommufd. */
export function refuseCommand(
  code: ErrnoName,
  ref: RuleName,
  rule: string,
  symbol: string,
  message: string,
): ErrnoError {
  return coreError(code, ref, rule, `${IOMMUFD_SOURCE}/${symbol}`, message);
}

/** @throws {ErrnoError} EOPNOTSUPP */
export function checkReserved(reserved: number, symbol: string): void {
  if (reserved !== 0) {
    throw refuseCommand("EOPNOTSUPP", "vfio.iommufd.general", "reserved", symbol, "Reserved must be 0");
  }
}

/**
 * The fields of a struct; what lies behind `minimum` may be missing and is 0 then, and a longer argument must end in
 * zeros.
 *
 * @throws {ErrnoError} EINVAL, E2BIG, EFAULT
 */
export function readCommand<Fields extends Record<string, FieldRow>>(
  arg: Uint8Array,
  struct: Struct<Fields>,
  symbol: string,
  minimum = struct.size,
): StructValue<Fields> {
  const size = copyStructSize(arg, minimum, struct.size, `${IOMMUFD_SOURCE}/${symbol}`);
  if (size === struct.size) return struct.decode(arg);
  const bytes = new Uint8Array(struct.size);
  bytes.set(arg.subarray(0, size));
  return struct.decode(bytes);
}

/** Writes a struct back as far as the caller's, which may be shorter, goes (main.c: iommufd_ucmd_respond). */
export function respond(arg: Uint8Array, answer: Uint8Array): void {
  arg.set(answer.subarray(0, Math.min(arg.length, answer.length)));
}
