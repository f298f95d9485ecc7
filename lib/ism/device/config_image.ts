/**
 * The configuration space that an ISM function's hardware shows. Facts: ism.config.ids, ism.config.msi and
 * ism.config.bars : one 64-bit MSI capability with one vector at 0x40, no power management, no PCIe, no MSI-X.
 */
import { ConfigRegisters } from "../../zpci/config_registers.ts";
import { ISM_DEVICE_ID, ISM_VENDOR_ID } from "../protocol.ts";

const CONFIG_BYTES = 256;
const MSI_AT = 0x40;
const MSI_ID = 0x05;
/** Message control: 64-bit address capable, one vector, disabled. */
const MSI_CONTROL = 0x0080;
const STATUS_CAPABILITIES = 0x0010;

/** Registers that software can change: offset and mask per byte. */
const WRITABLE: readonly (readonly [offset: number, mask: number])[] = [
  [0x04, 0x07], // COMMAND: I/O, memory, bus master
  [0x05, 0x04], // COMMAND: INTx disable
  [0x0c, 0xff],
  [0x0d, 0xff],
  [0x3c, 0xff],
  [MSI_AT + 2, 0x71], // message control: MSI enable, multiple message enable
  [MSI_AT + 4, 0xfc], // message address: the two low bits read 0 (PCI Local Bus Specification 3.0, 6.8.1.4)
  ...bytes(MSI_AT + 5, 9),
];

function bytes(from: number, count: number): (readonly [number, number])[] {
  return Array.from({ length: count }, (_, i) => [from + i, 0xff] as const);
}

/** Builds the registers; `barExponents` and `barFlags` have six entries, as CLP reports them. */
export function ismConfigRegisters(
  barExponents: readonly number[],
  barFlags: readonly number[],
): ConfigRegisters {
  const image = new Uint8Array(CONFIG_BYTES);
  const mask = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(image.buffer);
  view.setUint16(0x00, ISM_VENDOR_ID, true);
  view.setUint16(0x02, ISM_DEVICE_ID, true);
  view.setUint16(0x06, STATUS_CAPABILITIES, true);
  view.setUint8(0x34, MSI_AT);
  view.setUint8(MSI_AT, MSI_ID);
  view.setUint16(MSI_AT + 2, MSI_CONTROL, true);
  for (const [offset, bits] of WRITABLE) mask[offset] = bits;
  barExponents.forEach((exponent, bar) => {
    if (exponent === 0) return;
    // Address bits from the size upward are writable; that is what BAR sizing measures.
    const bits = 2n ** 64n - 2n ** BigInt(exponent);
    const masks = new DataView(mask.buffer);
    view.setUint32(0x10 + bar * 4, barFlags[bar]!, true);
    masks.setUint32(0x10 + bar * 4, Number(bits & 0xffff_ffffn), true);
    if ((barFlags[bar]! & 4) !== 0) masks.setUint32(0x14 + bar * 4, Number(bits >> 32n), true);
  });
  return new ConfigRegisters(image, mask);
}
