/**
 * CLP (call logical processor) for PCI: request and response blocks. Facts: docs/reference/zpci/clp.md
 * (arch/s390/include/asm/pci_clp.h, QEMU hw/s390x/s390-pci-inst.c: clp_service_call).
 */
import { defineStruct } from "../base/struct.ts";
import type { ControlEvent } from "../base/trace.ts";
import { CC, ProgramException } from "./answer.ts";
import { HANDLE_ENABLED } from "./handle.ts";
import type { FunctionGroup, ZpciFunction } from "./function.ts";
import type { Partition } from "./partition.ts";

/** Command codes. */
export const CLP = {
  STORE_CHARACTERISTICS: 0x0001,
  LIST_PCI: 0x0002,
  QUERY_FUNCTION: 0x0003,
  QUERY_GROUP: 0x0004,
  SET_FUNCTION: 0x0005,
} as const;

/** Logical processors: that of the machine itself, and that of PCI, which all commands but one are for. */
export const CLP_PROCESSOR = { BASE: 0, PCI: 2 } as const;

/** Response codes. */
export const CLP_RESPONSE = {
  OK: 0x0010,
  COMMAND_UNKNOWN: 0x0020,
  BAD_FORMAT: 0x0040,
  BAD_LENGTH: 0x0050,
  RESPONSE_TOO_SMALL: 0x0060,
  RESERVED_NOT_ZERO: 0x0070,
  NO_DATA: 0x0080,
  INVALID_HANDLE: 0x0101,
  HANDLE_NOT_VALID: 0x0102,
  INVALID_DMA_SPACES: 0x0103,
  INSUFFICIENT_RESOURCES: 0x0104,
  ALREADY_IN_STATE: 0x0105,
  PERMANENT_ERROR: 0x0106,
  RESUME_TOKEN_UNKNOWN: 0x010a,
  GROUP_UNKNOWN: 0x010b,
} as const;

/** Operations of Set PCI Function. */
export const SET_FUNCTION = { ENABLE: 0, DISABLE: 1, ENABLE_MIO: 2, DISABLE_MIO: 3 } as const;

const HEADER = 16;
const REQUEST_BYTES = 32;
const LIST_ENTRY_BYTES = 16;
const LIST_HEADER_BYTES = 32;

/** Header of a request; the response header has the response code where the request has the command. */
export const CLP_HEADER = defineStruct("be", HEADER, {
  length: [0, "u16"],
  code: [2, "u16"],
  /** Format in the top four bits, the rest reserved. */
  format: [4, "u32"],
  reserved: [8, "big64"],
});
const FORMAT_UNIT = 0x1000_0000;

/** Response of store characteristics; its request is a header alone. */
export const CHARACTERISTICS_RESPONSE = defineStruct("be", 128, {
  installedFacilities: [32, "bytes", 32],
  /** Of PCI: 0x80000000 says that the bit of MIO write-back is told, bits 24 to 29 which one it is. */
  writeBack: [80, "u32"],
  /** The bit whose number, from the left, is a command's code. */
  installedCommands: [96, "bytes", 32],
});

export const LIST_REQUEST = defineStruct("be", REQUEST_BYTES, { resumeToken: [16, "u64"] });
export const LIST_RESPONSE = defineStruct("be", LIST_HEADER_BYTES, {
  resumeToken: [16, "u64"],
  mdd: [24, "u32"],
  maxFunctions: [28, "u16"],
  flags: [30, "u8"],
  entrySize: [31, "u8"],
});
export const LIST_ENTRY = defineStruct("be", LIST_ENTRY_BYTES, {
  deviceId: [0, "u16"],
  vendorId: [2, "u16"],
  configured: [4, "u32"],
  fid: [8, "u32"],
  fh: [12, "u32"],
});

