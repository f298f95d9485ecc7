/**
 * How large each form of the program is, and how long it takes to start: `deno task bench:start [--json]`. Each form is
 * built anew and started on an empty cache, and then in turn with the others, so that what else the machine does falls
 * on all of them.
 */
import { bundle, ROOT } from "../build/bundle.ts";
import { compile, makeOffline } from "../build/compile.ts";
import { makePackage } from "../build/npm.ts";
import { permissionFlags } from "../build/permissions.ts";
import { run } from "../build/run.ts";
import { targetOf } from "../build/targets.ts";

const ROUNDS = 25;

/** One form and how it is started. */
interface Form {
  readonly form: string;
  /** What is handed over. Bytes. */
  readonly bytes: number;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** One line of the table. Times in milliseconds. */
export interface StartTime {
  readonly form: string;
  readonly bytes: number;
  readonly firstMs: number;
  readonly fastestMs: number;
  readonly medianMs: number;
}

/** Starts the program for its version. @returns milliseconds */
async function start({ words, env }: Form): Promise<number> {
  const [command, ...args] = words;
  const started = performance.now();
  const { success } = await new Deno.Command(command!, {
    args: [...args, "--version"],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", ...env },
    stdout: "null",
  }).output();
  if (!success) throw new Error(`${words.join(" ")} failed`);
  return performance.now() - started;
}

/** Starts each form on an empty cache, and then all of them in turn. */
async function measure(forms: readonly Form[]): Promise<StartTime[]> {
  const first: number[] = [];
  for (const form of forms) first.push(await start(form));
  const times = forms.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, form] of forms.entries()) times[i]!.push(await start(form));
  }
  return forms.map(({ form, bytes }, i) => {
    const sorted = times[i]!.toSorted((a, b) => a - b);
    return { form, bytes, firstMs: first[i]!, fastestMs: sorted[0]!, medianMs: sorted[ROUNDS >> 1]! };
  });
}

/** Builds every form into a folder; those that cannot be made here are told on standard error. */
async function build(folder: string): Promise<Form[]> {
  const flags = ["--quiet", "--no-config", ...permissionFlags()];
  const size = (path: string) => Deno.statSync(path).size;
  const bundled = `${folder}/ism.js`;
  Deno.copyFileSync(await bundle("compiled"), bundled);
  const run = (program: string, name: string, more: readonly string[] = []): Form => ({
    form: name,
    bytes: size(program),
    words: [Deno.execPath(), "run", ...flags.filter((flag) => !more.includes(flag)), program],
    env: { DENO_DIR: `${folder}/${name}` },
  });
  const source = run(`${ROOT}main.ts`, "source", ["--no-config"]);
  const forms = [
    {
      ...source,
      bytes: await sourceBytes(),
      env: { DENO_DIR: Deno.env.get("DENO_DIR") ?? `${home()}/.cache/deno` },
    },
    run(bundled, "bundle"),
  ];
  const binary = `${folder}/compiled`;
  const missing = await compile(binary, targetOf(Deno.build.target));
  if (missing === undefined) forms.push({ form: "compiled", bytes: size(binary), words: [binary], env: {} });
  else console.error(`no compiled form here: ${missing}`);
  if (Deno.build.os === "linux") {
    const file = `${folder}/offline`;
    await makeOffline(file);
    forms.push({
      form: "offline",
      bytes: size(file),
      words: [file],
      env: { XDG_CACHE_HOME: `${folder}/cache` },
    });
  }
  const packed = await makePackage(folder);
  await runNpm(folder, packed);
  const command = `${folder}/npm/node_modules/.bin/ism`;
  forms.push({ form: "npm", bytes: size(packed), words: [command], env: { HOME: folder } });
  return forms;
}

async function runNpm(folder: string, packed: string): Promise<void> {
  await run("npm", ["install", "--no-audit", "--no-fund", "--silent", "--prefix", `${folder}/npm`, packed]);
}

function home(): string {
  return Deno.env.get("HOME") ?? ROOT;
}

/** Bytes of the modules that the program is made of. */
async function sourceBytes(): Promise<number> {
  const { modules } = JSON.parse(await run(Deno.execPath(), ["info", "--json", "main.ts"], { cwd: ROOT }));
  return (modules as { size?: number }[]).reduce((sum, { size = 0 }) => sum + size, 0);
}

if (import.meta.main) {
  const folder = Deno.makeTempDirSync({ prefix: "ism-bench-" });
  try {
    const rows = await measure(await build(folder));
    if (Deno.args.includes("--json")) console.log(JSON.stringify({ bench: "start", rounds: ROUNDS, rows }));
    else {
      console.log(
        `form      ${"size".padStart(10)}  ${
          ["first", "fastest", "median"].map((word) => word.padStart(8)).join("")
        }`,
      );
      for (const { form, bytes, ...times } of rows) {
        const cells = Object.values(times).map((time) => `${time.toFixed(0)} ms`.padStart(8)).join("");
        console.log(`${form.padEnd(8)}  ${`${(bytes / 1e6).toFixed(2)} MB`.padStart(10)}  ${cells}`);
      }
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
