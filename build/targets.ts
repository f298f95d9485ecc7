/** The machines that there is a binary for. */

/** Deno's names of them; the release has a binary for each. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;
export type Target = (typeof TARGETS)[number];

/** The target that a name on the command line means. @throws {Error} that lists all */
export function targetOf(name: string): Target {
  const target = TARGETS.find((each) => each === name);
  if (target === undefined) throw new Error(`There is no target ${name}; there are ${TARGETS.join(", ")}`);
  return target;
}

/** The name of the executable. */
export function executableName(target: Target): string {
  return target.includes("windows") ? "ism.exe" : "ism";
}
