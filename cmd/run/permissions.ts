/** Permissions of the process that a command does not need. */

/** Gives back the permission to call the C library, which what runs programs needs, or to start a pager, which only `man` does. */
export function giveBack(name: "ffi" | "run"): void {
  Deno.permissions.revokeSync({ name });
}
