/** What this system says about itself. */
import { readFile } from "./libc.ts";
import type { System } from "./system.ts";

function textOf(path: string): string | undefined {
  const bytes = readFile(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes).trim();
}

/** This system. */
export function thisSystem(): System {
  return {
    release: textOf("/proc/sys/kernel/osrelease") ?? "",
    scope: textOf("/proc/sys/kernel/yama/ptrace_scope"),
    status: textOf("/proc/self/status") ?? "",
  };
}
