/** The program as one file of JavaScript: what the compiled binary, the offline file and npm's package hold. */
import { basename, dirname } from "node:path";
import type { BuildInfo } from "../cmd/build_info.ts";
import { removeIfThere } from "../lib/host/file/host_path.ts";
import { projectConfig } from "./permissions.ts";
import { run } from "./run.ts";

/** The project's folder, with a slash behind it. */
export const ROOT = new URL("../", import.meta.url).pathname;

const DENO_HOLDER = "Copyright 2018-2026 the Deno authors";

/** An npm package of which parts are in a bundle. */
interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** The text of its licence. */
  readonly license: string;
}

/** Where the bundler puts a module of npm's cache, in a comment before it: `…/npm/REGISTRY/NAME/VERSION/…`. */
const NPM_MODULE = /^\/\/ \S*?\/npm\/[^/\s]+\/((?:@[^/\s]+\/)?[^/\s]+)\/(\d[^/\s]*)\//;

/**
 * Puts the program together as `dist/work/FORM.js`. The same source gives the same bytes on every machine, and the file
 * begins with the licences of what is in it.
 * @returns the path of the file
 */
export async function bundle(form: BuildInfo["form"]): Promise<string> {
  const info: BuildInfo = { form, commit: await commit() };
  const folder = `${ROOT}dist/work`;
  Deno.mkdirSync(folder, { recursive: true });
  const entry = `${folder}/${form}_entry.ts`;
  const output = `${folder}/${form}.js`;
  writeAtomically(
    entry,
    `import { end, main } from "../../cmd/main.ts";\nimport { setBuildInfo } from "../../cmd/build_info.ts";\n` +
      `setBuildInfo(${JSON.stringify(info)});\nend(await main(Deno.args));\n`,
  );
  const raw = `${folder}/.${form}-${crypto.randomUUID()}.js`;
  try {
    await run(Deno.execPath(), ["bundle", "--quiet", "--output", raw, entry], { cwd: ROOT });
    const text = Deno.readTextFileSync(raw).replaceAll(RegExp(NPM_MODULE, "gm"), "// npm:$1@$2/");
    writeAtomically(output, `${await banner(raw, form)}${text}`);
  } finally {
    removeIfThere(raw);
  }
  return output;
}

/** Hash of the commit that is checked out, `-dirty` behind it if files differ; null outside a repository. */
export async function commit(): Promise<string | null> {
  try {
    const hash = (await run("git", ["rev-parse", "HEAD"], { cwd: ROOT })).trim();
    const changes = await run("git", ["status", "--porcelain", "--untracked-files=no"], { cwd: ROOT });
    return changes === "" ? hash : `${hash}-dirty`;
  } catch {
    return null;
  }
}

/** Names of the packages of npm that a bundled program holds, from the comments before its modules. */
export function packagesIn(program: string): string[] {
  const names = Deno.readTextFileSync(program).matchAll(/^\/\/ npm:((?:@[^@/]+\/)?[^@/]+)@/gm);
  return [...new Set([...names].map(([, name]) => name!))].toSorted();
}

/** The packages of npm in what `deno bundle` wrote, with their licences. */
function packagesOf(bundlePath: string): BundledPackage[] {
  const found = new Map<string, BundledPackage>();
  for (const line of Deno.readTextFileSync(bundlePath).split("\n")) {
    const match = NPM_MODULE.exec(line);
    if (match === null) continue;
    const [comment, name = "", version = ""] = match;
    if (found.has(name)) continue;
    found.set(name, {
      name,
      version,
      license: licenseText(new URL(line.slice(3), `file://${ROOT}`), comment),
    });
  }
  return [...found.values()].toSorted((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * The licence of the package that a module belongs to: its file, or for a package that ships none the copyright line of
 * the module over the text of the MIT licence.
 * @param comment the bundler's comment up to the package's folder
 * @throws {Error} if it has no licence
 */
function licenseText(module: URL, comment: string): string {
  const folder = new URL(comment.slice(3), `file://${ROOT}`);
  for (const { name } of Deno.readDirSync(folder)) {
    if (/^licen[cs]e(\.\w+)?$/i.test(name)) return Deno.readTextFileSync(new URL(name, folder)).trim();
  }
  const { license } = JSON.parse(Deno.readTextFileSync(new URL("package.json", folder)));
  const [, holder] = /^\/\/ (Copyright .+?)\.? MIT license\.?$/m.exec(Deno.readTextFileSync(module)) ?? [];
  if (license !== "MIT" || holder === undefined) {
    throw new Error(`No licence is known for ${folder.pathname}`);
  }
  return mitLicense(holder);
}

/** The licence of MIT for somebody else's work. */
function mitLicense(holder: string): string {
  const [, terms] = /^Copyright[^\n]*\n([^]*)$/m.exec(Deno.readTextFileSync(`${ROOT}LICENSE`))!;
  return `MIT License\n\n${holder}\n${terms!.trimEnd()}`;
}

async function banner(bundlePath: string, form: BuildInfo["form"]): Promise<string> {
  const { version } = projectConfig();
  const own = (await Deno.readTextFile(`${ROOT}LICENSE`)).trim();
  const parts = [
    `ism ${version}\n\n${own}`,
    ...packagesOf(bundlePath).map(({ name, version, license }) => `${name} ${version} (npm)\n\n${license}`),
    // npm's package has Deno as a dependency, which brings its own.
    ...(form === "npm" ? [] : [`Deno, which runs it\n\n${mitLicense(DENO_HOLDER)}`]),
  ];
  return `/*!\n${parts.join(`\n\n${"-".repeat(72)}\n\n`).replaceAll("*/", "* /")}\n*/\n`;
}

/** Writes a file in one step: who reads it meanwhile sees the old one or the new one. */
export function writeAtomically(path: string, content: string | Uint8Array, mode = 0o644): void {
  const part = `${dirname(path)}/.${basename(path)}.${crypto.randomUUID()}`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    Deno.writeFileSync(part, bytes, { mode });
    Deno.chmodSync(part, mode);
    Deno.renameSync(part, path);
  } catch (error) {
    removeIfThere(part);
    throw error;
  }
}
