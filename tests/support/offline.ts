/** Offline files with a small program in the place of Deno, to see what their script does at the edges. */
import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { offlineName, type OfflineParts, writeOffline } from "../../build/offline.ts";

/** The offline form is for Linux. */
export const LINUX = Deno.build.os === "linux";
/** The user who runs the tests. */
export const USER = LINUX ? userId() : undefined;
/** Declares tests of the offline form, skipped where it cannot be. */
export const onLinux = LINUX ? describe : describe.skip;
/** Declares a test that needs something of this machine; without it, it is told as skipped. */
export const itWhere = (there: boolean) => there ? it : it.skip;
/** Plays Deno: the shell, which runs the file `run` of its directory with the words that were meant for Deno. */
const BASH = "/bin/bash";
/** Prints what it was given, and what it was started with; waits for a line if it is told to. */
const RUN = `while [[ $1 == --* ]]; do flags+=("$1"); shift; done
program=$1; shift
read -r version <"$program"
echo "program \${program##*/} of $version"
printf 'argument %s\\n' "$@"
[[ \${1-} == wait ]] && { echo waiting; read -r; }
[[ \${1-} == flags ]] && printf '%s\\n' "\${flags[@]}"
[[ \${1-} == env ]] && env
[[ \${1-} == input ]] && { read -r line; echo "input $line"; echo "error $line" >&2; }
exit "\${STATUS:-0}"
`;

/** What a start left behind. */
export interface Ending {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with offline files in it, a folder for their cache, and nothing in the environment. */
export class OfflineFiles implements Disposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "ism offline " });
  readonly cache = `${this.dir}/cache`;
  readonly #parts = new Map<string, OfflineParts>();

  constructor() {
    Deno.writeTextFileSync(`${this.dir}/run`, RUN);
  }

  /** Writes the file of a version. @returns its path */
  file(version = "1.0.0"): string {
    const path = `${this.dir}/ism ${version}`;
    const parts = {
      version,
      // Its own for each folder, so that nothing which lies ready on the machine is taken for it.
      program: new TextEncoder().encode(`${version}\n${this.dir}\n`),
      parts: new Map([["later.js", new TextEncoder().encode(`later of ${version}\n`)]]),
      deno: Deno.readFileSync(BASH),
      permissions: ["--no-prompt", "--allow-env=A,B", "--allow-read=it's"],
    };
    writeOffline(path, parts, 1);
    this.#parts.set(version, parts);
    return path;
  }

  /** The name of the folder that a version is unpacked into. */
  name(version = "1.0.0"): string {
    return offlineName(this.#parts.get(version)!);
  }

  /** Starts a command with a clean environment. */
  spawn(words: readonly string[], env: Readonly<Record<string, string>> = { XDG_CACHE_HOME: this.cache }) {
    const [command, ...args] = words;
    return new Deno.Command(command!, {
      args,
      cwd: this.dir,
      clearEnv: true,
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Starts a command and waits for its end. */
  async run(
    words: readonly string[],
    { env = { XDG_CACHE_HOME: this.cache }, stdin = "" }: {
      readonly env?: Readonly<Record<string, string>>;
      readonly stdin?: string;
    } = {},
  ): Promise<Ending> {
    const child = this.spawn(words, env);
    const writer = child.stdin.getWriter();
    const feed = writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
    const { code, signal, stdout, stderr } = await child.output();
    await feed;
    const text = new TextDecoder();
    return { code, signal, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /** Runs a line of the shell as the superuser of namespaces of its own, in which it may mount. */
  inOwnMounts(line: string, env?: Readonly<Record<string, string>>): Promise<Ending> {
    const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
    return this.run(["unshare", "-Urm", "/bin/sh", "-c", line], { env: { PATH, ...env } });
  }

  /** Every file and folder below one, without what Deno itself keeps in its cache. */
  list(folder = this.cache): string[] {
    const found: string[] = [];
    const visit = (path: string) => {
      for (const { name, isDirectory } of Deno.readDirSync(path === "" ? folder : `${folder}/${path}`)) {
        const below = path === "" ? name : `${path}/${name}`;
        found.push(below);
        if (isDirectory) visit(below);
      }
    };
    visit("");
    return found.toSorted();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}

/** What a version prints without arguments. */
export const said = (version: string) => `program ism.js of ${version}\nargument \n`;

/** It did what it was started for. */
export function assertStarted({ code, stdout, stderr }: Ending, version = "1.0.0"): void {
  assertEquals([code, stdout, stderr], [0, said(version), ""]);
}

/** One line that says what is wrong and what to do, and exit code 4. */
export function assertRefused({ code, stdout, stderr }: Ending, reason: RegExp): void {
  assertEquals([code, stdout], [4, ""], stderr);
  assertMatch(
    stderr,
    /^ism: cannot unpack itself; set XDG_CACHE_HOME to a folder with \d+ MB of room [^\n]+\n$/,
  );
  assertMatch(stderr, reason);
}

/** What is in the cache folder of a version that is ready. */
export const ready = (
  name: string,
) => [name, `${name}/deno`, `${name}/ism.js`, `${name}/later.js`, `${name}/used`];

/** Asked of a program: Deno wants a permission more to tell. */
function userId(): number {
  const { stdout } = new Deno.Command("id", { args: ["-u"] }).outputSync();
  return Number(new TextDecoder().decode(stdout));
}

/** True if a program is on this machine, and takes these words. */
export function found(command: readonly string[]): boolean {
  try {
    const [name, ...args] = command;
    return new Deno.Command(name!, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
