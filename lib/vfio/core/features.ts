/**
 * VFIO_DEVICE_FEATURE. Facts: vfio.feature.* (drivers/vfio/vfio_main.c: vfio_ioctl_device_feature,
 * drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_ioctl_feature).
 */
import type { RuleName } from "../../base/rule_names.ts";
import type { VfioDevice } from "../device.ts";
import type { ErrnoName } from "../errno.ts";
import { EventFdFile } from "../process/eventfd.ts";
import type { Kernel } from "../kernel.ts";
import { coreError } from "../refusal.ts";
import { errorBlock } from "../../zpci/error_events.ts";
import { DMA_BUF, FEATURE, FEATURE_FLAGS, ZPCI_ERROR, ZPCI_ERROR_BLOCK } from "../uapi.ts";
import { checkArgsz } from "../process/user_memory.ts";

const MAIN = "drivers/vfio/vfio_main.c: vfio_ioctl_device_feature";
const PCI = "drivers/vfio/pci";
const ZDEV = `${PCI}/vfio_pci_zdev.c: vfio_pci_zdev_feature_err`;
const CORE = `${PCI}/vfio_pci_core.c: vfio_pci_core_ioctl_feature`;

/** What a feature does. */
interface Feature {
  readonly name: string;
  /** The errno that it answers with whatever is asked; undefined for a feature that exists. */
  readonly refused?: ErrnoName | ((device: VfioDevice) => ErrnoName | undefined);
  /** What to know where it is refused. */
  readonly absent?: (device: VfioDevice) => string;
  /** Its rule where it has one of its own. */
  readonly ref?: RuleName;
  /** Who refuses it; {@linkcode CORE} where nothing else is said. */
  readonly source?: string;
  /** Operations that it has. */
  readonly operations?: number;
  /** Bytes of payload that it needs. */
  readonly payload?: number;
  readonly get?: (device: VfioDevice, payload: Uint8Array, kernel: Kernel) => void;
  readonly set?: (device: VfioDevice, payload: DataView, kernel: Kernel) => void;
}

const ABSENT = { refused: "ENOTTY" } as const;
/** The vfio core answers these itself, without operations of the driver. */
const NO_MIGRATION = { refused: "ENOTTY", source: MAIN } as const;

/** Features by number. */
export const FEATURES: readonly Feature[] = [
  { name: "PCI_VF_TOKEN", ...ABSENT, source: `${PCI}/vfio_pci_core.c: vfio_pci_core_feature_token` },
  { name: "MIGRATION", ...NO_MIGRATION },
  { name: "MIG_DEVICE_STATE", ...NO_MIGRATION },
  { name: "LOW_POWER_ENTRY", operations: FEATURE_FLAGS.SET, set: (device) => enterLowPower(device) },
  {
    name: "LOW_POWER_ENTRY_WITH_WAKEUP",
    operations: FEATURE_FLAGS.SET,
    payload: 8,
    set(device, payload, kernel) {
      const fd = payload.getInt32(0, true);
      if (fd < 0) {
        throw coreError(
          "EINVAL",
          "vfio.feature.lowpower",
          "wakeup descriptor",
          CORE,
          `Descriptor ${fd} is not valid`,
        );
      }
      if (!(kernel.current.file(fd) instanceof EventFdFile)) {
        throw coreError(
          "EINVAL",
          "vfio.feature.lowpower",
          "wakeup descriptor",
          CORE,
          `Descriptor ${fd} is not an eventfd`,
        );
      }
      enterLowPower(device);
    },
  },
  {
    name: "LOW_POWER_EXIT",
    operations: FEATURE_FLAGS.SET,
    set: (device) => {
      device.touch();
      device.lowPower = false;
    },
  },
  { name: "DMA_LOGGING_START", ...NO_MIGRATION },
  { name: "DMA_LOGGING_STOP", ...NO_MIGRATION },
  { name: "DMA_LOGGING_REPORT", ...NO_MIGRATION },
  { name: "MIG_DATA_SIZE", ...NO_MIGRATION },
  { name: "BUS_MASTER", ...ABSENT },
  {
    name: "DMA_BUF",
    ref: "vfio.feature.dmabuf",
    // A driver without a physical-range operation refuses before any other check, even for PROBE.
    refused({ kernel, variant }) {
      if (!kernel.options.dmaBuf) return "ENOTTY";
      return variant.dmaBuf === undefined ? "EOPNOTSUPP" : undefined;
    },
    source: `${PCI}/vfio_pci_dmabuf.c: vfio_pci_core_feature_dma_buf`,
    operations: FEATURE_FLAGS.GET,
    payload: DMA_BUF.size,
    get: (device, payload) => device.variant.dmaBuf!.get(device, payload),
  },
  { name: "MIG_PRECOPY_INFOv2", refused: "EINVAL", source: MAIN },
  {
    name: "ZPCI_ERROR",
    ref: "vfio.feature.zpcierror",
    refused: ({ kernel }) => kernel.userRecovery ? undefined : "ENOTTY",
    absent: ({ kernel: { rules } }) =>
      rules.userRecovery
        ? "the kernel has no zdev option (kernel.capabilityChain), and recovers by itself"
        : `Linux ${rules.release} recovers by itself; from 7.3 on error blocks are left to user space`,
    source: ZDEV,
    operations: FEATURE_FLAGS.GET,
    payload: ZPCI_ERROR.size,
    get: takeErrorBlock,
  },
];

