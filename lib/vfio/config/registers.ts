/**
 * The type 0 header and the MSI capability as data. Names and offsets are those of pci_regs.h and setpci; who
 * answers a read and where a write goes is the vfio-pci view of an ISM function.
 */
import { allOnes, type Width } from "./word.ts";

/** A named group of bits of a register. */
export interface BitField {
  readonly name: string;
  readonly mask: number;
}

/** One row of a register table. */
export interface ConfigRegister {
  readonly name: string;
  /** From the start of config space; in an MSI table, from the start of the capability. */
  readonly offset: number;
  readonly size: Width;
  /** Who answers a read: the shadow of the open device, or the machine. */
  readonly read: "virtual" | "hardware";
  /** What a write does. Dropped writes still count as written. */
  readonly write: "drop" | "virtual" | "hardware";
  /** The exact bits that the shadow answers, where `read` is not true of all bits. */
  readonly virtualBits?: number;
  /** The exact bits that a write changes, where `write` is not true of all bits. */
  readonly writableBits?: number;
  readonly fields?: readonly BitField[];
}

/** Bits that the vfio rules name. */
export const COMMAND_IO = 0x0001, COMMAND_MEMORY = 0x0002, COMMAND_INTX_DISABLE = 0x0400;
/** STATUS: the function has a capability list. */
export const STATUS_CAP_LIST = 0x0010;
/** MSI control word: bits that the fix-up of a write settles. */
export const MSI_FLAGS_ENABLE = 0x0001, MSI_FLAGS_QSIZE = 0x0070;
/** MSI control word: bits that decide the layout of the capability. */
export const MSI_FLAGS_64BIT = 0x0080, MSI_FLAGS_MASKBIT = 0x0100;

/** Length of an MSI capability: 32-bit, 64-bit, 32-bit with mask, 64-bit with mask. */
export type MsiLength = 10 | 14 | 20 | 24;

const COMMAND_FIELDS: readonly BitField[] = [
  { name: "IO", mask: COMMAND_IO },
  { name: "MEMORY", mask: COMMAND_MEMORY },
  { name: "MASTER", mask: 0x0004 },
  { name: "SPECIAL", mask: 0x0008 },
  { name: "INVALIDATE", mask: 0x0010 },
  { name: "VGA_PALETTE", mask: 0x0020 },
  { name: "PARITY", mask: 0x0040 },
  { name: "WAIT", mask: 0x0080 },
  { name: "SERR", mask: 0x0100 },
  { name: "FAST_BACK", mask: 0x0200 },
  { name: "INTX_DISABLE", mask: COMMAND_INTX_DISABLE },
];

const STATUS_FIELDS: readonly BitField[] = [
  { name: "INTERRUPT", mask: 0x0008 },
  { name: "CAP_LIST", mask: STATUS_CAP_LIST },
  { name: "66MHZ", mask: 0x0020 },
  { name: "UDF", mask: 0x0040 },
  { name: "FAST_BACK", mask: 0x0080 },
  { name: "PARITY", mask: 0x0100 },
  { name: "DEVSEL", mask: 0x0600 },
  { name: "SIG_TARGET_ABORT", mask: 0x0800 },
  { name: "REC_TARGET_ABORT", mask: 0x1000 },
  { name: "REC_MASTER_ABORT", mask: 0x2000 },
  { name: "SIG_SYSTEM_ERROR", mask: 0x4000 },
  { name: "DETECTED_PARITY", mask: 0x8000 },
];

const MSI_FLAGS_FIELDS: readonly BitField[] = [
  { name: "ENABLE", mask: MSI_FLAGS_ENABLE },
  { name: "QMASK", mask: 0x000e },
  { name: "QSIZE", mask: MSI_FLAGS_QSIZE },
  { name: "64BIT", mask: MSI_FLAGS_64BIT },
  { name: "MASKBIT", mask: MSI_FLAGS_MASKBIT },
];

