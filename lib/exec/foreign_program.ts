/** A program that another process has started: its listener, and what belongs to it, is fetched from there. */
import { ARCHITECTURES } from "./calls.ts";
import { errno, libc } from "./libc.ts";
import { reachOf } from "./system.ts";
import { thisSystem } from "./this_system.ts";

const EPERM = 1;
/** PR_SET_PTRACER of Yama (include/uapi/linux/prctl.h). */
const PR_SET_PTRACER = 0x5961_6d61;

/** Lets the process that has the host reach this one where the system asks for that (Yama); elsewhere it means nothing. */
export function allow(owner: number): void {
  libc.prctl(PR_SET_PTRACER, BigInt(owner), 0n, 0n, 0n);
}

/** Number of this process. */
export function ownId(): number {
  return libc.getpid();
}

/** Ends a program that nobody answers. */
export function kill(pid: number): void {
  libc.kill(pid, 9);
}

/** Our descriptors of files that another process has open; a sentence if they cannot be had. */
export function fetchDescriptors(pid: number, descriptors: readonly number[]): number[] | string {
  const system = thisSystem();
  if (reachOf(system) !== "all") {
    return `kernel.yama.ptrace_scope is ${system.scope}, so that a process cannot reach programs that another has started`;
  }
  const { pidfdOpen, pidfdGetfd } = ARCHITECTURES[Deno.build.arch];
  const pidfd = libc.syscall3(BigInt(pidfdOpen), BigInt(pid), 0n, 0n);
  if (pidfd < 0) return "the process that has started it has gone";
  const fetched: number[] = [];
  let error = 0;
  for (const each of descriptors) {
    const fd = libc.syscall3(BigInt(pidfdGetfd), BigInt(pidfd), BigInt(each), 0n);
    if (fd >= 0) fetched.push(fd);
    else error = errno();
  }
  libc.close(pidfd);
  if (error === 0) return fetched;
  for (const fd of fetched) libc.close(fd);
  return error === EPERM
    ? "the system, or a container, does not let processes reach one another (pidfd_getfd)"
    : `pidfd_getfd failed with error number ${error}`;
}
