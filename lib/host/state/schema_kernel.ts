/** Schema of a guest's kernel: functions, bindings, devices, containers, iommufds, descriptors. */
import * as v from "valibot";
import { DRIVERS } from "../../vfio/bind_rules.ts";
import type { BindingState } from "../../vfio/binding.ts";
import type { ConfigSpaceState } from "../../vfio/config/space.ts";
import type { DynamicId } from "../../vfio/dynamic_ids.ts";
import type { ContainerState } from "../../vfio/iommu/container.ts";
import type { DeviceState } from "../../vfio/device.ts";
import type { CdevState, FileState, SavedKind } from "../../vfio/process/file.ts";
import type { DomainState, MappingState } from "../../vfio/iommu/iommu_domain.ts";
import type { IoasState } from "../../vfio/iommu/ioas.ts";
import type { IommufdState } from "../../vfio/iommu/iommufd.ts";
import type { RecoveryWindow } from "../../vfio/function_locks.ts";
import type { DefaultDomainState } from "../../vfio/iommu/default_domains.ts";
import type { KernelState } from "../../vfio/kernel_state.ts";
import { CHANNELS, type PciDeviceState } from "../../vfio/pci/pci_device.ts";
import { ERROR_QUEUE } from "../../vfio/s390/error_queue.ts";
import type { EventWorkerState, PendingReport } from "../../vfio/s390/event_worker.ts";
import type { ZdevAvailability, ZdevState } from "../../vfio/s390/zdev_state.ts";
import { EXTENSION } from "../../vfio/uapi.ts";
import type { AvailabilityEvent, ErrorEvent } from "../../zpci/partition.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import {
  ADDRESS,
  choice,
  COUNT,
  everyWord,
  FLAG,
  HEX_64,
  hexBytes,
  IOVA,
  list,
  multiple,
  object,
  optional,
  orNull,
  type StateSchema,
  TEXT,
  U32,
  whole,
} from "./schema_values.ts";

const CONFIG_BYTES = 256;
const HEADER_BYTES = 64;
const BARS = 6;
const BAR_BYTES = 4;
/** Capabilities lie behind the header (PCI Local Bus 3.0, 6.7), each of at least two bytes. */
const FIRST_CAPABILITY = 0x40;
/** Capabilities that vfio shows (drivers/vfio/pci/vfio_pci_config.c: pci_cap_length). */
const CAPABILITY_IDS: ReadonlySet<number> = new Set([0x01, 0x03, 0x05, 0x07, 0x09, 0x10, 0x11, 0x13]);
/** Functions of a guest. */
const MOST = 64;
const FID = whole(1, 0xffff_ffff);
/** Id of a kernel object, or of an object of an iommufd. */
const ID = whole(1, Number.MAX_SAFE_INTEGER);
/** Descriptors from the first one behind the standard streams to the limit of a process. */
const FD = whole(3, 1023);

type Facts = ZdevState["facts"];

const FACTS = object<Facts>({
  fid: FID,
  uid: whole(1, 0xffff),
  pchid: whole(0, 0xffff),
  vfn: whole(0, 0xffff),
  pft: whole(0, 0xff),
  pfgid: whole(0, 0xff),
  port: whole(0, 15),
  startDma: ADDRESS,
  endDma: ADDRESS,
  pfip: hexBytes(4),
  utilityString: orNull(hexBytes(64)),
  fmbLength: COUNT,
  bars: list(
    object<Facts["bars"][number]>({ size: whole(0, 2 ** 48), is64: FLAG, prefetch: FLAG }),
    { least: BARS, most: BARS },
  ),
  maxstbl: whole(8, 8191),
  noi: whole(0, 0xfff),
  mui: COUNT,
  version: whole(0, 0xff),
  dasm: HEX_64,
  msia: HEX_64,
});

const ZDEV = object<ZdevState>({
  state: everyWord<ZdevAvailability>({ standby: true, configured: true, reserved: true }),
  fh: U32,
  vectors: whole(0, 64),
  measurementBlock: orNull(multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER)),
  pci: object<PciDeviceState>({
    channel: choice(CHANNELS),
    saved: orNull(hexBytes(HEADER_BYTES)),
    msiCapability: v.union([v.literal(0), whole(FIRST_CAPABILITY, CONFIG_BYTES - 1)]),
  }),
  facts: FACTS,
});

/** Counts above 2^53 are decimal text. */
const EVENTFD_COUNT: StateSchema<number | string> = v.union([
  COUNT,
  v.pipe(v.string(), v.regex(/^[1-9][0-9]{15,20}$/)),
]);

const DOMAIN = object<DomainState>({
  origin: multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER),
  mappings: list(object<MappingState>({
    iova: IOVA,
    size: whole(1, Number.MAX_SAFE_INTEGER),
    vaddr: IOVA,
    read: FLAG,
    write: FLAG,
  })),
});

