/** What is mapped, for the model of maps and unmaps. Imports nothing from lib. */

/** What is mapped: first address and bytes of each mapping. */
export class MapModel {
  readonly mappings = new Map<bigint, bigint>();

  /** The range of DMA addresses, and the memory of the process. Ends are behind the last byte. */
  constructor(
    readonly dma: { readonly start: bigint; readonly end: bigint },
    readonly memory: { readonly start: bigint; readonly end: bigint },
  ) {}

  touched(iova: bigint, size: bigint): [bigint, bigint][] {
    return [...this.mappings].filter(([at, bytes]) => at < iova + size && iova < at + bytes);
  }

  add(iova: bigint, size: bigint): bigint {
    this.mappings.set(iova, size);
    return 0n;
  }

  /** Some mapping lies partly inside the range. */
  cuts(iova: bigint, size: bigint): boolean {
    return this.touched(iova, size).some(([at, bytes]) => at < iova || at + bytes > iova + size);
  }

  /** From the lowest mapping up: one that the range cuts ends it, with nothing to tell, and those before it are gone. */
  removeUntilCut(iova: bigint, size: bigint): bigint | undefined {
    let bytes = 0n;
    for (const [at, length] of this.touched(iova, size).sort(([a], [b]) => a < b ? -1 : 1)) {
      if (at < iova || at + length > iova + size) return undefined;
      this.mappings.delete(at);
      bytes += length;
    }
    return bytes;
  }

  isOutside(iova: bigint, size: bigint): boolean {
    return iova < this.dma.start || iova + size > this.dma.end;
  }

  isForeign(vaddr: bigint, size: bigint): boolean {
    return vaddr < this.memory.start || vaddr + size > this.memory.end;
  }

  remove(iova: bigint, size: bigint): bigint {
    const gone = this.touched(iova, size);
    for (const [at] of gone) this.mappings.delete(at);
    return gone.reduce((sum, [, bytes]) => sum + bytes, 0n);
  }
}
