/** The program and its floors as processes. */
import { ISOLATION } from "../build/offline.ts";
import { permissionFlags } from "../build/permissions.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** How the program, or another module with the same permissions, is started. */
export interface Start {
  /** Flags of Deno, and the module. */
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The start of a module: as `deno task ism` starts it. */
export function fromSource(module = ISM.at(-1)!): Start {
  return { words: [...ISM.slice(0, -1), module], env: {} };
}

/** The start of a module as the forms start it that users get, with a cache in a folder. */
export function asForm(module: string, folder: string): Start {
  return { words: ["run", ...ISOLATION, ...permissionFlags(), module], env: { DENO_DIR: folder } };
}

/** Starts it with arguments, to its end. @throws {Error} if it does not end well */
export async function startToEnd({ words, env }: Start, args: readonly string[] = []): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [...words, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
    env: { NO_COLOR: "1", ...env },
  }).output();
  if (!success) throw new Error(`${words.at(-1)} ${args.join(" ")} failed`);
}

/** The command that `deno task ism` runs, without `deno`: flags, permissions, main module. */
function ismArguments(): string[] {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)) as {
    tasks: { ism: { command: string } };
  };
  const [deno, ...rest] = tasks.ism.command.split(" ");
  if (deno !== "deno" || rest.at(-1) !== "main.ts") {
    throw new Error("deno.json: the task ism is not as expected");
  }
  return [...rest.slice(0, -1), `${ROOT}main.ts`];
}

const ISM = ismArguments();

/** A program's path and words, on one processor of the machine if it is to stay there (util-linux: taskset). */
export function placed(path: string, args: readonly string[], onOne: boolean): [string, string[]] {
  return onOne ? ["taskset", ["-c", "0", path, ...args]] : [path, [...args]];
}

/** A process of the program, or of another module with the same permissions. */
export function command(
  args: readonly string[],
  { module, onOne = false, stdin = "null", stdout = "null", stderr = "inherit" }: {
    readonly module?: string;
    /** It, and what it starts, has one processor. */
    readonly onOne?: boolean;
    readonly stdin?: "null" | "piped";
    readonly stdout?: "null" | "piped";
    readonly stderr?: "inherit" | "piped";
  } = {},
): Deno.Command {
  const head = module === undefined ? ISM : [...ISM.slice(0, -1), module];
  const [path, words] = placed(Deno.execPath(), [...head, ...args], onOne);
  return new Deno.Command(path, {
    args: words,
    stdin,
    stdout,
    stderr,
    env: { NO_COLOR: "1" },
  });
}

/** Runs the program to its end. @throws {Error} if it does not end well */
export async function run(args: readonly string[], module?: string): Promise<void> {
  const { success } = await command(args, module === undefined ? {} : { module }).output();
  if (!success) throw new Error(`ism ${args.join(" ")} failed`);
}

/**
 * A file of a process under /proc, read by `cat`: Deno keeps programs away from there. Linux only.
 *
 * @returns its text, "" if the process has ended
 */
export async function ofProcess(pid: number, name: string): Promise<string> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/${name}`], stderr: "null" })
    .output();
  return new TextDecoder().decode(stdout);
}

/** Runs the program to its end, and tells the most memory that it had. Linux only. @returns bytes */
export async function peakMemory(args: readonly string[]): Promise<number> {
  const child = command(args).spawn();
  let peak = 0;
  for (;;) {
    const status = await ofProcess(child.pid, "status");
    const most = /VmHWM:\s*(\d+)/.exec(status)?.[1];
    // One that has ended has no memory any more.
    if (most === undefined) break;
    peak = Number(most) * 1024;
  }
  await child.status;
  return peak;
}

/** A process that answers each line with one line. */
export class Dialogue implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest = new Uint8Array(0);

  /** `module` answers instead of the program. */
  constructor(args: readonly string[], module?: string) {
    const options = { stdin: "piped", stdout: "piped" } as const;
    this.#child = command(args, module === undefined ? options : { ...options, module }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.getReader();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a line and waits for the answer. @throws {Error} if there is none */
  async ask(line: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        const answer = new TextDecoder().decode(this.#rest.subarray(0, end));
        this.#rest = this.#rest.slice(end + 1);
        return answer;
      }
      const { value } = await this.#reader.read();
      if (value === undefined) throw new Error(`No answer to ${line}`);
      const joined = new Uint8Array(this.#rest.length + value.length);
      joined.set(this.#rest);
      joined.set(value, this.#rest.length);
      this.#rest = joined;
    }
  }

  /** Asks for a result. @throws {Error} if it is a refusal */
  async result(line: string): Promise<Record<string, unknown>> {
    const { ok, result } = JSON.parse(await this.ask(line)) as {
      ok: boolean;
      result: Record<string, unknown>;
    };
    if (!ok) throw new Error(`Refused: ${line}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** A folder that is there while it is used. */
export class Scratch implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "ism-bench-" });

  file(name: string, text = ""): string {
    const path = `${this.path}/${name}`;
    Deno.writeTextFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