/**
 * Feature ZPCI_ERROR: the oldest block goes to the address that the payload holds. It is taken out before it is copied,
 * so that one that cannot be copied is lost; nothing is written back to the argument.
 *
 * @throws {ErrnoError} EINVAL for address 0, ENOMSG if no block waits, EFAULT
 */
function takeErrorBlock({ zdev }: VfioDevice, payload: Uint8Array, kernel: Kernel): void {
  const { data } = ZPCI_ERROR.decode(payload);
  if (data === 0n) {
    throw coreError(
      "EINVAL",
      "vfio.feature.zpcierror",
      "buffer",
      ZDEV,
      "The address of the buffer for the error block is 0",
    );
  }
  const event = kernel.binding(zdev).errors.take();
  if (event === undefined) {
    throw coreError(
      "ENOMSG",
      "vfio.feature.zpcierror",
      "no error block",
      ZDEV,
      "No error block waits to be read",
    );
  }
  kernel.current.memory(Number(data), ZPCI_ERROR_BLOCK.size, true).set(errorBlock(event));
}

function enterLowPower(device: VfioDevice): void {
  if (device.lowPower) {
    throw coreError(
      "EINVAL",
      "vfio.feature.lowpower",
      "low power",
      CORE,
      "The device is in low power already",
    );
  }
  device.touch();
  device.lowPower = true;
}

function refusalOf({ refused }: Feature, device: VfioDevice): ErrnoName | undefined {
  return typeof refused === "function" ? refused(device) : refused;
}

/** Checks in the order of vfio.feature.order. */
export function deviceFeature(device: VfioDevice, arg: Uint8Array, kernel: Kernel): number {
  const argsz = checkArgsz(arg, FEATURE.size, MAIN);
  const { flags } = FEATURE.decode(arg);
  const { INDEX, GET, SET, PROBE } = FEATURE_FLAGS;
  const invalid = (message: string) =>
    coreError("EINVAL", "vfio.feature.order", "feature flags", MAIN, message);
  if ((flags & ~(INDEX | GET | SET | PROBE)) !== 0) throw invalid("Unknown flags");
  const probe = (flags & PROBE) !== 0;
  const wanted = flags & (GET | SET);
  if (!probe && wanted === (GET | SET)) throw invalid("GET and SET exclude each other without PROBE");
  const index = flags & INDEX;
  const feature = FEATURES[index];
  const refused = feature === undefined ? "ENOTTY" : refusalOf(feature, device);
  if (feature === undefined || refused !== undefined) {
    const name = feature?.name ?? `Feature ${index}`;
    const source = feature?.source ?? CORE;
    throw coreError(
      refused ?? "ENOTTY",
      feature?.ref ?? "vfio.feature.table",
      "feature",
      source,
      `${name} is not there on an ISM function`,
      feature?.absent?.(device),
    );
  }
  if ((wanted & ~feature.operations!) !== 0) throw invalid(`${feature.name} has no such operation`);
  if (probe) return 0;
  if (wanted === 0) throw invalid("Neither GET nor SET is asked for");
  const payload = feature.payload ?? 0;
  if (argsz < FEATURE.size + payload) throw invalid(`${feature.name} needs ${payload} bytes of payload`);
  if (arg.length < FEATURE.size + payload) {
    throw coreError("EFAULT", "vfio.feature.order", "user memory", MAIN, "The payload is not accessible");
  }
  if (wanted === GET) feature.get!(device, arg.subarray(FEATURE.size), kernel);
  else feature.set!(device, new DataView(arg.buffer, arg.byteOffset + FEATURE.size, payload), kernel);
  return 0;
}
