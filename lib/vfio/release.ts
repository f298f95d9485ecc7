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
  /** The ERR interrupt exists on functions that are not PCIe (vfio_pci_core.c: vfio_pci_get_irq_count). */
  readonly errInterrupt: boolean;
  /**
   * Errors of an open function are left to user space, which reads them by feature ZPCI_ERROR; both take
   * CONFIG_VFIO_PCI_ZDEV_KVM (vfio_pci_zdev.c: vfio_pci_zdev_open_device, vfio_pci_zdev_feature_err).
   */
  readonly userRecovery: boolean;
  /** A reset saves the registers of a function that does not answer: all ones (pci.c: pci_dev_save_and_disable). */
  readonly savesUnreadable: boolean;
}

const RULES: Readonly<Record<Release, ReleaseRules>> = {
  "7.3": {
    release: "7.3",
    baseVersion: 3,
    genericBars: "absent",
    errInterrupt: true,
    userRecovery: true,
    savesUnreadable: false,
  },
  "7.1": {
    release: "7.1",
    baseVersion: 2,
    genericBars: "attempted",
    errInterrupt: false,
    userRecovery: false,
    savesUnreadable: true,
  },
};

/** The rules of a release. */
export function rulesOf(release: Release): ReleaseRules {
  return RULES[release];
}
