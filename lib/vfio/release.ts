/**
 * Releases of the kernel that a host can run, and in what they differ. The driver ism_vfio_pci was merged in 7.1; error
 * recovery in user space came with 7.3, all of it together.
 */

/** Releases, the default first. */
export const RELEASES = ["7.3", "7.1"] as const;
export type Release = (typeof RELEASES)[number];

/** What a release does, one field for each difference. */
export interface ReleaseRules {
  readonly release: Release;
  /** Version of the ZPCI_BASE capability; from 3 on it has ccdf_err_length (vfio_pci_zdev.c: zpci_base_cap). */
  readonly baseVersion: 2 | 3;
  /**
   * What an access to a BAR of ISM comes to under generic vfio-pci: ENODEV without an instruction, or an attempt that
   * maps it, ENOMEM for the size of BAR 0 and MIO instructions on BAR 2 (vfio_pci_rdwr.c: vfio_pci_bar_rw).
   */
  readonly genericBars: "absent" | "attempted";
}

const RULES: Readonly<Record<Release, ReleaseRules>> = {
  "7.3": { release: "7.3", baseVersion: 3, genericBars: "absent" },
  "7.1": { release: "7.1", baseVersion: 2, genericBars: "attempted" },
};

/** The rules of a release. */
export function rulesOf(release: Release): ReleaseRules {
  return RULES[release];
}
