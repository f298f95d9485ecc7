import { hex } from "../../lib/base/hex.ts";
import { fromEbcdic } from "../../lib/host/ebcdic.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import type { DeviceInfo } from "../../lib/ism/driver/descriptor.ts";
import { DEVICE_FLAGS, IRQ_FLAGS, REGION_FLAGS } from "../../lib/vfio/uapi.ts";
import { ErrnoError, type ErrnoName } from "../../lib/vfio/errno.ts";
import { defineCommand, optional } from "../language/command.ts";
import { REGION, regionName } from "../language/kinds.ts";
import { renderTable } from "../output/table.ts";
import { type Style } from "../language/terminal.ts";
import { sizeText, withoutZeros } from "../output/units.ts";

/** A region, or why there is none. */
type RegionRow =
  | { index: number; name: string; offset: string; size: number; flags: number }
  | { index: number; name: string; error: ErrnoName };

const IRQ_NAMES = ["INTx", "MSI", "MSI-X", "ERR", "REQ"];

function regionRow({ driver }: HostFunction, index: number): RegionRow {
  const { offset, size, flags } = driver.descriptor.regionInfo(index);
  return { index, name: regionName(index), offset: hex(offset), size, flags };
}

function orError<Row>(row: () => Row, failed: (error: ErrnoName) => Row): Row {
  try {
    return row();
  } catch (error) {
    if (error instanceof ErrnoError) return failed(error.code);
    throw error;
  }
}

/** The bits of a flags word by name, lower case. */
function flagNames(flags: number, names: Readonly<Record<string, number>>): string {
  const set = Object.entries(names).filter(([, bit]) => (flags & bit) !== 0).map(([name]) =>
    name.toLowerCase()
  );
  return set.length === 0 ? "-" : set.join(" ");
}

function capabilities({ base, group, utilityString, pfip }: DeviceInfo) {
  const list: Record<string, unknown>[] = [];
  if (base !== undefined) {
    const { version, startDma, endDma, pchid, vfn, fmbLength, pft, gid, fh, ccdfErrLength } = base;
    list.push({
      id: 1,
      name: "ZPCI_BASE",
      version,
      start_dma: hex(startDma),
      end_dma: hex(endDma),
      pchid: hex(pchid),
      vfn: hex(vfn),
      fmb_length: fmbLength,
      pft,
      gid: hex(gid),
      fh: hex(fh, 8),
      ...(version >= 3 ? { ccdf_err_length: ccdfErrLength } : {}),
    });
  }
  if (group !== undefined) {
    const { dasm, msiAddr, flags, mui, noi, maxstbl, version, imaxstbl } = group;
    list.push({
      id: 2,
      name: "ZPCI_GROUP",
      dasm: hex(dasm),
      msi_addr: hex(msiAddr),
      flags: Number(flags),
      mui,
      noi,
      maxstbl,
      version,
      imaxstbl,
    });
  }
  if (utilityString !== undefined) {
    list.push({
      id: 3,
      name: "ZPCI_UTIL",
      util_str: utilityString.toHex(),
      pnetid: fromEbcdic(utilityString.subarray(0, 16)).trim(),
    });
  }
  if (pfip !== undefined) list.push({ id: 4, name: "ZPCI_PFIP", pfip: pfip.toHex() });
  return list;
}

function describeDevice(target: HostFunction) {
  const device = target.driver.descriptor.info();
  const regions: RegionRow[] = [];
  for (let index = 0; index < device.numRegions; index++) {
    regions.push(
      orError<RegionRow>(
        () => regionRow(target, index),
        (error) => ({ index, name: regionName(index), error }),
      ),
    );
  }
  const irqs = Array.from({ length: device.numIrqs }, (_, index) => {
    const name = IRQ_NAMES[index] ?? `irq ${index}`;
    return orError<{ index: number; name: string; count?: number; flags?: number; error?: ErrnoName }>(
      () => ({ index, name, ...pick(target.driver.descriptor.irqInfo(index)) }),
      (error) => ({ index, name, error }),
    );
  });
  return {
    address: target.zdev.name,
    kernel: target.guest.kernel.rules.release,
    flags: device.flags,
    regions,
    irqs,
    capabilities: capabilities(device),
  };
}

function pick({ count, flags }: { count: number; flags: number }) {
  return { count, flags };
}

function regionCells(row: RegionRow): string[] {
  if ("error" in row) return [row.name, "-", row.error, "-"];
  return [row.name, hex(Number(row.offset), 16), sizeText(row.size), flagNames(row.flags, REGION_FLAGS)];
}

function deviceText(
  { address, kernel, flags, regions, irqs, capabilities }: ReturnType<typeof describeDevice>,
  style: Style,
) {
  let text = `${style.bold(address)}  Linux ${kernel}  flags: ${flagNames(flags, DEVICE_FLAGS)}\n\n`;
  text += renderTable([["REGION", "OFFSET", "SIZE", "FLAGS"], ...regions.map(regionCells)], style) + "\n";
  const irqRows = irqs.map(({ name, count, flags, error }) => [
    name,
    error ?? String(count),
    flags === undefined ? "-" : flagNames(flags, IRQ_FLAGS),
  ]);
  text += renderTable([["IRQ", "COUNT", "FLAGS"], ...irqRows], style);
  for (const { id, name, ...fields } of capabilities) {
    text += `\n${style.bold(`${name} (${id})`)}\n`;
    for (const [field, value] of Object.entries(fields)) {
      const shown = field === "util_str" ? withoutZeros(String(value)) : String(value);
      text += `  ${field.padEnd(15)} ${shown}\n`;
    }
  }
  return text;
}

export const info = defineCommand({
  name: "info",
  group: "look",
  summary: "Show what the descriptor says: regions, interrupts, zPCI capabilities",
  details: `Opens the function if it is not open. The store-block limit is imaxstbl of ZPCI_GROUP; the
maxstbl field beside it is a constant of the kernel. The gid of ZPCI_BASE is the PCI function group (pfgid); the GID by
which ISM functions know each other is another number, which "ism gid" reads.`,
  args: { region: optional(REGION, "one region only; a refusal is then the command's error") },
  options: {},
  access: "write",
  examples: ["info", "info bar0", "info config --json"],
  run({ target }, { region }): Record<string, unknown> {
    return region === undefined ? describeDevice(target) : regionRow(target, region.index);
  },
  text(result, { terminal: { style } }) {
    if ("regions" in result) return deviceText(result as ReturnType<typeof describeDevice>, style);
    return renderTable([["REGION", "OFFSET", "SIZE", "FLAGS"], regionCells(result as RegionRow)], style);
  },
});
