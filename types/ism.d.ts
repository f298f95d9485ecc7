/** What `ism --json` prints: one document per command, also for failures; in scripts one a line. */

/** A document. `Result` is what the command yields; docs/contract.md says what may change. */
export interface Document<Result = unknown> {
  readonly schema: number;
  /** Null if the line was not understood. */
  readonly command: string | null;
  readonly ok: boolean;
  /** Of a failure of a line with a prefix: the command behind all prefixes. */
  readonly prefixed?: string;
  readonly result?: Result;
  readonly error?: Failure;
  /** With `--trace`. */
  readonly trace?: readonly Readonly<Record<string, unknown>>[];
  /** True with `--dry-run`: nothing was changed. */
  readonly dry_run?: boolean;
  /** Where in a script the command is. */
  readonly file?: string;
  readonly line?: number;
}

/** Why a command failed. */
export interface Failure extends Readonly<Record<string, unknown>> {
  /** The name of an errno, or what else failed: `USAGE`, `FILE`, `MACHINE`, … */
  readonly code: string;
  readonly message: string;
}

/** The result of `ism version --json`. */
export interface Version {
  readonly version: string;
  readonly form: "source" | "compiled" | "offline" | "npm";
  /** Hash of the commit, `-dirty` behind it if files were changed; null if it is not known. */
  readonly commit: string | null;
  /** The machine it runs on, as Deno names it: `x86_64-unknown-linux-gnu`. */
  readonly target: string;
  readonly deno: string;
  readonly v8: string;
  readonly typescript: string;
  readonly kernel_releases: readonly string[];
}
