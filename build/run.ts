/** Starts the tools that a build needs. */

/** A tool that ended with another exit code than 0, and what it said. */
export class ToolError extends Error {
  override readonly name = "ToolError";
  readonly stderr: string;

  constructor(command: string, code: number, stderr: string) {
    const [said] = stderr.split(/\n+Stack backtrace:\n/);
    super(`${command} ended with exit code ${code}: ${said!.trim()}`);
    this.stderr = stderr;
  }
}

/** Runs a tool to its end. @returns what it printed @throws {ToolError} */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new ToolError(`${command} ${args[0]}`, code, text.decode(stderr));
  return text.decode(stdout);
}

/** The main function of a task: a failure is one line on standard error and exit code 1. */
export async function task(main: (args: readonly string[]) => Promise<void>): Promise<void> {
  try {
    await main(Deno.args);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(1);
  }
}
