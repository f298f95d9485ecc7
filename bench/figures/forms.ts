/** The forms of the program: how large each is, and how long it takes to start, against `deno run` of the bundled program. */
import { bundle, textOf } from "../../build/bundle.ts";
import { compile, makeOffline } from "../../build/compile.ts";
import { makePackage } from "../../build/npm.ts";
import { ISOLATION } from "../../build/offline.ts";
import { permissionFlags } from "../../build/permissions.ts";
import { run } from "../../build/run.ts";
import { targetOf } from "../../build/targets.ts";
import { atMost, type Effort, type Figure, FULL, median, readable, timed } from "../figure.ts";
import { Scratch } from "../program.ts";

/** How a form is started. */
interface Form {
  readonly name: string;
  /** What is handed over. */
  readonly path: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What a start may take longer than that of the bundle. Milliseconds. */
  readonly more: number;
  /** Most bytes, in millions. */
  readonly size: number;
}

/** Builds what can be built here; what cannot is told on standard error. */
async function forms(folder: string, program: string, effort: Effort): Promise<Form[]> {
  const found: Form[] = [];
  const binary = `${folder}/compiled`;
  const missing = await compile(binary, targetOf(Deno.build.target));
  if (missing !== undefined) console.error(`no compiled form here: ${missing}`);
  else found.push({ name: "compiled", path: binary, words: [binary], env: {}, more: 0, size: 120 });
  if (Deno.build.os === "linux") {
    const path = `${folder}/offline`;
    await makeOffline(path, effort === FULL ? 9 : 1);
    const env = { XDG_CACHE_HOME: `${folder}/cache` };
    found.push({ name: "offline", path, words: [path], env, more: 15, size: 50 });
  }
  const path = await makePackage(folder);
  const prefix = `${folder}/npm`;
  await run("npm", ["install", "--no-audit", "--no-fund", "--silent", "--prefix", prefix, path]);
  // Node starts first, and then Deno.
  const words = [`${prefix}/node_modules/.bin/ism`];
  found.push({ name: "npm", path, words, env: { HOME: folder }, more: 150, size: 1 });
  const flags = ["run", ...ISOLATION, ...permissionFlags()];
  const env = { DENO_DIR: `${folder}/deno` };
  return [
    { name: "bundle", path: program, words: [Deno.execPath(), ...flags, program], env, more: 0, size: 1.5 },
    ...found,
  ];
}

/** Sizes, first starts (which unpack, or compile), and starts. */
export async function formFigures(effort: Effort): Promise<Figure[]> {
  using scratch = new Scratch();
  const program = await bundle("compiled");
  const all = await forms(scratch.path, program, effort);
  const first: number[] = [];
  for (const form of all) first.push(await timed(() => start(form)));
  const times = all.map((): number[] => []);
  for (let i = 0; i < effort.runs; i++) {
    for (const [at, form] of all.entries()) times[at]!.push(await timed(() => start(form)));
  }
  const floor = `${readable(median(times[0]!))} ms`;
  return all.flatMap(({ name, path, more, size }, at): Figure[] => {
    const megabytes = (at === 0 ? textOf(path).length : Deno.statSync(path).size) / 1e6;
    const row = (what: string, value: number, unit: string, limit: number, floor: string): Figure => ({
      name: `form ${name}: ${what}`,
      shown: `${readable(value)}${unit}`,
      floor,
      value,
      goal: atMost(limit, unit),
    });
    const above = median(times[at]!.map((time, i) => time - times[0]![i]!));
    return [
      row("size", megabytes, " MB", size, ""),
      row("first start", first[at]!, " ms", 10_000, floor),
      ...(at === 0 ? [] : [row("start, above the bundle", above, " ms", more, floor)]),
    ];
  });
}

/** Starts a form for its version. @throws {Error} if it does not end well */
async function start({ words, env }: Form): Promise<void> {
  const [command, ...args] = words;
  const { success } = await new Deno.Command(command!, {
    args: [...args, "--version"],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "null",
  }).output();
  if (!success) throw new Error(`${words.join(" ")} failed`);
}
