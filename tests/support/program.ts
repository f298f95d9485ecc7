/**
 * Starts the program as a user does: a process of its own, in a temporary directory, with a host file of its own. The
 * program is the source, or the executable that the variable ISM_BIN names.
 */
import { DatabaseSync } from "node:sqlite";
import { storedHost } from "./stored_host.ts";
import { resolve } from "node:path";
import { assert, assertEquals, assertNotMatch } from "@std/assert";
import type * as documents from "../../types/ism.d.ts";
import { permissionFlags } from "../../build/permissions.ts";
import { checkDocuments } from "./schemas.ts";
import { watched } from "./watched.ts";

const ROOT = new URL("../../", import.meta.url);
const MAIN = new URL("main.ts", ROOT).pathname;
/** What the task `ism` allows the program. */
export const FLAGS = permissionFlags();
/** The executable to test instead of the source; undefined for the source. */
export const EXECUTABLE = named("ISM_BIN");
/** The words that start the program. */
export const STARTER: readonly [string, ...string[]] = EXECUTABLE === undefined
  ? [Deno.execPath(), "run", "--quiet", ...FLAGS, MAIN]
  : [resolve(EXECUTABLE)];
const CACHE = cacheVariables();
/** Processes that run at the same time in {@linkcode inParallel}. */
const AT_ONCE = 4;

/** What a process left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly bytes: Uint8Array;
}

/** A document of `--json`. */
// deno-lint-ignore no-explicit-any -- a test knows the shape of what it asked for
export type Document = documents.Document<any>;

