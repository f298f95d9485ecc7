/** What the program takes from its environment. */
import { UsageError } from "../language/usage_error.ts";

/** A path from the root, in the form of this system or with a drive as Windows has it. */
const ABSOLUTE = Deno.build.os === "windows" ? /^([A-Za-z]:)?[\\/]/ : /^\//;

/** A variable of the environment that is set and not empty. @throws {UsageError} if it is no text */
export function environment(name: string): string | undefined {
  try {
    const text = Deno.env.get(name);
    return text === "" ? undefined : text;
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new UsageError(
      `The environment variable ${name} is not text in UTF-8; set it to another value or unset it`,
    );
  }
}

/** Where the shell keeps its lines; undefined if there is no place for it. */
export function historyPath(): string | undefined {
  const state = stateDirectory();
  return state === undefined ? undefined : `${state}/history`;
}

/** `$ISM_HOST`, else `$XDG_STATE_HOME/ism/host.db`, else `~/.local/state/ism/host.db`; undefined without a home. */
export function defaultHostPath(): string | undefined {
  const state = stateDirectory();
  return environment("ISM_HOST") ?? (state === undefined ? undefined : `${state}/host.db`);
}

/**
 * `$XDG_STATE_HOME/ism`, else `~/.local/state/ism`; undefined without a home. The XDG Base Directory Specification wants
 * a path that is not absolute to be ignored.
 */
function stateDirectory(): string | undefined {
  const state = environment("XDG_STATE_HOME");
  if (state !== undefined && ABSOLUTE.test(state)) return `${state}/ism`;
  const home = environment("HOME");
  return home === undefined ? undefined : `${home}/.local/state/ism`;
}

/** What the environment says of the terminal: how wide it is, and the locale, for the characters that it understands. */
export function surroundings(): {
  readonly columns: string | undefined;
  readonly locale: string | undefined;
} {
  const locale = environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG");
  return { columns: environment("COLUMNS"), locale };
}

/** What the user wants manual pages to be shown with. */
export function manualPager(): string | undefined {
  return environment("MANPAGER") ?? environment("PAGER");
}

/** Name of workers: the program that finds itself in one of that name runs scripts for another. */
export const WORKER = "ism scripts";

/** True in a worker that was made to run scripts. */
export function isWorker(): boolean {
  return (globalThis as { readonly name?: unknown }).name === WORKER;
}
