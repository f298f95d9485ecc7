/**
 * Who has the DMA of a function: user space, or the kernel with an IOMMU domain of its own, in which nothing is mapped
 * (drivers/iommu/iommu.c: iommu_group_claim_dma_owner, iommu_group_release_dma_owner).
 */
import type { Partition } from "../../zpci/partition.ts";
import { quietly } from "../errno.ts";
import type { Zdev } from "../s390/zdev.ts";
import { IommuDomain } from "./iommu_domain.ts";

/** The kernel's own domain of a function: where its tables lie, and whether the function uses it now. */
export interface DefaultDomainState {
  /** Storage address; null where there is none yet. */
  readonly origin: number | null;
  readonly attached: boolean;
}

/** The kernel's own domains of a guest's functions. */
export class DefaultDomains {
  readonly #partition: Partition;
  readonly #touch: () => void;
  readonly #domains = new Map<Zdev, IommuDomain>();

  /** `touch` is called before the domains change. */
  constructor(partition: Partition, touch: () => void) {
    this.#partition = partition;
    this.#touch = touch;
  }

  /** iommu_group_claim_dma_owner: user space is to have the function's DMA, so that the kernel's own domain goes. */
  claim(zdev: Zdev): void {
    zdev.attach(undefined);
  }

  /** iommu_group_release_dma_owner: back to the kernel's own domain, in which nothing is mapped. Cannot fail. */
  release(zdev: Zdev): void {
    const domain = this.#domains.get(zdev) ?? IommuDomain.create(this.#partition);
    if (domain === undefined) return;
    this.#touch();
    zdev.touch();
    this.#domains.set(zdev, domain);
    quietly(() => zdev.attach(domain));
  }

  /** The domain that user space attached a function to; undefined while it has the kernel's own, or none. */
  userDomain(zdev: Zdev): IommuDomain | undefined {
    return zdev.domain === this.#domains.get(zdev) ? undefined : zdev.domain;
  }

  /** @returns what puts them back as they are now */
  remember(): () => void {
    const domains = [...this.#domains];
    return () => {
      this.#domains.clear();
      for (const [zdev, domain] of domains) this.#domains.set(zdev, domain);
    };
  }

  save(zdev: Zdev): DefaultDomainState {
    const domain = this.#domains.get(zdev);
    return { origin: domain?.origin ?? null, attached: domain !== undefined && zdev.domain === domain };
  }

  restore(zdev: Zdev, { origin, attached }: DefaultDomainState): void {
    if (origin === null) return;
    const domain = IommuDomain.restore(this.#partition, { origin, mappings: [] });
    this.#domains.set(zdev, domain);
    if (attached) domain.adopt(zdev);
  }
}
