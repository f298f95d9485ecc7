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

/**
 * True before Linux 5.19, which has no WAIT_KILLABLE_RECV: there a signal takes a call back that was carried out already, and
 * the program makes it once more.
 */
export function isTooOld(release: string): boolean {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) < 5 || (Number(major) === 5 && Number(minor) < 19);
}

/** Bit of CAP_IPC_LOCK (include/uapi/linux/capability.h). */
const CAP_IPC_LOCK = 14n;

/** The process may lock as much memory as it likes (CapEff of /proc/PID/status). */
export function mayLock(status: string): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK & 1n) === 1n;
}

/** RLIMIT_MEMLOCK of /proc/PID/limits. Bytes; Infinity for none. */
export function parseLockLimit(limits: string): number {
  const soft = /^Max locked memory\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === "unlimited" ? Infinity : Number(soft);
}
