/** `deno task npm`: the package for npm, `dist/npm/ism-VERSION.tgz`. It starts on the Deno of npm's package `deno`. */
import { bundle, partsOf, ROOT } from "./bundle.ts";
import { ISOLATION } from "./offline.ts";
import { permissionFlags, projectConfig } from "./permissions.ts";
import { run, task } from "./run.ts";
import { SHARED_FILES, writeShared } from "./share.ts";

const LAUNCHER_FLAGS = "[/* written here by build/npm.ts */]";

/** The package's own description of itself. @param deno the version of Deno that it depends on */
export function packageJson(deno: string, repository: string | undefined): Record<string, unknown> {
  const { version, license } = projectConfig();
  return {
    name: "ism",
    version,
    description: "A mainframe in a terminal, for people who write user-space drivers",
    keywords: ["vfio", "s390", "ism", "smc-d", "zpci", "driver", "simulator"],
    license,
    type: "module",
    bin: { ism: "bin/ism.mjs" },
    man: SHARED_FILES.map(([path]) => path).filter((path) => path.includes("/man/")),
    types: "types/ism.d.ts",
    exports: { ".": { types: "./types/ism.d.ts" }, "./package.json": "./package.json" },
    files: ["bin", "lib", "share", "types", "CHANGELOG.md"],
    engines: { node: ">=18" },
    dependencies: { deno },
    // Provenance is refused for a package that does not say where its source is.
    ...(repository === undefined ? {} : {
      repository: { type: "git", url: `git+https://github.com/${repository}.git` },
    }),
  };
}

/** Makes the package in a folder. @returns the path of the packed file */
export async function makePackage(folder: string): Promise<string> {
  const program = await bundle("npm");
  const content = `${folder}/package`;
  try {
    Deno.removeSync(content, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const name of ["bin", "lib", "types"]) Deno.mkdirSync(`${content}/${name}`, { recursive: true });
  const description = packageJson(Deno.version.deno, Deno.env.get("GITHUB_REPOSITORY"));
  Deno.writeTextFileSync(`${content}/package.json`, `${JSON.stringify(description, null, 2)}\n`);
  const launcher = Deno.readTextFileSync(`${ROOT}build/npm/ism.mjs`);
  if (!launcher.includes(LAUNCHER_FLAGS)) {
    throw new Error("build/npm/ism.mjs has no place for the permissions");
  }
  const flags = JSON.stringify([...ISOLATION, ...permissionFlags()]);
  Deno.writeTextFileSync(`${content}/bin/ism.mjs`, launcher.replace(LAUNCHER_FLAGS, () => flags));
  Deno.chmodSync(`${content}/bin/ism.mjs`, 0o755);
  Deno.copyFileSync(program, `${content}/lib/ism.js`);
  for (const [name, bytes] of partsOf(program)) Deno.writeFileSync(`${content}/lib/${name}`, bytes);
  Deno.copyFileSync(`${ROOT}types/ism.d.ts`, `${content}/types/ism.d.ts`);
  for (const name of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    Deno.copyFileSync(`${ROOT}${name}`, `${content}/${name}`);
  }
  await writeShared(content, program);
  const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
  const said = await run(npm, ["pack", "--json", "--pack-destination", folder], { cwd: content });
  const [{ filename }] = JSON.parse(said);
  return `${folder}/${filename}`;
}

if (import.meta.main) {
  await task(async () => {
    const path = await makePackage(`${ROOT}dist/npm`);
    console.log(`${path}  ${(Deno.statSync(path).size / 1e3).toFixed(0)} kB`);
  });
}
