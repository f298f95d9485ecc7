/**
 * `deno task compile`: the program as one executable file.
 *
 *     deno task compile [--target TARGET]… [--offline] [--output FILE]
 *
 * Without a target it is for this machine, `dist/ism`; with targets each goes to `dist/TARGET/ism`. `deno compile` brings
 * its base runtime from the network, or takes the one that DENORT_BIN names. Where it can be had neither way, the offline
 * form is made instead, for this machine only; `--offline` asks for that at once.
 */
import { dirname, resolve } from "node:path";
import { parseArgs } from "@std/cli/parse-args";
import { bundle, partsOf, ROOT } from "./bundle.ts";
import { writeOffline } from "./offline.ts";
import { permissionFlags, projectConfig } from "./permissions.ts";
import { run, task, ToolError } from "./run.ts";
import { executableName, type Target, targetOf } from "./targets.ts";

/** What `deno compile` says when the base runtime is missing, and nothing is wrong with the program. */
const NO_RUNTIME = "Setting up base binary";

/** The arguments of `deno compile` for a bundled program. */
export function compileArguments(program: string, output: string, target: Target): string[] {
  return [
    ...["compile", "--quiet", "--no-config", "--no-lock", "--no-check", "--app-name", "ism"],
    ...permissionFlags(),
    ...["--target", target, "--output", output, program],
  ];
}

/** Makes the binary. @returns the reason if the base runtime cannot be had @throws {ToolError} for anything else */
export async function compile(output: string, target: Target): Promise<string | undefined> {
  const program = await bundle("compiled");
  Deno.mkdirSync(dirname(output), { recursive: true });
  // `deno compile` overwrites its own work only, and an offline file may stand there.
  const part = Deno.makeTempDirSync({ dir: dirname(output), prefix: ".compile-" });
  try {
    const made = `${part}/${executableName(target)}`;
    await run(Deno.execPath(), compileArguments(program, made, target), { cwd: ROOT });
    Deno.renameSync(made, output);
    return undefined;
  } catch (error) {
    const reason = error instanceof ToolError ? missingRuntime(error.stderr) : undefined;
    if (reason === undefined) throw error;
    return reason;
  } finally {
    Deno.removeSync(part, { recursive: true });
  }
}

/** Why the base runtime cannot be had, from what `deno compile` says; undefined if it says something else. */
export function missingRuntime(stderr: string): string | undefined {
  if (!stderr.includes(NO_RUNTIME)) return undefined;
  const [, reason = stderr.trim()] = /^\s*1: (.*)$/m.exec(stderr) ?? [];
  return reason.replace(/: client error.*$/, "");
}

/** Makes the offline form with the Deno that runs this. @param level of gzip @throws {Error} on other systems than Linux */
export async function makeOffline(output: string, level = 9): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new Error(`The offline form starts on Linux only, and this is ${Deno.build.os}; use deno task npm`);
  }
  const program = await bundle("offline");
  Deno.mkdirSync(dirname(output), { recursive: true });
  const parts = {
    version: projectConfig().version,
    program: Deno.readFileSync(program),
    parts: partsOf(program),
    deno: Deno.readFileSync(Deno.execPath()),
    permissions: permissionFlags(),
  };
  writeOffline(output, parts, level);
}

async function main(words: readonly string[]): Promise<void> {
  const { target, offline, output, _: rest } = parseArgs(words, {
    boolean: ["offline"],
    string: ["target", "output"],
    collect: ["target"],
    unknown: (word) => {
      throw new Error(`${word} is not known; see build/compile.ts`);
    },
  });
  if (rest.length > 0) throw new Error(`${rest[0]} is not known; see build/compile.ts`);
  const targets = (target as string[]).map(targetOf);
  if (offline === true && targets.length > 0) {
    throw new Error("--offline is for this machine, without --target");
  }
  if (typeof output === "string" && targets.length > 1) throw new Error("--output is for one target");
  const own = targetOf(Deno.build.target);
  const named = typeof output === "string" ? resolve(output) : undefined;
  for (const each of targets.length === 0 ? [own] : targets) {
    const folder = `${ROOT}dist/${targets.length === 0 ? "" : `${each}/`}`;
    const path = named ?? `${folder}${executableName(each)}`;
    const missing = offline === true ? "it was asked for" : await compile(path, each);
    if (missing !== undefined) {
      if (each !== own) {
        throw new Error(`The base runtime of ${each} cannot be had (${missing}); DENORT_BIN can name one`);
      }
      if (offline !== true) {
        console.error(`deno compile has no base runtime here (${missing}); this is the offline form instead`);
      }
      await makeOffline(path);
    }
    console.log(`${path}  ${(Deno.statSync(path).size / 1e6).toFixed(1)} MB`);
  }
}

if (import.meta.main) await task(main);