export const QUERY_FUNCTION_REQUEST = defineStruct("be", REQUEST_BYTES, { fh: [16, "u32"] });
/** Query PCI Function response with the MIO tail. BAR words are little-endian bytes, the rest big-endian. */
export const QUERY_FUNCTION_RESPONSE = defineStruct("be", 384, {
  vfn: [16, "u16"],
  flags: [18, "u8"],
  pfgid: [19, "u8"],
  fid: [20, "u32"],
  barExponents: [24, "bytes", 6],
  pchid: [30, "u16"],
  bars: [32, "bytes", 24],
  pfip: [56, "bytes", 4],
  fidparm: [60, "u8"],
  port: [61, "u8"],
  fmbWords: [62, "u8"],
  pft: [63, "u8"],
  sdma: [64, "u64"],
  edma: [72, "u64"],
  rid: [80, "u16"],
  tid: [86, "u16"],
  uid: [124, "u32"],
  utilityString: [128, "bytes", 64],
  mioValid: [256, "u32"],
});
/** Flags of a Query PCI Function response. */
export const QUERY_FLAGS = { PHYSICAL: 0x08, MIO_AVAILABLE: 0x02, UTILITY_STRING: 0x01 } as const;

export const QUERY_GROUP_REQUEST = defineStruct("be", REQUEST_BYTES, { pfgid: [19, "u8"] });
export const QUERY_GROUP_RESPONSE = defineStruct("be", 64, {
  noi: [16, "u16"],
  version: [18, "u8"],
  flags: [19, "u8"],
  maxstbl: [20, "u16"],
  mui: [22, "u16"],
  dtsm: [24, "u8"],
  dasm: [32, "big64"],
  msia: [40, "big64"],
});
/** Flags of a Query PCI Function Group response. */
export const GROUP_FLAGS = { RELAXED: 0x08, FRAME: 0x02, REFRESH: 0x01 } as const;

export const SET_FUNCTION_REQUEST = defineStruct("be", REQUEST_BYTES, {
  fh: [16, "u32"],
  operation: [22, "u8"],
  dmaSpaces: [23, "u8"],
  gd: [28, "u32"],
});
/** Response without the MIO tail (32 bytes), which ISM never has. */
export const SET_FUNCTION_RESPONSE = defineStruct("be", 32, { fh: [16, "u32"] });

/** One command: how long its request is, its response at least and at most, and what fills it. Returns the response code. */
interface ClpCommand {
  readonly request: number;
  readonly least: number;
  readonly most: number;
  execute(partition: Partition, request: Uint8Array, response: Uint8Array): number;
}

type Commands = Readonly<Record<number, ClpCommand>>;

const BYTES = { request: REQUEST_BYTES } as const;
const PCI_COMMANDS: Commands = {
  [CLP.LIST_PCI]: { ...BYTES, least: LIST_HEADER_BYTES + LIST_ENTRY_BYTES, most: Infinity, execute: listPci },
  [CLP.QUERY_FUNCTION]: { ...BYTES, least: 192, most: QUERY_FUNCTION_RESPONSE.size, execute: queryFunction },
  [CLP.QUERY_GROUP]: { ...BYTES, least: 64, most: QUERY_GROUP_RESPONSE.size, execute: queryGroup },
  [CLP.SET_FUNCTION]: { ...BYTES, least: 32, most: SET_FUNCTION_RESPONSE.size, execute: setFunction },
};

/** The same where store characteristics is answered; the base processor then knows it, and nothing else. */
const ANSWERED = {
  pci: { ...PCI_COMMANDS, [CLP.STORE_CHARACTERISTICS]: storeCharacteristics(Object.keys(PCI_COMMANDS)) },
  base: { [CLP.STORE_CHARACTERISTICS]: storeCharacteristics([]) },
} satisfies Record<string, Commands>;
const NOTHING: Commands = {};

/** The commands that a logical processor knows on this machine. */
function commandsOf(lps: number, { options }: Partition): Commands {
  const answered = options.storeCharacteristics === "answered";
  if (lps === CLP_PROCESSOR.PCI) return answered ? ANSWERED.pci : PCI_COMMANDS;
  return answered && lps === CLP_PROCESSOR.BASE ? ANSWERED.base : NOTHING;
}

/** Store characteristics: its own command and `others` are installed; no facility is told, as ISM has no MIO. */
function storeCharacteristics(others: readonly string[]): ClpCommand {
  const size = CHARACTERISTICS_RESPONSE.size;
  return {
    request: HEADER,
    least: size,
    most: size,
    execute(_partition, _request, response) {
      const installedCommands = new Uint8Array(32);
      for (const code of [CLP.STORE_CHARACTERISTICS, ...others.map(Number)]) {
        installedCommands[code >> 3]! |= 0x80 >> (code & 7);
      }
      CHARACTERISTICS_RESPONSE.encode({ installedCommands }, response);
      return CLP_RESPONSE.OK;
    },
  };
}

