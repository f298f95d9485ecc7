/**
 * The description of a host: its guests, their functions, and every choice that public sources leave open.
 * A topology is JSON; what is left out takes its default. docs/fidelity.md explains the choices.
 */
import * as v from "valibot";
import type { Choices } from "../base/choices.ts";
import { COMMAND_AREA_BYTES } from "../ism/device/command_bar.ts";
import { DEFAULT_ISM_OPTIONS, ISM_CHOICES } from "../ism/device/options.ts";
import { COMMANDS } from "../ism/protocol.ts";
import { gidOf, TOPOLOGY_DEFAULTS, TOPOLOGY_SCHEMA } from "./default_topology.ts";
import { DEFAULT_KERNEL_OPTIONS } from "../vfio/kernel.ts";
import { issueText } from "./issue.ts";
import { microsecondsSince1900 } from "../zpci/clock.ts";
import { REGION_LAYOUTS } from "../vfio/region_layout.ts";
import { RELEASES } from "../vfio/release.ts";
import { MACHINE_CHOICES } from "../zpci/options.ts";
import { TopologyError } from "./errors.ts";

export { defaultTopology, gidOf } from "./default_topology.ts";

const MAX_FUNCTIONS = 64;
const GIB = 2 ** 30;
/** 2185-01-01 in microseconds since 1900: 2^53, where a double stops counting, comes later in that year. */
const LATEST_START = microsecondsSince1900("2185-01-01T00:00:00Z");
/** Bytes of the longest command; a smaller limit would make it impossible. */
const LONGEST_COMMAND = COMMANDS.REG_DMB.request.size;

/** A whole number between two limits; JSON numbers or `"0x…"` text. */
function whole(least: number, most: number) {
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^0x[0-9a-fA-F]{1,14}$/), v.transform(Number))]),
    v.integer(),
    v.minValue(least),
    v.maxValue(most),
  );
}

const powerOfTwo = (least: number, most: number) =>
  v.pipe(
    whole(least, most),
    v.check((value) => Number.isInteger(Math.log2(value)), "must be a power of two"),
  );
const pageMultiple = (least: number, most: number) =>
  v.pipe(whole(least, most), v.check((value) => value % 4096 === 0, "must be a multiple of 4096"));

/** A schema for each choice of a table; what is left out takes the first value. */
function choices<const Table extends Choices>(table: Table) {
  const schemas = Object.entries(table).map(([name, values]) =>
    [name, v.optional(v.picklist(values), values[0])] as const
  );
  return Object.fromEntries(schemas) as {
    [Name in keyof Table]: v.OptionalSchema<v.PicklistSchema<Table[Name], undefined>, Table[Name][0]>;
  };
}

const { machine: MACHINE, function: FUNCTION } = TOPOLOGY_DEFAULTS;

const FunctionSchema = v.strictObject({
  fid: whole(1, 0xffff_ffff),
  uid: whole(1, 0xffff),
  chid: v.optional(whole(0, 0xffff), FUNCTION.chid),
  vfn: v.optional(whole(0, 0xffff), FUNCTION.vfn),
  port: v.optional(whole(0, 15), FUNCTION.port),
  gid: v.optional(v.pipe(v.string(), v.regex(/^0x[0-9a-fA-F]{1,16}$/))),
  pnetid: v.optional(v.pipe(v.string(), v.regex(/^[A-Z0-9]{1,16}$/)), FUNCTION.pnetid),
});

const GuestSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,32}$/)),
  functions: v.pipe(v.array(FunctionSchema), v.minLength(1), v.maxLength(MAX_FUNCTIONS)),
});

