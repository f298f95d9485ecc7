/** A pager: the one that the user has chosen, or one that is there. */

/** Runs a program on a text. @returns false if it is not there, or says by itself that it cannot */
async function feed(
  command: string,
  args: readonly string[],
  text: string,
  { quiet = false } = {},
): Promise<boolean> {
  // Ctrl-C is the pager's business while it runs.
  const stay = () => {};
  Deno.addSignalListener("SIGINT", stay);
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "inherit",
      stderr: quiet ? "null" : "inherit",
    }).spawn();
    const writer = child.stdin.getWriter();
    // Who leaves a pager early closes its input.
    const fed = writer.write(new TextEncoder().encode(text)).then(() => writer.close()).catch(() => {});
    const { success } = await child.status;
    await fed;
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  } finally {
    Deno.removeSignalListener("SIGINT", stay);
  }
}

/** True where programs may be started. */
function mayStart(): boolean {
  return Deno.permissions.querySync({ name: "run" }).state === "granted";
}

/**
 * Shows a manual page: by man(1), which knows MANPAGER and PAGER itself, else as plain text in a pager.
 *
 * @param roff the page
 * @param text the same for where nothing reads roff
 * @param chosen what the user has said to page with; less or more if nothing
 * @returns false if there is nothing to page with
 */
export async function showManual(
  roff: string,
  text: () => Promise<string>,
  chosen: string | undefined,
): Promise<boolean> {
  if (!mayStart()) return false;
  if (await feed("man", ["-l", "-"], roff, { quiet: true })) return true;
  if (Deno.build.os === "windows") return false;
  // As git has it: less leaves short texts on the screen, and shows colours.
  const begin = "LESS=${LESS-FRX}; export LESS; ";
  const found = chosen ?? "if command -v less >/dev/null; then exec less; else exec more; fi";
  return await feed("sh", ["-c", begin + found], await text(), { quiet: chosen === undefined });
}
