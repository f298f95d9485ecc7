import {
  type ConfigRegister,
  HEADER_REGISTERS,
  MSI_FLAGS_64BIT,
  MSI_FLAGS_MASKBIT,
  MSI_REGISTERS,
  type MsiLength,
  virtualBitsOf,
  writableBitsOf,
} from "./registers.ts";
import type { ConfigHardware } from "./hardware.ts";
import { readWord, type Width, writeWord } from "./word.ts";

/** Length of the standard header. */
export const HEADER_SIZE = 0x40;
/** End of the bytes in which capabilities lie, whatever the size of config space. */
export const CAPABILITIES_END = 0x100;

/**
 * How a byte is handled: `header`, `msi` and `masked` obey the bit masks, the first two with more to do;
 * `read-only` has no write handler at all; `raw` passes writes to hardware as they are.
 */
export type ConfigKind = "header" | "msi" | "masked" | "read-only" | "raw";

/** A capability that the user sees. */
export interface Capability {
  readonly id: number;
  readonly start: number;
  readonly length: number;
}

/** What the map says of one byte. */
export interface BytePermission {
  /** Bits that the shadow answers; all others are read from hardware. */
  readonly virtualBits: number;
  /** Bits that a write changes; a `raw` byte ignores this. */
  readonly writableBits: number;
  readonly kind: ConfigKind;
}

interface CapabilityRule {
  readonly kind: ConfigKind;
  readonly length: (start: number, hardware: ConfigHardware) => number;
  readonly rows?: readonly ConfigRegister[];
}

/**
 * The PME bits read 0 in the shadow. Differs from vfio-pci, which traps writes of the power state: they are
 * accepted and dropped like all others here, because ISM has no power states.
 */
const PM_ROWS: readonly ConfigRegister[] = [
  { name: "PM_PMC", offset: 2, size: 2, read: "hardware", write: "drop", virtualBits: 0xf800 },
  { name: "PM_CTRL", offset: 4, size: 2, read: "hardware", write: "drop", virtualBits: 0x8100 },
];

/** Capability id of MSI. */
export const CAP_ID_MSI = 0x05;

/** The ids that vfio shows to the user; every other one is hidden. Lengths are those of pci_regs.h. */
const CAPABILITY_RULES: Readonly<Record<number, CapabilityRule>> = {
  0x01: { kind: "masked", length: () => 8, rows: PM_ROWS },
  // VPD, PCI-X, PCIe and AF have rules of their own in the kernel; on ISM they are assumed absent.
  0x03: { kind: "masked", length: () => 8 },
  [CAP_ID_MSI]: { kind: "msi", length: msiLength },
  0x07: { kind: "masked", length: (start, hardware) => hardware.load(start + 2, 2) & 0x3000 ? 24 : 8 },
  0x09: { kind: "raw", length: (start, hardware) => hardware.load(start + 2, 1) },
  0x10: { kind: "masked", length: (start, hardware) => (hardware.load(start + 2, 2) & 0xf) === 1 ? 20 : 60 },
  0x11: { kind: "read-only", length: () => 12 },
  0x13: { kind: "masked", length: () => 6 },
};

function msiLength(start: number, hardware: ConfigHardware): MsiLength {
  const flags = hardware.load(start + 2, 2);
  if (flags & MSI_FLAGS_MASKBIT) return flags & MSI_FLAGS_64BIT ? 24 : 20;
  return flags & MSI_FLAGS_64BIT ? 14 : 10;
}

/** The length of a capability that vfio shows, or 0 for one that it hides. */
export function visibleLength(id: number, start: number, hardware: ConfigHardware): number {
  return CAPABILITY_RULES[id]?.length(start, hardware) ?? 0;
}

/** Bits of the capability's shadow that are cleared when it is built. */
export function clearPowerEventBits(capability: Capability, shadow: Uint8Array): void {
  for (const row of CAPABILITY_RULES[capability.id]?.rows ?? []) {
    const at = capability.start + row.offset;
    writeWord(shadow, at, row.size, readWord(shadow, at, row.size) & ~virtualBitsOf(row));
  }
}

/** For every byte of config space: who answers a read, what a write does, and where its extent ends. */
export class PermissionMap {
  readonly capabilities: readonly Capability[];
  readonly #virtual: Uint8Array;
  readonly #writable: Uint8Array;
  /** Index into `#kinds`; bytes next to each other with the same owner are one extent. */
  readonly #owner: Uint8Array;
  readonly #kinds: ConfigKind[] = ["raw", "header"];

  /** Builds the map of `size` bytes from the capabilities found when the device was opened. */
  constructor(size: number, capabilities: readonly Capability[]) {
    this.capabilities = capabilities;
    this.#virtual = new Uint8Array(size);
    this.#writable = new Uint8Array(size);
    this.#owner = new Uint8Array(size);
    this.#own(1, 0, HEADER_SIZE, HEADER_REGISTERS);
    capabilities.forEach(({ id, start, length }, index) => {
      const rule = CAPABILITY_RULES[id];
      if (rule === undefined) throw new TypeError(`Capability id ${id} is not one that vfio shows`);
      this.#kinds.push(rule.kind);
      const rows = id === CAP_ID_MSI ? MSI_REGISTERS[length as MsiLength] ?? [] : rule.rows ?? [];
      this.#own(index + 2, start, length, rows);
      if (length > 1) this.#virtual[start + 1] = 0xff; // Reads of the next pointer skip hidden capabilities.
    });
  }

  /** Length of config space in bytes. */
  get size(): number {
    return this.#owner.length;
  }

  /** What holds for one byte. */
  at(offset: number): BytePermission {
    return {
      virtualBits: this.#virtual[offset] ?? 0,
      writableBits: this.#writable[offset] ?? 0,
      kind: this.kindOf(offset),
    };
  }

  /** How the byte at `offset` is handled. */
  kindOf(offset: number): ConfigKind {
    return this.#kinds[this.#owner[offset] ?? 0] ?? "raw";
  }

  /** The capability that owns the byte at `offset`. */
  capabilityAt(offset: number): Capability | undefined {
    return this.capabilities[(this.#owner[offset] ?? 0) - 2];
  }

  /** The end of the run of bytes from `offset` that belong to the same capability, the header, or to none. */
  extentEnd(offset: number): number {
    let end = offset + 1;
    while (end < this.size && this.#owner[end] === this.#owner[offset]) end++;
    return end;
  }

  /** The virtual bits of `width` bytes. */
  virtualBits(offset: number, width: Width): number {
    return readWord(this.#virtual, offset, width);
  }

  /** The writable bits of `width` bytes. */
  writableBits(offset: number, width: Width): number {
    return readWord(this.#writable, offset, width);
  }

  /** Gives bytes to an owner; a later capability wins where two overlap. */
  #own(owner: number, start: number, length: number, rows: readonly ConfigRegister[]): void {
    const end = Math.min(start + length, CAPABILITIES_END);
    this.#owner.fill(owner, start, end);
    this.#virtual.fill(0, start, end);
    this.#writable.fill(0, start, end);
    for (const row of rows.filter((row) => start + row.offset + row.size <= end)) {
      writeWord(this.#virtual, start + row.offset, row.size, virtualBitsOf(row));
      writeWord(this.#writable, start + row.offset, row.size, writableBitsOf(row));
    }
  }
}
