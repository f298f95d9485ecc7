/** The function's directory in sysfs: where a driver finds its IOMMU group, its character device and its ids. */
import { noEntry } from "../../lib/vfio/process/nodes.ts";
import { functionDirectory } from "../../lib/vfio/process/sysfs.ts";
import { defineCommand, optional } from "../language/command.ts";
import { text } from "../language/kinds.ts";
import { escapeText } from "../output/diagnostic.ts";
import { nearest } from "../language/nearest.ts";
import { withoutZeros } from "../output/units.ts";

export const sysfs = defineCommand({
  name: "sysfs",
  group: "look",
  summary: "Show the function's directory in sysfs, or one attribute of it",
  details:
    `Attributes have the bytes that \`cat\` gives; --raw prints just these. What is not there is ENOENT. Drivers are
bound with \`bind\`.`,
  args: { name: optional(text("ATTRIBUTE"), "name of an attribute, link or directory; all by default") },
  options: {},
  access: "read",
  examples: ["sysfs", "sysfs function_handle", "sysfs iommu_group", "sysfs vfio-dev"],
  run({ target: { guest, zdev } }, { name }) {
    const path = `/sys/bus/pci/devices/${zdev.name}`;
    const all = functionDirectory(guest.kernel, guest.kernel.binding(zdev));
    const directory = name === undefined ? "" : `${name}/`;
    const exact = all.filter((entry) => entry.name === name);
    const chosen = exact.length > 0 ? exact : all.filter((entry) => entry.name.startsWith(directory));
    if (chosen.length === 0) {
      const near = nearest(name!, all.map((entry) => entry.name));
      throw noEntry(
        `${path}/${name}`,
        near === undefined ? '"ism sysfs" shows what there is' : `did you mean ${near}?`,
      );
    }
    const entries = chosen.map(({ name, link, content }) => ({
      name,
      ...(link === undefined ? {} : { link }),
      ...(content === undefined ? {} : { data: content.toHex() }),
    }));
    return exact.length > 0 ? { path, entries } : { path, directory, entries };
  },
  text({ path, directory, entries }) {
    if (directory === undefined) return valueOf(entries[0]!);
    const shown = entries.map((entry) => ({ ...entry, name: entry.name.slice(directory.length) }));
    const width = Math.max(...shown.map(({ name }) => name.length));
    return [path + (directory === "" ? "" : `/${directory.slice(0, -1)}`)]
      .concat(
        shown.map((entry) => `  ${entry.name.padEnd(width)}  ${shortOf(entry)}`.trimEnd()),
      ).join("\n");
  },
  raw: ({ entries }) => Uint8Array.fromHex(entries.map(({ data }) => data ?? "").join("")),
  value: ({ directory, entries }) =>
    directory === undefined
      ? valueOf(entries[0]!)
      : entries.map(({ name }) => name.slice(directory.length)).join(" "),
});

/** The value in a list: bytes that are no text without the zeros at their end. */
function shortOf(entry: Entry): string {
  const value = valueOf(entry);
  return value.startsWith("hex:") ? `hex:${withoutZeros(value.slice("hex:".length))}` : value;
}

interface Entry {
  readonly link?: string;
  readonly data?: string;
}

/** A link's target, or an attribute's text; bytes that are no text as hexadecimal. */
function valueOf({ link, data }: Entry): string {
  if (link !== undefined) return link;
  if (data === undefined) return "";
  const bytes = Uint8Array.fromHex(data);
  const isText = bytes.every((byte) => byte === 0x0a || (byte >= 0x20 && byte < 0x7f));
  return isText ? escapeText(new TextDecoder().decode(bytes).trimEnd()) : `hex:${data}`;
}
