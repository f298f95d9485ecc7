/** The program as JavaScript, what starts in a file of its own: what the compiled binary, the offline file and npm's package hold. */
import { basename, dirname } from "node:path";
import type { BuildInfo } from "../cmd/build_info.ts";
import { removeIfThere } from "../lib/host/file/host_path.ts";
import { copyInGroups } from "./groups.ts";
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

/** The path of a module in npm's cache: `…/npm/REGISTRY/NAME/VERSION/…`. */
const NPM_MODULE = /^\S*?\/npm\/[^/\s]+\/((?:@[^/\s]+\/)?[^/\s]+)\/(\d[^/\s]*)\//;

/** The file that starts; the others lie beside it. */
const START = "ism.js";
/** What the name of a map ends with, behind that of its file. */
const MAP = ".map";

/**
 * Puts the program together in `dist/work/FORM/`: `ism.js` is what every start needs, what is loaded later lies beside it.
 * What has to be read at a start is as short as can be; the map beside each file, which nobody is given, tells what of the
 * source is where. The same source gives the same bytes on every machine, and `ism.js` begins with the licences of what is
 * in all of them.
 * @returns the path of `ism.js`
 */
export async function bundle(form: BuildInfo["form"]): Promise<string> {
  const info: BuildInfo = { form, commit: await commit() };
  const folder = `${ROOT}dist/work/${form}`;
  const work = Deno.makeTempDirSync({ prefix: "ism-bundle-" });
  try {
    copyInGroups(ROOT, work);
    Deno.writeTextFileSync(
      `${work}/ism.ts`,
      `import { end, main } from "./cmd/main.ts";\nimport { setBuildInfo } from "./cmd/build_info.ts";\n` +
        `setBuildInfo(${JSON.stringify(info)});\nend(await main(Deno.args));\n`,
    );
    const flags = ["--quiet", "--code-splitting", "--minify", "--sourcemap", "external"];
    await run(Deno.execPath(), ["bundle", ...flags, "--outdir", `${work}/out`, "ism.ts"], { cwd: work });
    const licenses = banner(`${work}/out`, form);
    const files = withPlainNames(`${work}/out`);
    Deno.mkdirSync(folder, { recursive: true });
    for (const { name } of [...Deno.readDirSync(folder)]) {
      if (!files.has(name)) removeIfThere(`${folder}/${name}`);
    }
    for (const [name, text] of files) {
      writeAtomically(`${folder}/${name}`, name === START ? licenses + text : text);
    }
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
  return `${folder}/${START}`;
}

/** The files beside a bundled program that it loads, by name. */
export function partsOf(program: string): Map<string, Uint8Array<ArrayBuffer>> {
  const folder = dirname(program);
  const names = filesIn(folder, ".js").filter((name) => name !== START);
  return new Map(names.map((name) => [name, Deno.readFileSync(`${folder}/${name}`)]));
}

/** The text of all files of a bundled program. */
export function textOf(program: string): string {
  const text = new TextDecoder();
  return [Deno.readTextFileSync(program), ...[...partsOf(program).values()].map((part) => text.decode(part))]
    .join("");
}

/** The modules in a bundled program: paths below the project's folder, and `npm:NAME@VERSION/PATH`. */
export function modulesIn(program: string): string[] {
  const folder = dirname(program);
  return filesIn(folder, MAP).flatMap((name) => sourcesOf(`${folder}/${name}`)).toSorted();
}

/** What the bundler wrote, by names that say no more than they must: a module that nothing else changes keeps its file. */
function withPlainNames(folder: string): Map<string, string> {
  const names = filesIn(folder, ".js");
  const key = (name: string) => sourcesOf(`${folder}/${name}${MAP}`).map(plainPath)[0] ?? "";
  const chunks = names.filter((name) => name.startsWith("chunk-")).map((name) => [key(name), name] as const)
    .toSorted(([a], [b]) => a < b ? -1 : 1).map(([, name]) => name);
  const plain = (name: string) =>
    chunks.includes(name) ? `shared${chunks.indexOf(name) + 1}.js` : name.replace(/-[A-Z0-9]{8}\.js$/, ".js");
  const files = names.flatMap((name): [string, string][] => {
    const text = Deno.readTextFileSync(`${folder}/${name}`).replaceAll(
      /"\.\/([\w-]+\.js)"/g,
      (whole, other) => names.includes(other) ? `"./${plain(other)}"` : whole,
    );
    const map = mapOf(`${folder}/${name}${MAP}`);
    map.sources = map.sources.map(plainPath);
    return [[plain(name), text], [`${plain(name)}${MAP}`, JSON.stringify(map)]];
  });
  return new Map(files.toSorted(([a], [b]) => a < b ? -1 : 1));
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

/** Names of the packages of npm that a bundled program holds. */
export function packagesIn(program: string): string[] {
  const names = modulesIn(program).flatMap((module) =>
    /^npm:((?:@[^@/]+\/)?[^@/]+)@/.exec(module)?.[1] ?? []
  );
  return [...new Set(names)].toSorted();
}

/** A map from a bundled file to its source, as far as it is used here. */
interface SourceMap {
  sources: string[];
}

function mapOf(path: string): SourceMap {
  return JSON.parse(Deno.readTextFileSync(path));
}

function filesIn(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(ending))
    .toSorted();
}

/** A source of the bundler's as {@linkcode modulesIn} names it: it counts its paths from the folder of what it writes. */
function plainPath(source: string): string {
  return source.replace(NPM_MODULE, "npm:$1@$2/").replace(/^\.\.\//, "");
}

/** The modules in a file that the bundler wrote, as its map names them. */
function sourcesOf(map: string): string[] {
  return mapOf(map).sources;
}

/** The packages of npm in what `deno bundle` wrote, with their licences. */
function packagesOf(folder: string): BundledPackage[] {
  const found = new Map<string, BundledPackage>();
  for (const source of filesIn(folder, MAP).flatMap((name) => sourcesOf(`${folder}/${name}`))) {
    const [home, name = "", version = ""] = NPM_MODULE.exec(source) ?? [];
    if (home === undefined || found.has(name)) continue;
    const from = `file://${folder}/`;
    found.set(name, { name, version, license: licenseText(new URL(source, from), new URL(home, from)) });
  }
  return [...found.values()].toSorted((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * The licence of the package that a module belongs to: its file, or for a package that ships none the copyright line of
 * the module over the text of the MIT licence.
 * @param folder the package's
 * @throws {Error} if it has no licence
 */
function licenseText(module: URL, folder: URL): string {
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

function banner(folder: string, form: BuildInfo["form"]): string {
  const { version } = projectConfig();
  const own = Deno.readTextFileSync(`${ROOT}LICENSE`).trim();
  const parts = [
    `ism ${version}\n\n${own}`,
    ...packagesOf(folder).map(({ name, version, license }) => `${name} ${version} (npm)\n\n${license}`),
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
