/** What a kernel's saved objects must say of each other: ids, descriptors, mappings. */
import { hex } from "../../base/hex.ts";
import type { DomainState } from "../../vfio/iommu/iommu_domain.ts";
import type { IommufdState } from "../../vfio/iommu/iommufd.ts";
import type { KernelState } from "../../vfio/kernel_state.ts";
import { doubles, type SavedMemory, type Say } from "./memory.ts";
import type { TopologyFunction } from "../topology.ts";

/** Everything of a kernel that other parts of it refer to. */
interface Objects {
  readonly eventfds: ReadonlySet<number>;
  readonly containers: ReadonlySet<number>;
  readonly iommufds: ReadonlyMap<number, IommufdState>;
  /** Functions that a vfio driver holds. */
  readonly devices: ReadonlySet<number>;
}

/** Every reference of a kernel that leads nowhere. */
export function kernelFaults(
  functions: readonly TopologyFunction[],
  state: KernelState,
  memory: SavedMemory,
  say: Say,
): void {
  if (!memory.isPage(state.interruptPage)) {
    say("interruptPage", `no page of memory begins at ${hex(state.interruptPage)}`);
  }
  checkFunctions(functions, state, say);
  const objects: Objects = {
    eventfds: new Set(state.eventfds.map(({ id }) => id)),
    containers: new Set(state.containers.map(({ id }) => id)),
    iommufds: new Map(state.iommufds.map((iommufd) => [iommufd.id, iommufd])),
    devices: new Set(state.devices.map(({ fid }) => fid)),
  };
  checkIds(state, say);
  checkDomains(state, memory, say);
  state.groups.forEach((id, i) => {
    if (id === null || objects.containers.has(id) || objects.iommufds.has(id)) return;
    say(`groups.${i}`, `neither a container nor an iommufd has the id ${id}`);
  });
  checkDevices(state, objects, say);
  checkFiles(state, objects, say);
  checkBindings(state, say);
}

/** The kernel knows the functions of its guest, and one binding and group for each. */
function checkFunctions(functions: readonly TopologyFunction[], state: KernelState, say: Say): void {
  const { zdevs, bindings, groups, defaultDomains } = state;
  const known = zdevs.map(({ facts }) => facts.fid);
  functions.forEach(({ fid, uid }, i) => {
    const facts = zdevs[i]?.facts;
    if (facts?.fid !== fid) say(`zdevs.${i}`, `it is not function ${hex(fid)} of the topology`);
    else if (facts.uid !== uid) say(`zdevs.${i}.facts.uid`, `it is ${uid} in the topology`);
    else if (facts.startDma >= facts.endDma) say(`zdevs.${i}.facts.endDma`, "it is below startDma");
  });
  for (const [name, { length }] of Object.entries({ zdevs, bindings, groups, defaultDomains })) {
    if (length !== functions.length) say(name, `there are ${length} for ${functions.length} functions`);
  }
  state.bindings.forEach(({ driver }, i) => {
    const held = driver !== null && driver !== "ism";
    if (held === state.devices.some(({ fid }) => fid === known[i])) return;
    say("devices", held ? `${hex(known[i] ?? 0)} is missing` : `no vfio driver holds ${hex(known[i] ?? 0)}`);
  });
  for (const [i, { fid }] of state.devices.entries()) {
    if (!known.includes(fid)) say(`devices.${i}.fid`, `there is no function ${hex(fid)}`);
  }
  for (const fid of doubles(state.devices.map(({ fid }) => fid))) {
    say("devices", `${hex(fid)} is there twice`);
  }
}

/** Eventfds, containers and iommufds share their numbers; an iommufd's objects have their own. */
function checkIds({ nextId, eventfds, containers, iommufds, devices, files }: KernelState, say: Say): void {
  const lists = { eventfds, containers, iommufds };
  for (const [name, objects] of Object.entries(lists)) {
    objects.forEach(({ id }, i) => {
      if (id >= nextId) say(`${name}.${i}.id`, `${id} was not given yet, the next one is ${nextId}`);
    });
  }
  for (const id of doubles(Object.values(lists).flatMap((list) => list.map(({ id }) => id)))) {
    say("nextId", `two objects have the id ${id}`);
  }
  iommufds.forEach(({ id, ioases, vfioIoas, faultQueues }, i) => {
    const bound = [
      ...devices.filter(({ compat }) => compat?.iommufd === id).map(({ compat }) => compat!.devid),
      ...files.filter(({ cdev }) => cdev?.iommufd === id).map(({ cdev }) => cdev!.devid),
    ];
    const own = ioases.flatMap((ioas) => [ioas.id, ...ioas.hwpts]);
    for (const twice of doubles([...own, ...bound, ...faultQueues])) {
      say(`iommufds.${i}`, `two of its objects have the id ${twice}`);
    }
    if (vfioIoas !== null && !ioases.some((ioas) => ioas.id === vfioIoas)) {
      say(`iommufds.${i}.vfioIoas`, `there is no IOAS ${vfioIoas}`);
    }
  });
}

