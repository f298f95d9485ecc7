/**
 * Formats of a saved host, and the steps from each to the next. A step works on state rows, so that host files and
 * exported documents take the same way. docs/host-file.md tells what a change of saved state has to do.
 */
import type { Json } from "../../base/json.ts";
import { OPEN_FLAGS } from "../../vfio/process/file.ts";

/** Format that this program writes. */
export const FORMAT = 4;
/** Oldest format that this program reads. */
export const OLDEST_FORMAT = 1;

/** An object of the saved state, by the keys that lead to it. */
type Fields = { readonly [key: string]: Json };

/**
 * A field that is new in a format: the key of the rows (`*` stands for one part), the field's place in them (`[]`
 * stands for every element), and the value that an older host means, or how it follows from the object around it and
 * from other rows. Objects that are null or absent get nothing.
 */
export type NewField = readonly [
  row: string,
  field: string,
  value: Json | ((around: Fields, rows: ReadonlyMap<string, Json>) => Json),
];

/** A row that is new in a format: its key, where `*` is what it is in `beside`, a key that was there before. */
export interface NewRow {
  readonly key: string;
  readonly beside: string;
  readonly value: Json;
}

/** What changed with a format. */
export interface Step {
  /** The format that the step leads to. */
  readonly to: number;
  readonly fields: readonly NewField[];
  readonly rows: readonly NewRow[];
  /** Lists that have an order since: the key of the rows, the field, and the field of its elements that rises. */
  readonly sorted?: readonly (readonly [row: string, list: string, by: string])[];
}

/** Every step, oldest first. */
export const STEPS: readonly Step[] = [
  {
    // The manifest also tells which format a file was created with; store.ts reads it.
    to: 2,
    fields: [
      ["topology", "machine.sourceCrossing", "allowed"],
      ["topology", "kernel.regionLayout", "ism48"],
      ["guest/*/kernel", "zdevs[].state", zdevState],
      ["guest/*/kernel", "containers[].withoutAddress", []],
      ["guest/*/kernel", "containers[].dirtyLog", false],
      ["guest/*/kernel", "iommufds[].vfioIoas", null],
      ["guest/*/kernel", "iommufds[].rlimitMode", false],
      ["guest/*/kernel", "iommufds[].ioases[].hugePages", true],
      ["guest/*/kernel", "iommufds[].ioases[].allowed", []],
      ["guest/*/kernel", "iommufds[].ioases[].writablePages", []],
      ["guest/*/kernel", "iommufds[].ioases[].pageTable", null],
      ["guest/*/kernel", "bindings[].nextRequest", null],
      ["guest/*/kernel", "devices[].compat", null],
      ["guest/*/kernel", "devices[].opens", ({ openCount }) => openCount === 0 ? 0 : 1],
      ["driver/*", "requests", null],
      ["driver/*", "registrations.isV2", false],
    ],
    rows: [{ key: "locks", beside: "faults", value: { faults: [] } }],
  },
  {
    // A host of an older format ran what is now release 7.1.
    to: 3,
    fields: [
      ["topology", "kernel.release", "7.1"],
      // What the kernel knows of its functions stays as it is, so no window shrinks under its mappings.
      ["topology", "kernel.iommuAperture", 0],
      ["topology", "kernel.dmaBuf", true],
      ["topology", "kernel.memlockLimit", "unlimited"],
      ["guest/*/kernel", "iommufds[].faultQueues", []],
      ["guest/*/kernel", "iommufds[].ioases[].hwpts", []],
      ["guest/*/kernel", "iommufds[].ioases[].shared", []],
      ["guest/*/kernel", "files[].cdev.hwpt", null],
      ["guest/*/kernel", "files[].cdev.bounded", false],
      ["guest/*/kernel", "files[].cdev.pasid", false],
      ["topology", "machine.storeCharacteristics", "unknown"],
      ["guest/*/kernel", "files[].flags", openFlags],
      ["guest/*/kernel", "dynamicIds", []],
      ["adapter/*", "statistics.ieqFull", 0],
      ["topology", "kernel.recoveryWindow", 0],
      ["guest/*/kernel", "zdevs[].measurementBlock", null],
      // The adapter's config space has MSI at 0x40; what was saved is what a reset brings back.
      ["guest/*/kernel", "zdevs[].pci", { channel: "normal", saved: null, msiCapability: 0x40 }],
      ["guest/*/kernel", "bindings[].gone", false],
      ["guest/*/kernel", "bindings[].window", { device: 0, state: 0 }],
      ["guest/*/kernel", "devices[].err", null],
      ["guest/*/kernel", "devices[].openState", null],
      ["guest/*/kernel", "defaultDomains", noDomains],
      ["guest/*/kernel", "events", { pending: [], removing: null }],
      ["driver/*", "errorEvents", null],
      ["driver/*", "dmbs[].vlan", null],
      ["locks", "faults[].lock", "device"],
    ],
    rows: [],
  },
  // A host file has more and smaller rows (rows.ts), by whose numbers their lists are read.
  {
    to: 4,
    fields: [],
    rows: [],
    sorted: [["adapter/*", "dmbs", "sbaIndex"], ["driver/*", "dmbs", "vaddr"], [
      "driver/*",
      "memory",
      "vaddr",
    ]],
  },
];

