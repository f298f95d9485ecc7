/** In which form this program runs, and what it was made from. */

/** The program's version; deno.json has the same. */
export const VERSION = "0.2.0";

/** The forms in which there is a program: as source, `deno compile`'s binary, the file that unpacks itself, npm's package. */
export const FORMS = ["source", "compiled", "offline", "npm"] as const;

/** What whoever put the program together knows of it. */
export interface BuildInfo {
  readonly form: (typeof FORMS)[number];
  /** Hash of the commit, with `-dirty` behind it if files were changed; null if it is not known, as for source. */
  readonly commit: string | null;
}

let info: BuildInfo = { form: "source", commit: null };

/** What is known of this program. */
export function buildInfo(): BuildInfo {
  return info;
}

/** Says what this program is; called by the entry that `build/bundle.ts` writes, before the program begins. */
export function setBuildInfo(known: BuildInfo): void {
  info = known;
}
