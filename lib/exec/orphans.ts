/**
 * Processes of a program whose parent has ended: they become children of this process, as long as it runs. Where Yama
 * lets a process reach only its descendants (kernel.yama.ptrace_scope is 1) they could not be answered otherwise. What
 * ends is taken away, for a kernel may keep a filter's listener open until then.
 */
import { libc, pinned } from "./libc.ts";

/** include/uapi/linux/prctl.h. */
const PR_SET_CHILD_SUBREAPER = 36;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const SIGINFO_BYTES = 128;
/** Offset of si_pid in siginfo_t. */
const PID_AT = 16;

/** Children that somebody else waits for, by number. */
const awaited = new Set<number>();
/** Children that are about to have a number. */
let unborn = 0;

/** A child is being started that its starter waits for: nothing is taken away until it has a number. */
export function awaitChild(): void {
  libc.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n);
  unborn++;
}

/** It has one now; undefined if it was not started. */
export function childHas(pid: number | undefined): void {
  unborn--;
  if (pid !== undefined) awaited.add(pid);
  takeAway();
}

/** It has been waited for. */
export function childIsOver(pid: number): void {
  awaited.delete(pid);
  takeAway();
}

/** Takes away children that have ended and that nobody waits for. */
export function takeAway(): void {
  const info = pinned(SIGINFO_BYTES);
  const status = pinned(4);
  const pidOf = new DataView(info.buffer);
  while (unborn === 0) {
    info.fill(0);
    if (libc.waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) !== 0) return;
    const pid = pidOf.getInt32(PID_AT, true);
    if (pid === 0 || awaited.has(pid)) return;
    libc.waitpid(pid, status, WNOHANG);
  }
}
