/** File systems of a test's own: full, read-only, and directories with modes that count. */
import { assertEquals } from "@std/assert";
import type { Program } from "./program.ts";

/** A namespace of its own, in which this user may mount. */
export const OWN_MOUNTS = ["unshare", "-Urm"];
/** The superuser without the power to ignore permissions; other users have no such power. */
export const BOUND_BY_MODES = isSuperuser()
  ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
  : [];

/** What keeps these tests from running on this machine; undefined if nothing does. */
function missing(command: readonly string[], line: string): string | undefined {
  if (command.length === 0) return undefined;
  const [program, ...args] = command;
  try {
    const { success } = new Deno.Command(program!, { args: [...args, "/bin/sh", "-c", line], stderr: "null" })
      .outputSync();
    return success ? undefined : `${command.join(" ")} is not allowed here`;
  } catch {
    return `there is no ${program}`;
  }
}

function isSuperuser(): boolean {
  const { stdout } = new Deno.Command("id", { args: ["-u"] }).outputSync();
  return new TextDecoder().decode(stdout).trim() === "0";
}

export const NO_MOUNTS = missing(OWN_MOUNTS, "mount -t tmpfs tmpfs /mnt");
export const NO_MODES = missing(BOUND_BY_MODES, "true");

export function title(name: string, reason: string | undefined): { name: string; ignore: boolean } {
  return { name: reason === undefined ? name : `${name} [skipped: ${reason}]`, ignore: reason !== undefined };
}

/** Runs lines of `ism` in a shell behind `setup`; what each came to. */
export async function transcript(
  program: Program,
  through: readonly string[],
  setup: string,
  lines: readonly string[],
): Promise<{ code: number; out: string; err: string }[]> {
  const runs = lines.map((line, i) => `ism ${line} >out${i} 2>err${i}; echo $? >code${i}`);
  const { code, stderr } = await program.shell(
    ["set -e", setup, "set +e", ...runs, "true"].join("\n"),
    through,
  );
  assertEquals([code, stderr], [0, ""]);
  const text = (name: string) => new TextDecoder().decode(program.read(name));
  return lines.map((_, i) => ({
    code: Number(text(`code${i}`)),
    out: text(`out${i}`),
    err: text(`err${i}`),
  }));
}

/** Mounts a file system of a size in `disk`. */
export const TMPFS = (size: string) => `mkdir disk; mount -t tmpfs -o size=${size} tmpfs disk`;
