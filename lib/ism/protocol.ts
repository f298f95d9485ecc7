/**
 * What both ends of an ISM function agree on: command codes and layouts, BAR 0 offsets, SBA and IEQ. Everything is
 * big-endian. Facts: docs/reference/ism/commands.md, ism/data.md, ism/signals.md and ism/adapter.md
 * (drivers/s390/net/ism.h).
 */
import { defineStruct, type FieldRow, type Struct } from "../base/struct.ts";

/** PCI identity. */
export const ISM_VENDOR_ID = 0x1014;
export const ISM_DEVICE_ID = 0x04ed;
/** zPCI function type of ISM. */
export const PFT_ISM = 5;
/** The BAR that stores into DMBs, and the BAR that takes commands. */
export const DATA_BAR = 0;
export const COMMAND_BAR = 2;

/** Header of a command, 8 bytes at offset 0 of BAR 2; storing it starts the command. */
export const REQUEST_HEADER = defineStruct("be", 8, { code: [0, "u32"], length: [6, "u16"] });
/** Header of a response, at the same place. */
export const RESPONSE_HEADER = defineStruct("be", 8, {
  code: [0, "u32"],
  ret: [4, "u16"],
  length: [6, "u16"],
});
export const HEADER_BYTES = 8;
/** Fields of both headers one by one: they are read and written with every command. */
export const REQUEST_CODE = REQUEST_HEADER.field("code");
export const REQUEST_LENGTH = REQUEST_HEADER.field("length");
export const RESPONSE_CODE = RESPONSE_HEADER.field("code");
export const RESPONSE_RET = RESPONSE_HEADER.field("ret");
export const RESPONSE_LENGTH = RESPONSE_HEADER.field("length");

/** What a driver finds in its own buffer when no answer came; never a return code of the device. */
export const NO_ANSWER = 0xffff;

/**
 * Return codes. 0 is success; the others are private to this simulator, because the real ones are not public
 * (ism.cmd.codes).
 */
export const RET = {
  OK: 0x0000,
  UNKNOWN_COMMAND: 0x0001,
  BAD_LENGTH: 0x0002,
  BAD_ADDRESS: 0x0003,
  WRONG_STATE: 0x0004,
  UNKNOWN_TOKEN: 0x0005,
  UNKNOWN_GID: 0x0006,
  BAD_INDEX: 0x0007,
  BAD_VLAN: 0x0008,
  NO_RESOURCES: 0x0009,
  /** A failure of any kind, where the topology gives no reasons. */
  FAILED: 0x000a,
} as const;

const RET_TEXT: Readonly<Record<number, string>> = {
  [RET.UNKNOWN_COMMAND]: "unknown command",
  [RET.BAD_LENGTH]: "bad command length",
  [RET.BAD_ADDRESS]: "bad address, length or alignment of a buffer",
  [RET.WRONG_STATE]: "wrong state: already registered, or not registered",
  [RET.UNKNOWN_TOKEN]: "unknown DMB token",
  [RET.UNKNOWN_GID]: "unknown or unreachable GID",
  [RET.BAD_INDEX]: "index in use or out of range",
  [RET.BAD_VLAN]: "VLAN not allowed",
  [RET.NO_RESOURCES]: "no resources",
  [RET.FAILED]: "failed; this topology gives one return code for every reason",
  [NO_ANSWER]:
    "no answer, all ones came back: the function is gone, or the driver that holds it cannot reach it",
};

/** A return code in words. */
export function retText(ret: number): string {
  return RET_TEXT[ret] ?? "unknown return code";
}

/** One row of the command table: code, layouts with the header included, in bytes. */
export interface CommandLayout<
  Request extends Record<string, FieldRow> = Record<string, FieldRow>,
  Response extends Record<string, FieldRow> = Record<string, FieldRow>,
> {
  readonly code: number;
  readonly request: Struct<Request>;
  readonly response: Struct<Response>;
}

function command<
  const Request extends Record<string, FieldRow>,
  const Response extends Record<string, FieldRow>,
>(
  code: number,
  [requestLength, request]: readonly [number, Request],
  [responseLength, response]: readonly [number, Response],
): CommandLayout<Request, Response> {
  return {
    code,
    request: defineStruct("be", requestLength, request),
    response: defineStruct("be", responseLength, response),
  };
}

