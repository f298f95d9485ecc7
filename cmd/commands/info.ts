import { hex } from "../../lib/base/hex.ts";
import { fromEbcdic } from "../../lib/host/ebcdic.ts";
import type { HostFunction } from "../../lib/host/host.ts";
import type { DeviceInfo } from "../../lib/ism/driver/device_info.ts";
import { DEVICE_FLAGS, IRQ_FLAGS, REGION_FLAGS } from "../../lib/vfio/uapi.ts";
import { ErrnoError, type ErrnoName } from "../../lib/vfio/errno.ts";
import { flag, optional, type TextContext } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Cell, Column, Table } from "../language/table.ts";
import { renderTable } from "../output/table/text.ts";
import { REGION, regionName } from "../language/kinds.ts";
import { type PositionMap, positionMap, renderMap } from "../output/pictures/position_map.ts";
import { UsageError } from "../language/usage_error.ts";
import { sizeText, withoutZeros } from "../output/units.ts";
import { field } from "../output/wrap.ts";

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

const REGIONS: Table<Record<string, unknown>> = {
  columns: [{ name: "region" }, { name: "offset" }, { name: "size", drop: 1 }, { name: "flags", drop: 2 }],
  rows: (result) =>
    ("regions" in result ? result["regions"] as RegionRow[] : [result as RegionRow]).map(regionCells),
};

function regionCells(row: RegionRow): Cell[] {
  // A refusal stands where the size would be.
  if ("error" in row) return [row.name, null, { value: null, shown: row.error }, null];
  return [
    row.name,
    hex(Number(row.offset), 16),
    { value: row.size, shown: sizeText(row.size) },
    flagCell(row.flags, REGION_FLAGS),
  ];
}

/** Flags by name, nothing for none. */
function flagCell(flags: number, names: Readonly<Record<string, number>>): Cell {
  const shown = flagNames(flags, names);
  return { value: shown === "-" ? "" : shown, shown };
}

const IRQS: readonly Column[] = [{ name: "irq" }, { name: "count" }, { name: "flags", drop: 1 }];

function deviceText(
  result: ReturnType<typeof describeDevice>,
  { terminal, wide }: TextContext,
) {
  const { address, kernel, flags, irqs, capabilities } = result;
  const { style } = terminal;
  const width = wide ? Infinity : terminal.tableWidth;
  const title = field(`${address}  `, `Linux ${kernel}  flags: ${flagNames(flags, DEVICE_FLAGS)}`, width);
  let text = `${style.bold(address)}${title.slice(address.length)}\n`;
  text += renderTable(REGIONS.columns, REGIONS.rows(result), terminal, { wide }) + "\n";
  const irqRows = irqs.map(({ name, count, flags, error }) => [
    name,
    error ?? String(count),
    flags === undefined ? "-" : flagNames(flags, IRQ_FLAGS),
  ]);
  text += renderTable(IRQS, irqRows, terminal, { wide });
  for (const { id, name, ...fields } of capabilities) {
    text += `\n${style.bold(`${name} (${id})`)}\n`;
    for (const [name, value] of Object.entries(fields)) {
      const shown = name === "util_str" ? withoutZeros(String(value)) : String(value);
      text += field(`  ${name.padEnd(15)} `, shown, width);
    }
  }
  return text;
}

export const info = defineListing({
  name: "info",
  group: "look",
  summary: "Show what the descriptor says: regions, interrupts, zPCI capabilities",
  details: `Opens the function if it is not open. The store-block limit is imaxstbl of ZPCI_GROUP; the
maxstbl field beside it is a constant of the kernel. The gid of ZPCI_BASE is the PCI function group (pfgid); the GID by
which ISM functions know each other is another number, which "ism gid" reads. --format and --columns take the table of
regions.`,
  args: { region: optional(REGION, "one region only; a refusal is then the command's error") },
  options: { map: flag("where the regions lie, and what positions made up as index << 40 reach") },
  access: "write",
  examples: ["info", "info bar0", "info --map", "info config --json"],
  run({ target }, { region, map }): Record<string, unknown> {
    if (region !== undefined && map) {
      throw new UsageError("--map shows all regions; leave the region out", { token: "--map" });
    }
    if (region !== undefined) return regionRow(target, region.index);
    const device = describeDevice(target);
    const there = device.regions.flatMap((row) => "error" in row ? [] : [row]);
    return map ? { ...device, map: positionMap(there) } : device;
  },
  text(result, context) {
    if ("map" in result) {
      const address = String(result["address"]);
      const title = field(`${address}  `, "positions of the descriptor", context.terminal.tableWidth);
      return `${context.terminal.style.bold(address)}${title.slice(address.length)}\n` +
        renderMap(result["map"] as PositionMap, context.terminal);
    }
    if ("regions" in result) return deviceText(result as ReturnType<typeof describeDevice>, context);
    return renderTable(REGIONS.columns, REGIONS.rows(result), context.terminal, context);
  },
  table: REGIONS,
});
