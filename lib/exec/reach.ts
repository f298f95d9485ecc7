/** Whose memory this process may reach. */
import { readFile } from "./libc.ts";
import { type Reach, reachOf } from "./proc_text.ts";

function textOf(path: string): string | undefined {
  const bytes = readFile(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes).trim();
}

/** Whose memory this process may reach, and kernel.yama.ptrace_scope, which is undefined where there is no Yama. */
export function reach(): { readonly kind: Reach; readonly scope: string | undefined } {
  const scope = textOf("/proc/sys/kernel/yama/ptrace_scope");
  return { kind: reachOf(scope, textOf("/proc/self/status") ?? ""), scope };
}
