/** A guest's kernel in the host file. */
import type { BindingState } from "./binding.ts";
import type { DeviceState } from "./device.ts";
import type { DynamicId } from "./dynamic_ids.ts";
import type { Group } from "./group.ts";
import { Container, type ContainerState } from "./iommu/container.ts";
import type { DefaultDomainState } from "./iommu/default_domains.ts";
import { Iommufd, type IommufdState } from "./iommu/iommufd.ts";
import type { Kernel } from "./kernel.ts";
import type { FileState } from "./process/file.ts";
import { openInPrograms, wiredEventFds } from "./process/foreign_files.ts";
import { restoredFile, saveFile } from "./process/saved_files.ts";
import type { EventWorkerState } from "./s390/event_worker.ts";
import type { ZdevState } from "./s390/zdev_state.ts";

/** State of a kernel and its driver process, for the host file. */
export interface KernelState {
  readonly zdevs: readonly ZdevState[];
  readonly interruptPage: number;
  readonly nextId: number;
  /** Counts above 2^53 are decimal text. */
  readonly eventfds: readonly { readonly id: number; readonly count: number | string }[];
  readonly containers: readonly ContainerState[];
  readonly iommufds: readonly IommufdState[];
  readonly bindings: readonly BindingState[];
  readonly dynamicIds: readonly DynamicId[];
  /** Container of each group by number, or the iommufd that it has for one; null where none is set. */
  readonly groups: readonly (number | null)[];
  readonly devices: readonly DeviceState[];
  /** The kernel's own IOMMU domain of each function. */
  readonly defaultDomains: readonly DefaultDomainState[];
  /** Reports of the machine that wait for a lock. */
  readonly events: EventWorkerState;
  readonly files: readonly FileState[];
}

/** What belongs to none of the parts of a kernel. */
export type KernelHead = Pick<KernelState, "interruptPage" | "nextId" | "dynamicIds" | "events">;

/** State of a kernel that is copied while real programs run. */
export interface RunningState extends KernelState {
  /** What they have open. */
  readonly programs?: readonly FileState[];
}

/** The id of a group's container or iommufd. */
export function groupState({ container, iommufd }: Group): number | null {
  return container?.id ?? iommufd?.id ?? null;
}

/** A kernel with all of its parts; with what real programs have open, for a copy. */
export function saveParts(
  kernel: Kernel,
  { interruptPage, nextId, dynamicIds, events }: KernelHead,
  withPrograms: boolean,
): RunningState {
  const eventfds = new Set([
    ...withPrograms ? wiredEventFds(kernel.devices) : [],
    ...kernel.eventfds.all,
  ]);
  return {
    zdevs: kernel.zdevs.map((zdev) => zdev.save()),
    interruptPage,
    nextId,
    eventfds: [...eventfds].sort((a, b) => a.id - b.id).map((eventfd) => eventfd.save()),
    containers: [...kernel.containers.values()].map((container) => container.save()),
    iommufds: [...kernel.iommufds.values()].map((iommufd) => iommufd.save()),
    bindings: kernel.bindings.map((binding) => binding.save()),
    dynamicIds,
    groups: kernel.groups.map(groupState),
    devices: kernel.devices.map((device) => device.save()),
    defaultDomains: kernel.zdevs.map((zdev) => kernel.defaultDomains.save(zdev)),
    events,
    files: [...kernel.process.files()].map(([fd, file]) => saveFile(fd, file)),
    ...(withPrograms ? { programs: openInPrograms(kernel.foreign) } : {}),
  };
}

/** Puts everything back that a kernel with its functions needs, each thing after those that it refers to. */
export function restoreParts(kernel: Kernel, state: KernelState): void {
  kernel.eventfds.restore(state.eventfds);
  for (const container of state.containers) {
    kernel.containers.set(container.id, Container.restore(kernel, container));
  }
  for (const iommufd of state.iommufds) kernel.iommufds.set(iommufd.id, Iommufd.restore(kernel, iommufd));
  kernel.dynamicIds.restore(state.dynamicIds);
  const open = new Set(state.devices.filter(({ openCount }) => openCount > 0).map(({ fid }) => fid));
  state.bindings.forEach((binding, i) =>
    kernel.bindings[i]!.restore(binding, open.has(kernel.zdevs[i]!.facts.fid))
  );
  kernel.events.restore(state.events);
  state.defaultDomains.forEach((domain, i) => kernel.defaultDomains.restore(kernel.zdevs[i]!, domain));
  state.groups.forEach((id, i) => {
    if (id !== null) restoreGroup(kernel, kernel.groups[i]!, id);
  });
  for (const device of state.devices) kernel.deviceOf(device.fid).restore(device);
  for (const file of state.files) {
    const restored = restoredFile(kernel, file);
    restored.flags = file.flags;
    kernel.process.restoreFile(file.fd, restored, file.position);
  }
}

/** `id` is that of its container or iommufd. */
function restoreGroup(kernel: Kernel, group: Group, id: number): void {
  group.iommufd = kernel.iommufds.get(id);
  const container = kernel.containers.get(id);
  if (container === undefined) return;
  group.container = container;
  container.groups.add(group);
  container.domain?.adopt(group.zdev);
}
