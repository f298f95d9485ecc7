/** What a topology chooses of a guest's kernel. */
import type { RegionLayoutName } from "./region_layout.ts";
import type { Release } from "./release.ts";
import type { DriverRevision } from "./variant/ism.ts";

/** Choices of the topology that concern the kernel. */
export interface KernelOptions {
  /** Release of the kernel. */
  readonly release: Release;
  /** Busy answers after which a call is reported as one that would hang. */
  readonly busyRetryLimit: number;
  /** GET_INFO carries the zPCI capability chain (CONFIG_VFIO_PCI_ZDEV_KVM). */
  readonly capabilityChain: boolean;
  /** Feature DMA_BUF is there (CONFIG_VFIO_PCI_DMABUF). */
  readonly dmaBuf: boolean;
  /** Bytes of DMA addresses that the kernel uses for each byte of main memory; 0 for all of them. */
  readonly iommuAperture: number;
  /** Most bytes that a process may lock (RLIMIT_MEMLOCK) ; unlimited for one with CAP_IPC_LOCK. */
  readonly memlockLimit: number | "unlimited";
  /** Most DMA mappings of a container (dma_entry_limit). */
  readonly dmaEntryLimit: number;
  /** Revision of the variant driver. */
  readonly driverRevision: DriverRevision;
  /** Attempts for which the handling of an error event still holds the device lock, then as many the state lock. */
  readonly recoveryWindow: number;
  /** Where the variant driver puts regions. */
  readonly regionLayout: RegionLayoutName;
  /** What random choices follow from. */
  readonly seed: number;
}

export const DEFAULT_KERNEL_OPTIONS: KernelOptions = {
  release: "7.3",
  busyRetryLimit: 1_000_000,
  capabilityChain: true,
  dmaBuf: true,
  iommuAperture: 1,
  memlockLimit: "unlimited",
  dmaEntryLimit: 65_535,
  driverRevision: "merged",
  recoveryWindow: 0,
  regionLayout: "ism48",
  seed: 1,
};
