/** Where DMA memory of a function is mapped: through the driver's own descriptors, or through those opened by hand. */
import type { HostFunction } from "../../../lib/host/host.ts";
import { VfioDescriptor } from "../../../lib/ism/driver/descriptor.ts";
import { DriverError } from "../../../lib/ism/driver/errors.ts";
import type { MappedMemory } from "../../../lib/ism/driver/registration.ts";
import { IovaSpace } from "../../../lib/ism/driver/iova.ts";
import { ContainerFile } from "../../../lib/vfio/iommu/container.ts";
import { IommufdFile } from "../../../lib/vfio/iommu/iommufd_file.ts";
import { pageRound } from "../../../lib/zpci/storage.ts";

/** Maps and unmaps. Bytes. */
export interface DmaSpace {
  /** Allocates memory and maps it; at the lowest free address by default. @throws {ErrnoError} @throws {DriverError} */
  map(size: number, iova?: number): MappedMemory;
  /** @returns bytes that were mapped in the range @throws {ErrnoError} */
  unmap(iova: number, size: number): number;
}

/** The address space that commands of a function use; without one, the driver opens the function. */
export function dmaSpace(target: HostFunction): DmaSpace {
  const { driver } = target;
  const descriptor = driver.isOpen ? undefined : openedByHand(target);
  if (descriptor !== undefined) return new HandSpace(target, descriptor);
  return {
    map: (size, iova) => driver.mapMemory(size, iova),
    unmap: (iova, size) => driver.unmapMemory(iova, size),
  };
}

/** The container, or the iommufd and its address space, that "fd open" and "ioctl" have attached the function to. */
function openedByHand({ guest: { kernel: { process } }, zdev }: HostFunction): VfioDescriptor | undefined {
  const { domain, facts: { startDma, endDma } } = zdev;
  if (domain === undefined) return undefined;
  const state = { fds: [], device: -1, regions: [], maxStoreBlock: 1, startDma, endDma };
  for (const [fd, file] of process.files()) {
    if (file instanceof ContainerFile && file.container.domain === domain) {
      return new VfioDescriptor(process, { ...state, way: "group", iommu: fd, ioas: 0 });
    }
    if (!(file instanceof IommufdFile)) continue;
    const ioas = [...file.iommufd.ioases.values()].find((each) => each.domain === domain);
    if (ioas === undefined) continue;
    return new VfioDescriptor(process, { ...state, way: "cdev", iommu: fd, ioas: ioas.id });
  }
  return undefined;
}

/** Mappings through descriptors that no driver keeps book of. */
class HandSpace implements DmaSpace {
  readonly #target: HostFunction;
  readonly #descriptor: VfioDescriptor;

  constructor(target: HostFunction, descriptor: VfioDescriptor) {
    this.#target = target;
    this.#descriptor = descriptor;
  }

  map(size: number, iova?: number): MappedMemory {
    const { guest: { kernel: { process } }, zdev } = this.#target;
    const rounded = pageRound(size);
    const space = new IovaSpace(...this.#descriptor.dmaRange, zdev.domain?.mappings());
    const at = iova ?? space.find(rounded);
    if (at === undefined) throw new DriverError("No DMA addresses are left");
    const vaddr = process.mmapAnonymous(rounded);
    try {
      this.#descriptor.mapDma(vaddr, at, rounded);
    } catch (error) {
      process.munmap(vaddr);
      throw error;
    }
    return { iova: at, vaddr, size: rounded };
  }

  unmap(iova: number, size: number): number {
    return this.#descriptor.unmapDma(iova, size);
  }
}
