/** Schema of the driver's side of a function. */
import type { DescriptorState } from "../../ism/driver/descriptor.ts";
import type { RegionInfo } from "../../ism/driver/device_info.ts";
import { WAYS_IN } from "../../ism/driver/ways_in.ts";
import type { DriverState } from "../../ism/driver/driver_state.ts";
import type { DriverDmb } from "../../ism/driver/tables.ts";
import type { MappedMemory, Registrations } from "../../ism/driver/registration.ts";
import { DMB, IEQ } from "../../ism/protocol.ts";
import { PAGE_SIZE } from "../../zpci/storage.ts";
import { DMB_TOKEN, SBA_INDEX } from "./schema_machine.ts";
import {
  ADDRESS,
  choice,
  COUNT,
  FLAG,
  HEX_64,
  IOVA,
  list,
  multiple,
  object,
  orNull,
  U32,
  whole,
} from "./schema_values.ts";

/** Descriptors that the driver remembers; somebody may have closed them behind its back. */
const FD = whole(3, 1023);
const PAGES = multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER);

const DESCRIPTOR = object<DescriptorState>({
  way: choice(WAYS_IN),
  fds: list(FD, { least: 1 }),
  iommu: FD,
  ioas: COUNT,
  device: FD,
  regions: list(object<RegionInfo>({ index: whole(0, 8), flags: U32, size: COUNT, offset: COUNT })),
  maxStoreBlock: whole(1, 0xffff_ffff),
  startDma: ADDRESS,
  endDma: ADDRESS,
});

const MEMORY = object<MappedMemory>({ iova: IOVA, vaddr: ADDRESS, size: PAGES });

/** The driver's side of a function. */
export const DRIVER = object<DriverState>({
  descriptor: orNull(DESCRIPTOR),
  registrations: orNull(object<Registrations>({
    sba: MEMORY,
    ieq: MEMORY,
    eventfd: FD,
    gid: HEX_64,
    isV2: FLAG,
    lastSlot: whole(-1, IEQ.SLOTS - 1),
  })),
  dmbs: list(object<DriverDmb>({
    iova: IOVA,
    vaddr: ADDRESS,
    size: multiple(DMB.UNIT, DMB.UNIT, DMB.MAX),
    token: DMB_TOKEN,
    index: SBA_INDEX,
    rgid: HEX_64,
    vlan: orNull(whole(0, 0xffff)),
  })),
  memory: list(MEMORY),
  vlans: list(whole(0, Number.MAX_SAFE_INTEGER)),
  requests: orNull(FD),
  errorEvents: orNull(FD),
});
