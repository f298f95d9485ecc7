/** The function's directory in sysfs: where a driver finds its IOMMU group, its character device and its ids. */
import { functionDirectory } from "../../lib/vfio/sysfs.ts";
import { defineCommand, optional } from "../command.ts";
import { text } from "../kinds.ts";
import { escapeText, quoteText } from "../text/diagnostic.ts";
import { nearest } from "../text/nearest.ts";
import { UsageError } from "../text/usage_error.ts";

export const sysfs = defineCommand({
  name: "sysfs",
  group: "look",
  summary: "Show the function's directory in sysfs, or one attribute of it",
  details:
    `Attributes have the bytes that \`cat\` gives; --raw prints just these. Drivers are bound with \`bind\`.`,
  args: { name: optional(text("ATTRIBUTE"), "name of an attribute, link or directory; all by default") },
  options: {},
  access: "read",
  examples: ["sysfs", "sysfs function_handle", "sysfs iommu_group"],
  run({ target: { guest, zdev } }, { name }) {
    const all = functionDirectory(guest.kernel, guest.kernel.binding(zdev));
    const chosen = name === undefined ? all : all.filter((entry) => entry.name === name);
    if (chosen.length === 0) {
      const near = nearest(name!, all.map((entry) => entry.name));
      throw new UsageError(`The function has no attribute ${quoteText(name!)}`, {
        token: name!,
        hint: near === undefined ? 'see "ism sysfs"' : `did you mean ${near}?`,
      });
    }
    const entries = chosen.map(({ name, link, content }) => ({
      name,
      ...(link === undefined ? {} : { link }),
      ...(content === undefined ? {} : { data: content.toHex() }),
    }));
    return { path: `/sys/bus/pci/devices/${zdev.name}`, entries };
  },
  text({ path, entries }) {
    const [only, ...more] = entries;
    if (only !== undefined && more.length === 0) return valueOf(only);
    const width = Math.max(...entries.map(({ name }) => name.length));
    return [path, ...entries.map((entry) => `  ${entry.name.padEnd(width)}  ${valueOf(entry)}`.trimEnd())]
      .join("\n");
  },
  raw: ({ entries }) => Uint8Array.fromHex(entries.map(({ data }) => data ?? "").join("")),
  value: ({ entries }) => valueOf(entries[0]!),
});

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