function listPci(partition: Partition, request: Uint8Array, response: Uint8Array): number {
  const listed = partition.functions.filter((fn) => fn.state !== "reserved");
  const { resumeToken } = LIST_REQUEST.decode(request);
  if (resumeToken !== 0 && resumeToken >= listed.length) return CLP_RESPONSE.RESUME_TOKEN_UNKNOWN;
  const room = Math.floor((response.length - LIST_HEADER_BYTES) / LIST_ENTRY_BYTES);
  const page = listed.slice(resumeToken, resumeToken + room);
  const next = resumeToken + page.length;
  LIST_RESPONSE.encode({
    resumeToken: next < listed.length ? next : 0,
    mdd: 0x00ff_0000,
    maxFunctions: 4096,
    flags: 1,
    entrySize: LIST_ENTRY_BYTES,
  }, response);
  page.forEach((fn, i) => {
    LIST_ENTRY.encode(
      {
        deviceId: fn.model.config.read(2) | fn.model.config.read(3) << 8,
        vendorId: fn.model.config.read(0) | fn.model.config.read(1) << 8,
        configured: fn.state === "standby" ? 0 : HANDLE_ENABLED,
        fid: fn.identity.fid,
        fh: fn.fh,
      },
      response,
      LIST_HEADER_BYTES + i * LIST_ENTRY_BYTES,
    );
  });
  CLP_HEADER.encode({ length: LIST_HEADER_BYTES + page.length * LIST_ENTRY_BYTES }, response);
  return CLP_RESPONSE.OK;
}

function queryFunction(partition: Partition, request: Uint8Array, response: Uint8Array): number {
  const fn = anyByHandle(partition, QUERY_FUNCTION_REQUEST.decode(request).fh);
  if (fn === undefined) return CLP_RESPONSE.INVALID_HANDLE;
  const { identity } = fn;
  const hasUtilityString = identity.utilityString.some((byte) => byte !== 0);
  const bars = new Uint8Array(24);
  identity.barFlags.forEach((flags, bar) => bars[bar * 4] = flags);
  const values = {
    ...identity,
    flags: (identity.vfn === 0 ? QUERY_FLAGS.PHYSICAL : 0) |
      (hasUtilityString ? QUERY_FLAGS.UTILITY_STRING : 0),
    pfgid: fn.group.pfgid,
    barExponents: Uint8Array.from(identity.barExponents),
    bars,
    fmbWords: identity.fmbLength / 4,
  };
  const full = QUERY_FUNCTION_RESPONSE.encode(values);
  response.set(full.subarray(HEADER, Math.min(response.length, full.length)), HEADER);
  return CLP_RESPONSE.OK;
}

function queryGroup(partition: Partition, request: Uint8Array, response: Uint8Array): number {
  const group: FunctionGroup | undefined = partition.groups.get(QUERY_GROUP_REQUEST.decode(request).pfgid);
  if (group === undefined) return CLP_RESPONSE.GROUP_UNKNOWN;
  const flags = (group.relaxed ? GROUP_FLAGS.RELAXED : 0) | (group.refresh ? GROUP_FLAGS.REFRESH : 0);
  const { noi, version, maxstbl, mui, dtsm, dasm, msia } = group;
  QUERY_GROUP_RESPONSE.encode({ noi, version, flags, maxstbl, mui, dtsm, dasm, msia }, response);
  return CLP_RESPONSE.OK;
}

function setFunction(partition: Partition, request: Uint8Array, response: Uint8Array): number {
  const { fh, operation, dmaSpaces } = SET_FUNCTION_REQUEST.decode(request);
  const fn = anyByHandle(partition, fh);
  if (fn === undefined) return CLP_RESPONSE.INVALID_HANDLE;
  if (operation === SET_FUNCTION.ENABLE) {
    if (dmaSpaces === 0) return CLP_RESPONSE.INVALID_DMA_SPACES;
    if (dmaSpaces > 1) return CLP_RESPONSE.INSUFFICIENT_RESOURCES;
    if (fn.state !== "disabled") return CLP_RESPONSE.HANDLE_NOT_VALID;
    fn.enable();
  } else if (operation === SET_FUNCTION.DISABLE) {
    if (fn.state === "disabled" || fn.state === "standby") return CLP_RESPONSE.HANDLE_NOT_VALID;
    if (fn.state === "permanent-error") return CLP_RESPONSE.PERMANENT_ERROR;
    fn.disable();
  } else {
    return CLP_RESPONSE.HANDLE_NOT_VALID;
  }
  SET_FUNCTION_RESPONSE.encode({ fh: fn.fh }, response);
  return CLP_RESPONSE.OK;
}

