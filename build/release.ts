/**
 * `deno task release`: everything that a release holds, in `dist/release/`: an archive for each target with the binary,
 * manual page and completions, npm's package, the list of what is in them, and the checksums of all.
 *
 *     deno task release [--target TARGET]…
 */
import { createHash } from "node:crypto";
import { parseArgs } from "@std/cli/parse-args";
import { bundle, commit, packagesIn, ROOT } from "./bundle.ts";
import { compile } from "./compile.ts";
import { makePackage } from "./npm.ts";
import { projectConfig } from "./permissions.ts";
import { run, task } from "./run.ts";
import { type Lock, sbom } from "./sbom.ts";
import { writeShared } from "./share.ts";
import { executableName, type Target, targetOf, TARGETS } from "./targets.ts";

const FOLDER = `${ROOT}dist/release`;
/** What stands in each archive besides the binary and `share/`. */
const DOCUMENTS = ["README.md", "LICENSE", "CHANGELOG.md"] as const;

/** The name of the folder in a target's archive, and with `.tar.gz` of the archive. */
export function archiveName(target: Target): string {
  return `ism-${projectConfig().version}-${target}`;
}

/** Packs a binary with what belongs beside it. @returns the path of the archive */
export async function pack(binary: string, program: string, target: Target, folder: string): Promise<string> {
  const name = archiveName(target);
  const content = `${folder}/${name}`;
  Deno.mkdirSync(content, { recursive: true });
  Deno.copyFileSync(binary, `${content}/${executableName(target)}`);
  if (Deno.build.os !== "windows") Deno.chmodSync(`${content}/${executableName(target)}`, 0o755);
  for (const each of DOCUMENTS) Deno.copyFileSync(`${ROOT}${each}`, `${content}/${each}`);
  await writeShared(content, program);
  // GNU's tar can leave out who packed it, and when.
  const same = Deno.build.os === "linux"
    ? ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${await commitTime()}`]
    : [];
  await run("tar", [...same, "-czf", `${name}.tar.gz`, name], { cwd: folder });
  Deno.removeSync(content, { recursive: true });
  return `${content}.tar.gz`;
}

/** Lines of `sha256sum` for the files of a folder, by name. */
export function checksums(folder: string): string {
  const names = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) => name)
    .toSorted();
  return names.filter((name) => name !== "SHA256SUMS").map((name) => {
    const digest = createHash("sha256").update(Deno.readFileSync(`${folder}/${name}`)).digest("hex");
    return `${digest}  ${name}\n`;
  }).join("");
}

/** When the commit was made, in seconds since 1970. */
async function commitTime(): Promise<number> {
  return Number(await run("git", ["log", "-1", "--format=%ct"], { cwd: ROOT }));
}

/** The list of what the program is made of. */
export async function writeSbom(folder: string, program: string): Promise<string> {
  const lock: Lock = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.lock`));
  const document = sbom(lock, {
    seconds: await commitTime(),
    commit: await commit(),
    deno: Deno.version.deno,
    bundled: packagesIn(program),
  });
  const path = `${folder}/ism-${projectConfig().version}.spdx.json`;
  Deno.writeTextFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
  return path;
}

async function main(words: readonly string[]): Promise<void> {
  const { target } = parseArgs(words, { string: ["target"], collect: ["target"] });
  const named = (target as string[]).map(targetOf);
  Deno.mkdirSync(FOLDER, { recursive: true });
  for (const { name } of [...Deno.readDirSync(FOLDER)]) {
    Deno.removeSync(`${FOLDER}/${name}`, { recursive: true });
  }
  const program = await bundle("compiled");
  for (const each of named.length === 0 ? TARGETS : named) {
    const binary = `${ROOT}dist/${each}/${executableName(each)}`;
    const missing = await compile(binary, each);
    if (missing !== undefined) throw new Error(`The base runtime of ${each} cannot be had (${missing})`);
    console.log(await pack(binary, program, each, FOLDER));
  }
  const packed = await makePackage(`${ROOT}dist/npm`);
  Deno.copyFileSync(packed, `${FOLDER}/${packed.slice(packed.lastIndexOf("/") + 1)}`);
  console.log(await writeSbom(FOLDER, program));
  Deno.writeTextFileSync(`${FOLDER}/SHA256SUMS`, checksums(FOLDER));
  console.log(`${FOLDER}/SHA256SUMS`);
}

if (import.meta.main) await task(main);
