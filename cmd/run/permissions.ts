/** Permissions of the process that a command does not need. */
import type { AnyCommand } from "../language/command.ts";

/** True for the one command that calls the C library. */
export function runsPrograms(command: AnyCommand | undefined): boolean {
  return command?.name === "exec";
}

/** Gives back the permission to call the C library, which `exec` alone needs, or to start a pager, which only `man` does. */
export function giveBack(name: "ffi" | "run"): void {
  Deno.permissions.revokeSync({ name });
}
