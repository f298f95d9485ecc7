/**
 * The schema of saved state, row by row, against the interfaces that the parts of a host save themselves as. A field
 * that is in one and not in the other does not compile. Read by `host import` and `host check` only: a command that
 * loads a host takes what is there, so that it starts fast.
 */
import * as v from "valibot";
import type { Json } from "../../base/json.ts";
import type { AdapterState } from "../../ism/device/adapter.ts";
import type { FabricState } from "../../ism/device/fabric.ts";
import type { DriverState } from "../../ism/driver/driver_state.ts";
import type { KernelState } from "../../vfio/kernel_state.ts";
import type { LockPlanState } from "../../vfio/lock_plan.ts";
import type { FaultPlanState } from "../../zpci/faults.ts";
import type { FunctionRecord } from "../../zpci/function.ts";
import type { StorageState } from "../../zpci/storage.ts";
import { issueText } from "../issue.ts";
import type { RendezvousState } from "../rendezvous.ts";
import { DRIVER } from "./schema_driver.ts";
import { KERNEL } from "./schema_kernel.ts";
import { ADAPTER, CLOCK, FABRIC, FAULTS, FUNCTION, LOCKS, RENDEZVOUS, STORAGE } from "./schema_machine.ts";
import type { StateSchema } from "./schema_values.ts";
import type { Topology } from "../topology.ts";

/** What each kind of row holds; docs/host-file.md has the same table. */
export interface StateRows {
  readonly clock: number;
  readonly faults: FaultPlanState;
  readonly locks: LockPlanState;
  readonly rendezvous: RendezvousState;
  /** By channel id. */
  readonly fabric: FabricState;
  /** By number of the guest. */
  readonly storage: StorageState;
  readonly kernel: KernelState;
  /** By function id. */
  readonly function: FunctionRecord;
  readonly adapter: AdapterState;
  readonly driver: DriverState;
}

/** A kind of row. */
export type RowKind = keyof StateRows;

const SCHEMAS: { readonly [Kind in RowKind]: StateSchema<StateRows[Kind]> } = {
  clock: CLOCK,
  faults: FAULTS,
  locks: LOCKS,
  rendezvous: RENDEZVOUS,
  fabric: FABRIC,
  storage: STORAGE,
  kernel: KERNEL,
  function: FUNCTION,
  adapter: ADAPTER,
  driver: DRIVER,
};

/** The key of a row: of which channel, guest or function it is. */
export function rowKey(kind: RowKind, of?: number): string {
  if (kind === "storage" || kind === "kernel") return `guest/${of}/${kind}`;
  return of === undefined ? kind : `${kind}/${of}`;
}

/** Every row that a host of a topology has, with its kind. */
export function expectedRows({ guests }: Topology): ReadonlyMap<string, RowKind> {
  const rows = new Map<string, RowKind>();
  for (const kind of ["clock", "faults", "locks", "rendezvous"] as const) rows.set(kind, kind);
  guests.forEach(({ functions }, guest) => {
    for (const kind of ["storage", "kernel"] as const) rows.set(rowKey(kind, guest), kind);
    for (const { fid, chid } of functions) {
      rows.set(rowKey("fabric", chid), "fabric");
      for (const kind of ["function", "adapter", "driver"] as const) rows.set(rowKey(kind, fid), kind);
    }
  });
  return rows;
}

/**
 * What is wrong with the shape of saved state: rows that are missing or surplus, and in each row the first value that
 * its schema does not allow, as `row: path: what`.
 *
 * @param rows every row of a host in this format, the topology among them or not
 */
export function shapeFaults(topology: Topology, rows: ReadonlyMap<string, Json>): string[] {
  const expected = expectedRows(topology);
  const wrong: string[] = [];
  for (const [key, kind] of expected) {
    const value = rows.get(key);
    if (value === undefined) {
      wrong.push(`${key}: it is missing`);
      continue;
    }
    const parsed = v.safeParse(SCHEMAS[kind], value, { abortEarly: true });
    if (!parsed.success) wrong.push(`${key}: ${issueText(parsed.issues[0], "the row")}`);
  }
  for (const key of rows.keys()) {
    if (key !== "topology" && !expected.has(key)) wrong.push(`${key}: there is nothing of this name`);
  }
  return wrong;
}