function checkDomains(
  { interruptPage, containers, iommufds, devices, files, defaultDomains, zdevs }: KernelState,
  memory: SavedMemory,
  say: Say,
): void {
  const origins: number[] = [interruptPage];
  containers.forEach(({ domain, type, withoutAddress }, i) => {
    const path = `containers.${i}`;
    if ((domain === null) !== (type === null)) say(`${path}.type`, "a type and a domain come together");
    if (domain !== null) origins.push(domain.origin);
    if (domain !== null) checkDomain(domain, memory, `${path}.domain`, say);
    checkMapped(withoutAddress, domain, `${path}.withoutAddress`, say);
  });
  const attached = [...files.map(({ cdev }) => cdev), ...devices.map(({ compat }) => compat)];
  iommufds.forEach(({ id: iommufd, ioases }, i) =>
    ioases.forEach(({ id, domain, writablePages, allowed, shared, hwpts }, j) => {
      const path = `iommufds.${i}.ioases.${j}`;
      origins.push(domain.origin);
      // Before there is a page table nobody looks whether the memory is there.
      const hasTable = hwpts.length > 0 || attached.some((to) => to?.iommufd === iommufd && to.ioas === id);
      checkDomain(domain, memory, `${path}.domain`, say, hasTable);
      checkMapped(writablePages, domain, `${path}.writablePages`, say);
      checkMapped(shared.map(([iova]) => iova), domain, `${path}.shared`, say);
      allowed.forEach(([first, last], k) => {
        if (BigInt(first) > BigInt(last)) say(`${path}.allowed.${k}`, "it ends before it begins");
      });
    })
  );
  defaultDomains.forEach(({ origin, attached }, i) => {
    const path = `defaultDomains.${i}.origin`;
    if (origin !== null) origins.push(origin);
    if (origin === null ? attached : !memory.isPage(origin)) say(path, "no page of memory begins there");
  });
  zdevs.forEach(({ measurementBlock }, i) => {
    if (measurementBlock === null) return;
    origins.push(measurementBlock);
    if (!memory.isPage(measurementBlock)) {
      say(`zdevs.${i}.measurementBlock`, `no page of memory begins at ${hex(measurementBlock)}`);
    }
  });
  for (const origin of doubles(origins)) say("interruptPage", `two things use the page at ${hex(origin)}`);
}

function checkDomain(
  { origin, mappings }: DomainState,
  memory: SavedMemory,
  path: string,
  say: Say,
  isTaken = true,
): void {
  if (!memory.isPage(origin)) say(`${path}.origin`, `no page of memory begins at ${hex(origin)}`);
  let end = 0;
  mappings.forEach(({ iova, size, vaddr }, i) => {
    const here = `${path}.mappings.${i}`;
    if (iova < end) say(here, `${hex(iova)} is not behind the mapping before it`);
    if (isTaken && !memory.holds(vaddr, size)) {
      say(here, `${size} bytes at ${hex(vaddr)} are no memory of the guest`);
    }
    end = iova + size;
  });
  if (end > 2 ** 64) say(`${path}.mappings`, "the last one passes 2^64");
}

function checkMapped(iovas: readonly number[], domain: DomainState | null, path: string, say: Say): void {
  const mapped = new Set(domain?.mappings.map(({ iova }) => iova));
  iovas.forEach((iova, i) => {
    if (!mapped.has(iova)) say(`${path}.${i}`, `no mapping begins at ${hex(iova)}`);
  });
}

function checkDevices({ zdevs, devices, files }: KernelState, objects: Objects, say: Say): void {
  devices.forEach(({ fid, openCount, config, openState, msi, req, err, compat }, i) => {
    const path = `devices.${i}`;
    const open = files.filter((file) =>
      file.kind === "device" && file.id === fid && (file.cdev === undefined || file.cdev.iommufd !== null)
    );
    if (openCount !== open.length) {
      say(`${path}.openCount`, `${openCount} does not fit ${open.length} open descriptors`);
    }
    if ((config === null) !== (openCount === 0)) {
      say(`${path}.config`, "there is one while the device is open");
    }
    if (openState !== null && openCount === 0) {
      say(`${path}.openState`, "there is one while the device is open");
    }
    checkCapabilities(config?.capabilities ?? [], `${path}.config.capabilities`, say);
    msi?.forEach((id, vector) => {
      if (id !== null && !objects.eventfds.has(id)) say(`${path}.msi.${vector}`, `there is no eventfd ${id}`);
    });
    if (req !== null && !objects.eventfds.has(req)) say(`${path}.req`, `there is no eventfd ${req}`);
    if (err !== null && !objects.eventfds.has(err)) say(`${path}.err`, `there is no eventfd ${err}`);
    const noi = zdevs.find(({ facts }) => facts.fid === fid)?.facts.noi ?? 0;
    if ((msi?.length ?? 0) > noi) say(`${path}.msi`, `the function has ${noi} interrupts`);
    if (compat !== null) checkBound(compat, `${path}.compat`, objects, say);
  });
}

