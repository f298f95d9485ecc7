/** Whole hosts for tests, and the question whether anything in one changed. */
import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import { Host, type HostFunction } from "../../lib/host/host.ts";
import { parseTopology } from "../../lib/host/topology.ts";
import type { Kernel } from "../../lib/vfio/kernel.ts";
import { ErrnoError } from "../../lib/vfio/errno.ts";

/** A host with `count` guests of one function each, on one channel. `more` is merged into the topology. */
export function hostOf(count: number, more: Record<string, unknown> = {}): Host {
  const guests = Array.from({ length: count }, (_, i) => ({
    name: `guest${i}`,
    functions: [{ fid: 0x10 + i, uid: i + 1, vfn: i + 1, gid: `0xa${i + 1}` }],
  }));
  return Host.create(parseTopology({ guests, ...more }));
}

/** As {@linkcode hostOf}, with every driver started. */
export function startedHost(count: number, more: Record<string, unknown> = {}): Host {
  const host = hostOf(count, more);
  for (const { driver } of host.functions) driver.start();
  return host;
}

/** Everything a host consists of but its clock: saved state by key, and a digest of each buffer of each guest. */
export function snapshot(host: Host): Record<string, unknown> {
  const state: Record<string, unknown> = structuredClone(Object.fromEntries(host.save()));
  delete state["clock"];
  for (const { name, partition } of host.guests) {
    for (const buffer of partition.storage.buffers) {
      const bytes = buffer.touch(0, buffer.size, false);
      state[`memory ${name} 0x${buffer.address.toString(16)}`] = createHash("sha256").update(bytes).digest(
        "hex",
      );
    }
  }
  return state;
}

/** Runs `act` and asserts that nothing on the host changed but the clock. Returns what `act` returned. */
export function unchanged<Result>(host: Host, act: () => Result): Result {
  const before = snapshot(host);
  const result = act();
  assertEquals(snapshot(host), before);
  return result;
}

/** Pages that a kernel has for itself: interrupt bits, and per function its own IOMMU domain and a measurement block. */
export function kernelPages(kernel: Kernel): number {
  const { defaultDomains, zdevs } = kernel.save();
  return 1 + defaultDomains.filter(({ origin }) => origin !== null).length +
    zdevs.filter(({ measurementBlock }) => measurementBlock !== null).length;
}

/** The name of the errno that `act` is refused with, `"ok"` if it is not refused. */
export function errnoOf(act: () => unknown): string {
  try {
    act();
    return "ok";
  } catch (error) {
    if (error instanceof ErrnoError) return error.code;
    throw error;
  }
}

/** The bytes of a DMB in its owner's memory. */
export function dmbBytes({ driver }: HostFunction, token: number): Uint8Array {
  const dmb = driver.dmb(token);
  return driver.view(dmb, 0, dmb.size);
}
