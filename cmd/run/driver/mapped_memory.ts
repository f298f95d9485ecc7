/** Memory that a device may reach, as the driver process sees it. */
import { hex } from "../../../lib/base/hex.ts";
import type { HostFunction } from "../../../lib/host/host.ts";
import { DriverError } from "../../../lib/ism/driver/errors.ts";
import { ErrnoError } from "../../../lib/vfio/errno.ts";

/** The process's own view of mapped memory. @throws {DriverError} if the range is not all mapped */
export function mappedMemory(
  { zdev, guest }: HostFunction,
  iova: number,
  length: number,
  write: boolean,
): Uint8Array {
  const mapping = zdev.domain?.tables.find(iova);
  if (mapping === undefined || iova + length > mapping.iova + mapping.size) {
    throw new DriverError(`${hex(iova)} to ${hex(iova + length)} is not all mapped; see "dma list"`);
  }
  const address = mapping.buffer.address + mapping.bufferOffset + iova - mapping.iova;
  return guest.kernel.process.memory(address, length, write);
}

/** The same for who only looks: undefined where it is not all there. */
export function memoryAt(target: HostFunction, iova: number, length: number): Uint8Array | undefined {
  try {
    return mappedMemory(target, iova, length, false);
  } catch (error) {
    if (error instanceof DriverError || error instanceof ErrnoError) return undefined;
    throw error;
  }
}
