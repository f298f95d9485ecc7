/** Where the driver puts its DMA addresses: first fit above the function's start address. */

/** An address range that is in use. Bytes. */
export interface Range {
  readonly iova: number;
  readonly size: number;
}

/**
 * The lowest free address for `size` bytes between `first` and `last`, aligned to the next power of two of the size
 * (at least a page). That keeps a DMB of up to 1 MiB from crossing a 1 MiB boundary (zPCI sheet section 10).
 *
 * @returns undefined if there is no room
 */
export function firstFit(
  used: readonly Range[],
  first: number,
  last: number,
  size: number,
): number | undefined {
  const alignment = Math.max(4096, 2 ** Math.ceil(Math.log2(size)));
  const up = (address: number) => Math.ceil(address / alignment) * alignment;
  let at = up(first);
  for (const { iova, size: length } of [...used].sort((a, b) => a.iova - b.iova)) {
    if (at + size <= iova) break;
    if (iova + length > at) at = up(iova + length);
  }
  return at + size - 1 <= last ? at : undefined;
}
