/** Ids that new_id adds to a driver, and remove_id takes away (drivers/pci/pci-driver.c: new_id_store, remove_id_store). */
import type { DriverName } from "./bind_rules.ts";
import type { ErrnoError, ErrnoName } from "./errno.ts";
import { PCI_IDS } from "./pci_ids.ts";
import { coreError } from "./refusal.ts";

/** Any vendor, device or subsystem (include/linux/mod_devicetable.h: PCI_ANY_ID). */
const ANY = 0xffff_ffff;
const FIELDS = 7;

/** An id of a driver. */
export interface DynamicId {
  readonly driver: DriverName;
  readonly vendor: number;
  readonly device: number;
  readonly subvendor: number;
  readonly subdevice: number;
  readonly class: number;
  readonly classMask: number;
}

/** The ids of all drivers of a kernel. */
export class DynamicIds {
  #ids: DynamicId[] = [];
  readonly #touch: () => void;

  /** `touch` is called before every change. */
  constructor(touch: () => void = () => {}) {
    this.#touch = touch;
  }

  /** True if one of the driver's ids matches an ISM function. */
  match(driver: DriverName): boolean {
    return this.#ids.some((id) => id.driver === driver && matches(id));
  }

  /** @throws {ErrnoError} EINVAL without vendor and device or with private data, EEXIST if the driver has the id */
  add(driver: DriverName, text: string): void {
    const { values, id } = parse(driver, text, "new_id_store");
    // With private data the kernel does not look whether the id is there.
    const known = driver === "ism" && id.vendor === PCI_IDS.vendor && id.device === PCI_IDS.device;
    if (values.length < FIELDS && (known || this.#ids.some((other) => covers(other, id)))) {
      throw refuse("EEXIST", "new_id_store", `${driver} knows these ids already`);
    }
    if (values.length === FIELDS && values[FIELDS - 1] !== 0) {
      throw refuse(
        "EINVAL",
        "new_id_store",
        "No entry of the driver's table has such private data",
      );
    }
    this.#touch();
    this.#ids.push(id);
  }

  /** @throws {ErrnoError} EINVAL without vendor and device, ENODEV if the driver has no such id */
  remove(driver: DriverName, text: string): void {
    const { id } = parse(driver, text, "remove_id_store");
    const at = this.#ids.findIndex((other) =>
      other.driver === driver && other.vendor === id.vendor && other.device === id.device &&
      (id.subvendor === ANY || other.subvendor === id.subvendor) &&
      (id.subdevice === ANY || other.subdevice === id.subdevice) &&
      ((other.class ^ id.class) & id.classMask) === 0
    );
    if (at < 0) {
      throw refuse(
        "ENODEV",
        "remove_id_store",
        `${driver} has no such id; only those of new_id can go`,
      );
    }
    this.#touch();
    this.#ids.splice(at, 1);
  }

  save(): readonly DynamicId[] {
    return this.#ids;
  }

  restore(ids: readonly DynamicId[]): void {
    this.#ids = [...ids];
  }
}

/** Vendor, device, subsystem vendor and device, class, its mask and private data: hexadecimal words, as sscanf reads them. */
function parse(driver: DriverName, text: string, symbol: string): { values: number[]; id: DynamicId } {
  const values: number[] = [];
  for (const word of text.trim().split(/\s+/).slice(0, FIELDS)) {
    const [, digits] = /^(?:0[xX])?([0-9a-fA-F]+)/.exec(word) ?? [];
    if (digits === undefined) break;
    values.push(Number.parseInt(digits, 16) % 2 ** 32);
  }
  const [vendor, device, subvendor = ANY, subdevice = ANY, code = 0, classMask = 0] = values;
  if (vendor === undefined || device === undefined) {
    throw refuse(
      "EINVAL",
      symbol,
      "At least a vendor and a device are needed, such as 1014 04ed",
    );
  }
  return { values, id: { driver, vendor, device, subvendor, subdevice, class: code, classMask } };
}

const isOr = (wanted: number, value: number) => wanted === ANY || wanted === value;

function matches({ vendor, device, subvendor, subdevice, class: code, classMask }: DynamicId): boolean {
  return isOr(vendor, PCI_IDS.vendor) && isOr(device, PCI_IDS.device) &&
    isOr(subvendor, PCI_IDS.subsystemVendor) && isOr(subdevice, PCI_IDS.subsystemDevice) &&
    ((code ^ PCI_IDS.class) & classMask) === 0;
}

/** True if a device with the ids of `id` would match `other`. */
function covers(other: DynamicId, id: DynamicId): boolean {
  return other.driver === id.driver && isOr(other.vendor, id.vendor) && isOr(other.device, id.device) &&
    isOr(other.subvendor, id.subvendor) && isOr(other.subdevice, id.subdevice) &&
    ((other.class ^ id.class) & other.classMask) === 0;
}

function refuse(code: ErrnoName, symbol: string, message: string): ErrnoError {
  return coreError(code, "vfio.bind.ids", "dynamic id", `drivers/pci/pci-driver.c: ${symbol}`, message);
}
