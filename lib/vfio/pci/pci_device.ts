/**
 * The PCI core's view of a function: whether its channel works, the header that was saved last, and MSI. Made when the
 * function is scanned, gone when it is removed. Facts: recovery.mark.transitions and vfio.reset.sequence
 * (drivers/pci/pci.c: pci_save_state, pci_restore_state; drivers/pci/msi/msi.c; include/linux/pci.h:
 * pci_channel_state_t).
 */
import { quietly } from "../errno.ts";
import { coreError } from "../refusal.ts";
import type { ReleaseRules } from "../release.ts";
import type { Zdev } from "../s390/zdev.ts";
import { allOnes, type Width } from "../config/word.ts";

/** Whether the function can be talked to, as far as the PCI core goes. */
export const CHANNELS = ["normal", "frozen", "permanent-failure"] as const;
export type Channel = (typeof CHANNELS)[number];

/** State for the host file. */
export interface PciDeviceState {
  readonly channel: Channel;
  /** Header as hexadecimal bytes; null while the one of enumeration stands. */
  readonly saved: string | null;
  /** Offset of the MSI capability, 0 if there is none. */
  readonly msiCapability: number;
}

/** A saved header: 16 dwords from offset 0 on. */
export type SavedHeader = readonly number[];

const HEADER_DWORDS = 16;
const COMMAND = 0x04;
const COMMAND_MEMORY = 0x0002;
const COMMAND_MASTER = 0x0004;
/** What COMMAND is set to before a reset: interrupts by pin off, everything else off. */
const COMMAND_INTX_DISABLE = 0x0400;

const CAPABILITY_POINTER = 0x34;
/** Where Linux gives up on a chain without an end (drivers/pci/pci.c: PCI_FIND_CAP_TTL). */
const MOST_CAPABILITIES = 48;
/** Id of the MSI capability. */
export const MSI_CAPABILITY = 0x05;
const MSI_CONTROL = 2;
const MSI_ADDRESS_LOW = 4;
const MSI_ADDRESS_HIGH = 8;
const MSI_DATA = 12;
const MSI_ENABLE = 1;
const MSI_VECTORS_LOG2 = 0x0e;

/** A function as the PCI core knows it. */
export class PciDevice {
  readonly #zdev: Zdev;
  #channel: Channel = "normal";
  #saved: SavedHeader | undefined = undefined;
  #msiCapability = 0;

  constructor(zdev: Zdev) {
    this.#zdev = zdev;
  }

  get channel(): Channel {
    return this.#channel;
  }

  set channel(channel: Channel) {
    this.#zdev.touch();
    this.#channel = channel;
  }

