/** sysfs: the function's directory, its slot, its driver; what a driver's author or a tool reads and writes there. */
import type { HostFunction } from "../../lib/host/host.ts";
import { noEntry } from "../../lib/vfio/process/nodes.ts";
import { functionPath } from "../../lib/vfio/sysfs/function_directory.ts";
import { type Directory, readAttribute, type SysfsNode, writeAttribute } from "../../lib/vfio/sysfs/node.ts";
import { lookUp } from "../../lib/vfio/sysfs/tree.ts";
import { argument, defineCommand, type Kind, optional } from "../language/command.ts";
import { defineListing } from "../language/listing.ts";
import type { Table } from "../language/table.ts";
import { renderTable } from "../output/table/text.ts";
import { DATA, number, text } from "../language/kinds.ts";
import { type DataSource, isData } from "../language/data.ts";
import { escapeText } from "../language/quote.ts";
import { nearest } from "../language/nearest.ts";
import { withoutZeros } from "../output/units.ts";

/** Where a name leads: an absolute path of /sys, or a name in the function's directory. */
function pathOf({ zdev }: HostFunction, name: string | undefined): string {
  const directory = `/sys/bus/pci/devices/${zdev.name}`;
  return name === undefined ? directory : name.startsWith("/") ? name : `${directory}/${name}`;
}

/** Links are shown, not followed, unless something lies behind them. */
function find(target: HostFunction, name: string | undefined): SysfsNode {
  const { kernel } = target.guest;
  const path = pathOf(target, name);
  try {
    return lookUp(kernel, path, name === undefined).node;
  } catch (error) {
    if (name === undefined || name.startsWith("/")) throw error;
    const all = flat(lookUp(kernel, functionPath(target.zdev.name)).node as Directory).map(([entry]) =>
      entry
    );
    const near = nearest(name, all);
    throw noEntry(path, near === undefined ? '"ism sysfs" shows what there is' : `did you mean ${near}?`);
  }
}

/** What lies in a directory and in directories within it, by its path from there. */
function flat({ entries }: Directory): [name: string, node: SysfsNode][] {
  return [...entries].flatMap(([name, make]): [string, SysfsNode][] => {
    const node = make();
    if (node.kind !== "directory" || node.entries.size === 0) return [[name, node]];
    return flat(node).map(([inner, each]) => [`${name}/${inner}`, each]);
  });
}

/** An entry of JSON. Of a file that does something when it is read, and of one that cannot be read, lists have no bytes. */
function shown(name: string, node: SysfsNode): Entry {
  if (node.kind === "link") return { name, link: node.target };
  if (node.kind === "directory") return { name };
  if (node.read === undefined) return { name, mode: "write-only" };
  return node.active === true
    ? { name, size: node.size! }
    : { name, data: readAttribute(name, node).toHex() };
}

const ENTRIES: Table<{ readonly directory?: string | undefined; readonly entries: readonly Entry[] }> = {
  columns: [{ name: "name" }, { name: "value" }],
  rows: ({ directory = "", entries }) =>
    entries.map((entry) => [
      entry.name.slice(directory.length),
      {
        value: entry.mode === undefined && entry.size === undefined ? valueOf(entry) : null,
        shown: shortOf(entry),
      },
    ]),
};

