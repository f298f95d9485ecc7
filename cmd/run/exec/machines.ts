/** The machines that `conform` runs a program on: what differs from one to the other, as data. */
import { parseTopology, type Topology } from "../../../lib/host/topology.ts";
import { REGION_LAYOUTS } from "../../../lib/vfio/region_layout.ts";
import { RELEASES } from "../../../lib/vfio/release.ts";

/** A part of a topology. */
type Part = Readonly<Record<string, unknown>>;
/** What a factor sets, by part of the topology. */
type Change = { readonly kernel?: Part; readonly machine?: Part; readonly ism?: Part };

/** Something in which machines differ. */
interface Factor {
  readonly name: string;
  /** Names of its values and what they set. The first that the base has already is not run again. */
  readonly values: readonly (readonly [name: string, change: Change])[];
}

const hex = (value: number) => `0x${value.toString(16)}`;
const windowOf = (startDma: number, endDma: number) =>
  [`${hex(startDma)}-${hex(endDma)}`, { machine: { startDma, endDma } }] as const;

/** In the order of the table; docs/topology.md explains each. */
export const FACTORS: readonly Factor[] = [
  {
    name: "regionLayout",
    values: REGION_LAYOUTS.map((regionLayout) => [regionLayout, { kernel: { regionLayout } }]),
  },
  {
    name: "driverRevision",
    values: ["merged", "posted-v4"].map((driverRevision) => [driverRevision, { kernel: { driverRevision } }]),
  },
  { name: "release", values: RELEASES.map((release) => [release, { kernel: { release } }]) },
  {
    name: "storeBlock",
    values: ["relaxed", "strict8"].map((storeBlock) => [storeBlock, { machine: { storeBlock } }]),
  },
  { name: "maxstbl", values: [4096, 128].map((maxstbl) => [`${maxstbl}`, { machine: { maxstbl } }]) },
  {
    name: "dmaWindow",
    values: [
      windowOf(0x1_0000_0000, 0x1ff_ffff_ffff),
      windowOf(0x10_0000, 0xff_ffff),
      windowOf(0x100_0000_3000, 0x1ff_ffff_ffff),
    ],
  },
  {
    name: "responseDelay",
    values: [0, 1, 100].map((responseDelay) => [`${responseDelay}`, { ism: { responseDelay } }]),
  },
];

/** A machine to run on. */
export interface Machine {
  /** What differs from the reference: `regionLayout=packed release=7.1`; `reference` for that itself. */
  readonly name: string;
  readonly topology: Topology;
}

function changed(base: Topology, changes: readonly Change[]): Topology {
  const merge = (part: "kernel" | "machine" | "ism") =>
    changes.reduce<Part>((merged, change) => ({ ...merged, ...change[part] }), base[part]);
  return parseTopology({ ...base, kernel: merge("kernel"), machine: merge("machine"), ism: merge("ism") });
}

/** The value of a factor that a topology has already; undefined if it has another one. */
function valueOf(base: Topology, { values }: Factor): string | undefined {
  // Written anew, so that parts and fields stand in one order however the base came about.
  const written = JSON.stringify(changed(base, []));
  return values.find(([, change]) => JSON.stringify(changed(base, [change])) === written)?.[0];
}

/**
 * The reference, which is the base itself, then machines that differ from it: in one factor each, or with `all` in any
 * number of them.
 */
export function machines(base: Topology, all: boolean): Machine[] {
  let names: (readonly (readonly [name: string, change: Change])[])[] = [[]];
  const single: (readonly (readonly [name: string, change: Change])[])[] = [[]];
  for (const factor of FACTORS) {
    const own = valueOf(base, factor);
    const others = factor.values.filter(([name]) => name !== own)
      .map(([name, change]) => [`${factor.name}=${name}`, change] as const);
    single.push(...others.map((other) => [other]));
    names = names.flatMap((before) => [before, ...others.map((other) => [...before, other])]);
  }
  return (all ? names : single).map((parts) => ({
    name: parts.length === 0 ? "reference" : parts.map(([name]) => name).join(" "),
    topology: changed(base, parts.map(([, change]) => change)),
  }));
}
