/** The memory behind mappings, as IOAS_COPY takes it from one address space to another (vfio.iommufd.copy). */
import { hex } from "../../base/hex.ts";
import type { MemorySource } from "./iommu_domain.ts";
import type { IoPagetable } from "./io_pagetable.ts";
import { MAX_64, refuseIova } from "./iova_space.ts";

/** Memory of a process that one mapping shows: contiguous, with what its first mapping allowed. Bytes. */
export interface Piece {
  readonly space: MemorySource;
  readonly vaddr: bigint;
  readonly size: bigint;
  /** The pages were taken for writing when they were mapped first. */
  readonly writable: boolean;
  /** The mapping that it is a copy of, and shares its pages with. */
  readonly of?: { readonly from: IoPagetable; readonly iova: number };
}

/**
 * The memory behind a range of addresses, for IOAS_COPY.
 *
 * @throws {ErrnoError} EINVAL, EOVERFLOW, ENOENT if not all of it is mapped (io_pagetable.c: iopt_get_pages)
 */
export function piecesOf(pagetable: IoPagetable, iova: bigint, length: bigint): Piece[] {
  const symbol = "iopt_get_pages";
  if (length === 0n) {
    throw refuseIova("EINVAL", "vfio.iommufd.copy", "length 0", symbol, "A copy needs a length");
  }
  if (iova + length - 1n > MAX_64) {
    throw refuseIova(
      "EOVERFLOW",
      "vfio.iommufd.copy",
      "address wrap",
      symbol,
      "Address plus length passes 2^64",
    );
  }
  const pieces: Piece[] = [];
  const end = Number(iova) + Number(length);
  for (let at = Number(iova); at < end;) {
    const entry = pagetable.tables.find(at);
    if (entry === undefined) {
      throw refuseIova(
        "ENOENT",
        "vfio.iommufd.copy",
        "not mapped",
        symbol,
        `Nothing is mapped at ${hex(at)}`,
      );
    }
    const size = Math.min(end, entry.iova + entry.size) - at;
    const vaddr = entry.buffer.address + entry.bufferOffset + at - entry.iova;
    const writable = pagetable.hasWritablePages(entry);
    const of = { from: pagetable, iova: entry.iova };
    const space = pagetable.domain.sourceOf(entry);
    pieces.push({ space, vaddr: BigInt(vaddr), size: BigInt(size), writable, of });
    at += size;
  }
  return pieces;
}
