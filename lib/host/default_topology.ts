/**
 * What a host needs to know of topologies without reading one: the default one, and what follows from any. The schema
 * is in topology.ts, which only those load who are given a topology from outside.
 */
import { splitMix64 } from "../base/random.ts";
import { DEFAULT_ISM_OPTIONS } from "../ism/device/options.ts";
import { DEFAULT_KERNEL_OPTIONS } from "../vfio/kernel_options.ts";
import { DEFAULT_MACHINE_OPTIONS } from "../zpci/options.ts";
import type { Topology, TopologyFunction } from "./topology.ts";

/** Version of the topology's format. */
export const TOPOLOGY_SCHEMA = 1;

/** What a topology has where it says nothing. */
export const TOPOLOGY_DEFAULTS = {
  seed: 1,
  clock: "2026-01-01T00:00:00Z",
  memory: 4 * 2 ** 30,
  machine: {
    storeBlock: "relaxed",
    maxstbl: 4096,
    bar0Prefetch: false,
    startDma: 0x1_0000_0000,
    endDma: 0x1ff_ffff_ffff,
    utilityString: true,
  },
  function: { chid: 0x7e1, vfn: 1, port: 0, pnetid: "NET1" },
} as const;

/** Two guests, each with one ISM function on the same channel. */
export function defaultTopology(): Topology {
  const { seed, clock, memory, machine, function: fn } = TOPOLOGY_DEFAULTS;
  const { bar2Size, maxLength, ismState, responseDelay, bar0Status, dmbNeedsSba, ...choices } =
    DEFAULT_ISM_OPTIONS;
  return {
    schema: TOPOLOGY_SCHEMA,
    seed,
    clock,
    memory,
    machine: { ...DEFAULT_MACHINE_OPTIONS, ...machine },
    ism: { ...choices, bar2Size, maxLength, ismState, responseDelay, bar0Status, dmbNeedsSba },
    kernel: kernelDefaults(),
    guests: [
      { name: "guest0", functions: [{ fid: 0x10, uid: 0x1, ...fn, vfn: 1 }] },
      { name: "guest1", functions: [{ fid: 0x11, uid: 0x2, ...fn, vfn: 2 }] },
    ],
  };
}

/** The kernel's options that a topology has; the seed is the host's. */
function kernelDefaults(): Topology["kernel"] {
  const { seed: _, ...kernel } = DEFAULT_KERNEL_OPTIONS;
  return kernel;
}

/** The GID of a function: as the topology says, else derived from the seed; never 0. */
export function gidOf(topology: { readonly seed: number }, fn: TopologyFunction): bigint {
  if (fn.gid !== undefined) return BigInt(fn.gid);
  return splitMix64(splitMix64(BigInt(topology.seed)) ^ BigInt(fn.fid)) | 1n;
}