  /** What puts it back as it is now: the function remembers it with its own fields. */
  remember(): () => void {
    const [channel, saved, msiCapability] = [this.#channel, this.#saved, this.#msiCapability];
    return () => {
      this.#channel = channel;
      this.#saved = saved;
      this.#msiCapability = msiCapability;
    };
  }

  /** Removed and found anew: a new object, as far as anybody can see. The machine has the function enabled. */
  scan(): void {
    this.channel = "normal";
    this.saved = undefined;
    this.#msiCapability = this.#findMsi();
  }

  /** pci_read_config_*: all ones where the machine refuses, and without asking it once the function is given up. */
  read(offset: number, width: Width): number {
    if (this.channel === "permanent-failure") return allOnes(width);
    return quietly(() => this.#zdev.configLoad(offset, width)) ?? allOnes(width);
  }

  /** pci_write_config_*: nobody looks at what becomes of it. */
  write(offset: number, width: Width, value: number): void {
    if (this.channel === "permanent-failure") return;
    quietly(() => this.#zdev.configStore(offset, width, value));
  }

  /** A function that was given up has no config space that could be shown. @throws {ErrnoError} ENODEV */
  checkGivenUp(): void {
    if (this.channel !== "permanent-failure") return;
    throw coreError(
      "ENODEV",
      "vfio.open.marked",
      "permanent failure",
      "drivers/vfio/pci/vfio_pci_config.c: vfio_config_init",
      "The kernel has given the function up after an error, and does not talk to it any more",
      '"ism zpci recover" makes it look again',
    );
  }

  /** pci_clear_master. */
  clearMaster(): void {
    this.#changeCommand(COMMAND_MASTER, 0);
  }

  /** pci_enable_resources: memory decode on. */
  enableResources(): void {
    this.#changeCommand(0, COMMAND_MEMORY);
  }

  /** Leaves COMMAND with nothing on, as before every reset. */
  quiesce(): void {
    this.write(COMMAND, 2, COMMAND_INTX_DISABLE);
  }

  /** The header that was saved last; undefined while that of enumeration stands, which is what a reset brings back. */
  get saved(): SavedHeader | undefined {
    return this.#saved;
  }

  set saved(header: SavedHeader | undefined) {
    this.#zdev.touch();
    this.#saved = header;
  }

  /** pci_save_state: a header that cannot be read is kept by releases that do so only. */
  save({ savesUnreadable }: ReleaseRules): void {
    const header = Array.from({ length: HEADER_DWORDS }, (_, i) => this.read(4 * i, 4));
    if (savesUnreadable || header[COMMAND / 4] !== allOnes(4)) this.saved = header;
  }

  /** pci_dev_save_and_disable: before a reset. From 7.3 on a function that does not answer is left as it is. */
  saveAndDisable(rules: ReleaseRules): void {
    if (!rules.savesUnreadable && this.read(COMMAND, 4) === allOnes(4)) return;
    this.save(rules);
    this.quiesce();
  }

  /**
   * pci_restore_state: writes back what differs, from the highest register down, so that COMMAND comes after the BARs;
   * then MSI, if the kernel has it on, from the kernel's own copy.
   */
  restore(): void {
    for (let i = HEADER_DWORDS - 1; i >= 0; i--) {
      const value = this.read(4 * i, 4);
      const saved = this.#saved?.[i] ?? value;
      if (saved !== value) this.write(4 * i, 4, saved);
    }
    if (this.#zdev.vectors > 0) this.#restoreMsi();
  }

  #restoreMsi(): void {
    this.setMsiEnable(false);
    // The reset has registered them already: the machine answers "sequence".
    quietly(() => this.#zdev.registerInterrupts());
    this.writeMessage();
    this.setMsiEnable(true);
  }

  /** Writes the MSI message: the group's MSI address, and the number of the first vector as data. */
  writeMessage(): void {
    const at = this.#msiCapability;
    if (at === 0) return;
    const { msia } = this.#zdev.facts;
    this.write(at + MSI_ADDRESS_LOW, 4, Number(msia & 0xffff_ffffn));
    this.write(at + MSI_ADDRESS_HIGH, 4, Number(msia >> 32n));
    this.write(at + MSI_DATA, 2, 0);
  }

  /** Switches MSI on or off in the function (drivers/pci/msi/msi.h: pci_msi_set_enable). */
  setMsiEnable(on: boolean): void {
    const at = this.#msiCapability + MSI_CONTROL;
    if (at === MSI_CONTROL) return;
    const control = this.read(at, 2);
    this.write(at, 2, on ? control | MSI_ENABLE : control & ~MSI_ENABLE);
  }

  /**
   * Vectors of the MSI capability at `at`, from the function itself: 128 of one whose config space does not answer, because
   * all ones come back (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_get_irq_count).
   */
  msiVectors(at: number): number {
    return 2 ** ((this.read(at + MSI_CONTROL, 2) & MSI_VECTORS_LOG2) >> 1);
  }

  /** Offset of the MSI capability, found at enumeration (drivers/pci/pci.c: pci_find_capability). */
  #findMsi(): number {
    let at = this.read(CAPABILITY_POINTER, 1);
    for (let rest = MOST_CAPABILITIES; rest > 0 && at !== 0 && at !== allOnes(1); rest--) {
      if (this.read(at, 1) === MSI_CAPABILITY) return at;
      at = this.read(at + 1, 1);
    }
    return 0;
  }

  #changeCommand(clear: number, set: number): void {
    const before = this.read(COMMAND, 2);
    const after = (before & ~clear) | set;
    if (after !== before) this.write(COMMAND, 2, after);
  }

  state(): PciDeviceState {
    return {
      channel: this.channel,
      saved: this.#saved === undefined ? null : headerHex(this.#saved),
      msiCapability: this.#msiCapability,
    };
  }

  restoreState({ channel, saved, msiCapability }: PciDeviceState): void {
    this.channel = channel;
    this.#saved = saved === null ? undefined : headerOf(saved);
    this.#msiCapability = msiCapability;
  }
}

/** A header as hexadecimal bytes, in the order in which they lie in config space. */
export function headerHex(header: SavedHeader): string {
  const bytes = new Uint8Array(4 * HEADER_DWORDS);
  const view = new DataView(bytes.buffer);
  header.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytes.toHex();
}

/** The header of {@linkcode headerHex}. */
export function headerOf(hex: string): SavedHeader {
  const view = new DataView(Uint8Array.fromHex(hex).buffer);
  return Array.from({ length: HEADER_DWORDS }, (_, i) => view.getUint32(4 * i, true));
}
