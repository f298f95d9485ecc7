/** System calls of the driver process, and programs that make them themselves. */
import { type GoldenTable, NOBODY } from "./table.ts";

/** Descriptor 5 is the device, 6 an eventfd of the user. */
const OPENED = ["open", "fd eventfd"];

export const SYSTEM: GoldenTable = {
  "fd list": { before: OPENED, done: ["fd list", "fd list -d 1"], refused: [`fd list ${NOBODY}`] },
  "fd open": {
    done: ["fd open /dev/iommu", "fd open /dev/vfio/vfio --mode ro"],
    refused: ["fd open /dev/vfio/99", "fd open /dev/null"],
  },
  "fd eventfd": { done: ["fd eventfd"], refused: ["fd eventfd 1"] },
  "fd read": {
    before: OPENED,
    done: ["fd read 5 4 --at 0x7000000000000", "fd read device 2 2 --at 0x7000000000000"],
    refused: ["fd read 6 8", "fd read 99 4", "fd read 6 8 --wait --timeout 0"],
  },
  "fd write": {
    before: OPENED,
    done: ["fd write 5 hex:0600 --at 0x7000000000004", "fd write 6 hex:0100000000000000"],
    refused: ["fd write 6 hex:00", "fd write 99 hex:"],
  },
  "fd lseek": { before: OPENED, done: ["fd lseek 6 0"], refused: ["fd lseek 5 0"] },
  "fd mmap": { before: OPENED, done: ["fd mmap anon 4k"], refused: ["fd mmap 5 4k"] },
  "fd flags": { before: OPENED, done: ["fd flags 5"], refused: ["fd flags 99"] },
  "fd fsync": {
    before: OPENED,
    never: "no descriptor has data to write back",
    done: [],
    refused: ["fd fsync 5"],
  },
  "fd ftruncate": {
    before: OPENED,
    never: "no descriptor has a length",
    done: [],
    refused: ["fd ftruncate 5 0"],
  },
  "fd close": { before: OPENED, done: ["fd close 6"], refused: ["fd close 99"] },
  "ioctl": {
    text: ["ioctl group --list"],
    done: [
      "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2",
      "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=32 index=2 --field offset",
      "ioctl device VFIO_DEVICE_RESET",
    ],
    refused: [
      "ioctl device VFIO_DEVICE_GET_REGION_INFO argsz=31 index=2",
      "ioctl device VFIO_DEVICE_GET_PCI_HOT_RESET_INFO argsz=12",
      "ioctl device VFIO_DEVICE_GET_REGION",
      "ioctl device 0x3b7f",
    ],
  },
  "poll": {
    before: OPENED,
    done: ["poll 5 6 --timeout 0", "poll 6 --timeout 0"],
    refused: ["poll eventfd:x"],
  },
  "exec": {
    shell: true,
    done: [
      "ism{json} exec -- /bin/cat /sys/bus/pci/devices/0001:00:00.0/vendor",
      "ism{json} exec -- /bin/sh -c 'exit 7'",
    ],
    refused: ["ism{json} exec -- /no/such/program", "ism{json} --dry-run exec -- /bin/true"],
  },
};