/** What the kernel knows of a function: format 1 had only what the machine knows. */
function zdevState({ facts }: Fields, rows: ReadonlyMap<string, Json>): Json {
  const { fid } = facts as Fields;
  const { state } = rows.get(`function/${fid}`) as Fields;
  return state === "standby" || state === "reserved" ? state : "configured";
}

/** Flags of an open file: older formats knew one way to open each kind. */
function openFlags({ kind, cdev }: Fields): Json {
  const { RDWR, NONBLOCK, LARGEFILE } = OPEN_FLAGS;
  if (kind === "eventfd") return RDWR | NONBLOCK;
  return kind === "device" && cdev === undefined ? RDWR : RDWR | LARGEFILE;
}

/** The kernel's own IOMMU domains, none of which there was before format 3. */
function noDomains({ zdevs }: Fields): Json {
  return (zdevs as readonly Json[]).map(() => ({ origin: null, attached: false }));
}

/** A saved host that a step does not understand. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
}

/**
 * The state rows of an older host as this program would have saved them, the topology among them.
 *
 * @throws {MigrationError} if a row is not what its format says
 */
export function migrate(
  state: ReadonlyMap<string, Json>,
  from: number,
  steps: readonly Step[] = STEPS,
): Map<string, Json> {
  const rows = new Map(state);
  for (const { to, fields, rows: added, sorted = [] } of steps) {
    if (to <= from) continue;
    for (const { key, beside, value } of added) {
      for (const [, star] of matching(rows, beside)) rows.set(key.replace("*", star), value);
    }
    for (const [row, field, value] of fields) {
      for (const [key] of matching(rows, row)) {
        rows.set(key, withField(rows.get(key)!, field.split("."), value, `${key}: ${field}`, rows));
      }
    }
    for (const [row, list, by] of sorted) {
      for (const [key] of matching(rows, row)) rows.set(key, withOrder(rows.get(key)!, list, by, key));
    }
  }
  return rows;
}

/** Keys that a pattern names, and what its `*` stands for in them. */
function matching(rows: ReadonlyMap<string, Json>, pattern: string): [key: string, star: string][] {
  const [before = "", after] = pattern.split("*");
  return [...rows.keys()].flatMap((key): [string, string][] => {
    if (after === undefined) return key === pattern ? [[key, ""]] : [];
    const star = key.slice(before.length, key.length - after.length);
    const fits = key.startsWith(before) && key.endsWith(after) && /^[^/]+$/.test(star);
    return fits ? [[key, star]] : [];
  });
}

/** A copy of `object` with the field that `path` leads to. */
function withField(
  object: Json | undefined,
  path: readonly string[],
  value: NewField[2],
  where: string,
  rows: ReadonlyMap<string, Json>,
): Json {
  if (object === null) return object;
  if (object === undefined || typeof object !== "object" || isList(object)) {
    throw new MigrationError(`${where}: there is no object where one should be`);
  }
  const [part = "", ...more] = path;
  const name = part.replace("[]", "");
  const child = object[name];
  if (more.length === 0) {
    return name in object
      ? object
      : { ...object, [name]: typeof value === "function" ? value(object, rows) : value };
  }
  if (child === undefined) return object;
  if (part === name) return { ...object, [name]: withField(child, more, value, where, rows) };
  if (!isList(child)) throw new MigrationError(`${where}: ${name} is no list`);
  return { ...object, [name]: child.map((each) => withField(each, more, value, where, rows)) };
}

/** A copy of `object` in which a list rises by a field of its elements. */
function withOrder(object: Json, name: string, by: string, key: string): Json {
  const list = object === null || typeof object !== "object" || isList(object) ? undefined : object[name];
  if (list === undefined || !isList(list)) throw new MigrationError(`${key}: ${name} is no list`);
  const order = (element: Json) => Number((element as Fields | null)?.[by]);
  return { ...object as Fields, [name]: list.toSorted((a, b) => order(a) - order(b)) };
}

/** Array.isArray, which forgets that lists may be read-only. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