const TopologySchema = v.strictObject({
  schema: v.optional(v.literal(TOPOLOGY_SCHEMA), TOPOLOGY_SCHEMA),
  seed: v.optional(whole(0, Number.MAX_SAFE_INTEGER), TOPOLOGY_DEFAULTS.seed),
  clock: v.optional(
    v.pipe(v.string(), v.isoTimestamp(), v.check(isTime, "is no time between 1900 and 2184")),
    TOPOLOGY_DEFAULTS.clock,
  ),
  memory: v.optional(pageMultiple(64 * 2 ** 20, 64 * GIB), TOPOLOGY_DEFAULTS.memory),
  machine: v.optional(
    v.strictObject({
      storeBlock: v.optional(v.picklist(["relaxed", "strict8"]), MACHINE.storeBlock),
      maxstbl: v.optional(whole(8, 8191), MACHINE.maxstbl),
      bar0Prefetch: v.optional(v.boolean(), MACHINE.bar0Prefetch),
      startDma: v.optional(pageMultiple(0, 2 ** 48), MACHINE.startDma),
      endDma: v.optional(
        v.pipe(whole(0, 2 ** 52), v.check((end) => end % 4096 === 4095, "must end a 4096-byte page")),
        MACHINE.endDma,
      ),
      utilityString: v.optional(v.boolean(), MACHINE.utilityString),
      ...choices(MACHINE_CHOICES),
    }),
    {},
  ),
  ism: v.optional(
    v.strictObject({
      ...choices(ISM_CHOICES),
      bar2Size: v.optional(powerOfTwo(4096, 2 ** 31), DEFAULT_ISM_OPTIONS.bar2Size),
      maxLength: v.optional(whole(LONGEST_COMMAND, COMMAND_AREA_BYTES), DEFAULT_ISM_OPTIONS.maxLength),
      ismState: v.optional(whole(0, Number.MAX_SAFE_INTEGER), DEFAULT_ISM_OPTIONS.ismState),
      responseDelay: v.optional(whole(0, 2 ** 31), DEFAULT_ISM_OPTIONS.responseDelay),
      bar0Status: v.optional(whole(1, 255), DEFAULT_ISM_OPTIONS.bar0Status),
      dmbNeedsSba: v.optional(v.boolean(), DEFAULT_ISM_OPTIONS.dmbNeedsSba),
    }),
    {},
  ),
  kernel: v.optional(
    v.strictObject({
      release: v.optional(v.picklist(RELEASES), DEFAULT_KERNEL_OPTIONS.release),
      busyRetryLimit: v.optional(whole(1, 2 ** 31), DEFAULT_KERNEL_OPTIONS.busyRetryLimit),
      capabilityChain: v.optional(v.boolean(), DEFAULT_KERNEL_OPTIONS.capabilityChain),
      driverRevision: v.optional(v.picklist(["merged", "posted-v4"]), DEFAULT_KERNEL_OPTIONS.driverRevision),
      recoveryWindow: v.optional(whole(0, 65_535), DEFAULT_KERNEL_OPTIONS.recoveryWindow),
      regionLayout: v.optional(v.picklist(REGION_LAYOUTS), DEFAULT_KERNEL_OPTIONS.regionLayout),
      dmaBuf: v.optional(v.boolean(), DEFAULT_KERNEL_OPTIONS.dmaBuf),
      iommuAperture: v.optional(whole(0, 2 ** 16), DEFAULT_KERNEL_OPTIONS.iommuAperture),
      memlockLimit: v.optional(
        v.union([v.literal("unlimited"), whole(0, Number.MAX_SAFE_INTEGER)]),
        DEFAULT_KERNEL_OPTIONS.memlockLimit,
      ),
      dmaEntryLimit: v.optional(whole(1, 65_535), DEFAULT_KERNEL_OPTIONS.dmaEntryLimit),
    }),
    {},
  ),
  guests: v.pipe(v.array(GuestSchema), v.minLength(1), v.maxLength(MAX_FUNCTIONS)),
});

/** A checked topology with every default filled in. */
export type Topology = v.InferOutput<typeof TopologySchema>;
export type TopologyGuest = Topology["guests"][number];
export type TopologyFunction = TopologyGuest["functions"][number];

/**
 * Checks a topology and fills in the defaults.
 *
 * @throws {TopologyError} with the path of what is wrong
 */
export function parseTopology(json: unknown): Topology {
  const parsed = v.safeParse(TopologySchema, json, { abortEarly: true });
  if (!parsed.success) {
    throw new TopologyError(issueText(parsed.issues[0], "the document"));
  }
  const topology = parsed.output;
  const functions = topology.guests.flatMap((guest) => guest.functions);
  if (functions.length > MAX_FUNCTIONS) {
    throw new TopologyError(`A host has at most ${MAX_FUNCTIONS} functions, not ${functions.length}`);
  }
  checkUnique("function id", functions.map(({ fid }) => `0x${fid.toString(16)}`));
  checkUnique("guest name", topology.guests.map(({ name }) => name));
  checkUnique("GID", functions.map((fn) => `0x${gidOf(topology, fn).toString(16)}`));
  for (const { name, functions } of topology.guests) {
    checkUnique(`uid in guest ${name}`, functions.map(({ uid }) => `0x${uid.toString(16)}`));
  }
  if (topology.machine.startDma >= topology.machine.endDma) {
    throw new TopologyError("machine.startDma must be below machine.endDma");
  }
  return topology;
}

/** True for a time from which a clock in whole microseconds since 1900 can go on counting exactly for years. */
function isTime(text: string): boolean {
  const microseconds = microsecondsSince1900(text);
  return microseconds >= 0 && microseconds < LATEST_START;
}

function checkUnique(what: string, values: readonly string[]): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice !== undefined) throw new TopologyError(`Two functions or guests have the ${what} ${twice}`);
}
