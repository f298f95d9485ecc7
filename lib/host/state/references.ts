/**
 * What the rows of a saved host must say of each other, and what a schema cannot know: ids name something, addresses
 * lie in memory, nothing is there twice. Works on rows whose shape is right, before a host is made of them.
 */
import type { Json } from "../../base/json.ts";
import { hex } from "../../base/hex.ts";
import { microsecondsSince1900 } from "../../zpci/clock.ts";
import { handleIndex } from "../../zpci/handle.ts";
import type { StorageState } from "../../zpci/storage.ts";
import { doubles, SavedMemory, type Say } from "./memory.ts";
import { kernelFaults } from "./references_kernel.ts";
import { rowKey, type RowKind, type StateRows } from "./schema.ts";
import type { Topology } from "../topology.ts";

/** What is due is done when the clock moves, which is by a day at most. Microseconds. */
const LATE = 2 * 86_400_000_000;

/** Every reference of a saved host that leads nowhere, as `row: path: what`. */
export function referenceFaults(topology: Topology, rows: ReadonlyMap<string, Json>): string[] {
  const wrong: string[] = [];
  const row = <Kind extends RowKind>(kind: Kind, of?: number) =>
    rows.get(rowKey(kind, of)) as unknown as StateRows[Kind];
  const say = (kind: RowKind, of?: number): Say => (path, what) => {
    wrong.push(`${rowKey(kind, of)}: ${path}: ${what}`);
  };
  const fids = new Set(topology.guests.flatMap(({ functions }) => functions.map(({ fid }) => fid)));
  checkClock(topology, row("clock"), say("clock"));
  checkFaultIds(row("faults"), row("locks"), say("faults"), say("locks"));
  row("rendezvous").forEach(({ reader }, i) => {
    if (!fids.has(reader)) say("rendezvous")(`${i}.reader`, `there is no function ${hex(reader)}`);
  });
  topology.guests.forEach(({ functions }, guest) => {
    const storage = row("storage", guest);
    const before = wrong.length;
    checkStorage(topology, storage, say("storage", guest));
    // The rest asks what is in memory.
    if (wrong.length > before) return;
    const memory = new SavedMemory(storage);
    kernelFaults(functions, row("kernel", guest), memory, say("kernel", guest));
    row("kernel", guest).bindings.forEach(({ nextRequest }, i) => {
      if (nextRequest === null || nextRequest + LATE > row("clock")) return;
      say("kernel", guest)(`bindings.${i}.nextRequest`, "it is long before what the clock says");
    });
    functions.forEach(({ fid }, i) => {
      const { fh } = row("function", fid);
      if (handleIndex(fh) !== i + 1) {
        say("function", fid)("fh", `${hex(fh)} is the handle of another function`);
      }
      checkAdapter(topology, row("adapter", fid), say("adapter", fid));
      checkDriver(row("driver", fid), memory, say("driver", fid));
    });
  });
  checkTokens(
    topology,
    (fid) => row("adapter", fid).dmbs.map(({ token }) => token),
    (fid) => say("adapter", fid),
  );
  return wrong;
}

function checkClock({ clock }: Topology, now: number, say: Say): void {
  if (now < microsecondsSince1900(clock)) say("the row", `it is before ${clock}, when the host was made`);
}

/** The two lists share their numbers. */
function checkFaultIds(
  { nextId, faults }: StateRows["faults"],
  locks: StateRows["locks"],
  sayFault: Say,
  sayLock: Say,
): void {
  faults.forEach(({ id }, i) => {
    if (id >= nextId) sayFault(`faults.${i}.id`, `${id} was not given yet, the next one is ${nextId}`);
  });
  locks.faults.forEach(({ id }, i) => {
    if (id >= nextId) sayLock(`faults.${i}.id`, `${id} was not given yet, the next one is ${nextId}`);
  });
  for (const id of doubles([...faults, ...locks.faults].map(({ id }) => id))) {
    sayFault("faults", `two have the number ${id}`);
  }
}

function checkStorage({ memory }: Topology, { next, buffers }: StorageState, say: Say): void {
  let end = 0;
  let all = 0;
  buffers.forEach(({ address, size }, i) => {
    if (address < end) say(`buffers.${i}`, `${hex(address)} is not behind the buffer before it`);
    end = address + size;
    all += size;
  });
  if (end > next) say("next", `${hex(next)} is inside a buffer`);
  if (all > memory) say("buffers", `they have ${all} bytes, the guest ${memory}`);
}

function checkAdapter({ ism }: Topology, { commandBar, vlans, dmbs }: StateRows["adapter"], say: Say): void {
  if (commandBar.busyLoads > ism.responseDelay) {
    say("commandBar.busyLoads", `${commandBar.busyLoads} is more than responseDelay, ${ism.responseDelay}`);
  }
  for (const id of doubles(vlans)) say("vlans", `${id} is there twice`);
  for (const index of doubles(dmbs.map(({ sbaIndex }) => sbaIndex))) {
    say("dmbs", `two have the index ${index}`);
  }
}

/** Tokens are unique on a channel. */
function checkTokens(
  { guests }: Topology,
  tokensOf: (fid: number) => readonly number[],
  say: (fid: number) => Say,
): void {
  const seen = new Set<string>();
  for (const { fid, chid } of guests.flatMap(({ functions }) => functions)) {
    for (const token of tokensOf(fid)) {
      const place = `${chid}:${token}`;
      if (seen.has(place)) say(fid)("dmbs", `the token ${hex(token)} is there twice`);
      seen.add(place);
    }
  }
}

/** Descriptors are not looked at: somebody may have closed them behind the driver's back, and reused them. */
function checkDriver(
  { descriptor, registrations, dmbs, memory }: StateRows["driver"],
  guest: SavedMemory,
  say: Say,
): void {
  if (descriptor === null) {
    if (registrations !== null) say("registrations", "there are some, and the function is not open");
    if (dmbs.length > 0) say("dmbs", "there are some, and the function is not open");
    return;
  }
  const check = (path: string, { vaddr, size }: { readonly vaddr: number; readonly size: number }) => {
    if (!guest.holds(vaddr, size)) say(path, `${size} bytes at ${hex(vaddr)} are no memory of the guest`);
  };
  if (registrations !== null) {
    check("registrations.sba", registrations.sba);
    check("registrations.ieq", registrations.ieq);
  }
  dmbs.forEach((dmb, i) => check(`dmbs.${i}`, dmb));
  memory.forEach((each, i) => check(`memory.${i}`, each));
  for (const index of doubles(dmbs.map(({ index }) => index))) say("dmbs", `two have the index ${index}`);
  for (const token of doubles(dmbs.map(({ token }) => token))) {
    say("dmbs", `two have the token ${hex(token)}`);
  }
}
