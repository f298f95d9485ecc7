/** What a system must be for exec to run programs on it. */
import { mayTrace } from "./proc_text.ts";

/** What a system says about itself. */
export interface System {
  /** /proc/sys/kernel/osrelease. */
  readonly release: string;
  /** kernel.yama.ptrace_scope; undefined where there is no Yama. */
  readonly scope: string | undefined;
  /** /proc/self/status. */
  readonly status: string;
}

/**
 * True before Linux 5.19, which has no WAIT_KILLABLE_RECV: there a signal takes a call back that was carried out already, and
 * the program makes it once more.
 */
function isTooOld(release: string): boolean {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) < 5 || (Number(major) === 5 && Number(minor) < 19);
}

/** Whose memory a process may reach, of those that a debugger of its user may. */
export type Reach = "all" | "descendants" | "none";

/** What Yama leaves to this process (security/yama/yama_lsm.c: yama_ptrace_access_check). */
export function reachOf({ scope, status }: Omit<System, "release">): Reach {
  const level = Number(scope ?? 0);
  if (level >= 3) return "none";
  if (level < 1 || mayTrace(status)) return "all";
  return level === 1 ? "descendants" : "none";
}

/** Why programs cannot be run here, a sentence; undefined if nothing is in the way. */
export function hindranceOf(system: System): string | undefined {
  const { release, scope } = system;
  if (isTooOld(release)) {
    return `exec needs Linux 5.19 or newer, and this is ${release}: an older kernel may repeat a call that a signal ` +
      "interrupted after it was carried out";
  }
  if (reachOf(system) !== "none") return undefined;
  return `exec cannot reach the memory of a program: kernel.yama.ptrace_scope is ${scope}, which allows it to ` +
    (scope === "2" ? "root alone (CAP_SYS_PTRACE)" : "nobody until the next boot");
}
