/**
 * Shorthands for refusals of one layer: what differs is the rule of docs/reference, the check in a few words, its
 * source (a kernel symbol) and the sentence.
 */
import type { RuleName } from "../base/rule_names.ts";
import { ErrnoError, type ErrnoName, type RefusalLayer } from "./errno.ts";

/** Makes refusals of one layer. */
export function refusalsOf(layer: RefusalLayer) {
  return (
    code: ErrnoName,
    ref: RuleName,
    rule: string,
    source: string,
    message: string,
    hint?: string,
  ): ErrnoError => new ErrnoError(code, { layer, ref, rule, source, message, hint });
}

/** A refusal by the file system layer, before any driver. */
export const vfsError = refusalsOf("vfs");

/** A refusal by the vfio core or the vfio-pci core. */
export const coreError = refusalsOf("vfio-core");

/** The struct argument of an ioctl; a plain number is a pointer to nothing. @throws {ErrnoError} EFAULT */
export function structArgument(arg: Uint8Array | number): Uint8Array {
  return typeof arg === "number" ? new Uint8Array(0) : arg;
}
