/** System calls as values: what the random test of tests/kernel generates, performs, predicts and prints. */

export const NODES = ["container", "group", "iommu", "cdev"] as const;
export type Node = (typeof NODES)[number];
export const CALLS = [
  "GET_API_VERSION",
  "CHECK_EXTENSION",
  "SET_IOMMU",
  "GROUP_GET_STATUS",
  "GROUP_SET_CONTAINER",
  "GROUP_UNSET_CONTAINER",
  "GROUP_GET_DEVICE_FD",
  "GET_INFO",
  "GET_REGION_INFO",
  "GET_IRQ_INFO",
  "RESET",
  "FEATURE",
  "BIND_IOMMUFD",
  "UNKNOWN",
] as const;
export type Call = (typeof CALLS)[number];

/** A count, and how many bytes of the caller's buffer can be touched. */
export interface Span {
  readonly count: bigint;
  readonly accessible: number;
}

/** The slot of the newest descriptor of the device that works. */
export const DEVICE_SLOT = -1;

/** A system call. `slot` picks a descriptor: one of the open ones by its place, or one that is not open. */
export type Operation =
  | { readonly op: "open"; readonly node: Node }
  | { readonly op: "close" | "mmap" | "lseek"; readonly slot: number }
  | { readonly op: "ioctl"; readonly slot: number; readonly call: Call; readonly value: number }
  | ({ readonly op: "pread" | "pwrite"; readonly slot: number; readonly position: bigint } & Span)
  | ({ readonly op: "read" | "write"; readonly slot: number } & Span);

/** Result or errno, and the instructions on BARs, as `PCILG 2 0x8 8`. */
export interface Prediction {
  readonly result: number | string;
  readonly instructions: readonly string[];
}

const ioctl = (slot: number, call: Call, value = 0): Operation => ({ op: "ioctl", slot, call, value });

/** The ceremonies of vfio.group.getfd and vfio.cdev.bind, on a process without descriptors. */
export const CEREMONIES: Readonly<Record<"group" | "compat" | "cdev" | "none", readonly Operation[]>> = {
  group: [
    { op: "open", node: "container" },
    { op: "open", node: "group" },
    ioctl(1, "GROUP_SET_CONTAINER", 0),
    ioctl(0, "SET_IOMMU", 3),
    ioctl(1, "GROUP_GET_DEVICE_FD"),
  ],
  compat: [
    { op: "open", node: "iommu" },
    { op: "open", node: "group" },
    ioctl(1, "GROUP_SET_CONTAINER", 0),
    ioctl(1, "GROUP_GET_DEVICE_FD"),
  ],
  cdev: [{ op: "open", node: "iommu" }, { op: "open", node: "cdev" }, ioctl(1, "BIND_IOMMUFD", 0)],
  none: [],
};