interface RunOptions {
  readonly stdin?: string | Uint8Array;
  /** Added to the environment, which holds nothing else but ISM_HOST and what Deno itself needs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A place in which the program runs; removed with everything in it at the end of a `using` block. */
export class Program implements Disposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "ism-test-" });

  /** The host file. */
  get host(): string {
    return this.path("host.db");
  }

  /** A file of the temporary directory. */
  path(name: string): string {
    return `${this.dir}/${name}`;
  }

  write(name: string, content: string | Uint8Array): string {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.writeFileSync(this.path(name), bytes);
    return this.path(name);
  }

  read(name: string): Uint8Array {
    return Deno.readFileSync(this.path(name));
  }

  /** Runs the program to its end. */
  async run(args: readonly string[], { stdin, env }: RunOptions = {}): Promise<Outcome> {
    const child = this.spawn(args, env === undefined ? {} : { env });
    const writer = child.stdin.getWriter();
    // A program that does not read its input closes it first.
    const feed = (stdin === undefined ? Promise.resolve() : writer.write(encode(stdin)))
      .then(() => writer.close()).catch(() => {});
    const { code, stdout, stderr } = await child.output();
    await feed;
    return { code, stdout: decode(stdout), stderr: decode(stderr), bytes: stdout };
  }

  /** Starts the program with all streams piped. */
  spawn(args: readonly string[], { env = {} }: Pick<RunOptions, "env"> = {}): Deno.ChildProcess {
    return watched(this.#command(args, env, "piped").spawn());
  }

  /** Starts the program with nothing to read. */
  spawnWithoutInput(args: readonly string[]): Deno.ChildProcess {
    return watched(this.#command(args, {}, "null").spawn());
  }

  #command(args: readonly string[], env: Readonly<Record<string, string>>, stdin: "piped" | "null") {
    const [command, ...first] = STARTER;
    return new Deno.Command(command, { args: [...first, ...args], ...this.#surroundings(env), stdin });
  }

  /** The words that start the program, for a shell. */
  commandLine(args: readonly string[]): string {
    return [...STARTER, ...args].map((word) => `'${word}'`).join(" ");
  }

  /** Puts the program into the temporary directory as a command `ism`. @returns the PATH that finds it there */
  install(): string {
    Deno.mkdirSync(this.path("bin"));
    const file = this.write("bin/ism", `#!/bin/sh\nexec ${this.commandLine([])} "$@"\n`);
    Deno.chmodSync(file, 0o755);
    return `${this.path("bin")}:/usr/bin:/bin`;
  }

  /**
   * Runs a line of the shell on a terminal of its own, by util-linux's `script`: what is written to the child's
   * standard input are keys, what comes from its standard output is what the terminal was sent.
   */
  spawnOnTerminal(
    line: string,
    { columns, env = {} }: { readonly columns: number } & Pick<RunOptions, "env">,
  ): Deno.ChildProcess {
    return new Deno.Command("script", {
      args: ["-qefc", `stty rows 24 cols ${columns}; ${line}`, "/dev/null"],
      ...this.#surroundings({ PATH: "/usr/bin:/bin", SHELL: "/bin/sh", NO_COLOR: "1", ...env }),
      stdin: "piped",
    }).spawn();
  }

  /** Starts a part of the project's source with the permissions of the program and nothing to read. */
  spawnFile(path: string, args: readonly string[]): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", ...FLAGS, path, ...args],
      ...this.#surroundings({}),
      stdin: "null",
    }).spawn();
  }

  /** Runs a line of the shell that knows `ism`, perhaps through another program; for pipes, devices and mounts. */
  async shell(line: string, through: readonly string[] = []): Promise<Outcome> {
    const ism = `ism() { ${this.commandLine([])} "$@"; }`;
    const [command, ...args] = [...through, "/bin/sh", "-c", `${ism}\n${line}`];
    const { code, stdout, stderr } = await new Deno.Command(command!, {
      args,
      ...this.#surroundings({ PATH: "/usr/bin:/bin" }),
    }).output();
    await checkDocuments(decode(stdout));
    return { code, stdout: decode(stdout), stderr: decode(stderr), bytes: stdout };
  }

  #surroundings(env: Readonly<Record<string, string>>) {
    return {
      cwd: this.dir,
      clearEnv: true,
      env: { ...CACHE, ISM_HOST: this.host, ...env },
      stdout: "piped",
      stderr: "piped",
    } as const;
  }

  /** Runs lines as a script from standard input. */
  script(lines: readonly string[], ...options: string[]): Promise<Outcome> {
    return this.run(["run", "-", ...options], { stdin: lines.map((line) => `${line}\n`).join("") });
  }

  /** Runs lines as a script; the documents of all lines, failed ones too. */
  async documents(lines: readonly string[], ...options: string[]): Promise<Document[]> {
    return documentsOf(await this.script(lines, "--json", "--keep-going", ...options));
  }

  /** The result of one command that must succeed. */
  // deno-lint-ignore no-explicit-any -- a test knows the shape of what it asked for
  async result(...args: string[]): Promise<any> {
    const outcome = await this.run(["--json", ...args]);
    assertEquals(outcome.code, 0, outcome.stderr);
    const [document] = documentsOf(outcome);
    return document!.result;
  }

  /** Everything that the host file holds, as text; empty if there is no host file. */
  state(path = this.host): string {
    if (!exists(path)) return "";
    using db = new DatabaseSync(path);
    return JSON.stringify(storedHost(db));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** The documents on standard output, one a line and nothing else. */
export function documentsOf({ stdout }: Outcome): Document[] {
  assert(stdout === "" || stdout.endsWith("\n"), "the last document ends its line");
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

/** Asserts that a failure is told in words: no stack, no file of the program. */
export function assertNoStack({ stdout, stderr }: Outcome): void {
  for (const text of [stdout, stderr]) assertNotMatch(text, /^ {4}at |file:\/\/|This is a bug/m);
}

/** The SHA-256 of bytes, in hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return new Uint8Array(digest).toHex();
}

/** Does something with each item, a few at a time; results in the order of the items. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const entries = items.entries();
  const worker = async () => {
    for (const [i, item] of entries) results[i] = await work(item);
  };
  // All workers end before the first failure is thrown, so that no process outlives its test.
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return results;
}

/** Kills a process after some time, unless it has ended by itself. @returns the timer */
export function killAfter(child: Deno.ChildProcess, milliseconds: number): ReturnType<typeof setTimeout> {
  return setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch (error) {
      // It ended between the timer and the call.
      if (!(error instanceof TypeError)) throw error;
    }
  }, milliseconds);
}

/** True if there is a file of that name. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function encode(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}

/** A variable of the environment that is set and not empty. */
function named(name: string): string | undefined {
  return Deno.env.get(name) || undefined;
}

/**
 * Where Deno keeps what it has downloaded, without which each process would download again; for an executable the user's
 * cache folder, where it may unpack itself once.
 */
function cacheVariables(): Readonly<Record<string, string>> {
  const home = named("HOME");
  const folder = named("XDG_CACHE_HOME") ??
    (Deno.build.os === "darwin" ? `${home}/Library/Caches` : `${home}/.cache`);
  return EXECUTABLE === undefined
    ? { DENO_DIR: named("DENO_DIR") ?? `${folder}/deno` }
    : { XDG_CACHE_HOME: folder };
}
