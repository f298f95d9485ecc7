/** Test help: a machine's config space as plain memory that records accesses and can be told to refuse. */
import { ErrnoError } from "../../lib/vfio/errno.ts";
import type { ConfigFacts, ConfigHardware, MsiGrant } from "../../lib/vfio/config/hardware.ts";
import { ConfigSpace } from "../../lib/vfio/config/space.ts";
import { readWord, type Width, writeWord } from "../../lib/vfio/config/word.ts";

/** The BARs of an ISM function: 2^48 bytes at 0 and 64 KiB at 2, both 64-bit and not prefetchable. */
export const ISM_FACTS: ConfigFacts = {
  size: 256,
  barSizes: [2 ** 48, undefined, 2 ** 16, undefined, undefined, undefined],
  bar64: [true, false, true, false, false, false],
  barPrefetch: [false, false, false, false, false, false],
  virtualFunction: true,
};

/** Plain memory: every byte takes what is stored, so what survives was guarded by the shadow. */
export class FakeHardware implements ConfigHardware {
  readonly bytes: Uint8Array;
  /** One entry an access, such as `"load 4@0x10"` or `"store 2@0x42=0x80"`. */
  log: string[] = [];
  /** Refuses each access for which this is true. */
  refuses: (access: string) => boolean = () => false;

  /** Starts with the layout of ism.config.msi; `capabilities` replaces the bytes from 0x40 on. */
  constructor(capabilities: readonly number[] = [0x05, 0x00, 0x80, 0x00], size = 256) {
    this.bytes = new Uint8Array(size);
    this.bytes.set([0x14, 0x10, 0xed, 0x04, 0x00, 0x00, 0x10, 0x00]);
    this.bytes[0x10] = 0x04;
    this.bytes[0x18] = 0x04;
    this.bytes[0x34] = 0x40;
    this.bytes[0x3d] = 0x01;
    this.bytes.set(capabilities, 0x40);
  }

  load(offset: number, width: Width): number {
    this.#record(`load ${width}@0x${offset.toString(16)}`);
    return readWord(this.bytes, offset, width);
  }

  store(offset: number, width: Width, value: number): void {
    this.#record(`store ${width}@0x${offset.toString(16)}=0x${value.toString(16)}`);
    writeWord(this.bytes, offset, width, value);
  }

  #record(access: string): void {
    this.log.push(access);
    if (!this.refuses(access)) return;
    throw new ErrnoError("EIO", {
      layer: "instruction",
      ref: "zpci.handle.stale",
      rule: "condition code 3",
      source: "arch/s390/pci/pci_insn.c: zpci_load",
      message: "The function handle is not valid",
    });
  }
}

/** A config space over fake hardware, with shortcuts that speak in numbers. */
export class Bench {
  grant: MsiGrant = { enabled: false, vectorsLog2: 0 };
  readonly space: ConfigSpace;

  constructor(readonly hardware = new FakeHardware(), facts: Partial<ConfigFacts> = {}) {
    const size = hardware.bytes.length;
    this.space = ConfigSpace.build(hardware, { ...ISM_FACTS, size, ...facts }, () => this.grant);
    this.hardware.log = [];
  }

  /** Reads one value. */
  get(offset: number, width: Width = 4): number {
    const buffer = new Uint8Array(width);
    this.space.read(offset, buffer, width);
    return readWord(buffer, 0, width);
  }

  /** Writes one value and returns what the write returned. */
  set(offset: number, value: number, width: Width = 4): number {
    const buffer = new Uint8Array(width);
    writeWord(buffer, 0, width, value);
    return this.space.write(offset, buffer, width);
  }
}

/** The errno that `act` fails with, or `undefined` when it succeeds. */
export function errnoOf(act: () => unknown): ErrnoError | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof ErrnoError) return error;
    throw error;
  }
}
