/** How data is moved into a peer's DMB: cut into store blocks (ism.data.chunks). */
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { DATA_BAR, dataOffset } from "../protocol.ts";
import type { VfioDescriptor } from "./descriptor.ts";

/** Which part of the data is moved, and whether the peer is told. */
export interface StoreBlocksOptions {
  /** Element of the signal mask. */
  readonly idx?: number;
  readonly signal?: boolean;
  /** Where the part begins; all of the data by default. Bytes. */
  readonly start?: number;
  readonly length?: number;
}

/**
 * Moves `length` bytes of `data` at `start` to `offset` in the DMB with a token: one store block per 4 KiB line of the
 * target, the signal on the last one only. Nothing, not even a signal, for zero bytes (ism.data.chunks).
 *
 * @returns store blocks issued @throws {ErrnoError} stores before a refused one stay done
 */
export function storeBlocks(
  descriptor: VfioDescriptor,
  token: number,
  offset: number,
  data: Uint8Array,
  { idx = 0, signal = false, start = 0, length = data.length - start }: StoreBlocksOptions = {},
): number {
  const limit = descriptor.maxStoreBlock;
  let stores = 0;
  let done = 0;
  while (done < length) {
    const chunk = Math.min(length - done, PAGE_SIZE - (offset + done) % PAGE_SIZE, limit);
    const last = done + chunk === length;
    const target = dataOffset(token, idx, signal && last, offset + done);
    descriptor.write(DATA_BAR, target, data, start + done, chunk);
    done += chunk;
    stores++;
  }
  return stores;
}
