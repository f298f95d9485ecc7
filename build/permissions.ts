/** What the program may do. Every form takes it from here: a permission more is an edit of the task `ism` in deno.json. */

const ROOT = new URL("../", import.meta.url);
/** Flags of a task that say how it is run, and not what the program may do. */
const OTHER_FLAGS = new Set(["--quiet", "-q"]);

/** What deno.json has for those who build. */
export interface ProjectConfig {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly tasks: Readonly<Record<string, { readonly description: string; readonly command: string }>>;
}

/** The project's deno.json. */
export function projectConfig(): ProjectConfig {
  return JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
}

/** The words between `deno run` and `main.ts` in the task `ism`, without those that only keep Deno quiet. */
export function permissionFlags({ tasks } = projectConfig()): string[] {
  const command = tasks["ism"]?.command ?? "";
  const [, flags] = /^deno run (.*) main\.ts$/.exec(command) ?? [];
  if (flags === undefined) throw new Error(`The task ism is not "deno run FLAGS main.ts": ${command}`);
  return flags.split(" ").filter((flag) => !OTHER_FLAGS.has(flag));
}
