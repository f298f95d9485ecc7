/** A program that another process has started: its listener is fetched from there. */
import { ARCHITECTURES } from "./calls.ts";
import { errno, libc, readFile, seldom } from "./libc.ts";

const EPERM = 1;
/** PR_SET_PTRACER of Yama (include/uapi/linux/prctl.h). */
const PR_SET_PTRACER = 0x5961_6d61;

/** Lets the process that has the host reach this one where the system asks for that (Yama); elsewhere it means nothing. */
export function allow(owner: number): void {
  seldom().prctl(PR_SET_PTRACER, BigInt(owner), 0n, 0n, 0n);
}

/** Number of this process. */
export function ownId(): number {
  return libc.getpid();
}

/** Ends a program that nobody answers. */
export function kill(pid: number): void {
  libc.kill(pid, 9);
}

/** What keeps this process from reaching the memory of programs that others have started; undefined if nothing does. */
function hindrance(): string | undefined {
  const scope = readFile("/proc/sys/kernel/yama/ptrace_scope");
  const level = scope === undefined ? 0 : Number(new TextDecoder().decode(scope));
  if (level === 0 || seldom().geteuid() === 0) return undefined;
  return `kernel.yama.ptrace_scope is ${level}, so that this user's processes cannot reach one another's memory`;
}

/** Our descriptor of a listener that another process has; a sentence if it cannot be had. */
export function fetchListener(pid: number, listener: number): number | string {
  const hindered = hindrance();
  if (hindered !== undefined) return hindered;
  const { pidfdOpen, pidfdGetfd } = ARCHITECTURES[Deno.build.arch];
  const pidfd = libc.syscall3(BigInt(pidfdOpen), BigInt(pid), 0n, 0n);
  if (pidfd < 0) return "the process that has started it has gone";
  const fd = libc.syscall3(BigInt(pidfdGetfd), BigInt(pidfd), BigInt(listener), 0n);
  const error = errno();
  libc.close(pidfd);
  if (fd >= 0) return fd;
  return error === EPERM
    ? "the system, or a container, does not let processes reach one another (pidfd_getfd)"
    : `pidfd_getfd failed with error number ${error}`;
}
