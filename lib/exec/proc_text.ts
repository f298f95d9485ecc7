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

/** What an eventfd counts (fs/eventfd.c: eventfd_show_fdinfo); 0 where that is not told. */
export function parseEventfdCount(fdinfo: string): number {
  return parseInt(/^eventfd-count:\s*([0-9a-f]+)$/m.exec(fdinfo)?.[1] ?? "0", 16);
}

/** Stack pointer and instruction pointer in /proc/TID/syscall of a thread that waits for its call. */
export function parsePointers(
  syscall: string,
): { readonly stack: number; readonly code: number } | undefined {
  const [stack, code] = syscall.trim().split(" ").slice(-2).map(Number);
  return stack === undefined || code === undefined || !(stack > 0) || !(code > 0)
    ? undefined
    : { stack, code };
}

/** Bits of capabilities (include/uapi/linux/capability.h). */
const CAP_IPC_LOCK = 14n;
const CAP_SYS_PTRACE = 19n;

/** The process has a capability (CapEff of /proc/PID/status). */
function isCapable(status: string, bit: bigint): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${capabilities}`) >> bit & 1n) === 1n;
}

/** The process may trace others of its user and more. */
export function mayTrace(status: string): boolean {
  return isCapable(status, CAP_SYS_PTRACE);
}

/** The process may lock as much memory as it likes. */
export function mayLock(status: string): boolean {
  return isCapable(status, CAP_IPC_LOCK);
}

/** RLIMIT_MEMLOCK of /proc/PID/limits. Bytes; Infinity for none. */
export function parseLockLimit(limits: string): number {
  const soft = /^Max locked memory\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === "unlimited" ? Infinity : Number(soft);
}
