/**
 * Locked memory of a process without CAP_IPC_LOCK: what its mappings take of RLIMIT_MEMLOCK. type1 counts the pages of
 * every mapping in the process; an iommufd counts for the user, each page of a mapping and its copies once, and only
 * while there is a page table for them (drivers/vfio/vfio_iommu_type1.c: vfio_pin_pages_remote, vfio_lock_acct;
 * drivers/iommu/iommufd/pages.c: incr_user_locked_vm). The two do not know of each other.
 */
import { PAGE_SIZE } from "../../zpci/storage.ts";
import type { ErrnoError } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import type { MemorySource } from "./iommu_domain.ts";
import { coreError } from "../refusal.ts";

/** Pages that the process which calls may lock; Infinity with CAP_IPC_LOCK. */
export function lockLimit(kernel: Kernel): number {
  return Math.floor(limitBytes(kernel) / PAGE_SIZE);
}

/** The topology has a limit for all processes; a real one has one of its own. */
function limitBytes({ options: { memlockLimit }, current: { space } }: Kernel): number {
  return Math.min(memlockLimit === "unlimited" ? Infinity : memlockLimit, space.lockLimit);
}

/** ENOMEM, with what helps. */
export function lockRefusal(kernel: Kernel, source: string): ErrnoError {
  return coreError(
    "ENOMEM",
    "vfio.dma.memlock",
    "locked memory",
    source,
    `The process may not lock more than ${limitBytes(kernel)} bytes (RLIMIT_MEMLOCK)`,
    "unmap something, raise the limit (ulimit -l), or run with CAP_IPC_LOCK",
  );
}

/** Pages that type1 counts: those of the mappings that the process which calls has made. */
export function type1Locked({ containers, processes, current }: Kernel): number {
  const others = new Set<MemorySource>();
  for (const process of processes) if (process !== current) others.add(process.space);
  let bytes = 0;
  for (const { domain } of containers.values()) {
    if (domain === undefined) continue;
    for (const entry of domain.tables.entries) if (!others.has(domain.sourceOf(entry))) bytes += entry.size;
  }
  return bytes / PAGE_SIZE;
}

/** A range of memory whose pages were taken. Bytes. */
export interface TakenPages {
  /** Of mappings that share pages; undefined for one that shares them with none. */
  readonly shared: number | undefined;
  readonly vaddr: number;
  readonly size: number;
}

/** Pages of all iommufds: those that mappings share count once. */
export function iommufdLocked({ iommufds }: Kernel): number {
  let pages = 0;
  for (const iommufd of iommufds.values()) {
    const byId = new Map<number, TakenPages[]>();
    for (const ioas of iommufd.ioases.values()) {
      for (const taken of ioas.takenPages()) {
        if (taken.shared === undefined) pages += taken.size / PAGE_SIZE;
        else byId.set(taken.shared, [...byId.get(taken.shared) ?? [], taken]);
      }
    }
    for (const ranges of byId.values()) pages += union(ranges) / PAGE_SIZE;
  }
  return pages;
}

/** Bytes that at least one of the ranges covers. */
function union(ranges: readonly TakenPages[]): number {
  let bytes = 0;
  let end = 0;
  for (const { vaddr, size } of [...ranges].sort((a, b) => a.vaddr - b.vaddr)) {
    bytes += Math.max(0, vaddr + size - Math.max(end, vaddr));
    end = Math.max(end, vaddr + size);
  }
  return bytes;
}
