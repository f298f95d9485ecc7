/** Ids that the PCI core read from a function at its enumeration; every function here is ISM (vfio.bind.ids). */
export const PCI_IDS = {
  vendor: 0x1014,
  device: 0x04ed,
  subsystemVendor: 0,
  subsystemDevice: 0,
  class: 0x00_0000,
  revision: 0,
} as const;
