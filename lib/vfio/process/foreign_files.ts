/** What real programs have open, for a copy of the kernel in which they are killed. */
import type { VfioDevice } from "../device.ts";
import type { EventFd } from "./eventfd.ts";
import type { FileState, OpenFile } from "./file.ts";

/** Descriptors of real programs; a file that several of them share comes several times. */
export type ForeignFiles = Set<{ readonly file: OpenFile }>;

/** Eventfds that devices signal, those of programs among them. */
export function* wiredEventFds(devices: readonly VfioDevice[]): Generator<EventFd> {
  for (const { msi, req, err } of devices) {
    for (const eventfd of [...msi ?? [], req, err]) if (eventfd !== undefined) yield eventfd;
  }
}

/** Files of the simulated kernel that programs have open, each once. Eventfds are the real machine's. */
export function openInPrograms(foreign: ForeignFiles): FileState[] {
  return [...new Set([...foreign].map(({ file }) => file))].flatMap((file) => {
    const { kind, position, flags, id } = file;
    if (kind === "other" || kind === "eventfd") return [];
    return [{ fd: 0, kind, position, flags, id, ...file.save() }];
  });
}
