/** Shorthands for refusals of the vfio core: the layer is always the same, the source is a kernel symbol. */
import { ErrnoError, type ErrnoName } from "./errno.ts";

/** A refusal by the vfio core or the vfio-pci core. */
export function coreError(
  code: ErrnoName,
  rule: string,
  source: string,
  message: string,
  hint?: string,
): ErrnoError {
  return new ErrnoError(code, {
    layer: "vfio-core",
    rule,
    source,
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The struct argument of an ioctl; a plain number is a pointer to nothing. @throws {ErrnoError} EFAULT */
export function structArgument(arg: Uint8Array | number): Uint8Array {
  return typeof arg === "number" ? new Uint8Array(0) : arg;
}
