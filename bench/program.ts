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

/** What starts the program, or another module with the same permissions. */
function words(args: readonly string[], module: string | undefined): string[] {
  return [Deno.execPath(), ...ISM.slice(0, -1), module ?? ISM.at(-1)!, ...args];
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
  const [deno, ...rest] = words(args, module);
  const [path, placedArgs] = placed(deno!, rest, onOne);
  return new Deno.Command(path, {
    args: placedArgs,
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

const ANSWER_BYTES = 64 * 1024;

/**
 * A process that answers each line with one line, through named pipes that are written and read at once: what the asker
 * itself needs, such as an event loop's turn for each piece, would be most of what is measured.
 */
export class Dialogue implements AsyncDisposable {
  readonly #scratch = new Scratch();
  readonly #child: Deno.ChildProcess;
  readonly #input: Deno.FsFile;
  readonly #output: Deno.FsFile;
  readonly #bytes = new Uint8Array(ANSWER_BYTES);
  #used = 0;

  /** `module` answers instead of the program. @throws {Error} if there are no named pipes */
  constructor(args: readonly string[], module?: string) {
    const [input, output] = [`${this.#scratch.path}/input`, `${this.#scratch.path}/output`];
    const { success } = new Deno.Command("mkfifo", { args: [input, output] }).outputSync();
    if (!success) throw new Error("mkfifo failed");
    this.#child = new Deno.Command("sh", {
      args: ["-c", 'exec "$@" <"$0/input" >"$0/output"', this.#scratch.path, ...words(args, module)],
      env: { NO_COLOR: "1" },
    }).spawn();
    this.#input = Deno.openSync(input, { write: true });
    this.#output = Deno.openSync(output, { read: true });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a line and waits for the answer. @throws {Error} if there is none */
  ask(line: string): string {
    this.send(line);
    return this.answer();
  }

  /** Sends a line. */
  send(line: string): void {
    const bytes = new TextEncoder().encode(`${line}\n`);
    for (let done = 0; done < bytes.length;) done += this.#input.writeSync(bytes.subarray(done));
  }

  /** Waits for the answer to what was sent. @throws {Error} if there is none, or a very long one */
  answer(): string {
    for (;;) {
      const end = this.#bytes.subarray(0, this.#used).indexOf(10);
      if (end >= 0) {
        const answer = new TextDecoder().decode(this.#bytes.subarray(0, end));
        this.#bytes.copyWithin(0, end + 1, this.#used);
        this.#used -= end + 1;
        return answer;
      }
      const count = this.#output.readSync(this.#bytes.subarray(this.#used)) ?? 0;
      if (count === 0) throw new Error("No answer");
      this.#used += count;
    }
  }

  /** Asks for a result. @throws {Error} if it is a refusal */
  result(line: string): Record<string, unknown> {
    const { ok, result } = JSON.parse(this.ask(line)) as {
      ok: boolean;
      result: Record<string, unknown>;
    };
    if (!ok) throw new Error(`Refused: ${line}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#input.close();
    this.#output.close();
    await this.#child.status;
    this.#scratch[Symbol.dispose]();
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