export const sysfs = defineListing({
  name: "sysfs",
  group: "look",
  summary: "Show the function's directory in sysfs, or one attribute of it",
  details:
    `Attributes have the bytes that \`cat\` gives; --raw prints just these. What is not there is ENOENT, what can only
be written EACCES. NAME is in the function's directory, or a path that begins with /sys: there are /sys/bus/pci (devices,
drivers, slots), /sys/devices, /sys/firmware/clp and /sys/kernel/iommu_groups. "sysfs write" writes.`,
  args: {
    name: optional(
      text("NAME"),
      "name of an attribute, link or directory, or a path; the directory by default",
    ),
  },
  options: {},
  // Reading config executes instructions.
  access: "write",
  examples: [
    "sysfs",
    "sysfs function_handle",
    "sysfs iommu_group",
    "sysfs vfio-dev",
    "sysfs config --raw",
    "sysfs /sys/bus/pci/slots",
  ],
  run({ target }, { name }) {
    const path = pathOf(target, undefined);
    const node = find(target, name);
    if (node.kind === "link") return { path, entries: [shown(name!, node)] };
    if (node.kind === "attribute") {
      const data = readAttribute(pathOf(target, name), node).toHex();
      return { path, entries: [{ name: name!, data }], data };
    }
    const directory = name === undefined ? "" : name.endsWith("/") ? name : `${name}/`;
    return {
      path,
      directory,
      entries: flat(node).map(([entry, each]) => shown(`${directory}${entry}`, each)),
    };
  },
  text({ path, directory, entries }, { terminal, wide }) {
    if (directory === undefined) return valueOf(entries[0]!);
    const title = directory.startsWith("/")
      ? directory.slice(0, -1)
      : `${path}${directory === "" ? "" : `/${directory.slice(0, -1)}`}`;
    const narrower = { style: terminal.style, tableWidth: terminal.tableWidth - 2 };
    const [, ...lines] = renderTable(ENTRIES.columns, ENTRIES.rows({ directory, entries }), narrower, {
      wide,
    })
      .trimEnd().split("\n");
    return [title, ...lines.map((line) => `  ${line}`)].join("\n");
  },
  table: ENTRIES,
  raw: ({ entries }) => Uint8Array.fromHex(entries.map(({ data }) => data ?? "").join("")),
  value: ({ directory, entries }) =>
    directory === undefined
      ? valueOf(entries[0]!)
      : entries.map(({ name }) => name.slice(directory.length)).join(" "),
});

/** DATA, or a word that is written as echo(1) writes it, with a newline. */
const VALUE: Kind<DataSource | string> = {
  placeholder: "VALUE",
  parse: (word, what) => isData(word) ? DATA.parse(word, what) : word,
};

export const sysfsWrite = defineCommand({
  name: "sysfs write",
  group: "host",
  summary: "Write an attribute of sysfs",
  details:
    `A plain VALUE is written with a newline, as echo does it; DATA as it is. NAME is as for "sysfs": reset,
recover, driver_override, config, report_error of the function; driver/unbind, or bind, unbind, new_id and remove_id of
/sys/bus/pci/drivers/DRIVER; /sys/bus/pci/drivers_probe; power of a slot. What waits until the function is closed says so.`,
  args: {
    name: argument(text("NAME"), "name of an attribute, or a path"),
    value: argument(VALUE, "what to write"),
  },
  options: { at: optional(number("POSITION"), "position in a file that has positions, such as config") },
  access: "write",
  examples: [
    "sysfs write driver_override vfio-pci",
    "sysfs write driver/unbind 0001:00:00.0",
    "sysfs write /sys/bus/pci/drivers_probe 0001:00:00.0",
    "expect EINVAL sysfs write reset 2",
    "expect EACCES sysfs write vendor 0x1014",
  ],
  run(context, { name, value, at }) {
    const { target } = context;
    const path = pathOf(target, name);
    const node = find(target, name);
    if (node.kind !== "attribute") throw noEntry(path, "only attributes can be written");
    const bytes = typeof value === "string" ? new TextEncoder().encode(`${value}\n`) : context.load(value);
    const { count, waits } = writeAttribute(path, node, bytes, at);
    return { path, ret: count, waits };
  },
  text: ({ waits }) => waits ? "waits until the last descriptor of the function is closed" : "",
  value: ({ ret }) => String(ret),
});

/** The value in a list: bytes that are no text without the zeros at their end, of a text of several lines their number. */
function shortOf(entry: Entry): string {
  if (entry.size !== undefined) return `(${entry.size} bytes)`;
  if (entry.mode !== undefined) return `(${entry.mode})`;
  const value = valueOf(entry);
  if (value.includes("\n")) return `(${value.split("\n").length} lines)`;
  return value.startsWith("hex:") ? `hex:${withoutZeros(value.slice("hex:".length))}` : value;
}

interface Entry {
  readonly name: string;
  readonly link?: string;
  readonly data?: string;
  /** Bytes of a file that a list does not read. */
  readonly size?: number;
  readonly mode?: "write-only";
}

/** A link's target, or an attribute's text; bytes that are no text as hexadecimal. */
function valueOf({ link, data }: Entry): string {
  if (link !== undefined) return link;
  if (data === undefined) return "";
  const bytes = Uint8Array.fromHex(data);
  const isText = bytes.every((byte) => byte === 0x0a || (byte >= 0x20 && byte < 0x7f));
  return isText
    ? escapeText(new TextDecoder().decode(bytes).trimEnd(), { keepNewline: true })
    : `hex:${data}`;
}
