/** Texts of /proc. */

/** The process that a thread belongs to (the Tgid of /proc/TID/status). */
export function parseProcessId(status: string): number | undefined {
  const id = /^Tgid:\s*(\d+)$/m.exec(status)?.[1];
  return id === undefined ? undefined : Number(id);
}

/** Where the program of a process lies: changes with execve (fields 26 to 28 and 47 to 50 of /proc/PID/stat). */
export function parseImage(stat: string): string {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return [23, 24, 25, 42, 43, 44, 45].map((i) => fields[i]).join();
}

/** The id of an eventfd (fs/eventfd.c: eventfd_show_fdinfo); undefined if the descriptor is no eventfd. */
export function parseEventfdId(fdinfo: string): number | undefined {
  const id = /^eventfd-id:\s*(\d+)$/m.exec(fdinfo)?.[1];
  return id === undefined ? undefined : Number(id);
}

/** Release of the running kernel. @returns major and minor number */
export function parseRelease(text: string): readonly [number, number] {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  return [Number(major), Number(minor)];
}