const FIXED = { read: "hardware", write: "drop" } as const;
const THROUGH = { read: "hardware", write: "hardware" } as const;
const SHADOW = { read: "virtual", write: "virtual" } as const;
const CONSTANT = { read: "virtual", write: "drop" } as const;

/** The type 0 header. Bytes without a row are reserved: read from hardware, writes dropped. */
export const HEADER_REGISTERS = defineRegisters(64, [
  { name: "VENDOR_ID", offset: 0x00, size: 2, ...CONSTANT },
  { name: "DEVICE_ID", offset: 0x02, size: 2, ...CONSTANT },
  {
    name: "COMMAND",
    offset: 0x04,
    size: 2,
    ...THROUGH,
    virtualBits: COMMAND_INTX_DISABLE,
    fields: COMMAND_FIELDS,
  },
  { name: "STATUS", offset: 0x06, size: 2, ...FIXED, virtualBits: STATUS_CAP_LIST, fields: STATUS_FIELDS },
  { name: "REVISION", offset: 0x08, size: 1, ...FIXED },
  { name: "CLASS_PROG", offset: 0x09, size: 1, ...FIXED },
  { name: "CLASS_DEVICE", offset: 0x0a, size: 2, ...FIXED },
  { name: "CACHE_LINE_SIZE", offset: 0x0c, size: 1, ...THROUGH },
  { name: "LATENCY_TIMER", offset: 0x0d, size: 1, ...THROUGH },
  { name: "HEADER_TYPE", offset: 0x0e, size: 1, ...FIXED },
  { name: "BIST", offset: 0x0f, size: 1, ...THROUGH },
  { name: "BASE_ADDRESS_0", offset: 0x10, size: 4, ...SHADOW },
  { name: "BASE_ADDRESS_1", offset: 0x14, size: 4, ...SHADOW },
  { name: "BASE_ADDRESS_2", offset: 0x18, size: 4, ...SHADOW },
  { name: "BASE_ADDRESS_3", offset: 0x1c, size: 4, ...SHADOW },
  { name: "BASE_ADDRESS_4", offset: 0x20, size: 4, ...SHADOW },
  { name: "BASE_ADDRESS_5", offset: 0x24, size: 4, ...SHADOW },
  { name: "CARDBUS_CIS", offset: 0x28, size: 4, ...FIXED },
  { name: "SUBSYSTEM_VENDOR_ID", offset: 0x2c, size: 2, ...FIXED },
  { name: "SUBSYSTEM_ID", offset: 0x2e, size: 2, ...FIXED },
  { name: "ROM_ADDRESS", offset: 0x30, size: 4, ...SHADOW },
  { name: "CAPABILITY_LIST", offset: 0x34, size: 1, ...CONSTANT },
  { name: "INTERRUPT_LINE", offset: 0x3c, size: 1, ...SHADOW },
  { name: "INTERRUPT_PIN", offset: 0x3d, size: 1, ...CONSTANT },
  { name: "MIN_GNT", offset: 0x3e, size: 1, ...FIXED },
  { name: "MAX_LAT", offset: 0x3f, size: 1, ...FIXED },
]);

const MSI_HEAD: readonly ConfigRegister[] = [
  { name: "MSI_ID", offset: 0, size: 1, ...FIXED },
  { name: "MSI_NEXT", offset: 1, size: 1, ...CONSTANT },
  // Only the low byte is the shadow's; the high byte is the machine's and drops writes.
  {
    name: "MSI_FLAGS",
    offset: 2,
    size: 2,
    ...SHADOW,
    virtualBits: 0xff,
    writableBits: 0xff,
    fields: MSI_FLAGS_FIELDS,
  },
  { name: "MSI_ADDRESS_LO", offset: 4, size: 4, ...SHADOW },
];
const MSI_BODY_32: readonly ConfigRegister[] = [{ name: "MSI_DATA", offset: 8, size: 2, ...SHADOW }];
const MSI_BODY_64: readonly ConfigRegister[] = [
  { name: "MSI_ADDRESS_HI", offset: 8, size: 4, ...SHADOW },
  { name: "MSI_DATA", offset: 12, size: 2, ...SHADOW },
];

