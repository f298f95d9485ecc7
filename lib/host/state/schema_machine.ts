/** Schemas of the rows that the machine has: clock, faults, channels, storage, functions, adapters. */
import * as v from "valibot";
import { COMMAND_AREA_BYTES, type CommandBarState } from "../../ism/device/command_bar.ts";
import type { AdapterState, AdapterStatistics } from "../../ism/device/adapter.ts";
import type { DmbState } from "../../ism/device/dmb.ts";
import type { FabricState } from "../../ism/device/fabric.ts";
import { TOKEN_NUMBERS } from "../../ism/device/tokens.ts";
import { DATA_OFFSET, DMB, IEQ, SBA, VLAN } from "../../ism/protocol.ts";
import { LOCK_NAMES, LOCK_OPS, type LockFault, type LockPlanState } from "../../vfio/lock_plan.ts";
import type { ConfigRegistersState } from "../../zpci/config_registers.ts";
import {
  EXCEPTION_NAMES,
  type Fault,
  FAULT_OPS,
  type FaultKind,
  type FaultMatch,
  type FaultPlanState,
} from "../../zpci/faults.ts";
import { FUNCTION_STATES, type FunctionRecord, type InterruptRegistration } from "../../zpci/function.ts";
import { PAGE_SIZE, type StorageState } from "../../zpci/storage.ts";
import type { Meeting, RendezvousState } from "../rendezvous.ts";
import {
  ADDRESS,
  choice,
  COUNT,
  everyKind,
  FLAG,
  HEX_64,
  hexBytes,
  list,
  multiple,
  object,
  optional,
  orNull,
  type StateSchema,
  U32,
  whole,
} from "./schema_values.ts";

const CONFIG_BYTES = 256;
/** Number of a fault, of the plan or of the locks. */
const FAULT_ID = whole(1, Number.MAX_SAFE_INTEGER);
const TIMES = whole(1, 2 ** 31);
const FID = whole(1, 0xffff_ffff);

/** The simulated clock: microseconds since 1900. */
export const CLOCK: StateSchema<number> = COUNT;

type Kind<Name extends FaultKind["kind"]> = Extract<FaultKind, { readonly kind: Name }>;

const FAULT_KIND = everyKind<FaultKind>({
  busy: object<Kind<"busy">>({ kind: v.literal("busy"), times: TIMES }),
  status: object<Kind<"status">>({ kind: v.literal("status"), status: whole(0, 255) }),
  "invalid-handle": object<Kind<"invalid-handle">>({ kind: v.literal("invalid-handle") }),
  exception: object<Kind<"exception">>({ kind: v.literal("exception"), exception: choice(EXCEPTION_NAMES) }),
  event: object<Kind<"event">>({ kind: v.literal("event"), pec: whole(0, 0xffff) }),
  flip: object<Kind<"flip">>({ kind: v.literal("flip"), bit: COUNT }),
});

const FAULT = object<Fault>({
  id: FAULT_ID,
  fault: FAULT_KIND,
  match: object<FaultMatch>({
    op: optional(choice(FAULT_OPS)),
    fid: optional(FID),
    space: optional(whole(0, 15)),
    from: optional(COUNT),
    to: optional(COUNT),
  }),
  at: FAULT_ID,
  seen: COUNT,
});

/** Faults to inject. */
export const FAULTS = object<FaultPlanState>({ nextId: FAULT_ID, faults: list(FAULT) });

/** Times at which a device lock is taken. */
export const LOCKS = object<LockPlanState>({
  faults: list(object<LockFault>({
    id: FAULT_ID,
    lock: choice(LOCK_NAMES),
    op: optional(choice(LOCK_OPS)),
    fid: optional(FID),
    at: FAULT_ID,
    times: TIMES,
    seen: COUNT,
  })),
});

const TOKEN = multiple(DATA_OFFSET.TOKEN_UNIT, DATA_OFFSET.TOKEN_UNIT, DATA_OFFSET.END - 1);

const MEETING = object<Meeting>({
  reader: FID,
  size: COUNT,
  request: orNull(
    object<NonNullable<Meeting["request"]>>({ fid: FID, gid: HEX_64, token: TOKEN }),
  ),
  accepted: orNull(object<NonNullable<Meeting["accepted"]>>({ token: TOKEN })),
  result: orNull(object<NonNullable<Meeting["result"]>>({ bytes: COUNT, sha256: hexBytes(32) })),
});

/** Senders and receivers that are about to meet. */
export const RENDEZVOUS: StateSchema<RendezvousState> = list(MEETING);

/** A channel. */
export const FABRIC = object<FabricState>({ nextToken: whole(1, TOKEN_NUMBERS - 1) });

/** A guest's allocations. */
export const STORAGE = object<StorageState>({
  next: multiple(PAGE_SIZE, 0, Number.MAX_SAFE_INTEGER),
  buffers: list(object<StorageState["buffers"][number]>({
    address: multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER),
    size: multiple(PAGE_SIZE, PAGE_SIZE, Number.MAX_SAFE_INTEGER),
  })),
});

/** The platform's side of a function. */
export const FUNCTION = object<FunctionRecord>({
  fh: U32,
  state: choice(FUNCTION_STATES),
  config: object<ConfigRegistersState>({ bytes: hexBytes(CONFIG_BYTES) }),
  interrupts: orNull(object<InterruptRegistration>({
    isc: whole(0, 7),
    noi: whole(0, 0xfff),
    aibv: ADDRESS,
    aibvo: whole(0, 63),
    aisb: ADDRESS,
    aisbo: whole(0, 63),
  })),
  ioat: orNull(object<NonNullable<FunctionRecord["ioat"]>>({ origin: ADDRESS, pba: ADDRESS, pal: ADDRESS })),
  measurementBlock: orNull(ADDRESS),
});

/** A VLAN id that a function may be in: any, or the reserved one by which ISM V2 is found out. */
export const VLAN_ID = v.union([whole(1, VLAN.MAX_ID), v.literal(VLAN.V2_PROBE)]);
/** A token of a DMB: 20 bits of a BAR 0 offset (ism.token.format). */
export const DMB_TOKEN = TOKEN;
/** A DMB's place in the SBA. */
export const SBA_INDEX = whole(0, SBA.INDICES - 1);

/** The adapter's side of a function. */
export const ADAPTER = object<AdapterState>({
  commandBar: object<CommandBarState>({
    area: hexBytes(0, COMMAND_AREA_BYTES),
    payloadWaits: FLAG,
    responseWaits: FLAG,
    busyLoads: whole(0, 2 ** 31),
  }),
  sba: orNull(multiple(PAGE_SIZE, 0, Number.MAX_SAFE_INTEGER)),
  ieq: orNull(multiple(PAGE_SIZE, 0, Number.MAX_SAFE_INTEGER)),
  ieqSlot: whole(0, IEQ.SLOTS - 1),
  ieqUnread: whole(0, IEQ.SLOTS),
  vlanRequired: FLAG,
  vlans: list(VLAN_ID, { most: VLAN.COUNT }),
  dmbs: list(object<DmbState>({
    token: TOKEN,
    iova: multiple(PAGE_SIZE, 0, Number.MAX_SAFE_INTEGER),
    length: multiple(DMB.UNIT, DMB.UNIT, DMB.MAX),
    sbaIndex: SBA_INDEX,
    vlanId: orNull(VLAN_ID),
    rgid: HEX_64,
  })),
  statistics: object<AdapterStatistics>({ ieqOverflows: COUNT, ieqFull: COUNT }),
});
