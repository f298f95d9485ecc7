/** Writes to attributes of a function (drivers/pci/pci-sysfs.c, arch/s390/pci/pci_sysfs.c, drivers/base/driver.c). */
import { vfsError } from "../refusal.ts";
import type { Binding } from "../binding.ts";
import { WouldHangError } from "../s390/would_hang.ts";
import { type Attribute, bare, PAGE_BYTES } from "./node.ts";

const PCI_SYSFS = "drivers/pci/pci-sysfs.c";

/** driver_override: any name, up to the end of the line; nothing takes it away. @throws {ErrnoError} EINVAL */
export function writeOverride(binding: Binding, text: string): boolean {
  const source = "drivers/base/driver.c: driver_set_override";
  if (text.length >= PAGE_BYTES - 1) {
    throw vfsError("EINVAL", "vfio.sysfs.pci", "length", source, "The name is too long");
  }
  const [name = ""] = text.split("\n");
  binding.override = name === "" ? undefined : name;
  return false;
}

/** A whole number as kstrtoul(3) takes it, in any of the usual bases. @returns undefined for anything else */
function number(text: string): number | undefined {
  const [, digits] = /^\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(bare(text)) ?? [];
  if (digits === undefined) return undefined;
  return /^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
}

/**
 * reset: a 1 resets the function behind the back of whoever has it open: registers of the header come back, what the
 * device held is gone. Waits for the device lock. @throws {ErrnoError} EINVAL for anything but 1, EIO
 */
export function resetFunction(binding: Binding, text: string): boolean {
  const source = `${PCI_SYSFS}: reset_store`;
  if (number(text) !== 1) {
    throw vfsError("EINVAL", "vfio.sysfs.pci", "reset value", source, "Only a 1 can be written to reset");
  }
  if (binding.removing) {
    throw new WouldHangError(
      "The reset waits for the device lock, which an unbind holds that waits for the last close",
    );
  }
  // Whoever has the function open is not asked.
  binding.reset.locked("reset");
  return false;
}

/** reset_method: a reset of its slot is the only one that the function has. @throws {ErrnoError} EINVAL */
export function writeResetMethod(text: string): boolean {
  const names = bare(text).split(" ").filter((name) => name !== "");
  if (
    names.length > 0 && names.every((name) => name === "bus" || (name === "default" && names.length === 1))
  ) {
    return false;
  }
  throw vfsError(
    "EINVAL",
    "vfio.sysfs.pci",
    "reset method",
    "drivers/pci/pci.c: reset_method_store",
    names.length === 0
      ? "The simulated kernel does not take the reset away"
      : "The function has the method bus alone",
  );
}

/** uevent: the name of an action. @throws {ErrnoError} EINVAL */
export function writeUevent(text: string): boolean {
  if (/^(add|remove|change|move|online|offline|bind|unbind)(\s|$)/.test(text)) return false;
  throw vfsError(
    "EINVAL",
    "vfio.sysfs.pci",
    "uevent action",
    "lib/kobject_uevent.c: kobject_action_type",
    "This is no action",
  );
}

const REPORT_VERSION = 1;
/** Actions from a reset request (0) to telemetry (7). */
const REPORT_ACTIONS = 8;
const REPORT_HEADER_BYTES = 4;
/** Bytes of the block in which a report goes to the service processor, without its data. */
const REPORT_BLOCK_BYTES = 24;

/**
 * report_error: a header (version, action, length of the data) for the service processor, which takes it and does nothing.
 * Its length is little-endian here.
 */
export function reportError(): Attribute {
  const invalid = (symbol: string, message: string) =>
    vfsError("EINVAL", "vfio.sysfs.pci", "error report", symbol, message);
  return {
    kind: "attribute",
    size: PAGE_BYTES,
    write(bytes, at) {
      if (at !== 0 || bytes.length < REPORT_HEADER_BYTES) {
        throw invalid(
          "arch/s390/pci/pci_sysfs.c: report_error_write",
          "A report is written at once, from its start",
        );
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const source = "drivers/s390/char/sclp_pci.c: sclp_pci_check_report";
      const [version, action, length] = [view.getUint8(0), view.getUint8(1), view.getUint16(2, true)];
      if (version !== REPORT_VERSION) throw invalid(source, `Reports have the version 1, not ${version}`);
      if (action >= REPORT_ACTIONS) throw invalid(source, `There is no action ${action}`);
      if (length > PAGE_BYTES - REPORT_BLOCK_BYTES) {
        throw invalid(source, `${length} bytes of data are too many`);
      }
      return { count: bytes.length, waits: false };
    },
  };
}
