/**
 * A driver's recovery from an error of its function: read what happened, reset until the kernel has let go of its
 * locks, register anew. Facts: recovery.driver.procedure.
 */
import type { SystemCalls } from "../../vfio/process/process.ts";
import { ErrnoError } from "../../vfio/errno.ts";
import { DEVICE_IOCTL, FEATURE, FEATURE_FLAGS, ZPCI_ERROR, ZPCI_ERROR_BLOCK } from "../../vfio/uapi.ts";
import { type VfioDescriptor } from "./descriptor.ts";
import { DriverError } from "./errors.ts";

const FEATURE_ZPCI_ERROR = 13;
/** Event codes after which no reset helps. */
const LOST: ReadonlySet<number> = new Set([0x3b, 0x40]);
/** Resets to try before a driver gives up: the kernel's locks are held for a moment only. */
const MOST_RESETS = 1000;

/** An error block as the driver read it. */
export type ErrorBlock = ReturnType<typeof ZPCI_ERROR_BLOCK.decode>;

/** What became of a DMB: another token for the same memory. */
export interface MovedDmb {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** What a recovery did. */
export interface Recovery {
  readonly blocks: readonly ErrorBlock[];
  /** Resets that were tried, the last one with success. */
  readonly resets: number;
  readonly dmbs: readonly MovedDmb[];
}

/**
 * Takes the error blocks that wait, oldest first; none where the kernel has no such feature.
 *
 * @throws {ErrnoError}
 */
export function drainErrors(sys: SystemCalls, descriptor: VfioDescriptor): ErrorBlock[] {
  const blocks: ErrorBlock[] = [];
  const vaddr = sys.mmapAnonymous(ZPCI_ERROR_BLOCK.size);
  try {
    const arg = new Uint8Array(FEATURE.size + ZPCI_ERROR.size);
    FEATURE.encode({ argsz: arg.length, flags: FEATURE_ZPCI_ERROR + FEATURE_FLAGS.GET }, arg);
    ZPCI_ERROR.encode({ data: BigInt(vaddr) }, arg, FEATURE.size);
    for (;;) {
      sys.ioctl(descriptor.fd, DEVICE_IOCTL.VFIO_DEVICE_FEATURE, arg);
      blocks.push(ZPCI_ERROR_BLOCK.decode(sys.memory(vaddr, ZPCI_ERROR_BLOCK.size, false)));
    }
  } catch (error) {
    if (error instanceof ErrnoError && (error.code === "ENOMSG" || error.code === "ENOTTY")) return blocks;
    throw error;
  } finally {
    sys.munmap(vaddr);
  }
}

/** The block that says that the function is lost, if there is one. */
export function lostBy(blocks: readonly ErrorBlock[]): ErrorBlock | undefined {
  return blocks.find(({ pec }) => LOST.has(pec));
}

/** The refusal to recover a function that is lost. */
export function lostError({ pec }: ErrorBlock): DriverError {
  return new DriverError(
    `The function is lost: its error block says event 0x${pec.toString(16)}. It was closed; ` +
      '"ism zpci deconfigure" and "ism zpci configure" may bring it back',
  );
}

/**
 * Resets until it works: EAGAIN and EIO mean that the kernel still has its locks, and a condition code for a result that
 * the function could not be enabled again.
 *
 * @param pause what passes between two attempts @returns resets tried @throws {ErrnoError} @throws {DriverError}
 */
export function resetUntilDone(descriptor: VfioDescriptor, pause: () => void): number {
  for (let tried = 1;; tried++) {
    try {
      const cc = descriptor.reset();
      if (cc === 0) return tried;
      if (tried >= MOST_RESETS) {
        throw new DriverError(`VFIO_DEVICE_RESET still returns condition code ${cc} after ${tried} attempts`);
      }
    } catch (error) {
      const passes = error instanceof ErrnoError && (error.code === "EAGAIN" || error.code === "EIO");
      if (!passes || tried >= MOST_RESETS) throw error;
    }
    pause();
  }
}