/** The MSI capability by its length; offsets count from the start of the capability. */
export const MSI_REGISTERS: Readonly<Record<MsiLength, readonly ConfigRegister[]>> = {
  10: defineRegisters(10, [...MSI_HEAD, ...MSI_BODY_32]),
  14: defineRegisters(14, [...MSI_HEAD, ...MSI_BODY_64]),
  20: defineRegisters(20, [...MSI_HEAD, ...MSI_BODY_32, ...msiMaskRows(12)]),
  24: defineRegisters(24, [...MSI_HEAD, ...MSI_BODY_64, ...msiMaskRows(16)]),
};

function msiMaskRows(offset: number): ConfigRegister[] {
  return [
    { name: "MSI_MASK", offset, size: 4, ...THROUGH },
    { name: "MSI_PENDING", offset: offset + 4, size: 4, ...THROUGH },
  ];
}

/**
 * Checks a register table of `size` bytes and returns it in the order given.
 *
 * @throws {TypeError} if a row is misaligned, overlaps another, ends beyond `size`, repeats a name, names
 * bits outside itself, or writes to a place other than the one it reads from.
 */
export function defineRegisters(size: number, rows: readonly ConfigRegister[]): readonly ConfigRegister[] {
  const names = new Set<string>();
  let end = 0;
  for (const row of [...rows].sort((a, b) => a.offset - b.offset)) {
    const wrong = (what: string) => new TypeError(`Register ${row.name} ${what}`);
    if (names.has(row.name)) throw wrong("is named twice");
    names.add(row.name);
    if (row.offset % row.size !== 0) throw wrong("is misaligned");
    if (row.offset < end) throw wrong("overlaps the one before it");
    end = row.offset + row.size;
    if (end > size) throw wrong(`ends at ${end}, beyond ${size}`);
    if (row.write !== "drop" && row.write !== row.read) throw wrong("writes where it does not read");
    const masks = [
      row.virtualBits ?? 0,
      row.writableBits ?? 0,
      ...(row.fields ?? []).map((field) => field.mask),
    ];
    if (masks.some((mask) => mask > allOnes(row.size))) throw wrong("names bits outside itself");
  }
  return rows;
}

/** The bits of a register that the shadow answers. */
export function virtualBitsOf(register: ConfigRegister): number {
  return register.virtualBits ?? (register.read === "virtual" ? allOnes(register.size) : 0);
}

/** The bits of a register that a write changes, in the shadow or in the machine. */
export function writableBitsOf(register: ConfigRegister): number {
  return register.writableBits ?? (register.write === "drop" ? 0 : allOnes(register.size));
}

/** All named registers at their place in config space; those of MSI if `msiOffset` says where it is. */
export function listRegisters(msiOffset?: number, msiLength: MsiLength = 14): ConfigRegister[] {
  if (msiOffset === undefined) return [...HEADER_REGISTERS];
  const msi = MSI_REGISTERS[msiLength].map((row) => ({ ...row, offset: msiOffset + row.offset }));
  return [...HEADER_REGISTERS, ...msi];
}

/** Finds a register by name, in any letter case, at its place in config space. */
export function findRegister(
  name: string,
  msiOffset?: number,
  msiLength: MsiLength = 14,
): ConfigRegister | undefined {
  const wanted = name.toUpperCase();
  return listRegisters(msiOffset, msiLength).find((register) => register.name === wanted);
}

/** The number that a bit field holds in `value`. */
export function fieldValue(field: BitField, value: number): number {
  return ((value & field.mask) >>> 0) / ((field.mask & -field.mask) >>> 0);
}

/** Names what is set in `value`: a single bit by its name, a wider field always as `NAME=number`. */
export function decodeBits(register: ConfigRegister, value: number): string[] {
  return (register.fields ?? []).flatMap((field) => {
    const isSingleBit = (field.mask & (field.mask - 1)) === 0;
    if (!isSingleBit) return [`${field.name}=${fieldValue(field, value)}`];
    return (value & field.mask) === 0 ? [] : [field.name];
  });
}