const CONTAINER = object<ContainerState>({
  id: ID,
  open: FLAG,
  type: orNull(v.picklist([EXTENSION.TYPE1, EXTENSION.TYPE1V2])),
  domain: orNull(DOMAIN),
  withoutAddress: list(IOVA),
  dirtyLog: FLAG,
});

const IOAS = object<IoasState>({
  id: ID,
  domain: DOMAIN,
  hugePages: FLAG,
  allowed: list(v.strictTuple([HEX_64, HEX_64])),
  writablePages: list(IOVA),
  shared: list(v.strictTuple([IOVA, ID])),
  pageTable: orNull(ID),
  hwpts: list(ID),
});

const IOMMUFD = object<IommufdState>({
  id: ID,
  open: FLAG,
  vfioIoas: orNull(ID),
  rlimitMode: FLAG,
  ioases: list(IOAS),
  faultQueues: list(ID),
});

const ERROR_EVENT = object<ErrorEvent>({
  fh: U32,
  fid: FID,
  pec: whole(0, 0xffff),
  address: IOVA,
  write: FLAG,
});

const EVENTS = object<EventWorkerState>({
  pending: list(object<PendingReport>({
    error: orNull(ERROR_EVENT),
    // An event about several functions names none.
    availability: orNull(
      object<AvailabilityEvent>({ fh: U32, fid: whole(0, 0xffff_ffff), pec: whole(0, 0xffff) }),
    ),
    lookedUp: FLAG,
  })),
  removing: orNull(FID),
});

const BINDING = object<BindingState>({
  driver: orNull(choice(DRIVERS)),
  override: orNull(TEXT),
  removing: FLAG,
  nextRequest: orNull(COUNT),
  probeAfter: FLAG,
  leaving: FLAG,
  recovering: FLAG,
  gone: FLAG,
  errors: list(ERROR_EVENT, { most: ERROR_QUEUE }),
  droppedErrors: COUNT,
  window: object<RecoveryWindow>({ device: COUNT, state: COUNT }),
});

const CAPABILITY = object<ConfigSpaceState["capabilities"][number]>({
  id: v.pipe(v.number(), v.check((id) => CAPABILITY_IDS.has(id), "is no capability that vfio shows")),
  start: whole(FIRST_CAPABILITY, CONFIG_BYTES - 1),
  length: whole(1, CONFIG_BYTES - FIRST_CAPABILITY),
});

const CONFIG_SPACE = object<ConfigSpaceState>({
  shadow: hexBytes(CONFIG_BYTES),
  savedBars: hexBytes(BARS * BAR_BYTES),
  barsDirty: FLAG,
  capabilities: list(CAPABILITY),
});

const DEVICE = object<DeviceState>({
  fid: FID,
  openCount: COUNT,
  resetWorks: FLAG,
  config: orNull(CONFIG_SPACE),
  msi: orNull(list(orNull(ID), { most: 64 })),
  req: orNull(ID),
  err: orNull(ID),
  openState: orNull(hexBytes(HEADER_BYTES)),
  lowPower: FLAG,
  opens: COUNT,
  compat: orNull(object<NonNullable<DeviceState["compat"]>>({ iommufd: ID, devid: ID, ioas: ID })),
});

const FILE = object<FileState>({
  fd: FD,
  kind: everyWord<SavedKind>({
    container: true,
    group: true,
    device: true,
    eventfd: true,
    iommufd: true,
    "fault-queue": true,
    clp: true,
  }),
  position: COUNT,
  // O_ACCMODE, O_NONBLOCK and O_LARGEFILE.
  flags: v.pipe(whole(0, 0o104002), v.check((flags) => (flags & ~0o104003) === 0, "are no flags of a file")),
  // The number of a group may be 0.
  id: COUNT,
  container: optional(orNull(ID)),
  dissolved: optional(FLAG),
  cdev: optional(
    object<CdevState>({
      iommufd: orNull(ID),
      devid: COUNT,
      ioas: orNull(ID),
      hwpt: orNull(ID),
      bounded: FLAG,
      pasid: FLAG,
    }),
  ),
  faultQueue: optional(ID),
});

/** A guest's kernel. */
export const KERNEL = object<KernelState>({
  zdevs: list(ZDEV, { most: MOST }),
  interruptPage: multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER),
  nextId: ID,
  eventfds: list(object<KernelState["eventfds"][number]>({ id: ID, count: EVENTFD_COUNT })),
  containers: list(CONTAINER),
  iommufds: list(IOMMUFD),
  bindings: list(BINDING, { most: MOST }),
  dynamicIds: list(object<DynamicId>({
    driver: choice(DRIVERS),
    vendor: U32,
    device: U32,
    subvendor: U32,
    subdevice: U32,
    class: U32,
    classMask: U32,
  })),
  groups: list(orNull(ID), { most: MOST }),
  devices: list(DEVICE, { most: MOST }),
  defaultDomains: list(
    object<DefaultDomainState>({
      origin: orNull(multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER)),
      attached: FLAG,
    }),
    { most: MOST },
  ),
  events: EVENTS,
  files: list(FILE),
});