function checkBound(
  { iommufd, ioas }: { readonly iommufd: number; readonly ioas: number | null },
  path: string,
  { iommufds }: Objects,
  say: Say,
): void {
  const found = iommufds.get(iommufd);
  if (found === undefined) return say(`${path}.iommufd`, `there is no iommufd ${iommufd}`);
  if (ioas === null || found.ioases.some(({ id }) => id === ioas)) return;
  say(`${path}.ioas`, `iommufd ${iommufd} has no IOAS ${ioas}`);
}

function checkCapabilities(
  capabilities: readonly { readonly start: number; readonly length: number }[],
  path: string,
  say: Say,
): void {
  const rising = [...capabilities].sort((a, b) => a.start - b.start);
  let end = 0;
  for (const { start, length } of rising) {
    if (start < end) say(path, `the one at ${hex(start)} overlaps another`);
    end = start + length;
  }
  if (end > 256) say(path, "the last one passes the end of config space");
}

function checkFiles({ zdevs, groups, files }: KernelState, objects: Objects, say: Say): void {
  for (const fd of doubles(files.map(({ fd }) => fd))) say("files", `descriptor ${fd} is there twice`);
  const named = {
    container: objects.containers,
    iommufd: objects.iommufds,
    eventfd: objects.eventfds,
    device: objects.devices,
    group: new Set(zdevs.keys()),
    "fault-queue": objects.iommufds,
  } as const;
  const openGroups: number[] = [];
  files.forEach(({ kind, id, container, dissolved, cdev, faultQueue }, i) => {
    const path = `files.${i}`;
    // /dev/clp is of nothing.
    if (kind !== "clp" && !named[kind].has(id)) return say(`${path}.id`, `there is no ${kind} ${id}`);
    if (cdev !== undefined && kind !== "device") {
      say(`${path}.cdev`, `a descriptor of the kind ${kind} has none`);
    }
    if ((kind === "fault-queue") !== (faultQueue !== undefined)) {
      say(`${path}.faultQueue`, "a descriptor of a fault queue has one, and no other");
    } else if (faultQueue !== undefined && !objects.iommufds.get(id)!.faultQueues.includes(faultQueue)) {
      say(`${path}.faultQueue`, `iommufd ${id} has no fault queue ${faultQueue}`);
    }
    if (kind === "group" && dissolved !== true) {
      openGroups.push(id);
      if (container !== groups[id]) say(`${path}.container`, `group ${id} has another one`);
    }
    if (cdev !== undefined && cdev.iommufd !== null) {
      const { iommufd, ioas, devid, hwpt } = cdev;
      checkBound({ iommufd, ioas }, `${path}.cdev`, objects, say);
      const found = objects.iommufds.get(iommufd)?.ioases.find((each) => each.id === ioas);
      if (hwpt !== null && found?.hwpts.includes(hwpt) !== true) {
        say(`${path}.cdev.hwpt`, `IOAS ${ioas} has no page table ${hwpt}`);
      }
      if (devid === 0) say(`${path}.cdev.devid`, "object ids count from 1");
    }
  });
  for (const id of doubles(openGroups)) say("files", `group ${id} is open twice`);
}

function checkBindings({ bindings, zdevs, events: { pending, removing } }: KernelState, say: Say): void {
  const known = new Set(zdevs.map(({ facts }) => facts.fid));
  if (removing !== null && !known.has(removing)) {
    say("events.removing", `there is no function ${hex(removing)}`);
  }
  pending.forEach(({ error, availability, lookedUp }, i) => {
    const path = `events.pending.${i}`;
    if ((error === null) === (availability === null)) say(path, "it is of one kind");
    if (lookedUp && (error === null || i > 0)) say(`${path}.lookedUp`, "only the first error event is");
  });
  bindings.forEach(({ driver, removing, nextRequest }, i) => {
    const path = `bindings.${i}`;
    if (removing && (driver === null || driver === "ism")) {
      say(`${path}.removing`, "no vfio driver holds the function");
    }
    if (nextRequest !== null && !removing) say(`${path}.nextRequest`, "nothing waits for the function");
  });
}
