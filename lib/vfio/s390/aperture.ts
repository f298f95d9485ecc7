/**
 * How much of a function's DMA window the guest's kernel uses, and how far its page tables reach
 * (drivers/iommu/s390-iommu.c: zpci_init_iommu, s390_domain_alloc_paging).
 */

/** Bytes that page tables with a region-third root translate: the function groups here allow no larger type. */
const TABLE_REACH = 2 ** 42;

/**
 * The last DMA address that everyone in the guest sees: CLP's, cut to as many bytes as the guest has main memory.
 *
 * @param memory bytes of main memory
 * @param factor of the kernel parameter s390_iommu.aperture; 0 does not cut
 */
export function usableEnd(startDma: number, endDma: number, memory: number, factor: number): number {
  const window = endDma - startDma + 1;
  const aperture = factor === 0 ? window : memory * factor;
  // A window that begins behind the tables' reach is left alone: there is no such machine.
  const reach = startDma < TABLE_REACH ? TABLE_REACH - startDma : window;
  return startDma + Math.min(window, aperture, reach) - 1;
}

/** The last address that the page tables of a function with such an end can translate. */
export function tableEnd(endDma: number): bigint {
  return BigInt(endDma < TABLE_REACH ? TABLE_REACH : 2 ** 53) - 1n;
}