/** Commands of ism.cmd.table. Lengths include the header; the response length is exactly the documented one. */
export const COMMANDS = {
  REG_SBA: command(0x01, [16, { sba: [8, "big64"] }], [8, {}]),
  REG_IEQ: command(0x02, [24, { ieq: [8, "big64"], length: [16, "u64"] }], [8, {}]),
  READ_GID: command(0x03, [8, {}], [16, { gid: [8, "big64"] }]),
  ADD_VLAN_ID: command(0x04, [16, { vlanId: [8, "u64"] }], [8, {}]),
  DEL_VLAN_ID: command(0x05, [16, { vlanId: [8, "u64"] }], [8, {}]),
  SET_VLAN: command(0x06, [8, {}], [8, {}]),
  RESET_VLAN: command(0x07, [8, {}], [8, {}]),
  QUERY_INFO: command(0x08, [8, {}], [200, {
    version: [8, "u32"],
    maxLength: [12, "u32"],
    ismState: [16, "u64"],
    gid: [24, "big64"],
    sba: [32, "u64"],
    ieq: [40, "u64"],
    ieqLength: [48, "u32"],
    dmbsOwned: [56, "u32"],
    dmbsUsed: [60, "u32"],
    vlanRequired: [64, "u32"],
    vlanCount: [68, "u32"],
    vlanIds: [72, "bytes", 128],
  }]),
  QUERY_RGID: command(0x09, [24, { rgid: [8, "big64"], vlanValid: [16, "u32"], vlanId: [20, "u32"] }], [
    8,
    {},
  ]),
  REG_DMB: command(0x0a, [40, {
    dmb: [8, "big64"],
    length: [16, "u32"],
    sbaIndex: [20, "u32"],
    vlanValid: [24, "u32"],
    vlanId: [28, "u32"],
    rgid: [32, "big64"],
  }], [16, { token: [8, "u64"] }]),
  UNREG_DMB: command(0x0b, [16, { token: [8, "u64"] }], [8, {}]),
  SIGNAL_IEQ: command(0x0e, [32, {
    rgid: [8, "big64"],
    triggerIrq: [16, "u32"],
    eventCode: [20, "u32"],
    info: [24, "big64"],
  }], [8, {}]),
  UNREG_SBA: command(0x11, [8, {}], [8, {}]),
  UNREG_IEQ: command(0x12, [8, {}], [8, {}]),
} as const;
export type CommandName = keyof typeof COMMANDS;

const NAME_BY_CODE: ReadonlyMap<number, CommandName> = new Map(
  (Object.keys(COMMANDS) as CommandName[]).map((name) => [COMMANDS[name].code, name]),
);

/** The command name for a code, or undefined. */
export function commandName(code: number): CommandName | undefined {
  return NAME_BY_CODE.get(code);
}

/** Fields of a BAR 0 offset: token | idx << 24 | sf << 23 | offset in the DMB (ism.data.offset). */
export const DATA_OFFSET = {
  /** Token bits are multiples of this. */
  TOKEN_UNIT: 2 ** 28,
  /** Size of BAR 0; offsets and tokens lie below. */
  END: 2 ** 48,
  IDX_UNIT: 2 ** 24,
  SIGNAL_FLAG: 2 ** 23,
  /** Elements of a DMB that a signal can name. */
  IDX_COUNT: 16,
} as const;

/** Composes a BAR 0 offset. The token is added as it is, as drivers OR it in. */
export function dataOffset(token: number, idx: number, signal: boolean, offset: number): number {
  return token + idx * DATA_OFFSET.IDX_UNIT + (signal ? DATA_OFFSET.SIGNAL_FLAG : 0) + offset;
}

/** The SBA: one page; word 0 has the summary and event bits, then DMB bits, then element masks (ism.sba.layout). */
export const SBA = {
  BYTES: 4096,
  SUMMARY: 0x80,
  EVENT: 0x40,
  DMB_BITS: 4,
  MASKS: 256,
  /** DMB indices that the layout has room for. */
  INDICES: 1920,
  /** Indices below this are never used by Linux, so that the scanned bitmap starts at a doubleword. */
  FIRST_INDEX: 32,
} as const;

/** The element mask for an idx: 0x1000 rotated right by idx in 16 bits (assumption, ism.data.element). */
export function elementMask(idx: number): number {
  return (0x1000 >> idx | 0x1000 << (16 - idx)) & 0xffff;
}

/** The IEQ: header and 15 entries in 512 bytes (ism.ieq.layout). */
export const IEQ = {
  BYTES: 512,
  ENTRIES: 32,
  ENTRY_BYTES: 32,
  SLOTS: 15,
} as const;
export const IEQ_HEADER = defineStruct("be", 32, {
  idx: [0, "u64"],
  ieqLength: [8, "u64"],
  entryLength: [16, "u64"],
});
export const IEQ_ENTRY = defineStruct("be", 32, {
  type: [0, "u32"],
  code: [4, "u32"],
  tok: [8, "big64"],
  time: [16, "big64"],
  info: [24, "big64"],
});

/** Event types (ism.event.types). */
export const EVENT_TYPE = { BUFFER: 0, DEVICE: 1, SOFTWARE: 2 } as const;
/** Event codes of types 0 and 1. */
export const EVENT_CODE = {
  GID_ERROR: 0x01,
  OWNER_ERROR: 0x02,
  USER_ERROR: 0x03,
  UNREGISTERED: 0x04,
  VLAN_MISMATCH_OWNER: 0x05,
  VLAN_MISMATCH_USER: 0x06,
  GID_DISABLED: 0x07,
  USER_DISABLED: 0x08,
} as const;

/** Limits of a DMB in bytes (ism.dmb.limits). */
export const DMB = { UNIT: 4096, MAX: 1024 * 1024, BOUNDARY: 1024 * 1024 } as const;

/** VLAN ids: table size, and the reserved id that only ISM V2 accepts. */
export const VLAN = { COUNT: 64, MAX_ID: 0xfff, V2_PROBE: 0x1fff } as const;