function anyByHandle(partition: Partition, fh: number): ZpciFunction | undefined {
  const fn = partition.byHandle(fh);
  return fn === undefined || fn.state === "reserved" ? undefined : fn;
}

/**
 * Executes a request that lies at the start of `block`, its response area right behind it, on the logical processor
 * `lps`.
 *
 * @returns the condition code: 0, or 3 where QEMU answers that
 * @throws {ProgramException} operand: lengths against the rules of zpci.clp.lengths
 */
export function clp(partition: Partition, block: Uint8Array, lps: number = CLP_PROCESSOR.PCI): number {
  const request = CLP_HEADER.decode(block);
  const requestLength = request.length;
  const responseLength = block.length >= requestLength + HEADER
    ? CLP_HEADER.decode(block, requestLength).length
    : 0;
  if (
    requestLength < 16 || requestLength > 8184 || requestLength % 8 !== 0 || responseLength < 8 ||
    responseLength > 8176 || responseLength % 8 !== 0 || requestLength + responseLength > 8192 ||
    requestLength + responseLength > block.length
  ) {
    throw new ProgramException("operand", "CLP with lengths against the rules");
  }
  const response = block.subarray(requestLength, requestLength + responseLength);
  response.fill(0);
  CLP_HEADER.encode({ length: responseLength }, response);
  const commands = commandsOf(lps, partition);
  const [cc, code] = respond(partition, commands, block.subarray(0, requestLength), response);
  CLP_HEADER.encode({ code }, response);
  if (partition.tracer.sink !== undefined) {
    partition.tracer.point({
      ...clpEvent(partition, block, request.code, requestLength),
      cc,
      response: code,
    });
  }
  return cc;
}

/** Commands whose request names a function by its handle, all at the same place. */
const WITH_HANDLE: ReadonlySet<number> = new Set([CLP.QUERY_FUNCTION, CLP.SET_FUNCTION]);
const COMMAND_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(CLP).map(([name, command]) => [command, name]),
);

function clpEvent(partition: Partition, block: Uint8Array, code: number, length: number): ControlEvent {
  const name = COMMAND_NAMES.get(code);
  const command = name === undefined ? code : { value: code, name };
  const event = {
    layer: "insn",
    op: "CLP",
    guest: partition.name,
    args: { command, length },
    status: 0,
  } as const;
  if (!WITH_HANDLE.has(code) || length < REQUEST_BYTES) return event;
  const { fh } = QUERY_FUNCTION_REQUEST.decode(block);
  return { ...event, fh, fid: partition.fidOf(fh) };
}

function respond(
  partition: Partition,
  commands: Commands,
  request: Uint8Array,
  response: Uint8Array,
): readonly [cc: number, code: number] {
  const { code, format, reserved } = CLP_HEADER.decode(request);
  const command = commands[code];
  if (command === undefined) return [CC.OK, CLP_RESPONSE.COMMAND_UNKNOWN];
  if (request.length !== command.request) return [CC.OK, CLP_RESPONSE.BAD_LENGTH];
  if (format >= FORMAT_UNIT) return [CC.OK, CLP_RESPONSE.BAD_FORMAT];
  if (format !== 0 || reserved !== 0n) return [CC.OK, CLP_RESPONSE.RESERVED_NOT_ZERO];
  if (response.length < command.least) return [CC.OK, CLP_RESPONSE.RESPONSE_TOO_SMALL];
  if (code === CLP.LIST_PCI && (response.length - LIST_HEADER_BYTES) % LIST_ENTRY_BYTES !== 0) {
    return [CC.INVALID_HANDLE, CLP_RESPONSE.BAD_LENGTH];
  }
  CLP_HEADER.encode({ length: Math.min(response.length, command.most) }, response);
  return [CC.OK, command.execute(partition, request, response)];
}
